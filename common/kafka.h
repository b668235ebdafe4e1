/* librdkafka on the loop. Nothing here blocks; callbacks run on the loop thread. */
#ifndef GS_KAFKA_H
#define GS_KAFKA_H

#include "common/env.h"
#include "common/event.h"
#include "common/rc.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* GOALSYNC_KAFKA_BROKERS, _SECURITY (plaintext, ssl, sasl_plaintext, sasl_ssl), _SASL_MECHANISM, _USER, _PASSWORD,
 * _CA_FILE, _CERT_FILE, _KEY_FILE, _LINGER, _GROUP_INSTANCE (static membership), _PROPERTIES ("name=value;name=value",
 * passed to librdkafka as they are). */
extern const struct gs_env gs_kafka_env[];

/* A configuration with the settings above and our defaults; the caller adds what is particular. Never null: mistakes in
 * the settings end up in err and null. Also for the CLI's admin client. */
rd_kafka_conf_t *gs_kafka_conf_new(const char *client_id, struct gs_err *err);

/* ---- producing: idempotent, acks=all ---- */

struct gs_producer;

struct gs_record {
    const char *topic;
    const void *key;
    size_t key_len;
    const void *value; /* copied */
    size_t len;
    struct gs_event event;
};

/* rc: GS_OK the brokers have it; GS_RETRY they may not have it (err says why); GS_REJECT they never will (too large,
 * no such topic, not allowed). */
typedef void (*gs_delivered_fn)(void *arg, enum gs_rc rc, const char *err);

struct gs_producer *gs_producer_new(uv_loop_t *loop, const char *client_id, struct gs_err *err);
/* GS_OK: delivered() will be called exactly once, later. GS_AGAIN: the queue is full; nothing was taken; writable is
 * called when there is room. Anything else: nothing was taken, err filled. */
enum gs_rc gs_producer_send(struct gs_producer *p, const struct gs_record *r, gs_delivered_fn delivered, void *arg,
                            struct gs_err *err) GS_MUST_CHECK;
void gs_producer_on_writable(struct gs_producer *p, void (*fn)(void *arg), void *arg);
size_t gs_producer_pending(const struct gs_producer *p);
bool gs_producer_connected(const struct gs_producer *p); /* a broker has answered and none of all is down now */
/* What is still queued is purged; its delivered() is called with GS_RETRY. */
struct gs_producer *gs_producer_free(struct gs_producer *p);

/* ---- consuming ----
 *
 * Each topic is a lane of its own: its partitions' messages wait in librdkafka's bounded prefetch until the owner takes
 * them, so a slow lane holds up no other and group events are served all the time. */

struct gs_consumer;
struct gs_lane;
struct gs_assignment; /* partitions newly given to this consumer, and where to start each */

struct gs_consumer_spec {
    const char *group;
    const char *client_id;
    const char *const *topics; /* names, or "^regex"; ended by null */
    /* Messages of the lane may be waiting: take them now with gs_lane_take(), or later when there is room. Called again
     * only after a take returned less than asked for and more arrived. */
    void (*lane_ready)(void *arg, struct gs_lane *lane);
    /* The last partition of the lane's topic is gone; the pointer dies. May be null. */
    void (*lane_closed)(void *arg, struct gs_lane *lane);
    /* Decide where each partition starts (default: the group's committed offset), then call gs_assignment_done(a), now
     * or later. Null: start at the committed offsets. If the partitions are lost meanwhile, done() does nothing. */
    void (*assigned)(void *arg, struct gs_assignment *a);
    /* The partition is gone (lost: without a chance to commit). Forget its work; its stored offset is committed before
     * it is handed over unless lost. May be null. */
    void (*revoked)(void *arg, const char *topic, int32_t partition, bool lost);
    /* The consumer cannot go on (fenced by another with its group instance, say); called once. Null: only logged. */
    void (*failed)(void *arg, const struct gs_err *err);
    void *arg;
};

struct gs_consumer *gs_consumer_new(uv_loop_t *loop, const struct gs_consumer_spec *spec, struct gs_err *err);
bool gs_consumer_assigned(const struct gs_consumer *c); /* has joined its group (perhaps with no partition) */
size_t gs_consumer_partitions(const struct gs_consumer *c);
/* The offset of the next message to be processed after a restart; committed in the background every few seconds, on
 * revocation and on close. Only for partitions held; others are ignored. */
void gs_consumer_store(struct gs_consumer *c, const char *topic, int32_t partition, int64_t next_offset);
/* Throws away what was prefetched and reads again from there. */
void gs_consumer_seek(struct gs_consumer *c, const char *topic, int32_t partition, int64_t offset);
/* Gives no more messages; keeps its membership until freed. */
void gs_consumer_stop(struct gs_consumer *c);
/* Commits what is stored, leaves the group, and calls done(arg) when that is finished or timed out; then it is freed.
 */
void gs_consumer_close(struct gs_consumer *c, void (*done)(void *arg), void *arg);

const char *gs_lane_topic(const struct gs_lane *l);
void gs_lane_set_data(struct gs_lane *l, void *data);
void *gs_lane_data(const struct gs_lane *l);
/* Moves up to max messages out; the caller destroys each (rd_kafka_message_destroy). Never blocks. Messages with errors
 * never appear. */
size_t gs_lane_take(struct gs_lane *l, rd_kafka_message_t **ret, size_t max);

size_t gs_assignment_count(const struct gs_assignment *a);
const char *gs_assignment_topic(const struct gs_assignment *a, size_t i);
int32_t gs_assignment_partition(const struct gs_assignment *a, size_t i);
void gs_assignment_start_at(struct gs_assignment *a, size_t i, int64_t offset);
void gs_assignment_done(struct gs_assignment *a);

/* ---- reading along ----
 *
 * Whatever is written to a topic from some moment after the start on, for every process that wants it: no group, no
 * stored offsets. Partitions that are added to the topic later are read by the next process only. */

struct gs_tail;
/* message() is called on the loop for each one; m is borrowed. Kafka need not be there yet. */
struct gs_tail *gs_tail_new(uv_loop_t *loop, const char *client_id, const char *topic,
                            void (*message)(void *arg, const rd_kafka_message_t *m), void *arg, struct gs_err *err);
/* The moment has come: no message written from here on is missed. Stays true while brokers are away. */
bool gs_tail_follows(const struct gs_tail *t);
/* No message() any more; the loop turns until librdkafka's threads have ended. */
struct gs_tail *gs_tail_free(struct gs_tail *t);

/* ---- dead letters ----
 * Topic "dlq.<group>"; value and key as they came; the original headers plus gs-origin-topic, gs-origin-partition,
 * gs-origin-offset, gs-origin-time, gs-reason (a word), gs-error (a sentence), gs-attempt, gs-version. */
enum gs_rc gs_dead_letter_send(struct gs_producer *p, const char *group, const rd_kafka_message_t *m,
                               const char *reason, const char *error, int attempt, gs_delivered_fn delivered, void *arg,
                               struct gs_err *err) GS_MUST_CHECK;

#endif
