/* The scheduler's parts and how they are wired. */
#ifndef SCHED_SCHEDULER_H
#define SCHED_SCHEDULER_H

#include "common/service.h"

#include <stdint.h>

#define SCHED_BATCH_MAX 5000 /* well below the producer's queue */

struct sched_conf {
    int64_t period_us, batch;
};

struct sched;

struct sched *sched_new(struct gs_service *svc, const struct sched_conf *conf, struct gs_err *err);
void sched_ready(struct sched *s, struct gs_buf *reasons);
void sched_drain(struct sched *s); /* ends the transactions under way, then reports the service drained */
struct sched *sched_free(struct sched *s);

#endif
