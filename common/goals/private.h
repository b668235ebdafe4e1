/* What the files of this folder share. */
#ifndef GS_GOALS_PRIVATE_H
#define GS_GOALS_PRIVATE_H

#include "common/goals/goal.h"

#define GS_PERCENT_FULL (100 * GS_DEC_ONE)

/* Sum of decimals in two parts that cannot overflow, so that only the result decides whether it fits. */
struct gs_sum {
    gs_i128 whole, fraction;
};

void gs_sum_add(struct gs_sum *sum, struct gs_dec d);
bool gs_sum_get(const struct gs_sum *sum, struct gs_dec *ret) GS_MUST_CHECK; /* false: beyond 20 digits */

bool gs_unit_same(const struct gs_goal *a, const struct gs_goal *b);
/* A value of this child is added up in a numeric parent of the same unit. */
bool gs_adds_to(const struct gs_goal *child, const struct gs_goal *parent);

bool gs_status_ends(enum gs_goal_status status); /* Closed or Postponed */
/* May stand on a goal of this metric. */
bool gs_status_fits(enum gs_goal_metric metric, enum gs_goal_status status);

unsigned gs_goal_changes(const struct gs_goal *before, const struct gs_goal *after);
/* has_value and both progresses from applied_value. */
void gs_goal_refresh(struct gs_goal *goal);
/* The automatic part of the rules: null is "no value". Says nothing about progress and status. */
void gs_goal_move_auto(struct gs_goal *goal, const struct gs_dec *value);

#endif
