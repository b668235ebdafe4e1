/* Reads goals and everything above them, with their children: a statement for each kind of thing, not for each goal. */
#include "common/goals/store/private.h"

#include "common/buf.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

#define IDS_MAX ((size_t)GS_RECOMPUTE_MAX * GS_INT_TEXT)

/* Private children count, whoever causes the roll-up; save.c switches it off again. */
static const char rules_sql[] =
    "SELECT set_config('goalsync.all_goals', 'on', true), o.behind_above, o.at_risk_above, o.status_mode, "
    "(now() AT TIME ZONE o.time_zone)::date - date '1970-01-01' AS today, "
    "(extract(epoch FROM now()) * 1000000)::bigint AS now_us FROM organisation o WHERE o.id = $1";

enum {
    ID,
    VERSION,
    KIND,
    METRIC,
    MODE,
    OVERRIDE,
    STATUS,
    BY_HAND,
    HAS_VALUE,
    START,
    TARGET,
    RISK,
    AUTO_VALUE,
    APPLIED,
    RAW_PROGRESS,
    PROGRESS,
    START_DAY,
    END_DAY,
    UNIT,
    GOAL_COLUMNS_N
};
#define GOAL_COLUMNS                                                                                                   \
    "g.id, g.version, g.kind, g.metric, g.mode, g.override, g.status, g.status_by_hand, g.has_value, g.start_value, "  \
    "g.target_value, g.risk_value, g.auto_value, g.applied_value, g.raw_progress, g.progress, "                        \
    "g.start_on - date '1970-01-01', g.end_on - date '1970-01-01', g.unit"

static const char named_sql[] = "SELECT " GOAL_COLUMNS " FROM goal g WHERE g.id = ANY ($1::bigint[]) AND g.org_id = $2 "
                                "ORDER BY g.id FOR NO KEY UPDATE";

/* Those that roll up; what stands above one that does not cannot change. It is asked twice: an edge that appeared while
 * the first question waited for a lock is seen by the second. */
static const char above_sql[] =
    "WITH RECURSIVE up(id) AS (SELECT e.parent_id FROM goal_edge e WHERE e.child_id = ANY ($1::bigint[]) UNION "
    "SELECT e.parent_id FROM up JOIN goal_edge e ON e.child_id = up.id) "
    "SELECT " GOAL_COLUMNS " FROM goal g WHERE g.id = ANY (ARRAY(SELECT id FROM up)) AND g.id <> ALL ($1::bigint[]) "
    "AND g.mode = 'roll_up' AND g.kind <> 'project' ORDER BY g.id FOR NO KEY UPDATE";

static const char tasks_sql[] = "SELECT goal_id, count(*), count(*) FILTER (WHERE done) FROM goal_task "
                                "WHERE goal_id = ANY ($1::bigint[]) GROUP BY goal_id";

enum {
    PARENT_ID,
    CHILD_ID,
    WEIGHT,
    CONTRIBUTES,
    POSITION,
    CHILD_KIND,
    CHILD_METRIC,
    CHILD_STATUS,
    CHILD_HAS_VALUE,
    CHILD_PROGRESS,
    CHILD_START,
    CHILD_APPLIED,
    CHILD_UNIT
};
/* A look-up for each edge: of a table that has just been filled the planner thinks that it is empty, and would read all
 * of an organisation's goals for each. */
static const char below_sql[] =
    "SELECT e.parent_id, e.child_id, coalesce(e.weight_hundredths, -1), e.contributes, e.position, g.kind, g.metric, "
    "g.status, g.has_value, g.progress, g.start_value, g.applied_value, g.unit "
    "FROM goal_edge e CROSS JOIN LATERAL (SELECT * FROM goal x WHERE x.id = e.child_id OFFSET 0) g "
    "WHERE e.parent_id = ANY ($1::bigint[])";

/* ---- columns ---- */

static int64_t get_int(const PGresult *r, int row, int col)
{
    return strtoll(PQgetvalue(r, row, col), NULL, 10);
}

static bool get_bool(const PGresult *r, int row, int col)
{
    return *PQgetvalue(r, row, col) == 't';
}

static bool get_dec(const PGresult *r, int row, int col, struct gs_dec *ret)
{
    struct gs_err err;

    /* What the rules stored reads back; more digits than ours cannot come from them. */
    return !PQgetisnull(r, row, col) &&
           gs_dec_parse(PQgetvalue(r, row, col), (size_t)PQgetlength(r, row, col), ret, &err) == GS_OK;
}

static enum gs_rc unreadable(const PGresult *r, int row, int col, struct gs_err *err)
{
    return gs_fail(err, GS_REJECT, "goal %s cannot be read: a word or number in it is unknown to this goalsync",
                   PQgetvalue(r, row, col));
}

static enum gs_rc read_node(const PGresult *r, int row, bool named, struct gs_node *n, struct gs_err *err)
{
    struct gs_goal *g = &n->goal;

    g->id = get_int(r, row, ID);
    n->version = get_int(r, row, VERSION);
    n->named = named;
    g->status_by_hand = get_bool(r, row, BY_HAND);
    g->has_value = get_bool(r, row, HAS_VALUE);
    g->has_start = get_dec(r, row, START, &g->start);
    g->has_target = get_dec(r, row, TARGET, &g->target);
    g->has_risk = get_dec(r, row, RISK, &g->risk);
    g->has_auto = get_dec(r, row, AUTO_VALUE, &g->auto_value);
    g->has_applied = get_dec(r, row, APPLIED, &g->applied_value);
    g->start_day = (int32_t)get_int(r, row, START_DAY);
    g->end_day = (int32_t)get_int(r, row, END_DAY);
    g->unit = PQgetvalue(r, row, UNIT);
    if (!get_dec(r, row, RAW_PROGRESS, &g->raw_progress) || !get_dec(r, row, PROGRESS, &g->progress) ||
        !gs_goal_kind_parse(PQgetvalue(r, row, KIND), &g->kind) ||
        !gs_goal_metric_parse(PQgetvalue(r, row, METRIC), &g->metric) ||
        !gs_goal_mode_parse(PQgetvalue(r, row, MODE), &g->mode) ||
        !gs_goal_override_parse(PQgetvalue(r, row, OVERRIDE), &g->override) ||
        !gs_goal_status_parse(PQgetvalue(r, row, STATUS), &g->status))
        return unreadable(r, row, ID, err);
    n->before = *g;
    return GS_OK;
}

static enum gs_rc read_branch(const PGresult *r, int row, struct gs_branch *b, struct gs_err *err)
{
    struct gs_goal *g = &b->goal;

    b->parent_id = get_int(r, row, PARENT_ID);
    b->child_id = g->id = get_int(r, row, CHILD_ID);
    b->child.weight = (int32_t)get_int(r, row, WEIGHT); /* none: GS_WEIGHT_FREE */
    b->child.contributes = get_bool(r, row, CONTRIBUTES);
    b->child.position = (int32_t)get_int(r, row, POSITION);
    g->has_value = get_bool(r, row, CHILD_HAS_VALUE);
    g->has_start = get_dec(r, row, CHILD_START, &g->start);
    g->has_applied = get_dec(r, row, CHILD_APPLIED, &g->applied_value);
    g->unit = PQgetvalue(r, row, CHILD_UNIT);
    if (!get_dec(r, row, CHILD_PROGRESS, &g->progress) ||
        !gs_goal_kind_parse(PQgetvalue(r, row, CHILD_KIND), &g->kind) ||
        !gs_goal_metric_parse(PQgetvalue(r, row, CHILD_METRIC), &g->metric) ||
        !gs_goal_status_parse(PQgetvalue(r, row, CHILD_STATUS), &g->status))
        return unreadable(r, row, CHILD_ID, err);
    return GS_OK;
}

/* ---- questions ---- */

static void put_id(struct gs_buf *b, int64_t id)
{
    char text[GS_INT_TEXT];

    gs_buf_putc(b, b->len ? ',' : '{');
    gs_buf_append(b, text, gs_int_format(id, text));
}

static PGresult *ask(struct gs_db *db, const char *sql, const struct gs_buf *ids, struct gs_err *err)
{
    PGresult *r = gs_db_query(db, sql, GS_WITH(ids->len ? gs_buf_str(ids) : "{}"));

    if (!r)
        (void)gs_fail(err, GS_FATAL, "%s", gs_db_error(db)->text);
    return r;
}

static enum gs_rc load_rules(struct gs_graph *g, struct gs_db *db, struct gs_err *err)
{
    char org[GS_INT_TEXT];

    gs_int_format(g->org, org);
    GS_AUTO_RESULT r = gs_db_query(db, rules_sql, GS_WITH(org));
    if (!r)
        return gs_fail(err, GS_FATAL, "%s", gs_db_error(db)->text);
    if (PQntuples(r) != 1)
        return gs_fail(err, GS_GONE, "there is no organisation %s (any more)", org);
    g->rules.today = (int32_t)get_int(r, 0, 4);
    g->now_us = get_int(r, 0, 5);
    if (!get_dec(r, 0, 1, &g->rules.behind_above) || !get_dec(r, 0, 2, &g->rules.at_risk_above) ||
        !gs_status_mode_parse(PQgetvalue(r, 0, 3), &g->rules.status_mode))
        return gs_fail(err, GS_REJECT, "the organisation's status rules are unknown to this goalsync");
    return GS_OK;
}

static enum gs_rc load_nodes(struct gs_graph *g, struct gs_db *db, const struct gs_buf *ids, size_t n,
                             struct gs_err *err)
{
    char org[GS_INT_TEXT];
    enum gs_rc rc = GS_OK;

    gs_int_format(g->org, org);
    g->named = gs_db_query(db, named_sql, GS_WITH(gs_buf_str(ids), org));
    if (!g->named)
        return gs_fail(err, GS_FATAL, "%s", gs_db_error(db)->text);
    if (PQntuples(g->named) != (int)n)
        return gs_fail(err, GS_GONE, "a goal is not there (any more)");
    GS_AUTO_RESULT locked = ask(db, above_sql, ids, err);
    g->above = locked ? ask(db, above_sql, ids, err) : NULL;
    if (!g->above)
        return GS_FATAL;
    g->nodes = gs_alloc_n(n + (size_t)PQntuples(g->above) + 1, sizeof *g->nodes);
    for (int i = 0; i < PQntuples(g->named) && rc == GS_OK; i++)
        rc = read_node(g->named, i, true, &g->nodes[g->n_nodes++], err);
    for (int i = 0; i < PQntuples(g->above) && rc == GS_OK; i++)
        rc = read_node(g->above, i, false, &g->nodes[g->n_nodes++], err);
    qsort(g->nodes, g->n_nodes, sizeof *g->nodes, gs_compare_ids);
    return rc;
}

/* Of projects alone; a project above others takes nothing from below. */
static enum gs_rc load_tasks(struct gs_graph *g, struct gs_db *db, struct gs_err *err)
{
    GS_AUTO(gs_buf_done) struct gs_buf ids;

    gs_buf_init(&ids, IDS_MAX);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].goal.kind == GS_PROJECT)
            put_id(&ids, g->nodes[i].goal.id);
    if (ids.len == 0)
        return GS_OK;
    gs_buf_putc(&ids, '}');
    GS_AUTO_RESULT r = ask(db, tasks_sql, &ids, err);
    if (!r)
        return GS_FATAL;
    for (int i = 0; i < PQntuples(r); i++) {
        struct gs_goal *goal = &gs_graph_node(g, get_int(r, i, 0))->goal;
        int64_t all = get_int(r, i, 1), done = get_int(r, i, 2);
        if (all > GS_GOAL_TASKS_MAX)
            return gs_fail(err, GS_REJECT, "a project has at most %d tasks", GS_GOAL_TASKS_MAX);
        goal->tasks_all = (int32_t)all;
        goal->tasks_done = (int32_t)done;
    }
    return GS_OK;
}

static enum gs_rc load_branches(struct gs_graph *g, struct gs_db *db, struct gs_err *err)
{
    GS_AUTO(gs_buf_done) struct gs_buf ids;
    enum gs_rc rc = GS_OK;

    gs_buf_init(&ids, SIZE_MAX / 2); /* as many as there are rows */
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].goal.mode == GS_ROLL_UP && g->nodes[i].goal.kind != GS_PROJECT)
            put_id(&ids, g->nodes[i].goal.id);
    if (ids.len == 0)
        return GS_OK;
    gs_buf_putc(&ids, '}');
    g->below = ask(db, below_sql, &ids, err);
    if (!g->below)
        return GS_FATAL;
    g->branches = gs_alloc_n((size_t)PQntuples(g->below) + 1, sizeof *g->branches);
    for (int i = 0; i < PQntuples(g->below) && rc == GS_OK; i++)
        rc = read_branch(g->below, i, &g->branches[g->n_branches++], err);
    qsort(g->branches, g->n_branches, sizeof *g->branches, gs_compare_ids);
    for (size_t i = 0; i < g->n_branches; i++) {
        struct gs_branch *b = &g->branches[i];
        const struct gs_node *child = gs_graph_node(g, b->child_id);
        b->child.goal = child ? &child->goal : &b->goal;
    }
    return rc;
}

enum gs_rc gs_graph_load(struct gs_graph *g, struct gs_db *db, const int64_t *goals, size_t n, struct gs_err *err)
{
    GS_AUTO(gs_buf_done) struct gs_buf ids;
    enum gs_rc rc = load_rules(g, db, err);

    gs_buf_init(&ids, IDS_MAX);
    for (size_t i = 0; i < n; i++)
        put_id(&ids, goals[i]);
    gs_buf_putc(&ids, '}');
    if (rc == GS_OK)
        rc = load_nodes(g, db, &ids, n, err);
    if (rc == GS_OK)
        rc = load_tasks(g, db, err);
    return rc == GS_OK ? load_branches(g, db, err) : rc;
}
