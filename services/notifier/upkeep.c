/* Upkeep in pieces: each step is short, and repeated until nothing is left. Several notifiers may do it at once. */
#include "services/notifier/upkeep.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/notifier/notifier.h"

#include <stdlib.h>

#define EVERY_US INT64_C(300000000) /* the hour's record is at most so late */
#define FIRST_US INT64_C(1000000)
#define PIECE    1000 /* rows of a step */

static const struct gs_log_ctx log_ctx = {.topic = "upkeep"};

struct notifier_upkeep {
    struct gs_pg *pg;
    struct gs_pg_params *params;
    struct gs_timer *timer;
    bool stopped;
};

static bool went_well(const struct notifier_upkeep *u, const struct gs_pg_result *r)
{
    if (u->stopped)
        return false;
    if (gs_pg_rc(r) != GS_OK)
        gs_log_warn(&log_ctx, "upkeep failed", "error=\"%s\"", gs_pg_result_error(r));
    return gs_pg_rc(r) == GS_OK;
}

/* ---- credentials used ---- */

static void record_uses(struct notifier_upkeep *u, int64_t after);

static void on_recorded(void *arg, const struct gs_pg_result *r)
{
    if (went_well(arg, r) && !gs_pg_is_null(r, 0, 0))
        record_uses(arg, gs_pg_get_int8(r, 0, 0));
}

static void record_uses(struct notifier_upkeep *u, int64_t after)
{
    static const struct gs_pg_stmt stmt = {"uses", "SELECT audit_credential_use($1, $2)"};

    gs_pg_params_clear(u->params);
    gs_pg_add_int8(u->params, after);
    gs_pg_add_int4(u->params, PIECE);
    gs_pg_query(u->pg, &stmt, u->params, on_recorded, u);
}

/* ---- what is old ---- */

static void forget(struct notifier_upkeep *u);

static void on_forgotten(void *arg, const struct gs_pg_result *r)
{
    if (went_well(arg, r) && gs_pg_affected(r) == PIECE)
        forget(arg);
}

static void forget(struct notifier_upkeep *u)
{
    static const struct gs_pg_stmt stmt = {
        "forget", "DELETE FROM webhook_delivery WHERE id = ANY (ARRAY(SELECT id FROM webhook_delivery"
                  " WHERE state <> 'due' AND created_at < now() - $1::bigint * interval '1 microsecond' LIMIT $2))"};

    gs_pg_params_clear(u->params);
    gs_pg_add_int8(u->params, notifier_settings.keep_us);
    gs_pg_add_int8(u->params, PIECE);
    gs_pg_query(u->pg, &stmt, u->params, on_forgotten, u);
}

static void on_expired(void *arg, const struct gs_pg_result *r)
{
    (void)went_well(arg, r);
}

static void on_timer(void *arg)
{
    static const struct gs_pg_stmt expired = {"expired", "DELETE FROM webhook_secret WHERE expires_at < now()"};
    struct notifier_upkeep *u = arg;

    if (!gs_pg_up(u->pg) || gs_pg_pending(u->pg) > 0)
        return;
    record_uses(u, 0);
    forget(u);
    gs_pg_query(u->pg, &expired, NULL, on_expired, u);
}

struct notifier_upkeep *notifier_upkeep_new(uv_loop_t *loop, struct gs_pg *pg)
{
    struct notifier_upkeep *u = gs_alloc(sizeof *u);

    u->pg = pg;
    u->params = gs_pg_params_new();
    u->timer = gs_timer_new(loop, on_timer, u);
    gs_timer_start(u->timer, FIRST_US, EVERY_US);
    return u;
}

void notifier_upkeep_stop(struct notifier_upkeep *u)
{
    u->stopped = true;
    u->timer = gs_timer_free(u->timer);
}

struct notifier_upkeep *notifier_upkeep_free(struct notifier_upkeep *u)
{
    if (!u)
        return NULL;
    gs_pg_params_free(u->params);
    free(u);
    return NULL;
}
