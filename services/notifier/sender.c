/* Decides when deliveries are claimed, and keeps those under way. */
#include "services/notifier/sender_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#include <stdlib.h>

#define TICK_US INT64_C(1000000) /* how late a delivery may be that nobody told us of: a retry, another's */
#define PACE_US INT64_C(10000)   /* from one claim to the next: one costs as much for a delivery as for a hundred */

static const struct gs_log_ctx log_ctx = {.topic = "sender"};

static void on_claimed(void *arg, const struct gs_pg_result *r);

static void proceed(void *arg)
{
    struct notifier_sender *s = arg;
    int64_t left = s->claimed_us + PACE_US - gs_mono_us();

    if (s->claiming || !s->wanted || s->draining || s->stopped || !gs_pg_up(s->spec.pg) ||
        s->in_flight >= NOTIFIER_IN_FLIGHT)
        return;
    if (left > 0) {
        gs_timer_start(s->kick, left, 0);
        return;
    }
    s->wanted = false;
    s->claiming = true;
    s->claimed_us = gs_mono_us();
    notifier_sender_claim(s, on_claimed);
}

/* ---- the list ---- */

static void begin(struct notifier_sender *s, struct notifier_delivery *d)
{
    d->prev = NULL;
    d->next = s->first;
    if (s->first)
        s->first->prev = d;
    s->first = d;
    s->in_flight++;
    notifier_count_in_flight(s->in_flight);
}

static void check_drained(struct notifier_sender *s)
{
    if (s->draining && !s->stopped && s->in_flight == 0 && !s->claiming && gs_pg_pending(s->spec.pg) == 0 &&
        gs_pg_pending(s->spec.durable_pg) == 0)
        s->spec.drained(s->spec.arg);
}

void notifier_sender_ended(struct notifier_delivery *d, bool delivered)
{
    struct notifier_sender *s = d->s;

    if (d->prev)
        d->prev->next = d->next;
    else
        s->first = d->next;
    if (d->next)
        d->next->prev = d->prev;
    s->in_flight--;
    notifier_count_in_flight(s->in_flight);
    if (notifier_window_end(s->windows, d->webhook_id, delivered) || s->in_flight == NOTIFIER_IN_FLIGHT - 1)
        s->wanted = true;
    notifier_delivery_free(d);
    if (s->wanted && !s->stopped)
        gs_timer_start(s->kick, 0, 0); /* at the end of the turn: others may end in it too */
}

/* ---- claims ---- */

static void post_all(struct notifier_sender *s, struct notifier_delivery *d)
{
    for (const struct notifier_delivery *x = d; x; x = x->next)
        notifier_window_begin(s->windows, x->webhook_id);
    notifier_windows_claimed(s->windows);
    s->wanted = s->wanted || notifier_windows_ready(s->windows);
    while (d) {
        struct notifier_delivery *next = d->next;

        begin(s, d);
        notifier_sender_post(d);
        d = next;
    }
}

static void on_claimed(void *arg, const struct gs_pg_result *r)
{
    struct notifier_sender *s = arg;

    s->claiming = false;
    if (s->stopped)
        return;
    if (gs_pg_rc(r) == GS_OK)
        post_all(s, notifier_sender_read(s, r));
    else /* the tick tries again */
        gs_log_warn(&log_ctx, "claiming deliveries failed", "error=\"%s\"", gs_pg_result_error(r));
    proceed(s);
}

static void on_tick(void *arg)
{
    struct notifier_sender *s = arg;

    notifier_windows_fade(s->windows);
    notifier_sender_kick(s);
    check_drained(s);
}

void notifier_sender_kick(struct notifier_sender *s)
{
    s->wanted = true;
    proceed(s);
}

/* ---- in and out ---- */

struct notifier_sender *notifier_sender_new(uv_loop_t *loop, const struct notifier_sender_spec *spec)
{
    struct notifier_sender *s = gs_alloc(sizeof *s);

    s->spec = *spec;
    s->loop = loop;
    s->params = gs_pg_params_new();
    s->windows = notifier_windows_new(NOTIFIER_WINDOW_MAX);
    s->tick = gs_timer_new(loop, on_tick, s);
    s->kick = gs_timer_new(loop, proceed, s);
    gs_timer_start(s->tick, TICK_US, TICK_US);
    return s;
}

void notifier_sender_drain(struct notifier_sender *s)
{
    s->draining = true;
    gs_timer_start(s->tick, 0, TICK_US / 20); /* records are on their way when the last delivery has ended */
}

void notifier_sender_stop(struct notifier_sender *s)
{
    s->stopped = true;
    s->tick = gs_timer_free(s->tick);
    s->kick = gs_timer_free(s->kick);
}

struct notifier_sender *notifier_sender_free(struct notifier_sender *s)
{
    if (!s)
        return NULL;
    gs_pg_params_free(s->params);
    notifier_windows_free(s->windows);
    free(s);
    return NULL;
}
