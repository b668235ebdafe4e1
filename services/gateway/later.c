/* Answers that need somebody else: started on the loop once their transaction is committed, and bounded in time. */
#include "common/clock.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/gateway/private.h"
#include "services/gateway/settings.h"

#include <assert.h>
#include <stdlib.h>

#define LOOK_EVERY_US 500000

int gw_later(struct gw_call *c, void (*start)(void *arg, struct gw_call *c), void *arg, void (*free_arg)(void *arg))
{
    assert(!c->later.start);
    c->later = (struct gw_later){start, arg, free_arg};
    return 0;
}

void gw_finish(struct gw_call *c, int status)
{
    c->status = status;
    c->answered = true;
    if (c->keep_later && gw_pool_put_answered(c->server->pool, c))
        return; /* the reference goes along */
    gw_http_resume(c);
    gw_call_unref(c);
}

/* ---- the loop's side ---- */

static void give_up(struct gw_call *c)
{
    int running = GW_RUNNING;

    if (atomic_compare_exchange_strong(&c->stage, &running, GW_TIMED_OUT))
        MHD_resume_connection(c->conn);
}

/* Lets go of those that are answered, and of those that nobody answers. */
static void look(struct gw_server *s, int64_t now_us)
{
    struct gw_call **at = &s->outstanding;

    while (*at) {
        struct gw_call *c = *at;
        if (now_us >= c->deadline_us)
            give_up(c);
        if (atomic_load(&c->stage) == GW_RUNNING) {
            at = &c->sibling;
            continue;
        }
        *at = c->sibling;
        gw_call_unref(c);
    }
    if (!s->outstanding)
        gs_timer_stop(s->deadline);
}

static void on_deadline(void *arg)
{
    look(arg, gs_mono_us());
}

static struct gw_call *take_all(struct gw_server *s)
{
    struct gw_call *c;

    pthread_mutex_lock(&s->mutex);
    c = s->later;
    s->later = NULL;
    pthread_mutex_unlock(&s->mutex);
    return c;
}

static void on_wake(uv_async_t *handle)
{
    struct gw_server *s = handle->data;
    struct gw_call *next;

    for (struct gw_call *c = take_all(s); c; c = next) {
        next = c->sibling;
        c->sibling = s->outstanding;
        s->outstanding = c;
        c->deadline_us = gs_mono_us() + gw_settings.later_us;
        c->later.start(c->later.arg, c);
    }
    if (s->outstanding)
        gs_timer_start(s->deadline, LOOK_EVERY_US, LOOK_EVERY_US);
}

void gw_server_later(struct gw_call *c)
{
    struct gw_server *s = c->server;

    atomic_fetch_add(&c->refs, 2); /* whoever finishes it, and the list */
    pthread_mutex_lock(&s->mutex);
    c->sibling = s->later;
    s->later = c;
    pthread_mutex_unlock(&s->mutex);
    uv_async_send(s->wake);
}

void gw_later_start(struct gw_server *s)
{
    pthread_mutex_init(&s->mutex, NULL);
    s->wake = gs_alloc(sizeof(*s->wake));
    uv_async_init(s->loop, s->wake, on_wake);
    s->wake->data = s;
    s->deadline = gs_timer_new(s->loop, on_deadline, s);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

void gw_later_stop(struct gw_server *s)
{
    struct gw_call *next;

    for (struct gw_call *c = take_all(s); c; c = next) {
        next = c->sibling;
        give_up(c); /* nobody was asked, so nobody finishes it */
        gw_call_unref(c);
        gw_call_unref(c);
    }
    look(s, INT64_MAX);
    uv_close((uv_handle_t *)s->wake, on_closed);
    s->deadline = gs_timer_free(s->deadline);
    pthread_mutex_destroy(&s->mutex);
}
