/* API tokens: made, listed, revoked; and the first one. The token itself is in the answer that makes it and nowhere
 * else. */
#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/auth_private.h"
#include "services/gateway/auth_text.h"
#include "services/gateway/goal.h"
#include "services/gateway/ops.h"

#include <stdio.h>
#include <string.h>

#define TOKENS_MAX   1000 /* of one account that are alive */
#define DAYS_DEFAULT 90
#define SCOPES_MAX   8

#define TOKEN_JSON                                                                                                     \
    "json_build_object('id', t.public_id, 'name', t.name, 'hint', t.hint, 'scopes', t.scopes, "                        \
    "'account_id', a.public_id, 'account_name', a.name, 'organisation_id', b.organisation, 'link_id', b.link, "        \
    "'created_at', api_time(t.created_at), 'expires_at', api_time(t.expires_at), "                                     \
    "'last_used_at', api_time(t.last_used_at), 'revoked_at', api_time(t.revoked_at))"
#define TOKEN_FROM " FROM api_token t JOIN account a ON a.id = t.account_id CROSS JOIN LATERAL token_bound(t.id) b "
/* A token that is bound to an organisation sees that one's only. $1: the caller's token or "". */
#define IN_REACH                                                                                                       \
    "(SELECT k.org_id IS NULL OR k.org_id IS NOT DISTINCT FROM t.org_id FROM api_token k WHERE k.id = nullif($1, "     \
    "'')::bigint) IS NOT "                                                                                             \
    "FALSE "

/* ---- making ---- */

struct wish {
    const char *org, *link, *name; /* internal ids or "" */
    const char *maker;             /* the token that makes it, which it cannot outlive; "" */
    unsigned scopes;
    char days[GS_INT_TEXT]; /* "": it never expires */
};

static int read_days(struct gw_call *c, struct wish *w)
{
    struct gs_json *body = gw_body(c);
    int64_t days = DAYS_DEFAULT;
    bool never = false, given = body && gs_json_int(body, "/expires_in_days", &days);

    if (body)
        (void)gs_json_bool(body, "/never_expires", &never);
    w->days[0] = '\0';
    if (!never) {
        gs_int_format(days, w->days);
        return 0;
    }
    if (given)
        return gw_invalid(c, "/never_expires", "and expires_in_days say different things; leave one of them out");
    if (!gw_who(c)->tenant_admin)
        return gw_forbidden(c, "Only a tenant administrator makes tokens that never expire; ask for 365 days at most");
    return 0;
}

static int read_scopes(struct gw_call *c, struct wish *w)
{
    const struct gw_caller *who = gw_who(c);
    char missing[GW_SCOPES_TEXT], pointer[32];
    const char *name;

    w->scopes = 0;
    for (int i = 0; i < SCOPES_MAX; i++) {
        snprintf(pointer, sizeof(pointer), "/scopes/%d", i);
        name = gw_text(c, pointer);
        w->scopes |= name ? gw_scope(name) : 0;
    }
    gw_scopes_format(w->scopes & ~who->scopes, missing);
    if (w->scopes & ~who->scopes)
        return gw_forbidden(c, "Nobody gives a token more than they have; missing here: %s", missing);
    if ((w->scopes & GW_SCOPE_TENANT) && *w->org)
        return gw_invalid(c, "/scopes", "cannot hold tenant: the token is bound to an organisation");
    if ((w->scopes & GW_SCOPE_TENANT) && !who->tenant_admin)
        return gw_forbidden(c, "Only tenant administrators make tokens with the scope tenant");
    return 0;
}

/* A token that is bound makes bound ones only. */
static int check_maker(struct gw_call *c, const struct wish *w)
{
    static const char sql[] =
        "SELECT (SELECT count(*) FROM (SELECT FROM api_token t WHERE t.account_id = $2::bigint AND t.revoked_at IS "
        "NULL "
        "AND (t.expires_at IS NULL OR t.expires_at > now()) LIMIT $4::bigint) x) >= $4::bigint AS full, "
        "(SELECT k.org_id IS NOT NULL AND k.org_id IS DISTINCT FROM nullif($3, '')::bigint FROM api_token k "
        "WHERE k.id = nullif($1, '')::bigint) AS beyond";
    char most[GS_INT_TEXT];

    gs_int_format(TOKENS_MAX, most);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(w->maker, gw_who(c)->account, w->org, most));
    if (!r)
        return gw_status(c);
    if (gs_db_get_bool(r, 0, "beyond"))
        return gw_forbidden(c, "This token is bound to an organisation: what it makes must be, too");
    if (gs_db_get_bool(r, 0, "full"))
        return gw_fail(c, 409, "too-many", "There are %d tokens of yours already; revoke some", TOKENS_MAX);
    return 0;
}

/* The database never sees the token itself: statements may end up in its log. */
static int answer_made(struct gw_call *c, const char *token, const PGresult *shown)
{
    struct gs_buf *b = gw_out(c);
    char location[64];

    gs_buf_clear(b);
    gs_buf_printf(b, "{\"token\":\"%s\",", token);
    gs_buf_puts(b, gs_db_get(shown, 0, "json") + 1);
    snprintf(location, sizeof(location), "/api/v1/tokens/%s", gs_db_get(shown, 0, "public_id"));
    gw_header_set(c, "Location", location);
    gw_header_set(c, "Cache-Control", "no-store");
    return gw_answer_out(c, 201);
}

static int make(struct gw_call *c, const struct wish *w)
{
    static const char insert_sql[] =
        "INSERT INTO api_token (account_id, org_id, link_id, name, token_hash, hint, scopes, expires_at) VALUES "
        "($1::bigint, "
        "nullif($2, '')::bigint, nullif($3, '')::bigint, $4, $5::bytea, $6, $7::text[], "
        "least(now() + make_interval(days => nullif($8, '')::int), "
        "(SELECT k.expires_at FROM api_token k WHERE k.id = nullif($9, '')::bigint))) RETURNING id";
    static const char shown_sql[] =
        "SELECT " TOKEN_JSON " AS json, t.public_id, "
        "jsonb_build_object('name', t.name, 'scopes', t.scopes, 'expires_at', api_time(t.expires_at), "
        "'organisation_id', b.organisation, 'link_id', b.link, "
        "'made_with', (SELECT 'token:' || k.public_id FROM api_token k WHERE k.id = nullif($2, '')::bigint)) AS "
        "detail" TOKEN_FROM "WHERE t.id = $1::bigint";
    char token[GS_TOKEN_LEN + 1], hint[GS_TOKEN_HINT + 1], hash[GW_BYTEA_TEXT], scopes[GW_SCOPES_TEXT];
    unsigned char bytes[32];
    int status;

    gs_token_new(token);
    gs_token_hash(token, bytes);
    gw_bytea(bytes, hash);
    snprintf(hint, sizeof(hint), "%.*s", GS_TOKEN_HINT, token);
    gw_scopes_format(w->scopes, scopes);
    GS_AUTO_RESULT made = gw_query(
        c, insert_sql, GS_WITH(gw_who(c)->account, w->org, w->link, w->name, hash, hint, scopes, w->days, w->maker));
    GS_AUTO_RESULT shown = made ? gw_query(c, shown_sql, GS_WITH(gs_db_get(made, 0, "id"), gw_who(c)->token)) : NULL;
    if (!shown ||
        !gw_audit(c, "token.created", "token", gs_db_get(shown, 0, "public_id"), gs_db_get(shown, 0, "detail")))
        status = gw_status(c);
    else
        status = answer_made(c, token, shown);
    gs_wipe(token, sizeof(token));
    return status;
}

static int create(struct gw_call *c, const char *org)
{
    struct wish w = {.org = org, .link = "", .name = gw_text(c, "/name"), .maker = gw_who(c)->token};
    int status = read_scopes(c, &w);

    if (!status)
        status = read_days(c, &w);
    if (!status)
        status = check_maker(c, &w);
    return status ? status : make(c, &w);
}

static int token_create(struct gw_call *c)
{
    return create(c, "");
}

static int organisation_token_create(struct gw_call *c)
{
    return create(c, gw_who(c)->org);
}

/* ---- of links ---- */

/* Whoever may link the goal may say what pushes to its link. */
static int need_link(struct gw_call *c)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT goal_id FROM link WHERE id = $1::bigint", GS_WITH(gw_item(c)));

    if (!r)
        return gw_status(c);
    return PQntuples(r) == 0 ? gw_not_found(c, "link") : gw_goal_need(c, gs_db_get(r, 0, "goal_id"), GW_CHECK_IN);
}

static int link_token_create(struct gw_call *c)
{
    const struct gw_caller *who = gw_who(c);
    struct wish w = {.org = who->org,
                     .link = gw_item(c),
                     .name = gw_text(c, "/name"),
                     .maker = who->token,
                     .scopes = GW_SCOPE_VALUES};
    int status = need_link(c);

    if (!status)
        status = read_days(c, &w);
    if (!status)
        status = check_maker(c, &w);
    return status ? status : make(c, &w);
}

/* ---- the first one ---- */

static int bootstrap_use(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE api_token SET revoked_at = now() WHERE id = $1::bigint AND revoked_at IS NULL RETURNING public_id";
    const char *name = gw_text(c, "/name");
    struct wish w = {
        .org = "", .link = "", .name = name ? name : "administrator", .maker = "", .scopes = GW_SCOPES_SESSION};
    int status;

    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_who(c)->token));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_fail(c, 409, "used", "This bootstrap token was used already");
    if (!gw_audit(c, "token.revoked", "token", gs_db_get(r, 0, "public_id"), NULL))
        return gw_status(c);
    status = read_days(c, &w);
    return status ? status : make(c, &w);
}

/* ---- seeing and revoking ---- */

static int list(struct gw_call *c, const char *org, const char *link, bool everybodys)
{
    static const char sql[] =
        "SELECT " TOKEN_JSON ", t.id" TOKEN_FROM "WHERE " IN_REACH "AND ($2::boolean OR t.account_id = $3::bigint) "
        "AND ($4 = '' OR t.org_id = nullif($4, '')::bigint) "
        "AND ($5 = '' OR t.link_id = nullif($5, '')::bigint) "
        "AND ($6::bigint IS NULL OR t.id < $6::bigint) ORDER BY t.id DESC LIMIT $7::bigint";
    const struct gw_caller *who = gw_who(c);

    return gw_answer_page(c, gw_query(c, sql,
                                      GS_WITH(who->token, everybodys ? "true" : "false", who->account, org, link,
                                              gw_page_cursor(c), gw_page_rows(c))));
}

static bool administers(const struct gw_caller *who)
{
    return who->role >= GW_ADMIN || who->tenant_admin;
}

static int token_list(struct gw_call *c)
{
    return list(c, "", "", false);
}

static int organisation_token_list(struct gw_call *c)
{
    return list(c, gw_who(c)->org, "", administers(gw_who(c)));
}

static int link_token_list(struct gw_call *c)
{
    int status = need_link(c);

    return status ? status : list(c, gw_who(c)->org, gw_item(c), true);
}

/* One's own, and to administrators those that are bound to their organisation. */
#define MINE                                                                                                           \
    IN_REACH "AND t.id = $2::bigint "                                                                                  \
             "AND (t.account_id = $3::bigint OR ($4::boolean AND t.org_id = nullif($5, '')::bigint)) "

static int token_get(struct gw_call *c)
{
    static const char sql[] = "SELECT " TOKEN_JSON TOKEN_FROM "WHERE " MINE;
    const struct gw_caller *who = gw_who(c);

    return gw_answer(
        c, 200,
        gw_query(c, sql, GS_WITH(who->token, gw_item(c), who->account, administers(who) ? "true" : "false", who->org)));
}

static int token_revoke(struct gw_call *c)
{
    static const char sql[] =
        "WITH found AS (SELECT t.id, t.public_id, t.revoked_at FROM api_token t WHERE " MINE "), "
        "changed AS (UPDATE api_token x SET revoked_at = now() FROM found f WHERE x.id = f.id AND x.revoked_at IS NULL "
        "RETURNING x.id) "
        "SELECT f.public_id, EXISTS (SELECT FROM changed) AS changed FROM found f";
    const struct gw_caller *who = gw_who(c);

    GS_AUTO_RESULT r =
        gw_query(c, sql, GS_WITH(who->token, gw_item(c), who->account, administers(who) ? "true" : "false", who->org));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "token");
    if (gs_db_get_bool(r, 0, "changed") && !gw_audit(c, "token.revoked", "token", gs_db_get(r, 0, "public_id"), NULL))
        return gw_status(c);
    return gw_no_content(c);
}

const struct gw_op gw_ops_token[] = {
    {"token_create", token_create},
    {"token_list", token_list},
    {"token_get", token_get},
    {"token_revoke", token_revoke},
    {"organisation_token_create", organisation_token_create},
    {"organisation_token_list", organisation_token_list},
    {"link_token_create", link_token_create},
    {"link_token_list", link_token_list},
    {"bootstrap_use", bootstrap_use},
    {0},
};
