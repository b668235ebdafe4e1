// Closing by hand and reopening.
#include "common/goals/private.h"

#include <assert.h>

enum gs_goal_status gs_goal_close_offer(const struct gs_goal *goal)
{
    return goal->has_value && goal->raw_progress.u > 0 ? GS_CLOSED : GS_POSTPONED;
}

unsigned gs_goal_close(struct gs_goal *goal, enum gs_goal_status how)
{
    struct gs_goal before = *goal;

    assert(gs_status_ends(how));
    goal->status = how;
    goal->status_by_hand = true;
    return gs_goal_changes(&before, goal);
}

enum gs_rc gs_goal_reopen(struct gs_goal *goal, const struct gs_goal_rules *rules, unsigned *ret_changes,
                          struct gs_err *err)
{
    struct gs_goal before = *goal;

    if (!gs_status_ends(goal->status))
        return gs_fail(err, GS_REJECT, "the goal is %s; only a closed or postponed one can be reopened",
                       gs_goal_status_name(goal->status));
    /* A baseline has no Reopened: it goes back to what its value says. */
    goal->status_by_hand = goal->metric != GS_BASELINE;
    goal->status = goal->status_by_hand ? GS_REOPENED : gs_goal_own_status(goal, rules);
    *ret_changes = gs_goal_changes(&before, goal);
    return GS_OK;
}
