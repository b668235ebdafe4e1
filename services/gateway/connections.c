/* Time for clients: who sends a request byte by byte, or takes an answer so, has its connection ended, and so has who
 * went away in the middle of a request. libmicrohttpd's own time-out sees silence only, and late. */
#include "common/clock.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/gateway/http_private.h"
#include "services/gateway/settings.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LOOK_EVERY_US 500000

struct gw_connection {
    struct gw_connection *next, **at; /* at: what points here */
    int fd;
    enum gw_turn turn;
    int64_t since_us;     /* that it is so */
    int gone;             /* looks in a row at which the client would send nothing more */
    struct gw_call *call; /* that came by it and is not over; libmicrohttpd's thread's own */
};

struct gw_connections {
    pthread_mutex_t mutex;
    struct gw_connection *first;
    struct gs_timer *timer;
};

/* The second look tells a request that is whole, but not read yet, from one that never will be. */
static bool is_gone(struct gw_connection *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

    if (c->turn != GW_RECEIVING || poll(&p, 1, 0) != 1 || !(p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
        c->gone = 0;
    else
        c->gone++;
    return c->gone > 1;
}

/* Only shut: libmicrohttpd closes, and tells us before. */
static void look(void *arg)
{
    struct gw_connections *all = arg;
    int64_t now_us = gs_mono_us();

    pthread_mutex_lock(&all->mutex);
    for (struct gw_connection *c = all->first; c; c = c->next)
        if (is_gone(c) || (c->turn != GW_WORKING && now_us - c->since_us > gw_settings.request_us))
            shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&all->mutex);
}

struct gw_connections *gw_connections_new(uv_loop_t *loop)
{
    struct gw_connections *all = gs_alloc(sizeof(*all));

    pthread_mutex_init(&all->mutex, NULL);
    all->timer = gs_timer_new(loop, look, all);
    gs_timer_start(all->timer, LOOK_EVERY_US, LOOK_EVERY_US);
    return all;
}

struct gw_connections *gw_connections_free(struct gw_connections *all)
{
    if (!all)
        return NULL;
    gs_timer_free(all->timer);
    pthread_mutex_destroy(&all->mutex);
    free(all);
    return NULL;
}

static void add(struct gw_connections *all, struct gw_connection *c)
{
    pthread_mutex_lock(&all->mutex);
    c->next = all->first;
    c->at = &all->first;
    if (c->next)
        c->next->at = &c->next;
    all->first = c;
    pthread_mutex_unlock(&all->mutex);
}

static void drop(struct gw_connections *all, struct gw_connection *c)
{
    pthread_mutex_lock(&all->mutex);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    pthread_mutex_unlock(&all->mutex);
    free(c);
}

void gw_connections_note(void *arg, struct MHD_Connection *conn, void **socket_context,
                         enum MHD_ConnectionNotificationCode what)
{
    struct gw_connections *all = arg;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        struct gw_connection *c = gs_alloc(sizeof(*c));
        c->fd = info->connect_fd;
        c->since_us = gs_mono_us();
        add(all, c);
        *socket_context = c;
    } else if (*socket_context) {
        struct gw_connection *c = *socket_context;
        /* A request that libmicrohttpd refuses for want of memory never ends otherwise. */
        if (c->call)
            gw_http_over(c->call);
        drop(all, c);
        *socket_context = NULL;
    }
}

static struct gw_connection *connection_of(struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

void gw_connections_carry(struct MHD_Connection *conn, struct gw_call *call)
{
    struct gw_connection *c = connection_of(conn);

    if (c)
        c->call = call;
}

void gw_connections_turn(struct gw_connections *all, struct MHD_Connection *conn, enum gw_turn turn)
{
    struct gw_connection *c = connection_of(conn);

    if (!c)
        return;
    pthread_mutex_lock(&all->mutex);
    c->turn = turn;
    c->since_us = gs_mono_us();
    pthread_mutex_unlock(&all->mutex);
}
