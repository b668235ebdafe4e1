/* Organisations: made, their settings, and who owns them. */
#include "services/gateway/ops.h"

#include "common/goals/score.h"
#include "common/str.h"
#include "services/gateway/exists.h"
#include "services/gateway/goal.h"
#include "services/gateway/person.h"

#include <stdio.h>
#include <string.h>

#define ORGANISATION_JSON                                                                                              \
    "json_build_object('id', o.public_id, 'name', o.name, 'time_zone', o.time_zone, 'today', (now() AT TIME ZONE "     \
    "o.time_zone)::date, 'behind_above', trim_scale(o.behind_above)::text, 'at_risk_above', "                          \
    "trim_scale(o.at_risk_above)::text, 'status_mode', o.status_mode, 'green_from', trim_scale(o.green_from)::text, "  \
    "'amber_from', trim_scale(o.amber_from)::text, 'planning_year_month', o.planning_year_month, "                     \
    "'aligned_contribute', o.aligned_contribute, 'projects_contribute', o.projects_contribute, 'several_parents', "    \
    "o.several_parents, 'create_rule', o.create_rule, 'role', (SELECT m.role FROM own_memberships() m WHERE "          \
    "m.organisation = o.public_id), 'created_at', api_time(o.created_at), 'revision', o.revision)"

/* ---- reading ---- */

/* A token that is bound to an organisation sees that one's only. */
static int organisation_list(struct gw_call *c)
{
    static const char sql[] =
        "SELECT " ORGANISATION_JSON ", o.id FROM organisation o WHERE o.id IN (SELECT own_organisations()) AND "
        "coalesce((SELECT b.organisation FROM token_bound(nullif($1, '')::bigint) b), o.public_id) = o.public_id AND "
        "($2::bigint IS NULL OR o.id > $2) ORDER BY o.id LIMIT $3";

    return gw_answer_page(c, gw_query(c, sql, GS_WITH(gw_who(c)->token, gw_page_cursor(c), gw_page_rows(c))));
}

static int show(struct gw_call *c, int status, const char *org)
{
    static const char sql[] = "SELECT " ORGANISATION_JSON ", o.revision, '/api/v1/organisations/' || o.public_id AS "
                              "location FROM organisation o WHERE o.id = $1";
    PGresult *r = gw_query(c, sql, GS_WITH(org));

    if (r && PQntuples(r)) {
        gw_etag(c, gs_db_get(r, 0, "revision"));
        if (status == 201)
            gw_header_set(c, "Location", gs_db_get(r, 0, "location"));
    }
    return gw_answer(c, status, r);
}

static int organisation_get(struct gw_call *c)
{
    return show(c, 200, gw_item(c));
}

/* ---- making ---- */

static int check_zone(struct gw_call *c, const char *zone)
{
    if (!zone)
        return 0;
    GS_AUTO_RESULT r = gw_query(c, "SELECT FROM pg_timezone_names WHERE name = $1 LIMIT 1", GS_WITH(zone));
    if (!r)
        return gw_status(c);
    return PQntuples(r) ? 0 : gw_invalid(c, "/time_zone", "is no time zone; take a name such as Europe/Berlin, or UTC");
}

static int refuse_creation(struct gw_call *c)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT org_creation FROM tenant", GS_NO_PARAMS);

    if (!r)
        return gw_status(c);
    const char *rule = PQgetvalue(r, 0, 0);
    return gw_forbidden(c, "%s",
                        gs_str_eq(rule, "administrators")
                            ? "Only tenant administrators create organisations here; ask one of them"
                        : gs_str_eq(rule, "named")
                            ? "Only people whom the tenant administrators named create organisations here; ask one of "
                              "the administrators to name you"
                            : "An account without an e-mail address owns no organisation; sign in with one that has");
}

static int need_unbound(struct gw_call *c)
{
    static const char sql[] = "SELECT FROM token_bound(nullif($1, '')::bigint) b WHERE b.organisation IS NOT NULL";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_who(c)->token));

    if (!r)
        return gw_status(c);
    return PQntuples(r) ? gw_forbidden(c, "This token is bound to one organisation; make a new one with another") : 0;
}

/* The call began outside the organisation: gw_audit() would not write there. */
static bool audit_created(struct gw_call *c, const char *org)
{
    static const char sql[] =
        "INSERT INTO audit (org_id, actor, action, target, detail) SELECT o.id, 'account:' || $2::text, "
        "'organisation.created', 'organisation:' || o.public_id, jsonb_build_object('request', $3::text) FROM "
        "organisation o WHERE o.id = $1";

    return gw_exec(c, sql, GS_WITH(org, gw_who(c)->account_public, gw_request_id(c)));
}

static int organisation_create(struct gw_call *c)
{
    static const char sql[] = "SELECT gateway_create_organisation($1, coalesce($2, 'UTC'))";
    static const char year_sql[] = "UPDATE organisation SET planning_year_month = "
                                   "coalesce(($2::jsonb->>'planning_year_month')::int, 1) WHERE id = $1";
    int status = need_unbound(c);

    if (!status)
        status = check_zone(c, gw_text(c, "/time_zone"));
    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_text(c, "/name"), gw_text(c, "/time_zone")));
    if (!r)
        return gw_exists(c, "organisation");
    if (PQgetisnull(r, 0, 0))
        return refuse_creation(c);
    const char *org = PQgetvalue(r, 0, 0);
    if (!gw_exec(c, year_sql, GS_WITH(org, gw_body_text(c, NULL))) ||
        !gw_exec(c, "SELECT make_periods($1)", GS_WITH(org)) || !audit_created(c, org))
        return gw_status(c);
    return show(c, 201, org);
}

/* ---- settings ---- */

/* As it would be; null when it has more decimals than the schema keeps. */
static bool read_limit(const PGresult *r, const char *col, struct gs_dec *ret)
{
    const char *text = gs_db_get(r, 0, col);

    return !gs_db_is_null(r, 0, col) && gs_dec_parse(text, strlen(text), ret, NULL) == GS_OK;
}

static int check_ranges(struct gw_call *c)
{
#define LIMIT(name, decimals)                                                                                          \
    "CASE WHEN coalesce(scale((b->>'" name "')::numeric), 0) <= " decimals " THEN coalesce(b->>'" name "', o." name    \
    "::text) END AS " name
    static const char sql[] =
        "SELECT " LIMIT("behind_above", "2") ", " LIMIT("at_risk_above", "2") ", " LIMIT("green_from", "4") ", " LIMIT(
            "amber_from", "4") " FROM organisation o, (SELECT $2::jsonb AS b) x WHERE o.id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c), gw_body_text(c, NULL)));
    struct gs_goal_rules rules = {0};
    struct gs_score_ranges ranges = {0};

    if (!r)
        return gw_status(c);
    if (!read_limit(r, "behind_above", &rules.behind_above) || !read_limit(r, "at_risk_above", &rules.at_risk_above) ||
        gs_goal_rules_validate(&rules, NULL) != GS_OK)
        return gw_invalid(c, "/behind_above",
                          "must be at least 0 and less than at_risk_above, which is at most 100; each with 2 decimals "
                          "at most");
    if (!read_limit(r, "green_from", &ranges.green_from) || !read_limit(r, "amber_from", &ranges.amber_from) ||
        gs_score_ranges_validate(&ranges, NULL) != GS_OK)
        return gw_invalid(c, "/amber_from",
                          "must be more than 0 and less than green_from, which is at most 1; each with 4 decimals at "
                          "most");
    return 0;
}

/* The years and quarters that are not over and that no goal has make room for those of the new planning year. */
static int edit_year(struct gw_call *c)
{
    static const char changed_sql[] = "SELECT FROM organisation WHERE id = $1 AND planning_year_month <> "
                                      "($2::jsonb->>'planning_year_month')::int";
    static const char year_sql[] =
        "UPDATE organisation SET planning_year_month = ($2::jsonb->>'planning_year_month')::int WHERE id = $1";
    static const char drop_sql[] =
        "DELETE FROM period p USING organisation o WHERE p.org_id = $1 AND o.id = $1 AND p.kind <> 'custom' AND "
        "p.ends_on >= (now() AT TIME ZONE o.time_zone)::date AND NOT EXISTS (SELECT FROM goal g WHERE g.period_id = "
        "p.id)";
    const char *org = gw_item(c), *body = gw_body_text(c, NULL);
    GS_AUTO_RESULT changed = gw_query(c, changed_sql, GS_WITH(org, body));

    if (!changed)
        return gw_status(c);
    if (PQntuples(changed) == 0)
        return 0;
    if (!gw_exec(c, year_sql, GS_WITH(org, body)) || !gw_goal_see_all(c, true) || !gw_exec(c, drop_sql, GS_WITH(org)) ||
        !gw_goal_see_all(c, false) || !gw_exec(c, "SELECT make_periods($1)", GS_WITH(org)))
        return gw_status(c);
    return 0;
}

static const char edit_sql[] =
    "UPDATE organisation o SET name = coalesce(b->>'name', name), time_zone = coalesce(b->>'time_zone', time_zone), "
    "behind_above = coalesce((b->>'behind_above')::numeric, behind_above), at_risk_above = "
    "coalesce((b->>'at_risk_above')::numeric, at_risk_above), status_mode = coalesce((b->>'status_mode')::status_mode, "
    "status_mode), green_from = coalesce((b->>'green_from')::numeric, green_from), amber_from = "
    "coalesce((b->>'amber_from')::numeric, amber_from), aligned_contribute = "
    "coalesce((b->>'aligned_contribute')::boolean, aligned_contribute), projects_contribute = "
    "coalesce((b->>'projects_contribute')::boolean, projects_contribute), several_parents = "
    "coalesce((b->>'several_parents')::boolean, several_parents), create_rule = "
    "coalesce((b->>'create_rule')::create_rule, create_rule) FROM (SELECT $2::jsonb AS b) x WHERE o.id = $1";

static int organisation_edit(struct gw_call *c)
{
    static const char lock_sql[] = "SELECT revision FROM organisation WHERE id = $1 FOR NO KEY UPDATE";
    const char *org = gw_item(c), *body = gw_body_text(c, NULL);
    GS_AUTO_RESULT r = gw_query(c, lock_sql, GS_WITH(org));
    int status = !r ? gw_status(c) : PQntuples(r) ? gw_match(c, PQgetvalue(r, 0, 0)) : gw_not_found(c, "organisation");

    if (!status)
        status = check_zone(c, gw_text(c, "/time_zone"));
    if (!status)
        status = check_ranges(c);
    if (!status && !gw_exec(c, edit_sql, GS_WITH(org, body)))
        status = gw_exists(c, "organisation");
    if (!status)
        status = edit_year(c);
    if (!status && !gw_audit(c, "organisation.edited", "organisation", gw_who(c)->org_public, body))
        status = gw_status(c);
    return status ? status : show(c, 200, org);
}

/* ---- owners ---- */

/* The person with the address; added when there is none. */
static int find_or_add(struct gw_call *c, const char *email, char ret[GW_ID_TEXT])
{
    static const char find_sql[] =
        "SELECT id, deactivated_at IS NOT NULL AS away FROM person WHERE lower(email) = lower($1)";
    static const char add_sql[] =
        "WITH a AS (SELECT min(id) AS id, min(name) AS name FROM account WHERE email = lower($1) AND issuer IS NOT "
        "NULL "
        "AND deactivated_at IS NULL HAVING count(*) = 1) INSERT INTO person (org_id, account_id, email, name) SELECT "
        "calling('org'), (SELECT a.id FROM a WHERE NOT EXISTS (SELECT FROM person x WHERE x.account_id = a.id)), $1, "
        "coalesce((SELECT a.name FROM a), $1) RETURNING id, false AS away";

    GS_AUTO_RESULT found = gw_query(c, find_sql, GS_WITH(email));
    if (!found)
        return gw_status(c);
    GS_AUTO_RESULT added = PQntuples(found) ? NULL : gw_query(c, add_sql, GS_WITH(email));
    if (!added && !PQntuples(found))
        return gw_status(c);
    const PGresult *r = added ? added : found;
    if (gs_db_get_bool(r, 0, "away"))
        return gw_fail(c, 409, "deactivated", "%s is deactivated; reactivate them first", email);
    snprintf(ret, GW_ID_TEXT, "%s", gs_db_get(r, 0, "id"));
    return 0;
}

static int organisation_transfer(struct gw_call *c)
{
    static const char demote_sql[] =
        "WITH gone AS (UPDATE person SET role = 'admin' WHERE role = 'owner' AND id <> $1 AND NOT $2::boolean "
        "RETURNING public_id) SELECT json_build_object('from', (SELECT coalesce(json_agg(public_id), '[]') FROM gone))";
    static const char show_sql[] = "SELECT " GW_PERSON_JSON ", p.public_id FROM person p WHERE p.id = $1";
    bool keep = false;
    char person[GW_ID_TEXT];
    int status;

    if (!gw_members_lock(c))
        return gw_status(c);
    (void)gs_json_bool(gw_body(c), "/keep_owners", &keep);
    status = find_or_add(c, gw_text(c, "/email"), person);
    if (status)
        return status;
    GS_AUTO_RESULT gone = gw_query(c, demote_sql, GS_WITH(person, keep ? "true" : "false"));
    if (!gone || !gw_exec(c, "UPDATE person SET role = 'owner' WHERE id = $1", GS_WITH(person)))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, show_sql, GS_WITH(person));
    if (!r || !gw_audit(c, "organisation.transferred", "person", gs_db_get(r, 0, "public_id"), PQgetvalue(gone, 0, 0)))
        return gw_status(c);
    return gw_answer(c, 200, gw_query(c, show_sql, GS_WITH(person)));
}

const struct gw_op gw_ops_organisation[] = {
    {"organisation_list", organisation_list},         {"organisation_create", organisation_create},
    {"organisation_get", organisation_get},           {"organisation_edit", organisation_edit},
    {"organisation_transfer", organisation_transfer}, {0},
};
