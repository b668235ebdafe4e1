/* Previews and tests of connections: what a source would give now, shown and forgotten. */
#include "services/gateway/ops.h"

#include "common/str.h"
#include "services/gateway/ask.h"
#include "services/gateway/goal.h"
#include "services/gateway/source.h"

#include <stdio.h>
#include <string.h>

/* ---- the goal it would feed ---- */

static const char goal_sql[] =
    "SELECT g.id, g.kind, g.metric, g.override, g.status, g.status_by_hand, g.has_value, g.start_value, "
    "g.target_value, "
    "g.risk_value, g.auto_value, g.applied_value, g.raw_progress, g.progress, g.start_on - date '1970-01-01' AS "
    "start_day, g.end_on - date '1970-01-01' AS end_day, g.unit, o.behind_above, o.at_risk_above, o.status_mode, "
    "(now() AT TIME ZONE o.time_zone)::date - date '1970-01-01' AS today, (SELECT k.connection_id FROM link k WHERE "
    "k.goal_id = g.id) AS connection FROM goal g JOIN organisation o ON o.id = g.org_id WHERE g.id = $1";

static bool get_dec(const PGresult *r, const char *col, struct gs_dec *ret)
{
    const char *text = gs_db_get(r, 0, col);

    return !gs_db_is_null(r, 0, col) && gs_dec_parse(text, strlen(text), ret, NULL) == GS_OK;
}

static bool read_goal(const PGresult *r, struct gw_guess *guess)
{
    struct gs_goal *g = &guess->goal;

    g->status_by_hand = gs_db_get_bool(r, 0, "status_by_hand");
    g->has_value = gs_db_get_bool(r, 0, "has_value");
    g->has_start = get_dec(r, "start_value", &g->start);
    g->has_target = get_dec(r, "target_value", &g->target);
    g->has_risk = get_dec(r, "risk_value", &g->risk);
    g->has_auto = get_dec(r, "auto_value", &g->auto_value);
    g->has_applied = get_dec(r, "applied_value", &g->applied_value);
    g->start_day = (int32_t)gs_db_get_int(r, 0, "start_day");
    g->end_day = (int32_t)gs_db_get_int(r, 0, "end_day");
    g->mode = GS_DATA_SOURCE;
    snprintf(guess->unit, sizeof(guess->unit), "%s", gs_db_get(r, 0, "unit"));
    return get_dec(r, "raw_progress", &g->raw_progress) && get_dec(r, "progress", &g->progress) &&
           gs_goal_kind_parse(gs_db_get(r, 0, "kind"), &g->kind) &&
           gs_goal_metric_parse(gs_db_get(r, 0, "metric"), &g->metric) &&
           gs_goal_override_parse(gs_db_get(r, 0, "override"), &g->override) &&
           gs_goal_status_parse(gs_db_get(r, 0, "status"), &g->status);
}

static bool read_rules(const PGresult *r, struct gs_goal_rules *ret)
{
    ret->today = (int32_t)gs_db_get_int(r, 0, "today");
    return get_dec(r, "behind_above", &ret->behind_above) && get_dec(r, "at_risk_above", &ret->at_risk_above) &&
           gs_status_mode_parse(gs_db_get(r, 0, "status_mode"), &ret->status_mode);
}

/* ret_goal, ret_connection: internal ids of the goal and of the connection it is linked by already; "" is none. */
static int load_goal(struct gw_call *c, const char *public_id, struct gw_guess *ret, char ret_goal[GW_ID_TEXT],
                     char ret_connection[GW_ID_TEXT])
{
    static const char sql[] = "SELECT id FROM goal WHERE public_id = $1::uuid";

    GS_AUTO_RESULT found = gw_query(c, sql, GS_WITH(public_id));
    if (!found)
        return gw_status(c);
    if (PQntuples(found) == 0)
        return gw_invalid(c, "/goal_id", "names no goal of this organisation that you see");
    int status = gw_goal_need(c, PQgetvalue(found, 0, 0), GW_CHECK_IN);
    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, goal_sql, GS_WITH(PQgetvalue(found, 0, 0)));
    if (!r)
        return gw_status(c);
    snprintf(ret_goal, GW_ID_TEXT, "%s", gs_db_get(r, 0, "id"));
    snprintf(ret_connection, GW_ID_TEXT, "%s", gs_db_get(r, 0, "connection"));
    if (!read_goal(r, ret) || !read_rules(r, &ret->rules))
        return gw_fail(c, 409, "goal-unreadable", "The goal holds a word that this goalsync does not know");
    return 0;
}

/* ---- operations ---- */

/* Somebody makes use of a credential. What was asked and answered is not kept. */
static bool note_use(struct gw_call *c, const char *action, const struct gw_source *s)
{
    return gw_audit(c, action, "connection", s->connection_public, NULL);
}

static int preview(struct gw_call *c, struct gw_source *s)
{
    struct gw_guess guess = {0};
    char id[GW_ID_TEXT] = "", linked_by[GW_ID_TEXT] = "";
    const char *goal = gw_text(c, "/goal_id");
    int status = goal ? load_goal(c, goal, &guess, id, linked_by) : 0;

    if (!status)
        status = gw_source_find(c, gw_text(c, "/connection_id"), linked_by[0] ? linked_by : NULL, s);
    if (!status)
        status = gw_source_need_asked(c, s);
    if (!status)
        status = gw_source_need_open(c, s);
    if (!status && goal)
        status = gw_source_need_fit(c, s, gs_goal_metric_name(guess.goal.metric));
    if (!status)
        status = gw_source_settings(c, "{}", "", s);
    if (!status)
        status = gw_source_need_use(c, s, id);
    if (!status && !note_use(c, "connection.previewed", s))
        status = gw_status(c);
    return status ? status : gw_ask_preview(c, s, goal ? &guess : NULL);
}

static int preview_create(struct gw_call *c)
{
    struct gw_source s = {0};
    int status = preview(c, &s);

    gw_source_done(&s);
    return status;
}

static int test(struct gw_call *c, struct gw_source *s)
{
    int status = gw_source_of_path(c, s);

    if (!status)
        status = gw_source_need_asked(c, s);
    if (!status && !s->entry->connector->trial)
        status = gw_fail(c, 409, "no-trial",
                         "%s has no question that every connection can answer; preview what you want to link",
                         s->entry->connector->label);
    if (!status)
        status = gw_source_need_open(c, s);
    if (!status)
        status = gw_source_settings_are(c, s->entry->connector->trial, "", s);
    if (!status && !note_use(c, "connection.tested", s))
        status = gw_status(c);
    return status ? status : gw_ask_test(c, s);
}

static int connection_test(struct gw_call *c)
{
    struct gw_source s = {0};
    int status = test(c, &s);

    gw_source_done(&s);
    return status;
}

const struct gw_op gw_ops_preview[] = {
    {"preview_create", preview_create},
    {"connection_test", connection_test},
    {0},
};
