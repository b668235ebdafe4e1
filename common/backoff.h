/* Growing pauses with full jitter. */
#ifndef GS_BACKOFF_H
#define GS_BACKOFF_H

#include <stdint.h>

struct gs_backoff {
    int64_t min_us, max_us;
    unsigned attempt;
};

/* The next pause: between half of and all of min * 2^attempt, at most max. */
int64_t gs_backoff_next(struct gs_backoff *b);
void gs_backoff_reset(struct gs_backoff *b);
uint64_t gs_random64(void); /* for jitter; not for secrets */

#endif
