/* Closing, reopening and scoring. What makes copies, postponing and cloning, is in copy.c. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/ending.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOSED_MAX = 1000 /* goals that close at once */ };

/* ---- the close dialog ---- */

/* Open key results below the goal, also those of key results. */
static const char open_sql[] =
    "WITH RECURSIVE down(id) AS (SELECT $1::bigint UNION SELECT k.id FROM down d JOIN goal_edge e ON e.parent_id = "
    "d.id CROSS JOIN LATERAL (SELECT x.id FROM goal x WHERE x.id = e.child_id AND x.kind = 'key_result' OFFSET 0) k) "
    "SELECT g.id, g.title, json_build_object('goal_id', g.public_id, 'title', g.title, 'status', g.status, 'progress', "
    "round(g.progress, 4)::text) AS shown FROM down d CROSS JOIN LATERAL (SELECT * FROM goal x WHERE x.id = d.id "
    "OFFSET 0) g WHERE d.id <> $1 AND g.status NOT IN ('closed', 'postponed') ORDER BY g.id LIMIT $2";

static PGresult *find_open(struct gw_call *c, const char *goal)
{
    char rows[GW_ID_TEXT];

    snprintf(rows, sizeof rows, "%d", CLOSED_MAX);
    return gw_query(c, open_sql, GS_WITH(goal, rows));
}

static int goal_close_offer(struct gw_call *c)
{
    struct gs_buf *b = gw_out(c);
    struct gw_scored s;
    int status = gw_scored_load(c, gw_item(c), &s);

    if (status)
        return status;
    GS_AUTO_RESULT open = find_open(c, gw_item(c));
    if (!open)
        return gw_status(c);
    gs_buf_clear(b);
    gs_buf_printf(b,
                  "{\"offer\": \"%s\", \"score\": ", gs_goal_close_offer(&s.goal) == GS_CLOSED ? "close" : "postpone");
    gw_score_put(b, &s);
    gs_buf_puts(b, ", \"open_key_results\": [");
    for (int i = 0; i < PQntuples(open); i++) {
        gs_buf_puts(b, i ? ", " : "");
        gs_buf_puts(b, gs_db_get(open, i, "shown"));
    }
    gs_buf_puts(b, "]}");
    return gw_answer_out(c, 200);
}

/* ---- closing ---- */

static int read_score(struct gw_call *c, bool *ret_has, struct gs_dec *ret)
{
    const char *text = gw_text(c, "/score");
    struct gs_err err;

    *ret_has = text != NULL;
    if (!text)
        return 0;
    if (gs_dec_parse(text, strlen(text), ret, &err) != GS_OK)
        return gw_invalid(c, "/score", "%s", err.text);
    if (ret->u < 0 || ret->u > GS_DEC_ONE)
        return gw_invalid(c, "/score", "is %.50s; a score is from 0 to 1", text);
    return 0;
}

static int need_open_goal(struct gw_call *c, const struct gw_scored *s)
{
    if (!gs_goal_is_frozen(&s->goal))
        return 0;
    return gw_fail(c, 409, "goal-ended", "the goal is %s already; reopen it first",
                   gs_goal_status_name(s->goal.status));
}

/* Refuses unless they are to be closed too, and each is the caller's to close. */
static int need_key_results(struct gw_call *c, const PGresult *open)
{
    bool cascade = false, may;
    int n = PQntuples(open), status = 0;

    (void)gs_json_bool(gw_body(c), "/cascade", &cascade);
    if (n > 0 && !cascade) {
        GS_AUTO(gs_buf_done) struct gs_buf titles;
        gs_buf_init(&titles, GW_BODY_MAX);
        for (int i = 0; i < n && titles.len < 1000; i++)
            gs_buf_printf(&titles, "%s\"%.200s\"", i ? ", " : "", gs_db_get(open, i, "title"));
        return gw_fail(c, 409, "open-key-results",
                       "%d of its key results are open still: %.1200s; close them first, or with it by \"cascade\": "
                       "true",
                       n, gs_buf_str(&titles));
    }
    if (n >= CLOSED_MAX)
        return gw_fail(c, 409, "too-many", "more than %d goals would close; at most that many do at once",
                       CLOSED_MAX - 1);
    for (int i = 0; i < n && status == 0; i++) {
        status = gw_goal_may(c, gs_db_get(open, i, "id"), GW_EDIT, &may);
        if (status == 0 && !may)
            status =
                gw_forbidden(c, "you may not close \"%.200s\", which stands below; who may edit it closes it first",
                             gs_db_get(open, i, "title"));
    }
    return status;
}

/* The final value is a check-in like any other. */
static int check_in(struct gw_call *c, const char *goal)
{
    static const char sql[] =
        "INSERT INTO check_in (at, org_id, goal_id, person_id, value, auto_value) SELECT clock_timestamp(), g.org_id, "
        "g.id, calling('person'), $2, g.auto_value FROM goal g WHERE g.id = $1 RETURNING id";
    const char *value = gw_text(c, "/value");
    struct gs_check_in check_in = {.has_value = true};
    struct gs_err err;
    int status;

    if (!value)
        return 0;
    if (gs_dec_parse(value, strlen(value), &check_in.value, &err) != GS_OK)
        return gw_invalid(c, "/value", "%s", err.text);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal, value));
    if (!r)
        return gw_status(c);
    if ((status = gw_goal_recompute_one(c, goal, &(struct gw_change){.check_in = &check_in})) != 0)
        return status;
    return gw_note(c, GW_GOAL_CHECKED_IN, goal, PQgetvalue(r, 0, 0)) ? 0 : gw_status(c);
}

/* The last page of a closed goal: its score, a note, an entry in the feed, news for the webhooks. given: null: the
 * score is its own. */
static int write_end(struct gw_call *c, const char *goal, const struct gs_dec *given, const char *note)
{
    static const char sql[] =
        "UPDATE goal SET ended_at = now(), ended_note = $2 WHERE id = $1 RETURNING jsonb_build_object('score', "
        "trim_scale(score)::text, 'value', trim_scale(applied_value)::text, 'note', ended_note)";
    struct gw_scored s;
    int status = gw_scored_load(c, goal, &s);

    if (status)
        return status;
    if (!gw_score_store(c, goal, given ? given : s.has_suggested ? &s.suggested : NULL, given != NULL))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal, note));
    if (!r || !gw_goal_activity(c, goal, "closed", PQgetvalue(r, 0, 0)) || !gw_note(c, GW_GOAL_CLOSED, goal, NULL))
        return gw_status(c);
    return 0;
}

/* Key results first: the goal's own score may come from theirs. */
static int close_all(struct gw_call *c, const char *goal, const PGresult *open, const struct gs_dec *given)
{
    size_t n = (size_t)PQntuples(open);
    GS_AUTO(gs_buf_done) struct gs_buf ids;
    GS_AUTO(gs_freep) const char **goals = gs_alloc_n(n + 1, sizeof *goals);
    int status;

    gs_buf_init(&ids, (size_t)(CLOSED_MAX + 1) * GW_ID_TEXT);
    for (size_t i = 0; i < n; i++)
        goals[i] = gs_db_get(open, (int)i, "id");
    goals[n] = goal;
    for (size_t i = 0; i <= n; i++)
        gs_buf_printf(&ids, "%s%s", i ? "," : "{", goals[i]);
    gs_buf_putc(&ids, '}');
    status = gw_goal_recompute(c, goals, n + 1, &(struct gw_change){.end = true, .ending = GS_CLOSED});
    for (size_t i = 0; i <= n && status == 0; i++)
        status = write_end(c, goals[i], i == n ? given : NULL, i == n ? gw_text(c, "/note") : NULL);
    if (status)
        return status;
    return gw_links_stop(c, gs_buf_str(&ids), GS_CLOSED) ? gw_scores_settle(c, gs_buf_str(&ids)) : gw_status(c);
}

static int goal_close(struct gw_call *c)
{
    const char *goal = gw_item(c);
    struct gs_dec given = {0};
    struct gw_scored s;
    bool has_given;
    int status = gw_goal_need(c, goal, GW_EDIT);

    if (status == 0)
        status = gw_scored_load(c, goal, &s);
    if (status == 0)
        status = need_open_goal(c, &s);
    if (status == 0)
        status = read_score(c, &has_given, &given);
    if (status)
        return status;
    GS_AUTO_RESULT open = find_open(c, goal);
    if (!open)
        return gw_status(c);
    status = need_key_results(c, open);
    if (status == 0)
        status = check_in(c, goal);
    if (status == 0)
        status = close_all(c, goal, open, has_given ? &given : NULL);
    return status ? status : gw_goal_show(c, 200, goal);
}

/* ---- reopening ---- */

/* A copy that was made when it was postponed stays. */
static int goal_reopen(struct gw_call *c)
{
    static const char sql[] = "UPDATE goal SET ended_at = NULL, ended_note = NULL, score = NULL, score_by_hand = false "
                              "WHERE id = $1";
    const char *goal = gw_item(c);
    char ids[GW_ID_TEXT + 2];
    int status = gw_goal_need(c, goal, GW_EDIT);

    if (status == 0)
        status = gw_goal_recompute_one(c, goal, &(struct gw_change){.reopen = true});
    if (status)
        return status;
    snprintf(ids, sizeof ids, "{%s}", goal);
    if (!gw_exec(c, sql, GS_WITH(goal)))
        return gw_status(c);
    if ((status = gw_links_go_on(c, ids)) != 0)
        return status;
    if (!gw_goal_activity(c, goal, "reopened", NULL) || !gw_note(c, GW_GOAL_REOPENED, goal, NULL))
        return gw_status(c);
    status = gw_scores_settle(c, ids);
    return status ? status : gw_goal_show(c, 200, goal);
}

/* ---- scores ---- */

static int show_score(struct gw_call *c, const char *goal)
{
    char etag[GW_ID_TEXT + 2];
    struct gw_scored s;
    int status = gw_scored_load(c, goal, &s);

    if (status)
        return status;
    snprintf(etag, sizeof etag, "\"%s\"", s.revision);
    gw_header_set(c, "ETag", etag);
    gs_buf_clear(gw_out(c));
    gw_score_put(gw_out(c), &s);
    return gw_answer_out(c, 200);
}

static int goal_score_get(struct gw_call *c)
{
    return show_score(c, gw_item(c));
}

/* Null takes back what a person gave. */
static int score_again(struct gw_call *c, const char *goal, const struct gs_dec *given)
{
    static const char sql[] =
        "SELECT jsonb_build_object('score', trim_scale(score)::text, 'by_hand', score_by_hand) FROM goal WHERE id = $1";
    struct gw_scored s;
    char ids[GW_ID_TEXT + 2];
    int status = gw_scored_load(c, goal, &s);

    if (status)
        return status;
    if (s.goal.status != GS_CLOSED && !s.has_score)
        return gw_fail(c, 409, "goal-open", "the goal is %s; it gets its score when it is closed",
                       gs_goal_status_name(s.goal.status));
    if ((status = gw_match(c, s.revision)) != 0)
        return status;
    if (!gw_score_store(c, goal, given ? given : s.has_suggested ? &s.suggested : NULL, given != NULL))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal));
    if (!r || !gw_goal_activity(c, goal, "scored", PQgetvalue(r, 0, 0)) || !gw_note(c, GW_GOAL_EDITED, goal, NULL))
        return gw_status(c);
    snprintf(ids, sizeof ids, "{%s}", goal);
    return gw_scores_settle(c, ids);
}

static int goal_score(struct gw_call *c)
{
    const char *goal = gw_item(c);
    struct gs_dec given = {0};
    bool has;
    int status = gw_goal_need(c, goal, GW_EDIT);

    if (status == 0)
        status = read_score(c, &has, &given);
    if (status == 0)
        status = score_again(c, goal, has ? &given : NULL);
    return status ? status : show_score(c, goal);
}

const struct gw_op gw_ops_lifecycle[] = {
    {"goal_close_offer", goal_close_offer}, {"goal_close", goal_close}, {"goal_reopen", goal_reopen},
    {"goal_score_get", goal_score_get},     {"goal_score", goal_score}, {0},
};
