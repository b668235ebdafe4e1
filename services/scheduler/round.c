/* The transaction of the scheduler: claim, produce, wait for the brokers, commit. */
#include "services/scheduler/round.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ACKS_TIMEOUT_US  30000000 /* row locks are held while we wait for the brokers */
#define REFUSED_AGAIN_US 60000000 /* a batch no broker takes (no such topic) is tried again then */

static const struct gs_log_ctx log_ctx = {.topic = "scheduler"};

static const struct gs_pg_stmt begin = {NULL, "BEGIN"};
static const struct gs_pg_stmt commit = {NULL, "COMMIT"};
static const struct gs_pg_stmt rollback = {NULL, "ROLLBACK"};
static const struct gs_pg_stmt refuse = {
    NULL, "UPDATE link_batch SET next_due_at = now() + $2 * interval '1 microsecond' WHERE id = ANY($1)"};

/* Messages on their way. Outlives its round when that gave up waiting: each message is reported once, some day. */
struct flight {
    struct sched_round *round; /* null: nobody waits any more */
    size_t open, n;
    bool sending, retry;
    struct flight_item {
        struct flight *flight;
        int64_t batch_id;
        bool refused;
    } items[];
};

struct sched_round {
    struct sched_round_spec spec;
    struct sched_wire *wire;
    struct gs_timer *timer;
    struct flight *flight;
    int rows;
    enum { IDLE, RUNNING, UNDOING } state;
    char error[400]; /* of the first message that failed */
    struct gs_metric *claimed, *produced, *skipped, *refused, *undone, *late;
};

/* ---- ends ---- */

static void end(struct sched_round *r, int rows)
{
    gs_timer_stop(r->timer);
    r->state = IDLE;
    gs_metric_add(rows < 0 ? r->undone : r->claimed, rows < 0 ? 1 : rows);
    r->spec.done(r->spec.arg, rows);
}

static void ignore(void *arg, const struct gs_pg_result *res)
{
    (void)arg, (void)res;
}

/* Answers come in order: with this one all others of the transaction have come, too. */
static void on_rollback(void *arg, const struct gs_pg_result *res)
{
    (void)res; /* where it failed the connection is gone, and the transaction as well */
    end(arg, -1);
}

static void undo(struct sched_round *r, const char *why)
{
    gs_log_warn(&log_ctx, "claim undone", "kind=%s rows=%d error=\"%s\"", r->spec.kind == SCHED_DUE ? "due" : "sync",
                r->rows, why);
    if (r->flight)
        r->flight->round = NULL;
    r->flight = NULL;
    r->state = UNDOING;
    gs_pg_query(r->spec.pg, &rollback, NULL, on_rollback, r);
}

static void on_commit(void *arg, const struct gs_pg_result *res)
{
    struct sched_round *r = arg;

    if (r->state != RUNNING)
        return;
    if (gs_pg_rc(res) == GS_OK)
        end(r, r->rows);
    else
        undo(r, gs_pg_result_error(res));
}

static void on_refused(void *arg, const struct gs_pg_result *res)
{
    struct sched_round *r = arg;

    if (r->state != RUNNING)
        return;
    if (gs_pg_rc(res) != GS_OK)
        undo(r, gs_pg_result_error(res));
    else
        gs_pg_query(r->spec.pg, &commit, NULL, on_commit, r);
}

/* The others must not wait for a batch whose message nobody takes. */
static bool put_off_refused(struct sched_round *r)
{
    struct gs_pg_params *params = gs_pg_params_new();
    size_t refused = 0;
    int64_t last = 0;

    gs_pg_array_begin(params, GS_PG_INT8);
    for (size_t i = 0; i < r->flight->n; i++) {
        if (!r->flight->items[i].refused)
            continue;
        last = r->flight->items[i].batch_id;
        gs_pg_item_int8(params, last);
        refused++;
    }
    gs_pg_array_end(params);
    gs_pg_add_int8(params, REFUSED_AGAIN_US);
    if (refused > 0) {
        gs_metric_add(r->refused, (double)refused);
        gs_log_error(&log_ctx, "requests refused", "batches=%zu last=%" PRId64 " error=\"%s\"", refused, last,
                     r->error);
        gs_pg_query(r->spec.pg, &refuse, params, on_refused, r);
    }
    gs_pg_params_free(params);
    return refused > 0;
}

/* Every message has its report. */
static void all_reported(struct sched_round *r)
{
    if (r->flight->retry)
        undo(r, r->error);
    else if (!put_off_refused(r))
        gs_pg_query(r->spec.pg, &commit, NULL, on_commit, r);
}

/* ---- messages ---- */

static void flight_landed(struct flight *f)
{
    if (f->sending || f->open > 0)
        return;
    struct sched_round *r = f->round;
    if (r) {
        all_reported(r);
        if (r->flight == f)
            r->flight = NULL;
    }
    free(f);
}

static void note_failure(struct flight_item *item, enum gs_rc rc, const char *err)
{
    struct sched_round *r = item->flight->round;

    item->refused = rc == GS_REJECT;
    if (rc != GS_REJECT)
        item->flight->retry = true;
    if (r && !r->error[0])
        snprintf(r->error, sizeof r->error, "%s", err);
}

static void on_delivered(void *arg, enum gs_rc rc, const char *err)
{
    struct flight_item *item = arg;
    struct flight *f = item->flight;

    if (rc != GS_OK)
        note_failure(item, rc, err);
    f->open--;
    flight_landed(f);
}

static enum gs_rc send_row(struct sched_round *r, const struct gs_pg_result *res, int row, struct flight_item *item,
                           struct gs_err *err)
{
    struct sched_message m;
    char trace[GS_TRACEPARENT_TEXT];
    enum gs_rc rc = sched_wire_pack(r->wire, res, row, &m, err);

    if (rc != GS_OK)
        return rc;
    gs_traceparent_new(trace);
    const struct gs_record record = {.topic = m.topic,
                                     .key = m.key,
                                     .key_len = strlen(m.key),
                                     .value = m.value,
                                     .len = m.len,
                                     .event = {.id = m.id,
                                               .type = "goalsync.fetch.requested.v1",
                                               .source = "/goalsync/scheduler",
                                               .time_us = m.now_us,
                                               .traceparent = trace}};
    rc = gs_producer_send(r->spec.producer, &record, on_delivered, item, err);
    if (rc == GS_OK)
        gs_metric_observe(r->late, (double)(m.now_us - m.slot_us) / 1e6);
    return rc;
}

static void send_rows(struct sched_round *r, const struct gs_pg_result *res)
{
    struct flight *f = gs_alloc(sizeof *f + (size_t)r->rows * sizeof f->items[0]);

    *f = (struct flight){.round = r, .sending = true};
    r->flight = f;
    for (int row = 0; row < r->rows && !f->retry; row++) {
        struct flight_item *item = &f->items[f->n];
        struct gs_err err = {0};
        *item = (struct flight_item){.flight = f, .batch_id = gs_pg_get_int8(res, row, SCHED_BATCH_ID)};
        enum gs_rc rc = send_row(r, res, row, item, &err);
        if (rc == GS_GONE) {
            gs_metric_add(r->skipped, 1);
            continue;
        }
        f->n++;
        if (rc == GS_OK)
            f->open++;
        else
            note_failure(item, rc, err.text);
    }
    gs_metric_add(r->produced, (double)f->open);
    f->sending = false;
    flight_landed(f);
}

static void on_claim(void *arg, const struct gs_pg_result *res)
{
    struct sched_round *r = arg;

    if (r->state != RUNNING)
        return;
    if (gs_pg_rc(res) != GS_OK) {
        undo(r, gs_pg_result_error(res));
        return;
    }
    r->rows = gs_pg_rows(res);
    gs_timer_start(r->timer, ACKS_TIMEOUT_US, 0);
    send_rows(r, res);
}

static void on_timeout(void *arg)
{
    struct sched_round *r = arg;

    if (r->state == RUNNING)
        undo(r, "the brokers did not answer in time");
}

/* ---- life ---- */

void sched_round_prepare(struct gs_pg *pg)
{
    static const struct gs_pg_stmt by_index = {NULL, "SET enable_seqscan = off"};

    gs_pg_query(pg, &by_index, NULL, ignore, NULL);
}

void sched_round_start(struct sched_round *r)
{
    assert(r->state == IDLE);
    r->state = RUNNING;
    r->rows = 0;
    r->error[0] = '\0';
    gs_pg_query(r->spec.pg, &begin, NULL, ignore, NULL);
    gs_pg_query(r->spec.pg, r->spec.claim, r->spec.params, on_claim, r);
}

bool sched_round_runs(const struct sched_round *r)
{
    return r->state != IDLE;
}

void sched_round_lost(struct sched_round *r)
{
    if (r->state == RUNNING)
        undo(r, "the database's connection was lost");
}

static struct gs_metric *counter(const struct sched_round *r, const char *name, const char *help)
{
    return gs_counter(name, r->spec.kind == SCHED_DUE ? "kind=\"due\"" : "kind=\"sync\"", help);
}

struct sched_round *sched_round_new(const struct sched_round_spec *spec)
{
    struct sched_round *r = gs_alloc(sizeof *r);

    r->spec = *spec;
    r->wire = sched_wire_new(spec->kind, spec->period_us);
    r->timer = gs_timer_new(spec->loop, on_timeout, r);
    r->claimed = counter(r, "goalsync_scheduler_claimed_total", "Batches claimed and committed.");
    r->produced = counter(r, "goalsync_scheduler_requests_total", "Requests handed to Kafka.");
    r->skipped = counter(r, "goalsync_scheduler_skipped_total", "Batches that were due but paused or empty.");
    r->refused = counter(r, "goalsync_scheduler_refused_total", "Requests no broker takes.");
    r->undone = counter(r, "goalsync_scheduler_undone_total", "Claims undone after a failure.");
    r->late = gs_histogram("goalsync_scheduler_late_seconds",
                           spec->kind == SCHED_DUE ? "kind=\"due\"" : "kind=\"sync\"", "From a slot to its request.");
    return r;
}

struct sched_round *sched_round_free(struct sched_round *r)
{
    if (!r)
        return NULL;
    if (r->flight)
        r->flight->round = NULL;
    gs_timer_free(r->timer);
    sched_wire_free(r->wire);
    free(r);
    return NULL;
}
