/* Scores, and the links of goals that end. */
#include "services/gateway/ending.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gs_dec get_dec(const PGresult *r, int row, const char *col)
{
    const char *text = gs_db_get(r, row, col);
    struct gs_dec d = {0};
    struct gs_err err;

    /* What the rules stored reads back. */
    (void)!gs_dec_parse(text, strlen(text), &d, &err);
    return d;
}

/* Words come from our own schema; what a newer one has besides counts like the first. */
static void read_goal(const PGresult *r, int row, struct gs_goal *g)
{
    (void)!gs_goal_kind_parse(gs_db_get(r, row, "kind"), &g->kind);
    (void)!gs_goal_metric_parse(gs_db_get(r, row, "metric"), &g->metric);
    (void)!gs_goal_status_parse(gs_db_get(r, row, "status"), &g->status);
    g->status_by_hand = gs_db_get_bool(r, row, "status_by_hand");
    g->has_value = gs_db_get_bool(r, row, "has_value");
    g->progress = get_dec(r, row, "progress");
    g->raw_progress = get_dec(r, row, "raw_progress");
}

/* ---- scores ---- */

#define GOAL_COLUMNS "g.kind, g.metric, g.status, g.status_by_hand, g.has_value, g.progress, g.raw_progress"

static const char goal_sql[] =
    "SELECT " GOAL_COLUMNS ", g.aspirational, g.score, g.score_by_hand, g.revision, o.green_from, o.amber_from FROM "
    "goal g JOIN organisation o ON o.id = g.org_id WHERE g.id = $1";
static const char below_sql[] =
    "SELECT " GOAL_COLUMNS ", g.score IS NOT NULL AS scored FROM goal_edge e CROSS JOIN LATERAL (SELECT * FROM goal x "
    "WHERE x.id = e.child_id OFFSET 0) g WHERE e.parent_id = $1";

/* Of an objective, from its key results. */
static int self_score(struct gw_call *c, const char *objective, bool *ret_has, struct gs_dec *ret)
{
    GS_AUTO_RESULT r = gw_query(c, below_sql, GS_WITH(objective));

    *ret_has = false;
    if (!r)
        return gw_status(c);
    size_t n = (size_t)PQntuples(r);
    if (n > GS_GOAL_CHILDREN_MAX)
        return 0;
    GS_AUTO(gs_freep) struct gs_score_child *children = gs_alloc_n(n + 1, sizeof *children);
    GS_AUTO(gs_freep) struct gs_goal *goals = gs_alloc_n(n + 1, sizeof *goals);
    for (size_t i = 0; i < n; i++) {
        read_goal(r, (int)i, &goals[i]);
        children[i] = (struct gs_score_child){&goals[i], gs_db_get_bool(r, (int)i, "scored")};
    }
    *ret_has = gs_score_objective(children, n, ret);
    return 0;
}

int gw_scored_load(struct gw_call *c, const char *goal, struct gw_scored *ret)
{
    GS_AUTO_RESULT r = gw_query(c, goal_sql, GS_WITH(goal));
    int status = 0;

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "goal");
    *ret = (struct gw_scored){.aspirational = gs_db_get_bool(r, 0, "aspirational"),
                              .by_hand = gs_db_get_bool(r, 0, "score_by_hand"),
                              .has_score = !gs_db_is_null(r, 0, "score"),
                              .score = get_dec(r, 0, "score"),
                              .ranges = {get_dec(r, 0, "green_from"), get_dec(r, 0, "amber_from")}};
    snprintf(ret->revision, sizeof ret->revision, "%s", gs_db_get(r, 0, "revision"));
    read_goal(r, 0, &ret->goal);
    if (ret->goal.kind == GS_OBJECTIVE)
        status = self_score(c, goal, &ret->has_suggested, &ret->suggested);
    if (!ret->has_suggested && ret->goal.metric != GS_BASELINE) { /* which has no progress */
        ret->has_suggested = true;
        ret->suggested = gs_score_suggested(&ret->goal);
    }
    return status;
}

bool gw_score_store(struct gw_call *c, const char *goal, const struct gs_dec *score, bool by_hand)
{
    static const char sql[] = "UPDATE goal SET score = $2, score_by_hand = $3 WHERE id = $1 AND (score, score_by_hand) "
                              "IS DISTINCT FROM ($2::numeric, $3::boolean)";
    char text[GS_DEC_TEXT];

    if (score)
        gs_dec_format(*score, text);
    return gw_exec(c, sql, GS_WITH(goal, score ? text : NULL, by_hand ? "true" : "false"));
}

static void put_dec(struct gs_buf *b, bool has, struct gs_dec d)
{
    char text[GS_DEC_TEXT];

    gs_dec_format(d, text);
    if (has)
        gs_buf_printf(b, "\"%s\"", text);
    else
        gs_buf_puts(b, "null");
}

void gw_score_put(struct gs_buf *b, const struct gw_scored *s)
{
    struct gs_dec shown = s->has_score ? s->score : s->suggested;

    gs_buf_puts(b, "{\"score\": ");
    put_dec(b, s->has_score, s->score);
    gs_buf_printf(b, ", \"by_hand\": %s, \"suggested\": ", s->by_hand ? "true" : "false");
    put_dec(b, s->has_suggested, s->suggested);
    gs_buf_puts(b, ", \"colour\": ");
    if (s->has_score || s->has_suggested)
        gs_buf_printf(b, "\"%s\"", gs_score_colour_name(gs_score_colour(shown, &s->ranges)));
    else
        gs_buf_puts(b, "null");
    gs_buf_printf(b,
                  ", \"too_easy\": %s, \"green_from\": ", gs_score_too_easy(shown, s->aspirational) ? "true" : "false");
    put_dec(b, true, s->ranges.green_from);
    gs_buf_puts(b, ", \"amber_from\": ");
    put_dec(b, true, s->ranges.amber_from);
    gs_buf_putc(b, '}');
}

/* ---- objectives that score themselves ---- */

/* Which people scored, and which ended, stay as they are. */
static const char settled_sql[] =
    "SELECT g.id FROM goal g WHERE g.kind = 'objective' AND NOT g.score_by_hand AND NOT (g.status IN ('closed', "
    "'postponed') AND g.status_by_hand) AND (g.id = ANY ($1::bigint[]) OR g.id IN (SELECT e.parent_id FROM goal_edge e "
    "WHERE e.child_id = ANY ($1::bigint[]))) ORDER BY g.id FOR NO KEY UPDATE";

static int settle_one(struct gw_call *c, const char *objective)
{
    static const char sql[] = "UPDATE goal SET score = $2 WHERE id = $1 AND score IS DISTINCT FROM $2::numeric "
                              "RETURNING jsonb_build_object('score', trim_scale(score)::text)";
    struct gs_dec score = {0};
    char text[GS_DEC_TEXT];
    bool has;
    int status = self_score(c, objective, &has, &score);

    if (status)
        return status;
    gs_dec_format(score, text);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(objective, has ? text : NULL));
    if (!r || (PQntuples(r) && !gw_goal_activity(c, objective, "scored", PQgetvalue(r, 0, 0))))
        return gw_status(c);
    return 0;
}

int gw_scores_settle(struct gw_call *c, const char *goals)
{
    int status = 0;

    if (!gw_goal_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, settled_sql, GS_WITH(goals));
    for (int i = 0; r && i < PQntuples(r) && status == 0; i++)
        status = settle_one(c, PQgetvalue(r, i, 0));
    if (status)
        return status;
    return r && gw_goal_see_all(c, false) ? 0 : gw_status(c);
}

/* ---- links ---- */

#define REASONS "('the goal is closed', 'the goal is postponed')"

static bool audit_links(struct gw_call *c, const PGresult *links, const char *action)
{
    for (int i = 0; i < PQntuples(links); i++)
        if (!gw_audit(c, action, "link", gs_db_get(links, i, "public_id"), gs_db_get(links, i, "detail")))
            return false;
    return true;
}

bool gw_links_stop(struct gw_call *c, const char *goals, enum gs_goal_status how)
{
    static const char sql[] =
        "UPDATE link k SET state = 'paused', paused_reason = $2 FROM goal g WHERE k.goal_id = ANY ($1::bigint[]) AND "
        "g.id = k.goal_id AND k.state = 'active' RETURNING k.public_id, json_build_object('goal', g.public_id, "
        "'reason', k.paused_reason) AS detail";
    char reason[64];

    snprintf(reason, sizeof reason, "the goal is %s", gs_goal_status_name(how));
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goals, reason));
    return r && audit_links(c, r, "link.paused");
}

int gw_links_go_on(struct gw_call *c, const char *goals)
{
    static const char sql[] =
        "UPDATE link k SET state = 'active', paused_reason = NULL FROM goal g WHERE k.goal_id = ANY ($1::bigint[]) AND "
        "g.id = k.goal_id AND k.state = 'paused' AND k.paused_reason IN " REASONS " RETURNING k.public_id, k.id, "
        "json_build_object('goal', g.public_id) AS detail";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goals));

    int status = r && audit_links(c, r, "link.resumed") ? 0 : gw_status(c);
    for (int i = 0; r && i < PQntuples(r) && status == 0; i++) {
        status = gw_link_need_room(c, gs_db_get(r, i, "id"));
        if (status == 0 && !gw_link_ask(c, gs_db_get(r, i, "id")))
            status = gw_status(c);
    }
    return status;
}
