/* Sends what is due to webhooks: claims, signs, posts, records. A claim is a lease: whoever dies with it leaves it to
 * the next, so a delivery is made at least once, each time under the same id. */
#ifndef NOTIFIER_SENDER_H
#define NOTIFIER_SENDER_H

#include "common/http.h"
#include "common/pg.h"
#include "common/vault.h"

struct notifier_sender;

struct notifier_sender_spec {
    struct gs_pg *pg;         /* for claims and records, which may be lost: a delivery is then made once more */
    struct gs_pg *durable_pg; /* for what must not be lost: that a webhook stopped */
    struct gs_http *http;
    const struct gs_keyring *keyring; /* third_party: what is told to webhooks leaves the company */
    void (*drained)(void *arg);       /* after notifier_sender_drain(): nothing is under way */
    void *arg;
};

struct notifier_sender *notifier_sender_new(uv_loop_t *loop, const struct notifier_sender_spec *spec);
void notifier_sender_kick(struct notifier_sender *s); /* there may be deliveries */
void notifier_sender_drain(struct notifier_sender *s);
void notifier_sender_stop(struct notifier_sender *s);                    /* before its client and connection */
struct notifier_sender *notifier_sender_free(struct notifier_sender *s); /* after those */

#endif
