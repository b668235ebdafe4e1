/* Answers and dead letters on their way to Kafka: given again until acknowledged, and only then is the offset done. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "services/fetch/request.h"

#define RESEND_US       INT64_C(1000000) /* after Kafka refused or lost something */
#define PACE_US         INT64_C(100000)  /* between two times answers are handed over in a stream of them */
#define ERROR_MAX       300
#define DEAD_LETTER_MAX (900 * 1000) /* bytes; Kafka may refuse a longer message once it has our headers too */

static const struct gs_log_ctx log_ctx = {.topic = "fetch"};

static void give(struct fetch_request *q);

static void done(struct fetch_request *q)
{
    struct fetch_worker *w = q->w;
    int64_t next;

    if (gs_offsets_end(w->offsets, q->lane->topic, q->partition, q->offset, q->generation, &next))
        gs_consumer_store(w->consumer, q->lane->topic, q->partition, next);
    fetch_request_free(q);
    fetch_lanes_pump(w);
    fetch_worker_finished(w);
}

static void give_later(struct fetch_request *q, const char *why)
{
    struct fetch_worker *w = q->w;
    char error[ERROR_MAX];

    if (!w->unsent.n) {
        gs_log_warn(&log_ctx, "results wait for kafka", "error=\"%s\"",
                    gs_str_clean(error, sizeof error, why, strlen(why)));
        gs_timer_start(w->resend_timer, RESEND_US, 0);
    }
    fetch_list_move(q, &w->unsent);
}

static void delivered(void *arg, enum gs_rc rc, const char *err)
{
    struct fetch_request *q = arg;

    if (q->w->stopping)
        fetch_request_free(q);
    else if (rc == GS_OK)
        done(q);
    else
        give_later(q, err);
}

static enum gs_rc give_answer(struct fetch_request *q, struct gs_err *err)
{
    bool preview = q->order.kind == FETCH_PREVIEW;
    const char *key = preview ? q->order.request_id : q->batch_key;
    const struct gs_record r = {
        .topic = preview ? FETCH_TOPIC_ANSWERED : FETCH_TOPIC_COMPLETED,
        .key = key,
        .key_len = strlen(key),
        .value = q->packed,
        .len = q->packed_len,
        .event = {.id = q->order.request_id,
                  .type = preview ? "goalsync.fetch.answered.v1" : "goalsync.fetch.completed.v1",
                  .source = q->w->source,
                  .time_us = gs_now_us(),
                  .traceparent = q->traceparent},
    };

    return gs_producer_send(q->w->producer, &r, delivered, q, err);
}

static enum gs_rc give_dead_letter(struct fetch_request *q, struct gs_err *err)
{
    return gs_dead_letter_send(q->w->producer, q->w->group, q->dead, "undecodable", q->dead_error, 1, delivered, q,
                               err);
}

static void give(struct fetch_request *q)
{
    struct gs_err err = {.text = "kafka's queue is full"};
    enum gs_rc rc = q->dead ? give_dead_letter(q, &err) : give_answer(q, &err);

    if (rc == GS_OK)
        fetch_list_move(q, &q->w->sending);
    else
        give_later(q, err.text);
}

/* ---- taking turns ---- */

void fetch_send_held(void *worker)
{
    struct fetch_worker *w = worker;

    w->handed_us = gs_mono_us();
    for (size_t n = w->held.n; n; n--)
        give(w->held.first);
}

/* What a batch costs us, the brokers and the next reader costs the same for one message as for a hundred. So in a
 * stream answers leave in turns; one that comes alone leaves at once. */
static void hold(struct fetch_request *q)
{
    struct fetch_worker *w = q->w;
    int64_t left = w->handed_us + PACE_US - gs_mono_us();
    bool full = w->held.n + 1 == (size_t)fetch_config.window;

    fetch_list_move(q, &w->held);
    if (full || w->held.n == 1)
        gs_timer_start(w->held_timer, full || left < 0 ? 0 : left, 0);
}

void fetch_send(struct fetch_request *q, const struct fetch_answer *answer)
{
    q->packed = fetch_wire_encode(&q->arena, answer, &q->packed_len);
    snprintf(q->batch_key, sizeof q->batch_key, "%lld", (long long)q->order.batch_id);
    hold(q);
}

void fetch_send_dead_letter(struct fetch_request *q, rd_kafka_message_t *m, const char *error)
{
    gs_metric_add(q->w->dead_letters, 1);
    if (m->len > DEAD_LETTER_MAX) {
        gs_log_error(&log_ctx, "message passed over", "topic=%s partition=%d offset=%lld bytes=%zu error=\"%s\"",
                     q->lane->topic, (int)q->partition, (long long)q->offset, m->len, error);
        rd_kafka_message_destroy(m);
        done(q);
        return;
    }
    q->dead = m;
    q->dead_error = gs_arena_strndup(&q->arena, error, strlen(error));
    gs_log_warn(&log_ctx, "message put aside", "topic=%s partition=%d offset=%lld error=\"%s\"", q->lane->topic,
                (int)q->partition, (long long)q->offset, error);
    give(q);
}

void fetch_send_unsent(void *worker)
{
    struct fetch_worker *w = worker;

    /* Each at most once: what is refused again joins the end. */
    for (size_t n = w->unsent.n; n && w->unsent.first; n--) {
        struct fetch_request *q = w->unsent.first;

        fetch_list_move(q, NULL);
        give(q);
        if (q->list == &w->unsent)
            break;
    }
    if (w->unsent.n)
        gs_timer_start(w->resend_timer, RESEND_US, 0);
}
