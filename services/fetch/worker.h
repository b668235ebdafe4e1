/* What the parts of a worker share. */
#ifndef FETCH_WORKER_H
#define FETCH_WORKER_H

#include "common/http.h"
#include "common/kafka.h"
#include "common/loop.h"
#include "common/metrics.h"
#include "common/offsets.h"
#include "common/service.h"
#include "services/fetch/connection.h"
#include "services/fetch/limits.h"
#include "services/fetch/purse.h"
#include "services/fetch/site.h"
#include "services/fetch/wire_postgres.h"

#define FETCH_GROUP_MAX  48
#define FETCH_TOPIC_MAX  128
#define FETCH_LOOK_US    INT64_C(1000000) /* between two looks at lanes that may be full */
#define FETCH_USER_AGENT "goalsync/" GOALSYNC_VERSION

#define FETCH_TOPIC_COMPLETED "fetch.completed"
#define FETCH_TOPIC_ANSWERED  "fetch.answered"

struct fetch_config {
    int64_t window, lane_share, deadline_us, connections, body_max, exchanges, alone_percent;
    char *exclude, *hosts_allowed;
    bool allow_plain, allow_private;
};
extern struct fetch_config fetch_config;
extern const struct gs_env fetch_env[];

struct fetch_request;

/* An object is in exactly one list, and the list is its state. */
struct fetch_list {
    struct fetch_request *first, *last;
    size_t n;
};

/* Counters of one connector; both its lanes share them. */
struct fetch_stats {
    struct gs_metric *outcomes[FETCH_OUTCOMES], *seconds, *exchanges;
};

/* One of the two windows: the hourly lanes share one, the urgent ones the other. */
struct fetch_window {
    size_t size, lanes;          /* lanes that share it */
    size_t in_flight, shared;    /* shared: in flight beyond their lanes' own room */
    struct fetch_window *lender; /* whose shared room may be used as well; null: nobody's */
};

struct fetch_lane {
    char topic[FETCH_TOPIC_MAX];
    const struct fetch_entry *entry;
    struct fetch_window *window;
    struct fetch_stats *stats;
    struct gs_lane *source;             /* null: no partition of it is ours */
    bool waiting;                       /* messages may be there */
    size_t in_flight, shared, borrowed; /* borrowed: in flight in the lender's shared room */
    unsigned full;                      /* for so many looks in a row */
    struct fetch_queue parked;          /* taken while there was no room, to be begun in turns by organisation */
};

struct fetch_worker {
    struct gs_service *service;
    uv_loop_t *loop;
    enum gs_category category;
    char group[FETCH_GROUP_MAX], source[FETCH_GROUP_MAX]; /* source: of CloudEvents */

    struct gs_keyring *keyring;
    struct gs_pg *pg;
    struct gs_redis *redis;
    struct gs_http *http;
    struct fetch_pg *sources; /* the PostgreSQL wire */
    struct gs_producer *producer;
    struct gs_consumer *consumer;
    struct gs_offsets *offsets;
    struct fetch_conns *conns;
    struct fetch_purses *purses;
    struct fetch_limits *limits;
    struct fetch_sites *sites;
    bool was_up; /* the database, before */

    struct fetch_lane *lanes; /* the urgent ones first */
    size_t n_lanes, next_lane;
    struct fetch_window urgent, hourly;
    struct fetch_stats *stats; /* one for each connector of the catalogue */
    bool pump_wanted, draining, closing, stopping;

    struct fetch_list running; /* by deadline: all have the same time */
    struct fetch_list held;    /* answered, until it is their turn to be given to Kafka */
    struct fetch_list sending; /* given to Kafka, not yet acknowledged */
    struct fetch_list unsent;  /* Kafka had no room or lost them: to be given again */
    int64_t handed_us;         /* when answers were given last; monotonic */
    struct gs_timer *deadline_timer, *held_timer, *resend_timer, *look_timer;
    struct gs_metric *in_flight, *lanes_waiting, *unacknowledged, *dead_letters;
};

/* ---- worker.c ---- */
extern const struct gs_env *const *fetch_worker_env(enum gs_category category);
void *fetch_worker_start(struct gs_service *service, enum gs_category category, struct gs_err *err);
void fetch_worker_ready(void *worker, struct gs_buf *reasons);
void fetch_worker_drain(void *worker);
void fetch_worker_stop(void *worker);
size_t fetch_unacknowledged(const struct fetch_worker *w); /* answers that Kafka does not have yet */
void fetch_worker_finished(struct fetch_worker *w); /* a request is gone: goes on draining when it was the last */

/* ---- lanes.c: which message is taken next ---- */
enum gs_rc fetch_lanes_init(struct fetch_worker *w, const char *only, const char *exclude,
                            struct gs_err *err) GS_MUST_CHECK;
void fetch_lanes_done(struct fetch_worker *w);
const char **fetch_lanes_topics(const struct fetch_worker *w); /* ended by null; the array is the caller's */
void fetch_lanes_ready(void *worker, struct gs_lane *source);
void fetch_lanes_closed(void *worker, struct gs_lane *source);
void fetch_lanes_pump(struct fetch_worker *w);   /* there may be room; takes messages at the end of this turn */
void fetch_lanes_unpark(struct fetch_worker *w); /* lets go of what was not begun: others do it */
void fetch_lanes_look(void *worker);             /* of a timer: full lanes are thinned */
void fetch_lanes_left(struct fetch_worker *w, struct fetch_lane *lane); /* one in flight less */

#endif
