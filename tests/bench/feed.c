/* Fills a topic for a benchmark of one stage, as fast as Kafka takes it.
 *
 *     bench-feed requested CONNECTIONS LAST    FetchRequested for batches 1 .. LAST
 *     bench-feed completed CONNECTIONS LAST    FetchCompleted, a new number for each link
 *
 * In an order without neighbours, as slots come. Batch i is link i of connection i mod CONNECTIONS + 1, item i.
 * Settings: GOALSYNC_KAFKA_BROKERS and its kin. */
#include "common/clock.h"
#include "common/kafka.h"
#include "common/mem.h"
#include "common/str.h"
#include "proto/goalsync/v1/fetch.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

#define TOPIC_REQUESTED "fetch.requested.third-party.bench_items"
#define TOPIC_COMPLETED "fetch.completed"
#define MESSAGE_MAX     1024
#define SCATTER         48271 /* a prime */

struct feed {
    struct gs_producer *producer;
    uv_loop_t loop;
    uv_idle_t more;
    bool completed;
    int64_t connections, next, last, slot_us, acked, total;
};

static size_t pack_requested(const struct feed *f, int64_t i, uint8_t *dst)
{
    Goalsync__V1__FetchRequested m = GOALSYNC__V1__FETCH_REQUESTED__INIT;
    Goalsync__V1__Target target = GOALSYNC__V1__TARGET__INIT, *targets[] = {&target};
    char id[GS_ID_TEXT], settings[64];

    snprintf(settings, sizeof settings, "{\"item\": \"%lld\"}", (long long)i);
    gs_id_new(id);
    target.link_id = i;
    target.revision = 1;
    target.settings = settings;
    m.request_id = id;
    m.org_id = 1;
    m.connection_id = i % f->connections + 1;
    m.batch_id = i;
    m.kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_SCHEDULED;
    m.slot_us = f->slot_us;
    m.requested_at_us = gs_now_us();
    m.expires_at_us = m.requested_at_us + INT64_C(3600000000);
    m.attempt = 1;
    m.n_targets = 1;
    m.targets = targets;
    return goalsync__v1__fetch_requested__pack(&m, dst);
}

static size_t pack_completed(const struct feed *f, int64_t i, uint8_t *dst)
{
    Goalsync__V1__FetchCompleted m = GOALSYNC__V1__FETCH_COMPLETED__INIT;
    Goalsync__V1__Observation one = GOALSYNC__V1__OBSERVATION__INIT, *all[] = {&one};
    char id[GS_ID_TEXT], value[32];
    long long hundredths = (long long)((uint64_t)(i * 3571 + f->slot_us) % 1000000);

    snprintf(value, sizeof value, "%lld.%02lld", hundredths / 100, hundredths % 100);
    gs_id_new(id);
    one.link_id = i;
    one.revision = 1;
    one.outcome = GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK;
    one.value = value;
    one.rows_seen = 1;
    m.request_id = id;
    m.org_id = 1;
    m.connection_id = i % f->connections + 1;
    m.batch_id = i;
    m.kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_SCHEDULED;
    m.slot_us = f->slot_us;
    m.attempt = 1;
    m.outcome = GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK;
    m.fetched_at_us = gs_now_us();
    m.requests_used = 1;
    m.elapsed_ms = 3;
    m.n_observations = 1;
    m.observations = all;
    return goalsync__v1__fetch_completed__pack(&m, dst);
}

static void on_delivered(void *arg, enum gs_rc rc, const char *error)
{
    struct feed *f = arg;

    if (rc != GS_OK) {
        fprintf(stderr, "bench-feed: %s\n", error);
        exit(1);
    }
    if (++f->acked == f->total)
        uv_stop(&f->loop);
}

static void send_some(uv_idle_t *idle)
{
    struct feed *f = idle->data;
    struct gs_err err;

    while (f->next <= f->last) {
        int64_t batch = f->next * SCATTER % f->last + 1;
        uint8_t message[MESSAGE_MAX];
        char key[24], id[GS_ID_TEXT], trace[GS_TRACEPARENT_TEXT];
        int key_len = snprintf(key, sizeof key, "%lld", (long long)batch);
        size_t len = f->completed ? pack_completed(f, batch, message) : pack_requested(f, batch, message);
        struct gs_record r = {.topic = f->completed ? TOPIC_COMPLETED : TOPIC_REQUESTED,
                              .key = key,
                              .key_len = (size_t)key_len,
                              .value = message,
                              .len = len};
        enum gs_rc rc;

        gs_id_new(id);
        gs_traceparent_new(trace);
        r.event =
            (struct gs_event){.id = id,
                              .type = f->completed ? "goalsync.fetch.completed.v1" : "goalsync.fetch.requested.v1",
                              .source = "/goalsync/bench",
                              .time_us = gs_now_us(),
                              .traceparent = trace};
        rc = gs_producer_send(f->producer, &r, on_delivered, f, &err);
        if (rc == GS_AGAIN)
            return;
        if (rc != GS_OK) {
            fprintf(stderr, "bench-feed: %s\n", err.text);
            exit(1);
        }
        f->next++;
    }
    uv_idle_stop(idle);
}

static bool read_arguments(struct feed *f, int argc, char **argv)
{
    if (argc != 4 || !gs_parse_int(argv[2], 1, 1000000, &f->connections) ||
        !gs_parse_int(argv[3], 1, INT32_MAX, &f->last))
        return false;
    f->completed = gs_str_eq(argv[1], "completed");
    f->next = 1;
    f->total = f->last;
    f->slot_us = gs_now_us();
    return f->completed || gs_str_eq(argv[1], "requested");
}

int main(int argc, char **argv)
{
    const struct gs_env *const tables[] = {gs_kafka_env, NULL};
    struct feed f = {0};
    struct gs_buf mistakes;
    struct gs_err err;

    gs_buf_init(&mistakes, 4096);
    if (gs_env_read(tables, &mistakes) != GS_OK || !read_arguments(&f, argc, argv)) {
        fprintf(stderr, "%susage: bench-feed requested|completed CONNECTIONS LAST\n", gs_buf_str(&mistakes));
        return 1;
    }
    uv_loop_init(&f.loop);
    f.producer = gs_producer_new(&f.loop, "bench-feed", &err);
    if (!f.producer) {
        fprintf(stderr, "bench-feed: %s\n", err.text);
        return 1;
    }
    uv_idle_init(&f.loop, &f.more);
    f.more.data = &f;
    uv_idle_start(&f.more, send_some);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    gs_producer_free(f.producer);
    return f.acked == f.total ? 0 : 1;
}
