/* Reading along at the end of a topic, in no group.
 *
 * How many partitions there are is asked on a thread of libuv's pool, because that call waits; from where on messages
 * are seen is known once librdkafka has reached the end of each. */
#include "common/kafka_private.h"

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 5000

struct gs_tail {
    uv_loop_t *loop;
    char *topic;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct gs_kafka_wake *wake;
    struct gs_timer *timer;
    void (*message)(void *arg, const rd_kafka_message_t *m);
    void *arg;
    bool *reached; /* by partition; null: not assigned yet */
    int32_t partitions, to_reach;
    uv_work_t work; /* looking, at last destroying */
    bool looking, closing, told;
    int32_t looked; /* partitions there are; 0: it failed */
    rd_kafka_resp_err_t look_error;
};

/* ---- partitions ---- */

/* Runs on: a thread of libuv's pool. */
static void look(uv_work_t *work)
{
    struct gs_tail *t = work->data;
    const struct rd_kafka_metadata *m = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(t->rk, t->topic, NULL);

    t->looked = 0;
    t->look_error = topic ? rd_kafka_metadata(t->rk, 0, topic, &m, LOOK_MS) : rd_kafka_last_error();
    if (t->look_error == RD_KAFKA_RESP_ERR_NO_ERROR && m->topic_cnt == 1) {
        t->look_error = m->topics[0].err;
        t->looked = m->topics[0].partition_cnt;
    }
    if (m)
        rd_kafka_metadata_destroy(m);
    if (topic)
        rd_kafka_topic_destroy(topic);
}

static void follow(struct gs_tail *t)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(t->looked);

    for (int32_t i = 0; i < t->looked; i++)
        rd_kafka_topic_partition_list_add(list, t->topic, i)->offset = RD_KAFKA_OFFSET_END;
    t->look_error = rd_kafka_assign(t->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (t->look_error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    t->reached = gs_alloc_n((size_t)t->looked, sizeof *t->reached);
    t->partitions = t->to_reach = t->looked;
}

static void close_client(struct gs_tail *t);

static void on_looked(uv_work_t *work, int status)
{
    struct gs_tail *t = work->data;

    (void)status;
    t->looking = false;
    if (t->closing) {
        close_client(t);
        return;
    }
    if (t->looked > 0 && t->looked <= GS_KAFKA_PARTITIONS_MAX)
        follow(t);
    if (!t->reached && !t->told)
        gs_log_warn(&gs_kafka_log, "cannot read along yet", "topic=%s error=\"%s\"", t->topic,
                    rd_kafka_err2str(t->look_error));
    t->told = true;
}

/* ---- events ---- */

static void on_end(struct gs_tail *t, rd_kafka_event_t *ev)
{
    rd_kafka_topic_partition_t *p = rd_kafka_event_topic_partition(ev);

    if (p && p->partition >= 0 && p->partition < t->partitions && !t->reached[p->partition]) {
        t->reached[p->partition] = true;
        if (--t->to_reach == 0)
            gs_log_info(&gs_kafka_log, "reading along", "topic=%s partitions=%" PRId32, t->topic, t->partitions);
    }
    rd_kafka_topic_partition_destroy(p);
}

static void on_error(struct gs_tail *t, rd_kafka_event_t *ev)
{
    const char *text = rd_kafka_event_error_string(ev);
    char clean[GS_KAFKA_ERR_TEXT];

    if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        on_end(t, ev);
    else
        gs_log_warn(&gs_kafka_log, "reading along", "topic=%s error=\"%s\"", t->topic,
                    gs_str_clean(clean, sizeof clean, text, strlen(text)));
}

static void on_event(void *arg, rd_kafka_event_t *ev)
{
    struct gs_tail *t = arg;
    const rd_kafka_message_t *m;

    if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR) {
        on_error(t, ev);
        return;
    }
    if (rd_kafka_event_type(ev) != RD_KAFKA_EVENT_FETCH)
        return;
    while ((m = rd_kafka_event_message_next(ev)) != NULL)
        if (!m->err)
            t->message(t->arg, m);
}

static void on_wake(void *arg)
{
    struct gs_tail *t = arg;

    gs_kafka_events(t->queue, t->wake, on_event, t);
}

static void on_tick(void *arg)
{
    struct gs_tail *t = arg;

    on_wake(t);
    if (t->reached || t->looking)
        return;
    t->looking = true;
    uv_queue_work(t->loop, &t->work, look, on_looked);
}

/* ---- life ---- */

bool gs_tail_follows(const struct gs_tail *t)
{
    return t->reached && t->to_reach == 0;
}

struct gs_tail *gs_tail_new(uv_loop_t *loop, const char *client_id, const char *topic,
                            void (*message)(void *arg, const rd_kafka_message_t *m), void *arg, struct gs_err *err)
{
    rd_kafka_conf_t *conf = gs_kafka_conf_of(GS_KAFKA_CONSUMER, client_id, err);
    rd_kafka_t *rk;

    if (!conf)
        return NULL;
    gs_kafka_conf_must(conf, "group.id", client_id); /* asked for, but nothing is joined or committed */
    gs_kafka_conf_must(conf, "enable.auto.commit", "false");
    gs_kafka_conf_must(conf, "enable.partition.eof", "true");
    gs_kafka_conf_must(conf, "auto.offset.reset", "latest");
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    rk = gs_kafka_client_new(GS_KAFKA_CONSUMER, conf, err);
    if (!rk)
        return NULL;
    struct gs_tail *t = gs_alloc(sizeof *t);
    *t = (struct gs_tail){.loop = loop, .topic = gs_strdup(topic), .rk = rk, .message = message, .arg = arg};
    t->work.data = t;
    rd_kafka_poll_set_consumer(rk);
    t->queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_set_log_queue(rk, t->queue);
    t->wake = gs_kafka_wake_new(loop, t->queue, on_wake, t);
    t->timer = gs_timer_new(loop, on_tick, t);
    gs_timer_start(t->timer, 0, GS_KAFKA_TICK_US);
    return t;
}

/* Runs on: a thread of libuv's pool, because it waits for librdkafka's threads. */
static void destroy_client(uv_work_t *work)
{
    struct gs_tail *t = work->data;

    rd_kafka_destroy_flags(t->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void on_destroyed(uv_work_t *work, int status)
{
    struct gs_tail *t = work->data;

    (void)status;
    free(t->topic);
    free(t->reached);
    free(t);
}

static void close_client(struct gs_tail *t)
{
    uv_queue_work(t->loop, &t->work, destroy_client, on_destroyed);
}

struct gs_tail *gs_tail_free(struct gs_tail *t)
{
    if (!t)
        return NULL;
    assert(!t->closing);
    t->closing = true;
    t->timer = gs_timer_free(t->timer);
    t->wake = gs_kafka_wake_free(t->wake);
    rd_kafka_queue_destroy(t->queue);
    if (!t->looking)
        close_client(t);
    return NULL;
}
