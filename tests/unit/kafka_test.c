/* librdkafka on the loop, against its mock cluster: what producers and consumers promise when things go wrong. */
#include "common/clock.h"
#include "common/kafka.h"
#include "common/loop.h"

#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_US 60000000
#define LETTERS_MAX 512

/* Settings live as long as the process; these tests read them many times. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:gs_env_read";
}

static struct {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    uv_loop_t loop;
    struct gs_timer *beat; /* so that conditions are looked at while nothing happens */
} t;

/* ---- settings ---- */

static void set(const char *properties)
{
    const struct gs_env *const tables[] = {gs_kafka_env, NULL};
    struct gs_buf mistakes;

    setenv("GOALSYNC_KAFKA_BROKERS", rd_kafka_mock_cluster_bootstraps(t.cluster), 1);
    setenv("GOALSYNC_KAFKA_PROPERTIES", properties, 1);
    gs_buf_init(&mistakes, 4096);
    assert_int_equal(gs_env_read(tables, &mistakes), GS_OK);
    gs_buf_done(&mistakes);
}

/* The mock cluster answers an empty fetch only after the whole wait. */
#define QUICK                                                                                                          \
    "fetch.wait.max.ms=10;session.timeout.ms=4500;heartbeat.interval.ms=500;topic.metadata.refresh.interval.ms=500"

static void on_beat(void *arg)
{
    (void)arg;
}

static int set_up(void **state)
{
    char text[256];

    (void)state;
    t.rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    t.cluster = rd_kafka_mock_cluster_new(t.rk, 1);
    uv_loop_init(&t.loop);
    t.beat = gs_timer_new(&t.loop, on_beat, NULL);
    gs_timer_start(t.beat, 10000, 10000);
    set(QUICK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gs_timer_free(t.beat);
    /* A test that failed leaves things open: no waiting for ever. */
    for (int64_t end = gs_mono_us() + 5000000; uv_loop_alive(&t.loop) && gs_mono_us() < end;)
        uv_run(&t.loop, UV_RUN_NOWAIT); /* spins for milliseconds */
    assert_int_equal(uv_loop_close(&t.loop), 0);
    rd_kafka_mock_cluster_destroy(t.cluster);
    rd_kafka_destroy(t.rk);
    return 0;
}

#define RUN_UNTIL(condition)                                                                                           \
    do {                                                                                                               \
        int64_t end_ = gs_mono_us() + PATIENCE_US;                                                                     \
        while (!(condition)) {                                                                                         \
            if (gs_mono_us() > end_)                                                                                   \
                fail_msg("never came true: %s", #condition);                                                           \
            uv_run(&t.loop, UV_RUN_ONCE);                                                                              \
        }                                                                                                              \
    } while (0)

/* ---- producing ---- */

struct counts {
    int ok, retry, reject;
    char error[200];
};

static void delivered(void *arg, enum gs_rc rc, const char *err)
{
    struct counts *n = arg;

    n->ok += rc == GS_OK;
    n->retry += rc == GS_RETRY;
    n->reject += rc == GS_REJECT;
    snprintf(n->error, sizeof n->error, "%s", err);
}

static struct gs_producer *producer(void)
{
    struct gs_err err = {0};
    struct gs_producer *p = gs_producer_new(&t.loop, "test", &err);

    assert_non_null(p);
    return p;
}

static enum gs_rc send_sized(struct gs_producer *p, const char *topic, const char *key, size_t len, struct counts *n)
{
    static char value[4 * 1024 * 1024] = "value";
    struct gs_err err;
    const struct gs_record r = {.topic = topic,
                                .key = key,
                                .key_len = strlen(key),
                                .value = value,
                                .len = len,
                                .event = {.id = "id", .type = "goalsync.test.v1", .source = "/test", .time_us = 1}};

    return gs_producer_send(p, &r, delivered, n, &err);
}

static void messages_are_reported_once(void **state)
{
    struct counts n = {0};
    struct gs_producer *p = producer();

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(send_sized(p, "a", "k", 5, &n), GS_OK);
    RUN_UNTIL(gs_producer_pending(p) == 0);
    assert_int_equal(n.ok, 1000);
    assert_int_equal(n.retry + n.reject, 0);
    assert_true(gs_producer_connected(p));
    gs_producer_free(p);
    assert_int_equal(n.ok, 1000);
}

static void too_large_is_rejected(void **state)
{
    struct counts n = {0};
    struct gs_producer *p = producer();

    (void)state;
    assert_int_equal(send_sized(p, "a", "k", 4 * 1024 * 1024, &n), GS_REJECT);
    assert_int_equal(gs_producer_pending(p), 0);
    gs_producer_free(p);
    assert_int_equal(n.ok + n.retry + n.reject, 0);
}

static void missing_topic_is_rejected(void **state)
{
    struct counts n = {0};

    (void)state;
    set(QUICK ";topic.metadata.propagation.max.ms=200");
    rd_kafka_mock_topic_set_error(t.cluster, "missing", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    struct gs_producer *p = producer();
    assert_int_equal(send_sized(p, "missing", "k", 5, &n), GS_OK);
    RUN_UNTIL(n.reject == 1);
    gs_producer_free(p);
}

static void lost_brokers_mean_retry(void **state)
{
    struct counts n = {0};

    (void)state;
    set(QUICK ";message.timeout.ms=1500");
    struct gs_producer *p = producer();
    assert_int_equal(send_sized(p, "a", "k", 5, &n), GS_OK);
    RUN_UNTIL(n.ok == 1);
    rd_kafka_mock_broker_set_down(t.cluster, 1);
    assert_int_equal(send_sized(p, "a", "k", 5, &n), GS_OK);
    RUN_UNTIL(n.retry == 1);
    RUN_UNTIL(!gs_producer_connected(p));
    rd_kafka_mock_broker_set_up(t.cluster, 1);
    RUN_UNTIL(gs_producer_connected(p));
    assert_int_equal(send_sized(p, "a", "k", 5, &n), GS_OK);
    RUN_UNTIL(n.ok == 2);
    gs_producer_free(p);
}

static void freeing_reports_what_waits(void **state)
{
    struct counts n = {0};
    struct gs_producer *p = producer();

    (void)state;
    rd_kafka_mock_broker_set_down(t.cluster, 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(send_sized(p, "a", "k", 5, &n), GS_OK);
    gs_producer_free(p);
    assert_int_equal(n.retry, 100);
}

static void became_writable(void *arg)
{
    ++*(int *)arg;
}

static void full_queue_says_so(void **state)
{
    struct counts n = {0};
    int writable = 0, taken = 0;

    (void)state;
    set(QUICK ";queue.buffering.max.messages=50");
    rd_kafka_mock_broker_set_down(t.cluster, 1);
    struct gs_producer *p = producer();
    gs_producer_on_writable(p, became_writable, &writable);
    while (send_sized(p, "a", "k", 5, &n) == GS_OK)
        taken++;
    assert_int_equal(taken, 50);
    assert_int_equal(send_sized(p, "a", "k", 5, &n), GS_AGAIN);
    rd_kafka_mock_broker_set_up(t.cluster, 1);
    RUN_UNTIL(n.ok == 50 && writable > 0);
    assert_int_equal(send_sized(p, "a", "k", 5, &n), GS_OK);
    gs_producer_free(p);
    assert_int_equal(n.ok + n.retry, 51);
}

/* ---- consuming ---- */

struct reader {
    struct gs_consumer *c;
    struct gs_assignment *a; /* kept back */
    const char *closed_lane; /* not taken from */
    bool hold_back, store, done;
    int64_t start_at;
    int got, lanes_closed, revoked;
    int64_t offsets[LETTERS_MAX];
    char last_topic[64];
};

static void lane_ready(void *arg, struct gs_lane *l)
{
    struct reader *r = arg;
    rd_kafka_message_t *m[3];
    size_t n;

    if (r->closed_lane && strcmp(r->closed_lane, gs_lane_topic(l)) == 0)
        return;
    while ((n = gs_lane_take(l, m, 3)) > 0) {
        for (size_t i = 0; i < n; i++) {
            assert_true(r->got < LETTERS_MAX);
            assert_string_equal(rd_kafka_topic_name(m[i]->rkt), gs_lane_topic(l));
            snprintf(r->last_topic, sizeof r->last_topic, "%s", gs_lane_topic(l));
            r->offsets[r->got++] = m[i]->offset;
            if (r->store)
                gs_consumer_store(r->c, gs_lane_topic(l), m[i]->partition, m[i]->offset + 1);
            rd_kafka_message_destroy(m[i]);
        }
    }
}

static void lane_closed(void *arg, struct gs_lane *l)
{
    (void)l;
    ((struct reader *)arg)->lanes_closed++;
}

static void assigned(void *arg, struct gs_assignment *a)
{
    struct reader *r = arg;

    for (size_t i = 0; r->start_at && i < gs_assignment_count(a); i++)
        gs_assignment_start_at(a, i, r->start_at);
    if (r->hold_back)
        r->a = a;
    else
        gs_assignment_done(a);
}

static void revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    (void)topic, (void)partition, (void)lost;
    ((struct reader *)arg)->revoked++;
}

static void closed(void *arg)
{
    ((struct reader *)arg)->done = true;
}

static void join(struct reader *r, const char *group, const char *topic)
{
    const char *const topics[] = {topic, NULL};
    const struct gs_consumer_spec spec = {.group = group,
                                          .client_id = "test",
                                          .topics = topics,
                                          .lane_ready = lane_ready,
                                          .lane_closed = lane_closed,
                                          .assigned = assigned,
                                          .revoked = revoked,
                                          .arg = r};
    struct gs_err err;

    r->c = gs_consumer_new(&t.loop, &spec, &err);
    assert_non_null(r->c);
}

static void leave(struct reader *r)
{
    gs_consumer_close(r->c, closed, r);
    RUN_UNTIL(r->done);
}

static void fill(const char *topic, int messages)
{
    struct counts n = {0};
    struct gs_producer *p = producer();

    for (int i = 0; i < messages; i++)
        assert_int_equal(send_sized(p, topic, "k", 5, &n), GS_OK);
    RUN_UNTIL(n.ok == messages);
    gs_producer_free(p);
}

static void lanes_do_not_wait_for_each_other(void **state)
{
    struct reader r = {.closed_lane = "lane.slow"};

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "lane.slow", 1, 1);
    rd_kafka_mock_topic_create(t.cluster, "lane.fast", 1, 1);
    fill("lane.slow", 20);
    join(&r, "g", "^lane\\..*");
    RUN_UNTIL(gs_consumer_assigned(r.c) && gs_consumer_partitions(r.c) == 2);
    fill("lane.fast", 100);
    RUN_UNTIL(r.got == 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(r.offsets[i], i);
    /* A topic that appears later is a lane too. */
    rd_kafka_mock_topic_create(t.cluster, "lane.new", 1, 1);
    fill("lane.new", 5);
    RUN_UNTIL(r.got == 105);
    assert_string_equal(r.last_topic, "lane.new");
    assert_int_equal(r.revoked, 0);
    leave(&r);
    assert_int_equal(r.lanes_closed, 3);
    assert_int_equal(r.revoked, 3);
}

static void stored_offsets_survive(void **state)
{
    struct reader first = {.store = true}, second = {0};

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "kept", 1, 1);
    fill("kept", 10);
    join(&first, "g", "kept");
    RUN_UNTIL(first.got == 10);
    leave(&first); /* at once: the close has to commit */
    fill("kept", 1);
    join(&second, "g", "kept");
    RUN_UNTIL(second.got == 1);
    assert_int_equal(second.offsets[0], 10);
    leave(&second);
}

static void seek_reads_again(void **state)
{
    struct reader r = {0};

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "again", 1, 1);
    fill("again", 10);
    join(&r, "g", "again");
    RUN_UNTIL(r.got == 10);
    fill("again", 10); /* is or is not prefetched when the seek comes: it must not matter */
    gs_consumer_seek(r.c, "again", 0, 3);
    int before = r.got;
    RUN_UNTIL(r.got == before + 17);
    for (int i = 0; i < 17; i++)
        assert_int_equal(r.offsets[before + i], 3 + i);
    leave(&r);
}

static void owner_decides_where_to_start(void **state)
{
    struct reader r = {.hold_back = true, .start_at = 7};

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "late", 1, 1);
    fill("late", 10);
    join(&r, "g", "late");
    RUN_UNTIL(r.a);
    gs_assignment_done(r.a);
    RUN_UNTIL(r.got == 3);
    assert_int_equal(r.offsets[0], 7);
    leave(&r);
}

static void closing_before_the_owner_decided(void **state)
{
    struct reader r = {.hold_back = true, .start_at = 7};

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "undecided", 1, 1);
    fill("undecided", 10);
    join(&r, "g", "undecided");
    RUN_UNTIL(r.a);
    leave(&r);
    gs_assignment_done(r.a);
    assert_int_equal(r.got, 0);
}

static void stopped_consumer_gives_nothing(void **state)
{
    struct reader r = {0};

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "stopped", 1, 1);
    join(&r, "g", "stopped");
    RUN_UNTIL(gs_consumer_assigned(r.c));
    gs_consumer_stop(r.c);
    fill("stopped", 10);
    leave(&r);
    assert_int_equal(r.got, 0);
}

static void two_consumers_share(void **state)
{
    struct reader one = {.store = true}, two = {.store = true};

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "shared", 2, 1);
    join(&one, "g", "shared");
    RUN_UNTIL(gs_consumer_partitions(one.c) == 2);
    join(&two, "g", "shared");
    RUN_UNTIL(gs_consumer_partitions(one.c) == 1 && gs_consumer_partitions(two.c) == 1);
    assert_int_equal(one.revoked, 1);
    leave(&one);
    RUN_UNTIL(gs_consumer_partitions(two.c) == 2);
    fill("shared", 10);
    RUN_UNTIL(two.got == 10);
    leave(&two);
}

/* ---- dead letters ---- */

/* ---- reading along ---- */

struct listener {
    struct gs_tail *tail;
    int got;
    int64_t first; /* offset of the first message */
};

static void heard(void *arg, const rd_kafka_message_t *m)
{
    struct listener *l = arg;

    if (l->got++ == 0)
        l->first = m->offset;
}

static void listen_to(struct listener *l, const char *topic)
{
    struct gs_err err;

    *l = (struct listener){.first = -1};
    l->tail = gs_tail_new(&t.loop, "test", topic, heard, l, &err);
    assert_non_null(l->tail);
}

static void everybody_reads_along_from_the_end(void **state)
{
    struct listener one, two;

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "answers", 1, 1);
    fill("answers", 7);
    listen_to(&one, "answers");
    RUN_UNTIL(gs_tail_follows(one.tail));
    fill("answers", 3);
    RUN_UNTIL(one.got == 3);
    assert_int_equal(one.first, 7);
    listen_to(&two, "answers");
    RUN_UNTIL(gs_tail_follows(two.tail));
    fill("answers", 5);
    RUN_UNTIL(one.got == 8 && two.got == 5);
    assert_int_equal(two.first, 10);
    gs_tail_free(one.tail);
    gs_tail_free(two.tail);
}

static void reading_along_waits_for_brokers(void **state)
{
    struct listener l;

    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "answers", 2, 1);
    rd_kafka_mock_broker_set_down(t.cluster, 1);
    listen_to(&l, "answers");
    for (int64_t end = gs_mono_us() + 300000; gs_mono_us() < end;)
        uv_run(&t.loop, UV_RUN_ONCE);
    assert_false(gs_tail_follows(l.tail));
    rd_kafka_mock_broker_set_up(t.cluster, 1);
    RUN_UNTIL(gs_tail_follows(l.tail));
    fill("answers", 4);
    RUN_UNTIL(l.got == 4);
    gs_tail_free(l.tail);
    listen_to(&l, "answers");
    gs_tail_free(l.tail); /* before anything was known */
}

static void assert_header(const rd_kafka_message_t *m, const char *name, const char *expected)
{
    rd_kafka_headers_t *h;
    const void *value;
    size_t size;

    assert_int_equal(rd_kafka_message_headers(m, &h), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_header_get(h, 0, name, &value, &size), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(value, expected, size);
    assert_int_not_equal(rd_kafka_header_get(h, 1, name, &value, &size), RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* A message is only good while its consumer lives, so the letter is written and looked at in here. */
struct postman {
    struct gs_producer *p;
    struct counts n;
    const char *reason;
    bool wrote;
};

static void write_letter(void *arg, struct gs_lane *l)
{
    struct postman *man = arg;
    rd_kafka_message_t *m;
    struct gs_err err;

    /* One only: a letter about a letter comes back on the same topic. */
    if (man->wrote || gs_lane_take(l, &m, 1) == 0)
        return;
    man->wrote = true;
    if (strcmp(gs_lane_topic(l), "dlq.g") == 0) {
        assert_header(m, "gs-origin-topic", "origin");
        assert_header(m, "gs-origin-partition", "0");
        assert_header(m, "gs-origin-offset", "0");
        assert_header(m, "gs-reason", "undecodable");
        assert_header(m, "gs-error", "not a message? ");
        assert_header(m, "gs-attempt", "3");
        assert_header(m, "gs-version", GOALSYNC_VERSION);
        assert_header(m, "ce_id", "id");
        assert_int_equal(m->key_len, 1);
        assert_int_equal(m->len, 5);
        assert_memory_equal(m->payload, "value", 5);
    }
    assert_int_equal(gs_dead_letter_send(man->p, "g", m, man->reason, "not a message\n ", 3, delivered, &man->n, &err),
                     GS_OK);
    rd_kafka_message_destroy(m);
}

static void carry(const char *topic, const char *reason)
{
    const char *const topics[] = {topic, NULL};
    struct postman man = {.p = producer(), .reason = reason};
    struct reader r = {0};
    struct gs_err err;
    const struct gs_consumer_spec spec = {
        .group = reason, .client_id = "test", .topics = topics, .lane_ready = write_letter, .arg = &man};

    r.c = gs_consumer_new(&t.loop, &spec, &err);
    assert_non_null(r.c);
    RUN_UNTIL(man.n.ok == 1);
    leave(&r);
    gs_producer_free(man.p);
}

static void dead_letters_say_where_and_why(void **state)
{
    (void)state;
    rd_kafka_mock_topic_create(t.cluster, "origin", 1, 1);
    rd_kafka_mock_topic_create(t.cluster, "dlq.g", 1, 1);
    fill("origin", 1);
    carry("origin", "undecodable");
    carry("dlq.g", "looked_at"); /* and a letter about the letter: the headers are those of the newest death */
}

/* ---- settings ---- */

static void assert_mistake(const char *properties, const char *security, const char *expected)
{
    struct gs_err err = {0};

    setenv("GOALSYNC_KAFKA_SECURITY", security, 1);
    set(properties);
    unsetenv("GOALSYNC_KAFKA_SECURITY");
    assert_null(gs_producer_new(&t.loop, "test", &err));
    assert_int_equal(err.rc, GS_REJECT);
    if (!strstr(err.text, expected))
        fail_msg("\"%s\" does not name %s", err.text, expected);
}

static void mistakes_name_the_setting(void **state)
{
    (void)state;
    assert_mistake("", "tls", "GOALSYNC_KAFKA_SECURITY");
    assert_mistake("no.such=1", "plaintext", "GOALSYNC_KAFKA_PROPERTIES");
    assert_mistake("linger.ms", "plaintext", "GOALSYNC_KAFKA_PROPERTIES");
    setenv("GOALSYNC_KAFKA_CA_FILE", "/nowhere/ca.pem", 1);
    assert_mistake("", "ssl", "GOALSYNC_KAFKA_CA_FILE");
    unsetenv("GOALSYNC_KAFKA_CA_FILE");
    set(QUICK);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(messages_are_reported_once),
        TEST(too_large_is_rejected),
        TEST(missing_topic_is_rejected),
        TEST(lost_brokers_mean_retry),
        TEST(freeing_reports_what_waits),
        TEST(full_queue_says_so),
        TEST(lanes_do_not_wait_for_each_other),
        TEST(stored_offsets_survive),
        TEST(seek_reads_again),
        TEST(owner_decides_where_to_start),
        TEST(closing_before_the_owner_decided),
        TEST(stopped_consumer_gives_nothing),
        TEST(two_consumers_share),
        TEST(everybody_reads_along_from_the_end),
        TEST(reading_along_waits_for_brokers),
        TEST(dead_letters_say_where_and_why),
        TEST(mistakes_name_the_setting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
