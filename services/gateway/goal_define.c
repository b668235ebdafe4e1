/* Reads, judges and stores what a goal is made of. */
#include "services/gateway/goal_define.h"

#include "common/str.h"
#include "services/gateway/goal.h"

#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

/* An edit is laid over the goal's definition, so that both kinds of body are read alike. $1: the body, $2: the goal or
 * null. The caller keeps seeing what it makes private. */
static const char read_sql[] =
    "WITH old AS (SELECT goal_definition(g.id) AS x, g.creator_id FROM goal g WHERE g.id = $2::bigint), "
    "b AS (SELECT $1::jsonb AS x), "
    "d AS (SELECT coalesce(old.x, '{}') || b.x AS x, b.x AS body, coalesce(old.x, '{}') AS old, "
    "coalesce(old.creator_id, calling('person')) AS creator FROM b LEFT JOIN old ON true), "
    "t AS (SELECT *, people_of(d.x->'owner_ids') AS owners, people_of(d.x->'viewer_ids') AS viewers, "
    "teams_of(d.x->'team_ids') AS teams, coalesce((d.x->>'private')::boolean, false) AS private, "
    "(people_of(jsonb_build_array(d.x->'delegate_id')))[1] AS delegate, "
    "(people_of(jsonb_build_array(d.x->'check_in_owner_id')))[1] AS check_in_owner, "
    "(SELECT p.id FROM period p WHERE p.public_id = (d.x->>'period_id')::uuid) AS period FROM d), "
    "days AS (SELECT coalesce((t.body->>'starts_on')::date, CASE WHEN t.body ? 'period_id' THEN p.starts_on END, "
    "(t.x->>'starts_on')::date, date_trunc('quarter', now() AT TIME ZONE o.time_zone)::date) AS starts_on, "
    "coalesce((t.body->>'ends_on')::date, CASE WHEN t.body ? 'period_id' THEN p.ends_on END, "
    "(t.x->>'ends_on')::date) AS ends_on "
    "FROM t LEFT JOIN period p ON p.id = t.period JOIN organisation o ON o.id = calling('org')) "
    "SELECT t.x->>'kind' AS kind, coalesce(t.x->>'metric', 'percent') AS metric, coalesce(t.x->>'mode', 'manual') AS "
    "mode, CASE WHEN t.body->>'level' IS NOT NULL THEN t.body->>'level' WHEN t.body ? 'team_ids' OR t.x->>'level' IS "
    "NULL THEN CASE WHEN cardinality(t.teams) > 0 THEN 'team' WHEN t.old->>'level' = 'individual' THEN 'individual' "
    "ELSE "
    "'organisation' END ELSE t.x->>'level' END AS level, t.x->>'title' AS title, "
    "coalesce(t.x->>'description', '') AS description, coalesce(t.x->>'unit', '') AS unit, t.x->>'start' AS start, "
    "t.x->>'target' AS target, t.x->>'risk' AS risk, days.starts_on, coalesce(days.ends_on, (date_trunc('quarter', "
    "days.starts_on) + interval '3 months')::date - 1) AS ends_on, t.period, t.creator, t.delegate, t.check_in_owner, "
    "t.owners, CASE WHEN NOT t.private THEN '{}' WHEN calling('person') = ANY (t.owners || ARRAY[t.creator, "
    "t.delegate, t.check_in_owner]) OR calling('person') = ANY (t.viewers) THEN t.viewers ELSE t.viewers || "
    "calling('person') END AS viewers, t.teams, ARRAY(SELECT jsonb_array_elements_text(CASE jsonb_typeof(t.x->'tags') "
    "WHEN 'array' THEN t.x->'tags' ELSE '[]' END)) AS tags, t.x->>'external_id' AS external_id, "
    "coalesce((t.x->>'aspirational')::boolean, false) AS aspirational, t.private, "
    "(SELECT coalesce(jsonb_agg(e.key ORDER BY e.key), '[]') FROM jsonb_each(t.body) e WHERE e.value IS DISTINCT FROM "
    "t.old->e.key) AS changed, "
    /* what names nobody */
    "CASE WHEN cardinality(t.owners) < jsonb_array_length(coalesce(nullif(t.x->'owner_ids', 'null'), '[]')) THEN "
    "'/owner_ids' WHEN cardinality(t.viewers) < jsonb_array_length(coalesce(nullif(t.x->'viewer_ids', 'null'), '[]')) "
    "THEN '/viewer_ids' WHEN cardinality(t.teams) < jsonb_array_length(coalesce(nullif(t.x->'team_ids', 'null'), "
    "'[]')) THEN '/team_ids' WHEN t.x->>'delegate_id' IS NOT NULL AND t.delegate IS NULL THEN '/delegate_id' WHEN "
    "t.x->>'check_in_owner_id' IS NOT NULL AND t.check_in_owner IS NULL THEN '/check_in_owner_id' WHEN "
    "t.x->>'period_id' IS NOT NULL AND t.period IS NULL THEN '/period_id' END AS missing, "
    /* a new place for somebody who left, or below a team that is no more */
    "(SELECT p.name FROM person p WHERE p.id = ANY (t.owners || ARRAY[t.delegate, t.check_in_owner]) AND "
    "p.deactivated_at IS NOT NULL AND strpos(t.old::text, p.public_id::text) = 0 LIMIT 1) AS gone, "
    "(SELECT x.name FROM team x WHERE x.id = ANY (t.teams) AND x.archived_at IS NOT NULL AND NOT coalesce(t.old->"
    "'team_ids' ? x.public_id::text, false) LIMIT 1) AS archived "
    "FROM t, days";

static const char *value(const PGresult *r, const char *col)
{
    return gs_db_is_null(r, 0, col) ? NULL : gs_db_get(r, 0, col);
}

static int invalid_at(struct gw_call *c, const char *at, const char *member, const char *sentence)
{
    char pointer[128];

    snprintf(pointer, sizeof(pointer), "%s%s", at, member);
    return gw_invalid(c, pointer, "%s", sentence);
}

static int check_names(struct gw_call *c, const char *at, const PGresult *r)
{
    const char *missing = value(r, "missing"), *gone = value(r, "gone"), *archived = value(r, "archived");
    char text[400];

    if (missing)
        return invalid_at(c, at, missing, "names something that this organisation does not have");
    if (gone) {
        snprintf(text, sizeof(text), "%s is deactivated and takes no goals any more; name somebody else", gone);
        return invalid_at(c, at, "/owner_ids", text);
    }
    if (archived) {
        snprintf(text, sizeof(text), "the team %s is archived and takes no goals any more; restore it first", archived);
        return invalid_at(c, at, "/team_ids", text);
    }
    return 0;
}

int gw_definition_read(struct gw_call *c, const char *goal, PGresult **ret_row, struct gw_definition *ret,
                       const char **ret_changed)
{
    return gw_definition_read_text(c, gw_body_text(c, NULL), "", goal, ret_row, ret, ret_changed);
}

int gw_definition_read_text(struct gw_call *c, const char *body, const char *at, const char *goal, PGresult **ret_row,
                            struct gw_definition *ret, const char **ret_changed)
{
    const PGresult *r = *ret_row = gw_query(c, read_sql, GS_WITH(body, goal));
    int status;

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "goal");
    *ret = (struct gw_definition){.kind = value(r, "kind"),
                                  .metric = value(r, "metric"),
                                  .mode = value(r, "mode"),
                                  .level = value(r, "level"),
                                  .title = value(r, "title"),
                                  .description = value(r, "description"),
                                  .unit = value(r, "unit"),
                                  .start = value(r, "start"),
                                  .target = value(r, "target"),
                                  .risk = value(r, "risk"),
                                  .starts_on = value(r, "starts_on"),
                                  .ends_on = value(r, "ends_on"),
                                  .period = value(r, "period"),
                                  .creator = value(r, "creator"),
                                  .delegate = value(r, "delegate"),
                                  .check_in_owner = value(r, "check_in_owner"),
                                  .owners = value(r, "owners"),
                                  .viewers = value(r, "viewers"),
                                  .teams = value(r, "teams"),
                                  .tags = value(r, "tags"),
                                  .external_id = value(r, "external_id"),
                                  .aspirational = gs_db_get_bool(r, 0, "aspirational"),
                                  .is_private = gs_db_get_bool(r, 0, "private")};
    *ret_changed = value(r, "changed");
    status = check_names(c, at, r);
    return status ? status : gw_definition_judge(c, ret, at);
}

/* ---- judging ---- */

static int read_number(struct gw_call *c, const char *at, const char *member, const char *text, bool *ret_has,
                       struct gs_dec *ret)
{
    struct gs_err err;

    *ret_has = text != NULL;
    if (text && gs_dec_parse(text, strlen(text), ret, &err) != GS_OK)
        return invalid_at(c, at, member, err.text);
    return 0;
}

int gw_definition_judge(struct gw_call *c, const struct gw_definition *d, const char *at)
{
    struct gs_goal g = {.unit = d->unit};
    struct gs_err err;
    bool of_team = gs_str_eq(d->level, "team");
    int status;

    if (!d->kind || !gs_goal_kind_parse(d->kind, &g.kind) || !gs_goal_metric_parse(d->metric, &g.metric) ||
        !gs_goal_mode_parse(d->mode, &g.mode))
        return invalid_at(c, at, "", "its kind, metric or mode is none that there is");
    if (!d->title || !d->title[strspn(d->title, " \t\r\n")])
        return invalid_at(c, at, "/title", "is empty; a goal needs a title");
    if ((status = read_number(c, at, "/start", d->start, &g.has_start, &g.start)) != 0 ||
        (status = read_number(c, at, "/target", d->target, &g.has_target, &g.target)) != 0 ||
        (status = read_number(c, at, "/risk", d->risk, &g.has_risk, &g.risk)) != 0)
        return status;
    if (strcmp(d->starts_on, d->ends_on) > 0) /* days as ISO 8601 writes them sort as text */
        return invalid_at(c, at, "/ends_on", "is before starts_on; a goal ends on the day it starts or later");
    if (of_team == gs_str_eq(d->teams, "{}"))
        return invalid_at(c, at, "/team_ids",
                          of_team ? "is empty; a team's goal names its teams"
                                  : "names teams; only a goal of level team has them");
    if (gs_goal_validate(&g, &err) != GS_OK)
        return invalid_at(c, at, "/metric", err.text);
    return 0;
}

/* ---- storing ---- */

static const char insert_sql[] =
    "INSERT INTO goal (org_id, kind, metric, mode, level, title, description, unit, start_value, target_value, "
    "risk_value, start_on, end_on, period_id, creator_id, delegate_id, check_in_owner_id, owner_id, external_id, "
    "copied_from_id, aspirational, private) VALUES (calling('org'), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
    "$13, $14, $15, $16, ($17::bigint[])[1], $18, $19, $20, $21) RETURNING id";

/* What is new of the lists; $1: the goal. */
static const char lists_sql[] =
    "WITH o AS (INSERT INTO goal_co_owner (goal_id, person_id, org_id) SELECT $1, x, calling('org') FROM "
    "unnest(($2::bigint[])[2:]) x ON CONFLICT DO NOTHING), v AS (INSERT INTO goal_viewer (goal_id, person_id, org_id) "
    "SELECT $1, x, calling('org') FROM unnest($3::bigint[]) x ON CONFLICT DO NOTHING), t AS (INSERT INTO goal_team "
    "(goal_id, team_id, org_id) SELECT $1, x, calling('org') FROM unnest($4::bigint[]) x ON CONFLICT DO NOTHING) "
    "INSERT INTO goal_tag (goal_id, org_id, tag) SELECT DISTINCT $1::bigint, calling('org'), btrim(x) FROM "
    "unnest($5::text[]) x ON CONFLICT DO NOTHING";

static const char update_sql[] =
    "UPDATE goal SET kind = $2, metric = $3, mode = $4, level = $5, title = $6, description = $7, unit = $8, "
    "start_value = $9, target_value = $10, risk_value = $11, start_on = $12, end_on = $13, period_id = $14, "
    "delegate_id = $15, check_in_owner_id = $16, owner_id = ($17::bigint[])[1], aspirational = $18, private = $19 "
    "WHERE id = $1";

/* What is gone from them: after the goal, so that who leaves still sees it while it is stored. */
static const char leave_sql[] =
    "WITH o AS (DELETE FROM goal_co_owner WHERE goal_id = $1 AND person_id <> ALL (($2::bigint[])[2:])), "
    "v AS (DELETE FROM goal_viewer WHERE goal_id = $1 AND person_id <> ALL ($3::bigint[])), "
    "t AS (DELETE FROM goal_team WHERE goal_id = $1 AND team_id <> ALL ($4::bigint[])) "
    "DELETE FROM goal_tag WHERE goal_id = $1 AND tag <> ALL (SELECT btrim(x) FROM unnest($5::text[]) x)";

static const char *yes(bool b)
{
    return b ? "true" : "false";
}

int gw_goal_insert(struct gw_call *c, const struct gw_definition *d, char ret_id[GW_ID_TEXT])
{
    GS_AUTO_RESULT r =
        gw_query(c, insert_sql,
                 GS_WITH(d->kind, d->metric, d->mode, d->level, d->title, d->description, d->unit, d->start, d->target,
                         d->risk, d->starts_on, d->ends_on, d->period, d->creator, d->delegate, d->check_in_owner,
                         d->owners, d->external_id, d->copied_from, yes(d->aspirational), yes(d->is_private)));

    if (!r)
        return gw_status(c);
    snprintf(ret_id, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    if (!gw_exec(c, lists_sql, GS_WITH(ret_id, d->owners, d->viewers, d->teams, d->tags)))
        return gw_status(c);
    return 0;
}

int gw_goal_update(struct gw_call *c, const char *goal, const struct gw_definition *d)
{
    if (!gw_exec(c, lists_sql, GS_WITH(goal, d->owners, d->viewers, d->teams, d->tags)) ||
        !gw_exec(c, update_sql,
                 GS_WITH(goal, d->kind, d->metric, d->mode, d->level, d->title, d->description, d->unit, d->start,
                         d->target, d->risk, d->starts_on, d->ends_on, d->period, d->delegate, d->check_in_owner,
                         d->owners, yes(d->aspirational), yes(d->is_private))) ||
        !gw_exec(c, leave_sql, GS_WITH(goal, d->owners, d->viewers, d->teams, d->tags)))
        return gw_status(c);
    return 0;
}

/* ---- privacy ---- */

/* What stands against the privacy that the goal now has; asked with all goals in sight, but titles of private ones are
 * named to nobody. */
static const char conflict_sql[] =
    "WITH RECURSIVE down(id) AS (SELECT $1::bigint UNION SELECT e.child_id FROM down d JOIN goal_edge e ON e.parent_id "
    "= d.id JOIN goal k ON k.id = e.child_id WHERE k.kind = 'key_result'), me AS (SELECT private FROM goal WHERE id = "
    "$1) "
    "SELECT (SELECT string_agg(CASE WHEN p.private THEN 'a private goal' ELSE '\"' || p.title || '\"' END, ', ') FROM "
    "goal_edge e JOIN goal p ON p.id = e.parent_id WHERE e.child_id = $1 AND me.private AND (NOT p.private OR "
    "(SELECT count(*) FROM goal_edge x WHERE x.child_id = $1) > 1)) AS parents, "
    "(SELECT string_agg('\"' || k.title || '\" below ' || (SELECT string_agg(CASE WHEN p.private THEN 'a private goal' "
    "ELSE '\"' || p.title || '\"' END, ', ') FROM goal_edge e JOIN goal p ON p.id = e.parent_id WHERE e.child_id = "
    "k.id), '; ') FROM goal k WHERE me.private AND k.id IN (SELECT id FROM down) AND k.id <> $1 AND (SELECT count(*) "
    "FROM goal_edge x WHERE x.child_id = k.id) > 1) AS shared, "
    "(SELECT count(*) FROM goal_edge e JOIN goal k ON k.id = e.child_id WHERE e.parent_id = $1 AND NOT me.private AND "
    "k.private AND k.kind <> 'key_result') AS private_below FROM me";

/* A key result is as private as what it measures, to the same people. */
static const char pass_sql[] =
    "WITH RECURSIVE down(id) AS (SELECT e.child_id FROM goal_edge e JOIN goal k ON k.id = e.child_id WHERE "
    "e.parent_id = $1 AND k.kind = 'key_result' UNION SELECT e.child_id FROM down d JOIN goal_edge e ON e.parent_id = "
    "d.id JOIN goal k ON k.id = e.child_id WHERE k.kind = 'key_result'), "
    "circle(id) AS (SELECT x FROM goal g, unnest(ARRAY[g.owner_id, g.creator_id, g.delegate_id, g.check_in_owner_id]) "
    "x "
    "WHERE g.id = $1 AND g.private AND x IS NOT NULL UNION SELECT person_id FROM goal_co_owner WHERE goal_id = $1 AND "
    "(SELECT private FROM goal WHERE id = $1) UNION SELECT person_id FROM goal_viewer WHERE goal_id = $1), "
    "gone AS (DELETE FROM goal_viewer WHERE goal_id IN (SELECT id FROM down) AND person_id NOT IN (SELECT id FROM "
    "circle)), "
    "come AS (INSERT INTO goal_viewer (goal_id, person_id, org_id) SELECT d.id, c.id, calling('org') FROM down d CROSS "
    "JOIN circle c ON CONFLICT DO NOTHING) "
    "UPDATE goal k SET private = p.private FROM goal p WHERE p.id = $1 AND k.id IN (SELECT id FROM down) AND "
    "k.private <> p.private";

int gw_goal_pass_privacy(struct gw_call *c, const char *goal)
{
    if (!gw_goal_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, conflict_sql, GS_WITH(goal));
    if (!r)
        return gw_status(c);
    if (!gs_db_is_null(r, 0, "parents"))
        return gw_fail(
            c, 422, "private-alignment",
            "a private goal cannot be aligned to public goals, nor to several; it is aligned to %.300s: take "
            "that alignment away first",
            gs_db_get(r, 0, "parents"));
    if (!gs_db_is_null(r, 0, "shared"))
        return gw_fail(c, 422, "private-alignment",
                       "its key results become private with it, but some have other parents too: %.300s; take those "
                       "alignments away first",
                       gs_db_get(r, 0, "shared"));
    if (gs_db_get_int(r, 0, "private_below") > 0)
        return gw_fail(c, 422, "private-alignment",
                       "private goals are aligned to it, so it stays private; take those alignments away first");
    if (!gw_exec(c, pass_sql, GS_WITH(goal)) || !gw_goal_see_all(c, false))
        return gw_status(c);
    return 0;
}

/* ---- alignment ---- */

int gw_weight_read(struct gw_call *c, const char *text, const char *pointer, char ret[GW_ID_TEXT])
{
    struct gs_err err;
    int32_t w;

    *ret = '\0';
    if (!text)
        return 0;
    if (gs_weight_parse(text, strlen(text), &w, &err) != GS_OK)
        return gw_invalid(c, pointer, "%s", err.text);
    snprintf(ret, GW_ID_TEXT, "%d", w);
    return 0;
}

int gw_goal_check_weights(struct gw_call *c, const char *parent)
{
    static const char sql[] = "SELECT sum(weight_hundredths) FROM goal_edge WHERE parent_id = $1 AND contributes";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(parent));
    int64_t sum = 0;

    if (!r)
        return gw_status(c);
    if (PQgetisnull(r, 0, 0) || !gs_parse_int(PQgetvalue(r, 0, 0), 0, INT64_MAX, &sum) || sum <= GS_WEIGHT_FULL)
        return 0;
    return gw_fail(c, 422, "weights",
                   "the fixed weights below the parent would add up to %lld.%02lld percent, which is above 100; lower "
                   "one of them, or leave one free",
                   (long long)(sum / 100), (long long)(sum % 100));
}

/* Edges of an organisation are added one transaction at a time, as its trigger has it: a circle is looked for after
 * the lock. Both ends' rows are locked too: a change of the child that began before the edge was there does not know
 * the parent, one of the parent (that it becomes private) not the child, and what comes after does. */
static const char pair_sql[] =
    "SELECT k.kind AS kind, k.title AS title, p.kind AS parent_kind, p.title AS parent_title, "
    "o.aligned_contribute, o.projects_contribute, o.several_parents, EXISTS (SELECT FROM goal_edge e WHERE e.child_id "
    "= k.id AND e.parent_id <> p.id) AS has_other, EXISTS (WITH RECURSIVE above(id) AS (SELECT p.id UNION SELECT "
    "e.parent_id FROM goal_edge e JOIN above a ON e.child_id = a.id) SELECT FROM above WHERE above.id = k.id) AS "
    "circle FROM goal k, goal p, organisation o WHERE k.id = $1 AND p.id = $2 AND o.id = k.org_id";

static int check_pair(struct gw_call *c, const PGresult *r)
{
    const char *title = gs_db_get(r, 0, "title"), *parent = gs_db_get(r, 0, "parent_title");

    if (gs_db_get_bool(r, 0, "circle"))
        return gw_fail(c, 422, "circle",
                       "\"%.150s\" is or stands above \"%.150s\" already; aligning it below would make a circle", title,
                       parent);
    if (gs_str_eq(gs_db_get(r, 0, "parent_kind"), "project"))
        return gw_fail(c, 422, "parent-kind",
                       "\"%.150s\" is a project, which has tasks and no goals below it; align to an objective or a key "
                       "result",
                       parent);
    if (gs_db_get_bool(r, 0, "has_other") && !gs_db_get_bool(r, 0, "several_parents"))
        return gw_fail(
            c, 422, "several-parents",
            "\"%.150s\" is aligned already, and this organisation lets a goal have one parent only; take the "
            "other alignment away first",
            title);
    return 0;
}

int gw_goal_align(struct gw_call *c, const char *child, const char *parent, const char *weight, const char *contributes)
{
    static const char lock_sql[] = "SELECT pg_advisory_xact_lock(hashtextextended('goal_edge', calling('org')))";
    static const char ends_sql[] = "SELECT FROM goal WHERE id IN ($1, $2) ORDER BY id FOR NO KEY UPDATE";
    static const char edge_sql[] =
        "INSERT INTO goal_edge (parent_id, child_id, org_id, weight_hundredths, contributes, position) SELECT $1, $2, "
        "calling('org'), $3, $4, coalesce((SELECT max(position) + 1 FROM goal_edge WHERE parent_id = $1), 0)";
    struct gs_align_rules rules = {0};
    enum gs_goal_kind kind = GS_OBJECTIVE;
    int status;

    if (!gw_exec(c, lock_sql, GS_NO_PARAMS) || !gw_exec(c, ends_sql, GS_WITH(child, parent)))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, pair_sql, GS_WITH(child, parent));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "goal");
    if ((status = check_pair(c, r)) != 0)
        return status;
    rules.newly_aligned_contribute = gs_db_get_bool(r, 0, "aligned_contribute");
    rules.projects_contribute = gs_db_get_bool(r, 0, "projects_contribute");
    (void)!gs_goal_kind_parse(gs_db_get(r, 0, "kind"), &kind);
    /* Giving a weight says that it shall count, whatever the default for its kind. */
    if (!contributes)
        contributes = weight || gs_align_contributes(kind, &rules) ? "true" : "false";
    if (!gw_exec(c, edge_sql, GS_WITH(parent, child, weight, contributes)))
        return gw_status(c);
    if (weight && (status = gw_goal_check_weights(c, parent)) != 0)
        return status;
    return 0;
}
