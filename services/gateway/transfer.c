/* Goals from elsewhere: whom and what they name, who may make them, who is told. */
#include "services/gateway/transfer.h"

#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"

#include <stdio.h>
#include <string.h>

/* $1: the list, $2: the fallback owner or null, $3: lenient. Records of wrong end with \36, their member with \37. */
static const char names_sql[] =
    "WITH e AS (SELECT x, n, left(regexp_replace(x->>'period', '[[:cntrl:]]', '?', 'g'), 100) AS period FROM "
    "jsonb_array_elements(coalesce($1::jsonb->'goals', $1::jsonb)) WITH ORDINALITY t(x, n)) "
    "SELECT ((e.x - "
    "'{ref,id,owners,viewers,delegate,check_in_owner,teams,period,value,status,score,tasks,link}'::text[]) || CASE "
    "WHEN e.x ? 'owners' THEN jsonb_build_object('owner_ids', coalesce(w.owners, '[]')) ELSE '{}' END || CASE WHEN "
    "e.x ? 'viewers' THEN jsonb_build_object('viewer_ids', coalesce(w.viewers, '[]')) ELSE '{}' END || CASE WHEN "
    "w.delegate IS NOT NULL THEN jsonb_build_object('delegate_id', w.delegate) ELSE '{}' END || CASE WHEN "
    "w.check_in_owner IS NOT NULL THEN jsonb_build_object('check_in_owner_id', w.check_in_owner) ELSE '{}' END || "
    "CASE WHEN e.x ? 'teams' THEN jsonb_build_object('team_ids', coalesce(t.ids, '[]')) ELSE '{}' END || CASE WHEN "
    "p.id IS NOT NULL THEN jsonb_build_object('period_id', p.id) ELSE '{}' END)::text AS body, "
    "coalesce(w.wrong, '') || coalesce(t.wrong, '') || CASE WHEN e.period IS NOT NULL AND p.id IS NULL AND "
    "(e.x->>'starts_on' IS NULL OR e.x->>'ends_on' IS NULL) THEN '/period' || chr(31) || 'names no period of this "
    "organisation: \"' || e.period || '\"; make it first, or give its days' || chr(30) ELSE '' END AS wrong, "
    "coalesce(w.notes, '[]') || CASE WHEN e.period IS NOT NULL AND p.id IS NULL THEN jsonb_build_array('there is "
    "no period \"' || e.period || '\" here; its days were taken') ELSE '[]' END AS notes "
    "FROM e CROSS JOIN LATERAL (SELECT jsonb_agg(y.id ORDER BY y.k) FILTER (WHERE y.member = 'owners' AND y.id IS "
    "NOT NULL) AS owners, jsonb_agg(y.id ORDER BY y.k) FILTER (WHERE y.member = 'viewers' AND y.id IS NOT NULL) AS "
    "viewers, min(y.id::text) FILTER (WHERE y.member = 'delegate') AS delegate, min(y.id::text) FILTER (WHERE "
    "y.member = 'check_in_owner') AS check_in_owner, "
    "string_agg('/' || y.member || chr(31) || 'names nobody who is active in this organisation: \"' || y.said || "
    "'\"; add that person first, or give a fallback_owner' || chr(30), '' ORDER BY y.k) FILTER (WHERE y.id IS NULL "
    "AND NOT ($3::boolean AND y.member IN ('delegate', 'check_in_owner'))) AS wrong, "
    "jsonb_agg('nobody here has the address \"' || y.said || CASE WHEN y.id IS NULL THEN '\"; as ' || "
    "replace(y.member, '_', ' ') || ' left out' ELSE '\"; the fallback owner owns it' END ORDER BY y.k) FILTER "
    "(WHERE y.said IS NOT NULL) AS notes "
    "FROM (SELECT x.member, min(x.k) AS k, q.id, min(left(regexp_replace(x.v, '[[:cntrl:]]', '?', 'g'), 100)) "
    "FILTER (WHERE q.strange) AS said FROM "
    "(SELECT m.member, a.k, a.v#>>'{}' AS v FROM (VALUES ('owners', '$.owners[*]'), ('viewers', '$.viewers[*]'), "
    "('delegate', '$.delegate'), ('check_in_owner', '$.check_in_owner')) m(member, path) CROSS JOIN LATERAL "
    "jsonb_path_query(e.x, m.path::jsonpath) WITH ORDINALITY a(v, k)) x "
    "CROSS JOIN LATERAL (SELECT coalesce(p.public_id, f.public_id) AS id, p.id IS NULL AS strange FROM (SELECT 1) "
    "one LEFT JOIN person p ON p.org_id = calling('org') AND lower(p.email) = lower(btrim(x.v)) AND "
    "p.deactivated_at IS NULL LEFT JOIN person f ON p.id IS NULL AND x.member = 'owners' AND f.org_id = "
    "calling('org') AND lower(f.email) = lower(btrim($2)) AND f.deactivated_at IS NULL LIMIT 1) q "
    "WHERE x.v IS NOT NULL GROUP BY x.member, q.id, CASE WHEN q.id IS NULL THEN x.v END) y) w "
    "CROSS JOIN LATERAL (SELECT jsonb_agg(m.public_id ORDER BY v.k) FILTER (WHERE m.id IS NOT NULL) AS ids, "
    "string_agg('/teams' || chr(31) || 'names no team of this organisation: \"' || "
    "left(regexp_replace(v.name#>>'{}', '[[:cntrl:]]', '?', 'g'), 100) || '\"; make it first' || chr(30), '' ORDER "
    "BY v.k) FILTER (WHERE m.id IS NULL) AS wrong FROM jsonb_path_query(e.x, '$.teams[*]') WITH ORDINALITY v(name, "
    "k) LEFT JOIN team m ON m.org_id = calling('org') AND lower(m.name) = lower(btrim(v.name#>>'{}')) WHERE "
    "v.name#>>'{}' IS NOT NULL) t "
    "LEFT JOIN LATERAL (SELECT x.public_id AS id FROM period x WHERE x.org_id = calling('org') AND lower(x.name) = "
    "lower(btrim(e.x->>'period')) ORDER BY x.name = btrim(e.x->>'period') DESC LIMIT 1) p ON true ORDER BY e.n";

PGresult *gw_transfer_names(struct gw_call *c, const char *list, const char *fallback, bool lenient)
{
    return gw_query(c, names_sql, GS_WITH(list, fallback, lenient ? "true" : "false"));
}

bool gw_transfer_wrong(const char **wrong, struct gw_wrong *ret)
{
    size_t member = strcspn(*wrong, "\037"), all = strcspn(*wrong, "\036");

    if (!**wrong || member > all)
        return false;
    snprintf(ret->member, sizeof(ret->member), "%.*s", (int)member, *wrong);
    snprintf(ret->text, sizeof(ret->text), "%.*s", (int)(all - member - 1), *wrong + member + 1);
    *wrong += all + ((*wrong)[all] != '\0');
    return true;
}

int gw_transfer_need_fallback(struct gw_call *c, const char *fallback)
{
    static const char sql[] = "SELECT FROM person p WHERE p.org_id = calling('org') AND lower(p.email) = "
                              "lower(btrim($1)) AND p.deactivated_at IS NULL";

    if (!fallback)
        return 0;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(fallback));
    if (!r)
        return gw_status(c);
    return PQntuples(r)
               ? 0
               : gw_invalid(c, "#query/fallback_owner", "is the address of nobody who is active in this organisation");
}

/* ---- who may ---- */

const char gw_transfer_no_create[] =
    "you may not make a goal of this level here: of a team its members make goals, of the organisation those whom its "
    "settings let; put it below a goal of yours, or make it individual";

int gw_transfer_may_create(struct gw_call *c, const struct gw_definition *d, bool *ret)
{
    static const char sql[] =
        "SELECT CASE WHEN $2 = 'team' THEN NOT EXISTS (SELECT FROM unnest($1::bigint[]) x WHERE NOT EXISTS (SELECT "
        "FROM team_member m WHERE m.team_id = x AND m.person_id = calling('person'))) ELSE o.create_rule = 'everyone' "
        "OR o.create_rule = 'team_owners' AND EXISTS (SELECT FROM team_member m JOIN team t ON t.id = m.team_id WHERE "
        "m.person_id = calling('person') AND m.owner AND t.archived_at IS NULL) END FROM organisation o WHERE o.id = "
        "calling('org')";

    *ret = gw_who(c)->role >= GW_ADMIN || gs_str_eq(d->level, "individual");
    if (*ret)
        return 0;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(d->teams, d->level));
    if (!r)
        return gw_status(c);
    *ret = PQntuples(r) && *PQgetvalue(r, 0, 0) == 't';
    return 0;
}

/* ---- who is told ---- */

void gw_transfer_put_ids(struct gs_buf *b, const char *const *ids, size_t n)
{
    gs_buf_putc(b, '{');
    for (size_t i = 0; i < n; i++) {
        gs_buf_puts(b, i ? "," : "");
        gs_buf_puts(b, ids[i]);
    }
    gs_buf_putc(b, '}');
}

int gw_transfer_tell(struct gw_call *c, const char *const *ids, size_t n, bool edited)
{
    static const char sql[] = "INSERT INTO activity (at, org_id, goal_id, person_id, kind, data) SELECT "
                              "clock_timestamp(), g.org_id, g.id, calling('person'), $2, '{\"imported\": true}' FROM "
                              "goal g WHERE g.id = ANY ($1::bigint[])";
    GS_AUTO(gs_buf_done) struct gs_buf list;

    gs_buf_init(&list, GW_BODY_MAX);
    gw_transfer_put_ids(&list, ids, n);
    if (!gw_exec(c, sql, GS_WITH(gs_buf_str(&list), edited ? "edited" : "created")))
        return gw_status(c);
    for (size_t i = 0; i < n; i++)
        if (!gw_note(c, edited ? GW_GOAL_EDITED : GW_GOAL_CREATED, ids[i], NULL))
            return gw_status(c);
    return 0;
}

bool gw_transfer_audit(struct gw_call *c, const char *action, const char *format, size_t goals)
{
    char detail[100];

    snprintf(detail, sizeof(detail), "{\"format\": \"%s\", \"goals\": %zu}", format, goals);
    return gw_audit(c, action, "organisation", gw_who(c)->org_public, detail);
}
