/* Reads topics as a member of a group, writes "<topic> <partition> <offset> <value>" for each message, then stores its
 * offset. With "create" as the first argument: makes a topic. */
#include "common/kafka.h"
#include "common/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAKE 50

static struct reader {
    struct gs_service *svc;
    struct gs_consumer *consumer;
} reader;

static void lane_ready(void *arg, struct gs_lane *lane)
{
    struct reader *r = arg;
    rd_kafka_message_t *messages[TAKE];
    size_t n;

    while ((n = gs_lane_take(lane, messages, TAKE)) > 0) {
        for (size_t i = 0; i < n; i++) {
            const rd_kafka_message_t *m = messages[i];
            printf("%s %" PRId32 " %" PRId64 " %.*s\n", gs_lane_topic(lane), m->partition, m->offset, (int)m->len,
                   (const char *)m->payload);
            gs_consumer_store(r->consumer, gs_lane_topic(lane), m->partition, m->offset + 1);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    fflush(stdout);
}

static void failed(void *arg, const struct gs_err *err)
{
    gs_service_fail(((struct reader *)arg)->svc, err);
}

static enum gs_rc create(const char *topic, int partitions, struct gs_err *err)
{
    char text[512];
    rd_kafka_conf_t *conf = gs_kafka_conf_new("test", err);

    if (!conf)
        return GS_REJECT;
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    rd_kafka_NewTopic_t *topic_new = rd_kafka_NewTopic_new(topic, partitions, 1, text, sizeof text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &topic_new, 1, NULL, queue);
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, 30000);
    int ok = ev && rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic_new);
    rd_kafka_destroy(rk);
    return ok ? gs_fail(err, GS_FATAL, "created") : gs_fail(err, GS_FATAL, "not created");
}

static void *start(struct gs_service *svc, struct gs_err *err)
{
    char **args;
    int n = gs_service_args(svc, &args);

    reader.svc = svc;
    if (n == 3 && strcmp(args[0], "create") == 0) {
        create(args[1], atoi(args[2]), err);
        return NULL;
    }
    if (n < 2) {
        gs_fail(err, GS_REJECT, "arguments: GROUP TOPIC ...");
        return NULL;
    }
    const struct gs_consumer_spec spec = {.group = args[0],
                                          .client_id = "reader",
                                          .topics = (const char *const *)args + 1,
                                          .lane_ready = lane_ready,
                                          .failed = failed,
                                          .arg = &reader};
    reader.consumer = gs_consumer_new(gs_service_loop(svc), &spec, err);
    return reader.consumer ? &reader : NULL;
}

static void ready(void *app, struct gs_buf *reasons)
{
    if (!gs_consumer_assigned(((struct reader *)app)->consumer))
        gs_buf_puts(reasons, "not a member yet\n");
}

static void closed(void *arg)
{
    struct reader *r = arg;

    r->consumer = NULL;
    gs_service_drained(r->svc);
}

static void drain(void *app)
{
    gs_consumer_close(((struct reader *)app)->consumer, closed, app);
}

static void stop(void *app)
{
    (void)app;
}

int main(int argc, char **argv)
{
    static const struct gs_env *const tables[] = {gs_kafka_env, NULL};
    const struct gs_service_spec spec = {.name = "kafka-test-reader",
                                         .help = "Reads topics.",
                                         .env = tables,
                                         .start = start,
                                         .ready = ready,
                                         .drain = drain,
                                         .stop = stop};

    return gs_service_main(&spec, argc, argv);
}
