/* How many requests a caller may send: a bucket for each token, session and address, in this process's memory. */
#ifndef GATEWAY_LIMIT_H
#define GATEWAY_LIMIT_H

#include "services/gateway/call.h"

/* Once, before any other thread. */
void gw_limit_start(void);
/* Takes one from the caller's bucket; false: it is empty. What is left goes into the answer. Any thread. */
bool gw_limit_take(struct gw_call *c) GS_MUST_CHECK;
/* The caller turned out to be somebody: from now on by its own bucket. */
void gw_limit_known(struct gw_call *c);

#endif
