/* Tokens of budgets in a worker: taken from Redis ahead of their use, a handful at a time, and kept for a moment.
 *
 * One purse for each (connector, kind of exchanges, whose budget). All workers take from the same books in Redis, where
 * the time is Redis's; what is not used goes back. Who finds an empty purse waits in it, served in turns by
 * organisation, or is told when to come back. While Redis is away each worker keeps to a small share of every budget.
 */
#ifndef FETCH_PURSE_H
#define FETCH_PURSE_H

#include "common/metrics.h"
#include "common/redis.h"
#include "services/fetch/budget.h"
#include "services/fetch/catalogue.h"
#include "services/fetch/queue.h"

struct fetch_purse;
struct fetch_purses;

struct fetch_purses_spec {
    uv_loop_t *loop;
    struct gs_redis *redis; /* borrowed */
    int alone_percent;      /* of each budget, while Redis is away */
    /* Who waited may go (retry_at_us 0), or has to come back at that time. The turn has left the queue. */
    void (*called)(struct fetch_turn *t, int64_t retry_at_us);
    int64_t (*deadline)(const struct fetch_turn *t); /* monotonic; until then it can wait */
};

struct fetch_purses *fetch_purses_new(const struct fetch_purses_spec *spec);
/* After Redis's client is gone, and nobody waits any more. */
struct fetch_purses *fetch_purses_free(struct fetch_purses *ps);

/* The purse of an exchange of this connector; null: nothing counts it. connection, account: texts for the Redis keys.
 */
struct fetch_purse *fetch_purses_find(struct fetch_purses *ps, const struct fetch_entry *e, const char *budget,
                                      const char *connection, const char *account);
/* True: one token is spent. False: take your turn, or go away. */
bool fetch_purse_spend(struct fetch_purse *p);
/* Waits until called; false: there will be none in time, come back at *ret_retry_at_us (wall clock). */
bool fetch_purse_wait(struct fetch_purse *p, struct fetch_turn *t, int64_t org_id, int64_t *ret_retry_at_us);
void fetch_purse_leave(struct fetch_purse *p, struct fetch_turn *t); /* without being called */
void fetch_purse_refund(struct fetch_purse *p); /* a token that was spent just now, and is not used after all */
/* So many wait in each of the connector's purses at the most; the others are sent away. */
void fetch_purses_thin(struct fetch_purses *ps, const struct fetch_entry *e, size_t most);
const char *fetch_purse_name(const struct fetch_purse *p); /* of its budget; "" when it has none */

#endif
