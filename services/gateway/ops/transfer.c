/* Whole goal graphs as one document, out and in. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/graph.h"
#include "services/gateway/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULTS_MAX = 16, STATEMENT_EDGES = 500 };
#define TEXT_OF(x) #x
#define NUMBER(x)  TEXT_OF(x)

/* ---- out ---- */

/* $1: only this goal and what is below it, $2: only of this period. What a link asks for goes along; by what it signs
 * in does not. */
#define ADDRESS(id) "(SELECT p.email FROM person p WHERE p.id = " id ")"
static const char export_sql[] =
    "WITH RECURSIVE down(id) AS (SELECT g.id FROM goal g WHERE g.public_id = $1::uuid UNION SELECT e.child_id FROM "
    "down d JOIN goal_edge e ON e.parent_id = d.id), "
    "kept AS MATERIALIZED (SELECT g.* FROM goal g WHERE g.org_id = calling('org') AND ($1::uuid IS NULL OR g.id IN "
    "(SELECT id FROM down)) AND ($2::uuid IS NULL OR g.period_id = (SELECT id FROM period WHERE public_id = $2)) ORDER "
    "BY g.id LIMIT " NUMBER(
        GW_GRAPH_GOALS_MAX) " + 1), "
                            "edges AS (SELECT json_agg(json_build_object('parent', p.public_id, 'child', k.public_id, "
                            "'weight', "
                            "round(e.weight_hundredths / 100.0, 2)::text, 'contributes', e.contributes) ORDER BY "
                            "e.parent_id, e.position, "
                            "e.child_id) AS list, count(*) AS n FROM kept p CROSS JOIN LATERAL (SELECT * FROM "
                            "goal_edge x WHERE x.parent_id = "
                            "p.id OFFSET 0) e JOIN kept k ON k.id = e.child_id) "
                            "SELECT json_build_object('version', 1, 'goals', (SELECT "
                            "coalesce(json_agg(json_build_object('ref', g.public_id, "
                            "'kind', g.kind, 'level', g.level, 'title', g.title, 'description', g.description, "
                            "'metric', g.metric, 'unit', "
                            "g.unit, 'start', trim_scale(g.start_value)::text, 'target', "
                            "trim_scale(g.target_value)::text, 'risk', "
                            "trim_scale(g.risk_value)::text, 'mode', g.mode, 'value', CASE WHEN g.has_value THEN "
                            "trim_scale(g.applied_value)::text END, 'status', g.status, 'score', "
                            "trim_scale(g.score)::text, 'period', (SELECT "
                            "x.name FROM period x WHERE x.id = g.period_id), 'starts_on', g.start_on, 'ends_on', "
                            "g.end_on, "
                            "'owners', (SELECT coalesce(json_agg(p.email ORDER BY x.place, p.id), '[]') FROM (SELECT "
                            "g.owner_id AS id, 0 AS "
                            "place UNION ALL SELECT o.person_id, 1 FROM goal_co_owner o WHERE o.goal_id = g.id) x JOIN "
                            "person p ON p.id = "
                            "x.id), 'delegate', " ADDRESS("g.delegate_id") ", 'check_in_owner', " ADDRESS(
                                "g.check_in_owner_id") ", "
                                                       "'teams', (SELECT coalesce(json_agg(t.name ORDER BY t.id), "
                                                       "'[]') FROM goal_team x JOIN team t ON t.id = x.team_id "
                                                       "WHERE x.goal_id = g.id), 'tags', (SELECT "
                                                       "coalesce(json_agg(x.tag ORDER BY x.tag), '[]') FROM goal_tag x "
                                                       "WHERE "
                                                       "x.goal_id = g.id), 'private', g.private, 'viewers', (SELECT "
                                                       "coalesce(json_agg(p.email ORDER BY p.id), '[]') FROM "
                                                       "goal_viewer x JOIN person p ON p.id = x.person_id WHERE "
                                                       "x.goal_id = g.id), 'aspirational', g.aspirational, "
                                                       "'external_id', g.external_id, 'tasks', (SELECT "
                                                       "coalesce(json_agg(json_build_object('title', t.title, 'done', "
                                                       "t.done, 'due_on', t.due_on, 'owner', " ADDRESS(
                                                           "t.owner_id") ") ORDER BY t.position, t.id), '[]') FROM "
                                                                         "goal_task "
                                                                         "t WHERE t.goal_id = g.id), 'link', (SELECT "
                                                                         "json_build_object('connector', k.connector, "
                                                                         "'connection', k.name, "
                                                                         "'settings', l.settings) FROM link l JOIN "
                                                                         "connection k ON k.id = l.connection_id WHERE "
                                                                         "l.goal_id = g.id)) ORDER BY "
                                                                         "g.id), '[]') FROM kept g), 'edges', "
                                                                         "coalesce(edges.list, '[]')), (SELECT "
                                                                         "count(*) FROM kept), edges.n FROM edges";

static int too_many(struct gw_call *c, const char *what, int most)
{
    return gw_fail(c, 409, "too-many",
                   "there are more than %d %s; export a part of them: what is below one goal, or one period", most,
                   what);
}

static int goal_graph_export(struct gw_call *c)
{
    GS_AUTO_RESULT r = gw_query(c, export_sql, GS_WITH(gw_param(c, "root_id"), gw_param(c, "period_id")));
    int64_t goals, edges;

    if (!r)
        return gw_status(c);
    if (!gs_parse_int(PQgetvalue(r, 0, 1), 0, GW_GRAPH_GOALS_MAX, &goals))
        return too_many(c, "goals", GW_GRAPH_GOALS_MAX);
    if (!gs_parse_int(PQgetvalue(r, 0, 2), 0, GW_GRAPH_EDGES_MAX, &edges))
        return too_many(c, "alignments", GW_GRAPH_EDGES_MAX);
    if (!gw_transfer_audit(c, "goals.exported", "json", (size_t)goals))
        return gw_status(c);
    return gw_answer_text(c, 200, "application/json", PQgetvalue(r, 0, 0), strlen(PQgetvalue(r, 0, 0)));
}

/* ---- in ---- */

struct import {
    struct gw_call *c;
    struct gw_graph graph;
    PGresult *names;
    PGresult **rows; /* what the definitions borrow from */
    struct gw_definition *goals;
    char (*ids)[GW_ID_TEXT];
    const char **id_list;
    bool *below; /* has a parent in the document */
    int faults;
};

static void import_done(struct import *m)
{
    for (uint32_t i = 0; m->rows && i < m->graph.n_goals; i++)
        PQclear(m->rows[i]);
    free(m->rows);
    free(m->goals);
    free(m->ids);
    free(m->id_list);
    free(m->below);
    PQclear(m->names);
    gw_graph_done(&m->graph);
}

static void note_fault(void *arg, const char *pointer, const char *detail)
{
    struct import *m = arg;

    m->faults++;
    (void)gw_invalid(m->c, pointer, "%s", detail);
}

static void fault_at(struct import *m, uint32_t i, const char *member, const char *detail)
{
    char pointer[80];

    snprintf(pointer, sizeof(pointer), "/goals/%u%s", i, member);
    note_fault(m, pointer, detail);
}

static int refuse(struct import *m)
{
    return gw_fail(m->c, 422, "invalid", "the document has %s%d mistakes, which errors lists; nothing was imported",
                   m->faults >= FAULTS_MAX ? "at least " : "", m->faults);
}

static int read_graph(struct import *m)
{
    static const char sql[] = "SELECT several_parents FROM organisation WHERE id = calling('org')";
    GS_AUTO_RESULT r = gw_query(m->c, sql, GS_NO_PARAMS);

    if (!r)
        return gw_status(m->c);
    (void)!gw_graph_read(&m->graph, gw_body(m->c), !gs_db_get_bool(r, 0, "several_parents"), note_fault, m);
    m->rows = gs_alloc_n(m->graph.n_goals + 1, sizeof(*m->rows));
    m->goals = gs_alloc_n(m->graph.n_goals + 1, sizeof(*m->goals));
    m->ids = gs_alloc_n(m->graph.n_goals + 1, sizeof(*m->ids));
    m->id_list = gs_alloc_n(m->graph.n_goals + 1, sizeof(*m->id_list));
    m->below = gs_alloc_n(m->graph.n_goals + 1, sizeof(*m->below));
    for (uint32_t i = 0; i < m->graph.n_edges; i++)
        m->below[m->graph.edges[i].child] = true;
    return 0;
}

/* 0 also when it is wrong: that is counted. */
static int read_goal(struct import *m, uint32_t i)
{
    const char *wrong = gs_db_get(m->names, (int)i, "wrong"), *changed;
    struct gw_wrong w;
    char at[32];
    bool may;
    int status;

    while (gw_transfer_wrong(&wrong, &w))
        fault_at(m, i, w.member, w.text);
    snprintf(at, sizeof(at), "/goals/%u", i);
    status = gw_definition_read_text(m->c, gs_db_get(m->names, (int)i, "body"), at, NULL, &m->rows[i], &m->goals[i],
                                     &changed);
    if (status == 422)
        m->faults++;
    if (status)
        return status == 422 ? 0 : status;
    if (m->below[i])
        return 0;
    status = gw_transfer_may_create(m->c, &m->goals[i], &may);
    if (status == 0 && !may)
        fault_at(m, i, "/level", gw_transfer_no_create);
    return status;
}

/* Once all goals are there, ids of other systems and tasks have no second chance to be refused one by one. */
static int judge_rest(struct import *m)
{
    static const char sql[] =
        "WITH e AS (SELECT x, n - 1 AS n FROM jsonb_array_elements($1::jsonb->'goals') WITH ORDINALITY t(x, n)) "
        "SELECT n, '/external_id' AS member, CASE WHEN earlier THEN 'is the one of an earlier goal, too' ELSE 'is the "
        "one of a goal that is here already; leave it out to import a copy' END AS text FROM (SELECT e.n, row_number() "
        "OVER (PARTITION BY e.x->>'external_id' ORDER BY e.n) > 1 AS earlier, EXISTS (SELECT FROM goal g WHERE "
        "g.org_id = calling('org') AND g.external_id = e.x->>'external_id') AS taken FROM e WHERE e.x->>'external_id' "
        "IS NOT NULL) d WHERE earlier OR taken UNION ALL "
        "SELECT n, '/tasks', 'are only for projects' FROM e WHERE e.x->>'kind' <> 'project' AND "
        "jsonb_array_length(coalesce(nullif(e.x->'tasks', 'null'), '[]')) > 0 UNION ALL "
        "SELECT n, '/tasks/' || k - 1 || '/owner', 'is the address of nobody who is active in this organisation' FROM "
        "e CROSS JOIN LATERAL jsonb_array_elements(coalesce(nullif(e.x->'tasks', 'null'), '[]')) WITH ORDINALITY t(y, "
        "k) WHERE y->>'owner' IS NOT NULL AND $2::text IS NULL AND NOT EXISTS (SELECT FROM person p WHERE p.org_id = "
        "calling('org') AND lower(p.email) = lower(btrim(y->>'owner')) AND p.deactivated_at IS NULL) "
        "ORDER BY 1 LIMIT " NUMBER(16);
    GS_AUTO_RESULT r = gw_query(m->c, sql, GS_WITH(gw_body_text(m->c, NULL), gw_param(m->c, "fallback_owner")));

    if (!r)
        return gw_status(m->c);
    for (int i = 0; i < PQntuples(r); i++)
        fault_at(m, (uint32_t)gs_db_get_int(r, i, "n"), gs_db_get(r, i, "member"), gs_db_get(r, i, "text"));
    return 0;
}

static int read_all(struct import *m)
{
    const char *fallback = gw_param(m->c, "fallback_owner");
    int status = gw_transfer_need_fallback(m->c, fallback);

    if (status == 0)
        status = read_graph(m);
    if (status)
        return status;
    m->names = gw_transfer_names(m->c, gw_body_text(m->c, NULL), fallback, false);
    if (!m->names)
        return gw_status(m->c);
    for (uint32_t i = 0; i < m->graph.n_goals && m->faults < FAULTS_MAX && status == 0; i++)
        status = read_goal(m, i);
    if (status == 0)
        status = judge_rest(m);
    return status ? status : m->faults ? refuse(m) : 0;
}

/* ---- storing ---- */

/* $1: the document, $2: the goals' ids, in its order. */
#define MADE                                                                                                           \
    "FROM unnest($2::bigint[]) WITH ORDINALITY u(id, n) JOIN jsonb_array_elements($1::jsonb->'goals') WITH "           \
    "ORDINALITY d(x, n) USING (n) "
static const char tasks_sql[] =
    "INSERT INTO goal_task (org_id, goal_id, title, done, due_on, owner_id, position) SELECT calling('org'), u.id, "
    "y->>'title', coalesce((y->>'done')::boolean, false), (y->>'due_on')::date, (SELECT p.id FROM person p WHERE "
    "p.org_id = calling('org') AND lower(p.email) = lower(btrim(y->>'owner')) AND p.deactivated_at IS NULL LIMIT 1), k "
    "- 1 " MADE "CROSS JOIN LATERAL jsonb_array_elements(coalesce(nullif(x->'tasks', 'null'), '[]')) WITH ORDINALITY "
    "t(y, k)";
/* What rolls up gets its value from below. */
static const char values_sql[] =
    "WITH v AS (SELECT u.id, (x->>'value')::numeric AS value " MADE "WHERE x->>'value' IS NOT NULL), s AS (UPDATE goal "
    "g SET applied_value = v.value, auto_value = CASE g.mode WHEN 'data_source' THEN v.value END, applied_at = now() "
    "FROM v WHERE g.id = v.id AND g.mode <> 'roll_up' RETURNING g.id, v.value) INSERT INTO check_in (at, org_id, "
    "goal_id, person_id, value, note) SELECT clock_timestamp(), calling('org'), s.id, calling('person'), s.value, "
    "'Imported' FROM s";
static const char ended_sql[] = "UPDATE goal g SET ended_at = now(), score = (x->>'score')::numeric " MADE
                                "WHERE g.id = u.id AND x->>'status' = $3 RETURNING g.id";
/* From below: what is looked for above a new edge's parent, in search of a circle, is not there yet. Who contributes
 * where the document does not say is as gs_align_contributes() has it. */
static const char edges_sql[] =
    "INSERT INTO goal_edge (parent_id, child_id, org_id, weight_hundredths, contributes, position) SELECT u.p, u.k, "
    "o.id, u.w, coalesce(u.c, u.w IS NOT NULL OR o.aligned_contribute AND (g.kind <> 'project' OR "
    "o.projects_contribute)), u.pos FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::boolean[], $5::int[]) "
    "WITH ORDINALITY u(p, k, w, c, pos, n) CROSS JOIN LATERAL (SELECT x.kind FROM goal x WHERE x.id = u.k OFFSET 0) g "
    "JOIN organisation o ON o.id = calling('org') ORDER BY u.n";

struct columns {
    struct gs_buf of[5];
};

static void columns_begin(struct columns *x)
{
    for (size_t i = 0; i < 5; i++) {
        gs_buf_clear(&x->of[i]);
        gs_buf_putc(&x->of[i], '{');
    }
}

static void columns_done(struct columns *x)
{
    for (size_t i = 0; i < 5; i++)
        gs_buf_done(&x->of[i]);
}

static void put_edge(struct import *m, struct columns *x, uint32_t edge, bool first)
{
    const struct gw_graph_edge *e = &m->graph.edges[edge];

    for (size_t i = 0; i < 5 && !first; i++)
        gs_buf_putc(&x->of[i], ',');
    gs_buf_puts(&x->of[0], m->ids[e->parent]);
    gs_buf_puts(&x->of[1], m->ids[e->child]);
    if (e->weight < 0)
        gs_buf_puts(&x->of[2], "NULL");
    else
        gs_buf_printf(&x->of[2], "%d", e->weight);
    gs_buf_puts(&x->of[3], e->contributes < 0 ? "NULL" : e->contributes ? "true" : "false");
    gs_buf_printf(&x->of[4], "%u", edge);
}

static bool insert_edges(struct import *m, const uint32_t *edges, uint32_t n, struct columns *x)
{
    columns_begin(x);
    for (uint32_t i = 0; i < n; i++)
        put_edge(m, x, edges[i], i == 0);
    for (size_t i = 0; i < 5; i++)
        gs_buf_putc(&x->of[i], '}');
    return gw_exec(m->c, edges_sql,
                   GS_WITH(gs_buf_str(&x->of[0]), gs_buf_str(&x->of[1]), gs_buf_str(&x->of[2]), gs_buf_str(&x->of[3]),
                           gs_buf_str(&x->of[4])));
}

static int compare_depth(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

/* Edges whose parent comes last in the order of goals first. */
static int put_edges(struct import *m)
{
    static const char lock_sql[] = "SELECT pg_advisory_xact_lock(hashtextextended('goal_edge', calling('org')))";
    const struct gw_graph *g = &m->graph;
    GS_AUTO(gs_freep) uint32_t *place = gs_alloc_n(g->n_goals + 1, sizeof(*place));
    GS_AUTO(gs_freep) uint64_t *keys = gs_alloc_n(g->n_edges + 1, sizeof(*keys));
    GS_AUTO(gs_freep) uint32_t *edges = gs_alloc_n(g->n_edges + 1, sizeof(*edges));
    GS_AUTO(columns_done) struct columns x;

    for (size_t i = 0; i < 5; i++)
        gs_buf_init(&x.of[i], GW_BODY_MAX);
    for (uint32_t i = 0; i < g->n_goals; i++)
        place[g->order[i]] = i;
    for (uint32_t i = 0; i < g->n_edges; i++)
        keys[i] = (uint64_t)place[g->edges[i].parent] << 32 | i;
    qsort(keys, g->n_edges, sizeof(*keys), compare_depth);
    for (uint32_t i = 0; i < g->n_edges; i++)
        edges[i] = (uint32_t)keys[i];
    if (!gw_exec(m->c, lock_sql, GS_NO_PARAMS))
        return gw_status(m->c);
    for (uint32_t i = 0; i < g->n_edges; i += STATEMENT_EDGES) {
        uint32_t left = g->n_edges - i;
        if (!insert_edges(m, edges + i, left < STATEMENT_EDGES ? left : STATEMENT_EDGES, &x))
            return gw_status(m->c);
    }
    return 0;
}

static int put_goals(struct import *m)
{
    int status = 0;

    for (uint32_t i = 0; i < m->graph.n_goals && status == 0; i++) {
        status = gw_goal_insert(m->c, &m->goals[i], m->ids[i]);
        m->id_list[i] = m->ids[i];
    }
    return status;
}

static int pass_privacy(struct import *m)
{
    int status = 0;

    for (uint32_t i = 0; i < m->graph.n_goals && status == 0; i++)
        if (m->goals[m->graph.order[i]].is_private)
            status = gw_goal_pass_privacy(m->c, m->ids[m->graph.order[i]]);
    return status;
}

static int end(struct import *m, const char *ids, const char *label, enum gs_goal_status how)
{
    GS_AUTO_RESULT r = gw_query(m->c, ended_sql, GS_WITH(gw_body_text(m->c, NULL), ids, label));

    if (!r)
        return gw_status(m->c);
    GS_AUTO(gs_freep) const char **list = gs_alloc_n((size_t)PQntuples(r) + 1, sizeof(*list));
    for (int i = 0; i < PQntuples(r); i++)
        list[i] = PQgetvalue(r, i, 0);
    return gw_goal_recompute(m->c, list, (size_t)PQntuples(r), &(struct gw_change){.end = true, .ending = how});
}

static int store(struct import *m)
{
    GS_AUTO(gs_buf_done) struct gs_buf ids;
    const char *body = gw_body_text(m->c, NULL);
    int status = put_goals(m);

    gs_buf_init(&ids, GW_BODY_MAX);
    if (status == 0)
        status = put_edges(m);
    if (status)
        return status;
    gw_transfer_put_ids(&ids, m->id_list, m->graph.n_goals);
    if (!gw_exec(m->c, tasks_sql, GS_WITH(body, gs_buf_str(&ids))) ||
        !gw_exec(m->c, values_sql, GS_WITH(body, gs_buf_str(&ids))))
        return gw_status(m->c);
    status = pass_privacy(m);
    if (status == 0)
        status = gw_goal_recompute(m->c, m->id_list, m->graph.n_goals, &(struct gw_change){.edited = true});
    if (status == 0)
        status = end(m, gs_buf_str(&ids), "closed", GS_CLOSED);
    if (status == 0)
        status = end(m, gs_buf_str(&ids), "postponed", GS_POSTPONED);
    return status ? status : gw_transfer_tell(m->c, m->id_list, m->graph.n_goals, false);
}

/* What became of each ref; without ids when nothing stays. */
static int answer(struct import *m, bool dry)
{
    static const char sql[] =
        "SELECT json_build_object('dry_run', $3::boolean, 'goals', coalesce(json_agg(json_build_object('ref', "
        "x->>'ref', 'id', CASE WHEN NOT $3::boolean THEN g.public_id END, 'notes', s.notes::json, 'unlinked', "
        "coalesce(x->'link', 'null') <> 'null') ORDER BY u.n), '[]')) FROM unnest($2::bigint[], $4::text[]) WITH "
        "ORDINALITY s(id, notes, n) JOIN unnest($2::bigint[]) WITH ORDINALITY u(id, n) USING (n) JOIN "
        "jsonb_array_elements($1::jsonb->'goals') WITH ORDINALITY d(x, n) USING (n) LEFT JOIN goal g ON g.id = u.id";
    GS_AUTO(gs_buf_done) struct gs_buf ids, notes;
    const uint32_t n = m->graph.n_goals;

    gs_buf_init(&ids, GW_BODY_MAX);
    gs_buf_init(&notes, GW_ANSWER_MAX);
    gw_transfer_put_ids(&ids, m->id_list, n);
    gs_buf_putc(&notes, '{');
    for (uint32_t i = 0; i < n; i++) {
        gs_buf_puts(&notes, i ? ",\"" : "\"");
        for (const char *s = gs_db_get(m->names, (int)i, "notes"); *s; s++) {
            if (*s == '"' || *s == '\\')
                gs_buf_putc(&notes, '\\');
            gs_buf_putc(&notes, *s);
        }
        gs_buf_putc(&notes, '"');
    }
    gs_buf_putc(&notes, '}');
    return gw_answer(
        m->c, 200,
        gw_query(m->c, sql,
                 GS_WITH(gw_body_text(m->c, NULL), gs_buf_str(&ids), dry ? "true" : "false", gs_buf_str(&notes))));
}

static int goal_graph_import(struct gw_call *c)
{
    GS_AUTO(import_done) struct import m = {.c = c};
    bool dry = gw_flag(c, "dry_run");
    int status = read_all(&m), answered;

    if (status == 0 && dry && !gw_exec(c, "SAVEPOINT dry_run", GS_NO_PARAMS))
        return gw_status(c);
    if (status == 0)
        status = store(&m);
    if (status)
        return status;
    answered = answer(&m, dry);
    if (answered != 200)
        return answered;
    /* Everything was tried, and nothing of it stays. */
    if (dry ? !gw_exec(c, "ROLLBACK TO SAVEPOINT dry_run", GS_NO_PARAMS)
            : !gw_transfer_audit(c, "goals.imported", "json", m.graph.n_goals))
        return gw_status(c);
    return answered;
}

const struct gw_op gw_ops_transfer[] = {
    {"goal_graph_export", goal_graph_export},
    {"goal_graph_import", goal_graph_import},
    {0},
};
