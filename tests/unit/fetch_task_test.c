/* Tasks driven by hand: exchanges, encoding, results, ceilings, and connectors that misbehave.
 * links: fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "services/fetch/catalogue.h"
#include "services/fetch/task.h"

#define NOW_US INT64_C(1763913600000000)

static const struct fetch_field fields[] = {
    {.name = "a", .label = "A", .type = FETCH_TEXT}, {.name = "b", .label = "B", .type = FETCH_TEXT}, {0}};

struct driven {
    struct fetch_settings *connection, *links[3];
    struct fetch_task *task;
};

static struct fetch_settings *settings(const char *json)
{
    struct gs_err err;
    struct fetch_settings *s = fetch_settings_parse(fields, json, strlen(json), &err);

    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static bool begin(struct driven *d, const struct fetch_connector *c, size_t n, const char *link)
{
    const struct fetch_settings *targets[3];
    struct fetch_task_spec spec = {.connector = c, .targets = targets, .n_targets = n, .now_us = NOW_US};

    *d = (struct driven){.connection = settings("{}")};
    for (size_t i = 0; i < n; i++)
        targets[i] = d->links[i] = settings(link);
    spec.connection = d->connection;
    d->task = fetch_task_new(&spec);
    return fetch_task_start(d->task);
}

static void end(struct driven *d)
{
    fetch_task_free(d->task);
    fetch_settings_free(d->connection);
    for (size_t i = 0; i < 3; i++)
        fetch_settings_free(d->links[i]);
}

static bool answer(struct driven *d, long status, const char *body)
{
    const struct fetch_reply r = {.status = status, .body = body, .len = strlen(body)};

    return fetch_task_reply(d->task, &r);
}

static void ends_as(struct driven *d, enum fetch_outcome outcome, const char *words)
{
    if (fetch_task_outcome(d->task) != outcome || !strstr(fetch_task_error(d->task), words))
        fail_msg("%s: %s", fetch_outcome_name(fetch_task_outcome(d->task)), fetch_task_error(d->task));
    end(d);
}

/* ---- one request, one number ---- */

static enum gs_rc get_start(struct fetch_task *t)
{
    enum gs_rc rc;

    fetch_base(t, "https://api.example.com/");
    rc = fetch_get(t, "/v1/%s/items/%s", fetch_arg(t, "a"), fetch_arg(t, "b"));
    fetch_query(t, "q", "a b&c=d/\xc3\xbc");
    fetch_query(t, "page", "1");
    fetch_header(t, "Accept", "application/json");
    return rc;
}

static enum gs_rc count_reply(struct fetch_task *t, const struct fetch_reply *r)
{
    struct gs_json *json = fetch_json(t, r);
    int64_t n;

    if (!json)
        return GS_REJECT;
    if (!gs_json_int(json, "/n", &n))
        return gs_fail(fetch_err(t), GS_REJECT, "no count");
    for (size_t i = 0; i < fetch_targets(t); i++)
        fetch_emit(t, i, gs_dec_int(n));
    fetch_rows_seen(t, 0, 7);
    fetch_source_time(t, 0, 99);
    return GS_OK;
}

static const struct fetch_connector counter = {.label = "Counter", .start = get_start, .reply = count_reply};

static void test_success(void **state)
{
    struct driven d;
    struct fetch_result r;
    char text[GS_DEC_TEXT];

    (void)state;
    assert_true(begin(&d, &counter, 2, "{\"a\":\"x/y z\",\"b\":\"\\u00fc~-._\"}"));
    const struct fetch_exchange *x = fetch_task_exchange(d.task);
    assert_int_equal(x->wire, FETCH_HTTP);
    assert_string_equal(x->method, "GET");
    assert_string_equal(x->url,
                        "https://api.example.com/v1/x%2Fy%20z/items/%C3%BC~-._?q=a%20b%26c%3Dd%2F%C3%BC&page=1");
    assert_int_equal(x->n_headers, 1);
    assert_string_equal(x->headers[0].name, "Accept");
    assert_string_equal(x->headers[0].value, "application/json");
    assert_null(x->body);
    assert_false(answer(&d, 200, "{\"n\":42}"));
    fetch_task_result(d.task, 0, &r);
    assert_int_equal(r.outcome, FETCH_OUTCOME_OK);
    assert_int_equal(r.rows_seen, 7);
    assert_int_equal(r.source_at_us, 99);
    gs_dec_format(r.value, text);
    assert_string_equal(text, "42");
    assert_int_equal(fetch_task_exchanges(d.task), 1);
    ends_as(&d, FETCH_OUTCOME_OK, "");
}

static void test_statuses_and_bodies(void **state)
{
    struct driven d;

    (void)state;
    begin(&d, &counter, 1, "{\"a\":\"x\",\"b\":\"y\"}");
    assert_false(answer(&d, 401, ""));
    ends_as(&d, FETCH_OUTCOME_DENIED, "sign-in");
    begin(&d, &counter, 1, "{\"a\":\"x\",\"b\":\"y\"}");
    assert_false(answer(&d, 429, ""));
    assert_int_equal(fetch_task_retry_at_us(d.task), NOW_US + 60000000);
    ends_as(&d, FETCH_OUTCOME_WAITING, "limit");
    begin(&d, &counter, 1, "{\"a\":\"x\",\"b\":\"y\"}");
    assert_false(answer(&d, 200, "<html>login</html>"));
    ends_as(&d, FETCH_OUTCOME_REJECTED, "HTML");
    begin(&d, &counter, 1, "{\"a\":\"x\",\"b\":\"y\"}");
    assert_false(answer(&d, 200, ""));
    ends_as(&d, FETCH_OUTCOME_REJECTED, "");
    begin(&d, &counter, 1, "{\"a\":\"x\",\"b\":\"y\"}");
    fetch_task_fail(d.task, GS_RETRY, "connection refused");
    ends_as(&d, FETCH_OUTCOME_RETRY, "connection refused");
}

static void test_dangerous_segments(void **state)
{
    static const char *const links[] = {"{\"a\":\"..\",\"b\":\"y\"}", "{\"a\":\"x\",\"b\":\".\"}", "{\"a\":\"x\"}"};
    struct driven d;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_false(begin(&d, &counter, 1, links[i]));
        ends_as(&d, FETCH_OUTCOME_REJECTED, "empty or only dots");
    }
}

/* ---- several requests ---- */

static enum gs_rc page_start(struct fetch_task *t)
{
    fetch_base(t, "https://api.example.com");
    return fetch_get(t, "/list");
}

static enum gs_rc page_reply(struct fetch_task *t, const struct fetch_reply *r)
{
    int *pages = fetch_scratch(t);

    ++*pages;
    if (!r->len) {
        fetch_emit(t, 0, gs_dec_int(*pages));
        return GS_OK;
    }
    return fetch_follow(t, r->body);
}

static const struct fetch_connector pager = {
    .label = "Pager", .start = page_start, .reply = page_reply, .scratch = sizeof(int), .max_exchanges = 3};

static void test_pages(void **state)
{
    struct driven d;

    (void)state;
    assert_true(begin(&d, &pager, 1, "{}"));
    assert_true(answer(&d, 200, "https://api.example.com/list?page=2"));
    assert_string_equal(fetch_task_exchange(d.task)->url, "https://api.example.com/list?page=2");
    assert_false(answer(&d, 200, ""));
    assert_int_equal(fetch_task_exchanges(d.task), 2);
    ends_as(&d, FETCH_OUTCOME_OK, "");
}

static void test_endless_pages(void **state)
{
    struct driven d;

    (void)state;
    assert_true(begin(&d, &pager, 1, "{}"));
    assert_true(answer(&d, 200, "https://api.example.com/list?page=2"));
    assert_true(answer(&d, 200, "https://api.example.com/list?page=2"));
    assert_false(answer(&d, 200, "https://api.example.com/list?page=2"));
    ends_as(&d, FETCH_OUTCOME_REJECTED, "more than 3 requests");
}

/* The next page's address comes from the source: it must not carry the secret elsewhere. */
static void test_foreign_pages(void **state)
{
    static const char *const urls[] = {
        "https://evil.example.com/list",       "http://api.example.com/list",
        "https://api.example.com:444/list",    "https://api.example.com@evil.com/x",
        "https://api.example.community/list",  "//evil.com/x",
        "https://api.example.com\\@evil.com/", "file:///etc/passwd",
        "https://api.example.com/a b",         "https://API.example.com/list",
    };
    struct driven d;

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_true(begin(&d, &pager, 1, "{}"));
        if (answer(&d, 200, urls[i]))
            fail_msg("%s was followed", urls[i]);
        ends_as(&d, FETCH_OUTCOME_REJECTED, "");
    }
}

/* ---- results ---- */

static int64_t ratio_done, ratio_total;

static enum gs_rc ratio_start(struct fetch_task *t)
{
    fetch_emit_ratio(t, 0, ratio_done, ratio_total);
    return GS_OK;
}

static const struct fetch_connector ratio = {.label = "Ratio", .start = ratio_start};

static void test_ratio(void **state)
{
    static const struct {
        int64_t done, total;
        const char *text; /* null: rejected */
    } rows[] = {{1, 2, "50"},
                {1, 3, "33.333333333333333333"},
                {0, 5, "0"},
                {5, 5, "100"},
                {0, 0, NULL},
                {6, 5, NULL},
                {-1, 5, NULL},
                {1, -5, NULL},
                {INT64_MAX, INT64_MAX, "100"}};
    struct driven d;
    struct fetch_result r;
    char text[GS_DEC_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ratio_done = rows[i].done;
        ratio_total = rows[i].total;
        assert_false(begin(&d, &ratio, 1, "{}"));
        fetch_task_result(d.task, 0, &r);
        assert_int_equal(r.outcome, rows[i].text ? FETCH_OUTCOME_OK : FETCH_OUTCOME_REJECTED);
        if (rows[i].text) {
            gs_dec_format(r.value, text);
            assert_string_equal(text, rows[i].text);
            assert_true(r.percent);
        } else {
            assert_true(strlen(r.error) > 10);
        }
        end(&d);
    }
}

static enum gs_rc partial_start(struct fetch_task *t)
{
    fetch_emit(t, 0, gs_dec_int(1));
    fetch_emit(t, 1, gs_dec_int(1));
    fetch_emit(t, 1, gs_dec_int(2));
    return GS_OK;
}

static const struct fetch_connector partial = {.label = "Partial", .start = partial_start};

static void test_forgotten_and_doubled(void **state)
{
    struct driven d;
    struct fetch_result r;

    (void)state;
    assert_false(begin(&d, &partial, 3, "{}"));
    fetch_task_result(d.task, 0, &r);
    assert_int_equal(r.outcome, FETCH_OUTCOME_OK);
    fetch_task_result(d.task, 1, &r);
    assert_int_equal(r.outcome, FETCH_OUTCOME_REJECTED);
    assert_non_null(strstr(r.error, "more than one"));
    fetch_task_result(d.task, 2, &r);
    assert_int_equal(r.outcome, FETCH_OUTCOME_REJECTED);
    assert_non_null(strstr(r.error, "no value"));
    ends_as(&d, FETCH_OUTCOME_OK, "");
}

/* ---- connectors that misbehave ---- */

static enum gs_rc silent_start(struct fetch_task *t)
{
    (void)t;
    return GS_AGAIN;
}

static enum gs_rc no_base_start(struct fetch_task *t)
{
    return fetch_get(t, "/x");
}

static enum gs_rc bad_header_start(struct fetch_task *t)
{
    enum gs_rc rc;

    fetch_base(t, "https://x.org");
    rc = fetch_get(t, "/x");
    fetch_header(t, "X-Y", "a\r\nEvil: 1");
    return rc;
}

static enum gs_rc own_auth_start(struct fetch_task *t)
{
    enum gs_rc rc;

    fetch_base(t, "https://x.org");
    rc = fetch_get(t, "/x");
    fetch_header(t, "authorization", "Basic x");
    return rc;
}

static enum gs_rc long_url_start(struct fetch_task *t)
{
    static char value[GS_HTTP_URL_MAX + 1];
    enum gs_rc rc;

    memset(value, 'a', sizeof value - 1);
    fetch_base(t, "https://x.org");
    rc = fetch_get(t, "/x");
    fetch_query(t, "q", value);
    return rc;
}

static enum gs_rc wrong_wire_start(struct fetch_task *t)
{
    return fetch_sql(t, "select 1");
}

static enum gs_rc wait_start(struct fetch_task *t)
{
    return fetch_wait_until(t, fetch_now_us(t) + 5000000, "busy");
}

static void test_misbehaviour(void **state)
{
    static const struct {
        enum gs_rc (*start)(struct fetch_task *t);
        const char *words;
    } rows[] = {{silent_start, "neither asked"}, {no_base_start, "not like https"}, {bad_header_start, "header"},
                {own_auth_start, "header"},      {long_url_start, "longer"},        {wrong_wire_start, "wire"}};
    struct driven d;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetch_connector c = {.label = "Odd", .start = rows[i].start};

        assert_false(begin(&d, &c, 1, "{}"));
        ends_as(&d, FETCH_OUTCOME_REJECTED, rows[i].words);
    }
    struct fetch_connector waits = {.label = "Odd", .start = wait_start};

    assert_false(begin(&d, &waits, 1, "{}"));
    assert_int_equal(fetch_task_retry_at_us(d.task), NOW_US + 5000000);
    ends_as(&d, FETCH_OUTCOME_WAITING, "waiting for Odd until 2025-11-23T16:00:05");
}

/* ---- posts, statements, judges ---- */

static enum gs_rc post_start(struct fetch_task *t)
{
    fetch_base(t, "https://x.org/api");
    return fetch_post(t, "application/json", "{}", 2, "/query");
}

static enum gs_rc post_judge(struct fetch_task *t, const struct fetch_reply *r)
{
    return r->status == 404 ? GS_OK : fetch_judge(t, r);
}

static const struct fetch_connector poster = {
    .label = "Poster", .start = post_start, .reply = count_reply, .judge = post_judge};

static void test_post_and_judge(void **state)
{
    struct driven d;

    (void)state;
    assert_true(begin(&d, &poster, 1, "{}"));
    const struct fetch_exchange *x = fetch_task_exchange(d.task);
    assert_string_equal(x->method, "POST");
    assert_string_equal(x->url, "https://x.org/api/query");
    assert_int_equal(x->body_len, 2);
    assert_memory_equal(x->body, "{}", 2);
    assert_string_equal(x->headers[0].value, "application/json");
    assert_false(answer(&d, 404, "{\"n\":1}"));
    ends_as(&d, FETCH_OUTCOME_OK, "");
    assert_true(begin(&d, &poster, 1, "{}"));
    assert_false(answer(&d, 429, ""));
    ends_as(&d, FETCH_OUTCOME_WAITING, "limit");
}

static const struct fetch_connector sql = {
    .label = "Sql", .wire = FETCH_POSTGRES, .start = wrong_wire_start, .reply = count_reply};

static void test_sql(void **state)
{
    struct driven d;

    (void)state;
    assert_true(begin(&d, &sql, 1, "{}"));
    assert_int_equal(fetch_task_exchange(d.task)->wire, FETCH_POSTGRES);
    assert_string_equal(fetch_task_exchange(d.task)->statement, "select 1");
    end(&d);
}

/* ---- budgets ---- */

static const struct fetch_budget budgets[] = {{.requests = 9, .seconds = 1},
                                              {.name = "core", .requests = 9, .seconds = 60},
                                              {.name = "search", .requests = 3, .seconds = 60},
                                              {0}};

static enum gs_rc search_start(struct fetch_task *t)
{
    enum gs_rc rc;

    fetch_base(t, "https://api.example.com/");
    rc = fetch_get(t, "/search");
    fetch_spend(t, "search");
    return rc;
}

static enum gs_rc plain_start(struct fetch_task *t)
{
    fetch_base(t, "https://api.example.com/");
    return fetch_get(t, "/items");
}

static enum gs_rc unknown_start(struct fetch_task *t)
{
    enum gs_rc rc = plain_start(t);

    fetch_spend(t, "mystery");
    return rc;
}

static const char *no_budget_left(const struct fetch_reply *r, const char *name)
{
    return !strcasecmp(name, "x-ratelimit-remaining") ? "0" : r->data && !strcasecmp(name, "retry-after") ? "30" : NULL;
}

/* Which budget a refusal is about; null: all of the account's. */
static const char *used_up_after(const struct fetch_connector *c, const void *retry_after)
{
    const struct fetch_reply r = {.status = 403, .body = "", .header = no_budget_left, .data = retry_after};
    struct driven d;
    const char *used_up;

    assert_true(begin(&d, c, 1, "{}"));
    assert_false(fetch_task_reply(d.task, &r));
    used_up = fetch_task_used_up(d.task);
    ends_as(&d, FETCH_OUTCOME_WAITING, "limit");
    return used_up;
}

static void test_budgets(void **state)
{
    const struct fetch_connector search = {.label = "Search", .budgets = budgets, .start = search_start},
                                 plain = {.label = "Plain", .budgets = budgets, .start = plain_start},
                                 unknown = {.label = "Unknown", .budgets = budgets, .start = unknown_start},
                                 none = {.label = "None", .start = plain_start};
    struct driven d;

    (void)state;
    assert_true(begin(&d, &search, 1, "{}"));
    assert_string_equal(fetch_task_exchange(d.task)->budget, "search");
    end(&d);
    assert_true(begin(&d, &plain, 1, "{}"));
    assert_string_equal(fetch_task_exchange(d.task)->budget, "core");
    end(&d);
    assert_true(begin(&d, &none, 1, "{}"));
    assert_null(fetch_task_exchange(d.task)->budget);
    end(&d);
    assert_false(begin(&d, &unknown, 1, "{}"));
    ends_as(&d, FETCH_OUTCOME_REJECTED, "budget");
    assert_string_equal(used_up_after(&search, NULL), "search");
    assert_string_equal(used_up_after(&plain, NULL), "core");
    assert_null(used_up_after(&search, "all must wait"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_statuses_and_bodies),
        cmocka_unit_test(test_dangerous_segments),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_endless_pages),
        cmocka_unit_test(test_foreign_pages),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_forgotten_and_doubled),
        cmocka_unit_test(test_misbehaviour),
        cmocka_unit_test(test_post_and_judge),
        cmocka_unit_test(test_sql),
        cmocka_unit_test(test_budgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
