/* The tenant: who may create organisations, which integrations there are, who administers it, and its organisations. */
#include "services/gateway/ops.h"

#include "common/auto.h"
#include "common/str.h"
#include "services/fetch/systems.h"
#include "services/fetch/catalogue.h"
#include "services/gateway/person.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 64 * 1024 }; /* bytes of all integrations' names */

#define ACCOUNT_JSON                                                                                                   \
    "json_build_object('id', a.public_id, 'name', a.name, 'email', a.email, 'signed_in_at', api_time(a.signed_in_at))"

static int show(struct gw_call *c)
{
    static const char sql[] =
        "SELECT json_build_object('org_creation', t.org_creation, 'creators', (SELECT coalesce(json_agg(x.email ORDER "
        "BY x.email), '[]') FROM tenant_creator x), 'integrations', t.integrations, 'allowed', (SELECT "
        "coalesce(json_object_agg(p.connector, p.allowed ORDER BY p.connector), '{}') FROM integration_policy p), "
        "'changed_at', api_time(t.changed_at), 'revision', t.revision), t.revision FROM tenant t";
    PGresult *r = gw_query(c, sql, GS_NO_PARAMS);

    if (r)
        gw_etag(c, gs_db_get(r, 0, "revision"));
    return gw_answer(c, 200, r);
}

/* ---- settings ---- */

/* {"github","jira",...}: what the map may name. */
static void put_names(struct gs_buf *b)
{
    gs_buf_putc(b, '{');
    for (const struct fetch_system *s = fetch_systems; s->name; s++)
        gs_buf_printf(b, "%s\"%s\"", b->len > 1 ? "," : "", s->name);
    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++)
        gs_buf_printf(b, ",\"%s\"", e->name);
    gs_buf_putc(b, '}');
}

static int need_known(struct gw_call *c)
{
    static const char sql[] =
        "SELECT k FROM jsonb_object_keys(coalesce(nullif($1::jsonb->'allowed', 'null'), '{}')) k WHERE NOT k = ANY "
        "($2::text[]) AND NOT EXISTS (SELECT FROM integration_policy p WHERE p.connector = k) LIMIT 1";
    GS_AUTO(gs_buf_done) struct gs_buf names;

    gs_buf_init(&names, NAMES_MAX);
    put_names(&names);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_body_text(c, NULL), gs_buf_str(&names)));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return 0;
    return gw_invalid(c, "/allowed",
                      "there is no integration \"%s\"; an organisation's list of integrations shows them",
                      PQgetvalue(r, 0, 0));
}

/* The list before the mode, so that no gate opens in between that is closed in the end. */
static const char *const edit_sql[] = {
    "DELETE FROM tenant_creator WHERE jsonb_typeof($1::jsonb->'creators') = 'array'",
    "INSERT INTO tenant_creator (email) SELECT DISTINCT lower(e) FROM jsonb_array_elements_text(CASE "
    "jsonb_typeof($1::jsonb->'creators') WHEN 'array' THEN $1::jsonb->'creators' ELSE '[]' END) e",
    "DELETE FROM integration_policy p WHERE $1::jsonb->'allowed'->p.connector = 'null'",
    "INSERT INTO integration_policy (connector, allowed) SELECT k, v::boolean FROM "
    "jsonb_each_text(coalesce(nullif($1::jsonb->'allowed', 'null'), '{}')) e(k, v) WHERE v IS NOT NULL ON CONFLICT "
    "(connector) DO UPDATE SET allowed = EXCLUDED.allowed, changed_at = now()",
    "UPDATE tenant SET org_creation = coalesce(($1::jsonb->>'org_creation')::org_creation, org_creation), "
    "integrations = coalesce(($1::jsonb->>'integrations')::integrations_allowed, integrations), changed_at = now()",
};

static int tenant_get(struct gw_call *c)
{
    return show(c);
}

static int tenant_edit(struct gw_call *c)
{
    const char *body = gw_body_text(c, NULL);
    GS_AUTO_RESULT r = gw_query(c, "SELECT revision FROM tenant FOR UPDATE", GS_NO_PARAMS);
    int status = r ? gw_match(c, gs_db_get(r, 0, "revision")) : gw_status(c);

    if (!status)
        status = need_known(c);
    for (size_t i = 0; i < sizeof(edit_sql) / sizeof(*edit_sql) && !status; i++)
        if (!gw_exec(c, edit_sql[i], GS_WITH(body)))
            status = gw_status(c);
    if (!status && !gw_audit(c, "tenant.edited", "tenant", "settings", body))
        status = gw_status(c);
    return status ? status : show(c);
}

/* ---- organisations ---- */

static int tenant_organisation_list(struct gw_call *c)
{
    static const char sql[] =
        "SELECT json_build_object('id', o.public_id, 'name', o.name, 'time_zone', o.time_zone, 'people', x.people, "
        "'goals', x.goals, 'connections', x.connections, 'owners', x.owners, 'created_at', api_time(o.created_at)), "
        "o.id FROM organisation o CROSS JOIN LATERAL tenant_organisation(o.id) x WHERE ($1::bigint IS NULL OR o.id > "
        "$1) AND ($2::text IS NULL OR strpos(lower(o.name), lower($2)) > 0) ORDER BY o.id LIMIT $3";

    return gw_answer_page(c, gw_query(c, sql, GS_WITH(gw_page_cursor(c), gw_param(c, "search"), gw_page_rows(c))));
}

/* One's place in the organisation, made or taken up again. */
static const char take_place_sql[] =
    "UPDATE person SET account_id = $1, deactivated_at = NULL, role = least(role, $2::org_role) WHERE id = (SELECT "
    "x.id FROM person x WHERE x.account_id = $1 OR (x.account_id IS NULL AND lower(x.email) = nullif($3, '')) ORDER BY "
    "x.account_id IS NULL LIMIT 1) RETURNING id";
static const char make_place_sql[] =
    "INSERT INTO person (org_id, account_id, email, name, role) SELECT calling('org'), a.id, coalesce(a.email, "
    "'account-' || a.id || '@goalsync.invalid'), a.name, $2::org_role FROM account a WHERE a.id = $1 RETURNING id";

static int answer_person(struct gw_call *c, const char *person, const char *action, const char *detail)
{
    static const char sql[] = "SELECT " GW_PERSON_JSON ", p.public_id FROM person p WHERE p.id = $1";
    PGresult *r = gw_query(c, sql, GS_WITH(person));

    if (!r)
        return gw_status(c);
    if (!gw_audit(c, action, "person", gs_db_get(r, 0, "public_id"), detail)) {
        PQclear(r);
        return gw_status(c);
    }
    return gw_answer(c, 200, r);
}

static int organisation_join(struct gw_call *c)
{
    const struct gw_caller *who = gw_who(c);
    const char *role = gw_text(c, "/role") ? gw_text(c, "/role") : "admin";
    char email[sizeof(who->email)], detail[64];

    if (!gw_members_lock(c))
        return gw_status(c);
    snprintf(email, sizeof(email), "%s", who->email);
    GS_AUTO_RESULT had = gw_query(c, take_place_sql, GS_WITH(who->account, role, email));
    if (!had)
        return gw_status(c);
    GS_AUTO_RESULT made = PQntuples(had) ? NULL : gw_query(c, make_place_sql, GS_WITH(who->account, role));
    if (!PQntuples(had) && !made)
        return gw_status(c);
    snprintf(detail, sizeof(detail), "{\"role\":\"%s\"}", role);
    return answer_person(c, PQgetvalue(made ? made : had, 0, 0), "organisation.joined", detail);
}

/* ---- administrators ---- */

static int tenant_admin_list(struct gw_call *c)
{
    static const char sql[] = "SELECT " ACCOUNT_JSON ", a.id FROM account a WHERE a.tenant_admin AND a.deactivated_at "
                              "IS NULL AND ($1::bigint IS NULL OR a.id > $1) ORDER BY a.id LIMIT $2";

    return gw_answer_page(c, gw_query(c, sql, GS_WITH(gw_page_cursor(c), gw_page_rows(c))));
}

static bool lock_admins(struct gw_call *c)
{
    return gw_exec(c, "SELECT FROM tenant FOR UPDATE", GS_NO_PARAMS);
}

static int refuse_nobody(struct gw_call *c, int n)
{
    if (n == 0)
        return gw_invalid(c, "/email",
                          "is nobody's who has signed in here; they sign in once, then they can be appointed");
    return gw_fail(c, 409, "ambiguous", "%d accounts have this address; name the one you mean by account_id", n);
}

static int tenant_admin_appoint(struct gw_call *c)
{
    static const char find_sql[] =
        "SELECT a.id, a.public_id FROM account a WHERE a.deactivated_at IS NULL AND (a.public_id = $1::uuid OR $1 IS "
        "NULL AND a.email = lower($2))";
    static const char sql[] = "UPDATE account a SET tenant_admin = true WHERE a.id = $1 RETURNING " ACCOUNT_JSON;
    const char *id = gw_text(c, "/account_id"), *email = gw_text(c, "/email");

    if (!id == !email)
        return gw_invalid(c, "", "names one account: by email, or by account_id");
    if (!lock_admins(c))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, find_sql, GS_WITH(id, email));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) != 1)
        return id ? gw_invalid(c, "/account_id", "names no account that can sign in") : refuse_nobody(c, PQntuples(r));
    if (!gw_audit(c, "tenant.admin_appointed", "account", gs_db_get(r, 0, "public_id"), NULL))
        return gw_status(c);
    return gw_answer(c, 200, gw_query(c, sql, GS_WITH(gs_db_get(r, 0, "id"))));
}

/* Who cannot come in, as the first start's account without a living token, administers nothing. */
static int tenant_admin_remove(struct gw_call *c)
{
    static const char sql[] =
        "SELECT a.public_id, EXISTS (SELECT FROM account x WHERE x.tenant_admin AND x.deactivated_at IS NULL AND x.id "
        "<> a.id AND (x.issuer IS NOT NULL OR EXISTS (SELECT FROM api_token t WHERE t.account_id = x.id AND t.org_id "
        "IS "
        "NULL AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()) AND t.scopes && "
        "'{tenant,bootstrap}'))) AS others FROM account a WHERE a.id = $1 AND a.tenant_admin";

    if (!lock_admins(c))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c)));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "tenant administrator");
    if (!gs_db_get_bool(r, 0, "others"))
        return gw_fail(c, 409, "last-administrator", "Nobody else administers the tenant; appoint somebody else first");
    if (!gw_exec(c, "UPDATE account SET tenant_admin = false WHERE id = $1", GS_WITH(gw_item(c))) ||
        !gw_audit(c, "tenant.admin_removed", "account", gs_db_get(r, 0, "public_id"), NULL))
        return gw_status(c);
    return gw_no_content(c);
}

const struct gw_op gw_ops_tenant[] = {
    {"tenant_get", tenant_get},
    {"tenant_edit", tenant_edit},
    {"tenant_organisation_list", tenant_organisation_list},
    {"organisation_join", organisation_join},
    {"tenant_admin_list", tenant_admin_list},
    {"tenant_admin_appoint", tenant_admin_appoint},
    {"tenant_admin_remove", tenant_admin_remove},
    {0},
};
