/* The common table: HTTP status and headers -> decision. */
#include "services/fetch/http_rc.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/auto.h"
#include "common/str.h"

#define SECOND           INT64_C(1000000)
#define WAIT_DEFAULT     (60 * SECOND) /* the source asks to wait and does not say how long */
#define WAIT_LEAST       (1 * SECOND)
#define EPOCH_LEAST      INT64_C(1000000000)      /* a number from here on is an instant, below it is a span */
#define EPOCH_MILLIS     INT64_C(100000000000)    /* ... in milliseconds */
#define NUMBER_MAX       INT64_C(100000000000000) /* nobody means more */
#define WORDS_SEARCHED   4096                     /* bytes of a body that are looked through */
#define MESSAGE_MAX      160                      /* bytes of a source's message that are repeated */
#define MESSAGE_JSON_MAX (64 * 1024)

GS_AUTO_DEFINE(struct gs_json, json_free, gs_json_free)

static const char *header(const struct fetch_reply *r, const char *name)
{
    const char *value = r->header ? r->header(r, name) : NULL;

    while (value && (*value == ' ' || *value == '\t'))
        value++;
    return value && *value ? value : NULL;
}

/* "12", "1.5" -> microseconds. */
static bool parse_number(const char *s, int64_t *ret_us)
{
    int64_t n = 0, part = SECOND;

    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        n = n * 10 + (*s - '0');
        if (n > NUMBER_MAX)
            return false;
    }
    n *= n > EPOCH_MILLIS ? SECOND / 1000 : SECOND;
    if (*s == '.') {
        for (s++; *s >= '0' && *s <= '9'; s++) {
            part /= 10;
            n += (*s - '0') * part;
        }
    }
    while (*s == ' ' || *s == '\t')
        s++;
    *ret_us = n;
    return *s == '\0' || *s == ',' || *s == ';';
}

/* RFC 9110 dates in all three forms, and ISO 8601 in UTC. */
static bool parse_date(const char *s, int64_t *ret_us)
{
    struct tm tm = {0};
    time_t at = curl_getdate(s, NULL);

    if (at == (time_t)-1 && strptime(s, "%Y-%m-%dT%H:%M", &tm))
        at = timegm(&tm);
    if (at < 0 || at > NUMBER_MAX / 1000)
        return false;
    *ret_us = (int64_t)at * SECOND;
    return true;
}

/* A span from now or an instant, whichever the header holds. */
static bool parse_when(const char *s, int64_t now_us, int64_t *ret_at_us)
{
    int64_t us;

    if (!s)
        return false;
    if (parse_number(s, &us))
        *ret_at_us = us >= EPOCH_LEAST * SECOND ? us : now_us + us;
    else if (!parse_date(s, ret_at_us))
        return false;
    if (*ret_at_us < now_us + WAIT_LEAST)
        *ret_at_us = now_us + WAIT_LEAST;
    if (*ret_at_us > now_us + FETCH_WAIT_MAX_US)
        *ret_at_us = now_us + FETCH_WAIT_MAX_US;
    return true;
}

static const char *either(const struct fetch_reply *r, const char *a, const char *b)
{
    const char *value = header(r, a);

    return value ? value : header(r, b);
}

/* "Nothing is left of this budget", and no word that all have to wait. */
static bool budget_is_empty(const struct fetch_reply *r)
{
    const char *left = either(r, "x-ratelimit-remaining", "ratelimit-remaining");
    int64_t n;

    return !header(r, "retry-after") && left && parse_number(left, &n) && n == 0;
}

/* The budget's own headers count only when they say that nothing is left: many sources send them always. */
static int64_t wait_until(const struct fetch_reply *r, int64_t now_us)
{
    const char *left = either(r, "x-ratelimit-remaining", "ratelimit-remaining");
    int64_t at, n;

    if (parse_when(header(r, "retry-after"), now_us, &at))
        return at;
    if (left && (!parse_number(left, &n) || n > 0))
        return now_us + WAIT_DEFAULT;
    if (parse_when(either(r, "x-ratelimit-reset", "ratelimit-reset"), now_us, &at))
        return at;
    return now_us + WAIT_DEFAULT;
}

static bool body_says(const struct fetch_reply *r, const char *words)
{
    size_t n = r->len < WORDS_SEARCHED ? r->len : WORDS_SEARCHED, len = strlen(words);

    for (size_t i = 0; i + len <= n; i++) {
        if (!strncasecmp(r->body + i, words, len))
            return true;
    }
    return false;
}

/* 403 is also how some sources say 429. */
static bool limit_reached(const struct fetch_reply *r)
{
    const char *left = either(r, "x-ratelimit-remaining", "ratelimit-remaining");
    int64_t n;

    return header(r, "retry-after") || (left && parse_number(left, &n) && n == 0) || body_says(r, "rate limit") ||
           body_says(r, "rate_limit") || body_says(r, "ratelimit") || body_says(r, "too many requests");
}

static bool json_message(const struct fetch_reply *r, char dst[MESSAGE_MAX])
{
    static const char *const places[] = {
        "/message",         "/error_description", "/error/message", "/errors/0/message",
        "/errorMessages/0", "/errors/0",          "/error"};
    GS_AUTO(json_freep) struct gs_json *json = NULL;
    const char *text;
    size_t len;

    if (!r->body || !r->len || r->len > MESSAGE_JSON_MAX)
        return false;
    json = gs_json_new(MESSAGE_JSON_MAX, FETCH_JSON_DEPTH);
    if (gs_json_parse(json, r->body, r->len, NULL) != GS_OK)
        return false;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (gs_json_string(json, places[i], &text, &len) && len) {
            gs_str_clean(dst, MESSAGE_MAX, text, len);
            return true;
        }
    }
    return false;
}

/* ": what it said", or "" when it said nothing for people. Double quotes would end a log line's text. */
static const char *said(const struct fetch_reply *r, char dst[MESSAGE_MAX + 2])
{
    size_t n = r->body ? r->len : 0, skip = 0;

    memcpy(dst, ": ", 3);
    while (skip < n && strchr(" \t\r\n", r->body[skip]))
        skip++;
    if (skip == n || (!json_message(r, dst + 2) && strchr("<{[", r->body[skip])))
        return "";
    if (!dst[2])
        gs_str_clean(dst + 2, MESSAGE_MAX, r->body + skip, n - skip);
    for (char *p = dst; *p; p++) {
        if (*p == '"')
            *p = '\'';
    }
    return dst;
}

static struct fetch_judgement waiting(const struct fetch_reply *r, int64_t now_us, struct gs_err *err)
{
    struct fetch_judgement j = {FETCH_OUTCOME_WAITING, wait_until(r, now_us), budget_is_empty(r)};
    char text[MESSAGE_MAX + 2];

    gs_fail(err, GS_RETRY, "the source's limit is reached (status %ld)%s", r->status, said(r, text));
    return j;
}

static struct fetch_judgement failed(const struct fetch_reply *r, int64_t now_us, struct gs_err *err)
{
    struct fetch_judgement j = {.outcome = FETCH_OUTCOME_RETRY};
    char text[MESSAGE_MAX + 2];

    if (!parse_when(header(r, "retry-after"), now_us, &j.retry_at_us))
        j.retry_at_us = 0;
    gs_fail(err, GS_RETRY, "the source has a problem (status %ld)%s", r->status, said(r, text));
    return j;
}

static struct fetch_judgement final(const struct fetch_reply *r, enum gs_rc rc, const char *what, struct gs_err *err)
{
    struct fetch_judgement j = {.outcome = fetch_outcome_of(rc)};
    char text[MESSAGE_MAX + 2];

    gs_fail(err, rc, "%s (status %ld)%s", what, r->status, said(r, text));
    return j;
}

struct fetch_judgement fetch_http_rc(const struct fetch_reply *r, int64_t now_us, struct gs_err *err)
{
    long status = r->status;

    if (status >= 200 && status < 300)
        return (struct fetch_judgement){.outcome = FETCH_OUTCOME_OK};
    if (status == 429 || (status == 403 && limit_reached(r)))
        return waiting(r, now_us, err);
    if (status == 408 || status == 425 || status >= 500)
        return failed(r, now_us, err);
    if (status == 401)
        return final(r, GS_DENIED, "the source refuses the sign-in; renew the connection's credential", err);
    if (status == 403)
        return final(r, GS_DENIED, "the source allows the connection's account no access to this", err);
    if (status == 404 || status == 410)
        return final(r, GS_GONE, "the source has no such thing, or hides it from the connection's account", err);
    if (status >= 300 && status < 400)
        return final(r, GS_REJECT, "the source redirects to another address; give the final one", err);
    return final(r, GS_REJECT, "the source refuses the request; check the settings", err);
}
