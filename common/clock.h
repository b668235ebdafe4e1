/* The two clocks. Tests may replace both. */
#ifndef GS_CLOCK_H
#define GS_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t gs_now_us(void);  /* wall clock, microseconds since 1970 */
int64_t gs_mono_us(void); /* monotonic, microseconds since some start; for durations and deadlines */

/* For tests: both clocks come from here until called with null. */
void gs_clock_fake(int64_t (*now_us)(void), int64_t (*mono_us)(void));

#define GS_TIME_TEXT 32
/* "2026-11-23T16:02:03.123456Z"; dst has GS_TIME_TEXT bytes. Returns dst. */
char *gs_time_format(int64_t us, char dst[GS_TIME_TEXT]);
/* RFC 3339, any zone and any number of fraction digits (those beyond microseconds are dropped). */
bool gs_time_parse(const char *s, int64_t *ret_us);

#endif
