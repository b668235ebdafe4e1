/* Check-ins: what people say a goal's number or status is. On an automatic goal that overrides, until the source gives
 * another number, or, when sticky, until somebody resumes. */
#include "services/gateway/ops.h"

#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"
#include "services/gateway/said.h"

#include <stdio.h>
#include <string.h>

static const char list_sql[] =
    "SELECT " GW_CHECK_IN_JSON ", jsonb_build_array(k.at, k.id)::text FROM check_in k JOIN goal g ON g.id = k.goal_id "
    "WHERE k.goal_id = $2 AND k.removed_at IS NULL AND ($3::jsonb IS NULL OR (k.at, k.id) < "
    "(($3->>0)::timestamptz, ($3->>1)::bigint)) ORDER BY k.at DESC, k.id DESC LIMIT $1";
static const char one_sql[] = "SELECT " GW_CHECK_IN_JSON ", k.revision, '/api/v1/check-ins/' || k.public_id FROM "
                              "check_in k JOIN goal g ON g.id = k.goal_id WHERE k.id = $1 AND k.removed_at IS NULL";

static int check_in_list(struct gw_call *c)
{
    int status = gw_goal_need(c, gw_item(c), GW_SEE);

    if (status)
        return status;
    return gw_answer_page(c, gw_query(c, list_sql, GS_WITH(gw_page_rows(c), gw_item(c), gw_page_cursor(c))));
}

static int show(struct gw_call *c, int status, const char *check_in)
{
    PGresult *r = gw_query(c, one_sql, GS_WITH(check_in));
    char etag[GW_ID_TEXT + 2];

    if (r && PQntuples(r)) {
        snprintf(etag, sizeof(etag), "\"%s\"", PQgetvalue(r, 0, 1));
        gw_header_set(c, "ETag", etag);
    }
    if (r && PQntuples(r) && status == 201)
        gw_header_set(c, "Location", PQgetvalue(r, 0, 2));
    return gw_answer(c, status, r);
}

static int check_in_get(struct gw_call *c)
{
    return show(c, 200, gw_item(c));
}

/* ---- making one ---- */

static int read_value(struct gw_call *c, struct gs_check_in *ret)
{
    const char *value = gw_text(c, "/value"), *status = gw_text(c, "/status");
    struct gs_err err;

    ret->has_value = value != NULL;
    if (value && gs_dec_parse(value, strlen(value), &ret->value, &err) != GS_OK)
        return gw_invalid(c, "/value", "%s", err.text);
    ret->has_status = status && gs_goal_status_parse(status, &ret->status);
    (void)gs_json_bool(gw_body(c), "/sticky", &ret->sticky);
    return 0;
}

static int insert(struct gw_call *c, const char *goal, char ret[GW_ID_TEXT])
{
    static const char sql[] =
        "INSERT INTO check_in (at, org_id, goal_id, person_id, value, auto_value, status, sticky, note) SELECT "
        "clock_timestamp(), g.org_id, g.id, calling('person'), (b->>'value')::numeric, g.auto_value, "
        "(b->>'status')::goal_status, coalesce((b->>'sticky')::boolean, false), coalesce(b->>'note', '') FROM goal g, "
        "(SELECT $2::jsonb AS b) x WHERE g.id = $1 RETURNING id";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal, gw_body_text(c, NULL)));

    if (!r)
        return gw_status(c);
    snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return 0;
}

static int check_in_create(struct gw_call *c)
{
    const char *goal = gw_item(c), *note = gw_text(c, "/note");
    struct gs_check_in check_in = {0};
    char id[GW_ID_TEXT];
    int status = gw_goal_need(c, goal, GW_CHECK_IN);

    if (status == 0)
        status = read_value(c, &check_in);
    if (status)
        return status;
    if (!check_in.has_value && !check_in.has_status && !check_in.sticky && !(note && *note))
        return gw_fail(c, 422, "invalid",
                       "the check-in says nothing; give a value, a status, a note, or sticky to hold "
                       "what stands there");
    if ((status = insert(c, goal, id)) != 0 ||
        (status = gw_goal_recompute_one(c, goal, &(struct gw_change){.check_in = &check_in})) != 0 ||
        (status = gw_mention(c, goal, id, NULL)) != 0)
        return status;
    return gw_note(c, GW_GOAL_CHECKED_IN, goal, id) ? show(c, 201, id) : gw_status(c);
}

static int goal_resume(struct gw_call *c)
{
    static const char sql[] =
        "SELECT mode, status IN ('closed', 'postponed') AND status_by_hand FROM goal WHERE id = $1";
    const char *goal = gw_item(c);
    int status = gw_goal_need(c, goal, GW_CHECK_IN);

    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal));
    if (!r)
        return gw_status(c);
    if (gs_str_eq(PQgetvalue(r, 0, 0), "manual"))
        return gw_fail(c, 422, "goal-refused", "the goal is manual, so there is no automatic value to go back to");
    if (*PQgetvalue(r, 0, 1) == 't')
        return gw_fail(c, 422, "goal-refused",
                       "the goal is closed or postponed, so its value stands still; reopen it "
                       "first");
    status = gw_goal_recompute_one(c, goal, &(struct gw_change){.resume = true});
    if (status)
        return status;
    return gw_goal_activity(c, goal, "resumed", NULL) ? gw_goal_show(c, 200, goal) : gw_status(c);
}

/* ---- editing and removing: the latest remaining one applies ---- */

/* What the check-ins that still count come to: those after the last resume that are sticky or after a sticky one, or
 * since which the automatic value is the same; of a manual goal all. n = 0: the automatic value applies. */
static const char effect_sql[] =
    "WITH g AS (SELECT mode, auto_value, auto_at FROM goal WHERE id = $1), r AS (SELECT max(at) AS at FROM activity "
    "WHERE "
    "goal_id "
    "= $1 AND kind = 'resumed'), k AS (SELECT c.* FROM check_in c, g, r WHERE c.goal_id = $1 AND c.removed_at IS NULL "
    "AND (g.mode = 'manual' OR r.at IS NULL OR c.at > r.at)), s AS (SELECT min(at) AS at FROM k WHERE sticky), e AS "
    "(SELECT k.* FROM k, g, s WHERE g.mode = 'manual' OR k.at >= s.at OR k.auto_value IS NOT DISTINCT FROM "
    "g.auto_value AND coalesce(k.at >= g.auto_at, true)) SELECT count(*), trim_scale(coalesce((array_agg(value ORDER "
    "BY at DESC, id DESC) FILTER (WHERE "
    "value "
    "IS NOT NULL))[1], (array_agg(auto_value ORDER BY at DESC, id DESC) FILTER (WHERE sticky))[1]))::text, "
    "(array_agg(status ORDER BY at DESC, id DESC))[1], coalesce(bool_or(sticky), false) FROM e";

static bool same_effect(const PGresult *a, const PGresult *b)
{
    if ((*PQgetvalue(a, 0, 0) == '0') != (*PQgetvalue(b, 0, 0) == '0'))
        return false;
    for (int col = 1; col < PQnfields(a); col++)
        if (!gs_str_eq(PQgetvalue(a, 0, col), PQgetvalue(b, 0, col)))
            return false;
    return true;
}

static int apply_effect(struct gw_call *c, const char *goal, const PGresult *now)
{
    const char *value = PQgetvalue(now, 0, 1), *word = PQgetvalue(now, 0, 2);
    struct gs_check_in latest = {.sticky = *PQgetvalue(now, 0, 3) == 't'};
    struct gs_err err;

    latest.has_value = *value && gs_dec_parse(value, strlen(value), &latest.value, &err) == GS_OK;
    latest.has_status = *word && gs_goal_status_parse(word, &latest.status);
    return gw_goal_recompute_one(
        c, goal, &(struct gw_change){.replaced = true, .check_in = *PQgetvalue(now, 0, 0) == '0' ? NULL : &latest});
}

/* The check-in with its goal's row locked. author: only who made it; else also who may edit the goal. */
static int open_check_in(struct gw_call *c, bool author, char goal[GW_ID_TEXT])
{
    static const char sql[] = "SELECT goal_id FROM check_in WHERE id = $1";
    static const char again_sql[] =
        "SELECT revision, coalesce(person_id = calling('person'), false) FROM check_in WHERE id = $1 AND removed_at IS "
        "NULL";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c)));
    bool may = false;
    int status;

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "check-in");
    snprintf(goal, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    if ((status = gw_goal_may(c, goal, GW_EDIT, &may)) != 0)
        return status;
    GS_AUTO_RESULT now = gw_query(c, again_sql, GS_WITH(gw_item(c)));
    if (!now)
        return gw_status(c);
    if (PQntuples(now) == 0)
        return gw_not_found(c, "check-in");
    if (*PQgetvalue(now, 0, 1) != 't' && author)
        return gw_forbidden(c, "only who made a check-in edits it; check in anew instead");
    if (*PQgetvalue(now, 0, 1) != 't' && !may)
        return gw_forbidden(c, "only who made a check-in, and who may edit the goal, remove it");
    return gw_match(c, PQgetvalue(now, 0, 0));
}

static bool tell(struct gw_call *c, const char *goal, const char *kind)
{
    static const char sql[] =
        "INSERT INTO activity (at, org_id, goal_id, person_id, kind, data) SELECT clock_timestamp(), k.org_id, "
        "k.goal_id, calling('person'), $2, jsonb_build_object('check_in_id', k.public_id, 'value', "
        "trim_scale(k.value)::text, 'status', k.status) FROM check_in k WHERE k.id = $1 AND k.goal_id = $3";

    return gw_exec(c, sql, GS_WITH(gw_item(c), kind, goal));
}

/* Runs sql ($1: the check-in, $2: the body) and lets what then counts apply. */
static int change(struct gw_call *c, const char *goal, const char *sql, const char *kind)
{
    GS_AUTO_RESULT before = gw_query(c, effect_sql, GS_WITH(goal));

    if (!before || !tell(c, goal, kind) || !gw_exec(c, sql, GS_WITH(gw_item(c), gw_body_text(c, NULL))))
        return gw_status(c);
    GS_AUTO_RESULT now = gw_query(c, effect_sql, GS_WITH(goal));
    if (!now)
        return gw_status(c);
    return same_effect(before, now) ? 0 : apply_effect(c, goal, now);
}

static int check_in_edit(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE check_in SET value = CASE WHEN b ? 'value' THEN (b->>'value')::numeric ELSE value END, status = CASE "
        "WHEN b ? 'status' THEN (b->>'status')::goal_status ELSE status END, sticky = "
        "coalesce((b->>'sticky')::boolean, "
        "sticky), note = CASE WHEN b ? 'note' THEN coalesce(b->>'note', '') ELSE note END, edited_at = "
        "clock_timestamp() "
        "FROM (SELECT $2::jsonb AS b) x WHERE id = $1";
    struct gs_check_in judged = {0};
    char goal[GW_ID_TEXT];
    int status = open_check_in(c, true, goal);

    if (status == 0)
        status = read_value(c, &judged);
    if (status == 0)
        status = change(c, goal, sql, "check_in_edited");
    if (status == 0)
        status = gw_mention(c, goal, gw_item(c), NULL);
    return status ? status : show(c, 200, gw_item(c));
}

static int check_in_delete(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE check_in SET removed_at = clock_timestamp() WHERE id = $1 AND $2::text IS NOT NULL";
    char goal[GW_ID_TEXT];
    int status = open_check_in(c, false, goal);

    if (status == 0)
        status = change(c, goal, sql, "check_in_removed");
    return status ? status : gw_no_content(c);
}

const struct gw_op gw_ops_check_in[] = {
    {"check_in_list", check_in_list},
    {"check_in_create", check_in_create},
    {"check_in_get", check_in_get},
    {"check_in_edit", check_in_edit},
    {"check_in_delete", check_in_delete},
    {"goal_resume", goal_resume},
    {0},
};
