/* Scores at the end of a period: 0 to 1. */
#ifndef GS_SCORE_H
#define GS_SCORE_H

#include "common/goals/goal.h"

struct gs_score_ranges {
    struct gs_dec green_from; /* 0.7 */
    struct gs_dec amber_from; /* 0.4; below it red */
};

enum gs_score_colour { GS_RED, GS_AMBER, GS_GREEN };

struct gs_score_child {
    const struct gs_goal *goal;
    bool scored;
};

/* Shown progress / 100; a suggestion. */
struct gs_dec gs_score_suggested(const struct gs_goal *goal);
/* The plain mean of the completion of the key results, once each that is neither postponed nor a baseline is scored.
 * False: not yet, or there is no such key result. n <= GS_GOAL_CHILDREN_MAX. */
bool gs_score_objective(const struct gs_score_child *children, size_t n, struct gs_dec *ret) GS_MUST_CHECK;

struct gs_score_ranges gs_score_ranges_default(void);
/* 0 < amber < green <= 1, else GS_REJECT. */
enum gs_rc gs_score_ranges_validate(const struct gs_score_ranges *ranges, struct gs_err *err) GS_MUST_CHECK;
enum gs_score_colour gs_score_colour(struct gs_dec score, const struct gs_score_ranges *ranges);
const char *gs_score_colour_name(enum gs_score_colour colour);
/* An aspirational goal at 1.0: its target may have been too easy. */
bool gs_score_too_easy(struct gs_dec score, bool aspirational);

#endif
