/* Lanes: the messages of one topic wait in librdkafka's bounded prefetch until the owner takes them. */
#include "common/kafka_private.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void on_wake(void *arg)
{
    struct gs_lane *l = arg;

    gs_consumer_lane_ready(l->consumer, l);
}

struct gs_lane *gs_lane_new(struct gs_consumer *c, uv_loop_t *loop, rd_kafka_t *rk, const char *topic)
{
    struct gs_lane *l = gs_alloc(sizeof *l);

    l->consumer = c;
    l->topic = gs_strdup(topic);
    l->queue = rd_kafka_queue_new(rk);
    l->wake = gs_kafka_wake_new(loop, l->queue, on_wake, l);
    return l;
}

struct gs_lane *gs_lane_free(struct gs_lane *l)
{
    if (!l)
        return NULL;
    /* Partitions that still forward here hold the dead queue until they are forwarded anew. */
    gs_kafka_wake_free(l->wake);
    rd_kafka_queue_destroy(l->queue);
    free(l->parts);
    free(l->topic);
    free(l);
    return NULL;
}

static void grow(struct gs_lane *l, int32_t partition)
{
    int32_t n = l->n_parts ? l->n_parts : 8;

    while (n <= partition)
        n *= 2;
    l->parts = gs_realloc_n(l->parts, (size_t)n, sizeof *l->parts);
    memset(l->parts + l->n_parts, 0, (size_t)(n - l->n_parts) * sizeof *l->parts);
    l->n_parts = n;
}

void gs_lane_hold(struct gs_lane *l, rd_kafka_t *rk, int32_t partition)
{
    assert(partition >= 0 && partition < GS_KAFKA_PARTITIONS_MAX);
    if (partition >= l->n_parts)
        grow(l, partition);
    if (!l->parts[partition].held)
        l->held++;
    l->parts[partition] = (struct gs_lane_part){.held = true};
    /* Set before the fetcher starts: from then on librdkafka leaves the forwarding alone. */
    rd_kafka_queue_t *q = rd_kafka_queue_get_partition(rk, l->topic, partition);
    assert(q);
    rd_kafka_queue_forward(q, l->queue);
    rd_kafka_queue_destroy(q);
}

struct gs_lane_part *gs_lane_part(const struct gs_lane *l, int32_t partition)
{
    return partition >= 0 && partition < l->n_parts && l->parts[partition].held ? &l->parts[partition] : NULL;
}

void gs_lane_release(struct gs_lane *l, int32_t partition)
{
    struct gs_lane_part *part = gs_lane_part(l, partition);

    if (!part)
        return;
    *part = (struct gs_lane_part){.held = false};
    l->held--;
}

void gs_lane_collect(struct gs_lane *l, rd_kafka_topic_partition_list_t *list)
{
    for (int32_t i = 0; i < l->n_parts; i++) {
        if (!l->parts[i].dirty)
            continue;
        l->parts[i].dirty = false;
        rd_kafka_topic_partition_list_add(list, l->topic, i)->offset = l->parts[i].stored;
    }
}

/* An error of a partition, or a message fetched before the partition was lost. */
static bool usable(const struct gs_lane *l, const rd_kafka_message_t *m)
{
    if (!m->err)
        return gs_lane_part(l, m->partition);
    if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        gs_log_warn(&gs_kafka_log, "partition", "topic=%s partition=%" PRId32 " error=\"%s\"", l->topic, m->partition,
                    rd_kafka_err2str(m->err));
    return false;
}

size_t gs_lane_take(struct gs_lane *l, rd_kafka_message_t **ret, size_t max)
{
    size_t n = 0;

    if (gs_consumer_stopped(l->consumer))
        return 0;
    /* Fewer than asked for does not mean empty; none does, and only an empty queue wakes us again. */
    while (n < max) {
        ssize_t got = rd_kafka_consume_batch_queue(l->queue, 0, ret + n, max - n);
        if (got <= 0)
            break;
        size_t end = n + (size_t)got;
        for (size_t i = n; i < end; i++) {
            if (usable(l, ret[i]))
                ret[n++] = ret[i];
            else
                rd_kafka_message_destroy(ret[i]);
        }
    }
    return n;
}

const char *gs_lane_topic(const struct gs_lane *l)
{
    return l->topic;
}

void gs_lane_set_data(struct gs_lane *l, void *data)
{
    l->data = data;
}

void *gs_lane_data(const struct gs_lane *l)
{
    return l->data;
}
