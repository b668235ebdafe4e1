/* Event headers go through a real producer and consumer of librdkafka (its mock cluster); trace contexts and ids. */
#include "common/event.h"

#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>

static const char *const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static void ids_are_new(void **state)
{
    char ids[200][GS_ID_TEXT];
    (void)state;
    for (int i = 0; i < 200; i++) {
        gs_id_new(ids[i]);
        assert_int_equal(strspn(ids[i], "0123456789abcdef"), GS_ID_TEXT - 1);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
}

static void trace_contexts(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7x01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
    };
    char fresh[GS_TRACEPARENT_TEXT], child[GS_TRACEPARENT_TEXT];
    (void)state;
    assert_true(gs_traceparent_valid(good));
    gs_traceparent_new(fresh);
    assert_true(gs_traceparent_valid(fresh));
    gs_traceparent_child(good, child);
    assert_true(gs_traceparent_valid(child));
    assert_memory_equal(child, good, 36);               /* the same trace */
    assert_memory_not_equal(child + 36, good + 36, 16); /* another span */
    memcpy(child, good, sizeof(child));
    gs_traceparent_child(child, child);
    assert_memory_equal(child, good, 36);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(gs_traceparent_valid(bad[i]));
        gs_traceparent_child(bad[i], child);
        assert_true(gs_traceparent_valid(child));
    }
    assert_false(gs_traceparent_valid(NULL));
    gs_traceparent_child(NULL, child);
    assert_true(gs_traceparent_valid(child));
}

struct kafka {
    rd_kafka_t *producer, *consumer;
};

static rd_kafka_t *client(rd_kafka_type_t type, const char *brokers)
{
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (brokers)
        rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof(error));
    else
        rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", error, sizeof(error));
    rd_kafka_conf_set(conf, "linger.ms", "0", error, sizeof(error));
    rd_kafka_conf_set(conf, "log_level", "0", error, sizeof(error));
    if (type == RD_KAFKA_CONSUMER)
        rd_kafka_conf_set(conf, "group.id", "test", error, sizeof(error));
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof(error));
    assert_non_null(rk);
    return rk;
}

static int start_kafka(void **state)
{
    static struct kafka k;
    k.producer = client(RD_KAFKA_PRODUCER, NULL);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(k.producer);
    k.consumer = client(RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps(cluster));
    rd_kafka_mock_topic_create(cluster, "t", 1, 1);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "t", 0)->offset = 0;
    rd_kafka_assign(k.consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    *state = &k;
    return 0;
}

static int stop_kafka(void **state)
{
    struct kafka *k = *state;
    rd_kafka_destroy(k->consumer);
    rd_kafka_destroy(k->producer);
    return 0;
}

/* Sends a message with these headers (taken over) and gives it back as a consumer sees it. */
static rd_kafka_message_t *round_trip(struct kafka *k, rd_kafka_headers_t *headers)
{
    rd_kafka_vu_t args[] = {{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = "t"},
                            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {"v", 1}},
                            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers}};
    assert_null(rd_kafka_produceva(k->producer, args, 3));
    assert_int_equal(rd_kafka_flush(k->producer, 30000), 0);
    rd_kafka_message_t *m = rd_kafka_consumer_poll(k->consumer, 30000);
    assert_non_null(m);
    assert_int_equal(m->err, 0);
    return m;
}

static void headers_come_back(void **state)
{
    const struct gs_event sent = {.id = "4711",
                                  .type = "goalsync.fetch.requested.v1",
                                  .source = "/goalsync/scheduler",
                                  .subject = "batch/7",
                                  .time_us = INT64_C(1795449723123456),
                                  .traceparent = good};
    struct gs_event got;
    rd_kafka_message_t *m = round_trip(*state, gs_event_headers(&sent));
    assert_true(gs_event_read(m, &got));
    assert_string_equal(got.id, sent.id);
    assert_string_equal(got.type, sent.type);
    assert_string_equal(got.source, sent.source);
    assert_string_equal(got.subject, sent.subject);
    assert_string_equal(got.traceparent, sent.traceparent);
    assert_int_equal(got.time_us, sent.time_us);

    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;
    assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
    assert_int_equal(rd_kafka_header_get_last(headers, "ce_specversion", &value, &size), 0);
    assert_string_equal(value, "1.0");
    assert_int_equal(rd_kafka_header_get_last(headers, "content-type", &value, &size), 0);
    assert_string_equal(value, "application/protobuf");
    assert_int_equal(rd_kafka_header_get_last(headers, "ce_time", &value, &size), 0);
    assert_string_equal(value, "2026-11-23T16:02:03.123456Z");
    rd_kafka_message_destroy(m);
}

static void hostile_headers(void **state)
{
    char large[300];
    struct gs_event got;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    memset(large, 'x', sizeof(large));
    rd_kafka_header_add(headers, "ce_id", -1, large, sizeof(large));
    rd_kafka_header_add(headers, "ce_type", -1, "a\0b", 3);
    rd_kafka_header_add(headers, "ce_source", -1, NULL, 0);
    rd_kafka_header_add(headers, "ce_time", -1, "yesterday", -1);
    rd_kafka_header_add(headers, "traceparent", -1, "00-zz", -1);
    rd_kafka_message_t *m = round_trip(*state, headers);
    assert_true(gs_event_read(m, &got));
    assert_null(got.id);
    assert_null(got.type);
    assert_null(got.source);
    assert_null(got.subject);
    assert_null(got.traceparent);
    assert_int_equal(got.time_us, 0);
    rd_kafka_message_destroy(m);
}

static void no_event(void **state)
{
    struct gs_event got;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "other", -1, "x", -1);
    rd_kafka_message_t *m = round_trip(*state, headers);
    assert_false(gs_event_read(m, &got));
    rd_kafka_message_destroy(m);
    m = round_trip(*state, rd_kafka_headers_new(0));
    assert_false(gs_event_read(m, &got));
    assert_null(got.id);
    rd_kafka_message_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_new),     cmocka_unit_test(trace_contexts), cmocka_unit_test(headers_come_back),
        cmocka_unit_test(hostile_headers), cmocka_unit_test(no_event),
    };
    return cmocka_run_group_tests(tests, start_kafka, stop_kafka);
}
