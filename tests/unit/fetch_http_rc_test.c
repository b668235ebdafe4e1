/* The table from HTTP answers to decisions.
 * links: fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "services/fetch/http_rc.h"

#define NOW_US (INT64_C(1763913600) * 1000000) /* 2025-11-23T16:00:00Z */
#define S      INT64_C(1000000)

struct row {
    long status;
    const char *name, *value; /* a header */
    const char *name2, *value2;
    const char *body;
    enum fetch_outcome outcome;
    int64_t after_us; /* retry_at - now; 0: none */
    const char *words;
};

static const char *header(const struct fetch_reply *r, const char *name)
{
    const struct row *row = r->data;

    if (row->name && !strcasecmp(row->name, name))
        return row->value;
    if (row->name2 && !strcasecmp(row->name2, name))
        return row->value2;
    return NULL;
}

static const struct row rows[] = {
    {.status = 200, .outcome = FETCH_OUTCOME_OK},
    {.status = 204, .outcome = FETCH_OUTCOME_OK},
    {.status = 301, .outcome = FETCH_OUTCOME_REJECTED, .words = "redirects"},
    {.status = 401,
     .body = "{\"message\":\"Bad credentials\"}",
     .outcome = FETCH_OUTCOME_DENIED,
     .words = ": Bad credentials"},
    {.status = 403,
     .body = "{\"message\":\"Resource not accessible\"}",
     .outcome = FETCH_OUTCOME_DENIED,
     .words = "not accessible"},
    {.status = 403,
     .body = "{\"message\":\"API rate limit exceeded for user\"}",
     .outcome = FETCH_OUTCOME_WAITING,
     .after_us = 60 * S},
    {403, "Retry-After", "30", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 30 * S, "limit"},
    {403, "x-ratelimit-remaining", "0", "x-ratelimit-reset", "1763913700", NULL, FETCH_OUTCOME_WAITING, 100 * S, NULL},
    {403, "x-ratelimit-remaining", "12", "x-ratelimit-reset", "1763913700", NULL, FETCH_OUTCOME_DENIED, 0, NULL},
    {404, NULL, NULL, NULL, NULL, "{\"message\":\"Not Found\"}", FETCH_OUTCOME_GONE, 0, "no such thing"},
    {410, NULL, NULL, NULL, NULL, NULL, FETCH_OUTCOME_GONE, 0, NULL},
    {408, NULL, NULL, NULL, NULL, NULL, FETCH_OUTCOME_RETRY, 0, NULL},
    {425, NULL, NULL, NULL, NULL, NULL, FETCH_OUTCOME_RETRY, 0, NULL},
    {500, NULL, NULL, NULL, NULL, "<html><body>Oops</body></html>", FETCH_OUTCOME_RETRY, 0, "status 500"},
    {503, "Retry-After", "120", NULL, NULL, NULL, FETCH_OUTCOME_RETRY, 120 * S, NULL},
    {429, NULL, NULL, NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 60 * S, NULL},
    {429, "Retry-After", "7", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 7 * S, NULL},
    {429, "Retry-After", " 7 ", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 7 * S, NULL},
    {429, "Retry-After", "1.5", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 3 * S / 2, NULL},
    {429, "Retry-After", "0", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 1 * S, NULL},
    {429, "Retry-After", "-5", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 60 * S, NULL},
    {429, "Retry-After", "soon", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 60 * S, NULL},
    {429, "Retry-After", "99999999999999999999999999", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 60 * S, NULL},
    {429, "Retry-After", "999999", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, FETCH_WAIT_MAX_US, NULL},
    {429, "Retry-After", "Sun, 23 Nov 2025 16:01:10 GMT", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 70 * S, NULL},
    {429, "Retry-After", "Sun, 23 Nov 2025 15:01:10 GMT", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 1 * S, NULL},
    {429, "x-ratelimit-reset", "1763913645", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 45 * S, NULL},
    {429, "x-ratelimit-reset", "1763913645500", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 91 * S / 2, NULL},
    {429, "X-RateLimit-Reset", "2025-11-23T16:05Z", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 300 * S, NULL},
    {429, "ratelimit-reset", "33", NULL, NULL, NULL, FETCH_OUTCOME_WAITING, 33 * S, NULL},
    {429, "x-ratelimit-remaining", "3", "x-ratelimit-reset", "1763917200", NULL, FETCH_OUTCOME_WAITING, 60 * S, NULL},
    {400, NULL, NULL, NULL, NULL, "no such filter\r\nX: y", FETCH_OUTCOME_REJECTED, 0,
     "(status 400): no such filter??X: y"},
    {422, NULL, NULL, NULL, NULL, "{\"errors\":[{\"message\":\"bad \\\"q\\\"\"}]}", FETCH_OUTCOME_REJECTED, 0,
     ": bad 'q'"},
    {418, NULL, NULL, NULL, NULL, NULL, FETCH_OUTCOME_REJECTED, 0, "status 418"},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct fetch_reply r = {
            .status = row->status, .header = header, .data = row, .body = row->body ? row->body : ""};
        struct gs_err err = {0};

        r.len = strlen(r.body);
        struct fetch_judgement j = fetch_http_rc(&r, NOW_US, &err);

        if (j.outcome != row->outcome || (j.retry_at_us ? j.retry_at_us - NOW_US : 0) != row->after_us)
            fail_msg("row %zu (status %ld): %s, after %lld us: %s", i, row->status, fetch_outcome_name(j.outcome),
                     (long long)(j.retry_at_us ? j.retry_at_us - NOW_US : 0), err.text);
        if (row->words && !strstr(err.text, row->words))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.text, row->words);
        assert_true(j.outcome == FETCH_OUTCOME_OK || !strchr(err.text, '<'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
