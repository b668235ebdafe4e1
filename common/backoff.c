/* Growing pauses with jitter, and the random numbers for it. */
#include "common/backoff.h"

#include "common/clock.h"

#include <sys/random.h>

#define MAX_DOUBLINGS 62

/* splitmix64: its state is a counter, so any seed will do. */
uint64_t gs_random64(void)
{
    static _Thread_local uint64_t state;
    static _Thread_local int seeded;
    if (!seeded) {
        if (getrandom(&state, sizeof(state), GRND_NONBLOCK) != (ssize_t)sizeof(state))
            state = (uint64_t)gs_now_us() ^ (uint64_t)(uintptr_t)&state;
        seeded = 1;
    }
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int64_t gs_backoff_next(struct gs_backoff *b)
{
    int64_t pause = b->min_us > 0 ? b->min_us : 1;
    for (unsigned i = 0; i < b->attempt && pause < b->max_us; i++) {
        if (__builtin_mul_overflow(pause, 2, &pause))
            pause = b->max_us;
    }
    if (pause > b->max_us)
        pause = b->max_us;
    if (b->attempt < MAX_DOUBLINGS)
        b->attempt++;
    int64_t half = pause / 2;
    return half + (int64_t)(gs_random64() % (uint64_t)(pause - half + 1));
}

void gs_backoff_reset(struct gs_backoff *b)
{
    b->attempt = 0;
}
