/* What the files that attach librdkafka share. */
#ifndef GS_KAFKA_PRIVATE_H
#define GS_KAFKA_PRIVATE_H

#include "common/kafka.h"
#include "common/log.h"

#define GS_KAFKA_TICK_US         1000000 /* librdkafka wants to be polled, and stored offsets to be handed over */
#define GS_KAFKA_EVENTS_PER_TURN 256     /* then other work of the loop has its turn */
#define GS_KAFKA_ERR_TEXT        300

extern const struct gs_log_ctx gs_kafka_log; /* topic "kafka" */

enum gs_kafka_kind { GS_KAFKA_ADMIN, GS_KAFKA_PRODUCER, GS_KAFKA_CONSUMER };

rd_kafka_conf_t *gs_kafka_conf_of(enum gs_kafka_kind kind, const char *client_id, struct gs_err *err);
/* Sets one property of ours; a mistake in it is a mistake of the program. */
void gs_kafka_conf_must(rd_kafka_conf_t *conf, const char *property, const char *value);
const char *gs_kafka_group_instance(void); /* "" when membership is not static */
/* Takes conf over in every case. On failure names the setting that is to blame where it can be told. */
rd_kafka_t *gs_kafka_client_new(enum gs_kafka_kind kind, rd_kafka_conf_t *conf, struct gs_err *err);

/* Calls fn on the loop when something was put into an empty queue; may call without need. */
struct gs_kafka_wake;
struct gs_kafka_wake *gs_kafka_wake_new(uv_loop_t *loop, rd_kafka_queue_t *queue, void (*fn)(void *arg), void *arg);
void gs_kafka_wake_again(struct gs_kafka_wake *w);                 /* fn is called in a later turn */
struct gs_kafka_wake *gs_kafka_wake_free(struct gs_kafka_wake *w); /* before the queue is destroyed */

/* Hands up to GS_KAFKA_EVENTS_PER_TURN events to fn (log lines excepted, which are written); wakes again if more wait.
 */
void gs_kafka_events(rd_kafka_queue_t *queue, struct gs_kafka_wake *w, void (*fn)(void *arg, rd_kafka_event_t *ev),
                     void *arg);

struct gs_kafka_out {
    const char *topic;
    const void *key;
    size_t key_len;
    const void *value;
    size_t len;
    rd_kafka_headers_t *headers; /* taken over, whatever happens */
};
enum gs_rc gs_producer_send_raw(struct gs_producer *p, const struct gs_kafka_out *out, gs_delivered_fn delivered,
                                void *arg, struct gs_err *err) GS_MUST_CHECK;

/* ---- lanes: the messages of one topic ---- */

/* Partitions of one topic beyond this are refused: arrays are indexed by partition. */
#define GS_KAFKA_PARTITIONS_MAX 100000

struct gs_lane_part {
    bool held;
    bool dirty;     /* `stored` was not handed to librdkafka yet */
    int64_t stored; /* next offset */
};

struct gs_lane {
    struct gs_consumer *consumer;
    char *topic;
    rd_kafka_queue_t *queue;
    struct gs_kafka_wake *wake;
    struct gs_lane_part *parts; /* by partition */
    int32_t n_parts;
    size_t held;
    void *data;
};

struct gs_lane *gs_lane_new(struct gs_consumer *c, uv_loop_t *loop, rd_kafka_t *rk, const char *topic);
struct gs_lane *gs_lane_free(struct gs_lane *l);
/* The partition is this consumer's from now on: its messages come into the lane. */
void gs_lane_hold(struct gs_lane *l, rd_kafka_t *rk, int32_t partition);
void gs_lane_release(struct gs_lane *l, int32_t partition);
struct gs_lane_part *gs_lane_part(const struct gs_lane *l, int32_t partition); /* null unless held */
/* Appends (topic, partition, stored offset) of dirty partitions and cleans them. */
void gs_lane_collect(struct gs_lane *l, rd_kafka_topic_partition_list_t *list);

bool gs_consumer_stopped(const struct gs_consumer *c);
void gs_consumer_lane_ready(struct gs_consumer *c, struct gs_lane *l);

#endif
