/* Plans the postponement of an objective with its whole subtree; stores nothing. */
#ifndef GS_POSTPONE_H
#define GS_POSTPONE_H

#include "common/goals/goal.h"

#define GS_POSTPONE_MAX 10000 /* goals, and edges, in one plan */

enum gs_postpone_fate {
    GS_LEFT,    /* closed, or only below closed goals: neither copied nor marked */
    GS_COPIED,  /* mark goal Postponed (gs_goal_close) and store copy */
    GS_REFUSED, /* at or past its target: needs a new one */
};

struct gs_postpone_goal {
    const struct gs_goal *goal;
    bool other_parents;  /* it has parents outside this plan */
    bool has_new_target; /* for reach, increase and decrease */
    struct gs_dec new_target;
    /* answers */
    enum gs_postpone_fate fate;
    bool named;          /* postponed although other parents hold it too: the dialog names it */
    struct gs_goal copy; /* valid when copied; its id is 0, its unit borrowed from goal */
    /* work of the planner */
    size_t pending;
    bool made;
};

struct gs_postpone_edge {
    size_t parent, child; /* indexes into goals */
    int32_t weight;
    bool contributes;
    int32_t position;
    bool copied; /* answer: the copies are aligned likewise, weight and all */
};

struct gs_postpone {
    struct gs_postpone_goal *goals; /* goals[0] is the root; its copy has no parent */
    size_t n_goals;
    struct gs_postpone_edge *edges; /* all edges between these goals, in any order, no circle */
    size_t n_edges;
    int32_t start_day, end_day; /* of the new period */
    bool keep_progress;         /* value and start stay */
};

/* Fills the answers. GS_REJECT: goals at or past their target (fate GS_REFUSED, count and first ids in err); then
 * nothing may be stored. Copies have no override, links are copied switched off, a project's copy has its unfinished
 * tasks only. With keep_progress roll up the copies, children first, after storing them. */
enum gs_rc gs_postpone_plan(struct gs_postpone *plan, const struct gs_goal_rules *rules,
                            struct gs_err *err) GS_MUST_CHECK;

#endif
