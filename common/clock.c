/* The two clocks, and time as text. */
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t (*fake_now)(void), (*fake_mono)(void);

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts); /* cannot fail for the two clocks used here */
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t gs_now_us(void)
{
    return fake_now ? fake_now() : read_clock(CLOCK_REALTIME);
}

int64_t gs_mono_us(void)
{
    return fake_mono ? fake_mono() : read_clock(CLOCK_MONOTONIC);
}

void gs_clock_fake(int64_t (*now_us)(void), int64_t (*mono_us)(void))
{
    fake_now = now_us;
    fake_mono = mono_us;
}

char *gs_time_format(int64_t us, char dst[GS_TIME_TEXT])
{
    int64_t fraction = us % 1000000;
    time_t seconds = us / 1000000;
    if (fraction < 0) { /* before 1970 */
        fraction += 1000000;
        seconds--;
    }
    struct tm tm;
    gmtime_r(&seconds, &tm); /* every int64_t of microseconds is a year that fits */
    size_t len = strftime(dst, GS_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(dst + len, GS_TIME_TEXT - len, ".%06dZ", (int)fraction);
    return dst;
}
