/* New partitions: asks the database where they go on, raising their epochs, then starts them there. */
#ifndef WRITER_ASSIGN_H
#define WRITER_ASSIGN_H

#include "common/kafka.h"
#include "common/pg.h"
#include "services/progress_writer/positions.h"

struct writer_assign;

struct writer_assign *writer_assign_new(uv_loop_t *loop, struct gs_pg *pg, struct writer_positions *positions,
                                        const char *group);
void writer_assign_stop(struct writer_assign *s);                  /* before the connection is freed */
struct writer_assign *writer_assign_free(struct writer_assign *s); /* after */
void writer_assign_ask(struct writer_assign *s, struct gs_assignment *a);
/* Partitions may have been taken over while Kafka lets us read them: a row restored or deleted, a question that came
 * late. Those that are not revoked after a while are asked for again, and seek() goes on reading where that says. */
void writer_assign_fenced(struct writer_assign *s, void (*seek)(void *arg, int32_t partition, int64_t next), void *arg);
bool writer_assign_settled(const struct writer_assign *s); /* no assignment waits for the database */

#endif
