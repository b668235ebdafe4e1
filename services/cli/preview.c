/* A preview: one request straight to the fetch workers, whose answer is shown and forgotten. */
#include "services/cli/link.h"

#include "common/clock.h"
#include "common/event.h"
#include "common/kafka.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/cli/broker.h"
#include "services/cli/db.h"
#include "services/cli/out.h"
#include "services/fetch/preview.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_DEFAULT = 30, WAIT_MAX = 600, POLL_MS = 100 };

/* ---- listening ---- */

static enum cli_exit new_consumer(struct cli *c, rd_kafka_t **ret)
{
    struct gs_err err;
    char text[512];
    rd_kafka_conf_t *conf = gs_kafka_conf_new("cli-preview", &err);

    if (!conf)
        return cli_fail(c, CLI_USAGE, "%s", err.text);
    /* Partitions are assigned by hand: nothing is joined or committed, the name is only asked for. */
    if (rd_kafka_conf_set(conf, "group.id", "goalsync-cli", text, sizeof(text)) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof(text)) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "fetch.wait.max.ms", "50", text, sizeof(text)) != RD_KAFKA_CONF_OK)
        return cli_fail(c, CLI_FAILED, "%s", text);
    *ret = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!*ret)
        return cli_fail(c, CLI_FAILED, "a Kafka client cannot be made: %s", text);
    rd_kafka_poll_set_consumer(*ret);
    return CLI_OK;
}

/* From the ends of the answers as they are now: the answer to a request produced later cannot be missed. */
static enum cli_exit listen_for_answers(struct cli *c, rd_kafka_t **ret)
{
    const struct rd_kafka_metadata *m = cli_broker_metadata(c);
    rd_kafka_topic_partition_list_t *list;
    enum cli_exit rc;

    if (!m)
        return c->code;
    list = cli_broker_partitions(m, FETCH_ANSWERS);
    rd_kafka_metadata_destroy(m);
    if (list->cnt == 0)
        rc = cli_fail(c, CLI_NOT_FOUND, "topic " FETCH_ANSWERS " does not exist; run `goalsync topics create`");
    else
        rc = cli_broker_ends(c, list);
    if (rc == CLI_OK)
        rc = new_consumer(c, ret);
    if (rc == CLI_OK && rd_kafka_assign(*ret, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        rc = cli_fail(c, CLI_FAILED, "the partitions of " FETCH_ANSWERS " cannot be assigned");
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

/* ---- asking ---- */

static enum cli_exit produce(struct cli *c, const struct gs_record *r)
{
    rd_kafka_headers_t *headers = gs_event_headers(&r->event);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = r->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)r->key, r->key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)r->value, r->len}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_error_t *failure = rd_kafka_produceva(c->kafka, parts, sizeof(parts) / sizeof(parts[0]));
    enum cli_exit rc = CLI_OK;

    if (failure) {
        rc = cli_fail(c, CLI_FAILED, "the request could not be queued for topic %s: %s", r->topic,
                      rd_kafka_error_string(failure));
        rd_kafka_headers_destroy(headers); /* ours still */
        rd_kafka_error_destroy(failure);
    } else if (rd_kafka_flush(c->kafka, CLI_BROKER_WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = cli_fail(c, CLI_UNREACHABLE,
                      "the request could not be written to topic %s in time; does it exist? `goalsync topics list`",
                      r->topic);
    }
    return rc;
}

static enum cli_exit ask(struct cli *c, const struct cli_ask *a, const char *id, int64_t wait_us)
{
    char topic[FETCH_TOPIC_MAX], trace[GS_TRACEPARENT_TEXT];
    const struct fetch_question question = {.id = id,
                                            .org_id = a->org_id,
                                            .connection_id = a->connection_id,
                                            .connection_version = a->connection_version,
                                            .settings = a->settings,
                                            .now_us = gs_now_us(),
                                            .wait_us = wait_us};
    size_t len;
    void *bytes = fetch_question_pack(&question, &len);
    enum cli_exit rc;

    gs_traceparent_new(trace);
    fetch_question_topic(a->entry, topic);
    rc = produce(c, &(struct gs_record){.topic = topic,
                                        .key = a->connection,
                                        .key_len = strlen(a->connection),
                                        .value = bytes,
                                        .len = len,
                                        .event = {.id = id,
                                                  .type = "goalsync.fetch.requested.v1",
                                                  .source = "/goalsync/cli",
                                                  .time_us = gs_now_us(),
                                                  .traceparent = trace}});
    free(bytes);
    return rc;
}

/* Null: time is up. */
static struct fetch_answer_message *await(rd_kafka_t *consumer, const char *id, int64_t until_us,
                                          struct fetch_answer *ret)
{
    struct fetch_answer_message *done = NULL;

    while (!done && gs_mono_us() < until_us) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, POLL_MS);
        if (!m)
            continue;
        done = m->err ? NULL : fetch_answer_read(m->payload, m->len, id, ret);
        rd_kafka_message_destroy(m);
    }
    return done;
}

/* ---- showing ---- */

static void print_json(const struct fetch_answer *a)
{
    struct gs_buf b;

    gs_buf_init(&b, CLI_OUT_MAX);
    gs_buf_putc(&b, '{');
    fetch_answer_put_json(a, &b);
    gs_buf_puts(&b, "}\n");
    cli_print_buf(&b);
}

static void print_people(const struct fetch_answer *a)
{
    char number[CLI_NUMBER_TEXT], time[GS_TIME_TEXT];

    printf("value        %s%s%s\n", cli_number(a->value, number), a->unit[0] ? " " : "", a->unit);
    printf("rows seen    %" PRId64 "\n", a->rows_seen);
    printf("source time  %s\n", a->source_at_us ? gs_time_format(a->source_at_us, time) : "not told");
    printf("requests     %d\nelapsed      %d ms\n", a->requests_used, a->elapsed_ms);
    printf("Nothing was stored.\n");
}

static enum cli_exit show(struct cli *c, const struct fetch_answer *a)
{
    if (c->json)
        print_json(a);
    else if (a->ok)
        print_people(a);
    if (a->ok)
        return CLI_OK;
    return cli_fail(c, gs_str_eq(a->outcome, "expired") ? CLI_TIMEOUT : CLI_REFUSED,
                    "the source gave no number (%s): %s", a->outcome, a->error);
}

enum cli_exit cli_preview(struct cli *c, const struct cli_ask *a)
{
    char id[GS_ID_TEXT];
    int64_t seconds, wait_us;
    rd_kafka_t *consumer = NULL;
    struct fetch_answer answer;
    enum cli_exit rc = cli_opt_int(c, "timeout", (struct cli_range){WAIT_DEFAULT, 1, WAIT_MAX}, &seconds);

    if (rc == CLI_OK && a->entry->connector->pushed)
        rc = cli_fail(c, CLI_REFUSED, "%s sends its values by itself; there is nothing to ask",
                      a->entry->connector->label);
    wait_us = rc == CLI_OK ? seconds * 1000000 : 0;
    gs_id_new(id);
    if (rc == CLI_OK)
        rc = cli_broker_open(c);
    if (rc == CLI_OK)
        rc = listen_for_answers(c, &consumer);
    if (rc == CLI_OK)
        rc = ask(c, a, id, wait_us);
    if (rc == CLI_OK) {
        struct fetch_answer_message *done = await(consumer, id, gs_mono_us() + wait_us, &answer);
        rc = done
                 ? show(c, &answer)
                 : cli_fail(c, CLI_TIMEOUT,
                            "no fetch worker answered within %d s; does goalsync-fetch-%s run? `goalsync status` tells",
                            (int)seconds, gs_category_dashed(a->entry->category));
        fetch_answer_free(done);
    }
    if (consumer)
        rd_kafka_destroy(consumer);
    return rc;
}
