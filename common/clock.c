/* The two clocks, and time as text. */
#include "common/clock.h"

#include "common/str.h"

#include <stdio.h>
#include <string.h>
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

/* n digits and what follows them; returns where to go on. By hand: snprintf and strftime take ten times as long. */
static char *put(char *dst, int v, int n, char next)
{
    for (int i = n - 1; i >= 0; i--, v /= 10)
        dst[i] = (char)('0' + v % 10);
    dst[n] = next;
    return dst + n + 1;
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
    int year = tm.tm_year + 1900;
    char *at = dst;
    if (year >= 0 && year <= 9999)
        at = put(at, year, 4, '-');
    else
        at += snprintf(dst, GS_TIME_TEXT, "%04d-", year);
    at = put(at, tm.tm_mon + 1, 2, '-');
    at = put(at, tm.tm_mday, 2, 'T');
    at = put(at, tm.tm_hour, 2, ':');
    at = put(at, tm.tm_min, 2, ':');
    at = put(at, tm.tm_sec, 2, '.');
    at = put(at, (int)fraction, 6, 'Z');
    *at = '\0';
    return dst;
}

/* Two, or with the year four, digits at s; -1 when there are none. */
static int digits(const char *s, size_t n)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v;
}

/* Days since 1970 of a date of the Gregorian calendar: years begin in March here, so that leap days come last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* "+01:00", "-05:30" or "Z", and nothing behind; minutes. */
static bool parse_zone(const char *s, int *ret_minutes)
{
    if (gs_str_eq(s, "Z") || gs_str_eq(s, "z")) {
        *ret_minutes = 0;
        return true;
    }
    if ((*s != '+' && *s != '-') || strlen(s) != 6 || s[3] != ':')
        return false;
    int hours = digits(s + 1, 2), minutes = digits(s + 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    *ret_minutes = (*s == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool gs_time_parse(const char *s, int64_t *ret_us)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    if (strlen(s) < sizeof(shape))
        return false;
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] != 'd' && s[i] != shape[i] && !(shape[i] == 'T' && (s[i] == 't' || s[i] == ' ')))
            return false;
    }
    int year = digits(s, 4), month = digits(s + 5, 2), day = digits(s + 8, 2);
    int hour = digits(s + 11, 2), minute = digits(s + 14, 2), second = digits(s + 17, 2), zone;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    s += sizeof(shape) - 1;
    int64_t us = 0;
    if (*s == '.') {
        int64_t weight = 100000;
        const char *first = ++s;
        for (; *s >= '0' && *s <= '9'; s++, weight /= 10)
            us += (*s - '0') * weight;
        if (s == first)
            return false;
    }
    if (!parse_zone(s, &zone))
        return false;
    *ret_us =
        ((days_of(year, month, day) * 24 + hour) * 60 + minute - zone) * 60000000 + second * INT64_C(1000000) + us;
    return true;
}
