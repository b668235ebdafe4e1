/* Claims batches whose slot has come. */
#include "services/scheduler/claim.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/pg.h"
#include "common/slot.h"
#include "services/scheduler/round.h"
#include "services/scheduler/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define POLL_US   1000000 /* at most between two looks: links are added meanwhile */
#define GATHER_US 50000   /* at least between two looks: a round costs the same for one row as for many */
#define RETRY_US  1000000 /* after a failure */
#define SQL_MAX   2048

static const struct gs_log_ctx log_ctx = {.topic = "scheduler"};

struct sched_claim {
    struct gs_pg *pg;
    struct gs_timer *timer;
    struct gs_pg_params *params;
    struct sched_round *round;
    struct sched_upkeep *upkeep;
    struct gs_pg_stmt claim;
    char sql[SQL_MAX];
    int batch;
    bool looking; /* the question when the next is due is open */
    void (*idle)(void *arg);
    void *idle_arg;
};

/* Slots are computed as in common/slot.c, from the database's clock, which is read once. The rows are found by ctid: a
 * plan by id turns into a scan of the whole table where the planner expects many rows, and this one cannot. A row that
 * another claimer moved meanwhile is not seen and stays due. LIMIT is in the text, so that the planner knows it.
 *
 * $1: the period's multiple of 2^31 and $2: the rest, microseconds; $3: the period. */
static void write_sql(struct sched_claim *c)
{
    snprintf(c->sql, sizeof c->sql,
             "UPDATE link_batch b SET next_due_at = " SCHED_NEXT_SLOT(
                 "b.slot_hash") "FROM connection c"
                                " WHERE b.ctid = ANY(ARRAY(SELECT ctid FROM link_batch WHERE next_due_at <= now()"
                                " ORDER BY next_due_at LIMIT %d FOR UPDATE SKIP LOCKED)) AND c.id = b.connection_id"
                                " RETURNING " SCHED_COLUMNS ", b.next_due_at",
             c->batch);
    c->claim = (struct gs_pg_stmt){"claim_due", c->sql};
}

static const struct gs_pg_stmt next_due = {
    "next_due", "SELECT (extract(epoch FROM next_due_at - now()) * 1000000)::int8 FROM link_batch"
                " WHERE next_due_at IS NOT NULL ORDER BY next_due_at LIMIT 1"};

static bool drained(struct sched_claim *c)
{
    if (!c->idle || sched_round_runs(c->round))
        return false;
    gs_timer_stop(c->timer);
    c->idle(c->idle_arg);
    c->idle = NULL;
    return true;
}

static void on_next_due(void *arg, const struct gs_pg_result *res)
{
    struct sched_claim *c = arg;
    int64_t wait = POLL_US;

    c->looking = false;
    if (c->idle)
        return;
    if (gs_pg_rc(res) == GS_OK && gs_pg_rows(res) > 0)
        wait = gs_pg_get_int8(res, 0, 0);
    wait = wait < GATHER_US ? GATHER_US : wait > POLL_US ? POLL_US : wait;
    gs_timer_start(c->timer, wait, 0);
}

static void on_timer(void *arg)
{
    struct sched_claim *c = arg;

    if (!gs_pg_up(c->pg) || sched_round_runs(c->round) || c->looking || c->idle)
        return;
    sched_upkeep_run(c->upkeep);
    sched_round_start(c->round);
}

static void on_round(void *arg, int rows)
{
    struct sched_claim *c = arg;

    if (drained(c))
        return;
    if (rows < 0) {
        gs_timer_start(c->timer, RETRY_US, 0);
    } else if (rows == c->batch) {
        gs_timer_start(c->timer, 0, 0);
    } else {
        c->looking = true;
        gs_pg_query(c->pg, &next_due, NULL, on_next_due, c);
    }
}

static void on_state(void *arg, bool up)
{
    struct sched_claim *c = arg;

    if (!up) {
        sched_round_lost(c->round);
        return;
    }
    gs_log_info(&log_ctx, "database up", "lane=due");
    sched_round_prepare(c->pg);
    if (!c->idle)
        gs_timer_start(c->timer, 0, 0);
}

struct sched_claim *sched_claim_new(uv_loop_t *loop, const struct sched_conf *conf, struct gs_producer *producer,
                                    struct gs_err *err)
{
    struct sched_claim *c = gs_alloc(sizeof *c);
    const struct gs_pg_conf pg = {.application_name = "goalsync-scheduler", .state = on_state, .arg = c};

    c->batch = (int)conf->batch;
    write_sql(c);
    c->params = gs_pg_params_new();
    gs_pg_add_int8(c->params, conf->period_us >> 31);
    gs_pg_add_int8(c->params, conf->period_us & (GS_SLOT_HASHES - 1));
    gs_pg_add_int8(c->params, conf->period_us);
    c->timer = gs_timer_new(loop, on_timer, c);
    c->pg = gs_pg_new(loop, &pg, err);
    if (!c->pg)
        return sched_claim_free(c);
    const struct sched_round_spec round = {.loop = loop,
                                           .pg = c->pg,
                                           .producer = producer,
                                           .kind = SCHED_DUE,
                                           .period_us = conf->period_us,
                                           .claim = &c->claim,
                                           .params = c->params,
                                           .done = on_round,
                                           .arg = c};
    c->round = sched_round_new(&round);
    c->upkeep = sched_upkeep_new(c->pg, c->params);
    return c;
}

bool sched_claim_up(const struct sched_claim *c)
{
    return gs_pg_up(c->pg);
}

const char *sched_claim_error(const struct sched_claim *c)
{
    return gs_pg_error(c->pg);
}

void sched_claim_drain(struct sched_claim *c, void (*idle)(void *arg), void *arg)
{
    c->idle = idle;
    c->idle_arg = arg;
    drained(c);
}

struct sched_claim *sched_claim_free(struct sched_claim *c)
{
    if (!c)
        return NULL;
    c->idle = NULL;
    /* First: statements without an answer call back into all the rest. */
    c->pg = gs_pg_free(c->pg);
    c->upkeep = sched_upkeep_free(c->upkeep);
    c->round = sched_round_free(c->round);
    c->timer = gs_timer_free(c->timer);
    gs_pg_params_free(c->params);
    free(c);
    return NULL;
}
