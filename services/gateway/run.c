/* Carrying a request out, on a worker thread: who calls, may they, is it as the document says, then the operation, in
 * one transaction, again when that lost a race. */
#include "common/log.h"
#include "common/str.h"
#include "services/gateway/cursor.h"
#include "services/gateway/idempotency.h"
#include "services/gateway/limit.h"
#include "services/gateway/private.h"
#include "services/gateway/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gw_log_failure(const struct gw_call *c, const struct gs_db_error *e)
{
    const struct gs_log_ctx ctx = {.topic = "gateway"};

    gs_log_error(&ctx, "operation failed", "operation=%s request=%s state=%s error=\"%s\"", c->op->id, c->request_id,
                 e->state, e->text);
}

/* ---- who calls ---- */

static void copy_id(char *dst, size_t size, const PGresult *r, const char *column)
{
    snprintf(dst, size, "%s", gs_db_get(r, 0, column));
}

static void read_caller(struct gw_call *c, const PGresult *r)
{
    struct gw_caller *who = &c->who;
    const char *role = gs_db_get(r, 0, "role");

    copy_id(who->account, sizeof(who->account), r, "account_id");
    copy_id(who->account_public, sizeof(who->account_public), r, "account_public");
    copy_id(who->person, sizeof(who->person), r, "person_id");
    copy_id(who->person_public, sizeof(who->person_public), r, "person_public");
    copy_id(who->org, sizeof(who->org), r, "org_id");
    copy_id(who->org_public, sizeof(who->org_public), r, "org_public");
    copy_id(who->token, sizeof(who->token), r, "token_id");
    copy_id(who->token_link, sizeof(who->token_link), r, "token_link_id");
    copy_id(who->email, sizeof(who->email), r, "email");
    copy_id(c->item, sizeof(c->item), r, "item_id");
    who->tenant_admin = gs_db_get_bool(r, 0, "tenant_admin");
    who->role = gs_str_eq(role, "owner")    ? GW_OWNER
                : gs_str_eq(role, "admin")  ? GW_ADMIN
                : gs_str_eq(role, "member") ? GW_MEMBER
                                            : GW_NO_ROLE;
    who->scopes = c->proof.kind == GW_TOKEN ? gw_scopes(gs_db_get(r, 0, "scopes"))
                  : c->proof.kind == GW_JWT ? c->proof.scopes
                                            : GW_SCOPES_SESSION;
}

static int unauthorized(struct gw_call *c, const char *why)
{
    gw_header_set(c, "WWW-Authenticate", "Bearer realm=\"goalsync\"");
    return gw_fail(c, 401, "unauthorized", "%s", why);
}

static void bytea(const unsigned char hash[32], char dst[2 + 64 + 1])
{
    memcpy(dst, "\\x", 2);
    gs_hex_encode(hash, 32, dst + 2);
}

/* From here on the transaction sees the caller's organisation alone. 0, or the status of a refusal. */
static int enter(struct gw_call *c)
{
    static const char sql[] =
        "SELECT account_id, account_public, email, tenant_admin, token_id, scopes, token_link_id, org_id, org_public, "
        "person_id, person_public, role, item_id FROM gateway_enter($1::bytea, $2::bytea, $3::bigint, $4, $5::uuid)";
    char hash[2 + 64 + 1], account[GW_ID_TEXT];
    enum gw_proof_kind kind = c->proof.kind;
    PGresult *r;

    bytea(c->proof.hash, hash);
    snprintf(account, sizeof(account), "%lld", (long long)c->proof.account);
    r = gw_query(c, sql,
                 GS_WITH(kind == GW_TOKEN ? hash : NULL, kind == GW_SESSION ? hash : NULL,
                         kind == GW_JWT ? account : NULL, c->op->kind, c->op->kind ? c->params[0] : NULL));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 1)
        read_caller(c, r);
    PQclear(r);
    if (*c->who.account)
        return 0;
    return c->op->access & GW_PUBLIC
               ? 0
               : unauthorized(c, kind == GW_NO_PROOF
                                     ? "Nobody is signed in: send an API token as \"Authorization: Bearer ...\""
                                     : "The token or session is not valid (any more); sign in again");
}

/* Reads Authorization and Cookie. 0, or the status of a refusal. */
static int prove(struct gw_call *c)
{
    const char *authorization = gw_call_header(c, "Authorization"), *cookie = gw_call_header(c, "Cookie");
    struct gs_err err = {.text = ""};
    enum gs_rc rc = gw_auth_read(c->db, authorization, cookie, &c->proof, &err);

    if (rc == GS_OK)
        return 0;
    c->proof = (struct gw_proof){.kind = GW_NO_PROOF};
    if (c->op->access & GW_PUBLIC)
        return 0;
    if (rc == GS_RETRY) {
        gw_header_set(c, "Retry-After", "5");
        return gw_fail(c, 503, "unavailable", "%s", err.text);
    }
    return unauthorized(c, err.text);
}

/* ---- may they ---- */

/* A token of a link can do one thing. */
static int check_link_token(struct gw_call *c)
{
    if (gs_str_eq(c->op->scope, "values") && gs_str_eq(c->op->kind, "link") && gs_str_eq(c->item, c->who.token_link))
        return 0;
    return gw_forbidden(c, "This token may do nothing but push values to its own link");
}

static int check_scope(struct gw_call *c)
{
    unsigned enough = gw_scope(c->op->scope);

    if (enough == GW_SCOPE_VALUES) /* a link's own; who changes links may push to them, too */
        enough |= GW_SCOPE_WRITE;
    if (!*c->op->scope || (c->who.scopes & enough))
        return 0;
    return gw_forbidden(c, "The token lacks the scope \"%s\"; make one that has it", c->op->scope);
}

static bool has_access(const struct gw_call *c)
{
    static const unsigned by_role[] = {
        [GW_NO_ROLE] = 0, [GW_MEMBER] = GW_ANY_MEMBER, [GW_ADMIN] = GW_ANY_ADMIN, [GW_OWNER] = GW_ANY_OWNER};
    unsigned has = by_role[c->who.role] | GW_PUBLIC | GW_SIGNED_IN | (c->who.tenant_admin ? GW_TENANT_ADMIN : 0);

    return c->op->access & has;
}

/* Another host of the same site could make a browser send its session's cookie. */
static int check_origin(struct gw_call *c)
{
    const char *site = gw_call_header(c, "Sec-Fetch-Site"), *origin = gw_call_header(c, "Origin");

    if (c->proof.kind != GW_SESSION || gs_str_eq(c->op->method, "GET"))
        return 0;
    if (site ? gs_str_eq(site, "same-origin") || gs_str_eq(site, "none") : gw_auth_origin_allowed(origin))
        return 0;
    return gw_forbidden(c,
                        "A browser's session is taken from pages of goalsync's own origin only; elsewhere use a token");
}

static int check_access(struct gw_call *c)
{
    int status;

    if (c->op->access & GW_PUBLIC)
        return check_origin(c);
    if (c->op->kind && !*c->item)
        return gw_not_found(c, c->op->kind);
    status = *c->who.token_link ? check_link_token(c) : check_scope(c);
    if (status)
        return status;
    if (!has_access(c))
        return gw_forbidden(c, "Your role does not allow this: it takes %s",
                            c->op->access & GW_ANY_MEMBER  ? "a member of the organisation"
                            : c->op->access & GW_ANY_ADMIN ? "an admin or owner of the organisation"
                            : c->op->access & GW_ANY_OWNER ? "an owner of the organisation"
                                                           : "a tenant administrator");
    return check_origin(c);
}

/* ---- is it as the document says ---- */

struct place {
    struct gw_call *c;
    const char *prefix, *name;
};

static void note_param(void *arg, const char *pointer, const char *detail)
{
    const struct place *p = arg;

    (void)pointer;
    gw_call_fault(p->c, gw_call_printf(p->c, "#%s/%s", p->prefix, p->name), detail);
}

static void note_member(void *arg, const char *pointer, const char *detail)
{
    gw_call_fault(arg, pointer, detail);
}

static bool check_param(struct gw_call *c, int i)
{
    static const char *const places[] = {"path", "query", "header"};
    const struct gw_param_spec *p = &c->op->params[i];
    struct place place = {c, places[p->in], p->name};

    if (!c->params[i]) {
        if (p->required)
            note_param(&place, "", "is missing");
        return !p->required;
    }
    return gw_schema_check_text(p->schema, c->params[i], note_param, &place);
}

static int invalid(struct gw_call *c, int status)
{
    const struct gw_fault *f = &c->faults[0];

    return gw_fail(c, status, "invalid", "%s %s%s", *f->pointer ? f->pointer : "The body", f->detail,
                   c->n_faults > 1 ? "; and more, see errors" : "");
}

/* A path whose parameter cannot be the id of anything names nothing. */
static int check_params(struct gw_call *c, bool path)
{
    bool ok = true;

    for (int i = 0; i < c->op->n_params; i++)
        if ((c->op->params[i].in == GW_IN_PATH) == path)
            ok &= check_param(c, i);
    if (ok)
        return 0;
    if (!path)
        return invalid(c, 400);
    c->n_faults = 0;
    return gw_not_found(c, c->op->kind);
}

static int open_cursor(struct gw_call *c)
{
    struct gs_buf text;
    const char *given = NULL;

    for (int i = 0; i < c->op->n_params; i++)
        if (gs_str_eq(c->op->params[i].name, "cursor"))
            given = c->params[i];
    c->cursor = NULL;
    if (!given)
        return 0;
    gs_buf_init(&text, GW_TARGET_MAX);
    if (gw_cursor_open(given, c->op->id, &text))
        c->cursor = gs_arena_strndup(&c->arena, gs_buf_str(&text), text.len);
    gs_buf_done(&text);
    if (c->cursor)
        return 0;
    gw_call_fault(c, "#query/cursor", "is none that this list gave out; begin without one");
    return invalid(c, 422);
}

static bool is_json(const struct gw_call *c)
{
    return gs_str_eq(c->content_type, "application/json") || gs_str_eq(c->content_type, "application/merge-patch+json");
}

static int check_json(struct gw_call *c, struct gs_json **j)
{
    struct gs_err err;

    if (!*j)
        *j = gs_json_new(GW_IMPORT_MAX, GW_DEPTH_MAX);
    if (gs_json_parse(*j, gs_buf_str(&c->body), c->body.len, &err) != GS_OK)
        return gw_fail(c, 400, "malformed", "The body: %s", err.text);
    if (!gw_schema_clean(*j, note_member, c) || !gw_schema_check(c->op->body_schema, *j, note_member, c))
        return invalid(c, 422);
    c->json = *j;
    *j = NULL;
    return 0;
}

/* The parser goes from the worker to the call and, when the call is done here, back. */
static int check_body(struct gw_call *c)
{
    if (c->json || !c->op->body)
        return 0;
    if (c->body.len == 0) {
        if (!c->op->body_required)
            return 0;
        return gw_fail(c, 400, "malformed", "This request needs a body");
    }
    return c->op->body_schema && is_json(c) ? check_json(c, &c->worker->json) : 0;
}

/* ---- the operation ---- */

static int run_operation(struct gw_call *c)
{
    int status = check_params(c, true);

    if (!status)
        status = prove(c);
    if (!status && (c->proof.kind != GW_NO_PROOF || !(c->op->access & GW_PUBLIC)))
        status = enter(c);
    if (status)
        return status;
    if (*c->who.account)
        gw_limit_known(c);
    status = check_access(c);
    if (!status)
        status = check_params(c, false);
    if (!status)
        status = open_cursor(c);
    if (!status)
        status = check_body(c);
    return status ? status : gw_idempotent(c, c->op->run);
}

/* Not modified: the caller has this revision. */
static int apply_etag(struct gw_call *c, int status)
{
    const char *given = gw_call_header(c, "If-None-Match");

    if (!c->etag || status >= 300 || !gs_str_eq(c->op->method, "GET") || !given ||
        !gw_etag_listed(given, c->etag, true))
        return status;
    gs_buf_clear(&c->out);
    return 304;
}

/* Whether the commit was carried out is unknown when the connection is lost in it: what has effects is not done again,
 * but for those that carry a key by which they can be found. */
static int commit(struct gw_call *c, int status)
{
    if (!c->in_transaction || gs_db_commit(c->db))
        return status;
    status = gw_db_failed(c);
    if (gs_db_error(c->db)->rc == GS_RETRY && !*gs_db_error(c->db)->state && !gs_str_eq(c->op->method, "GET") &&
        !gw_call_header(c, "Idempotency-Key")) {
        c->again = false;
        return gw_fail(c, 503, "unknown",
                       "The database was lost at the very end: look whether it was done, then try again");
    }
    return status;
}

static int attempt(struct gw_call *c)
{
    int status;

    gw_call_reset(c);
    c->in_transaction = false;
    c->who = (struct gw_caller){.role = GW_NO_ROLE};
    c->item[0] = '\0';
    status = run_operation(c);
    if (status < 400 || (c->keep && !c->again)) /* keep: a refusal that is stored under the request's key */
        status = commit(c, status);
    gs_db_rollback(c->db);
    c->in_transaction = false;
    return status;
}

void gw_run(struct gw_worker *w, struct gw_call *c)
{
    c->worker = w;
    c->db = w->db;
    for (int i = 0; i < GW_ATTEMPTS; i++) {
        c->status = attempt(c);
        if (!c->again)
            break;
    }
    c->worker = NULL;
    c->db = NULL;
    if (c->status == 0) {
        gw_server_later(c);
        return;
    }
    c->status = apply_etag(c, c->status);
    if (c->json && !w->json) {
        w->json = c->json;
        c->json = NULL;
    }
    gw_http_resume(c);
}

void gw_run_answered(struct gw_worker *w, struct gw_call *c)
{
    c->db = w->db;
    gw_idempotent_later(c);
    c->db = NULL;
    gw_http_resume(c);
    gw_call_unref(c);
}
