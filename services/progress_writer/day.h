/* The day pass: at an organisation's midnight statuses derive anew, because the expected progress has moved; likewise
 * at once when its limits change, which sets its day back and tells goalsync_day. */
#ifndef WRITER_DAY_H
#define WRITER_DAY_H

#include "common/pg.h"

#include <stdbool.h>

struct writer_day;

/* may_run: whether this process is the one of the fleet that does it (two at once would do no harm, only work twice).
 * published: a transaction left events in the outbox. */
struct writer_day_spec {
    bool (*may_run)(void *arg);
    void (*published)(void *arg);
    void *arg;
};

struct writer_day *writer_day_new(uv_loop_t *loop, const struct writer_day_spec *spec);
void writer_day_connect(struct writer_day *d, struct gs_pg *pg); /* once, before anything else */
struct writer_day *writer_day_free(struct writer_day *d);        /* after its connection */
void writer_day_stop(struct writer_day *d);                      /* before it */
void writer_day_state(struct writer_day *d, bool up);            /* of its connection */
void writer_day_kick(struct writer_day *d);                      /* told of a change */

#endif
