/* Timers, deferred calls and foreign file descriptors on a libuv loop. */
#include "common/loop.h"

#include "common/mem.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* A failure here is a mistake of the program or an exhausted kernel: there is nobody who could do better. */
static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "goalsync: %s: %s\n", what, uv_strerror(rc));
    abort();
}

struct gs_timer {
    uv_timer_t handle;
    void (*fn)(void *arg);
    void *arg;
};

static void on_timer(uv_timer_t *handle)
{
    struct gs_timer *t = handle->data;
    t->fn(t->arg);
}

struct gs_timer *gs_timer_new(uv_loop_t *loop, void (*fn)(void *arg), void *arg)
{
    struct gs_timer *t = gs_alloc(sizeof(*t));
    uv_timer_init(loop, &t->handle);
    t->handle.data = t;
    t->fn = fn;
    t->arg = arg;
    return t;
}

static uint64_t to_ms(int64_t us)
{
    return us > 0 ? ((uint64_t)us + 999) / 1000 : 0;
}

void gs_timer_start(struct gs_timer *t, int64_t delay_us, int64_t repeat_us)
{
    /* The loop's own time is that of the turn's start; after a long callback the timer would fire too early. */
    uv_update_time(t->handle.loop);
    must(uv_timer_start(&t->handle, on_timer, to_ms(delay_us), to_ms(repeat_us)), "timer");
}

void gs_timer_stop(struct gs_timer *t)
{
    uv_timer_stop(&t->handle);
}

struct gs_timer *gs_timer_free(struct gs_timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->handle, on_closed);
    return NULL;
}

struct deferred {
    struct deferred *next;
    void (*fn)(void *arg);
    void *arg;
};

/* Exists while a loop has deferred calls. The idle handle keeps the loop from sleeping, the check handle runs the calls
 * once the callbacks of this turn are done. */
struct defer_queue {
    struct defer_queue *next;
    uv_idle_t idle;
    uv_check_t check;
    int open; /* handles */
    struct deferred *first, **last;
};

static _Thread_local struct defer_queue *defer_queues; /* one a loop; a thread runs one or two */

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

static void on_defer_closed(uv_handle_t *handle)
{
    struct defer_queue *q = handle->data;
    if (--q->open == 0)
        free(q);
}

static void defer_queue_close(struct defer_queue *q)
{
    struct defer_queue **at = &defer_queues;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    uv_close((uv_handle_t *)&q->idle, on_defer_closed);
    uv_close((uv_handle_t *)&q->check, on_defer_closed);
}

static void on_check(uv_check_t *handle)
{
    struct defer_queue *q = handle->data;
    struct deferred *d = q->first;
    /* What is deferred from here on belongs to the next turn, or the loop could starve. */
    q->first = NULL;
    q->last = &q->first;
    while (d) {
        struct deferred *next = d->next;
        d->fn(d->arg);
        free(d);
        d = next;
    }
    if (!q->first)
        defer_queue_close(q);
}

static struct defer_queue *defer_queue_of(uv_loop_t *loop)
{
    for (struct defer_queue *q = defer_queues; q; q = q->next) {
        if (q->idle.loop == loop)
            return q;
    }
    struct defer_queue *q = gs_alloc(sizeof(*q));
    q->last = &q->first;
    uv_idle_init(loop, &q->idle);
    uv_check_init(loop, &q->check);
    uv_idle_start(&q->idle, on_idle);
    uv_check_start(&q->check, on_check);
    q->idle.data = q;
    q->check.data = q;
    q->open = 2;
    q->next = defer_queues;
    defer_queues = q;
    return q;
}

void gs_defer(uv_loop_t *loop, void (*fn)(void *arg), void *arg)
{
    struct defer_queue *q = defer_queue_of(loop);
    struct deferred *d = gs_alloc(sizeof(*d));
    d->fn = fn;
    d->arg = arg;
    *q->last = d;
    q->last = &d->next;
}

struct gs_watch {
    uv_poll_t handle;
    void (*fn)(void *arg, int events);
    void *arg;
    int wanted; /* by the owner */
    int armed;  /* in libuv; may hold UV_READABLE more than wanted */
    bool freed;
};

static void on_poll(uv_poll_t *handle, int status, int events);

static void watch_arm(struct gs_watch *w, int events)
{
    if (events)
        must(uv_poll_start(&w->handle, events, on_poll), "watching a file descriptor");
    else
        uv_poll_stop(&w->handle);
    w->armed = events;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct gs_watch *w = handle->data;
    if (status < 0) {
        /* libuv reports an error condition as this and stops; the owner's next read or write says what it is. */
        w->armed = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    int wanted = events & w->wanted;
    if (wanted)
        w->fn(w->arg, wanted);
    if (w->freed)
        return; /* the memory stays until the loop closes the handle */
    if (!wanted || (status < 0 && w->wanted))
        watch_arm(w, w->wanted);
}

struct gs_watch *gs_watch_new(uv_loop_t *loop, int fd, void (*fn)(void *arg, int events), void *arg)
{
    struct gs_watch *w = gs_alloc(sizeof(*w));
    must(uv_poll_init(loop, &w->handle, fd), "adding a file descriptor to the loop");
    w->handle.data = w;
    w->fn = fn;
    w->arg = arg;
    return w;
}

/* libuv pays two system calls for each change, and a pooled connection would change twice a request. So interest in
 * reading is only dropped when something arrives that nobody wants. */
void gs_watch_set(struct gs_watch *w, int events)
{
    w->wanted = events;
    if (events != w->armed && (events | UV_READABLE) != w->armed)
        watch_arm(w, events);
}

struct gs_watch *gs_watch_free(struct gs_watch *w)
{
    if (!w)
        return NULL;
    w->freed = true;
    uv_close((uv_handle_t *)&w->handle, on_closed);
    return NULL;
}
