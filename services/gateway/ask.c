/* Questions to fetch workers and pushed values under way. All of it runs on the loop thread but the making of a struct
 * asked, which an operation does on its own. */
#include "services/gateway/ask.h"

#include "common/clock.h"
#include "common/event.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/str.h"
#include "services/fetch/preview.h"
#include "services/gateway/ask_pack.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASKED_MAX   1000     /* under way at once */
#define LOOK_US     100000   /* between two looks for what is late */
#define TAKEN_US    20000000 /* for the brokers to acknowledge a pushed value */
#define DRAIN_US    5000000  /* for everything, once the gateway is stopping */
#define TIMEOUT_MAX 50       /* seconds; less than GW_LATER_SECONDS, so that it is us who answer */
#define RETRY_AFTER "5"      /* seconds */
#define COMPLETED   "fetch.completed"
#define ID_MAX      64

_Static_assert(TIMEOUT_MAX < GW_LATER_SECONDS && TAKEN_US < TIMEOUT_MAX * 1000000, "every call is answered in time");
_Static_assert(ID_MAX >= GS_ID_TEXT && ID_MAX >= GW_VALUE_ID_TEXT, "ids fit");

enum kind { PREVIEW, TEST, PUSH };

/* A call that waits. The call owns it (gw_later); listed from its start to its answer. */
struct asked {
    struct asked *next, *prev;
    struct gw_call *call;
    enum kind kind;
    char id[ID_MAX], key[GW_ID_TEXT];
    char topic[FETCH_TOPIC_MAX];
    void *message;
    size_t len;
    int64_t until_us;
    char shown[200];        /* of a push: the answer. Of a question: the category whose worker is waited for */
    struct gw_guess *guess; /* null: of no goal */
};

static int64_t timeout_us;

const struct gs_env gw_ask_env[] = {
    {"GOALSYNC_GATEWAY_PREVIEW_TIMEOUT", GS_ENV_SECONDS, &timeout_us, "30s", 1, TIMEOUT_MAX,
     "how long a preview waits for a fetch worker's answer"},
    GS_ENV_END,
};

/* The process has one, like its sign-in. */
static struct {
    struct gs_producer *producer;
    struct gs_tail *answers;
    struct gs_timer *timer;
    struct asked *first;
    size_t n;
    int64_t drain_until_us; /* 0: not draining */
    struct gs_metric *finished[3][2];
} asker;

static const struct gs_log_ctx log_ctx = {.topic = "ask"};

/* ---- what waits ---- */

static void list_add(struct asked *a)
{
    a->prev = NULL;
    a->next = asker.first;
    if (a->next)
        a->next->prev = a;
    asker.first = a;
    asker.n++;
}

static void list_remove(struct asked *a)
{
    if (a->prev)
        a->prev->next = a->next;
    else
        asker.first = a->next;
    if (a->next)
        a->next->prev = a->prev;
    asker.n--;
}

static struct asked *find(const char *id, size_t len)
{
    for (struct asked *a = asker.first; a; a = a->next)
        if (strlen(a->id) == len && memcmp(a->id, id, len) == 0)
            return a;
    return NULL;
}

static void free_asked(void *arg)
{
    struct asked *a = arg;

    free(a->message);
    free(a->guess);
    free(a);
}

/* The last of it: the call, and a with it, may be gone when this returns. */
static void finish(struct asked *a, int status)
{
    gs_metric_add(asker.finished[a->kind][status < 400], 1);
    gw_finish(a->call, status);
}

static void end(struct asked *a, int status)
{
    list_remove(a);
    finish(a, status);
}

static int away(struct gw_call *c, const char *why)
{
    gw_header_set(c, "Retry-After", RETRY_AFTER);
    return gw_fail(c, 503, "kafka-unavailable", "%s", why);
}

/* ---- too late ---- */

static int too_late(struct asked *a)
{
    if (a->kind == PUSH)
        return away(a->call,
                    "Kafka has not acknowledged the value; it may have been taken. Send it again with the same "
                    "Idempotency-Key: it counts once");
    if (asker.drain_until_us)
        return away(a->call, "This gateway is stopping; ask again");
    gw_header_set(a->call, "Retry-After", RETRY_AFTER);
    return gw_fail(a->call, 504, "no-answer",
                   "No fetch worker answered within %d s; goalsync-fetch-%s may not run, or have much to do. Try again",
                   (int)(timeout_us / 1000000), a->shown);
}

static void on_timer(void *arg)
{
    int64_t now_us = gs_mono_us();

    (void)arg;
    for (struct asked *a = asker.first, *next; a; a = next) {
        next = a->next;
        if (a->until_us <= now_us || (asker.drain_until_us && asker.drain_until_us <= now_us))
            end(a, too_late(a));
    }
    if (!asker.first)
        gs_timer_stop(asker.timer);
}

/* ---- answers ---- */

static void put_guess(const struct gw_guess *guess, const char *value, struct gs_buf *b)
{
    struct gs_goal goal = guess->goal;
    char text[GS_DEC_TEXT];
    struct gs_dec d;

    if (gs_dec_parse(value, strlen(value), &d, NULL) != GS_OK) {
        gs_buf_puts(b, "null");
        return;
    }
    goal.mode = GS_DATA_SOURCE;
    goal.unit = guess->unit;
    (void)gs_goal_apply_auto(&goal, &d, &guess->rules);
    gs_percent_for_api(goal.progress, text);
    gs_buf_printf(b, "{\"progress\":\"%s\",\"status\":\"%s\",\"overridden\":%s}", text,
                  gs_goal_status_name(goal.status), goal.override == GS_NOT_OVERRIDDEN ? "false" : "true");
}

static int show_preview(struct asked *a, const struct fetch_answer *answer)
{
    struct gs_buf *b = gw_out(a->call);

    gs_buf_clear(b);
    gs_buf_putc(b, '{');
    fetch_answer_put_json(answer, b);
    gs_buf_puts(b, ",\"goal\":");
    if (a->guess && answer->ok)
        put_guess(a->guess, answer->value, b);
    else
        gs_buf_puts(b, "null");
    gs_buf_putc(b, '}');
    return gw_answer_out(a->call, 200);
}

static int show_test(struct asked *a, const struct fetch_answer *answer)
{
    struct gs_buf *b = gw_out(a->call);

    gs_buf_clear(b);
    gs_buf_printf(b, "{\"ok\":%s,\"outcome\":\"%s\",\"error\":", answer->ok ? "true" : "false", answer->outcome);
    if (answer->ok)
        gs_buf_puts(b, "null");
    else
        gs_buf_put_json(b, answer->error, strlen(answer->error));
    gs_buf_printf(b, ",\"requests_used\":%" PRId32 ",\"elapsed_ms\":%" PRId32 "}", answer->requests_used,
                  answer->elapsed_ms);
    return gw_answer_out(a->call, 200);
}

/* Every answer to anybody comes by here; the key tells whose it is. */
static void on_answer(void *arg, const rd_kafka_message_t *m)
{
    struct asked *a = m->key ? find(m->key, m->key_len) : NULL;
    struct fetch_answer answer;

    (void)arg;
    if (!a || a->kind == PUSH)
        return;
    struct fetch_answer_message *read = fetch_answer_read(m->payload, m->len, a->id, &answer);
    if (!read) {
        gs_log_warn(&log_ctx, "unreadable answer", "request=%s bytes=%zu", a->id, m->len);
        return;
    }
    int status = a->kind == TEST ? show_test(a, &answer) : show_preview(a, &answer);
    fetch_answer_free(read);
    end(a, status);
}

/* ---- sending ---- */

static int show_taken(struct asked *a)
{
    struct gs_buf *b = gw_out(a->call);

    gs_buf_clear(b);
    gs_buf_puts(b, a->shown);
    return gw_answer_out(a->call, 202);
}

/* What waits for the report is looked up again: its answer, or the end of its time, may have come first. */
static void on_delivered(void *arg, enum gs_rc rc, const char *err)
{
    GS_AUTO(gs_freep) char *id = arg;
    struct asked *a = find(id, strlen(id));

    if (rc != GS_OK)
        gs_log_warn(&log_ctx, "not sent", "request=%s error=\"%s\"", id, err);
    if (!a)
        return;
    if (rc != GS_OK)
        end(a, away(a->call, "Kafka did not take the request; try again"));
    else if (a->kind == PUSH)
        end(a, show_taken(a));
}

static enum gs_rc produce(struct asked *a)
{
    char trace[GS_TRACEPARENT_TEXT];
    struct gs_err err;

    gs_traceparent_child(gw_traceparent(a->call), trace);
    const struct gs_record r = {
        .topic = a->topic,
        .key = a->key,
        .key_len = strlen(a->key),
        .value = a->message,
        .len = a->len,
        .event = {.id = a->id,
                  .type = a->kind == PUSH ? "goalsync.fetch.completed.v1" : "goalsync.fetch.requested.v1",
                  .source = "/goalsync/gateway",
                  .time_us = gs_now_us(),
                  .traceparent = trace},
    };
    char *id = gs_strdup(a->id);
    enum gs_rc rc = gs_producer_send(asker.producer, &r, on_delivered, id, &err);
    if (rc != GS_OK)
        free(id);
    return rc;
}

static void start(void *arg, struct gw_call *c)
{
    struct asked *a = arg;
    const char *why = NULL;

    a->call = c;
    if (!asker.producer)
        why = "This gateway is stopping; try again";
    else if (asker.n == ASKED_MAX)
        why = "Too many requests wait for the fetch workers already; try again";
    else if (!gs_producer_connected(asker.producer) || (a->kind != PUSH && !gs_tail_follows(asker.answers)))
        why = "Kafka cannot be reached; nothing was done. Try again";
    else if (produce(a) != GS_OK)
        why = "Kafka did not take the request; nothing was done. Try again";
    if (why) {
        finish(a, away(c, why));
        return;
    }
    a->until_us = gs_mono_us() + (a->kind == PUSH ? TAKEN_US : timeout_us);
    if (!asker.first)
        gs_timer_start(asker.timer, LOOK_US, LOOK_US);
    list_add(a);
}

/* ---- operations; on their threads ---- */

static struct asked *new_question(const struct gw_source *s, enum kind kind)
{
    struct asked *a = gs_alloc(sizeof(*a));
    char id[GS_ID_TEXT];

    gs_id_new(id);
    const struct fetch_question question = {.id = id,
                                            .org_id = s->org_id,
                                            .connection_id = s->connection_id,
                                            .connection_version = s->connection_version,
                                            .settings = s->settings,
                                            .now_us = gs_now_us(),
                                            .wait_us = timeout_us};
    a->kind = kind;
    a->message = fetch_question_pack(&question, &a->len);
    snprintf(a->id, sizeof(a->id), "%s", id);
    snprintf(a->key, sizeof(a->key), "%s", s->connection);
    snprintf(a->shown, sizeof(a->shown), "%s", gs_category_dashed(s->entry->category));
    fetch_question_topic(s->entry, a->topic);
    return a;
}

int gw_ask_preview(struct gw_call *c, const struct gw_source *s, const struct gw_guess *guess)
{
    struct asked *a = new_question(s, PREVIEW);

    if (guess) {
        a->guess = gs_alloc(sizeof(*a->guess));
        *a->guess = *guess;
    }
    return gw_later(c, start, a, free_asked);
}

int gw_ask_test(struct gw_call *c, const struct gw_source *s)
{
    return gw_later(c, start, new_question(s, TEST), free_asked);
}

int gw_ask_push(struct gw_call *c, const struct gw_value *v)
{
    struct asked *a = gs_alloc(sizeof(*a));
    char value[GS_DEC_TEXT], slot[GS_TIME_TEXT];

    gs_dec_format(v->value, value);
    a->kind = PUSH;
    gw_value_id(v, a->id);
    a->message = gw_value_pack(v, a->id, gs_now_us(), &a->len);
    snprintf(a->topic, sizeof(a->topic), "%s", COMPLETED);
    snprintf(a->key, sizeof(a->key), "%" PRId64, v->batch_id); /* one link's values stay in order */
    snprintf(a->shown, sizeof(a->shown), "{\"link_id\":\"%s\",\"value\":\"%s\",\"accepted_at\":\"%s\"}", v->link_public,
             value, gs_time_format(v->slot_us, slot));
    return gw_later(c, start, a, free_asked);
}

/* ---- life ---- */

static void make_metrics(void)
{
    static const char *const kinds[] = {"preview", "test", "push"};
    char labels[80];

    for (int kind = PREVIEW; kind <= PUSH; kind++)
        for (int good = 0; good < 2; good++) {
            snprintf(labels, sizeof(labels), "kind=\"%s\",answered=\"%s\"", kinds[kind], good ? "yes" : "no");
            asker.finished[kind][good] =
                gs_counter("goalsync_gateway_asked_total", labels, "requests that waited for Kafka");
        }
}

enum gs_rc gw_ask_start(uv_loop_t *loop, struct gs_err *err)
{
    make_metrics();
    /* Whether http:// and unencrypted databases are allowed is the workers' setting; they refuse them themselves. */
    fetch_settings_allow_plain(true);
    asker.producer = gs_producer_new(loop, "gateway", err);
    if (!asker.producer)
        return GS_REJECT;
    asker.answers = gs_tail_new(loop, "goalsync-gateway", FETCH_ANSWERS, on_answer, NULL, err);
    if (!asker.answers)
        return GS_REJECT;
    asker.timer = gs_timer_new(loop, on_timer, NULL);
    return GS_OK;
}

void gw_ask_drain(void)
{
    asker.drain_until_us = gs_mono_us() + DRAIN_US;
}

void gw_ask_stop(void)
{
    /* First: what is still queued is reported, and then answered. */
    asker.producer = gs_producer_free(asker.producer);
    asker.answers = gs_tail_free(asker.answers);
    while (asker.first)
        end(asker.first, away(asker.first->call, "This gateway is stopping; try again"));
    asker.timer = gs_timer_free(asker.timer);
}
