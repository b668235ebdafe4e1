// Scores, their colours and the hint that a target was too easy.
#include "common/goals/private.h"
#include "common/goals/score.h"

#include <assert.h>

/* sum / divisor, halves up; both are never negative here. */
static struct gs_dec divided(gs_u128 sum, gs_u128 divisor)
{
    gs_u128 m = 0;
    bool fits = gs_u128_mul_div(sum, 1, divisor, &m);

    assert(fits);
    return (struct gs_dec){(gs_i128)m};
}

struct gs_dec gs_score_suggested(const struct gs_goal *goal)
{
    return divided(goal->has_value ? (gs_u128)gs_percent_clamp(goal->progress).u : 0, 100);
}

bool gs_score_objective(const struct gs_score_child *children, size_t n, struct gs_dec *ret)
{
    gs_u128 sum = 0;
    size_t counted = 0;

    assert(n <= GS_GOAL_CHILDREN_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct gs_goal *goal = children[i].goal;
        if (goal->kind != GS_KEY_RESULT || goal->metric == GS_BASELINE || goal->status == GS_POSTPONED)
            continue;
        if (!children[i].scored)
            return false;
        sum += goal->has_value ? (gs_u128)gs_percent_clamp(goal->progress).u : 0;
        counted++;
    }
    if (counted == 0)
        return false;
    *ret = divided(sum, (gs_u128)counted * 100);
    return true;
}

struct gs_score_ranges gs_score_ranges_default(void)
{
    return (struct gs_score_ranges){.green_from = {GS_DEC_ONE / 10 * 7}, .amber_from = {GS_DEC_ONE / 10 * 4}};
}

enum gs_rc gs_score_ranges_validate(const struct gs_score_ranges *ranges, struct gs_err *err)
{
    if (ranges->amber_from.u <= 0 || ranges->amber_from.u >= ranges->green_from.u || ranges->green_from.u > GS_DEC_ONE)
        return gs_fail(err, GS_REJECT, "the score ranges must be 0 < amber < green <= 1");
    return GS_OK;
}

enum gs_score_colour gs_score_colour(struct gs_dec score, const struct gs_score_ranges *ranges)
{
    if (score.u >= ranges->green_from.u)
        return GS_GREEN;
    return score.u >= ranges->amber_from.u ? GS_AMBER : GS_RED;
}

const char *gs_score_colour_name(enum gs_score_colour colour)
{
    static const char *const names[] = {"red", "amber", "green"};

    assert((size_t)colour < sizeof names / sizeof *names);
    return names[colour];
}

bool gs_score_too_easy(struct gs_dec score, bool aspirational)
{
    return aspirational && score.u >= GS_DEC_ONE;
}
