/* Rights on goals, and the change of goals by people. */
#include "services/gateway/goal.h"

#include "common/goals/store/recompute.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- rights ---- */

/* A private goal that the caller may not see has no row here: row-level security. An archived team has no owners. */
#define RIGHTS                                                                                                         \
    "SELECT coalesce(me.id IN (g.owner_id, g.creator_id), false) OR $2::boolean OR EXISTS (SELECT FROM goal_co_owner " \
    "o WHERE o.goal_id = g.id AND o.person_id = me.id) OR EXISTS (SELECT FROM goal_team t JOIN team x ON x.id = "      \
    "t.team_id JOIN team_member m ON m.team_id = t.team_id WHERE t.goal_id = g.id AND x.archived_at IS NULL AND "      \
    "m.owner AND m.person_id = me.id) OR EXISTS (SELECT FROM person p WHERE p.manager_id = me.id AND "                 \
    "(p.id = g.owner_id OR EXISTS (SELECT FROM goal_co_owner o WHERE o.goal_id = g.id AND o.person_id = p.id))) "      \
    "OR EXISTS (SELECT FROM goal_edge e JOIN goal p ON p.id = e.parent_id WHERE e.child_id = g.id AND (p.owner_id = "  \
    "me.id OR EXISTS (SELECT FROM goal_co_owner o WHERE o.goal_id = p.id AND o.person_id = me.id))), "                 \
    "coalesce(g.delegate_id = me.id, false), coalesce(g.check_in_owner_id = me.id, false) "                            \
    "FROM goal g CROSS JOIN (SELECT calling('person') AS id) me WHERE g.id = $1"

static const char see_sql[] = "SELECT FROM goal g WHERE g.id = $1";
static const char lock_sql[] = RIGHTS " FOR NO KEY UPDATE OF g";

static bool is_true(const PGresult *r, int col)
{
    return *PQgetvalue(r, 0, col) == 't';
}

static int refuse(struct gw_call *c, enum gw_right right)
{
    switch (right) {
    case GW_CHECK_IN:
        return gw_forbidden(c, "you may not check in on this goal; its owners, its check-in owner and those who may "
                               "edit it can");
    case GW_OWN:
        return gw_forbidden(c, "you may not change who owns this goal; its owners, its creator, and administrators "
                               "can; a delegate changes everything else");
    case GW_SEE:
    case GW_EDIT:
        break;
    }
    return gw_forbidden(c,
                        "you may not edit this goal; its owners, its creator, its delegate, owners of its teams or of "
                        "a parent goal, managers of its owners and administrators can");
}

int gw_goal_may(struct gw_call *c, const char *goal, enum gw_right right, bool *ret)
{
    const char *admin = gw_who(c)->role >= GW_ADMIN ? "true" : "false";
    GS_AUTO_RESULT r =
        right == GW_SEE ? gw_query(c, see_sql, GS_WITH(goal)) : gw_query(c, lock_sql, GS_WITH(goal, admin));

    *ret = false;
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "goal");
    if (right == GW_SEE) {
        *ret = true;
        return 0;
    }
    bool own = is_true(r, 0), edit = own || is_true(r, 1), check_in = edit || is_true(r, 2);
    *ret = right == GW_OWN ? own : right == GW_EDIT ? edit : check_in;
    return 0;
}

int gw_goal_need(struct gw_call *c, const char *goal, enum gw_right right)
{
    bool may;
    int status = gw_goal_may(c, goal, right, &may);

    return status || may ? status : refuse(c, right);
}

int gw_goal_find(struct gw_call *c, const char *public_id, const char *pointer, char ret[GW_ID_TEXT])
{
    static const char sql[] = "SELECT id FROM goal WHERE public_id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(public_id));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return pointer ? gw_invalid(c, pointer, "names no goal that you can see") : gw_not_found(c, "goal");
    snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return 0;
}

bool gw_goal_see_all(struct gw_call *c, bool on)
{
    return gw_exec(c, "SELECT set_config('goalsync.all_goals', $1, true)", GS_WITH(on ? "on" : ""));
}

/* ---- changes ---- */

static struct gs_deed deed_of(const struct gw_change *change)
{
    struct gs_deed deed = {0};

    if (!change)
        return deed;
    deed = (struct gs_deed){.edited = change->edited,
                            .replaced = change->replaced,
                            .latest = change->check_in,
                            .resume = change->resume,
                            .end = change->end,
                            .ending = change->ending,
                            .reopen = change->reopen};
    if (change->check_in && !change->replaced) {
        deed.check_in = true;
        deed.checked_in = *change->check_in;
    }
    return deed;
}

int gw_goal_recompute(struct gw_call *c, const char *const *goals, size_t n, const struct gw_change *change)
{
    struct gs_deed deed = deed_of(change);
    struct gs_err err = {0};
    int64_t org;

    if (!gs_parse_int(gw_who(c)->org, 1, INT64_MAX, &org))
        return gw_not_found(c, "organisation");
    GS_AUTO(gs_freep) int64_t *ids = gs_alloc_n(n + 1, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        if (!gs_parse_int(goals[i], 1, INT64_MAX, &ids[i]))
            return gw_not_found(c, "goal");
    switch (gs_goals_recompute(gw_db(c), org, ids, n, &deed, gw_traceparent(c), &err)) {
    case GS_OK:
        return 0;
    case GS_REJECT:
        return gw_fail(c, 422, "goal-refused", "%s", err.text);
    case GS_GONE:
        return gw_not_found(c, "goal");
    default:
        return gw_db_failed(c);
    }
}

int gw_goal_recompute_one(struct gw_call *c, const char *goal, const struct gw_change *change)
{
    return gw_goal_recompute(c, &goal, 1, change);
}

bool gw_goal_activity(struct gw_call *c, const char *goal, const char *kind, const char *data)
{
    static const char sql[] = "INSERT INTO activity (at, org_id, goal_id, person_id, kind, data) SELECT "
                              "clock_timestamp(), g.org_id, g.id, calling('person'), $2, coalesce($3::jsonb, '{}') "
                              "FROM goal g WHERE g.id = $1";

    return gw_exec(c, sql, GS_WITH(goal, kind, data));
}
