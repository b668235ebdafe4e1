/* What operations on links share. */
#ifndef GATEWAY_LINK_H
#define GATEWAY_LINK_H

#include "services/gateway/call.h"

/* A link with its goal, connection and batch, locked; columns as in link.c. */
struct gw_link {
    PGresult *r; /* borrowed by the rest; gw_link_done() clears */
    const char *id, *public_id, *goal, *connection, *batch, *settings;
    const char *metric, *status; /* of the goal */
    const char *paused;          /* why it is not asked: the link's own reason, or a closed gate's; "" */
    bool active, pushed;
};
static inline void gw_link_done(struct gw_link *l)
{
    PQclear(l->r);
    l->r = NULL;
}
#define GW_AUTO_LINK GS_AUTO(gw_link_done) struct gw_link

/* The link of the path, for somebody who may check in on its goal: locks the goal, then the link. 0, or a status. */
int gw_link_open(struct gw_call *c, struct gw_link *ret) GS_MUST_CHECK;
/* 0, or 409: its goal has this status, and that is closed or postponed. */
int gw_link_need_live(struct gw_call *c, const char *status) GS_MUST_CHECK;

/* Once a link was switched on: 0, or 409 when more are asked together with it than can be. */
int gw_link_need_room(struct gw_call *c, const char *id) GS_MUST_CHECK;
/* Asks for its number at once; id: internal. False: failed, see gw_status(). */
bool gw_link_ask(struct gw_call *c, const char *id) GS_MUST_CHECK;
/* The transaction sees links of private goals too, whoever calls: for counting what shares a request. */
bool gw_link_see_all(struct gw_call *c, bool all) GS_MUST_CHECK;

#endif
