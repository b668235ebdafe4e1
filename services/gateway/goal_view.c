/* One goal with what stands around it: parents and children with their shares, its source, its tasks, its alerts. */
#include "services/gateway/goal.h"

#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHILDREN_SHOWN = 500 };

/* With what the rules ask of a goal that may lag. */
static const char goal_sql[] =
    "SELECT " GW_GOAL_JSON
    ", g.revision, g.metric, g.status, g.has_value, g.target_value, g.risk_value, g.applied_value, g.progress, "
    "g.start_on - date '1970-01-01' AS start_day, g.end_on - date '1970-01-01' AS end_day, o.behind_above, "
    "o.at_risk_above, (now() AT TIME ZONE o.time_zone)::date - date '1970-01-01' AS today FROM goal g JOIN "
    "organisation o ON o.id = g.org_id WHERE g.id = $1";

/* $2: does it lag? */
static const char around_sql[] =
    "SELECT json_build_object('link', (SELECT json_build_object('id', l.public_id, 'connection_id', k.public_id, "
    "'connection_name', k.name, 'connector', k.connector, 'state', l.state, 'paused', coalesce(l.paused_reason, "
    "k.paused_reason), 'outcome', l.outcome, 'error', l.error, 'failures', l.failures, 'failing_since', "
    "api_time(l.failing_since), 'waiting_until', api_time(l.waiting_until), 'revision', l.revision) "
    "FROM link l JOIN connection k ON k.id = l.connection_id WHERE l.goal_id = g.id), "
    "'tasks', (SELECT json_build_object('all', count(*), 'done', count(*) FILTER (WHERE t.done)) FROM goal_task t "
    "WHERE "
    "t.goal_id = g.id), 'reactions', (SELECT coalesce(json_agg(json_build_object('emoji', x.emoji, 'count', x.n, "
    "'mine', x.mine) ORDER BY x.emoji), '[]') FROM (SELECT emoji, count(*) AS n, bool_or(person_id = "
    "calling('person')) AS mine FROM reaction WHERE goal_id = g.id AND check_in_id IS NULL AND comment_id IS NULL "
    "GROUP BY emoji) x), "
    "'alerts', (SELECT to_json(array_remove(ARRAY["
    "CASE WHEN g.status = 'not_started' AND d.today >= g.start_on + 7 THEN 'late_start' END, "
    "CASE WHEN NOT d.ended AND d.today > g.end_on THEN 'past_due' END, "
    "CASE WHEN g.owner_id IS NULL THEN 'no_owner' END, "
    "CASE WHEN $2::boolean THEN 'at_risk' END, "
    "CASE WHEN g.kind = 'objective' AND g.level <> 'organisation' AND d.key_results = 0 AND NOT EXISTS (SELECT FROM "
    "goal_edge e WHERE e.child_id = g.id) THEN 'stands_alone' END, "
    "CASE WHEN d.key_results > 5 THEN 'many_key_results' END, "
    "CASE WHEN g.score > 0.8 THEN 'high_score' END, "
    "CASE WHEN EXISTS (SELECT FROM period p WHERE p.id = g.period_id AND (g.start_on < p.starts_on OR g.end_on > "
    "p.ends_on)) THEN 'outside_period' END, "
    "CASE WHEN g.kind = 'key_result' AND EXISTS (SELECT FROM goal_edge e JOIN goal p ON p.id = e.parent_id WHERE "
    "e.child_id = g.id AND p.kind = 'objective' AND p.period_id IS DISTINCT FROM g.period_id) THEN 'other_period' END"
    "], NULL)) FROM (SELECT (now() AT TIME ZONE o.time_zone)::date AS today, g.status IN ('closed', 'postponed') AS "
    "ended, (SELECT count(*) FROM goal_edge e WHERE e.parent_id = g.id AND (SELECT k.kind FROM goal k WHERE k.id = "
    "e.child_id) = 'key_result') AS key_results) d)) "
    "FROM goal g JOIN organisation o ON o.id = g.org_id WHERE g.id = $1";

/* The edges below the goal and, for its own share, those below its parents. A child out of the caller's sight counts
 * but is not shown. A look-up for each edge, whatever the planner thinks of a table that has just been filled. */
#define EDGES_AROUND                                                                                                   \
    "(SELECT $1::bigint AS id UNION ALL SELECT u.parent_id FROM goal_edge u WHERE u.child_id = $1) a CROSS JOIN "      \
    "LATERAL (SELECT * FROM goal_edge y WHERE y.parent_id = a.id OFFSET 0) e"
#define SUMMARY(x)                                                                                                     \
    "json_build_object('goal_id', " x ".public_id, 'title', " x ".title, 'kind', " x ".kind, 'status', " x ".status, " \
    "'has_value', " x ".has_value, 'progress', round(" x ".progress, 4)::text)"
static const char edges_sql[] =
    "SELECT e.parent_id, e.child_id, coalesce(e.weight_hundredths, -1), e.contributes, e.position, k.metric, k.status, "
    "CASE WHEN e.parent_id = $1 THEN CASE WHEN k.id IS NOT NULL THEN " SUMMARY(
        "k") " END "
             "WHEN e.child_id = $1 THEN CASE WHEN p.id IS NOT NULL THEN " SUMMARY(
                 "p") " END END, e.parent_id = $1 "
                      "FROM " EDGES_AROUND
                      " LEFT JOIN LATERAL (SELECT * FROM goal x WHERE x.id = e.child_id OFFSET 0) k ON "
                      "true LEFT JOIN "
                      "LATERAL (SELECT * FROM goal x WHERE x.id = e.parent_id OFFSET 0) p ON e.child_id = $1 "
                      "ORDER BY e.parent_id = $1, e.parent_id, e.position, e.child_id";
enum { PARENT, CHILD, WEIGHT, CONTRIBUTES, POSITION, METRIC, STATUS, SHOWN, BELOW };

static const char hidden_sql[] =
    "SELECT g.id, g.metric, g.status FROM " EDGES_AROUND
    " CROSS JOIN LATERAL (SELECT * FROM goal x WHERE x.id = e.child_id OFFSET 0) g ORDER BY g.id";

struct edges {
    const PGresult *rows;
    size_t n;
    struct gs_goal_child *children;
    struct gs_goal *goals;
    int32_t *shares;
    bool hidden; /* some child is out of sight */
};

static int64_t get_int(const PGresult *r, int row, int col)
{
    return strtoll(PQgetvalue(r, row, col), NULL, 10);
}

static bool is_true(const PGresult *r, int row, int col)
{
    return *PQgetvalue(r, row, col) == 't';
}

static void edges_done(struct edges *e)
{
    free(e->children);
    free(e->goals);
    free(e->shares);
}

/* Words come from our own schema; what a newer one has besides counts like the first. */
static void read_words(struct gs_goal *g, const char *metric, const char *status)
{
    (void)!gs_goal_metric_parse(metric, &g->metric);
    (void)!gs_goal_status_parse(status, &g->status);
}

static void read_edges(struct edges *e, const PGresult *r)
{
    e->rows = r;
    e->n = (size_t)PQntuples(r);
    e->children = gs_alloc_n(e->n + 1, sizeof *e->children);
    e->goals = gs_alloc_n(e->n + 1, sizeof *e->goals);
    e->shares = gs_alloc_n(e->n + 1, sizeof *e->shares);
    for (int i = 0; i < (int)e->n; i++) {
        struct gs_goal_child *k = &e->children[i];
        k->goal = &e->goals[i];
        k->weight = (int32_t)get_int(r, i, WEIGHT);
        k->contributes = is_true(r, i, CONTRIBUTES);
        k->position = (int32_t)get_int(r, i, POSITION);
        e->goals[i].id = get_int(r, i, CHILD);
        e->hidden |= PQgetisnull(r, i, METRIC);
        read_words(&e->goals[i], PQgetvalue(r, i, METRIC), PQgetvalue(r, i, STATUS));
    }
}

static int find_row(const PGresult *r, int64_t id)
{
    int low = 0, high = PQntuples(r);

    while (low < high) {
        int middle = low + (high - low) / 2;
        if (get_int(r, middle, 0) < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < PQntuples(r) && get_int(r, low, 0) == id ? low : -1;
}

static int load_hidden(struct gw_call *c, struct edges *e, const char *goal)
{
    if (!gw_goal_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, hidden_sql, GS_WITH(goal));
    if (!r || !gw_goal_see_all(c, false))
        return gw_status(c);
    for (size_t i = 0; i < e->n; i++) {
        int row = PQgetisnull(e->rows, (int)i, METRIC) ? find_row(r, e->goals[i].id) : -1;
        if (row >= 0)
            read_words(&e->goals[i], PQgetvalue(r, row, 1), PQgetvalue(r, row, 2));
    }
    return 0;
}

/* Rows of one parent stand together. */
static void share(struct edges *e)
{
    size_t first = 0;

    for (size_t i = 1; i <= e->n; i++) {
        if (i < e->n && strcmp(PQgetvalue(e->rows, (int)i, PARENT), PQgetvalue(e->rows, (int)first, PARENT)) == 0)
            continue;
        if (i - first <= GS_GOAL_CHILDREN_MAX)
            gs_shares_show(e->children + first, i - first, e->shares + first);
        first = i;
    }
}

static void put_hundredths(struct gs_buf *b, int32_t hundredths)
{
    gs_buf_printf(b, "\"%d.%02d\"", hundredths / 100, hundredths % 100);
}

/* {"goal_id": ... } as it was made by the server, and the edge's own members. */
static void put_edge(struct gs_buf *b, const struct edges *e, size_t i)
{
    const char *shown = PQgetvalue(e->rows, (int)i, SHOWN);

    gs_buf_append(b, shown, strlen(shown) - 1);
    gs_buf_puts(b, ", \"weight\": ");
    if (e->children[i].weight == GS_WEIGHT_FREE)
        gs_buf_puts(b, "null");
    else
        put_hundredths(b, e->children[i].weight);
    gs_buf_puts(b, ", \"share\": ");
    put_hundredths(b, e->shares[i]);
    gs_buf_printf(b, ", \"contributes\": %s, \"position\": %d}", e->children[i].contributes ? "true" : "false",
                  e->children[i].position);
}

static void put_list(struct gs_buf *b, const struct edges *e, bool below)
{
    int shown = 0;

    gs_buf_putc(b, '[');
    for (size_t i = 0; i < e->n && shown < CHILDREN_SHOWN; i++) {
        if (PQgetisnull(e->rows, (int)i, SHOWN) || is_true(e->rows, (int)i, BELOW) != below)
            continue;
        gs_buf_puts(b, shown++ ? ", " : "");
        put_edge(b, e, i);
    }
    gs_buf_putc(b, ']');
}

static int count_below(const struct edges *e)
{
    int n = 0;

    for (size_t i = 0; i < e->n; i++)
        n += is_true(e->rows, (int)i, BELOW) && !PQgetisnull(e->rows, (int)i, SHOWN);
    return n;
}

/* An object without its end, or without its beginning. */
static void put_open(struct gs_buf *b, const char *object)
{
    gs_buf_append(b, object, strlen(object) - 1);
}

static int put_edges(struct gw_call *c, const char *goal)
{
    GS_AUTO(edges_done) struct edges e = {0};
    struct gs_buf *b = gw_out(c);
    GS_AUTO_RESULT r = gw_query(c, edges_sql, GS_WITH(goal));
    int status;

    if (!r)
        return gw_status(c);
    read_edges(&e, r);
    if (e.hidden && (status = load_hidden(c, &e, goal)) != 0)
        return status;
    share(&e);
    gs_buf_puts(b, ", \"parents\": ");
    put_list(b, &e, false);
    gs_buf_printf(b, ", \"child_count\": %d, \"children\": ", count_below(&e));
    put_list(b, &e, true);
    gs_buf_putc(b, '}');
    return 0;
}

static bool get_dec(const PGresult *r, const char *col, struct gs_dec *ret)
{
    const char *text = gs_db_get(r, 0, col);

    return !gs_db_is_null(r, 0, col) && gs_dec_parse(text, strlen(text), ret, NULL) == GS_OK;
}

/* The alert that the goal is at risk, by the rules. */
static bool lags(const PGresult *r)
{
    struct gs_goal g = {.has_value = gs_db_get_bool(r, 0, "has_value"),
                        .start_day = (int32_t)gs_db_get_int(r, 0, "start_day"),
                        .end_day = (int32_t)gs_db_get_int(r, 0, "end_day")};
    struct gs_goal_rules rules = {.today = (int32_t)gs_db_get_int(r, 0, "today")};

    read_words(&g, gs_db_get(r, 0, "metric"), gs_db_get(r, 0, "status"));
    g.has_target = get_dec(r, "target_value", &g.target);
    g.has_risk = get_dec(r, "risk_value", &g.risk);
    g.has_applied = get_dec(r, "applied_value", &g.applied_value);
    return get_dec(r, "progress", &g.progress) && get_dec(r, "behind_above", &rules.behind_above) &&
           get_dec(r, "at_risk_above", &rules.at_risk_above) && gs_goal_lags(&g, &rules);
}

int gw_goal_show(struct gw_call *c, int status, const char *goal)
{
    GS_AUTO_RESULT r = gw_query(c, goal_sql, GS_WITH(goal));
    char etag[GW_ID_TEXT + 2];
    int failed;

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "goal");
    GS_AUTO_RESULT around = gw_query(c, around_sql, GS_WITH(goal, lags(r) ? "true" : "false"));
    if (!around)
        return gw_status(c);
    gs_buf_clear(gw_out(c));
    put_open(gw_out(c), PQgetvalue(r, 0, 0));
    gs_buf_puts(gw_out(c), ", ");
    put_open(gw_out(c), PQgetvalue(around, 0, 0) + 1);
    if ((failed = put_edges(c, goal)) != 0)
        return failed;
    /* The ETag is of the definition, which people edit: the number moves by itself, so no answer is 304. */
    snprintf(etag, sizeof(etag), "\"%s\"", PQgetvalue(r, 0, 1));
    gw_header_set(c, "ETag", etag);
    return gw_answer_out(c, status);
}
