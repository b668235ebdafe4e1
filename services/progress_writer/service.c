/* The process: settings, connections, and the way in and out. */
#include "services/progress_writer/writer_private.h"

#include "common/log.h"
#include "common/mem.h"
#include "services/progress_writer/count.h"

#include <stdlib.h>

#define IDLE_IN_TRANSACTION "30s" /* a stopped process must not hold a partition's row for ever */

struct writer_settings writer_settings;
const struct gs_env writer_env[] = {
    {"GOALSYNC_WRITER_BATCH", GS_ENV_INT, &writer_settings.batch, "1000", 1, WRITER_BATCH_MAX,
     "messages applied in one transaction"},
    {"GOALSYNC_WRITER_WAIT", GS_ENV_SECONDS, &writer_settings.wait_us, "200ms", 0, 10,
     "least time from one transaction to the next; a full one does not wait"},
    {"GOALSYNC_PERIOD", GS_ENV_SECONDS, &writer_settings.period_us, "1h", 1, 604800,
     "time between two slots of a link"},
    GS_ENV_END,
};

/* ---- Kafka ---- */

static void on_lane(void *arg, struct gs_lane *lane)
{
    struct writer *w = arg;
    w->intake.lane = lane;
    w->intake.more = true;
    writer_proceed(w);
}

static void on_lane_closed(void *arg, struct gs_lane *lane)
{
    struct writer *w = arg;
    if (w->intake.lane == lane)
        w->intake.lane = NULL;
}

static void on_assigned(void *arg, struct gs_assignment *a)
{
    writer_assign_ask(((struct writer *)arg)->assign, a);
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    (void)topic;
    (void)lost;
    writer_positions_revoke(((struct writer *)arg)->positions, partition);
}

static void on_failed(void *arg, const struct gs_err *err)
{
    gs_service_fail(((struct writer *)arg)->svc, err);
}

/* ---- PostgreSQL ---- */

static void on_main_state(void *arg, bool up)
{
    static const struct gs_pg_stmt guard = {NULL,
                                            "SET idle_in_transaction_session_timeout = '" IDLE_IN_TRANSACTION "'"};
    /* Everything is found by id. Plans for the arrays at hand would be made again and again, and those made while the
     * tables were small would scan them when they are not. */
    static const struct gs_pg_stmt by_index = {NULL, "SET enable_seqscan = off"};
    static const struct gs_pg_stmt plan_once = {NULL, "SET plan_cache_mode = force_generic_plan"};
    struct writer *w = arg;
    writer_txn_session_changed(w->txn);
    if (!up)
        return;
    gs_pg_query(w->pg, &guard, NULL, NULL, NULL);
    gs_pg_query(w->pg, &by_index, NULL, NULL, NULL);
    gs_pg_query(w->pg, &plan_once, NULL, NULL, NULL);
    gs_timer_start(w->timer, 0, 0);
}

static void on_relay_state(void *arg, bool up)
{
    writer_relay_state(((struct writer *)arg)->relay, up);
}

static void on_notified(void *arg, const char *channel, const char *payload)
{
    (void)channel;
    (void)payload;
    writer_relay_kick(((struct writer *)arg)->relay);
}

static void on_day_state(void *arg, bool up)
{
    writer_day_state(((struct writer *)arg)->day, up);
}

static void on_day_notified(void *arg, const char *channel, const char *payload)
{
    (void)channel;
    (void)payload;
    writer_day_kick(((struct writer *)arg)->day);
}

static bool day_may_run(void *arg)
{
    return writer_relay_active(((struct writer *)arg)->relay);
}

static void day_published(void *arg)
{
    writer_relay_kick(((struct writer *)arg)->relay);
}

/* ---- the way in ---- */

static struct gs_pg *connect_one(struct writer *w, struct gs_pg_conf conf, struct gs_err *err)
{
    conf.arg = w;
    return gs_pg_new(w->loop, &conf, err);
}

/* Each part first, then its connection: a connection tells its part as soon as it is up. */
static bool connect_all(struct writer *w, struct gs_err *err)
{
    const struct writer_day_spec day = {.may_run = day_may_run, .published = day_published, .arg = w};
    struct writer_txn_spec batch = writer_batch_spec;
    batch.arg = w;
    const struct gs_pg_conf main_pg = {.application_name = "goalsync-progress-writer", .state = on_main_state};
    const struct gs_pg_conf relay_pg = {
        .application_name = "goalsync-progress-writer relay", .state = on_relay_state, .notified = on_notified};
    const struct gs_pg_conf day_pg = {
        .application_name = "goalsync-progress-writer day", .state = on_day_state, .notified = on_day_notified};
    w->pg = connect_one(w, main_pg, err);
    w->relay_pg = w->pg ? connect_one(w, relay_pg, err) : NULL;
    w->day_pg = w->relay_pg ? connect_one(w, day_pg, err) : NULL;
    if (!w->day_pg)
        return false;
    w->txn = writer_txn_new(w->pg, &batch);
    w->relay = writer_relay_new(w->loop, w->producer);
    writer_relay_connect(w->relay, w->relay_pg);
    w->day = writer_day_new(w->loop, &day);
    writer_day_connect(w->day, w->day_pg);
    w->positions = writer_positions_new(WRITER_GROUP);
    w->assign = writer_assign_new(w->loop, w->relay_pg, w->positions, WRITER_GROUP);
    w->letters = writer_letters_new(w->loop, w->producer, &w->pending, writer_proceed, w);
    w->intake = (struct writer_intake){.pending = &w->pending, .positions = w->positions, .letters = w->letters};
    return true;
}

static bool subscribe(struct writer *w, struct gs_err *err)
{
    static const char *const topics[] = {WRITER_TOPIC, NULL};
    const struct gs_consumer_spec spec = {
        .group = WRITER_GROUP,
        .client_id = gs_service_instance(w->svc),
        .topics = topics,
        .lane_ready = on_lane,
        .lane_closed = on_lane_closed,
        .assigned = on_assigned,
        .revoked = on_revoked,
        .failed = on_failed,
        .arg = w,
    };
    w->consumer = gs_consumer_new(w->loop, &spec, err);
    return w->consumer != NULL;
}

void *writer_start(struct gs_service *svc, struct gs_err *err)
{
    struct writer *w = gs_alloc(sizeof *w);
    w->svc = svc;
    w->loop = gs_service_loop(svc);
    w->backoff = (struct gs_backoff){.min_us = 5000, .max_us = 2000000};
    writer_count_init();
    writer_pending_init(&w->pending);
    writer_work_init(&w->work);
    w->work.period_us = writer_settings.period_us;
    w->timer = gs_timer_new(w->loop, writer_proceed, w);
    w->producer = gs_producer_new(w->loop, gs_service_instance(svc), err);
    if (!w->producer || !connect_all(w, err) || !subscribe(w, err)) {
        writer_stop(w);
        return NULL;
    }
    return w;
}

/* ---- the way out ---- */

void writer_ready(void *app, struct gs_buf *reasons)
{
    const struct writer *w = app;
    if (!gs_pg_up(w->pg))
        gs_buf_printf(reasons, "no connection to the database: %s\n", gs_pg_error(w->pg));
    if (w->broken[0])
        gs_buf_printf(reasons, "the database refuses the writer: %s\n", w->broken);
    if (!w->consumer || !gs_consumer_assigned(w->consumer))
        gs_buf_puts(reasons, "not yet a member of the group " WRITER_GROUP "\n");
    else if (!writer_assign_settled(w->assign))
        gs_buf_puts(reasons, "the offsets of newly assigned partitions are not read yet\n");
}

void writer_drain(void *app)
{
    struct writer *w = app;
    w->draining = true;
    gs_consumer_stop(w->consumer);
    if (!writer_txn_running(w->txn))
        writer_leave(w);
}

/* Runs when the consumer is gone: until then it tells of revocations. */
static void dispose(void *arg)
{
    struct writer *w = arg;
    writer_positions_free(w->positions);
    free(w);
}

/* Stops what calls others, then connections and producer, whose last answers still find everything in place. */
void writer_stop(void *app)
{
    struct writer *w = app;
    w->draining = w->stopping = true;
    if (w->relay) {
        writer_relay_stop(w->relay);
        writer_day_stop(w->day);
        writer_assign_stop(w->assign);
    }
    w->producer = gs_producer_free(w->producer);
    w->pg = gs_pg_free(w->pg);
    w->relay_pg = gs_pg_free(w->relay_pg);
    w->day_pg = gs_pg_free(w->day_pg);
    w->txn = writer_txn_free(w->txn);
    w->relay = writer_relay_free(w->relay);
    w->assign = writer_assign_free(w->assign);
    w->day = writer_day_free(w->day);
    w->letters = writer_letters_free(w->letters);
    writer_pending_done(&w->pending);
    writer_work_done(&w->work);
    w->timer = gs_timer_free(w->timer);
    if (w->consumer)
        gs_consumer_close(w->consumer, dispose, w);
    else
        dispose(w);
}
