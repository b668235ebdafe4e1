/* Sync now: people do not wait for a slot, nor behind the hourly lane, so this has a connection of its own. */
#ifndef SCHED_SYNC_NOW_H
#define SCHED_SYNC_NOW_H

#include "common/kafka.h"
#include "services/scheduler/scheduler.h"

#include <stdbool.h>

struct sched_sync;

struct sched_sync *sched_sync_new(uv_loop_t *loop, const struct sched_conf *conf, struct gs_producer *producer,
                                  struct gs_err *err);
bool sched_sync_up(const struct sched_sync *s);
void sched_sync_drain(struct sched_sync *s, void (*idle)(void *arg), void *arg);
struct sched_sync *sched_sync_free(struct sched_sync *s);

#endif
