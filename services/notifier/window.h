/* How many deliveries a webhook may have under way: one at first and after a failure, twice as many after each success.
 * A receiver that is slow or down so takes one place, and never those of the others. */
#ifndef NOTIFIER_WINDOW_H
#define NOTIFIER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct notifier_windows;

struct notifier_window {
    int64_t webhook_id;
    int32_t size, in_flight;
    int32_t asked, got; /* in the newest claim */
    bool more;          /* it got all that was asked for: there may be more that is due */
};

struct notifier_windows *notifier_windows_new(int32_t max);
struct notifier_windows *notifier_windows_free(struct notifier_windows *w);

/* A claim is made: each known webhook asks for its room, and each other one for one. */
void notifier_windows_ask(struct notifier_windows *w);
/* A delivery of that claim begins; the webhook is known from here on. */
void notifier_window_begin(struct notifier_windows *w, int64_t webhook_id);
/* One ended. True: it has room again for what was left due. */
bool notifier_window_end(struct notifier_windows *w, int64_t webhook_id, bool delivered);
/* The known ones; one that is not among them may have one delivery. */
size_t notifier_windows_count(const struct notifier_windows *w);
const struct notifier_window *notifier_windows_at(const struct notifier_windows *w, size_t i);
int32_t notifier_window_room(const struct notifier_window *w);
/* All of the claim have begun. */
void notifier_windows_claimed(struct notifier_windows *w);
/* One of them has room for more already: deliveries ended while the claim was under way. */
bool notifier_windows_ready(const struct notifier_windows *w);
/* Once a second: what has nothing under way shrinks, and is forgotten at last. */
void notifier_windows_fade(struct notifier_windows *w);

#endif
