// Plans the postponement of a subtree: which goals go along, what their copies start with, which refuse.
#include "common/goals/private.h"
#include "common/goals/postpone.h"

#include <stdio.h>
#include <string.h>

#define NAMED_IN_ERROR 10

/* ---- Who goes along */

/* Closed ones stay behind, with what hangs below them only. */
static void spread(struct gs_postpone *plan)
{
    bool again = true;

    plan->goals[0].fate = GS_COPIED;
    while (again) {
        again = false;
        for (size_t i = 0; i < plan->n_edges; i++) {
            struct gs_postpone_edge *edge = &plan->edges[i];
            struct gs_postpone_goal *child = &plan->goals[edge->child];
            if (edge->copied || plan->goals[edge->parent].fate == GS_LEFT || child->goal->status == GS_CLOSED)
                continue;
            edge->copied = true;
            child->fate = GS_COPIED;
            again = true;
        }
    }
}

/* ---- What a copy starts with */

static bool is_numeric_roll_up(const struct gs_goal *goal)
{
    return goal->mode == GS_ROLL_UP && goal->kind != GS_PROJECT && gs_goal_is_numeric(goal);
}

/* The sum of its copied children's starts. False: beyond 20 digits. */
static bool start_of_children(const struct gs_postpone *plan, size_t parent, struct gs_dec *ret)
{
    struct gs_sum sum = {0};

    for (size_t i = 0; i < plan->n_edges; i++) {
        const struct gs_postpone_edge *edge = &plan->edges[i];
        const struct gs_goal *copy = &plan->goals[edge->child].copy;
        if (edge->parent == parent && edge->copied && edge->contributes && gs_adds_to(copy, plan->goals[parent].goal))
            gs_sum_add(&sum, gs_goal_start(copy));
    }
    return gs_sum_get(&sum, ret);
}

static bool new_start(const struct gs_postpone *plan, size_t i, struct gs_dec *ret)
{
    const struct gs_goal *goal = plan->goals[i].goal;

    if (!plan->keep_progress && is_numeric_roll_up(goal))
        return start_of_children(plan, i, ret);
    *ret = !plan->keep_progress && goal->has_value ? goal->applied_value : gs_goal_start(goal);
    return true;
}

/* Start and target of a regular metric's copy. False: nothing is left to go. */
static bool set_course(const struct gs_postpone_goal *planned, struct gs_dec start, struct gs_goal *copy)
{
    const struct gs_goal *goal = planned->goal;
    bool up = goal->target.u > gs_goal_start(goal).u;

    if (planned->has_new_target)
        copy->target = planned->new_target;
    if (goal->metric == GS_REACH && start.u == 0)
        return copy->target.u != 0; /* a reach at 0 stays one */
    copy->has_start = true;
    copy->start = start;
    if (goal->metric == GS_REACH)
        copy->metric = up ? GS_INCREASE : GS_DECREASE;
    return up ? start.u < copy->target.u : start.u > copy->target.u;
}

/* Before the copy the children's copies must be there: their starts may be summed. */
static void make_copy(struct gs_postpone *plan, size_t i, const struct gs_goal_rules *rules)
{
    struct gs_postpone_goal *planned = &plan->goals[i];
    struct gs_goal *copy = &planned->copy;
    bool of_tasks = planned->goal->kind == GS_PROJECT && planned->goal->mode == GS_ROLL_UP;
    struct gs_dec start = {0};

    *copy = *planned->goal;
    copy->id = 0;
    copy->override = GS_NOT_OVERRIDDEN;
    copy->status = GS_NOT_STARTED;
    copy->status_by_hand = false;
    copy->start_day = plan->start_day;
    copy->end_day = plan->end_day;
    copy->tasks_all -= copy->tasks_done;
    copy->tasks_done = 0;
    copy->has_applied = plan->keep_progress && copy->has_applied && !of_tasks;
    copy->has_auto = copy->has_applied && copy->mode != GS_MANUAL;
    copy->auto_value = copy->applied_value;
    if (gs_metric_is_regular(copy->metric) && !(new_start(plan, i, &start) && set_course(planned, start, copy)))
        planned->fate = GS_REFUSED;
    (void)gs_goal_derive(copy, rules);
}

static void count_pending(struct gs_postpone *plan)
{
    for (size_t i = 0; i < plan->n_edges; i++)
        if (plan->edges[i].copied)
            plan->goals[plan->edges[i].parent].pending++;
}

static void make_one(struct gs_postpone *plan, size_t i, const struct gs_goal_rules *rules)
{
    make_copy(plan, i, rules);
    plan->goals[i].made = true;
    for (size_t k = 0; k < plan->n_edges; k++)
        if (plan->edges[k].copied && plan->edges[k].child == i)
            plan->goals[plan->edges[k].parent].pending--;
}

/* Children first. False: the alignments form a circle. */
static bool make_copies(struct gs_postpone *plan, const struct gs_goal_rules *rules)
{
    bool again = true;
    size_t left = 0;

    count_pending(plan);
    while (again) {
        again = false;
        left = 0;
        for (size_t i = 0; i < plan->n_goals; i++) {
            struct gs_postpone_goal *planned = &plan->goals[i];
            if (planned->fate == GS_LEFT || planned->made)
                continue;
            if (planned->pending > 0) {
                left++;
                continue;
            }
            make_one(plan, i, rules);
            again = true;
        }
    }
    return left == 0;
}

/* ---- The answer */

static enum gs_rc refuse(const struct gs_postpone *plan, size_t n_refused, struct gs_err *err)
{
    char ids[NAMED_IN_ERROR * 24] = "";
    size_t len = 0, named = 0;

    for (size_t i = 0; i < plan->n_goals && named < NAMED_IN_ERROR; i++)
        if (plan->goals[i].fate == GS_REFUSED)
            len += (size_t)snprintf(ids + len, sizeof ids - len, "%s%lld", named++ ? ", " : "",
                                    (long long)plan->goals[i].goal->id);
    return gs_fail(err, GS_REJECT, "goals at or past their target need a new one (%zu in all): %s%s", n_refused, ids,
                   n_refused > named ? ", ..." : "");
}

static enum gs_rc validate(const struct gs_postpone *plan, struct gs_err *err)
{
    if (plan->n_goals == 0 || plan->n_goals > GS_POSTPONE_MAX || plan->n_edges > GS_POSTPONE_MAX)
        return gs_fail(err, GS_REJECT, "%zu goals with %zu alignments cannot be postponed at once (1 to %d)",
                       plan->n_goals, plan->n_edges, GS_POSTPONE_MAX);
    if (plan->start_day > plan->end_day)
        return gs_fail(err, GS_REJECT, "the new period ends before it starts");
    if (gs_goal_is_frozen(plan->goals[0].goal) || plan->goals[0].goal->status == GS_CLOSED)
        return gs_fail(err, GS_REJECT, "the goal is %s already; reopen it first",
                       gs_goal_status_name(plan->goals[0].goal->status));
    for (size_t i = 0; i < plan->n_edges; i++)
        if (plan->edges[i].parent >= plan->n_goals || plan->edges[i].child >= plan->n_goals)
            return gs_fail(err, GS_REJECT, "an alignment names a goal outside the plan");
    return GS_OK;
}

static void forget_answers(struct gs_postpone *plan)
{
    for (size_t i = 0; i < plan->n_goals; i++) {
        plan->goals[i].fate = GS_LEFT;
        plan->goals[i].named = plan->goals[i].made = false;
        plan->goals[i].pending = 0;
        memset(&plan->goals[i].copy, 0, sizeof plan->goals[i].copy);
    }
    for (size_t i = 0; i < plan->n_edges; i++)
        plan->edges[i].copied = false;
}

enum gs_rc gs_postpone_plan(struct gs_postpone *plan, const struct gs_goal_rules *rules, struct gs_err *err)
{
    size_t n_refused = 0;
    enum gs_rc rc = validate(plan, err);

    if (rc != GS_OK)
        return rc;
    forget_answers(plan);
    spread(plan);
    if (!make_copies(plan, rules))
        return gs_fail(err, GS_REJECT, "the alignments form a circle");
    for (size_t i = 0; i < plan->n_goals; i++) {
        struct gs_postpone_goal *planned = &plan->goals[i];
        planned->named = planned->fate != GS_LEFT && i > 0 && planned->other_parents;
        n_refused += planned->fate == GS_REFUSED;
    }
    return n_refused > 0 ? refuse(plan, n_refused, err) : GS_OK;
}
