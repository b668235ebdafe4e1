/* common/http.h against a misbehaving fake (http_fake.py, started by tests/unit/with-servers) and nginx for HTTP/2.
 * links: */
#include "common/http.h"
#include "common/loop.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_US 20000000

struct fixture {
    uv_loop_t loop;
    struct gs_http *http;
    struct gs_timer *patience;
    const char *plain, *tls, *ca;
    struct gs_http_request req;
    char url[9000];
    int answers;
    enum gs_rc rc;
    long status;
    char error[400], body[4096], header[100];
    const char *wanted_header;
    bool no_header;
    size_t len;
    long max_number; /* in the wanted header */
};

static void on_patience(void *arg)
{
    (void)arg;
    fail_msg("nothing happened for %d s", PATIENCE_US / 1000000);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct gs_err err;

    uv_loop_init(&f->loop);
    f->plain = getenv("GOALSYNC_TEST_HTTP_URL");
    f->tls = getenv("GOALSYNC_TEST_HTTPS_URL");
    f->ca = getenv("GOALSYNC_TEST_CA_FILE");
    f->http = gs_http_new(&f->loop, &err);
    f->patience = gs_timer_new(&f->loop, on_patience, NULL);
    f->req = (struct gs_http_request){.method = "GET",
                                      .url = f->url,
                                      .timeout_us = 5000000,
                                      .connect_timeout_us = 2000000,
                                      .max_body = 100000,
                                      .allow_plain = true,
                                      .ca_file = f->ca};
    *state = f;
    return f->http ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    f->http = gs_http_free(f->http);
    f->patience = gs_timer_free(f->patience);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) != 0)
        ; /* a uv_stop() may be left over */
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

#define NEED_SERVER(f)                                                                                                 \
    do {                                                                                                               \
        if (!(f)->plain) {                                                                                             \
            print_message("SKIPPED: GOALSYNC_TEST_HTTP_URL is not set; run tests/unit/with-servers\n");                \
            skip();                                                                                                    \
        }                                                                                                              \
    } while (0)

/* A loop turn runs timers before it waits, so what a callback did must stop the wait: uv_stop(). */
#define RUN_UNTIL(f, condition)                                                                                        \
    do {                                                                                                               \
        gs_timer_start((f)->patience, PATIENCE_US, 0);                                                                 \
        while (!(condition))                                                                                           \
            uv_run(&(f)->loop, UV_RUN_ONCE);                                                                           \
        gs_timer_stop((f)->patience);                                                                                  \
    } while (0)

static void on_reply(void *arg, const struct gs_http_reply *r)
{
    struct fixture *f = arg;
    const char *header = f->wanted_header ? gs_http_reply_header(r, f->wanted_header) : NULL;

    f->answers++;
    uv_stop(&f->loop);
    f->rc = r->rc;
    f->status = r->status;
    f->len = r->len;
    snprintf(f->error, sizeof(f->error), "%s", r->error);
    snprintf(f->body, sizeof(f->body), "%s", r->body);
    snprintf(f->header, sizeof(f->header), "%s", header ? header : "");
    f->no_header = !header;
    if (header && atol(header) > f->max_number)
        f->max_number = atol(header);
}

static struct gs_http_call *send_request(struct fixture *f, const char *base, const char *path)
{
    struct gs_err err;
    struct gs_http_call *c;

    snprintf(f->url, sizeof(f->url), "%s%s", base, path);
    c = gs_http_send(f->http, &f->req, on_reply, f, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static void exchange(struct fixture *f, const char *base, const char *path)
{
    int before = f->answers;

    send_request(f, base, path);
    assert_int_equal(f->answers, before); /* never from inside */
    RUN_UNTIL(f, f->answers == before + 1);
}

static void expect_failure(struct fixture *f, const char *path, enum gs_rc rc, const char *words)
{
    exchange(f, f->plain, path);
    assert_int_equal(f->rc, rc);
    assert_int_equal(f->len, 0);
    if (!strstr(f->error, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", path, f->error, words);
}

/* ---- what goes out ---- */

static void test_request(void **state)
{
    struct fixture *f = *state;
    const struct gs_http_header headers[] = {{"Authorization", "Bearer canary"}, {"X-Nothing", ""}};

    NEED_SERVER(f);
    f->req.headers = headers;
    f->req.n_headers = 2;
    f->wanted_header = "X-FIRST";
    exchange(f, f->tls, "/echo");
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->header, "last wins");
    assert_memory_equal(f->body, "GET /echo HTTP/1.1\r\n", 20);
    assert_non_null(strstr(f->body, "\r\nAuthorization: Bearer canary\r\n"));
    assert_non_null(strstr(f->body, "\r\nX-Nothing:\r\n"));
    assert_non_null(strstr(f->body, "\r\nUser-Agent: goalsync/"));
    assert_int_equal(strlen(f->body), f->len);
    f->wanted_header = "X-Empty";
    f->req.n_headers = 0;
    exchange(f, f->tls, "/echo");
    assert_false(f->no_header);
    assert_string_equal(f->header, "");
    assert_null(strstr(f->body, "canary")); /* on the same connection, nothing of the request before is left */
    assert_null(strstr(f->body, "of-another"));
    f->wanted_header = "X-Firs";
    exchange(f, f->tls, "/echo");
    assert_true(f->no_header);
}

/* One easy handle asks for them in turn: each is sent as if it were the first, whatever was asked for before. */
static void test_addresses(void **state)
{
    static const struct {
        const char *path, *sent;
    } asked[] = {
        {"/echo", "/echo"},
        {"/a/echo?page=2&of=%2F", "/a/echo?page=2&of=%2F"},
        {"/a/echo", "/a/echo"}, /* without the query of before */
        {"/a%2Fb/%c3%a9/echo?", "/a%2Fb/%c3%a9/echo?"},
        {"/b/echo?q=1", "/b/echo?q=1"},
        {"/b/../c/./echo", "/c/echo"},
        {"/echo?q=/../#part", "/echo?q=/../"},
        {"/echo?q=a?b", "/echo?q=a?b"},
        {"/\xc3\xa9/echo", "/%c3%a9/echo"},
        {"/.well-known/echo", "/.well-known/echo"},
    };
    struct fixture *f = *state;

    NEED_SERVER(f);
    for (size_t i = 0; i < 4 * sizeof asked / sizeof asked[0]; i++) {
        size_t at = i % (sizeof asked / sizeof asked[0]);
        char line[128];

        snprintf(line, sizeof line, "GET %s HTTP/1.1\r\n", asked[at].sent);
        exchange(f, i / 3 % 2 ? f->plain : f->tls, asked[at].path);
        assert_int_equal(f->rc, GS_OK);
        if (!gs_str_starts(f->body, line))
            fail_msg("asked for %s, sent %.60s", asked[at].path, f->body);
        const char *encodings = strstr(f->body, "\r\nAccept-Encoding: gzip, deflate\r\n");
        assert_non_null(encodings);
        assert_null(strstr(encodings + 4, "Accept-Encoding"));
    }
}

/* One easy handle serves them all in turn. */
static void test_methods(void **state)
{
    struct fixture *f = *state;
    const struct gs_http_header json = {"Content-Type", "application/json"};

    NEED_SERVER(f);
    f->req.method = "POST";
    f->req.body = "{\"a\":1}";
    f->req.body_len = 7;
    f->req.headers = &json;
    f->req.n_headers = 1;
    exchange(f, f->plain, "/echo");
    assert_memory_equal(f->body, "POST /echo HTTP/1.1\r\n", 21);
    assert_non_null(strstr(f->body, "\r\nContent-Type: application/json\r\n"));
    assert_null(strstr(f->body, "urlencoded"));
    assert_string_equal(f->body + f->len - 7, "{\"a\":1}");
    f->req.method = "PUT";
    exchange(f, f->plain, "/echo");
    assert_memory_equal(f->body, "PUT /echo HTTP/1.1\r\n", 20);
    f->req.method = "GET";
    f->req.body_len = 0;
    f->req.n_headers = 0;
    exchange(f, f->plain, "/echo");
    assert_memory_equal(f->body, "GET /echo HTTP/1.1\r\n", 20);
    assert_null(strstr(f->body, "Content-"));
    f->req.method = "DELETE";
    exchange(f, f->plain, "/echo");
    assert_memory_equal(f->body, "DELETE /echo HTTP/1.1\r\n", 23);
    f->req.method = "POST";
    exchange(f, f->plain, "/echo");
    assert_memory_equal(f->body, "POST /echo HTTP/1.1\r\n", 21);
    assert_non_null(strstr(f->body, "\r\nContent-Length: 0\r\n"));
}

static void expect_refused(struct fixture *f, const char *words)
{
    struct gs_err err;

    assert_null(gs_http_send(f->http, &f->req, on_reply, f, &err));
    assert_int_equal(err.rc, GS_REJECT);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void test_refused_requests(void **state)
{
    struct fixture *f = *state;
    struct gs_http_header header = {"X-Good", "a\r\nX-Evil: 1"};
    struct gs_http_header many[GS_HTTP_HEADERS_MAX + 1];

    f->req.url = "ftp://example.com/";
    expect_refused(f, "https://");
    f->req.url = "file:///etc/passwd";
    expect_refused(f, "https://");
    f->req.url = "https:///path";
    expect_refused(f, "no host");
    f->req.url = "https://example.com/a b";
    expect_refused(f, "space");
    f->req.url = "https://example.com/\r\nX: y";
    expect_refused(f, "control");
    f->req.url = "http://example.com/";
    f->req.allow_plain = false;
    expect_refused(f, "http://");
    memset(f->url, 'a', sizeof(f->url) - 1);
    memcpy(f->url, "https://", 8);
    f->req.url = f->url;
    expect_refused(f, "longer than");
    f->req.url = "https://example.com/";
    f->req.headers = &header;
    f->req.n_headers = 1;
    expect_refused(f, "control character");
    header = (struct gs_http_header){"X Bad:", "a"};
    expect_refused(f, "characters that names must not have");
    for (size_t i = 0; i < GS_HTTP_HEADERS_MAX + 1; i++)
        many[i] = (struct gs_http_header){"X-A", "b"};
    f->req.headers = many;
    f->req.n_headers = GS_HTTP_HEADERS_MAX + 1;
    expect_refused(f, "more than 16");
    f->req.n_headers = 0;
    f->req.method = "GET /x";
    expect_refused(f, "method");
    assert_int_equal(gs_http_in_flight(f->http), 0);
}

/* ---- what comes back ---- */

static void test_broken_answers(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    expect_failure(f, "/cut", GS_RETRY, "cut off");
    expect_failure(f, "/nothing", GS_RETRY, "cut off");
    expect_failure(f, "/garbage", GS_RETRY, "not HTTP");
    expect_failure(f, "/badgzip", GS_RETRY, "decompress");
    expect_failure(f, "/endless", GS_REJECT, "more than 100000 bytes");
    expect_failure(f, "/bomb", GS_REJECT, "more than 100000 bytes");
    expect_failure(f, "/large", GS_REJECT, "more than 100000 bytes");
    f->req.cut_body = true;
    exchange(f, f->plain, "/endless"); /* by wish no failure: status and beginning are there */
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->status, 200);
    expect_failure(f, "/cut", GS_RETRY, "cut off");
    f->req.cut_body = false;
    expect_failure(f, "/endless", GS_REJECT, "more than 100000 bytes");
    expect_failure(f, "/flood", GS_REJECT, "headers of more than");
    f->req.timeout_us = 300000;
    expect_failure(f, "/drip", GS_RETRY, "while reading its answer");
    expect_failure(f, "/silent", GS_RETRY, "while waiting for its answer");
    exchange(f, f->plain, "/echo"); /* nothing of that is left behind */
    assert_int_equal(f->rc, GS_OK);
}

static void test_good_answers(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    f->wanted_header = "Location";
    exchange(f, f->plain, "/redirect");
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->status, 302);
    assert_string_equal(f->header, "/echo");
    assert_string_equal(f->body, "elsewhere");
    exchange(f, f->plain, "/status");
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->status, 503);
    assert_string_equal(f->body, "");
    exchange(f, f->plain, "/gzip");
    assert_int_equal(f->len, 600);
    f->wanted_header = "X-Hint";
    exchange(f, f->plain, "/continue");
    assert_string_equal(f->header, "final");
    f->wanted_header = "X-Part";
    exchange(f, f->plain, "/trailers");
    assert_string_equal(f->header, "head");
    f->req.max_body = 1000000;
    exchange(f, f->plain, "/large");
    assert_int_equal(f->len, 1000000);
}

static void test_trust(void **state)
{
    struct fixture *f = *state;
    char by_ip[64];

    NEED_SERVER(f);
    exchange(f, f->tls, "/echo");
    assert_int_equal(f->rc, GS_OK);
    snprintf(by_ip, sizeof(by_ip), "https://127.0.0.1%s", strrchr(f->tls, ':'));
    exchange(f, by_ip, "/echo");
    assert_int_equal(f->rc, GS_RETRY);
    assert_non_null(strstr(f->error, "the certificate of 127.0.0.1"));
    f->req.ca_file = getenv("GOALSYNC_TEST_WRONG_CA_FILE");
    exchange(f, f->tls, "/echo"); /* not over the connection that the right CA made */
    assert_int_equal(f->rc, GS_RETRY);
    assert_non_null(strstr(f->error, "certificate"));
    f->req.ca_file = "/nonexistent";
    exchange(f, f->tls, "/echo");
    assert_int_equal(f->rc, GS_RETRY);
    assert_non_null(strstr(f->error, "CA file"));
    f->req.ca_file = f->ca;
    exchange(f, f->tls, "/echo");
    assert_int_equal(f->rc, GS_OK);
    snprintf(by_ip, sizeof(by_ip), "https://127.0.0.1%s", strrchr(f->plain, ':'));
    exchange(f, by_ip, "/echo");
    assert_int_equal(f->rc, GS_RETRY);
    assert_non_null(strstr(f->error, "no TLS with"));
}

static void test_no_connection(void **state)
{
    struct fixture *f = *state;

    f->req.ca_file = NULL;
    exchange(f, "http://127.0.0.1:1", "/?token=canary");
    assert_int_equal(f->rc, GS_RETRY);
    assert_non_null(strstr(f->error, "no connection to 127.0.0.1:1"));
    assert_null(strstr(f->error, "canary"));
    exchange(f, "http://no-such-host.invalid", "/");
    assert_int_equal(f->rc, GS_RETRY);
    assert_non_null(strstr(f->error, "DNS"));
    exchange(f, "http://user:canary@127.0.0.1:1", "/");
    assert_int_equal(f->rc, GS_REJECT);
    assert_null(strstr(f->error, "canary"));
}

/* ---- owners that act inside callbacks, many at once ---- */

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    struct gs_http_call *c;

    NEED_SERVER(f);
    c = send_request(f, f->plain, "/silent");
    exchange(f, f->plain, "/echo");
    assert_int_equal(gs_http_in_flight(f->http), 1);
    gs_http_cancel(c);
    assert_int_equal(gs_http_in_flight(f->http), 0);
    exchange(f, f->plain, "/echo");
    assert_int_equal(f->answers, 2);
}

static void on_reply_then_free(void *arg, const struct gs_http_reply *r)
{
    struct fixture *f = arg;

    on_reply(arg, r);
    f->http = gs_http_free(f->http);
}

static void test_free_in_callback(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    send_request(f, f->plain, "/silent");
    send_request(f, f->plain, "/silent");
    snprintf(f->url, sizeof(f->url), "%s/echo", f->plain);
    assert_non_null(gs_http_send(f->http, &f->req, on_reply_then_free, f, NULL));
    RUN_UNTIL(f, f->answers == 3);
    assert_int_equal(f->rc, GS_RETRY);
    assert_string_equal(f->error, "the HTTP client was closed");
}

static void on_reply_then_send(void *arg, const struct gs_http_reply *r)
{
    struct fixture *f = arg;

    on_reply(arg, r);
    assert_int_equal(r->rc, GS_OK);
    assert_int_equal(r->status, 200);
    if (f->answers <= 1000)
        assert_non_null(gs_http_send(f->http, &f->req, on_reply_then_send, f, NULL));
}

static void test_many(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    snprintf(f->url, sizeof(f->url), "%s/echo", f->tls);
    for (int i = 0; i < 32; i++)
        assert_non_null(gs_http_send(f->http, &f->req, on_reply_then_send, f, NULL));
    RUN_UNTIL(f, gs_http_in_flight(f->http) == 0);
    assert_int_equal(f->answers, 1032);
}

static void test_http2(void **state)
{
    struct fixture *f = *state;
    const char *url = getenv("GOALSYNC_TEST_H2_URL");

    NEED_SERVER(f);
    f->wanted_header = "X-Connection";
    exchange(f, url, "/");
    assert_int_equal(f->rc, GS_OK);
    assert_string_equal(f->body, "HTTP/2.0");
    for (int i = 0; i < 50; i++)
        send_request(f, url, "/");
    RUN_UNTIL(f, f->answers == 51);
    assert_int_equal(f->max_number, 51); /* all of them on one connection */
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_refused_requests), TEST(test_no_connection),    TEST(test_request),      TEST(test_addresses),
        TEST(test_methods),          TEST(test_broken_answers),   TEST(test_good_answers), TEST(test_trust),
        TEST(test_cancel),           TEST(test_free_in_callback), TEST(test_many),         TEST(test_http2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
