/* A request and its answer: memory, parameters, and what operations ask of them. */
#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gw_call *gw_call_new(struct gw_server *server, const char *target)
{
    struct gw_call *c = gs_alloc(sizeof(*c));

    c->server = server;
    atomic_init(&c->refs, 1);
    gs_arena_init(&c->arena, c->first_chunk, sizeof(c->first_chunk));
    gs_buf_init(&c->body, GW_BODY_MAX);
    gs_buf_init(&c->out, GW_ANSWER_MAX);
    c->target = gs_arena_strndup(&c->arena, target, strlen(target));
    c->request_id = "";
    return c;
}

static void drop_later(struct gw_call *c)
{
    if (c->later.free_arg)
        c->later.free_arg(c->later.arg);
    c->later = (struct gw_later){0};
}

void gw_call_unref(struct gw_call *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    drop_later(c);
    gs_json_free(c->json);
    atomic_fetch_sub(&c->server->body_bytes, c->body.len);
    atomic_fetch_sub(&c->server->answer_bytes, c->counted);
    gs_buf_done(&c->body);
    gs_buf_done(&c->out);
    gs_arena_done(&c->arena);
    free(c);
}

void gw_call_reset(struct gw_call *c)
{
    drop_later(c);
    gs_buf_clear(&c->out);
    c->again = c->keep = c->keep_later = c->written = false;
    c->status = c->failure = 0;
    c->answer_type = c->code = c->detail = c->etag = NULL;
    c->n_answer = c->n_limit;
    c->n_faults = 0;
}

const char *gw_call_header(const struct gw_call *c, const char *name)
{
    for (int i = 0; i < c->n_headers; i++)
        if (strcasecmp(c->headers[i].name, name) == 0)
            return c->headers[i].value;
    return NULL;
}

static char *GS_PRINTF(2, 0) call_vprintf(struct gw_call *c, const char *fmt, va_list ap)
{
    char text[2048];
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;

    return gs_arena_strndup(&c->arena, text, len);
}

char *gw_call_printf(struct gw_call *c, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = call_vprintf(c, fmt, ap);
    va_end(ap);
    return text;
}

void gw_call_fault(struct gw_call *c, const char *pointer, const char *detail)
{
    if (c->n_faults < GW_FAULTS_MAX)
        c->faults[c->n_faults++] = (struct gw_fault){gs_arena_strndup(&c->arena, pointer, strlen(pointer)),
                                                     gs_arena_strndup(&c->arena, detail, strlen(detail))};
}

/* ---- the request ---- */

const struct gw_caller *gw_who(const struct gw_call *c)
{
    return &c->who;
}

const char *gw_item(const struct gw_call *c)
{
    return c->item;
}

const char *gw_param(const struct gw_call *c, const char *name)
{
    for (int i = 0; i < c->op->n_params; i++)
        if (gs_str_eq(c->op->params[i].name, name))
            return c->params[i] ? c->params[i] : c->op->params[i].def;
    assert(false && "a parameter that the document does not name");
    return NULL;
}

bool gw_flag(const struct gw_call *c, const char *name)
{
    return gs_str_eq(gw_param(c, name), "true");
}

struct gs_json *gw_body(struct gw_call *c)
{
    return c->json;
}

const char *gw_body_text(const struct gw_call *c, size_t *ret_len)
{
    if (ret_len)
        *ret_len = c->body.len;
    return gs_buf_str(&c->body);
}

const char *gw_content_type(const struct gw_call *c)
{
    return c->content_type;
}

const char *gw_request_id(const struct gw_call *c)
{
    return c->request_id;
}

const char *gw_traceparent(const struct gw_call *c)
{
    return c->traceparent;
}

/* Cookies have no order and no escapes: name=value, then "; ". */
const char *gw_cookie(const struct gw_call *c, const char *name)
{
    const char *at = gw_call_header(c, "Cookie");
    size_t len = strlen(name);

    while (at && *at) {
        size_t pair;
        at += strspn(at, " \t;");
        pair = strcspn(at, ";");
        if (pair > len && memcmp(at, name, len) == 0 && at[len] == '=')
            return gs_arena_strndup(&((struct gw_call *)c)->arena, at + len + 1, pair - len - 1);
        at += pair;
    }
    return NULL;
}

const char *gw_text(struct gw_call *c, const char *pointer)
{
    const char *text;
    size_t len;

    return c->json && gs_json_string(c->json, pointer, &text, &len) ? text : NULL;
}

bool gw_has(struct gw_call *c, const char *pointer)
{
    return c->json && gs_json_type(c->json, pointer) != GS_JSON_MISSING;
}

/* ---- the database ---- */

/* Public operations begin their transaction only when they ask for something. */
static bool enter_transaction(struct gw_call *c)
{
    if (!c->in_transaction)
        c->in_transaction = gs_db_begin(c->db);
    return c->in_transaction;
}

struct gs_db *gw_db(struct gw_call *c)
{
    (void)enter_transaction(c);
    return c->db;
}

static int fail_with(struct gw_call *c, int status, const char *code, const char *detail)
{
    return c->failure = gw_fail(c, status, code, "%s", detail);
}

static int refused(struct gw_call *c, const struct gs_db_error *e)
{
    if (e->ours)
        return fail_with(c, 409, "refused", e->text);
    if (gs_str_eq(e->state, "23505") || gs_str_eq(e->state, "23P01"))
        return fail_with(c, 409, "exists", e->text);
    if (gs_str_eq(e->state, "23503"))
        return fail_with(c, 409, "reference", e->text);
    if (gs_str_eq(e->state, "23514"))
        return c->failure = gw_fail(c, 422, "invalid", "a value is outside what is allowed (%s)", e->constraint);
    return fail_with(c, 422, "invalid", e->text);
}

int gw_db_failed(struct gw_call *c)
{
    const struct gs_db_error *e = gs_db_error(c->db);

    if (e->rc == GS_REJECT)
        return refused(c, e);
    if (e->rc == GS_RETRY) {
        bool waited = gs_str_eq(e->state, "57014") || gs_str_eq(e->state, "55P03");
        c->again = !waited;
        return fail_with(c, 503, "unavailable",
                         waited ? "The database took too long; try again"
                                : "The database cannot be reached; try again");
    }
    gw_log_failure(c, e);
    return fail_with(c, 500, "internal", "A mistake of goalsync's; its log says more under this request's id");
}

PGresult *gw_query(struct gw_call *c, const char *sql, int n, const char *const *params)
{
    PGresult *r = enter_transaction(c) ? gs_db_query(c->db, sql, n, params) : NULL;

    if (!r)
        (void)gw_db_failed(c);
    return r;
}

bool gw_exec(struct gw_call *c, const char *sql, int n, const char *const *params)
{
    PGresult *r = gw_query(c, sql, n, params);

    PQclear(r);
    return r != NULL;
}

int gw_status(const struct gw_call *c)
{
    assert(c->failure);
    return c->failure;
}

bool gw_audit(struct gw_call *c, const char *action, const char *kind, const char *public_id, const char *detail)
{
    static const char sql[] =
        "INSERT INTO audit (org_id, actor, action, target, detail) VALUES (nullif($1, '')::bigint, "
        "$2, $3, $4 || ':' || $5, coalesce($6::jsonb, '{}') || jsonb_build_object('request', $7::text))";
    const struct gw_caller *who = &c->who;
    const char *actor = *who->person_public    ? gw_call_printf(c, "person:%s", who->person_public)
                        : *who->account_public ? gw_call_printf(c, "account:%s", who->account_public)
                                               : "nobody";

    return gw_exec(c, sql, GS_WITH(who->org, actor, action, kind, public_id, detail, c->request_id));
}
