/* When a delivery is tried again. */
#ifndef NOTIFIER_RETRY_H
#define NOTIFIER_RETRY_H

#include <stdint.h>

/* The pause after the attempt (from 1), in microseconds, with a fifth of it as jitter; 0: it was the last one. From 5
 * seconds to a day, as the specification suggests; give_up_us is what all of them are together, jitter aside. */
int64_t notifier_retry_pause(int attempt, int64_t give_up_us);
/* The pause a receiver asks for (Retry-After in seconds; null: none), at least the other one and at most a day. */
int64_t notifier_retry_asked(const char *retry_after, int64_t pause_us);

#endif
