/* Shared by the sender*.c files; nobody else includes it. */
#ifndef NOTIFIER_SENDER_PRIVATE_H
#define NOTIFIER_SENDER_PRIVATE_H

#include "common/loop.h"
#include "services/notifier/count.h"
#include "services/notifier/notifier.h"
#include "services/notifier/sender.h"
#include "services/notifier/sign.h"
#include "services/notifier/window.h"

struct notifier_delivery {
    struct notifier_sender *s;
    struct notifier_delivery *next, *prev; /* among those under way */
    int64_t id, webhook_id, begun_us;
    int32_t attempt;
    char public_id[40];
    char *url, *body; /* owned */
    struct notifier_key keys[NOTIFIER_SECRETS_MAX];
    size_t n_keys;
    char error[NOTIFIER_ERROR_MAX]; /* why it cannot be signed; "" when it can */
};

struct notifier_sender {
    struct notifier_sender_spec spec;
    uv_loop_t *loop;
    struct gs_pg_params *params;
    struct notifier_windows *windows;
    struct notifier_delivery *first;
    size_t in_flight;
    struct gs_timer *tick, *kick;
    int64_t claimed_us; /* when the newest claim was made; monotonic */
    bool claiming, wanted, draining, stopped;
};

/* sender.c */
void notifier_sender_ended(struct notifier_delivery *d, bool delivered); /* and frees it */

/* sender_claim.c */
void notifier_sender_claim(struct notifier_sender *s, gs_pg_fn fn);
/* The claimed deliveries, linked by next; null: none. */
struct notifier_delivery *notifier_sender_read(struct notifier_sender *s, const struct gs_pg_result *r);
struct notifier_delivery *notifier_delivery_free(struct notifier_delivery *d);

/* sender_post.c */
void notifier_sender_post(struct notifier_delivery *d);

#endif
