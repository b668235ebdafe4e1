// Weights of the edges below one parent, and the exact shares that follow from them.
#include "common/goals/private.h"

#include <assert.h>

/* Postponed children leave, baselines have no progress to average. */
static bool counts(const struct gs_goal_child *child)
{
    return child->contributes && child->goal->metric != GS_BASELINE && child->goal->status != GS_POSTPONED;
}

struct gs_shares gs_shares_of(const struct gs_goal_child *children, size_t n)
{
    int64_t fixed = 0, n_free = 0;

    assert(n <= GS_GOAL_CHILDREN_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!counts(&children[i]))
            continue;
        if (children[i].weight == GS_WEIGHT_FREE)
            n_free++;
        else
            fixed += children[i].weight;
    }
    if (n_free == 0)
        return (struct gs_shares){.whole = fixed, .times = 1};
    /* Everything times the number of free children, so that a third stays a third. */
    int64_t left = fixed < GS_WEIGHT_FULL ? GS_WEIGHT_FULL - fixed : 0;
    return (struct gs_shares){.whole = (fixed + left) * n_free, .times = n_free, .free_part = left};
}

int64_t gs_share_part(const struct gs_shares *shares, const struct gs_goal_child *child)
{
    if (!counts(child))
        return 0;
    return child->weight == GS_WEIGHT_FREE ? shares->free_part : child->weight * shares->times;
}

/* What rounding the share down leaves, in units of 1 / whole. */
static int64_t rest_of(const struct gs_shares *shares, const struct gs_goal_child *child)
{
    return gs_share_part(shares, child) * GS_WEIGHT_FULL % shares->whole;
}

/* Who gets a hundredth more: a larger remainder first, then the lower position, then the lower id. Child i's place in
 * that order as numbers, each the larger the earlier; its index parts those that have no ids. */
enum { PLACE_PARTS = 4 };

static int64_t place_part(const struct gs_shares *shares, const struct gs_goal_child *children, size_t i, int part)
{
    if (part == 0)
        return rest_of(shares, &children[i]);
    if (part == 1)
        return -(int64_t)children[i].position;
    return part == 2 ? -children[i].goal->id : -(int64_t)i;
}

/* Children whose place is that of `limit` in its first `equal` parts, and at least `least` in the next one. */
static size_t count_from(const struct gs_goal_child *children, size_t n, const struct gs_shares *shares,
                         const int64_t *limit, int equal, int64_t least)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        bool same = true;
        for (int part = 0; part < equal && same; part++)
            same = place_part(shares, children, i, part) == limit[part];
        count += same && place_part(shares, children, i, equal) >= least;
    }
    return count;
}

/* The place of the child that is number `wanted` in the order, found part by part by halving: children are not sorted,
 * because there may be many, and these functions own no memory. */
static void find_place(const struct gs_goal_child *children, size_t n, const struct gs_shares *shares, size_t wanted,
                       int64_t limit[PLACE_PARTS])
{
    for (int part = 0; part < PLACE_PARTS; part++) {
        gs_i128 low = part == 0 ? 0 : -INT64_MAX, high = part == 0 ? shares->whole : INT64_MAX;
        while (low < high) { /* the largest value that `wanted` children reach */
            gs_i128 middle = low + (high - low + 1) / 2;
            if (count_from(children, n, shares, limit, part, (int64_t)middle) >= wanted)
                low = middle;
            else
                high = middle - 1;
        }
        limit[part] = (int64_t)low;
        if (low < INT64_MAX)
            wanted -= count_from(children, n, shares, limit, part, (int64_t)low + 1);
    }
}

static bool is_placed(const struct gs_shares *shares, const struct gs_goal_child *children, size_t i,
                      const int64_t *limit)
{
    for (int part = 0; part < PLACE_PARTS; part++) {
        int64_t own = place_part(shares, children, i, part);
        if (own != limit[part])
            return own > limit[part];
    }
    return true;
}

void gs_shares_show(const struct gs_goal_child *children, size_t n, int32_t *ret_hundredths)
{
    struct gs_shares shares = gs_shares_of(children, n);
    int32_t left = shares.whole > 0 ? GS_WEIGHT_FULL : 0;
    int64_t limit[PLACE_PARTS];

    for (size_t i = 0; i < n; i++) {
        int64_t part = gs_share_part(&shares, &children[i]);
        ret_hundredths[i] = shares.whole > 0 ? (int32_t)(part * GS_WEIGHT_FULL / shares.whole) : 0;
        left -= ret_hundredths[i];
    }
    if (left == 0)
        return;
    /* What rounding down left over is less than the number of children with a remainder. */
    find_place(children, n, &shares, (size_t)left, limit);
    for (size_t i = 0; i < n; i++)
        ret_hundredths[i] += is_placed(&shares, children, i, limit);
}

enum gs_rc gs_weight_parse(const char *s, size_t len, int32_t *ret, struct gs_err *err)
{
    struct gs_dec percent;
    const gs_i128 hundredth = GS_DEC_ONE / 100;
    enum gs_rc rc = gs_dec_parse(s, len, &percent, err);

    if (rc != GS_OK)
        return rc;
    if (percent.u < 0 || percent.u > GS_PERCENT_FULL)
        return gs_fail(err, GS_REJECT, "a weight is between 0 and 100 percent");
    if (percent.u % hundredth != 0)
        return gs_fail(err, GS_REJECT, "a weight has at most 2 decimals of a percent");
    *ret = (int32_t)(percent.u / hundredth);
    return GS_OK;
}

enum gs_rc gs_weights_validate(const struct gs_goal_child *children, size_t n, struct gs_err *err)
{
    int64_t sum = 0;

    if (n > GS_GOAL_CHILDREN_MAX)
        return gs_fail(err, GS_REJECT, "%zu children are more than the limit of %d", n, GS_GOAL_CHILDREN_MAX);
    for (size_t i = 0; i < n; i++) {
        int32_t weight = children[i].weight;
        if (weight != GS_WEIGHT_FREE && (weight < 0 || weight > GS_WEIGHT_FULL))
            return gs_fail(err, GS_REJECT, "a weight of %d hundredths is not between 0 and 100 percent", weight);
        if (weight != GS_WEIGHT_FREE && children[i].contributes)
            sum += weight;
    }
    if (sum > GS_WEIGHT_FULL)
        return gs_fail(err, GS_REJECT, "the fixed weights add up to %lld.%02lld percent, which is above 100",
                       (long long)(sum / 100), (long long)(sum % 100));
    return GS_OK;
}

bool gs_align_contributes(enum gs_goal_kind child, const struct gs_align_rules *rules)
{
    if (child == GS_OBJECTIVE && rules->objectives_blocked)
        return false;
    if (child == GS_PROJECT && !rules->projects_contribute)
        return false;
    return rules->newly_aligned_contribute;
}
