/* The outbox relay: publishes what transactions left there, in order, then deletes it.
 *
 * One relay of the fleet is active: it holds an advisory lock as long as its session lives. An event is published at
 * least once; whoever takes over begins at the oldest row that is still there. */
#ifndef WRITER_RELAY_H
#define WRITER_RELAY_H

#include "common/kafka.h"
#include "common/pg.h"

struct writer_relay;

struct writer_relay *writer_relay_new(uv_loop_t *loop, struct gs_producer *producer);
void writer_relay_connect(struct writer_relay *r, struct gs_pg *pg); /* once, before anything else */
struct writer_relay *writer_relay_free(struct writer_relay *r);      /* after its connection and the producer */
void writer_relay_stop(struct writer_relay *r);                      /* before those */
void writer_relay_state(struct writer_relay *r, bool up);            /* of its connection */
void writer_relay_kick(struct writer_relay *r);                      /* there may be rows */
bool writer_relay_active(const struct writer_relay *r);

#endif
