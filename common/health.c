/* The probes' HTTP server: libmicrohttpd driven by our loop through its epoll descriptor. */
#include "common/health.h"

#include "common/address.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/str.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS   64
#define MAX_REQUEST_BYTES 8192 /* of memory for a connection: request line and headers must fit */
#define IDLE_SECONDS      10
#define BACKLOG           64
#define MAX_REASONS       4096
#define MAX_METRICS_TEXT  (16 * 1024 * 1024)

struct gs_health {
    struct MHD_Daemon *daemon;
    struct gs_watch *watch;
    struct gs_timer *timer; /* its connections' time-outs, and what it could not finish in a turn */
    void (*ready)(void *arg, struct gs_buf *reasons);
    void *arg;
    char address[GS_ADDRESS_TEXT];
};

/* The body's memory goes over to the reply. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type, struct gs_buf *body)
{
    size_t len = body->len;
    struct MHD_Response *response = MHD_create_response_from_buffer(len, gs_buf_steal(body), MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result rc = MHD_queue_response(c, status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
    struct gs_buf body;
    gs_buf_init(&body, MAX_REASONS);
    gs_buf_puts(&body, text);
    return answer(c, status, "text/plain; charset=utf-8", &body);
}

static enum MHD_Result answer_ready(struct gs_health *h, struct MHD_Connection *c)
{
    struct gs_buf reasons;
    gs_buf_init(&reasons, MAX_REASONS);
    h->ready(h->arg, &reasons);
    if (reasons.len)
        return answer(c, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", &reasons);
    gs_buf_done(&reasons);
    return answer_text(c, MHD_HTTP_OK, "ready\n");
}

static enum MHD_Result answer_metrics(struct MHD_Connection *c)
{
    struct gs_buf text;
    gs_buf_init(&text, MAX_METRICS_TEXT);
    gs_metrics_print(&text);
    return answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static enum MHD_Result answer_path(struct gs_health *h, struct MHD_Connection *c, const char *path)
{
    if (gs_str_eq(path, "/healthz"))
        return answer_text(c, MHD_HTTP_OK, "ok\n");
    if (gs_str_eq(path, "/readyz"))
        return answer_ready(h, c);
    if (gs_str_eq(path, "/metrics"))
        return answer_metrics(c);
    return answer_text(c, MHD_HTTP_NOT_FOUND, "not found\n");
}

/* Called first when the headers are there, then for each piece of a body, then when the request is whole. An answer to
 * the first call ends the connection, which suits methods that may carry a body. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state)
{
    static int seen;
    (void)version, (void)upload;
    if (!gs_str_eq(method, MHD_HTTP_METHOD_GET) && !gs_str_eq(method, MHD_HTTP_METHOD_HEAD))
        return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size)
        return MHD_NO; /* nothing here takes a body */
    return answer_path(arg, c, url);
}

static unsigned connections(const struct gs_health *h)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}

static void turn(void *arg)
{
    struct gs_health *h = arg;
    MHD_UNSIGNED_LONG_LONG ms;
    unsigned before = connections(h);
    MHD_run(h->daemon);
    /* When it was full it listens again only in the turn after the one in which a connection ended. */
    if (connections(h) < before)
        gs_timer_start(h->timer, 0, 0);
    else if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
        gs_timer_start(h->timer, (int64_t)ms * 1000, 0);
    else
        gs_timer_stop(h->timer);
}

static void on_event(void *arg, int events)
{
    (void)events;
    turn(arg);
}

/* A listening socket, or -1 with err filled. */
static int listen_at(const char *address, struct gs_err *err)
{
    struct sockaddr_storage a;
    char shown[GS_ADDRESS_TEXT];
    gs_str_clean(shown, sizeof(shown), address, strlen(address));
    if (!gs_address_parse(address, &a)) {
        gs_fail(err, GS_REJECT, "'%s' is not an address and a port to listen at, like 127.0.0.1:9464 or [::1]:9464",
                shown);
        return -1;
    }
    int on = 1, fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    socklen_t len = a.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    gs_fail(err, GS_REJECT, "cannot listen at %s: %s; choose another address", shown, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

struct gs_health *gs_health_new(uv_loop_t *loop, const char *address, void (*ready)(void *arg, struct gs_buf *reasons),
                                void *arg, struct gs_err *err)
{
    int fd = listen_at(address, err);
    if (fd < 0)
        return NULL;
    struct gs_health *h = gs_alloc(sizeof(*h));
    h->ready = ready;
    h->arg = arg;
    gs_address_of(fd, h->address);
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MAX_REQUEST_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        gs_fail(err, GS_FATAL, "the health server at %s does not start", h->address);
        if (!h->daemon)
            close(fd); /* else the daemon's */
        return gs_health_free(h);
    }
    h->timer = gs_timer_new(loop, turn, h);
    h->watch = gs_watch_new(loop, info->epoll_fd, on_event, h);
    gs_watch_set(h->watch, UV_READABLE);
    return h;
}

struct gs_health *gs_health_free(struct gs_health *h)
{
    if (!h)
        return NULL;
    h->watch = gs_watch_free(h->watch); /* before the daemon closes the descriptor */
    h->timer = gs_timer_free(h->timer);
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    free(h);
    return NULL;
}

const char *gs_health_address(const struct gs_health *h)
{
    return h->address;
}
