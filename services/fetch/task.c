/* The life of a task: start, replies, outcome. */
#include "services/fetch/task.h"

#include <assert.h>
#include <string.h>

#include "common/auto.h"
#include "common/mem.h"
#include "services/fetch/http_rc.h"
#include "services/fetch/task_state.h"

#define PARSER_KEEP (1024 * 1024) /* a parser that has read a longer body is not kept */

const char *fetch_outcome_name(enum fetch_outcome o)
{
    static const char *const names[FETCH_OUTCOMES] = {"none",   "ok",   "retry",    "waiting",
                                                      "denied", "gone", "rejected", "expired"};

    return (unsigned)o < FETCH_OUTCOMES ? names[o] : "none";
}

enum fetch_outcome fetch_outcome_of(enum gs_rc rc)
{
    switch (rc) {
    case GS_OK:
        return FETCH_OUTCOME_OK;
    case GS_RETRY:
    case GS_FATAL:
        return FETCH_OUTCOME_RETRY;
    case GS_DENIED:
        return FETCH_OUTCOME_DENIED;
    case GS_GONE:
        return FETCH_OUTCOME_GONE;
    case GS_AGAIN:
    case GS_REJECT:
        break;
    }
    return FETCH_OUTCOME_REJECTED;
}

static int exchanges_allowed(const struct fetch_task_spec *spec)
{
    int n = spec->connector->max_exchanges > 0 ? spec->connector->max_exchanges : 1;

    if (spec->max_exchanges > 0 && n > spec->max_exchanges)
        n = spec->max_exchanges;
    return n < FETCH_EXCHANGES_MAX ? n : FETCH_EXCHANGES_MAX;
}

struct fetch_task *fetch_task_new(const struct fetch_task_spec *spec)
{
    size_t head = sizeof(struct fetch_task) + spec->n_targets * sizeof(struct target);
    struct fetch_task *t;

    assert(spec->n_targets >= 1 && spec->n_targets <= FETCH_TARGETS_MAX);
    head = (head + 15) & ~(size_t)15; /* the scratch may hold anything */
    t = gs_alloc(head + spec->connector->scratch);
    t->connector = spec->connector;
    t->connection = spec->connection;
    t->scratch = (char *)t + head;
    t->now_us = spec->now_us;
    t->max_exchanges = exchanges_allowed(spec);
    t->n_targets = spec->n_targets;
    for (size_t i = 0; i < spec->n_targets; i++)
        t->targets[i].settings = spec->targets[i];
    gs_buf_init(&t->base, GS_HTTP_URL_MAX);
    gs_buf_init(&t->url, GS_HTTP_URL_MAX);
    gs_buf_init(&t->text, FETCH_TEXT_MAX);
    return t;
}

struct fetch_task *fetch_task_free(struct fetch_task *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->n_targets; i++)
        gs_freep(&t->targets[i].error);
    gs_buf_done(&t->base);
    gs_buf_done(&t->url);
    gs_buf_done(&t->text);
    gs_freep(&t->origin_text);
    gs_freep(&t);
    return NULL;
}

/* ---- going on ---- */

static bool end(struct fetch_task *t, enum fetch_outcome outcome)
{
    t->outcome = outcome;
    t->asked = false;
    return false;
}

static bool end_failed(struct fetch_task *t, enum gs_rc rc)
{
    if (!t->err.text[0])
        gs_fail(&t->err, rc, "the connector %s gave no reason", t->connector->label);
    if (rc == GS_RETRY && t->waiting)
        return end(t, FETCH_OUTCOME_WAITING);
    return end(t, fetch_outcome_of(rc));
}

/* Every target has a result of its own now; a connector that forgot one must not look like success. */
static bool end_done(struct fetch_task *t)
{
    for (size_t i = 0; i < t->n_targets; i++) {
        if (t->targets[i].outcome == FETCH_OUTCOME_NONE)
            fetch_emit_failure(t, i, GS_REJECT, "the connector %s found no value for this link", t->connector->label);
    }
    return end(t, FETCH_OUTCOME_OK);
}

/* What a connector's start(), reply() or judge() has decided. */
static bool decide(struct fetch_task *t, enum gs_rc rc)
{
    if (t->waiting)
        rc = GS_RETRY;
    if (rc == GS_OK)
        return end_done(t);
    if (rc != GS_AGAIN)
        return end_failed(t, rc);
    rc = fetch_task_ask(t);
    return rc == GS_OK ? true : end_failed(t, rc);
}

bool fetch_task_start(struct fetch_task *t)
{
    assert(t->outcome == FETCH_OUTCOME_NONE && !t->exchanges);
    return decide(t, t->connector->start(t));
}

enum gs_rc fetch_judge(struct fetch_task *t, const struct fetch_reply *r)
{
    struct fetch_judgement j = fetch_http_rc(r, t->now_us, &t->err);

    t->retry_at_us = j.retry_at_us;
    t->waiting = j.outcome == FETCH_OUTCOME_WAITING;
    t->used_up = j.of_budget ? t->budget : NULL;
    return j.outcome == FETCH_OUTCOME_OK ? GS_OK : t->err.rc;
}

static enum gs_rc judge(struct fetch_task *t, const struct fetch_reply *r)
{
    if (t->connector->wire != FETCH_HTTP || (r->status >= 200 && r->status < 300))
        return GS_OK;
    return t->connector->judge ? t->connector->judge(t, r) : fetch_judge(t, r);
}

bool fetch_task_reply(struct fetch_task *t, const struct fetch_reply *r)
{
    assert(t->outcome == FETCH_OUTCOME_NONE && t->exchanges);
    fetch_task_ask_clear(t);
    enum gs_rc rc = judge(t, r);

    if (rc != GS_OK)
        return decide(t, rc);
    return decide(t, t->connector->reply(t, r));
}

void fetch_task_fail(struct fetch_task *t, enum gs_rc rc, const char *why)
{
    gs_fail(&t->err, rc, "%s", why);
    end_failed(t, rc);
}

/* ---- looking at it ---- */

const struct fetch_exchange *fetch_task_exchange(const struct fetch_task *t)
{
    return &t->exchange;
}

int fetch_task_exchanges(const struct fetch_task *t)
{
    return t->exchanges;
}

enum fetch_outcome fetch_task_outcome(const struct fetch_task *t)
{
    return t->outcome;
}

const char *fetch_task_error(const struct fetch_task *t)
{
    return t->outcome == FETCH_OUTCOME_OK ? "" : t->err.text;
}

int64_t fetch_task_retry_at_us(const struct fetch_task *t)
{
    return t->outcome == FETCH_OUTCOME_RETRY || t->outcome == FETCH_OUTCOME_WAITING ? t->retry_at_us : 0;
}

const char *fetch_task_used_up(const struct fetch_task *t)
{
    return t->used_up;
}

void fetch_task_result(const struct fetch_task *t, size_t target, struct fetch_result *ret)
{
    const struct target *g = &t->targets[target];

    ret->outcome = g->outcome;
    ret->value = g->value;
    ret->percent = g->percent;
    ret->error = g->error ? g->error : "";
    ret->source_at_us = g->source_at_us;
    ret->rows_seen = g->rows_seen;
}

/* ---- the connector's view ---- */

const struct fetch_settings *fetch_connection(const struct fetch_task *t)
{
    return t->connection;
}

size_t fetch_targets(const struct fetch_task *t)
{
    return t->n_targets;
}

const struct fetch_settings *fetch_target(const struct fetch_task *t, size_t i)
{
    assert(i < t->n_targets);
    return t->targets[i].settings;
}

const char *fetch_arg(const struct fetch_task *t, const char *name)
{
    return fetch_setting(t->targets[0].settings, name);
}

void *fetch_scratch(struct fetch_task *t)
{
    return t->scratch;
}

struct gs_err *fetch_err(struct fetch_task *t)
{
    return &t->err;
}

int64_t fetch_now_us(const struct fetch_task *t)
{
    return t->now_us;
}

/* One parser for all tasks: a document is good only until the connector's callback returns, and callbacks do not nest.
 */
struct gs_json *fetch_json(struct fetch_task *t, const struct fetch_reply *r)
{
    static struct gs_json *json;
    static bool large;

    if (large)
        json = gs_json_free(json);
    if (!json)
        json = gs_json_new(FETCH_BODY_CEILING, FETCH_JSON_DEPTH);
    large = r->len > PARSER_KEEP;
    return gs_json_parse(json, r->body ? r->body : "", r->len, &t->err) == GS_OK ? json : NULL;
}
