/* Takes up Sync now. A batch asked for many times before it is taken up is fetched once. */
#include "services/scheduler/sync_now.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/pg.h"
#include "services/scheduler/round.h"

#include <stdlib.h>

#define BATCH    1000    /* claimed in one transaction */
#define PACE_US  300000  /* between two rounds: who presses again and again is asked for once in this time */
#define POLL_US  5000000 /* without a notification, which may be lost with a connection */
#define RETRY_US 1000000

static const struct gs_log_ctx log_ctx = {.topic = "scheduler"};

struct sched_sync {
    struct gs_pg *pg;
    struct gs_timer *timer;
    struct sched_round *round;
    int64_t last_us; /* when the last round began */
    bool again;      /* asked for while a round ran */
    void (*idle)(void *arg);
    void *idle_arg;
};

static const struct gs_pg_stmt listen_stmt = {NULL, "LISTEN goalsync_sync"};

/* The slot is taken while the request's row is locked, and nobody can make another before the transaction ends: a
 * batch's slots rise with its claims. */
static const struct gs_pg_stmt claim = {
    "claim_sync", "WITH taken AS (DELETE FROM sync_request WHERE ctid = ANY(ARRAY(SELECT ctid FROM sync_request"
                  " ORDER BY requested_at LIMIT 1000 FOR UPDATE SKIP LOCKED)) RETURNING batch_id)"
                  " SELECT " SCHED_COLUMNS ", clock_timestamp() FROM taken t JOIN link_batch b ON b.id = t.batch_id"
                  " JOIN connection c ON c.id = b.connection_id"};

_Static_assert(BATCH == 1000, "the statement says so too");

static bool drained(struct sched_sync *s)
{
    if (!s->idle || sched_round_runs(s->round))
        return false;
    gs_timer_stop(s->timer);
    s->idle(s->idle_arg);
    s->idle = NULL;
    return true;
}

static void on_timer(void *arg)
{
    struct sched_sync *s = arg;

    if (!gs_pg_up(s->pg) || sched_round_runs(s->round) || s->idle)
        return;
    s->again = false;
    s->last_us = gs_mono_us();
    sched_round_start(s->round);
}

static void soon(struct sched_sync *s)
{
    int64_t wait = s->last_us + PACE_US - gs_mono_us();

    gs_timer_start(s->timer, wait > 0 ? wait : 0, 0);
}

static void on_round(void *arg, int rows)
{
    struct sched_sync *s = arg;

    if (drained(s))
        return;
    if (rows < 0)
        gs_timer_start(s->timer, RETRY_US, 0);
    else if (rows == BATCH)
        gs_timer_start(s->timer, 0, 0); /* more wait already */
    else if (rows > 0 || s->again)
        soon(s);
    else
        gs_timer_start(s->timer, POLL_US, 0);
}

static void on_notified(void *arg, const char *channel, const char *payload)
{
    struct sched_sync *s = arg;

    (void)channel, (void)payload;
    s->again = true;
    if (!sched_round_runs(s->round) && !s->idle)
        soon(s);
}

static void ignore(void *arg, const struct gs_pg_result *res)
{
    (void)arg, (void)res; /* fails with the connection only, and is made again with the next */
}

static void on_state(void *arg, bool up)
{
    struct sched_sync *s = arg;

    if (!up) {
        sched_round_lost(s->round);
        return;
    }
    gs_log_info(&log_ctx, "database up", "lane=sync");
    sched_round_prepare(s->pg);
    gs_pg_query(s->pg, &listen_stmt, NULL, ignore, NULL);
    if (!s->idle)
        gs_timer_start(s->timer, 0, 0);
}

struct sched_sync *sched_sync_new(uv_loop_t *loop, const struct sched_conf *conf, struct gs_producer *producer,
                                  struct gs_err *err)
{
    struct sched_sync *s = gs_alloc(sizeof *s);
    const struct gs_pg_conf pg = {
        .application_name = "goalsync-scheduler-sync", .state = on_state, .notified = on_notified, .arg = s};

    s->timer = gs_timer_new(loop, on_timer, s);
    s->pg = gs_pg_new(loop, &pg, err);
    if (!s->pg)
        return sched_sync_free(s);
    const struct sched_round_spec round = {.loop = loop,
                                           .pg = s->pg,
                                           .producer = producer,
                                           .kind = SCHED_SYNC_NOW,
                                           .period_us = conf->period_us,
                                           .claim = &claim,
                                           .done = on_round,
                                           .arg = s};
    s->round = sched_round_new(&round);
    return s;
}

bool sched_sync_up(const struct sched_sync *s)
{
    return gs_pg_up(s->pg);
}

void sched_sync_drain(struct sched_sync *s, void (*idle)(void *arg), void *arg)
{
    s->idle = idle;
    s->idle_arg = arg;
    drained(s);
}

struct sched_sync *sched_sync_free(struct sched_sync *s)
{
    if (!s)
        return NULL;
    s->idle = NULL;
    s->pg = gs_pg_free(s->pg); /* first: statements without an answer call back into all the rest */
    s->round = sched_round_free(s->round);
    s->timer = gs_timer_free(s->timer);
    free(s);
    return NULL;
}
