/* The probes' server over real sockets: paths, methods, readiness, ceilings, and that it lets go of everything. */
#include "common/health.h"

#include "common/loop.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 100 /* connections; more than the server takes, fewer than that and its backlog */

static uv_loop_t loop;
static struct gs_health *health;
static const char *reason;

static void ready(void *arg, struct gs_buf *reasons)
{
    assert_ptr_equal(arg, &loop);
    if (reason)
        gs_buf_puts(reasons, reason);
}

static int set_up(void **state)
{
    struct gs_err err;
    (void)state;
    reason = NULL;
    uv_loop_init(&loop);
    health = gs_health_new(&loop, "127.0.0.1:0", ready, &loop, &err);
    return health ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    health = gs_health_free(health);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

struct client {
    int fd;
    struct gs_watch *watch;
    struct gs_buf reply;
    bool closed;
};

static void on_data(void *arg, int events)
{
    struct client *c = arg;
    char data[4096];
    (void)events;
    ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n > 0)
        gs_buf_append(&c->reply, data, (size_t)n);
    else
        c->closed = true;
}

static void open_client(struct client *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *address = gs_health_address(health);
    assert_true(gs_str_starts(address, "127.0.0.1:"));
    a.sin_port = htons((uint16_t)strtol(address + 10, NULL, 10));
    assert_int_not_equal(a.sin_port, 0);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    gs_buf_init(&c->reply, 1024 * 1024);
    c->closed = false;
    c->watch = gs_watch_new(&loop, c->fd, on_data, c);
    gs_watch_set(c->watch, UV_READABLE);
}

static void close_client(struct client *c)
{
    c->watch = gs_watch_free(c->watch);
    close(c->fd);
    gs_buf_done(&c->reply);
}

static void send_text(const struct client *c, const char *text)
{
    assert_int_equal(send(c->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the server answers to a request on a connection of its own. */
static const char *ask(const char *method, const char *path, const char *more)
{
    static char reply[64 * 1024];
    char request[512];
    struct client c;
    open_client(&c);
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path, more);
    send_text(&c, request);
    while (!c.closed)
        uv_run(&loop, UV_RUN_ONCE);
    snprintf(reply, sizeof(reply), "%s", gs_buf_str(&c.reply));
    close_client(&c);
    return reply;
}

static void paths_and_methods(void **state)
{
    (void)state;
    const char *reply = ask("GET", "/healthz", "");
    assert_true(gs_str_starts(reply, "HTTP/1.1 200 "));
    assert_non_null(strstr(reply, "\r\n\r\nok\n"));
    reply = ask("GET", "/metrics", "");
    assert_true(gs_str_starts(reply, "HTTP/1.1 200 "));
    assert_non_null(strstr(reply, "process_resident_memory_bytes "));
    assert_non_null(strstr(reply, "text/plain; version=0.0.4"));
    reply = ask("HEAD", "/metrics", "");
    assert_true(gs_str_starts(reply, "HTTP/1.1 200 "));
    assert_null(strstr(reply, "process_resident_memory_bytes "));
    assert_true(gs_str_starts(ask("GET", "/", ""), "HTTP/1.1 404 "));
    assert_true(gs_str_starts(ask("GET", "/healthz/", ""), "HTTP/1.1 404 "));
    assert_true(gs_str_starts(ask("POST", "/", "Content-Length: 0\r\n"), "HTTP/1.1 405 "));
    assert_string_equal(ask("GET", "/healthz", "Content-Length: 1\r\n\r\nx"), "");
    reply = ask("POST", "/healthz", "Content-Length: 3\r\n");
    assert_true(gs_str_starts(reply, "HTTP/1.1 405 "));
    assert_non_null(strstr(reply, "Allow: GET, HEAD"));
    assert_true(gs_str_starts(ask("DELETE", "/metrics", ""), "HTTP/1.1 405 "));
    assert_true(gs_str_starts(ask("GET", "/healthz?x=1", ""), "HTTP/1.1 200 "));
}

static void readiness(void **state)
{
    (void)state;
    reason = "postgresql: no connection\n";
    const char *reply = ask("GET", "/readyz", "");
    assert_true(gs_str_starts(reply, "HTTP/1.1 503 "));
    assert_non_null(strstr(reply, "\r\n\r\npostgresql: no connection\n"));
    assert_true(gs_str_starts(ask("GET", "/healthz", ""), "HTTP/1.1 200 "));
    reason = NULL;
    assert_true(gs_str_starts(ask("GET", "/readyz", ""), "HTTP/1.1 200 "));
}

static void connections_are_kept(void **state)
{
    struct client c;
    (void)state;
    open_client(&c);
    for (int i = 0; i < 3; i++) {
        send_text(&c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        while (!c.closed && !strstr(gs_buf_str(&c.reply), "\r\n\r\nok\n"))
            uv_run(&loop, UV_RUN_ONCE);
        assert_false(c.closed);
        gs_buf_clear(&c.reply);
    }
    close_client(&c);
}

static void large_headers_are_refused(void **state)
{
    static char line[20000];
    struct client c;
    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    open_client(&c);
    send_text(&c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ");
    send_text(&c, line);
    while (!c.closed)
        uv_run(&loop, UV_RUN_ONCE);
    assert_false(gs_str_starts(gs_buf_str(&c.reply), "HTTP/1.1 200"));
    close_client(&c);
}

/* Beyond the ceiling connections wait in the kernel's queue until others end. */
static void too_many_connections(void **state)
{
    static struct client clients[MANY];
    struct client *last = &clients[MANY - 1];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        open_client(&clients[i]);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    send_text(last, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 50; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(last->reply.len, 0);
    for (int i = 0; i < MANY - 1; i++)
        close_client(&clients[i]);
    while (last->reply.len == 0 && !last->closed)
        uv_run(&loop, UV_RUN_ONCE);
    assert_true(gs_str_starts(gs_buf_str(&last->reply), "HTTP/1.1 200 "));
    close_client(last);
}

static void bad_addresses(void **state)
{
    static const char *const bad[] = {
        "",       "127.0.0.1", ":80",  "localhost:80",   "127.0.0.1:65536", "127.0.0.1:x", "[::1:80",
        "::1:80", "[]:80",     "[:80", "127.0.0.1:80\n", "1.2.3.4.5:1",     "127.0.0.1:",  "]:80"};
    struct gs_err err;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_null(gs_health_new(&loop, bad[i], ready, &loop, &err));
        assert_int_equal(err.rc, GS_REJECT);
    }
    /* Taken already. */
    assert_null(gs_health_new(&loop, gs_health_address(health), ready, &loop, &err));
    assert_non_null(strstr(err.text, "cannot listen at 127.0.0.1:"));
    struct gs_health *v6 = gs_health_new(&loop, "[::1]:0", ready, &loop, &err);
    if (v6) /* not every machine has it */
        assert_true(gs_str_starts(gs_health_address(v6), "[::1]:"));
    gs_health_free(v6);
    assert_null(gs_health_free(NULL));
}

#define HEALTH_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEALTH_TEST(paths_and_methods),    HEALTH_TEST(readiness),
        HEALTH_TEST(connections_are_kept), HEALTH_TEST(large_headers_are_refused),
        HEALTH_TEST(too_many_connections), HEALTH_TEST(bad_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
