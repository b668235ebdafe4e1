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
bool writer_assign_settled(const struct writer_assign *s); /* no assignment waits for the database */

#endif
