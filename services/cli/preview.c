/* A preview: one request straight to the fetch workers, whose answer is shown and forgotten. */
#include "services/cli/link.h"

#include "common/clock.h"
#include "common/event.h"
#include "common/kafka.h"
#include "common/mem.h"
#include "common/str.h"
#include "proto/goalsync/v1/fetch.pb-c.h"
#include "services/cli/broker.h"
#include "services/cli/db.h"
#include "services/cli/out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_DEFAULT = 30, WAIT_MAX = 600, TOPIC_MAX = 200, POLL_MS = 100 };

#define ANSWERS "fetch.answered"

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
    list = cli_broker_partitions(m, ANSWERS);
    rd_kafka_metadata_destroy(m);
    if (list->cnt == 0)
        rc = cli_fail(c, CLI_NOT_FOUND, "topic " ANSWERS " does not exist; run `goalsync topics create`");
    else
        rc = cli_broker_ends(c, list);
    if (rc == CLI_OK)
        rc = new_consumer(c, ret);
    if (rc == CLI_OK && rd_kafka_assign(*ret, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        rc = cli_fail(c, CLI_FAILED, "the partitions of " ANSWERS " cannot be assigned");
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

/* ---- asking ---- */

static void *pack(const struct cli_ask *a, char *id, int64_t wait_us, size_t *ret_len)
{
    Goalsync__V1__FetchRequested request = GOALSYNC__V1__FETCH_REQUESTED__INIT;
    Goalsync__V1__Target target = GOALSYNC__V1__TARGET__INIT, *targets[] = {&target};
    void *bytes;

    target.settings = a->settings;
    request.request_id = id;
    request.org_id = a->org_id;
    request.connection_id = a->connection_id;
    request.connection_version = a->connection_version;
    request.kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_PREVIEW;
    request.requested_at_us = gs_now_us();
    request.slot_us = request.requested_at_us;
    request.expires_at_us = request.requested_at_us + wait_us;
    request.attempt = 1;
    request.targets = targets;
    request.n_targets = 1;
    *ret_len = goalsync__v1__fetch_requested__get_packed_size(&request);
    bytes = gs_alloc(*ret_len);
    goalsync__v1__fetch_requested__pack(&request, bytes);
    return bytes;
}

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

static enum cli_exit ask(struct cli *c, const struct cli_ask *a, char *id, int64_t wait_us)
{
    char topic[TOPIC_MAX], trace[GS_TRACEPARENT_TEXT];
    size_t len;
    void *bytes = pack(a, id, wait_us, &len);
    enum cli_exit rc;

    gs_traceparent_new(trace);
    snprintf(topic, sizeof(topic), "fetch.urgent.%s.%s", gs_category_dashed(a->entry->category), a->entry->name);
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

/* Null: not this message. */
static Goalsync__V1__FetchCompleted *read_answer(const rd_kafka_message_t *m, const char *id)
{
    Goalsync__V1__FetchCompleted *done =
        m->err ? NULL : goalsync__v1__fetch_completed__unpack(NULL, m->len, m->payload);

    if (done && gs_str_eq(done->request_id, id))
        return done;
    goalsync__v1__fetch_completed__free_unpacked(done, NULL);
    return NULL;
}

static Goalsync__V1__FetchCompleted *await(rd_kafka_t *consumer, const char *id, int64_t until_us)
{
    Goalsync__V1__FetchCompleted *done = NULL;

    while (!done && gs_mono_us() < until_us) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, POLL_MS);
        if (!m)
            continue;
        done = read_answer(m, id);
        rd_kafka_message_destroy(m);
    }
    return done;
}

/* ---- showing ---- */

static const char *outcome_name(Goalsync__V1__FetchOutcome outcome)
{
    static const char *const names[] = {"unspecified", "ok",   "retry",    "waiting",
                                        "denied",      "gone", "rejected", "expired"};

    return (unsigned)outcome < sizeof(names) / sizeof(names[0]) ? names[outcome] : "unknown";
}

struct answer {
    Goalsync__V1__FetchOutcome outcome;
    const char *error;
    const Goalsync__V1__Observation *o; /* null: none */
    const Goalsync__V1__FetchCompleted *done;
};

static void put_time(struct gs_buf *b, const char *name, int64_t us)
{
    char text[GS_TIME_TEXT];

    if (us)
        gs_buf_printf(b, ",\"%s\":\"%s\"", name, gs_time_format(us, text));
    else
        gs_buf_printf(b, ",\"%s\":null", name);
}

static void print_json(const struct answer *a)
{
    struct gs_buf b;
    bool ok = a->outcome == GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK;

    gs_buf_init(&b, CLI_OUT_MAX);
    gs_buf_printf(&b, "{\"outcome\":\"%s\",\"value\":", outcome_name(a->outcome));
    if (ok)
        gs_buf_put_json(&b, a->o->value, strlen(a->o->value));
    else
        gs_buf_puts(&b, "null");
    gs_buf_puts(&b, ",\"unit\":");
    gs_buf_put_json(&b, ok ? a->o->unit : "", ok ? strlen(a->o->unit) : 0);
    gs_buf_printf(&b, ",\"rows_seen\":%" PRId64, a->o ? a->o->rows_seen : 0);
    put_time(&b, "source_at", a->o ? a->o->source_at_us : 0);
    put_time(&b, "fetched_at", a->done->fetched_at_us);
    put_time(&b, "retry_at", a->done->retry_at_us);
    gs_buf_printf(&b, ",\"requests_used\":%d,\"elapsed_ms\":%d,\"error\":", a->done->requests_used,
                  a->done->elapsed_ms);
    if (ok)
        gs_buf_puts(&b, "null");
    else
        gs_buf_put_json(&b, a->error, strlen(a->error));
    gs_buf_puts(&b, "}\n");
    cli_print_buf(&b);
}

static void print_people(const struct answer *a)
{
    char number[CLI_NUMBER_TEXT], time[GS_TIME_TEXT];

    printf("value        %s%s%s\n", cli_number(a->o->value, number), a->o->unit[0] ? " " : "", a->o->unit);
    printf("rows seen    %" PRId64 "\n", a->o->rows_seen);
    printf("source time  %s\n", a->o->source_at_us ? gs_time_format(a->o->source_at_us, time) : "not told");
    printf("requests     %d\nelapsed      %d ms\n", a->done->requests_used, a->done->elapsed_ms);
    printf("Nothing was stored.\n");
}

static enum cli_exit show(struct cli *c, const Goalsync__V1__FetchCompleted *done)
{
    struct answer a = {.done = done, .outcome = done->outcome, .error = done->error};
    bool ok;

    if (done->n_observations > 0)
        a.o = done->observations[0];
    if (done->outcome == GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK && a.o) {
        a.outcome = a.o->outcome;
        a.error = a.o->error;
    }
    ok = a.outcome == GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK && a.o;
    if (c->json)
        print_json(&a);
    else if (ok)
        print_people(&a);
    if (ok)
        return CLI_OK;
    return cli_fail(c, a.outcome == GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_EXPIRED ? CLI_TIMEOUT : CLI_REFUSED,
                    "the source gave no number (%s): %s", outcome_name(a.outcome),
                    a.error[0] ? a.error : "no reason was told");
}

enum cli_exit cli_preview(struct cli *c, const struct cli_ask *a)
{
    char id[GS_ID_TEXT];
    int64_t seconds, wait_us;
    rd_kafka_t *consumer = NULL;
    enum cli_exit rc = cli_opt_int(c, "timeout", (struct cli_range){WAIT_DEFAULT, 1, WAIT_MAX}, &seconds);

    wait_us = rc == CLI_OK ? seconds * 1000000 : 0;
    gs_id_new(id);
    if (rc == CLI_OK)
        rc = cli_broker_open(c);
    if (rc == CLI_OK)
        rc = listen_for_answers(c, &consumer);
    if (rc == CLI_OK)
        rc = ask(c, a, id, wait_us);
    if (rc == CLI_OK) {
        Goalsync__V1__FetchCompleted *done = await(consumer, id, gs_mono_us() + wait_us);
        rc = done
                 ? show(c, done)
                 : cli_fail(c, CLI_TIMEOUT,
                            "no fetch worker answered within %d s; does goalsync-fetch-%s run? `goalsync status` tells",
                            (int)seconds, gs_category_dashed(a->entry->category));
        goalsync__v1__fetch_completed__free_unpacked(done, NULL);
    }
    if (consumer)
        rd_kafka_destroy(consumer);
    return rc;
}
