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

static bool is_earlier(const struct gs_goal_child *a, const struct gs_goal_child *b)
{
    return a->position != b->position ? a->position < b->position : a->goal->id < b->goal->id;
}

/* Among the children still at their rounded-down share, the one with the largest remainder; ties: the earlier child. */
static size_t next_to_round_up(const struct gs_goal_child *children, size_t n, const struct gs_shares *shares,
                               const int32_t *shown)
{
    int64_t best_rest = -1;
    size_t best = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t part = gs_share_part(shares, &children[i]);
        int64_t rest = part * GS_WEIGHT_FULL % shares->whole;
        if (rest == 0 || shown[i] != part * GS_WEIGHT_FULL / shares->whole)
            continue;
        if (rest > best_rest || (rest == best_rest && is_earlier(&children[i], &children[best]))) {
            best_rest = rest;
            best = i;
        }
    }
    return best;
}

void gs_shares_show(const struct gs_goal_child *children, size_t n, int32_t *ret_hundredths)
{
    struct gs_shares shares = gs_shares_of(children, n);
    int32_t left = shares.whole > 0 ? GS_WEIGHT_FULL : 0;

    for (size_t i = 0; i < n; i++) {
        int64_t part = gs_share_part(&shares, &children[i]);
        ret_hundredths[i] = shares.whole > 0 ? (int32_t)(part * GS_WEIGHT_FULL / shares.whole) : 0;
        left -= ret_hundredths[i];
    }
    /* What rounding down left over is less than the number of children with a remainder. */
    for (; left > 0; left--)
        ret_hundredths[next_to_round_up(children, n, &shares, ret_hundredths)]++;
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

void gs_weights_reset(struct gs_goal_child *children, size_t n)
{
    for (size_t i = 0; i < n; i++)
        children[i].weight = GS_WEIGHT_FREE;
}

bool gs_align_contributes(enum gs_goal_kind child, const struct gs_align_rules *rules)
{
    if (child == GS_OBJECTIVE && rules->objectives_blocked)
        return false;
    if (child == GS_PROJECT && !rules->projects_contribute)
        return false;
    return rules->newly_aligned_contribute;
}
