/* Small additions to libuv. */
#ifndef GS_LOOP_H
#define GS_LOOP_H

#include <stdint.h>
#include <uv.h>

/* A timer that belongs to the caller: gs_timer_free() may be called from inside its own callback. */
struct gs_timer;
struct gs_timer *gs_timer_new(uv_loop_t *loop, void (*fn)(void *arg), void *arg);
void gs_timer_start(struct gs_timer *t, int64_t delay_us, int64_t repeat_us); /* restarts; repeat 0: once */
void gs_timer_stop(struct gs_timer *t);
struct gs_timer *gs_timer_free(struct gs_timer *t);

/* Runs fn once, after the current callbacks of the loop: the way out of "never free the object you were called for". */
void gs_defer(uv_loop_t *loop, void (*fn)(void *arg), void *arg);

/* Watches a file descriptor that another library owns. events: UV_READABLE | UV_WRITABLE; 0 pauses. Freed handles never
 * call back. */
struct gs_watch;
struct gs_watch *gs_watch_new(uv_loop_t *loop, int fd, void (*fn)(void *arg, int events), void *arg);
void gs_watch_set(struct gs_watch *w, int events);
struct gs_watch *gs_watch_free(struct gs_watch *w);

#endif
