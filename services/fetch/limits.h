/* Limits that sources have named: until when nothing is asked of an account, or of one of its budgets. What one worker
 * hears reaches the others within a second, through a stream in Redis that each reads as it grows. */
#ifndef FETCH_LIMITS_H
#define FETCH_LIMITS_H

#include "common/metrics.h"
#include "common/redis.h"
#include "common/vault.h"
#include "services/fetch/catalogue.h"

#define FETCH_LIMITS_MAX 65536 /* in memory; beyond that the source says it again to whoever asks */

struct fetch_limits;

struct fetch_limits *fetch_limits_new(uv_loop_t *loop, struct gs_redis *redis, enum gs_category category);
struct fetch_limits *fetch_limits_free(struct fetch_limits *ls); /* after Redis's client */

/* Until when (wall clock) and why exchanges of this budget (null: of those without a name) wait; 0: they need not. */
int64_t fetch_limits_until(struct fetch_limits *ls, const struct fetch_entry *e, const char *account,
                           const char *budget, const char **ret_why);
/* budget: null: all of the account's. */
void fetch_limits_add(struct fetch_limits *ls, const struct fetch_entry *e, const char *account, const char *budget,
                      int64_t until_us, const char *why);

#endif
