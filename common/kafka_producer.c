/* Producing: messages in, one delivery report each, never waiting. A producer that librdkafka gave up is made anew. */
#include "common/kafka_private.h"

#include "common/loop.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/str.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS_MAX     1024 /* names we produce to; they come from our own program and the connector list */
#define TOPIC_SLOTS    2048 /* power of two, twice TOPICS_MAX */
#define PURGE_MS       100  /* one wait for purged messages to come back */
#define PURGE_WAITS    50
#define WRITABLE_BELOW 50000 /* half of queue.buffering.max.messages */

/* What a message carries through librdkafka. */
struct delivery {
    gs_delivered_fn fn;
    void *arg;
};

struct gs_producer {
    uv_loop_t *loop;
    char *client_id;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct gs_kafka_wake *wake;
    struct gs_timer *timer;
    rd_kafka_topic_t *topics[TOPIC_SLOTS]; /* open addressing by name */
    size_t n_topics, pending;
    void (*writable)(void *arg);
    void *writable_arg;
    bool wanted;          /* a send found no room */
    bool broken;          /* fatal error of the idempotent producer; remade on the next tick */
    atomic_bool answered; /* since all brokers were down; written by librdkafka's threads */
    struct gs_metric *sent, *failed;
};

/* ---- is there a broker? ---- */

/* Runs on: librdkafka's broker threads. */
static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int fd, const char *broker, int32_t id, int16_t key,
                                       int16_t version, int32_t correlation, size_t size, int64_t rtt,
                                       rd_kafka_resp_err_t rc, void *arg)
{
    struct gs_producer *p = arg;

    (void)rk, (void)fd, (void)broker, (void)id, (void)key, (void)version, (void)correlation, (void)size, (void)rtt;
    if (rc == RD_KAFKA_RESP_ERR_NO_ERROR)
        atomic_store_explicit(&p->answered, true, memory_order_relaxed);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *arg, char *text, size_t size)
{
    (void)conf, (void)text, (void)size;
    return rd_kafka_interceptor_add_on_response_received(rk, "goalsync", on_response, arg);
}

/* ---- reports ---- */

static enum gs_rc rc_of(rd_kafka_resp_err_t e)
{
    switch (e) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return GS_OK;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return GS_REJECT;
    default:
        return GS_RETRY;
    }
}

static void report(struct gs_producer *p, const rd_kafka_message_t *m)
{
    struct delivery d = *(struct delivery *)m->_private;
    enum gs_rc rc = rc_of(m->err);

    free(m->_private);
    p->pending--;
    if (rc != GS_OK)
        gs_metric_add(p->failed, 1);
    d.fn(d.arg, rc, rc == GS_OK ? "" : rd_kafka_err2str(m->err));
}

static void on_error(struct gs_producer *p, rd_kafka_event_t *ev)
{
    rd_kafka_resp_err_t e = rd_kafka_event_error(ev);
    char clean[GS_KAFKA_ERR_TEXT];
    const char *text = rd_kafka_event_error_string(ev);

    gs_str_clean(clean, sizeof clean, text, strlen(text));
    if (e == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        atomic_store_explicit(&p->answered, false, memory_order_relaxed);
    if (e == RD_KAFKA_RESP_ERR__FATAL)
        p->broken = true;
    gs_log_warn(&gs_kafka_log, p->broken ? "producer broken, making a new one" : "producer", "error=\"%s\"", clean);
}

static void on_event(void *arg, rd_kafka_event_t *ev)
{
    struct gs_producer *p = arg;
    const rd_kafka_message_t *m = NULL;

    if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR) {
        for (m = rd_kafka_event_message_next(ev); m; m = rd_kafka_event_message_next(ev))
            report(p, m);
    } else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR) {
        on_error(p, ev);
    }
}

static void on_wake(void *arg)
{
    struct gs_producer *p = arg;

    gs_kafka_events(p->queue, p->wake, on_event, p);
    if (p->wanted && p->pending < WRITABLE_BELOW) {
        p->wanted = false;
        if (p->writable)
            p->writable(p->writable_arg);
    }
}

/* ---- life ---- */

static enum gs_rc open_client(struct gs_producer *p, struct gs_err *err)
{
    rd_kafka_conf_t *conf = gs_kafka_conf_of(GS_KAFKA_PRODUCER, p->client_id, err);

    if (!conf)
        return GS_REJECT;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    rd_kafka_conf_interceptor_add_on_new(conf, "goalsync", on_new, p);
    p->rk = gs_kafka_client_new(GS_KAFKA_PRODUCER, conf, err);
    if (!p->rk)
        return GS_REJECT;
    p->queue = rd_kafka_queue_get_main(p->rk);
    rd_kafka_set_log_queue(p->rk, p->queue);
    p->wake = gs_kafka_wake_new(p->loop, p->queue, on_wake, p);
    p->broken = false;
    return GS_OK;
}

static void close_client(struct gs_producer *p)
{
    if (!p->rk)
        return;
    rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (int i = 0; i < PURGE_WAITS && p->pending > 0; i++) {
        rd_kafka_event_t *ev = rd_kafka_queue_poll(p->queue, PURGE_MS);
        if (ev)
            on_event(p, ev);
        rd_kafka_event_destroy(ev);
    }
    p->wake = gs_kafka_wake_free(p->wake);
    for (size_t i = 0; i < TOPIC_SLOTS; i++) {
        if (p->topics[i])
            rd_kafka_topic_destroy(p->topics[i]);
        p->topics[i] = NULL;
    }
    p->n_topics = 0;
    rd_kafka_queue_destroy(p->queue);
    rd_kafka_destroy(p->rk);
    p->rk = NULL;
}

static void on_tick(void *arg)
{
    struct gs_producer *p = arg;
    struct gs_err err;

    if (p->broken || !p->rk) {
        atomic_store_explicit(&p->answered, false, memory_order_relaxed);
        close_client(p);
        if (open_client(p, &err) != GS_OK)
            gs_log_error(&gs_kafka_log, "no new producer", "error=\"%s\"", err.text);
        return;
    }
    on_wake(p);
}

struct gs_producer *gs_producer_new(uv_loop_t *loop, const char *client_id, struct gs_err *err)
{
    struct gs_producer *p = gs_alloc(sizeof *p);

    p->loop = loop;
    p->client_id = gs_strdup(client_id);
    p->sent = gs_counter("goalsync_kafka_sent_total", NULL, "Messages handed to the Kafka client.");
    p->failed = gs_counter("goalsync_kafka_failed_total", NULL, "Messages the brokers did not take.");
    if (open_client(p, err) != GS_OK)
        return gs_producer_free(p);
    p->timer = gs_timer_new(loop, on_tick, p);
    gs_timer_start(p->timer, GS_KAFKA_TICK_US, GS_KAFKA_TICK_US);
    return p;
}

struct gs_producer *gs_producer_free(struct gs_producer *p)
{
    if (!p)
        return NULL;
    p->timer = gs_timer_free(p->timer);
    close_client(p);
    free(p->client_id);
    free(p);
    return NULL;
}

/* ---- sending ---- */

/* null with *ret_err set when librdkafka refuses the name, or there are too many. */
static rd_kafka_topic_t *topic_of(struct gs_producer *p, const char *name, rd_kafka_resp_err_t *ret_err)
{
    size_t at = gs_hash64(name, strlen(name), 0) % TOPIC_SLOTS;

    for (; p->topics[at]; at = (at + 1) % TOPIC_SLOTS)
        if (strcmp(rd_kafka_topic_name(p->topics[at]), name) == 0)
            return p->topics[at];
    *ret_err = RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
    if (p->n_topics == TOPICS_MAX)
        return NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(p->rk, name, NULL);
    if (!topic) {
        *ret_err = rd_kafka_last_error();
        return NULL;
    }
    p->n_topics++;
    return p->topics[at] = topic;
}

static rd_kafka_resp_err_t produce(struct gs_producer *p, const struct gs_kafka_out *out, struct delivery *d)
{
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_t *topic = topic_of(p, out->topic, &e);
    rd_kafka_vu_t vu[6];
    size_t n = 0;

    if (!topic)
        return e;
    vu[n].vtype = RD_KAFKA_VTYPE_RKT;
    vu[n++].u.rkt = topic;
    vu[n].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    vu[n++].u.i = RD_KAFKA_MSG_F_COPY;
    /* librdkafka copies both; its interface lacks the const. */
    vu[n].vtype = RD_KAFKA_VTYPE_VALUE;
    vu[n].u.mem.ptr = (void *)(uintptr_t)out->value;
    vu[n++].u.mem.size = out->len;
    vu[n].vtype = RD_KAFKA_VTYPE_KEY;
    vu[n].u.mem.ptr = (void *)(uintptr_t)out->key;
    vu[n++].u.mem.size = out->key_len;
    vu[n].vtype = RD_KAFKA_VTYPE_OPAQUE;
    vu[n++].u.ptr = d;
    if (out->headers) {
        vu[n].vtype = RD_KAFKA_VTYPE_HEADERS;
        vu[n++].u.headers = out->headers;
    }
    rd_kafka_error_t *error = rd_kafka_produceva(p->rk, vu, n);
    e = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_error_destroy(error);
    return e;
}

enum gs_rc gs_producer_send_raw(struct gs_producer *p, const struct gs_kafka_out *out, gs_delivered_fn delivered,
                                void *arg, struct gs_err *err)
{
    struct delivery *d = gs_alloc(sizeof *d);
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR__STATE;

    *d = (struct delivery){delivered, arg};
    if (p->rk && !p->broken)
        e = produce(p, out, d);
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR) {
        p->pending++;
        gs_metric_add(p->sent, 1);
        return GS_OK;
    }
    free(d);
    if (out->headers)
        rd_kafka_headers_destroy(out->headers);
    if (e == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        p->wanted = true;
        return gs_fail(err, GS_AGAIN, "the queue to Kafka is full");
    }
    return gs_fail(err, rc_of(e), "message for topic %s: %s", out->topic, rd_kafka_err2str(e));
}

enum gs_rc gs_producer_send(struct gs_producer *p, const struct gs_record *r, gs_delivered_fn delivered, void *arg,
                            struct gs_err *err)
{
    const struct gs_kafka_out out = {.topic = r->topic,
                                     .key = r->key,
                                     .key_len = r->key_len,
                                     .value = r->value,
                                     .len = r->len,
                                     .headers = gs_event_headers(&r->event)};

    return gs_producer_send_raw(p, &out, delivered, arg, err);
}

void gs_producer_on_writable(struct gs_producer *p, void (*fn)(void *arg), void *arg)
{
    p->writable = fn;
    p->writable_arg = arg;
}

size_t gs_producer_pending(const struct gs_producer *p)
{
    return p->pending;
}

bool gs_producer_connected(const struct gs_producer *p)
{
    return p->rk && !p->broken && atomic_load_explicit(&p->answered, memory_order_relaxed);
}
