/* Upkeep: monthly partitions and the periods of planning years once a day, and slots that a longer period left too far
 * away. */
#include "services/scheduler/upkeep.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY_US    INT64_C(86400000000)
#define RETRY_US  60000000
#define MOVE_ROWS 5000 /* at a time, so that claims have their turn */
#define SQL_MAX   1024

static const struct gs_log_ctx log_ctx = {.topic = "scheduler"};

static const struct gs_pg_stmt make_partitions = {NULL, "SELECT make_partitions()"};
static const struct gs_pg_stmt make_periods = {NULL, "SELECT make_periods(NULL)"};

struct sched_upkeep {
    struct gs_pg *pg;
    const struct gs_pg_params *period;
    struct gs_pg_stmt move;
    char sql[SQL_MAX];
    int64_t daily_us; /* when to look at partitions and periods again */
    bool moved_all;   /* since this process started */
    bool moving, making;
};

static void look(struct sched_upkeep *u, const struct gs_pg_result *res, const char *what)
{
    if (gs_pg_rc(res) == GS_OK)
        return;
    gs_log_warn(&log_ctx, what, "error=\"%s\"", gs_pg_result_error(res));
    u->daily_us = gs_mono_us() + RETRY_US;
}

static void on_periods(void *arg, const struct gs_pg_result *res)
{
    struct sched_upkeep *u = arg;

    u->making = false;
    look(u, res, "no new periods");
}

/* Periods are made whatever became of the partitions. */
static void on_partitions(void *arg, const struct gs_pg_result *res)
{
    struct sched_upkeep *u = arg;

    u->daily_us = gs_mono_us() + DAY_US;
    look(u, res, "no new partitions");
    gs_pg_query(u->pg, &make_periods, NULL, on_periods, u);
}

static void on_moved(void *arg, const struct gs_pg_result *res)
{
    struct sched_upkeep *u = arg;
    int64_t rows = gs_pg_rc(res) == GS_OK ? gs_pg_affected(res) : -1;

    u->moving = false;
    u->moved_all = rows >= 0 && rows < MOVE_ROWS;
    if (rows < 0)
        gs_log_warn(&log_ctx, "slots not moved", "error=\"%s\"", gs_pg_result_error(res));
    if (rows > 0)
        gs_log_info(&log_ctx, "slots moved to a shorter period", "batches=%" PRId64, rows);
}

void sched_upkeep_run(struct sched_upkeep *u)
{
    if (!u->moved_all && !u->moving) {
        u->moving = true;
        gs_pg_query(u->pg, &u->move, u->period, on_moved, u);
    }
    if (!u->making && gs_mono_us() >= u->daily_us) {
        u->making = true;
        gs_pg_query(u->pg, &make_partitions, NULL, on_partitions, u);
    }
}

struct sched_upkeep *sched_upkeep_new(struct gs_pg *pg, const struct gs_pg_params *period)
{
    struct sched_upkeep *u = gs_alloc(sizeof *u);

    u->pg = pg;
    u->period = period;
    snprintf(u->sql, sizeof u->sql,
             "UPDATE link_batch b SET next_due_at = " SCHED_NEXT_SLOT(
                 "b.slot_hash") "WHERE b.ctid = ANY(ARRAY("
                                "SELECT ctid FROM link_batch WHERE next_due_at > now() + $3 * interval '1 microsecond'"
                                " LIMIT %d FOR UPDATE SKIP LOCKED))",
             MOVE_ROWS);
    u->move = (struct gs_pg_stmt){"move_slots", u->sql};
    return u;
}

struct sched_upkeep *sched_upkeep_free(struct sched_upkeep *u)
{
    free(u);
    return NULL;
}
