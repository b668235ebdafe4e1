// What a new value does to one goal: automatic values, check-ins, overrides and their end.
#include "common/goals/private.h"

static bool same(bool has_a, struct gs_dec a, bool has_b, struct gs_dec b)
{
    return has_a == has_b && (!has_a || a.u == b.u);
}

unsigned gs_goal_changes(const struct gs_goal *before, const struct gs_goal *after)
{
    unsigned changes = 0;

    if (!same(before->has_applied, before->applied_value, after->has_applied, after->applied_value) ||
        before->has_value != after->has_value)
        changes |= GS_CHANGED_VALUE;
    if (before->raw_progress.u != after->raw_progress.u || before->progress.u != after->progress.u)
        changes |= GS_CHANGED_PROGRESS;
    if (before->status != after->status)
        changes |= GS_CHANGED_STATUS;
    if (before->override != after->override)
        changes |= GS_CHANGED_OVERRIDE;
    if (!same(before->has_auto, before->auto_value, after->has_auto, after->auto_value))
        changes |= GS_CHANGED_AUTO;
    if (before->status_by_hand != after->status_by_hand)
        changes |= GS_CHANGED_BY_HAND;
    return changes;
}

static void apply_auto_value(struct gs_goal *goal)
{
    goal->has_applied = goal->has_auto;
    goal->applied_value = goal->auto_value;
}

void gs_goal_move_auto(struct gs_goal *goal, const struct gs_dec *value)
{
    struct gs_dec now = value ? *value : gs_dec_int(0);
    bool differs = !same(goal->has_auto, goal->auto_value, value != NULL, now);

    goal->has_auto = value != NULL;
    goal->auto_value = now;
    if (goal->mode == GS_MANUAL || gs_goal_is_frozen(goal))
        return;
    /* An unchanged poll ends nothing. Reopened ends even under a sticky override, which speaks of the value only. */
    if (differs && goal->override == GS_ONE_OFF)
        goal->override = GS_NOT_OVERRIDDEN;
    if (differs && (goal->override == GS_NOT_OVERRIDDEN || goal->status == GS_REOPENED))
        goal->status_by_hand = false;
    if (goal->override == GS_NOT_OVERRIDDEN)
        apply_auto_value(goal);
}

/* In roll-up mode some statuses come from the children, who are not here. */
static bool children_tell(const struct gs_goal *goal, const struct gs_goal_rules *rules)
{
    if (goal->mode != GS_ROLL_UP || goal->kind == GS_PROJECT || goal->status == GS_REOPENED)
        return false;
    return gs_status_ends(goal->status) || rules->status_mode == GS_STATUS_FROM_KEY_RESULTS;
}

/* Derives the status unless a hand set it or the children hold it; was_by_hand: a hand set the one that stands there.
 */
static void derive_status(struct gs_goal *goal, bool was_by_hand, const struct gs_goal_rules *rules)
{
    if (goal->status_by_hand && gs_status_fits(goal->metric, goal->status))
        return;
    if (!goal->status_by_hand && !was_by_hand && children_tell(goal, rules))
        return;
    goal->status_by_hand = false;
    goal->status = gs_goal_own_status(goal, rules);
}

/* A rolled-up "%" metric got its value from its progress, not the other way round: computing back would round twice. */
static bool progress_is_rolled(const struct gs_goal *goal)
{
    return goal->mode == GS_ROLL_UP && goal->override == GS_NOT_OVERRIDDEN && goal->has_applied &&
           gs_metric_is_regular(goal->metric) && !gs_goal_is_numeric(goal);
}

unsigned gs_goal_derive(struct gs_goal *goal, const struct gs_goal_rules *rules)
{
    struct gs_goal before = *goal;

    if (!progress_is_rolled(goal))
        gs_goal_refresh(goal);
    derive_status(goal, goal->status_by_hand, rules);
    return gs_goal_changes(&before, goal);
}

unsigned gs_goal_apply_auto(struct gs_goal *goal, const struct gs_dec *value, const struct gs_goal_rules *rules)
{
    struct gs_goal before = *goal;

    gs_goal_move_auto(goal, value);
    gs_goal_refresh(goal);
    derive_status(goal, before.status_by_hand, rules);
    return gs_goal_changes(&before, goal);
}

/* ---- By hand */

static enum gs_rc refuse_frozen(const struct gs_goal *goal, struct gs_err *err)
{
    return gs_fail(err, GS_REJECT, "the goal is %s, so its value stands still; reopen it first",
                   gs_goal_status_name(goal->status));
}

static enum gs_rc validate_check_in(const struct gs_goal *goal, const struct gs_check_in *check_in, struct gs_err *err)
{
    if (gs_goal_is_frozen(goal))
        return refuse_frozen(goal, err);
    if (check_in->has_status && check_in->status == GS_REOPENED)
        return gs_fail(err, GS_REJECT, "a check-in cannot say reopened; only a closed or postponed goal is reopened");
    if (check_in->has_status && !gs_status_fits(goal->metric, check_in->status))
        return gs_fail(err, GS_REJECT, "a %s goal cannot be %s", gs_goal_metric_name(goal->metric),
                       gs_goal_status_name(check_in->status));
    return GS_OK;
}

static void check_in_to(struct gs_goal *goal, const struct gs_check_in *check_in, const struct gs_goal_rules *rules)
{
    bool was_by_hand = goal->status_by_hand;

    /* Only "resume" ends a sticky override: a later one-off value stays sticky. */
    if (goal->mode != GS_MANUAL && check_in->sticky)
        goal->override = GS_STICKY;
    else if (goal->mode != GS_MANUAL && check_in->has_value && goal->override == GS_NOT_OVERRIDDEN)
        goal->override = GS_ONE_OFF;
    if (check_in->has_value) {
        goal->has_applied = true;
        goal->applied_value = check_in->value;
    }
    goal->status_by_hand = check_in->has_status;
    if (check_in->has_status)
        goal->status = check_in->status;
    if (check_in->has_value)
        gs_goal_refresh(goal);
    derive_status(goal, was_by_hand, rules);
}

enum gs_rc gs_goal_check_in(struct gs_goal *goal, const struct gs_check_in *check_in, const struct gs_goal_rules *rules,
                            unsigned *ret_changes, struct gs_err *err)
{
    struct gs_goal before = *goal;
    enum gs_rc rc = validate_check_in(goal, check_in, err);

    if (rc != GS_OK)
        return rc;
    check_in_to(goal, check_in, rules);
    *ret_changes = gs_goal_changes(&before, goal);
    return GS_OK;
}

enum gs_rc gs_goal_replace_check_in(struct gs_goal *goal, const struct gs_check_in *latest,
                                    const struct gs_goal_rules *rules, unsigned *ret_changes, struct gs_err *err)
{
    static const struct gs_check_in nothing;
    struct gs_goal before = *goal;
    bool reopened = goal->status == GS_REOPENED && goal->status_by_hand;
    enum gs_rc rc = validate_check_in(goal, latest ? latest : &nothing, err);

    if (rc != GS_OK)
        return rc;
    /* As if no check-in had been: a manual goal has no value then, an automatic one its automatic value. */
    goal->override = GS_NOT_OVERRIDDEN;
    if (goal->mode == GS_MANUAL)
        goal->has_applied = false;
    else
        apply_auto_value(goal);
    gs_goal_refresh(goal);
    check_in_to(goal, latest ? latest : &nothing, rules);
    /* Nobody checked in since it was reopened: the one that changed is older. */
    if (reopened)
        goal->status = GS_REOPENED;
    goal->status_by_hand |= reopened;
    *ret_changes = gs_goal_changes(&before, goal);
    return GS_OK;
}

unsigned gs_goal_resume(struct gs_goal *goal, const struct gs_goal_rules *rules)
{
    struct gs_goal before = *goal;

    if (goal->mode == GS_MANUAL || gs_goal_is_frozen(goal))
        return 0;
    goal->override = GS_NOT_OVERRIDDEN;
    goal->status_by_hand = false;
    apply_auto_value(goal);
    gs_goal_refresh(goal);
    derive_status(goal, before.status_by_hand, rules);
    return gs_goal_changes(&before, goal);
}
