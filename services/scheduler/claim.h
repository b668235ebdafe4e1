/* The hourly lane: claims what is due, batch after batch, and sleeps until the next is. */
#ifndef SCHED_CLAIM_H
#define SCHED_CLAIM_H

#include "common/kafka.h"
#include "services/scheduler/scheduler.h"

#include <stdbool.h>

struct sched_claim;

/* idle is called when a drain asked for has ended what was under way. */
struct sched_claim *sched_claim_new(uv_loop_t *loop, const struct sched_conf *conf, struct gs_producer *producer,
                                    struct gs_err *err);
bool sched_claim_up(const struct sched_claim *c);
const char *sched_claim_error(const struct sched_claim *c);
void sched_claim_drain(struct sched_claim *c, void (*idle)(void *arg), void *arg);
struct sched_claim *sched_claim_free(struct sched_claim *c);

#endif
