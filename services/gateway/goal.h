/* What operations on goals share: who may do what, and what follows from a change. */
#ifndef GATEWAY_GOAL_H
#define GATEWAY_GOAL_H

#include "common/goals/goal.h"
#include "services/gateway/call.h"

enum gw_right {
    GW_SEE,      /* any member, but for private goals */
    GW_CHECK_IN, /* editors and the check-in owner: also links, weights */
    GW_EDIT,     /* owners, creator, delegate, team owners, owners of a parent, managers of owners, org admins (public
                    goals) */
    GW_OWN,      /* EDIT without the delegate: change of owners */
};
/* Locks the goal's row (FOR NO KEY UPDATE) unless right is GW_SEE, and gives 0, or the status of a refusal. goal:
 * internal id. */
int gw_goal_need(struct gw_call *c, const char *goal, enum gw_right right) GS_MUST_CHECK;

/* A person's change of goals, all at once: each goal itself, then everything above, in this transaction, with feed and
 * events. Null change: only derived again (edited metric, edges, tasks). 0, or a status. */
struct gw_change {
    const struct gs_check_in *check_in;
    bool resume;
    bool edited; /* the definition was changed in this transaction */
};
int gw_goal_recompute(struct gw_call *c, const char *const *goals, size_t n,
                      const struct gw_change *change) GS_MUST_CHECK;

/* The goal as the API shows it: SQL for one JSON value over the alias g of table goal. */
extern const char gw_goal_json[];

#endif
