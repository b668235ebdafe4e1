/* Recomputes a goal and its ancestors: loads them with their children, applies the domain rules children before
 * parents, and stores what changed, with feed entries and outbox events. */
#include "services/cli/recompute.h"

#include "common/event.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/goal.h"
#include "services/progress_writer/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beside enum gs_goal_change: the definition is another one. That is a new version even when nothing looks different,
 * so that a progress writer that read the old definition notices. */
#define EDITED 0x8000u

struct node {
    struct gs_goal goal, before;
    int64_t version;
    char unit[84]; /* 20 characters of UTF-8 */
    bool above;    /* the goal itself or an ancestor: may change. Others are only read */
};

struct graph {
    struct node *nodes; /* those above first, children before parents */
    int n_nodes;
    PGresult *edges; /* parent, child, weight, contributes, position */
    struct gs_goal_rules rules;
    int64_t now_us;
    struct gs_buf events;
    char traceparent[GS_TRACEPARENT_TEXT];
};

/* The goal first, then its ancestors in the order of their ids, as the progress writer does; what is read afterwards is
 * what the last transaction on any of them left. */
static const char lock_goal_sql[] = "SELECT FROM goal WHERE id = $1 FOR UPDATE";
static const char lock_above_sql[] =
    "WITH RECURSIVE up(id) AS (SELECT parent_id FROM goal_edge WHERE child_id = $1 UNION "
    "SELECT e.parent_id FROM goal_edge e JOIN up ON e.child_id = up.id) "
    "SELECT FROM goal WHERE id IN (SELECT id FROM up) ORDER BY id FOR UPDATE";

/* Depth counts the longest way up, so that a goal comes after everything below it. */
static const char nodes_sql[] =
    "WITH RECURSIVE up(id, depth) AS (SELECT $1::bigint, 0 UNION SELECT e.parent_id, depth + 1 FROM goal_edge e "
    "JOIN up ON e.child_id = up.id), "
    "a AS (SELECT id, max(depth) AS depth FROM up GROUP BY id), "
    "s AS (SELECT id, depth FROM a UNION ALL SELECT DISTINCT e.child_id, -1 FROM goal_edge e JOIN a ON a.id = "
    "e.parent_id "
    "WHERE e.child_id NOT IN (SELECT id FROM a)) "
    "SELECT g.id, g.kind, g.metric, g.mode, g.override, g.status, g.status_by_hand, g.has_value, g.start_value, "
    "g.target_value, "
    "g.risk_value, g.auto_value, g.applied_value, g.raw_progress, g.progress, g.version, g.unit, "
    "g.start_on - date '1970-01-01' AS start_day, g.end_on - date '1970-01-01' AS end_day, "
    "(SELECT count(*) FROM goal_task t WHERE t.goal_id = g.id) AS tasks_all, "
    "(SELECT count(*) FROM goal_task t WHERE t.goal_id = g.id AND t.done) AS tasks_done, s.depth >= 0 AS above "
    "FROM s JOIN goal g ON g.id = s.id ORDER BY s.depth < 0, s.depth, g.id";

static const char edges_sql[] = "WITH RECURSIVE up(id) AS (SELECT $1::bigint UNION SELECT e.parent_id FROM goal_edge e "
                                "JOIN up ON e.child_id = up.id) "
                                "SELECT e.parent_id, e.child_id, e.weight_hundredths, e.contributes, e.position FROM "
                                "goal_edge e JOIN up ON e.parent_id = up.id";

static const char rules_sql[] = "SELECT o.behind_above, o.at_risk_above, o.status_mode, (now() AT TIME ZONE "
                                "o.time_zone)::date - date '1970-01-01' AS today, "
                                "(extract(epoch FROM now()) * 1000000)::bigint AS now_us FROM organisation o JOIN goal "
                                "g ON g.org_id = o.id WHERE g.id = $1";

static bool get_dec(const PGresult *r, int row, const char *col, struct gs_dec *ret)
{
    const char *text = cli_get(r, row, col);
    struct gs_err err;

    /* What the rules stored reads back; a progress of more decimals than ours cannot come from them. */
    return !cli_is_null(r, row, col) && gs_dec_parse(text, strlen(text), ret, &err) == GS_OK;
}

static bool load_node(const PGresult *r, int row, struct node *n)
{
    struct gs_goal *g = &n->goal;

    g->id = cli_get_int(r, row, "id");
    g->status_by_hand = cli_get_bool(r, row, "status_by_hand");
    g->has_value = cli_get_bool(r, row, "has_value");
    g->has_start = get_dec(r, row, "start_value", &g->start);
    g->has_target = get_dec(r, row, "target_value", &g->target);
    g->has_risk = get_dec(r, row, "risk_value", &g->risk);
    g->has_auto = get_dec(r, row, "auto_value", &g->auto_value);
    g->has_applied = get_dec(r, row, "applied_value", &g->applied_value);
    g->start_day = (int32_t)cli_get_int(r, row, "start_day");
    g->end_day = (int32_t)cli_get_int(r, row, "end_day");
    g->tasks_all = (int32_t)cli_get_int(r, row, "tasks_all");
    g->tasks_done = (int32_t)cli_get_int(r, row, "tasks_done");
    snprintf(n->unit, sizeof(n->unit), "%s", cli_get(r, row, "unit"));
    g->unit = n->unit;
    n->version = cli_get_int(r, row, "version");
    n->above = cli_get_bool(r, row, "above");
    return get_dec(r, row, "raw_progress", &g->raw_progress) && get_dec(r, row, "progress", &g->progress) &&
           gs_goal_kind_parse(cli_get(r, row, "kind"), &g->kind) &&
           gs_goal_metric_parse(cli_get(r, row, "metric"), &g->metric) &&
           gs_goal_mode_parse(cli_get(r, row, "mode"), &g->mode) &&
           gs_goal_override_parse(cli_get(r, row, "override"), &g->override) &&
           gs_goal_status_parse(cli_get(r, row, "status"), &g->status);
}

static enum cli_exit load_rules(struct cli *c, struct graph *graph, const char *goal)
{
    CLI_AUTO_RESULT r = cli_query(c, rules_sql, CLI_WITH(goal));

    if (!r)
        return c->code;
    graph->rules.today = (int32_t)cli_get_int(r, 0, "today");
    graph->now_us = cli_get_int(r, 0, "now_us");
    if (!get_dec(r, 0, "behind_above", &graph->rules.behind_above) ||
        !get_dec(r, 0, "at_risk_above", &graph->rules.at_risk_above) ||
        !gs_status_mode_parse(cli_get(r, 0, "status_mode"), &graph->rules.status_mode))
        return cli_fail(c, CLI_FAILED, "the organisation's status rules cannot be read");
    return CLI_OK;
}

static enum cli_exit load(struct cli *c, struct graph *graph, const char *goal)
{
    if (cli_exec(c, lock_goal_sql, CLI_WITH(goal)) != CLI_OK || cli_exec(c, lock_above_sql, CLI_WITH(goal)) != CLI_OK ||
        load_rules(c, graph, goal) != CLI_OK)
        return c->code;
    CLI_AUTO_RESULT r = cli_query(c, nodes_sql, CLI_WITH(goal));
    if (!r)
        return c->code;
    graph->n_nodes = PQntuples(r);
    graph->nodes = gs_alloc_n((size_t)graph->n_nodes + 1, sizeof(*graph->nodes));
    for (int i = 0; i < graph->n_nodes; i++)
        if (!load_node(r, i, &graph->nodes[i]))
            return cli_fail(c, CLI_FAILED, "goal %s cannot be read: a word or number in it is unknown to this goalsync",
                            cli_get(r, i, "id"));
    graph->edges = cli_query(c, edges_sql, CLI_WITH(goal));
    return graph->edges ? CLI_OK : c->code;
}

static const struct gs_goal *goal_of(const struct graph *graph, int64_t id)
{
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].goal.id == id)
            return &graph->nodes[i].goal;
    return NULL;
}

/* The children of one goal; owned by the caller. */
static struct gs_goal_child *children_of(const struct graph *graph, int64_t parent, size_t *ret_n)
{
    int rows = PQntuples(graph->edges);
    struct gs_goal_child *children = gs_alloc_n((size_t)rows + 1, sizeof(*children));
    size_t n = 0;

    for (int i = 0; i < rows; i++) {
        const PGresult *e = graph->edges;
        if (cli_get_int(e, i, "parent_id") != parent)
            continue;
        children[n].goal = goal_of(graph, cli_get_int(e, i, "child_id"));
        if (!children[n].goal)
            continue; /* cannot be: both queries see one snapshot's edges under the organisation's lock */
        children[n].weight =
            cli_is_null(e, i, "weight_hundredths") ? GS_WEIGHT_FREE : (int32_t)cli_get_int(e, i, "weight_hundredths");
        children[n].contributes = cli_get_bool(e, i, "contributes");
        children[n].position = (int32_t)cli_get_int(e, i, "position");
        n++;
    }
    *ret_n = n;
    return children;
}

/* "" and null: no value. */
static const char *dec_text(bool has, struct gs_dec d, char dst[GS_DEC_TEXT])
{
    if (!has)
        return NULL;
    gs_dec_format(d, dst);
    return dst;
}

static struct writer_state state_of(const struct gs_goal *g)
{
    return (struct writer_state){.value = g->applied_value,
                                 .progress = g->progress,
                                 .has_value = g->has_value && g->has_applied,
                                 .has_progress = true,
                                 .status = gs_goal_status_name(g->status)};
}

static void put_event(struct graph *graph, const struct node *n, enum writer_cause cause, const char *org)
{
    struct writer_event ev = {.goal_id = n->goal.id,
                              .version = n->version,
                              .changed_at_us = graph->now_us,
                              .cause = cause,
                              .before = state_of(&n->before),
                              .after = state_of(&n->goal),
                              .traceparent = graph->traceparent};

    if (gs_parse_int(org, 0, INT64_MAX, &ev.org_id))
        writer_wire_put_event(&graph->events, &ev);
}

static enum cli_exit store(struct cli *c, struct graph *graph, struct node *n, unsigned changes,
                           enum writer_cause cause)
{
    const struct gs_goal *g = &n->goal;
    char id[CLI_ID_TEXT], version[CLI_ID_TEXT], automatic[GS_DEC_TEXT], applied[GS_DEC_TEXT], raw[GS_DEC_TEXT],
        shown[GS_DEC_TEXT];
    enum cli_exit rc;

    n->version += (changes & (GS_CHANGED_VISIBLE | EDITED)) != 0;
    snprintf(id, sizeof(id), "%lld", (long long)g->id);
    snprintf(version, sizeof(version), "%lld", (long long)n->version);
    rc = cli_exec(
        c,
        "UPDATE goal SET override = $2, status = $3, status_by_hand = $4, auto_value = $5, applied_value = $6, "
        "raw_progress = $7, progress = $8, has_value = $9, version = $10, "
        "applied_at = CASE WHEN $11::boolean THEN now() ELSE applied_at END WHERE id = $1",
        CLI_WITH(id, gs_goal_override_name(g->override), gs_goal_status_name(g->status),
                 g->status_by_hand ? "true" : "false", dec_text(g->has_auto, g->auto_value, automatic),
                 dec_text(g->has_applied, g->applied_value, applied), dec_text(true, g->raw_progress, raw),
                 dec_text(true, g->progress, shown), g->has_value ? "true" : "false", version,
                 changes & GS_CHANGED_VALUE ? "true" : "false"));
    if (rc == CLI_OK && g->status != n->before.status)
        rc = cli_exec(c,
                      "INSERT INTO activity (org_id, goal_id, kind, data) VALUES ($1, $2, 'status_changed', "
                      "jsonb_build_object('from', $3::text, 'to', $4::text))",
                      CLI_WITH(c->org, id, gs_goal_status_name(n->before.status), gs_goal_status_name(g->status)));
    if (rc == CLI_OK && (changes & (GS_CHANGED_VISIBLE | EDITED)))
        put_event(graph, n, cause, c->org);
    return rc;
}

/* The goal itself: the person's change, or only derived again. */
static enum cli_exit change_first(struct cli *c, struct graph *graph, const struct cli_change *change,
                                  unsigned *ret_changes)
{
    struct gs_goal *g = &graph->nodes[0].goal;
    struct gs_err err;

    *ret_changes = 0;
    if (change->resume)
        *ret_changes = gs_goal_resume(g, &graph->rules);
    else if (!change->check_in)
        *ret_changes = gs_goal_derive(g, &graph->rules);
    else if (gs_goal_check_in(g, change->check_in, &graph->rules, ret_changes, &err) != GS_OK)
        return cli_fail(c, CLI_REFUSED, "%s", err.text);
    return CLI_OK;
}

static enum cli_exit walk(struct cli *c, struct graph *graph, const struct cli_change *change)
{
    unsigned changes;
    enum cli_exit rc = change_first(c, graph, change, &changes);

    if (change->edited)
        changes |= EDITED;
    for (int i = 0; i < graph->n_nodes && graph->nodes[i].above && rc == CLI_OK; i++) {
        size_t n_children;
        struct gs_goal_child *children = children_of(graph, graph->nodes[i].goal.id, &n_children);
        changes |= gs_goal_roll_up(&graph->nodes[i].goal, children, n_children, &graph->rules);
        free(children);
        if (changes & GS_CHANGED_REFUSED)
            return cli_fail(c, CLI_REFUSED, "the sum of goal %lld's children has more than 20 digits before the point",
                            (long long)graph->nodes[i].goal.id);
        if (changes)
            rc = store(c, graph, &graph->nodes[i], changes,
                       i == 0 && (change->check_in || change->resume) ? WRITER_CHECKED_IN : WRITER_ROLLED_UP);
        changes = 0;
    }
    return rc;
}

static enum cli_exit store_events(struct cli *c, struct graph *graph)
{
    const char *value = gs_buf_str(&graph->events);
    int len = (int)graph->events.len, binary = 1;
    PGresult *r;
    bool ok;

    if (len == 0)
        return CLI_OK;
    if (graph->events.overflow)
        return cli_fail(c, CLI_REFUSED, "the change moves too many goals at once");
    r = PQexecParams(c->db, "INSERT INTO outbox (events) VALUES ($1)", 1, (const Oid[]){17}, &value, &len, &binary, 0);
    ok = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return ok ? CLI_OK : cli_fail(c, CLI_FAILED, "the events of the change could not be stored");
}

enum cli_exit cli_recompute_with(struct cli *c, const char *goal, const struct cli_change *change)
{
    struct graph graph = {0};
    enum cli_exit rc;

    gs_buf_init(&graph.events, WRITER_OUTBOX_MAX);
    gs_traceparent_new(graph.traceparent);
    rc = load(c, &graph, goal);
    for (int i = 0; i < graph.n_nodes && rc == CLI_OK; i++)
        graph.nodes[i].before = graph.nodes[i].goal;
    if (rc == CLI_OK)
        rc = walk(c, &graph, change);
    if (rc == CLI_OK)
        rc = store_events(c, &graph);
    gs_buf_done(&graph.events);
    PQclear(graph.edges);
    free(graph.nodes);
    return rc;
}

enum cli_exit cli_recompute(struct cli *c, const char *goal)
{
    return cli_recompute_with(c, goal, &(struct cli_change){0});
}
