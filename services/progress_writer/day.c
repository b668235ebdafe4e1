/* Organisation by organisation, page by page: first the goals that stand for themselves, then those in roll-up mode,
 * children before parents. Each page is one transaction of the same kind as a batch of results. */
#include "services/progress_writer/day.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/progress_writer/txn.h"

#include <inttypes.h>
#include <stdlib.h>

#define DAY_TICK_US  INT64_C(60000000)
#define DAY_RETRY_US INT64_C(2000000)
#define DAY_PAGE     500

static const struct gs_log_ctx log_ctx = {.topic = "day"};

struct writer_day {
    struct gs_pg *pg;
    struct writer_day_spec spec;
    struct gs_timer *timer;
    struct writer_txn *txn;
    struct writer_work work;
    struct gs_pg_params *params;
    bool busy, stopped;
    bool again;       /* told of another one while busy */
    int64_t org_id;   /* being passed over */
    int32_t revision; /* of its settings when that began */
    int32_t today;
    bool rolling_up; /* the second half: goals in roll-up mode */
    int64_t cursor;  /* the last goal of the pages before */
    size_t page;     /* rows of this one */
    int64_t page_last;
};

static void find_org(struct writer_day *d);

static void pause_day(struct writer_day *d, int64_t us)
{
    d->busy = false;
    if (!d->stopped)
        gs_timer_start(d->timer, d->again ? 0 : us, 0);
    d->again = false;
}

/* ---- a page ---- */

static void read_goals(void *arg, const struct gs_pg_result *r)
{
    struct writer_day *d = arg;
    d->page = (size_t)gs_pg_rows(r);
    for (int i = 0; i < gs_pg_rows(r); i++) {
        struct writer_goal *g = writer_list_add(&d->work.goals);
        writer_load_goal(r, i, 0, g);
        g->goal.tasks_done = gs_pg_get_int4(r, i, WRITER_GOAL_COLUMNS_N);
        g->goal.tasks_all = gs_pg_get_int4(r, i, WRITER_GOAL_COLUMNS_N + 1);
        d->page_last = g->goal.id;
    }
}

static void read_ids(void *arg, const struct gs_pg_result *r)
{
    struct writer_day *d = arg;
    d->page = (size_t)gs_pg_rows(r);
    d->work.seeds_too = true;
    for (int i = 0; i < gs_pg_rows(r); i++)
        *writer_list_add(&d->work.seeds) = d->page_last = gs_pg_get_int8(r, i, 0);
}

static void read_rules(void *arg, const struct gs_pg_result *r)
{
    struct writer_day *d = arg;
    writer_load_orgs_read(&d->work, r);
}

#define OPEN_PAGE "g.org_id = $1 AND g.id > $2 AND NOT (g.status IN ('closed', 'postponed') AND g.status_by_hand)"

static const struct gs_pg_stmt goals_stmt = {
    "day_goals", "SELECT " WRITER_GOAL_COLUMNS ","
                 " (SELECT count(*)::int FROM goal_task t WHERE t.goal_id = g.id AND t.done AND g.kind = 'project'),"
                 " (SELECT count(*)::int FROM goal_task t WHERE t.goal_id = g.id AND g.kind = 'project')"
                 " FROM goal g WHERE " OPEN_PAGE " AND (g.mode <> 'roll_up' OR g.kind = 'project')"
                 " ORDER BY g.id LIMIT $3 FOR NO KEY UPDATE OF g"};

static const struct gs_pg_stmt ids_stmt = {"day_ids",
                                           "SELECT g.id FROM goal g WHERE " OPEN_PAGE
                                           " AND g.mode = 'roll_up' AND g.kind <> 'project' ORDER BY g.id LIMIT $3"};

static void open_page(void *arg, struct writer_txn *t)
{
    struct writer_day *d = arg;
    gs_pg_params_clear(d->params);
    gs_pg_array_begin(d->params, GS_PG_INT8);
    gs_pg_item_int8(d->params, d->org_id);
    gs_pg_array_end(d->params);
    writer_txn_query(t, &writer_load_orgs_stmt, d->params, read_rules, d);
    gs_pg_params_clear(d->params);
    gs_pg_add_int8(d->params, d->org_id);
    gs_pg_add_int8(d->params, d->cursor);
    gs_pg_add_int8(d->params, DAY_PAGE);
    writer_txn_query(t, d->rolling_up ? &ids_stmt : &goals_stmt, d->params, d->rolling_up ? read_ids : read_goals, d);
}

static bool derive_page(void *arg)
{
    struct writer_day *d = arg;
    const struct gs_goal_rules *rules = writer_work_rules(&d->work, d->org_id);
    if (!rules)
        return false; /* the organisation is gone */
    for (size_t i = 0; i < d->work.goals.n; i++) {
        struct writer_goal *g = &d->work.goals.items[i];
        bool tasks = g->goal.kind == GS_PROJECT && g->goal.mode == GS_ROLL_UP;
        g->rules = rules;
        g->changes = tasks ? gs_goal_roll_up(&g->goal, NULL, 0, rules) : gs_goal_derive(&g->goal, rules);
        if (g->changes == GS_CHANGED_REFUSED)
            g->changes = 0;
        writer_work_report(&d->work, g, WRITER_DAY_PASSED, gs_now_us());
        if (g->changes & GS_CHANGED_VISIBLE)
            *writer_list_add(&d->work.seeds) = g->goal.id;
    }
    return true;
}

/* ---- pages, halves, organisations ---- */

static void on_passed(void *arg, const struct gs_pg_result *r)
{
    struct writer_day *d = arg;
    if (gs_pg_rc(r) == GS_OK && !d->stopped)
        find_org(d);
    else
        pause_day(d, DAY_RETRY_US);
}

static void pass_org(struct writer_day *d)
{
    /* Limits that changed meanwhile were not those of the first pages: the organisation stays due. */
    static const struct gs_pg_stmt stmt = {
        "day_passed", "UPDATE organisation SET status_day = greatest(status_day, date '1970-01-01' + $2::int)"
                      " WHERE id = $1 AND revision = $3"};
    gs_log_info(&log_ctx, "day passed", "org=%" PRId64, d->org_id);
    gs_pg_params_clear(d->params);
    gs_pg_add_int8(d->params, d->org_id);
    gs_pg_add_int4(d->params, d->today);
    gs_pg_add_int4(d->params, d->revision);
    gs_pg_query(d->pg, &stmt, d->params, on_passed, d);
}

static void on_page(void *arg, enum writer_end end, const char *err)
{
    struct writer_day *d = arg;
    if (d->stopped)
        return;
    if (end != WRITER_END_DONE) {
        gs_log_warn(&log_ctx, "a page of the day pass failed", "org=%" PRId64 " error=\"%s\"", d->org_id, err);
        pause_day(d, end == WRITER_END_AGAIN ? DAY_RETRY_US : DAY_TICK_US);
        return;
    }
    if (d->work.events.len > 0)
        d->spec.published(d->spec.arg);
    d->cursor = d->page_last;
    if (d->page < DAY_PAGE) {
        if (d->rolling_up) {
            pass_org(d);
            return;
        }
        d->rolling_up = true;
        d->cursor = 0;
    }
    writer_txn_begin(d->txn, &d->work);
}

static void on_org(void *arg, const struct gs_pg_result *r)
{
    struct writer_day *d = arg;
    if (gs_pg_rc(r) != GS_OK || gs_pg_rows(r) == 0 || d->stopped) {
        pause_day(d, DAY_TICK_US);
        return;
    }
    d->org_id = gs_pg_get_int8(r, 0, 0);
    d->today = gs_pg_get_date(r, 0, 1);
    d->revision = gs_pg_get_int4(r, 0, 2);
    d->rolling_up = false;
    d->cursor = d->page_last = 0;
    writer_txn_begin(d->txn, &d->work);
}

static void find_org(struct writer_day *d)
{
    static const struct gs_pg_stmt stmt = {
        "day_org", "SELECT o.id, (now() AT TIME ZONE o.time_zone)::date, o.revision FROM organisation o"
                   " WHERE o.status_day < (now() AT TIME ZONE o.time_zone)::date ORDER BY o.id LIMIT 1"};
    d->busy = true;
    d->again = false;
    gs_pg_query(d->pg, &stmt, NULL, on_org, d);
}

static void on_timer(void *arg)
{
    struct writer_day *d = arg;
    if (d->busy)
        return;
    if (gs_pg_up(d->pg) && d->spec.may_run(d->spec.arg))
        find_org(d);
    else
        gs_timer_start(d->timer, DAY_RETRY_US, 0);
}

void writer_day_state(struct writer_day *d, bool up)
{
    static const struct gs_pg_stmt listen = {NULL, "LISTEN goalsync_day"};
    writer_txn_session_changed(d->txn);
    if (!up)
        return;
    gs_pg_query(d->pg, &listen, NULL, NULL, NULL);
    writer_day_kick(d); /* what was told while nobody listened */
}

void writer_day_kick(struct writer_day *d)
{
    if (d->stopped)
        return;
    if (d->busy)
        d->again = true;
    else
        gs_timer_start(d->timer, 0, 0);
}

struct writer_day *writer_day_new(uv_loop_t *loop, const struct writer_day_spec *spec)
{
    struct writer_day *d = gs_alloc(sizeof *d);
    d->spec = *spec;
    d->timer = gs_timer_new(loop, on_timer, d);
    d->params = gs_pg_params_new();
    writer_work_init(&d->work);
    d->work.own_cause = d->work.up_cause = WRITER_DAY_PASSED;
    return d;
}

void writer_day_connect(struct writer_day *d, struct gs_pg *pg)
{
    const struct writer_txn_spec spec = {.open = open_page, .opened = derive_page, .done = on_page, .arg = d};
    d->pg = pg;
    d->txn = writer_txn_new(pg, &spec);
    gs_timer_start(d->timer, DAY_RETRY_US, 0);
}

void writer_day_stop(struct writer_day *d)
{
    d->stopped = true;
    d->timer = gs_timer_free(d->timer);
}

struct writer_day *writer_day_free(struct writer_day *d)
{
    if (!d)
        return NULL;
    d->txn = writer_txn_free(d->txn);
    gs_pg_params_free(d->params);
    writer_work_done(&d->work);
    free(d);
    return NULL;
}
