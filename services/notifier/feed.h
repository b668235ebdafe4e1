/* From Kafka to rows of webhook_delivery: each batch of messages is one statement, which moves the stored offsets and
 * makes the deliveries together. What cannot be read goes to the dead letters, and only then does its offset count. */
#ifndef NOTIFIER_FEED_H
#define NOTIFIER_FEED_H

#include "common/buf.h"
#include "common/kafka.h"
#include "common/pg.h"

struct notifier_feed;

struct notifier_feed_spec {
    const char *client_id;
    void (*told)(void *arg);                             /* there are new deliveries */
    void (*failed)(void *arg, const struct gs_err *err); /* cannot go on */
    void (*drained)(void *arg);                          /* after notifier_feed_drain(): has left its group */
    void *arg;
};

/* Connections and producer are the owner's, and outlive the feed's stop. */
struct notifier_feed *notifier_feed_new(uv_loop_t *loop, struct gs_pg *pg, struct gs_producer *producer,
                                        const struct notifier_feed_spec *spec, struct gs_err *err);
void notifier_feed_state(struct notifier_feed *f, bool up); /* of its connection */
void notifier_feed_ready(const struct notifier_feed *f, struct gs_buf *reasons);
void notifier_feed_drain(struct notifier_feed *f);
/* First stop, then free producer and connection, then free. */
void notifier_feed_stop(struct notifier_feed *f);
void notifier_feed_free(struct notifier_feed *f);

#endif
