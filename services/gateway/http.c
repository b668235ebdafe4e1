/* The HTTP server: connections, requests as they come in, answers as they go out. Requests are looked at here only as
 * far as it takes to refuse what no operation should see; the rest is done by workers, while the connection sleeps. */
#include "common/address.h"
#include "common/clock.h"
#include "common/event.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/http_private.h"
#include "services/gateway/limit.h"
#include "services/gateway/settings.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_BYTES 32768 /* of memory: the request line and all headers must fit */
#define BACKLOG          1024
#define SENT_WITHIN_US   1000000 /* of the end: what was answered until then */

struct gw_http {
    struct gw_server *server;
    struct MHD_Daemon *daemon;
    struct gw_connections *connections;
    char address[80];
};

/* ---- a request comes in; all of this runs on libmicrohttpd's thread ---- */

static void *on_target(void *arg, const char *target, struct MHD_Connection *conn)
{
    struct gw_http *h = arg;
    struct gw_call *c = gw_call_new(h->server, target);

    c->conn = conn;
    c->began_us = gs_mono_us();
    atomic_fetch_add(&h->server->in_flight, 1);
    gs_metric_add(h->server->in_flight_gauge, 1);
    gw_connections_carry(conn, c);
    return c;
}

static bool has_body(const struct gw_call *c)
{
    const char *length = gw_call_header(c, "Content-Length");

    return gw_call_header(c, "Transfer-Encoding") || (length && !gs_str_eq(length, "0"));
}

static enum MHD_Result reply(struct gw_http *h, struct gw_call *c)
{
    gw_connections_turn(h->connections, c->conn, GW_SENDING);
    return gw_reply(c);
}

/* Called first when the headers are there, then for each piece of the body, then when the request is whole, and again
 * when a sleeping connection was woken. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct gw_http *h = arg;
    struct gw_call *c = *state;

    (void)url;
    if (!c->method) {
        gw_request_read(c, method, version);
        /* Who wants to send a body that will not be read is told before. */
        return c->refused && has_body(c) ? reply(h, c) : MHD_YES;
    }
    if (*upload_size) {
        size_t len = *upload_size;
        *upload_size = 0;
        return gw_request_body(c, upload, len) ? MHD_YES : MHD_NO;
    }
    if (c->queued)
        return reply(h, c);
    gw_request_whole(c);
    if (c->refused)
        return reply(h, c);
    c->queued = true;
    gw_connections_turn(h->connections, conn, GW_WORKING);
    MHD_suspend_connection(conn);
    const enum gw_room room = gw_pool_put(h->server->pool, c);
    if (room == GW_ROOM)
        return MHD_YES;
    /* It comes back here at once, as if a worker had answered. */
    gw_refuse(c, 503, "busy", "Too many requests %swait already; try again", room == GW_FULL ? "" : "of yours ");
    gw_http_resume(c);
    return MHD_YES;
}

void gw_http_over(struct gw_call *c)
{
    struct gw_server *s = c->server;

    gs_metric_add(s->in_flight_gauge, -1);
    gw_call_unref(c);
    pthread_mutex_lock(&s->over_mutex);
    if (atomic_fetch_sub(&s->in_flight, 1) == 1)
        pthread_cond_broadcast(&s->over);
    pthread_mutex_unlock(&s->over_mutex);
}

static void on_completed(void *arg, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode why)
{
    struct gw_http *h = arg;
    struct gw_call *c = *state;

    (void)why;
    if (!c)
        return;
    gw_connections_carry(conn, NULL);
    gw_connections_turn(h->connections, conn, GW_RECEIVING);
    *state = NULL;
    gw_http_over(c);
}

void gw_http_resume(struct gw_call *c)
{
    int running = GW_RUNNING;

    if (atomic_compare_exchange_strong(&c->stage, &running, GW_FINISHED))
        MHD_resume_connection(c->conn);
}

/* ---- the daemon ---- */

static size_t no_unescape(void *arg, struct MHD_Connection *conn, char *s)
{
    (void)arg, (void)conn;
    return strlen(s); /* the target is read as it was sent */
}

static void on_message(void *arg, const char *fmt, va_list ap)
{
    const struct gs_log_ctx ctx = {.topic = "http"};
    char text[256];

    (void)arg;
    vsnprintf(text, sizeof(text), fmt, ap);
    gs_log_debug(&ctx, "libmicrohttpd", "text=\"%.*s\"", (int)strcspn(text, "\n"), text);
}

/* Before the socket is handed over, so that the address is known and mistakes are told. */
static int listen_at(const char *address, char ret[80], struct gs_err *err)
{
    struct sockaddr_storage a;
    int on = 1, fd;

    if (!gs_address_parse(address, &a)) {
        gs_fail(err, GS_REJECT,
                "GOALSYNC_GATEWAY_LISTEN is not an address and a port, like 127.0.0.1:8080 or [::1]:8080");
        return -1;
    }
    fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    socklen_t len = a.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, BACKLOG) == 0) {
        gs_address_of(fd, ret);
        return fd;
    }
    gs_fail(err, GS_REJECT, "cannot listen at %s: %s; choose another address by GOALSYNC_GATEWAY_LISTEN", address,
            strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

struct gw_http *gw_http_new(struct gw_server *server, struct gs_err *err)
{
    struct gw_http *h = gs_alloc(sizeof(*h));
    int fd = listen_at(gw_settings.listen, h->address, err);

    h->server = server;
    if (fd < 0)
        return gw_http_free(h);
    h->connections = gw_connections_new(server->loop);
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)gw_settings.connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)gw_settings.connections_per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(gw_settings.idle_us / 1000000), MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, h, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, gw_connections_note, h->connections,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (h->daemon)
        return h;
    close(fd);
    gs_fail(err, GS_FATAL, "the HTTP server at %s does not start", h->address);
    return gw_http_free(h);
}

const char *gw_http_address(const struct gw_http *h)
{
    return h->address;
}

void gw_http_drain(struct gw_http *h)
{
    int fd = MHD_quiesce_daemon(h->daemon);

    if (fd >= 0)
        close(fd);
}

/* libmicrohttpd ends connections whose answers it was given, but did not send yet. */
static void wait_for_answers(struct gw_server *s)
{
    int64_t until_us = gs_mono_us() + SENT_WITHIN_US;
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    int rc = 0;

    pthread_mutex_lock(&s->over_mutex);
    while (rc == 0 && atomic_load(&s->in_flight) > 0)
        rc = pthread_cond_clockwait(&s->over, &s->over_mutex, CLOCK_MONOTONIC, &until);
    pthread_mutex_unlock(&s->over_mutex);
}

struct gw_http *gw_http_free(struct gw_http *h)
{
    if (!h)
        return NULL;
    if (h->daemon) {
        wait_for_answers(h->server);
        MHD_stop_daemon(h->daemon);
    }
    gw_connections_free(h->connections);
    free(h);
    return NULL;
}
