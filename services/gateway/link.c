/* Finding links and asking for their numbers. */
#include "services/gateway/link.h"

#include "common/str.h"
#include "services/fetch/link_sql.h"
#include "services/gateway/goal.h"

#include <stdio.h>

static const char goal_sql[] = "SELECT goal_id FROM link WHERE id = $1";

static const char open_sql[] =
    "SELECT k.id, k.public_id, k.goal_id, k.connection_id, k.batch_id, k.settings, k.state = 'active' AS active, "
    "coalesce(k.paused_reason, c.paused_reason, CASE WHEN k.state <> 'active' THEN 'it is ' || k.state END) AS paused, "
    "b.pushed, g.metric, g.status, c.connector, k.org_id, k.revision, "
    "(extract(epoch FROM k.pushed_source_at) * 1000000)::bigint AS pushed_source_us "
    "FROM link k JOIN goal g ON g.id = k.goal_id JOIN connection c ON c.id = k.connection_id "
    "JOIN link_batch b ON b.id = k.batch_id WHERE k.id = $1 FOR NO KEY UPDATE OF k";

static void read_link(struct gw_link *l)
{
    l->id = gs_db_get(l->r, 0, "id");
    l->public_id = gs_db_get(l->r, 0, "public_id");
    l->goal = gs_db_get(l->r, 0, "goal_id");
    l->connection = gs_db_get(l->r, 0, "connection_id");
    l->batch = gs_db_get(l->r, 0, "batch_id");
    l->settings = gs_db_get(l->r, 0, "settings");
    l->metric = gs_db_get(l->r, 0, "metric");
    l->status = gs_db_get(l->r, 0, "status");
    l->paused = gs_db_get(l->r, 0, "paused");
    l->active = gs_db_get_bool(l->r, 0, "active");
    l->pushed = gs_db_get_bool(l->r, 0, "pushed");
}

int gw_link_open(struct gw_call *c, struct gw_link *ret)
{
    *ret = (struct gw_link){0};
    GS_AUTO_RESULT r = gw_query(c, goal_sql, GS_WITH(gw_item(c)));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0) /* of a private goal, or deleted meanwhile */
        return gw_not_found(c, "link");
    int status = gw_goal_need(c, PQgetvalue(r, 0, 0), GW_CHECK_IN);
    if (status)
        return status;
    ret->r = gw_query(c, open_sql, GS_WITH(gw_item(c)));
    if (!ret->r)
        return gw_status(c);
    if (PQntuples(ret->r) == 0)
        return gw_not_found(c, "link");
    read_link(ret);
    return 0;
}

int gw_link_need_live(struct gw_call *c, const char *status)
{
    if (!gs_str_eq(status, "closed") && !gs_str_eq(status, "postponed"))
        return 0;
    return gw_fail(c, 409, "goal-ended", "The goal is %s; reopen it first", status);
}

/* Its batch is locked since it was switched on: nobody joins meanwhile. */
int gw_link_need_room(struct gw_call *c, const char *id)
{
    static const char sql[] =
        "SELECT b.id, b.pushed FROM link k JOIN link_batch b ON b.id = k.batch_id WHERE k.id = $1";

    if (!gw_link_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT batch = gw_query(c, sql, GS_WITH(id));
    GS_AUTO_RESULT r = batch ? gw_query(c, fetch_link_room_sql, GS_WITH(gs_db_get(batch, 0, "id"))) : NULL;
    if (!r || !gw_link_see_all(c, false))
        return gw_status(c);
    if (gs_db_get_bool(batch, 0, "pushed") ||
        (gs_db_get_int(r, 0, "n") <= FETCH_TARGETS_MAX && gs_db_get_int(r, 0, "bytes") <= FETCH_TOGETHER_BYTES))
        return 0;
    return gw_fail(c, 409, "too-many-together",
                   "its link would be asked together with more than %d links or %d bytes of settings; delete the link, "
                   "or have it use another connection, first",
                   FETCH_TARGETS_MAX, FETCH_TOGETHER_BYTES);
}

bool gw_link_ask(struct gw_call *c, const char *id)
{
    char ids[GW_ID_TEXT + 2];

    snprintf(ids, sizeof(ids), "{%s}", id);
    return gw_exec(c, fetch_link_sync_sql, GS_WITH(ids)) && gw_exec(c, "NOTIFY goalsync_sync", GS_NO_PARAMS);
}

bool gw_link_see_all(struct gw_call *c, bool all)
{
    return gw_exec(c, "SELECT set_config('goalsync.all_goals', $1, true)", GS_WITH(all ? "on" : ""));
}
