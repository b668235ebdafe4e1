/* Consuming: group membership, assignment, stored offsets, the way out. Messages are the lanes' business. */
#include "common/kafka_private.h"

#include "common/clock.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LANES_MAX        1024     /* topics of one consumer */
#define CLOSE_TIMEOUT_US 10000000 /* for the last commit and leaving the group */
#define NO_OFFSET        RD_KAFKA_OFFSET_STORED

typedef rd_kafka_topic_partition_list_t part_list;

struct gs_assignment {
    struct gs_consumer *consumer; /* null: the partitions are lost already, done() only frees */
    part_list *list;
};

struct gs_consumer {
    uv_loop_t *loop;
    struct gs_consumer_spec spec; /* group, client_id and topics are not kept */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* rebalance, errors, commits */
    struct gs_kafka_wake *wake;
    struct gs_timer *timer;
    struct gs_lane **lanes;
    size_t n_lanes;
    struct gs_lane *last;             /* the lane looked up last */
    struct gs_assignment *assignment; /* with the owner */
    bool joined, stopped, failed, closing, closed;
    int64_t close_deadline_us;
    void (*done)(void *arg);
    void *done_arg;
    uv_work_t destroy;
};

/* ---- lanes ---- */

static struct gs_lane *find_lane(struct gs_consumer *c, const char *topic)
{
    if (c->last && strcmp(c->last->topic, topic) == 0)
        return c->last;
    for (size_t i = 0; i < c->n_lanes; i++)
        if (strcmp(c->lanes[i]->topic, topic) == 0)
            return c->last = c->lanes[i];
    return NULL;
}

static struct gs_lane *need_lane(struct gs_consumer *c, const char *topic)
{
    struct gs_lane *l = find_lane(c, topic);

    if (l || c->n_lanes == LANES_MAX)
        return l;
    c->lanes = gs_realloc_n(c->lanes, c->n_lanes + 1, sizeof(struct gs_lane *));
    return c->lanes[c->n_lanes++] = gs_lane_new(c, c->loop, c->rk, topic);
}

static void drop_empty_lanes(struct gs_consumer *c)
{
    size_t kept = 0;

    c->last = NULL;
    for (size_t i = 0; i < c->n_lanes; i++) {
        struct gs_lane *l = c->lanes[i];
        if (l->held > 0) {
            c->lanes[kept++] = l;
            continue;
        }
        if (c->spec.lane_closed)
            c->spec.lane_closed(c->spec.arg, l);
        gs_lane_free(l);
    }
    c->n_lanes = kept;
}

bool gs_consumer_stopped(const struct gs_consumer *c)
{
    return c->stopped;
}

void gs_consumer_lane_ready(struct gs_consumer *c, struct gs_lane *l)
{
    if (!c->stopped)
        c->spec.lane_ready(c->spec.arg, l);
}

/* ---- offsets ---- */

void gs_consumer_store(struct gs_consumer *c, const char *topic, int32_t partition, int64_t next_offset)
{
    struct gs_lane *l = find_lane(c, topic);
    struct gs_lane_part *part = l ? gs_lane_part(l, partition) : NULL;

    if (!part)
        return;
    part->stored = next_offset;
    part->dirty = true;
}

/* librdkafka commits what it was handed every two seconds, and before a partition goes. */
static void flush_stored(struct gs_consumer *c)
{
    part_list *list = rd_kafka_topic_partition_list_new(16);

    for (size_t i = 0; i < c->n_lanes; i++)
        gs_lane_collect(c->lanes[i], list);
    if (list->cnt > 0)
        rd_kafka_offsets_store(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void gs_consumer_seek(struct gs_consumer *c, const char *topic, int32_t partition, int64_t offset)
{
    struct gs_lane *l = find_lane(c, topic);

    if (!l || !gs_lane_part(l, partition))
        return;
    part_list *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    /* Without waiting: what was prefetched is outdated from here on. */
    rd_kafka_error_destroy(rd_kafka_seek_partitions(c->rk, list, 0));
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- assignment ---- */

static bool cooperative(const struct gs_consumer *c)
{
    const char *protocol = rd_kafka_rebalance_protocol(c->rk);

    return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

static void log_refused(const char *what, rd_kafka_error_t *error)
{
    if (error)
        gs_log_warn(&gs_kafka_log, what, "error=\"%s\"", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

static void assign(struct gs_consumer *c, const part_list *list)
{
    if (cooperative(c))
        log_refused("assignment refused", rd_kafka_incremental_assign(c->rk, list));
    else
        rd_kafka_assign(c->rk, list);
}

static void unassign(struct gs_consumer *c, const part_list *list)
{
    if (cooperative(c))
        log_refused("revocation refused", rd_kafka_incremental_unassign(c->rk, list));
    else
        rd_kafka_assign(c->rk, NULL);
}

static struct gs_assignment *free_assignment(struct gs_assignment *a)
{
    rd_kafka_topic_partition_list_destroy(a->list);
    free(a);
    return NULL;
}

/* Partitions beyond our ceilings are left out: nobody reads them, and the log says so. */
static void hold_all(struct gs_consumer *c, part_list *list)
{
    for (int i = list->cnt - 1; i >= 0; i--) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        struct gs_lane *l = p->partition < GS_KAFKA_PARTITIONS_MAX ? need_lane(c, p->topic) : NULL;
        if (l) {
            gs_lane_hold(l, c->rk, p->partition);
            continue;
        }
        gs_log_error(&gs_kafka_log, "too many topics or partitions", "topic=%s partition=%" PRId32, p->topic,
                     p->partition);
        rd_kafka_topic_partition_list_del_by_idx(list, i);
    }
}

/* Starts reading what the owner still thinks about, where it said so far. */
static void settle_assignment(struct gs_consumer *c)
{
    struct gs_assignment *a = c->assignment;

    if (!a)
        return;
    c->assignment = NULL;
    a->consumer = NULL;
    hold_all(c, a->list);
    assign(c, a->list);
}

void gs_assignment_done(struct gs_assignment *a)
{
    if (a->consumer)
        settle_assignment(a->consumer);
    free_assignment(a);
}

/* The owner may take its time, librdkafka may not: it goes on as if the answer had come, and what it fetches is dropped
 * because nothing is held. */
static void forget_assignment(struct gs_consumer *c)
{
    if (!c->assignment)
        return;
    assign(c, c->assignment->list);
    c->assignment->consumer = NULL;
    c->assignment = NULL;
}

static void on_assign(struct gs_consumer *c, const part_list *list)
{
    struct gs_assignment *a = gs_alloc(sizeof *a);

    settle_assignment(c);
    gs_log_info(&gs_kafka_log, "assigned", "partitions=%d", list->cnt);
    c->joined = true;
    a->consumer = c;
    a->list = rd_kafka_topic_partition_list_copy(list);
    for (int i = 0; i < a->list->cnt; i++)
        a->list->elems[i].offset = NO_OFFSET;
    c->assignment = a;
    if (c->spec.assigned && list->cnt > 0 && !c->stopped)
        c->spec.assigned(c->spec.arg, a);
    else
        gs_assignment_done(a);
}

static void on_revoke(struct gs_consumer *c, const part_list *list)
{
    bool lost = rd_kafka_assignment_lost(c->rk);

    gs_log_info(&gs_kafka_log, lost ? "lost" : "revoked", "partitions=%d", list->cnt);
    forget_assignment(c);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        struct gs_lane *l = find_lane(c, p->topic);
        if (!l || !gs_lane_part(l, p->partition))
            continue;
        if (c->spec.revoked)
            c->spec.revoked(c->spec.arg, p->topic, p->partition, lost);
    }
    if (!lost)
        flush_stored(c); /* librdkafka commits these while it unassigns */
    for (int i = 0; i < list->cnt; i++) {
        struct gs_lane *l = find_lane(c, list->elems[i].topic);
        if (l)
            gs_lane_release(l, list->elems[i].partition);
    }
    unassign(c, list);
    drop_empty_lanes(c);
    if (lost)
        c->joined = false;
}

static void on_rebalance(struct gs_consumer *c, rd_kafka_event_t *ev)
{
    const part_list *list = rd_kafka_event_topic_partition_list(ev);

    switch (rd_kafka_event_error(ev)) {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
        on_assign(c, list);
        break;
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
        on_revoke(c, list);
        break;
    default:
        rd_kafka_assign(c->rk, NULL);
    }
}

size_t gs_assignment_count(const struct gs_assignment *a)
{
    return (size_t)a->list->cnt;
}

const char *gs_assignment_topic(const struct gs_assignment *a, size_t i)
{
    assert(i < (size_t)a->list->cnt);
    return a->list->elems[i].topic;
}

int32_t gs_assignment_partition(const struct gs_assignment *a, size_t i)
{
    assert(i < (size_t)a->list->cnt);
    return a->list->elems[i].partition;
}

void gs_assignment_start_at(struct gs_assignment *a, size_t i, int64_t offset)
{
    assert(i < (size_t)a->list->cnt && offset >= 0);
    a->list->elems[i].offset = offset;
}

/* ---- events ---- */

static void on_error(struct gs_consumer *c, rd_kafka_event_t *ev)
{
    char text[GS_KAFKA_ERR_TEXT], clean[GS_KAFKA_ERR_TEXT];
    struct gs_err err;

    if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR__FATAL) {
        const char *s = rd_kafka_event_error_string(ev);
        gs_log_warn(&gs_kafka_log, "consumer", "error=\"%s\"", gs_str_clean(clean, sizeof clean, s, strlen(s)));
        return;
    }
    if (c->failed)
        return;
    c->failed = true;
    rd_kafka_fatal_error(c->rk, text, sizeof text);
    gs_fail(&err, GS_FATAL, "consumer group: %s", gs_str_clean(clean, sizeof clean, text, strlen(text)));
    if (c->spec.failed)
        c->spec.failed(c->spec.arg, &err);
    else
        gs_log_error(&gs_kafka_log, "consumer failed", "error=\"%s\"", err.text);
}

static void on_commit(rd_kafka_event_t *ev)
{
    rd_kafka_resp_err_t e = rd_kafka_event_error(ev);

    if (e != RD_KAFKA_RESP_ERR_NO_ERROR && e != RD_KAFKA_RESP_ERR__NO_OFFSET)
        gs_log_warn(&gs_kafka_log, "commit", "error=\"%s\"", rd_kafka_err2str(e));
}

/* Cannot happen while partitions are forwarded before they start; were it to, the message is read again, not lost. */
static void on_stray(struct gs_consumer *c, rd_kafka_event_t *ev)
{
    for (const rd_kafka_message_t *m = rd_kafka_event_message_next(ev); m; m = rd_kafka_event_message_next(ev)) {
        struct gs_lane *l = m->err || !m->rkt ? NULL : find_lane(c, rd_kafka_topic_name(m->rkt));
        if (!l || !gs_lane_part(l, m->partition))
            continue;
        gs_log_error(&gs_kafka_log, "message outside its lane", "topic=%s partition=%" PRId32, l->topic, m->partition);
        gs_consumer_seek(c, l->topic, m->partition, m->offset);
    }
}

static void on_event(void *arg, rd_kafka_event_t *ev)
{
    struct gs_consumer *c = arg;

    switch (rd_kafka_event_type(ev)) {
    case RD_KAFKA_EVENT_REBALANCE:
        on_rebalance(c, ev);
        break;
    case RD_KAFKA_EVENT_ERROR:
        on_error(c, ev);
        break;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        on_commit(ev);
        break;
    case RD_KAFKA_EVENT_FETCH:
        on_stray(c, ev);
        break;
    default:
        break;
    }
}

/* ---- the way out ---- */

/* Runs on: a thread of libuv's pool, because it waits for librdkafka's threads. */
static void destroy_client(uv_work_t *work)
{
    struct gs_consumer *c = work->data;

    rd_kafka_destroy_flags(c->rk, c->closed ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void on_destroyed(uv_work_t *work, int status)
{
    struct gs_consumer *c = work->data;

    (void)status;
    if (c->done)
        c->done(c->done_arg);
    free(c->lanes);
    free(c);
}

static void finish(void *arg)
{
    struct gs_consumer *c = arg;

    if (c->assignment)
        c->assignment->consumer = NULL;
    for (size_t i = 0; i < c->n_lanes; i++)
        c->lanes[i]->held = 0;
    drop_empty_lanes(c);
    c->timer = gs_timer_free(c->timer);
    c->wake = gs_kafka_wake_free(c->wake);
    rd_kafka_queue_destroy(c->queue);
    c->destroy.data = c;
    uv_queue_work(c->loop, &c->destroy, destroy_client, on_destroyed);
}

static void finish_when_closed(struct gs_consumer *c)
{
    if (!c->closing || c->closed)
        return;
    c->closed = rd_kafka_consumer_closed(c->rk);
    bool late = !c->closed && gs_mono_us() > c->close_deadline_us;
    if (!c->closed && !late)
        return;
    if (late)
        gs_log_warn(&gs_kafka_log, "left the group without its answer", "seconds=%d", CLOSE_TIMEOUT_US / 1000000);
    c->closing = false; /* once only */
    gs_defer(c->loop, finish, c);
}

void gs_consumer_stop(struct gs_consumer *c)
{
    c->stopped = true;
}

void gs_consumer_close(struct gs_consumer *c, void (*done)(void *arg), void *arg)
{
    assert(!c->done && !c->closing);
    c->stopped = true;
    c->done = done;
    c->done_arg = arg;
    c->closing = true;
    c->close_deadline_us = gs_mono_us() + CLOSE_TIMEOUT_US;
    forget_assignment(c);
    flush_stored(c);
    log_refused("close", rd_kafka_consumer_close_queue(c->rk, c->queue));
    gs_kafka_wake_again(c->wake);
}

/* ---- life ---- */

static void on_wake(void *arg)
{
    struct gs_consumer *c = arg;

    gs_kafka_events(c->queue, c->wake, on_event, c);
    finish_when_closed(c);
}

static void on_tick(void *arg)
{
    struct gs_consumer *c = arg;

    flush_stored(c);
    on_wake(c);
}

static enum gs_rc subscribe(struct gs_consumer *c, const char *const *topics, struct gs_err *err)
{
    part_list *list = rd_kafka_topic_partition_list_new(16);

    for (; *topics; topics++)
        rd_kafka_topic_partition_list_add(list, *topics, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t e = rd_kafka_subscribe(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return e ? gs_fail(err, GS_REJECT, "subscription: %s", rd_kafka_err2str(e)) : GS_OK;
}

static rd_kafka_t *new_client(const struct gs_consumer_spec *spec, struct gs_err *err)
{
    rd_kafka_conf_t *conf = gs_kafka_conf_of(GS_KAFKA_CONSUMER, spec->client_id, err);

    if (!conf)
        return NULL;
    gs_kafka_conf_must(conf, "group.id", spec->group);
    const char *instance = gs_kafka_group_instance();
    if (instance && *instance)
        gs_kafka_conf_must(conf, "group.instance.id", instance);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                       RD_KAFKA_EVENT_LOG);
    return gs_kafka_client_new(GS_KAFKA_CONSUMER, conf, err);
}

struct gs_consumer *gs_consumer_new(uv_loop_t *loop, const struct gs_consumer_spec *spec, struct gs_err *err)
{
    rd_kafka_t *rk = new_client(spec, err);

    if (!rk)
        return NULL;
    struct gs_consumer *c = gs_alloc(sizeof *c);
    c->loop = loop;
    c->rk = rk;
    c->spec = *spec;
    c->spec.group = c->spec.client_id = NULL;
    c->spec.topics = NULL;
    rd_kafka_poll_set_consumer(rk);
    if (subscribe(c, spec->topics, err) != GS_OK) {
        rd_kafka_destroy(rk);
        free(c);
        return NULL;
    }
    c->queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_set_log_queue(rk, c->queue);
    c->wake = gs_kafka_wake_new(loop, c->queue, on_wake, c);
    c->timer = gs_timer_new(loop, on_tick, c);
    gs_timer_start(c->timer, GS_KAFKA_TICK_US, GS_KAFKA_TICK_US);
    return c;
}

bool gs_consumer_assigned(const struct gs_consumer *c)
{
    return c->joined;
}

size_t gs_consumer_partitions(const struct gs_consumer *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_lanes; i++)
        n += c->lanes[i]->held;
    return n;
}
