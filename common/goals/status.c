// Expected progress, and the status that a goal has by itself.
#include "common/goals/private.h"

bool gs_status_ends(enum gs_goal_status status)
{
    return status == GS_CLOSED || status == GS_POSTPONED;
}

bool gs_status_fits(enum gs_goal_metric metric, enum gs_goal_status status)
{
    if (status == GS_NOT_STARTED || gs_status_ends(status))
        return true;
    return (metric == GS_BASELINE) == (status == GS_IN_PROGRESS);
}

bool gs_goal_is_frozen(const struct gs_goal *goal)
{
    return goal->status_by_hand && gs_status_ends(goal->status);
}

struct gs_goal_rules gs_goal_rules_default(int32_t today)
{
    return (struct gs_goal_rules){.behind_above = gs_dec_int(0), .at_risk_above = gs_dec_int(25), .today = today};
}

enum gs_rc gs_goal_rules_validate(const struct gs_goal_rules *rules, struct gs_err *err)
{
    if (rules->behind_above.u < 0 || rules->at_risk_above.u > GS_PERCENT_FULL ||
        rules->behind_above.u >= rules->at_risk_above.u)
        return gs_fail(err, GS_REJECT, "the limits of Behind and At risk must be 0 <= first < second <= 100");
    return GS_OK;
}

struct gs_dec gs_goal_expected(const struct gs_goal *goal, int32_t today)
{
    gs_u128 m = 0;

    if (today >= goal->end_day)
        return gs_dec_int(100);
    if (today <= goal->start_day)
        return gs_dec_int(0);
    /* Rounded like shown progress, to 18 decimals: equal fractions stay equal when compared. */
    gs_u128 gone = (gs_u128)((int64_t)today - goal->start_day);
    if (!gs_u128_mul_div(gone, (gs_u128)GS_PERCENT_FULL, (gs_u128)((int64_t)goal->end_day - goal->start_day), &m))
        return gs_dec_int(0); /* not possible: the divisor is above gone, and gone above 0 */
    return (struct gs_dec){(gs_i128)m};
}

enum gs_goal_status gs_status_of_lag(struct gs_dec expected, struct gs_dec shown, const struct gs_goal_rules *rules)
{
    gs_i128 lag = expected.u - shown.u;

    if (lag <= rules->behind_above.u)
        return GS_ON_TRACK;
    return lag <= rules->at_risk_above.u ? GS_BEHIND : GS_AT_RISK;
}

/* The target belongs to the bad side, and so does the risk threshold to the worse one. */
static enum gs_goal_status control_status(const struct gs_goal *goal)
{
    bool below = goal->metric == GS_STAY_BELOW;
    gs_i128 value = goal->applied_value.u;

    if (below ? value < goal->target.u : value > goal->target.u)
        return GS_ON_TRACK;
    if (goal->has_risk && (below ? value < goal->risk.u : value > goal->risk.u))
        return GS_BEHIND;
    return GS_AT_RISK;
}

enum gs_goal_status gs_goal_own_status(const struct gs_goal *goal, const struct gs_goal_rules *rules)
{
    if (!goal->has_value)
        return GS_NOT_STARTED;
    if (goal->metric == GS_BASELINE)
        return GS_IN_PROGRESS;
    if (gs_metric_is_control(goal->metric))
        return control_status(goal);
    return gs_status_of_lag(gs_goal_expected(goal, rules->today), goal->progress, rules);
}

bool gs_goal_lags(const struct gs_goal *goal, const struct gs_goal_rules *rules)
{
    if (gs_status_ends(goal->status) || goal->metric == GS_BASELINE)
        return false;
    if (gs_metric_is_control(goal->metric))
        return gs_goal_own_status(goal, rules) == GS_AT_RISK;
    return gs_status_of_lag(gs_goal_expected(goal, rules->today), goal->progress, rules) == GS_AT_RISK;
}
