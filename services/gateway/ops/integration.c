/* Integrations of an organisation: what there is, on whose terms, switched on and off. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/catalogue.h"
#include "services/fetch/systems.h"

#include <pthread.h>
#include <stdlib.h>

enum { CATALOGUE_MAX = 4 << 20 }; /* bytes of its JSON */

/* Never changes while the gateway runs. */
static char *catalogue;
static pthread_once_t catalogue_once = PTHREAD_ONCE_INIT;

static void make_catalogue(void)
{
    struct gs_buf b;

    gs_buf_init(&b, CATALOGUE_MAX);
    fetch_catalogue_print_all(&b);
    catalogue = gs_buf_steal(&b);
}

/* ---- as people see them ---- */

/* $1: the catalogue; k.j: an entry of it; o: what the organisation says about it, or nothing. What people look for
 * comes first. */
#define INTEGRATION_JSON                                                                                               \
    "(SELECT json_object_agg(m.key, m.value ORDER BY array_position('{name,label,category,type,terms,available,"       \
    "allowed,enabled,paused,accepted,sharing,connections,links,failing,direction,pushed,outcomes}', m.key), m.key) "   \
    "FROM jsonb_each(k.j - '{sharing,terms_url,terms_version}'::text[] || jsonb_build_object('terms', "                \
    "jsonb_build_object('url', k.j->>'terms_url', 'version', k.j->>'terms_version'), 'sharing', "                      \
    "coalesce(o.sharing::text, k.j->>'sharing'), 'allowed', tenant_allows(k.j->>'name'), 'enabled', "                  \
    "coalesce(o.enabled, false), 'paused', CASE WHEN NOT tenant_allows(k.j->>'name') THEN 'the integration is not "    \
    "allowed by the tenant administrator' WHEN NOT coalesce(o.enabled, false) THEN 'the integration is not enabled "   \
    "in this organisation' END, 'accepted', CASE WHEN o.terms_accepted_at IS NOT NULL THEN "                           \
    "jsonb_build_object('url', o.terms_url, 'version', o.terms_version, 'at', api_time(o.terms_accepted_at), "         \
    "'by_id', (SELECT p.public_id FROM person p WHERE p.id = o.enabled_by), 'current', coalesce((o.terms_url, "        \
    "o.terms_version) = (k.j->>'terms_url', k.j->>'terms_version'), false)) END, 'connections', (SELECT count(*) "     \
    "FROM connection c WHERE c.org_id = calling('org') AND c.connector = k.j->>'name'), 'links', l.links, 'failing', " \
    "l.failing, 'revision', coalesce(o.revision, 0))) m)"
#define INTEGRATION_FROM                                                                                               \
    " FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY k(j, n) LEFT JOIN org_integration o ON o.org_id = "         \
    "calling('org') AND o.connector = k.j->>'name' CROSS JOIN LATERAL (SELECT count(*) AS links, count(*) FILTER "     \
    "(WHERE x.failures > 0) AS failing FROM link x JOIN connection c ON c.id = x.connection_id WHERE c.org_id = "      \
    "calling('org') AND c.connector = k.j->>'name') l "

static int integration_list(struct gw_call *c)
{
    static const char sql[] =
        "SELECT " INTEGRATION_JSON ", k.n" INTEGRATION_FROM
        "WHERE ($2::bigint IS NULL OR k.n > $2) AND ($3::boolean IS "
        "NULL OR coalesce(o.enabled, false) = $3) AND ($4::boolean IS NULL OR (k.j->>'available')::boolean = $4) ORDER "
        "BY k.n LIMIT $5";

    pthread_once(&catalogue_once, make_catalogue);
    return gw_answer_page(c, gw_query(c, sql,
                                      GS_WITH(catalogue, gw_page_cursor(c), gw_param(c, "enabled"),
                                              gw_param(c, "available"), gw_page_rows(c))));
}

static int show(struct gw_call *c)
{
    static const char sql[] = "SELECT " INTEGRATION_JSON ", coalesce(o.revision, 0) AS revision" INTEGRATION_FROM;
    GS_AUTO(gs_buf_done) struct gs_buf one;

    gs_buf_init(&one, CATALOGUE_MAX);
    gs_buf_putc(&one, '[');
    if (!fetch_catalogue_print(gw_param(c, "integration"), &one))
        return gw_not_found(c, "integration");
    gs_buf_putc(&one, ']');
    PGresult *r = gw_query(c, sql, GS_WITH(gs_buf_str(&one)));
    if (r)
        gw_etag(c, gs_db_get(r, 0, "revision"));
    return gw_answer(c, 200, r);
}

static int integration_get(struct gw_call *c)
{
    return show(c);
}

/* ---- switching ---- */

/* Known, and the row of the organisation locked, if there is one. */
static int open_integration(struct gw_call *c)
{
    static const char sql[] =
        "SELECT revision FROM org_integration WHERE org_id = calling('org') AND connector = $1 FOR UPDATE";
    const char *name = gw_param(c, "integration");

    if (!fetch_catalogue_find(name) && !fetch_systems_find(name))
        return gw_not_found(c, "integration");
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(name));
    if (!r)
        return gw_status(c);
    return gw_match(c, PQntuples(r) ? PQgetvalue(r, 0, 0) : "0");
}

static int need_available(struct gw_call *c, const struct fetch_entry **ret)
{
    const struct fetch_system *s = fetch_systems_find(gw_param(c, "integration"));

    *ret = fetch_catalogue_find(gw_param(c, "integration"));
    if (*ret)
        return 0;
    return gw_fail(c, 409, "not-available",
                   "%s is known, but this goalsync has no connector for it yet; it can be enabled once it has one",
                   s ? s->label : "The integration");
}

static int need_allowed(struct gw_call *c)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT tenant_allows($1)", GS_WITH(gw_param(c, "integration")));

    if (!r)
        return gw_status(c);
    return *PQgetvalue(r, 0, 0) == 't'
               ? 0
               : gw_forbidden(c, "The tenant administrators do not allow this integration; ask one of them");
}

/* What is accepted is what was shown: both are named again. */
static int need_terms(struct gw_call *c, const struct fetch_entry *e)
{
    const char *url = e->connector->terms_url ? e->connector->terms_url : "";
    const char *version = fetch_terms_version(e->connector);

    if (gs_str_eq(gw_text(c, "/terms_url"), url) && gs_str_eq(gw_text(c, "/terms_version"), version))
        return 0;
    return gw_fail(c, 409, "terms",
                   "The terms of %s are those at \"%s\", version %s; read them, then send terms_url and terms_version "
                   "as they are, which records that the organisation accepts them",
                   e->connector->label, url, version);
}

static int integration_enable(struct gw_call *c)
{
    static const char *const sql[] = {
        "INSERT INTO terms_acceptance (org_id, connector, person_id, terms_url, terms_version) VALUES (calling('org'), "
        "$1, calling('person'), $2, $3)",
        "INSERT INTO org_integration (org_id, connector, enabled, enabled_by, terms_url, terms_version, "
        "terms_accepted_at) VALUES (calling('org'), $1, true, calling('person'), $2, $3, now()) ON CONFLICT (org_id, "
        "connector) DO UPDATE SET enabled = true, enabled_by = EXCLUDED.enabled_by, terms_url = EXCLUDED.terms_url, "
        "terms_version = EXCLUDED.terms_version, terms_accepted_at = EXCLUDED.terms_accepted_at"};
    static const char detail_sql[] = "SELECT json_build_object('terms_url', $1::text, 'terms_version', $2::text)";
    const char *name = gw_param(c, "integration"), *url = gw_text(c, "/terms_url");
    const char *version = gw_text(c, "/terms_version");
    const struct fetch_entry *e = NULL;
    int status = open_integration(c);

    if (!status)
        status = need_available(c, &e);
    if (!status)
        status = need_allowed(c);
    if (!status)
        status = need_terms(c, e);
    if (status)
        return status;
    for (int i = 0; i < 2; i++)
        if (!gw_exec(c, sql[i], GS_WITH(name, url, version)))
            return gw_status(c);
    GS_AUTO_RESULT detail = gw_query(c, detail_sql, GS_WITH(url, version));
    if (!detail || !gw_audit(c, "integration.enabled", "integration", name, PQgetvalue(detail, 0, 0)))
        return gw_status(c);
    return show(c);
}

static int integration_disable(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE org_integration SET enabled = false WHERE org_id = calling('org') AND connector = "
        "$1 AND enabled RETURNING connector";
    int status = open_integration(c);

    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_param(c, "integration")));
    if (!r || (PQntuples(r) && !gw_audit(c, "integration.disabled", "integration", gw_param(c, "integration"), NULL)))
        return gw_status(c);
    return show(c);
}

/* ---- sharing ---- */

/* "Never" holds at once. "Always" is for connections from now on: nobody's private one is opened behind their back. */
static int unshare_all(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE connection SET shared = false WHERE org_id = calling('org') AND connector = $1 AND "
        "shared RETURNING public_id";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_param(c, "integration")));

    if (!r)
        return gw_status(c);
    for (int i = 0; i < PQntuples(r); i++)
        if (!gw_audit(c, "connection.unshared", "connection", PQgetvalue(r, i, 0), NULL))
            return gw_status(c);
    return 0;
}

static int integration_edit(struct gw_call *c)
{
    static const char sql[] =
        "INSERT INTO org_integration (org_id, connector, enabled, sharing) VALUES (calling('org'), $1, false, "
        "$2::sharing_rule) ON CONFLICT (org_id, connector) DO UPDATE SET sharing = EXCLUDED.sharing";
    const char *name = gw_param(c, "integration"), *rule = gw_text(c, "/sharing");
    int status = open_integration(c);

    if (status)
        return status;
    if (!gw_exec(c, sql, GS_WITH(name, rule)) ||
        !gw_audit(c, "integration.sharing_changed", "integration", name, gw_body_text(c, NULL)))
        return gw_status(c);
    status = gs_str_eq(rule, "never") ? unshare_all(c) : 0;
    return status ? status : show(c);
}

/* ---- who accepted what ---- */

static int integration_acceptance_list(struct gw_call *c)
{
    static const char sql[] =
        "SELECT json_build_object('url', t.terms_url, 'version', t.terms_version, 'at', api_time(t.accepted_at), "
        "'by_id', (SELECT p.public_id FROM person p WHERE p.id = t.person_id)), t.id FROM terms_acceptance t WHERE "
        "t.org_id = $1 AND t.connector = $2 AND ($3::bigint IS NULL OR t.id < $3) ORDER BY t.id DESC LIMIT $4";
    const char *name = gw_param(c, "integration");

    if (!fetch_catalogue_find(name) && !fetch_systems_find(name))
        return gw_not_found(c, "integration");
    return gw_answer_page(c, gw_query(c, sql, GS_WITH(gw_item(c), name, gw_page_cursor(c), gw_page_rows(c))));
}

const struct gw_op gw_ops_integration[] = {
    {"integration_list", integration_list},
    {"integration_get", integration_get},
    {"integration_edit", integration_edit},
    {"integration_enable", integration_enable},
    {"integration_disable", integration_disable},
    {"integration_acceptance_list", integration_acceptance_list},
    {0},
};
