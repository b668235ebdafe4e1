/* Tells the world what a person did to a goal: an event on topic goal.noted, by the outbox, in the call's transaction.
 */
#ifndef GATEWAY_NOTE_H
#define GATEWAY_NOTE_H

#include "services/gateway/call.h"

enum gw_note {
    GW_GOAL_CREATED,
    GW_GOAL_EDITED,
    GW_GOAL_CLOSED,
    GW_GOAL_POSTPONED,
    GW_GOAL_REOPENED,
    GW_GOAL_DELETED,
    GW_GOAL_CHECKED_IN, /* thing: the check-in's internal id */
    GW_GOAL_COMMENTED,  /* thing: the comment's */
};
/* goal, thing: internal ids; thing may be null. The goal's row must be there: a deletion is noted before it is done. Of
 * a goal that the caller does not see (any more) nothing is told. False: failed, see gw_status(). */
bool gw_note(struct gw_call *c, enum gw_note what, const char *goal, const char *thing) GS_MUST_CHECK;

#endif
