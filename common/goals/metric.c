// What makes a goal's definition valid, and the progress that a value means under it.
#include "common/goals/private.h"

#include <string.h>

bool gs_metric_is_regular(enum gs_goal_metric metric)
{
    return metric == GS_REACH || metric == GS_INCREASE || metric == GS_DECREASE;
}

bool gs_metric_is_control(enum gs_goal_metric metric)
{
    return metric == GS_STAY_BELOW || metric == GS_STAY_ABOVE;
}

static const char *unit_of(const struct gs_goal *goal)
{
    return goal->unit ? goal->unit : "";
}

bool gs_unit_same(const struct gs_goal *a, const struct gs_goal *b)
{
    return strcmp(unit_of(a), unit_of(b)) == 0;
}

bool gs_goal_is_numeric(const struct gs_goal *goal)
{
    return gs_metric_is_regular(goal->metric) && strcmp(unit_of(goal), "%") != 0;
}

bool gs_adds_to(const struct gs_goal *child, const struct gs_goal *parent)
{
    return gs_metric_is_regular(child->metric) && gs_unit_same(child, parent);
}

struct gs_dec gs_goal_start(const struct gs_goal *goal)
{
    if (goal->metric == GS_REACH || !goal->has_start)
        return gs_dec_int(0);
    return goal->start;
}

/* ---- Progress */

static gs_u128 distance(struct gs_dec a, struct gs_dec b)
{
    /* Up to 2 * 10^38 fits 128 bits only without a sign. */
    return a.u > b.u ? (gs_u128)a.u - (gs_u128)b.u : (gs_u128)b.u - (gs_u128)a.u;
}

/* (P - S) / (T - S) in percent; what does not fit becomes the largest decimal, as only the clamped value counts then.
 */
static struct gs_dec scaled(struct gs_dec start, struct gs_dec target, struct gs_dec value)
{
    bool forward = (value.u >= start.u) == (target.u >= start.u);
    gs_u128 m;

    if (target.u == start.u)
        return gs_dec_int(0); /* never defined so; do not divide by it all the same */
    if (!gs_u128_mul_div(distance(value, start), (gs_u128)GS_PERCENT_FULL, distance(target, start), &m) ||
        m > (gs_u128)GS_DEC_MAX_U)
        m = (gs_u128)GS_DEC_MAX_U;
    return (struct gs_dec){forward ? (gs_i128)m : -(gs_i128)m};
}

struct gs_dec gs_goal_progress_of(const struct gs_goal *goal, struct gs_dec value)
{
    switch (goal->metric) {
    case GS_PERCENT:
        return value;
    case GS_REACH:
    case GS_INCREASE:
    case GS_DECREASE:
        return scaled(gs_goal_start(goal), goal->target, value);
    case GS_STAY_BELOW:
        return gs_dec_int(value.u < goal->target.u ? 100 : 0);
    case GS_STAY_ABOVE:
        return gs_dec_int(value.u > goal->target.u ? 100 : 0);
    case GS_BASELINE:
        break;
    }
    return gs_dec_int(0);
}

void gs_goal_refresh(struct gs_goal *goal)
{
    goal->has_value = goal->has_applied;
    goal->raw_progress = goal->has_value ? gs_goal_progress_of(goal, goal->applied_value) : gs_dec_int(0);
    goal->progress = gs_percent_clamp(goal->raw_progress);
}

/* ---- Validation */

static enum gs_rc validate_regular(const struct gs_goal *goal, struct gs_err *err)
{
    const char *metric = gs_goal_metric_name(goal->metric);
    struct gs_dec start = gs_goal_start(goal);

    if (!goal->has_target)
        return gs_fail(err, GS_REJECT, "%s: there is no target; give one", metric);
    if (goal->metric == GS_REACH && goal->has_start && goal->start.u != 0)
        return gs_fail(err, GS_REJECT, "reach: it starts at 0; use increase or decrease for another start");
    if (goal->metric != GS_REACH && !goal->has_start)
        return gs_fail(err, GS_REJECT, "%s: there is no start; give one", metric);
    if (goal->target.u == start.u)
        return gs_fail(err, GS_REJECT, "%s: start and target are the same, so there is no way to go", metric);
    if (goal->metric == GS_INCREASE && goal->target.u < start.u)
        return gs_fail(err, GS_REJECT, "increase: the target must be above the start; use decrease otherwise");
    if (goal->metric == GS_DECREASE && goal->target.u > start.u)
        return gs_fail(err, GS_REJECT, "decrease: the target must be below the start; use increase otherwise");
    if (goal->has_risk)
        return gs_fail(err, GS_REJECT, "%s: only stay_below and stay_above have a risk threshold", metric);
    return GS_OK;
}

static enum gs_rc validate_control(const struct gs_goal *goal, struct gs_err *err)
{
    const char *metric = gs_goal_metric_name(goal->metric);

    if (!goal->has_target)
        return gs_fail(err, GS_REJECT, "%s: there is no threshold; give one as the target", metric);
    if (goal->has_start)
        return gs_fail(err, GS_REJECT, "%s: it has no start; leave it out", metric);
    if (goal->mode == GS_ROLL_UP)
        return gs_fail(err, GS_REJECT, "%s: it cannot be rolled up; use manual or data_source", metric);
    if (goal->has_risk && goal->metric == GS_STAY_BELOW && goal->risk.u <= goal->target.u)
        return gs_fail(err, GS_REJECT, "stay_below: the risk threshold must be above the target");
    if (goal->has_risk && goal->metric == GS_STAY_ABOVE && goal->risk.u >= goal->target.u)
        return gs_fail(err, GS_REJECT, "stay_above: the risk threshold must be below the target");
    return GS_OK;
}

static enum gs_rc validate_plain(const struct gs_goal *goal, struct gs_err *err)
{
    if (goal->has_start || goal->has_target || goal->has_risk)
        return gs_fail(err, GS_REJECT, "%s: it has neither start nor target nor risk threshold; leave them out",
                       gs_goal_metric_name(goal->metric));
    return GS_OK;
}

enum gs_rc gs_goal_validate(const struct gs_goal *goal, struct gs_err *err)
{
    if (goal->start_day > goal->end_day)
        return gs_fail(err, GS_REJECT, "the goal ends before it starts");
    if (goal->kind == GS_PROJECT && goal->metric != GS_PERCENT && goal->mode == GS_ROLL_UP)
        return gs_fail(err, GS_REJECT, "a project with a metric ignores its tasks; use manual or data_source");
    if (goal->tasks_done < 0 || goal->tasks_done > goal->tasks_all || goal->tasks_all > GS_GOAL_TASKS_MAX)
        return gs_fail(err, GS_REJECT, "%d of %d tasks done is not possible (at most %d tasks)", goal->tasks_done,
                       goal->tasks_all, GS_GOAL_TASKS_MAX);
    if (gs_metric_is_regular(goal->metric))
        return validate_regular(goal, err);
    if (gs_metric_is_control(goal->metric))
        return validate_control(goal, err);
    return validate_plain(goal, err);
}
