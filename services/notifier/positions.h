/* Which partitions this process holds, and by which epoch: kept in the database, where each assignment raises it. A
 * batch moves its partitions only as long as they have the epoch its messages were taken under, so whoever lost a
 * partition without noticing changes nothing. */
#ifndef NOTIFIER_POSITIONS_H
#define NOTIFIER_POSITIONS_H

#include "common/kafka.h"
#include "common/pg.h"
#include "services/notifier/wire.h"

struct notifier_positions;

/* seek: read again from there; a partition that somebody else took over came back. */
struct notifier_positions *
notifier_positions_new(uv_loop_t *loop, struct gs_pg *pg,
                       void (*seek)(void *arg, const char *topic, int32_t partition, int64_t next), void *arg);
void notifier_positions_stop(struct notifier_positions *s); /* before its connection is freed */
struct notifier_positions *notifier_positions_free(struct notifier_positions *s);

/* Raises the epochs and reads where each goes on; tries until the database answers, then gs_assignment_done(). */
void notifier_positions_assign(struct notifier_positions *s, struct gs_assignment *a);
void notifier_positions_revoke(struct notifier_positions *s, enum notifier_topic topic, int32_t partition);
/* Somebody else took it over, and Kafka has not said so: asked for again once Kafka had time to. */
void notifier_positions_fenced(struct notifier_positions *s, enum notifier_topic topic, int32_t partition);
/* 0: not held. */
int64_t notifier_positions_epoch(const struct notifier_positions *s, enum notifier_topic topic, int32_t partition);
bool notifier_positions_settled(const struct notifier_positions *s); /* no assignment is being asked for */

#endif
