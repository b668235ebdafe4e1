/* Timers, deferred calls and watched descriptors on a loop: what is called, when, and that nothing is called after
 * free. */
#include "common/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static uv_loop_t loop;
static int calls, order[16];

static int set_up(void **state)
{
    (void)state;
    calls = 0;
    return uv_loop_init(&loop);
}

/* Everything must have been closed. */
static int tear_down(void **state)
{
    (void)state;
    return uv_loop_close(&loop);
}

static struct gs_timer *timer;

static void count_to_three(void *arg)
{
    assert_ptr_equal(arg, &calls);
    if (++calls == 3)
        timer = gs_timer_free(timer); /* inside its own callback */
}

static void timers_repeat_until_freed(void **state)
{
    (void)state;
    timer = gs_timer_new(&loop, count_to_three, &calls);
    gs_timer_start(timer, 1, 1000);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(calls, 3);
}

static void must_not_run(void *arg)
{
    (void)arg;
    fail();
}

static void stopped_timers_do_not_run(void **state)
{
    (void)state;
    struct gs_timer *stopped = gs_timer_new(&loop, must_not_run, NULL),
                    *freed = gs_timer_new(&loop, must_not_run, NULL);
    gs_timer_start(stopped, 0, 0);
    gs_timer_start(freed, 0, 0);
    gs_timer_stop(stopped);
    gs_timer_free(freed);
    uv_run(&loop, UV_RUN_DEFAULT);
    gs_timer_free(stopped);
    assert_null(gs_timer_free(NULL));
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void note(void *arg)
{
    order[calls++] = (int)(intptr_t)arg;
}

static void defer_two_more(void *arg)
{
    note(arg);
    gs_defer(&loop, note, (void *)3);
    gs_defer(&loop, note, (void *)4);
}

static void deferred_calls_keep_their_order(void **state)
{
    (void)state;
    gs_defer(&loop, defer_two_more, (void *)1);
    gs_defer(&loop, note, (void *)2);
    assert_int_equal(calls, 0); /* never from inside gs_defer() */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(calls, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(order[i], i + 1);
}

static void defer_from_timer(void *arg)
{
    gs_defer(&loop, note, arg);
    timer = gs_timer_free(timer);
    /* This one would let the loop sleep for an hour. */
    timer = gs_timer_new(&loop, must_not_run, NULL);
    gs_timer_start(timer, INT64_C(3600000000), 0);
}

static void deferred_calls_do_not_wait(void **state)
{
    (void)state;
    timer = gs_timer_new(&loop, defer_from_timer, (void *)7);
    gs_timer_start(timer, 0, 0);
    while (calls == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(order[0], 7);
    timer = gs_timer_free(timer);
    uv_run(&loop, UV_RUN_DEFAULT);
}

struct pair {
    int fd[2];
    struct gs_watch *watch;
    int events, calls;
};

static void on_event(void *arg, int events)
{
    struct pair *p = arg;
    p->events |= events;
    p->calls++;
}

static void open_pair(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fd), 0);
    p->watch = gs_watch_new(&loop, p->fd[0], on_event, p);
}

static void close_pair(struct pair *p)
{
    p->watch = gs_watch_free(p->watch);
    close(p->fd[0]);
    if (p->fd[1] >= 0)
        close(p->fd[1]);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void turn(struct pair *p)
{
    p->events = p->calls = 0;
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void watches_what_is_wanted(void **state)
{
    struct pair p;
    (void)state;
    open_pair(&p);
    turn(&p);
    assert_int_equal(p.calls, 0); /* nothing wanted yet */
    gs_watch_set(p.watch, UV_READABLE | UV_WRITABLE);
    turn(&p);
    assert_int_equal(p.events, UV_WRITABLE);
    assert_int_equal(write(p.fd[1], "x", 1), 1);
    turn(&p);
    assert_int_equal(p.events, UV_READABLE | UV_WRITABLE);
    gs_watch_set(p.watch, UV_READABLE);
    turn(&p);
    assert_int_equal(p.events, UV_READABLE);
    gs_watch_set(p.watch, UV_WRITABLE);
    turn(&p);
    assert_int_equal(p.events, UV_WRITABLE);
    close_pair(&p);
}

static void pauses_and_goes_on(void **state)
{
    struct pair p;
    (void)state;
    open_pair(&p);
    for (int round = 0; round < 3; round++) {
        gs_watch_set(p.watch, UV_READABLE);
        gs_watch_set(p.watch, 0);
        assert_int_equal(write(p.fd[1], "x", 1), 1);
        turn(&p);
        assert_int_equal(p.calls, 0);
        turn(&p);
        assert_int_equal(p.calls, 0);
        gs_watch_set(p.watch, UV_READABLE);
        turn(&p);
        assert_int_equal(p.events, UV_READABLE);
    }
    close_pair(&p);
}

/* A paused descriptor with something to read must let the loop sleep. */
static void paused_ones_do_not_spin(void **state)
{
    struct pair p;
    (void)state;
    open_pair(&p);
    gs_watch_set(p.watch, UV_READABLE);
    gs_watch_set(p.watch, 0);
    assert_int_equal(write(p.fd[1], "x", 1), 1);
    turn(&p);
    assert_false(uv_is_active((uv_handle_t *)p.watch)); /* the handle is the first member */
    close_pair(&p);
}

static void says_when_the_peer_is_gone(void **state)
{
    struct pair p;
    (void)state;
    open_pair(&p);
    gs_watch_set(p.watch, UV_READABLE);
    close(p.fd[1]);
    p.fd[1] = -1;
    turn(&p);
    assert_true(p.events & UV_READABLE);
    close_pair(&p);
}

/* libuv calls this an error of its own and stops watching; the owner must hear of it and is asked again if it stays. */
static void says_when_a_connection_is_refused(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    struct pair p = {.fd = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), socket(AF_INET, SOCK_STREAM, 0)}};
    (void)state;
    /* A port that is taken, but where nobody listens. */
    assert_int_equal(bind(p.fd[1], (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(p.fd[1], (struct sockaddr *)&a, &len), 0);
    (void)connect(p.fd[0], (struct sockaddr *)&a, len);
    p.watch = gs_watch_new(&loop, p.fd[0], on_event, &p);
    gs_watch_set(p.watch, UV_WRITABLE);
    for (int i = 0; i < 2; i++) {
        p.events = p.calls = 0;
        while (p.calls == 0)
            uv_run(&loop, UV_RUN_ONCE);
        assert_int_equal(p.events, UV_WRITABLE);
    }
    close_pair(&p);
}

static void free_inside(void *arg, int events)
{
    struct pair *p = arg;
    (void)events;
    p->calls++;
    p->watch = gs_watch_free(p->watch);
    close(p->fd[0]);
    p->fd[0] = dup(p->fd[1]); /* very likely the same number: must not confuse the loop */
}

static void freed_inside_the_callback(void **state)
{
    struct pair p;
    (void)state;
    memset(&p, 0, sizeof(p));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
    p.watch = gs_watch_new(&loop, p.fd[0], free_inside, &p);
    gs_watch_set(p.watch, UV_READABLE | UV_WRITABLE);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(p.calls, 1);
    assert_null(gs_watch_free(NULL));
    close_pair(&p);
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(timers_repeat_until_freed),
        LOOP_TEST(stopped_timers_do_not_run),
        LOOP_TEST(deferred_calls_keep_their_order),
        LOOP_TEST(deferred_calls_do_not_wait),
        LOOP_TEST(watches_what_is_wanted),
        LOOP_TEST(pauses_and_goes_on),
        LOOP_TEST(paused_ones_do_not_spin),
        LOOP_TEST(says_when_the_peer_is_gone),
        LOOP_TEST(says_when_a_connection_is_refused),
        LOOP_TEST(freed_inside_the_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
