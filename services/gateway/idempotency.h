/* A POST that may be sent again: the answer to the first is kept for a day under the caller's Idempotency-Key, and is
 * the answer to the others. Kept in the transaction of its effect, so there is never one without the other. */
#ifndef GATEWAY_IDEMPOTENCY_H
#define GATEWAY_IDEMPOTENCY_H

#include "services/gateway/call.h"

/* Runs the operation, or answers as it was answered. Without a key it only runs it. */
int gw_idempotent(struct gw_call *c, int (*run)(struct gw_call *c));
/* Of a call that was answered later: now it is. On a worker thread. */
void gw_idempotent_later(struct gw_call *c);

#endif
