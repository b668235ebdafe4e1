/* Packs questions and reads their answers. */
#include "services/fetch/preview.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"
#include "proto/goalsync/v1/fetch.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void fetch_question_topic(const struct fetch_entry *e, char dst[FETCH_TOPIC_MAX])
{
    snprintf(dst, FETCH_TOPIC_MAX, "fetch.urgent.%s.%s", gs_category_dashed(e->category), e->name);
}

void *fetch_question_pack(const struct fetch_question *q, size_t *ret_len)
{
    Goalsync__V1__FetchRequested request = GOALSYNC__V1__FETCH_REQUESTED__INIT;
    Goalsync__V1__Target target = GOALSYNC__V1__TARGET__INIT, *targets[] = {&target};
    void *bytes;

    /* Packing only reads; the generated structs lack the const. */
    target.settings = (char *)(uintptr_t)q->settings;
    request.request_id = (char *)(uintptr_t)q->id;
    request.org_id = q->org_id;
    request.connection_id = q->connection_id;
    request.connection_version = q->connection_version;
    request.kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_PREVIEW;
    request.requested_at_us = q->now_us;
    request.slot_us = q->now_us;
    request.expires_at_us = q->now_us + q->wait_us;
    request.attempt = 1;
    request.targets = targets;
    request.n_targets = 1;
    *ret_len = goalsync__v1__fetch_requested__get_packed_size(&request);
    bytes = gs_alloc(*ret_len);
    goalsync__v1__fetch_requested__pack(&request, bytes);
    return bytes;
}

/* ---- answers ---- */

static const char *outcome_name(Goalsync__V1__FetchOutcome outcome)
{
    static const char *const names[] = {"unspecified", "ok",   "retry",    "waiting",
                                        "denied",      "gone", "rejected", "expired"};

    return (unsigned)outcome < sizeof(names) / sizeof(names[0]) ? names[outcome] : "unknown";
}

/* The request's outcome holds for its target unless it is OK. */
static void judge(const Goalsync__V1__FetchCompleted *done, struct fetch_answer *ret)
{
    const Goalsync__V1__Observation *o = done->n_observations > 0 ? done->observations[0] : NULL;
    bool own = o && done->outcome == GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK;

    *ret = (struct fetch_answer){
        .ok = own && o->outcome == GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK,
        .outcome = outcome_name(own ? o->outcome : done->outcome),
        .value = "",
        .unit = "",
        .error = own ? o->error : done->error,
        .fetched_at_us = done->fetched_at_us,
        .retry_at_us = done->retry_at_us,
        .requests_used = done->requests_used,
        .elapsed_ms = done->elapsed_ms,
    };
    if (ret->ok) {
        ret->value = o->value;
        ret->unit = o->unit;
    } else if (!ret->error[0]) {
        ret->error = "no reason was told";
    }
    if (o) {
        ret->rows_seen = o->rows_seen;
        ret->source_at_us = o->source_at_us;
    }
}

struct fetch_answer_message *fetch_answer_read(const void *data, size_t len, const char *id, struct fetch_answer *ret)
{
    Goalsync__V1__FetchCompleted *done = goalsync__v1__fetch_completed__unpack(NULL, len, data);

    if (!done)
        return NULL;
    if (id && !gs_str_eq(done->request_id, id)) {
        goalsync__v1__fetch_completed__free_unpacked(done, NULL);
        return NULL;
    }
    judge(done, ret);
    return (struct fetch_answer_message *)done;
}

struct fetch_answer_message *fetch_answer_free(struct fetch_answer_message *m)
{
    goalsync__v1__fetch_completed__free_unpacked((Goalsync__V1__FetchCompleted *)m, NULL);
    return NULL;
}

static void put_time(struct gs_buf *b, const char *name, int64_t us)
{
    char text[GS_TIME_TEXT];

    if (us)
        gs_buf_printf(b, ",\"%s\":\"%s\"", name, gs_time_format(us, text));
    else
        gs_buf_printf(b, ",\"%s\":null", name);
}

void fetch_answer_put_json(const struct fetch_answer *a, struct gs_buf *b)
{
    gs_buf_printf(b, "\"outcome\":\"%s\",\"value\":", a->outcome);
    if (a->ok)
        gs_buf_put_json(b, a->value, strlen(a->value));
    else
        gs_buf_puts(b, "null");
    gs_buf_puts(b, ",\"unit\":");
    gs_buf_put_json(b, a->unit, strlen(a->unit));
    gs_buf_printf(b, ",\"rows_seen\":%" PRId64, a->rows_seen);
    put_time(b, "source_at", a->source_at_us);
    put_time(b, "fetched_at", a->fetched_at_us);
    put_time(b, "retry_at", a->retry_at_us);
    gs_buf_printf(b, ",\"requests_used\":%" PRId32 ",\"elapsed_ms\":%" PRId32 ",\"error\":", a->requests_used,
                  a->elapsed_ms);
    if (a->ok)
        gs_buf_puts(b, "null");
    else
        gs_buf_put_json(b, a->error, strlen(a->error));
}
