// Progress, value and status of a goal from its children, or of a project from its tasks.
#include "common/goals/private.h"

#include <assert.h>

/* What the children give, before overrides and freezing. */
struct rolled {
    bool has_value;
    bool too_large;
    bool has_progress; /* an average: progress comes first, the value follows from it */
    struct gs_dec value, progress;
};

/* ---- Values */

static struct rolled roll_tasks(const struct gs_goal *project)
{
    struct rolled r = {0};

    /* Tasks of which none is done give 0 percent and no value: the project is not started. */
    r.has_value = project->tasks_done > 0 &&
                  gs_percent_of(gs_dec_int(project->tasks_done), gs_dec_int(project->tasks_all), &r.value);
    return r;
}

/* Only when all that contribute are baselines. */
static struct rolled roll_baseline(const struct gs_goal_child *children, size_t n)
{
    struct gs_sum sum = {0};
    struct rolled r = {0};

    for (size_t i = 0; i < n; i++) {
        const struct gs_goal *child = children[i].goal;
        if (!children[i].contributes)
            continue;
        if (child->metric != GS_BASELINE)
            return (struct rolled){0};
        if (child->status == GS_POSTPONED || !child->has_value)
            continue;
        gs_sum_add(&sum, child->applied_value);
        r.has_value = true;
    }
    r.too_large = r.has_value && !gs_sum_get(&sum, &r.value);
    return r;
}

/* Weights do not scale sums; a child without a value adds where it starts. */
static struct rolled roll_sum(const struct gs_goal *parent, const struct gs_goal_child *children, size_t n)
{
    struct gs_sum sum = {0};
    struct rolled r = {0};

    for (size_t i = 0; i < n; i++) {
        const struct gs_goal *child = children[i].goal;
        if (!children[i].contributes || child->status == GS_POSTPONED || !gs_adds_to(child, parent))
            continue;
        gs_sum_add(&sum, child->has_value ? child->applied_value : gs_goal_start(child));
        r.has_value |= child->has_value;
    }
    r.too_large = r.has_value && !gs_sum_get(&sum, &r.value);
    return r;
}

/* Start + mean% of the way to the target, in one division from the exact mean weighted / whole. */
static struct gs_dec value_at(const struct gs_goal *parent, gs_u128 weighted, int64_t whole)
{
    struct gs_dec start = gs_goal_start(parent);
    bool up = parent->target.u > start.u;
    gs_u128 way = up ? (gs_u128)parent->target.u - (gs_u128)start.u : (gs_u128)start.u - (gs_u128)parent->target.u;
    gs_u128 gone = 0;

    bool fits = gs_u128_mul_div(weighted, way, (gs_u128)whole * (gs_u128)GS_PERCENT_FULL, &gone);
    assert(fits && gone <= way); /* a mean is at most 100 percent */
    gs_u128 value = up ? (gs_u128)start.u + gone : (gs_u128)start.u - gone;
    return (struct gs_dec){(gs_i128)value};
}

/* Bounds: part <= 10^14 and progress <= 10^20 units, and all parts together are `whole`, so weighted <= 10^34. */
static struct rolled roll_mean(const struct gs_goal *parent, const struct gs_goal_child *children, size_t n)
{
    struct gs_shares shares = gs_shares_of(children, n);
    struct rolled r = {.has_progress = true};
    gs_u128 weighted = 0, mean = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t part = gs_share_part(&shares, &children[i]);
        if (part == 0 || !children[i].goal->has_value)
            continue; /* without a value it counts as 0 percent */
        weighted += (gs_u128)part * (gs_u128)gs_percent_clamp(children[i].goal->progress).u;
        r.has_value = true;
    }
    if (!r.has_value)
        return r;
    bool fits = gs_u128_mul_div(weighted, 1, (gs_u128)shares.whole, &mean);
    assert(fits);
    r.progress.u = (gs_i128)mean;
    r.value = parent->metric == GS_PERCENT ? r.progress : value_at(parent, weighted, shares.whole);
    return r;
}

static struct rolled roll(const struct gs_goal *parent, const struct gs_goal_child *children, size_t n)
{
    if (parent->kind == GS_PROJECT)
        return roll_tasks(parent);
    if (parent->metric == GS_BASELINE)
        return roll_baseline(children, n);
    if (gs_metric_is_control(parent->metric))
        return (struct rolled){0}; /* refused when defined */
    if (gs_goal_is_numeric(parent))
        return roll_sum(parent, children, n);
    return roll_mean(parent, children, n);
}

/* ---- Status */

#define BIT(status) (1u << (status))

/* Worst wins among the statuses seen; own: what the parent's lag gives. */
static enum gs_goal_status worst(unsigned seen, enum gs_goal_status own)
{
    unsigned ranked = seen & ~BIT(GS_IN_PROGRESS);

    if (ranked & BIT(GS_AT_RISK))
        return GS_AT_RISK;
    if (ranked & BIT(GS_BEHIND))
        return GS_BEHIND;
    if (ranked & BIT(GS_ON_TRACK))
        return GS_ON_TRACK;
    if ((ranked & ~(BIT(GS_CLOSED) | BIT(GS_POSTPONED))) == 0)
        return own; /* nothing else than baselines in progress has no rank */
    if (ranked == (BIT(GS_CLOSED) | BIT(GS_NOT_STARTED)))
        return own;
    return ranked & BIT(GS_NOT_STARTED) ? GS_NOT_STARTED : GS_REOPENED;
}

/* Objectives and key results of any weight count for status, projects do not. */
static enum gs_goal_status derived_status(const struct gs_goal *parent, const struct gs_goal_child *children, size_t n,
                                          const struct gs_goal_rules *rules)
{
    enum gs_goal_status own = gs_goal_own_status(parent, rules);
    bool begun = parent->has_value;
    unsigned seen = 0;

    for (size_t i = 0; i < n; i++) {
        if (children[i].goal->kind == GS_PROJECT)
            continue;
        seen |= BIT(children[i].goal->status);
        begun |= children[i].goal->has_value;
    }
    if (seen == 0)
        return own;
    if (seen == BIT(GS_POSTPONED))
        return GS_POSTPONED;
    if ((seen & ~(BIT(GS_CLOSED) | BIT(GS_POSTPONED))) == 0)
        return GS_CLOSED;
    if (rules->status_mode == GS_STATUS_FROM_PROGRESS || parent->metric == GS_BASELINE)
        return own;
    return begun ? worst(seen, own) : GS_NOT_STARTED;
}

unsigned gs_goal_roll_up(struct gs_goal *parent, const struct gs_goal_child *children, size_t n,
                         const struct gs_goal_rules *rules)
{
    struct gs_goal before = *parent;

    if (parent->mode != GS_ROLL_UP)
        return 0;
    if (n > GS_GOAL_CHILDREN_MAX)
        return GS_CHANGED_REFUSED;
    struct rolled r = roll(parent, children, n);
    if (r.too_large)
        return GS_CHANGED_REFUSED;
    gs_goal_move_auto(parent, r.has_value ? &r.value : NULL);
    if (gs_goal_is_frozen(parent))
        return gs_goal_changes(&before, parent);
    gs_goal_refresh(parent);
    if (r.has_progress && parent->override == GS_NOT_OVERRIDDEN)
        parent->raw_progress = parent->progress = r.progress;
    if (parent->kind == GS_PROJECT)
        n = 0;
    if (!parent->status_by_hand)
        parent->status = derived_status(parent, children, n, rules);
    return gs_goal_changes(&before, parent);
}
