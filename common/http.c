/* libcurl on the loop: multi handles, their sockets and timers, and the calls under way. */
#include "common/http.h"

#include "common/clock.h"
#include "common/http_internal.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char *ca_file;
static int64_t pool_size;

const struct gs_env gs_http_env[] = {
    {"GOALSYNC_CA_FILE", GS_ENV_STRING, &ca_file, "/etc/ssl/certs/ca-certificates.crt", 0, 0,
     "certificates (PEM) that sources are checked against"},
    {"GOALSYNC_HTTP_CONNECTIONS", GS_ENV_INT, &pool_size, "1024", 8, 65536,
     "connections kept open to sources, in each of 8 groups of hosts"},
    GS_ENV_END,
};

/* A multi handle: connections, DNS cache and parsed CA store of a share of the hosts. */
struct gs_http_pool {
    struct gs_http *h;
    CURLM *multi; /* null until used */
    struct gs_timer *timer;
};

/* A connection keeps its watch until it is closed: libcurl drops and takes up its interest with each request. */
struct socket {
    struct gs_http_pool *pool;
    struct gs_watch *watch;
    curl_socket_t fd;
    bool connection; /* libcurl asks us to open and close it; others, of its resolver, come and go without a word */
};

struct gs_http {
    uv_loop_t *loop;
    struct gs_http_pool pools[GS_HTTP_POOLS + GS_HTTP_CA_POOLS];
    struct socket **sockets; /* by file descriptor */
    size_t n_sockets;
    struct gs_http_call *first; /* under way */
    struct gs_http_call *idle;
    size_t in_flight, n_idle;
    bool (*allowed)(void *arg, const struct sockaddr *address); /* null: all are */
    void *allowed_arg;
    int depth; /* of calls into us; memory is freed at 0 */
    bool freed;
};

static void enter(struct gs_http *h)
{
    h->depth++;
}

static void destroy(struct gs_http *h);

static void leave(struct gs_http *h)
{
    if (--h->depth == 0 && h->freed)
        destroy(h);
}

/* ---- calls ---- */

static void link_call(struct gs_http *h, struct gs_http_call *c)
{
    c->prev = NULL;
    c->next = h->first;
    if (h->first)
        h->first->prev = c;
    h->first = c;
    h->in_flight++;
}

static void unlink_call(struct gs_http *h, struct gs_http_call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        h->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    h->in_flight--;
}

static void keep(struct gs_http *h, struct gs_http_call *c)
{
    if (h->n_idle >= GS_HTTP_IDLE_CALLS) {
        gs_http_call_free(c);
        return;
    }
    gs_http_call_clear(c);
    c->next = h->idle;
    h->idle = c;
    h->n_idle++;
}

/* The call has left its multi handle already. */
static void answer(struct gs_http *h, struct gs_http_call *c, struct gs_http_reply *r)
{
    enter(h);
    r->elapsed_us = gs_mono_us() - c->started_us;
    r->call = c;
    c->fn(c->arg, r);
    keep(h, c);
    leave(h);
}

static void complete(struct gs_http *h, struct gs_http_call *c, CURLcode code)
{
    char error[400];
    struct gs_http_reply r = {.error = error, .body = ""};

    r.rc = gs_http_judge(c, code, error, sizeof(error));
    if (r.rc == GS_OK) {
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &r.status);
        r.body = gs_buf_str(&c->body);
        r.len = c->body.len;
    }
    curl_multi_remove_handle(c->pool->multi, c->easy);
    unlink_call(h, c);
    answer(h, c, &r);
}

static void finish_done(struct gs_http_pool *pool)
{
    struct gs_http *h = pool->h;
    CURLMsg *msg;
    int left;

    while (!h->freed && (msg = curl_multi_info_read(pool->multi, &left))) {
        char *private = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
        complete(h, (struct gs_http_call *)(void *)private, msg->data.result);
    }
}

/* ---- libcurl's hooks ---- */

static void act(struct gs_http_pool *pool, curl_socket_t fd, int events)
{
    struct gs_http *h = pool->h;
    int running;

    enter(h);
    curl_multi_socket_action(pool->multi, fd, events, &running);
    finish_done(pool);
    leave(h);
}

static void on_watch(void *arg, int events)
{
    const struct socket *s = arg;

    act(s->pool, s->fd, (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static struct socket *socket_of(struct gs_http *h, curl_socket_t fd)
{
    return (size_t)fd < h->n_sockets ? h->sockets[fd] : NULL;
}

static struct socket *add_socket(struct gs_http *h, curl_socket_t fd, bool connection)
{
    struct socket *s = gs_alloc(sizeof(*s));
    size_t n = h->n_sockets;

    if ((size_t)fd >= n) {
        h->n_sockets = (size_t)fd * 2 + 64;
        h->sockets = gs_realloc_n(h->sockets, h->n_sockets, sizeof(struct socket *));
        memset(h->sockets + n, 0, (h->n_sockets - n) * sizeof(struct socket *));
    }
    s->fd = fd;
    s->connection = connection;
    h->sockets[fd] = s;
    return s;
}

static void drop_socket(struct gs_http *h, curl_socket_t fd)
{
    struct socket *s = socket_of(h, fd);

    if (!s)
        return;
    gs_watch_free(s->watch);
    h->sockets[fd] = NULL;
    free(s);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct gs_http_pool *pool = arg;
    struct socket *s = socket_of(pool->h, fd);

    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (s && s->connection && s->watch)
            gs_watch_set(s->watch, 0);
        else
            drop_socket(pool->h, fd);
        return 0;
    }
    if (!s)
        s = add_socket(pool->h, fd, false);
    if (!s->watch) {
        s->pool = pool;
        s->watch = gs_watch_new(pool->h->loop, fd, on_watch, s);
    }
    gs_watch_set(s->watch, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0));
    return 0;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct gs_http_call *c = arg;
    struct gs_http *h = c->h;

    (void)purpose;
    if (h->allowed && !h->allowed(h->allowed_arg, &address->addr)) {
        c->address_refused = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    if (fd < 0)
        return CURL_SOCKET_BAD;
    drop_socket(h, fd);
    add_socket(h, fd, true);
    return fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
    drop_socket(arg, fd);
    return close(fd);
}

static int on_curl_timer(CURLM *multi, long ms, void *arg)
{
    struct gs_http_pool *pool = arg;

    (void)multi;
    if (ms < 0)
        gs_timer_stop(pool->timer);
    else
        gs_timer_start(pool->timer, (int64_t)ms * 1000, 0);
    return 0;
}

/* ---- pools ---- */

static void open_pool(struct gs_http *h, struct gs_http_pool *pool)
{
    pool->h = h;
    pool->timer = gs_timer_new(h->loop, on_timer, pool);
    pool->multi = curl_multi_init();
    if (!pool->multi)
        abort();
    curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    /* The default shrinks the pool whenever the load falls. */
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)(pool_size > 0 ? pool_size : 1024));
    curl_multi_setopt(pool->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)GS_HTTP_STREAMS);
}

/* A multi handle keeps one parsed CA store; hosts with a file of their own would push the common one out. */
static struct gs_http_pool *pool_for(struct gs_http *h, const struct gs_http_request *req)
{
    struct gs_http_pool *pool;
    size_t i;

    if (req->ca_file)
        i = GS_HTTP_POOLS + gs_hash64(req->ca_file, strlen(req->ca_file), 0) % GS_HTTP_CA_POOLS;
    else
        i = gs_hash64(req->url, gs_http_origin_len(req->url), 0) % GS_HTTP_POOLS;
    pool = &h->pools[i];
    if (!pool->multi)
        open_pool(h, pool);
    return pool;
}

static struct gs_http_call *take_idle(struct gs_http *h)
{
    struct gs_http_call *c = h->idle;

    if (c) {
        h->idle = c->next;
        h->n_idle--;
        return c;
    }
    c = gs_http_call_new(h, ca_file);
    curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(c->easy, CURLOPT_CLOSESOCKETDATA, h);
    return c;
}

/* ---- the owner's side ---- */

struct gs_http *gs_http_new(uv_loop_t *loop, struct gs_err *err)
{
    struct gs_http *h;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        gs_fail(err, GS_FATAL, "libcurl does not start");
        return NULL;
    }
    if (ca_file && access(ca_file, R_OK) != 0) {
        gs_fail(err, GS_REJECT, "GOALSYNC_CA_FILE cannot be read: %s", ca_file);
        curl_global_cleanup();
        return NULL;
    }
    h = gs_alloc(sizeof(*h));
    h->loop = loop;
    return h;
}

void gs_http_allow_addresses(struct gs_http *h, bool (*allowed)(void *arg, const struct sockaddr *address), void *arg)
{
    h->allowed = allowed;
    h->allowed_arg = arg;
}

struct gs_http_call *gs_http_send(struct gs_http *h, const struct gs_http_request *req,
                                  void (*fn)(void *arg, const struct gs_http_reply *r), void *arg, struct gs_err *err)
{
    struct gs_http_call *c;

    if (gs_http_check(req, err) != GS_OK)
        return NULL;
    if (h->freed || h->in_flight >= GS_HTTP_IN_FLIGHT) {
        gs_fail(err, GS_RETRY, "too many requests are under way");
        return NULL;
    }
    c = take_idle(h);
    c->fn = fn;
    c->arg = arg;
    c->started_us = gs_mono_us();
    c->pool = pool_for(h, req);
    gs_http_call_prepare(c, req, ca_file);
    if (curl_multi_add_handle(c->pool->multi, c->easy) != CURLM_OK)
        abort();
    link_call(h, c);
    return c;
}

void gs_http_cancel(struct gs_http_call *c)
{
    struct gs_http *h = c->h;

    curl_multi_remove_handle(c->pool->multi, c->easy);
    unlink_call(h, c);
    keep(h, c);
}

size_t gs_http_in_flight(const struct gs_http *h)
{
    return h->in_flight;
}

static void end_all(struct gs_http *h)
{
    while (h->first) {
        struct gs_http_call *c = h->first;
        struct gs_http_reply r = {.rc = GS_RETRY, .error = "the HTTP client was closed", .body = ""};

        curl_multi_remove_handle(c->pool->multi, c->easy);
        unlink_call(h, c);
        answer(h, c, &r);
    }
}

/* Nothing of libcurl is on the stack any more. Connections are closed by the multi handles, and tell us. */
static void destroy(struct gs_http *h)
{
    while (h->idle) {
        struct gs_http_call *c = h->idle;

        h->idle = c->next;
        gs_http_call_free(c);
    }
    for (size_t i = 0; i < sizeof(h->pools) / sizeof(h->pools[0]); i++) {
        if (h->pools[i].multi)
            curl_multi_cleanup(h->pools[i].multi);
        gs_timer_free(h->pools[i].timer);
    }
    for (size_t fd = 0; fd < h->n_sockets; fd++)
        drop_socket(h, (curl_socket_t)fd);
    free(h->sockets);
    free(h);
    curl_global_cleanup();
}

struct gs_http *gs_http_free(struct gs_http *h)
{
    if (!h || h->freed)
        return NULL;
    enter(h);
    h->freed = true;
    end_all(h);
    leave(h);
    return NULL;
}
