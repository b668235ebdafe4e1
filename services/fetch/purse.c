/* Purses: finding, spending, waiting. */
#include "services/fetch/purse.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/purse_private.h"

#define SWEEP_US  INT64_C(1000000)
#define MARGIN_US INT64_C(250000) /* before a waiter's deadline: a turn later than that is of no use to it */
#define SHORT_US  INT64_C(2000)   /* a timer's own coarseness */

/* What exchanges of a connector can be: each is worked out once. */
struct fetch_classes {
    const struct fetch_connector *connector;
    struct fetch_class class;
    struct fetch_classes *next;
};

/* ---- keeping ---- */

static void unlist(struct fetch_purse *p)
{
    struct fetch_purses *ps = p->owner;

    *(p->newer ? &p->newer->older : &ps->newest) = p->older;
    *(p->older ? &p->older->newer : &ps->oldest) = p->newer;
    p->newer = p->older = NULL;
}

static void list_first(struct fetch_purse *p)
{
    struct fetch_purses *ps = p->owner;

    p->older = ps->newest;
    p->newer = NULL;
    *(p->older ? &p->older->newer : &ps->oldest) = p;
    ps->newest = p;
}

static void drop(struct fetch_purse *p)
{
    struct fetch_purse **at = &p->owner->buckets[p->hash % FETCH_PURSE_BUCKETS];

    while (*at != p)
        at = &(*at)->next_in_bucket;
    *at = p->next_in_bucket;
    unlist(p);
    gs_timer_free(p->timer);
    gs_metric_add(p->owner->purses, -1);
    gs_freep(&p);
}

static const struct fetch_class *class_of(struct fetch_purses *ps, const struct fetch_connector *c, const char *budget)
{
    struct fetch_classes *k = ps->classes;
    struct gs_err err;

    while (k && (k->connector != c || k->class.name != budget))
        k = k->next;
    if (k)
        return &k->class;
    k = gs_alloc(sizeof *k);
    k->connector = c;
    k->next = ps->classes;
    ps->classes = k;
    if (!fetch_class_make(c, budget, &k->class, &err))
        abort(); /* looked at when the worker started */
    return &k->class;
}

static const char *scope_of(enum fetch_budget_of of, const char *connection, const char *account)
{
    if (of == FETCH_OF_CLIENT)
        return "*";
    return of == FETCH_OF_ACCOUNT ? account : connection;
}

static struct fetch_purse *new_purse(struct fetch_purses *ps, const struct fetch_entry *e,
                                     const struct fetch_class *class, const char *connection, const char *account,
                                     uint64_t hash)
{
    struct fetch_purse *p = gs_alloc(sizeof *p), **at = &ps->buckets[hash % FETCH_PURSE_BUCKETS];

    p->owner = ps;
    p->entry = e;
    p->class = *class;
    p->hash = hash;
    for (size_t i = 0; i < class->n; i++)
        snprintf(p->scopes[i], sizeof p->scopes[i], "%s", scope_of(class->rules[i].budget->of, connection, account));
    p->next_in_bucket = *at;
    *at = p;
    list_first(p);
    gs_metric_add(ps->purses, 1);
    if (ps->newest == ps->oldest)
        gs_timer_start(ps->sweep, SWEEP_US, 0);
    return p;
}

static bool is_of(const struct fetch_purse *p, const struct fetch_entry *e, const struct fetch_class *class,
                  const char *connection, const char *account)
{
    if (p->entry != e || p->class.name != class->name)
        return false;
    for (size_t i = 0; i < class->n; i++) {
        if (strcmp(p->scopes[i], scope_of(class->rules[i].budget->of, connection, account)) != 0)
            return false;
    }
    return true;
}

struct fetch_purse *fetch_purses_find(struct fetch_purses *ps, const struct fetch_entry *e, const char *budget,
                                      const char *connection, const char *account)
{
    if (!e->connector->budgets)
        return NULL;
    const struct fetch_class *class = class_of(ps, e->connector, budget);

    if (!class->n)
        return NULL;
    const char *scope = scope_of(class->of, connection, account);
    uint64_t hash = gs_hash64(scope, strlen(scope), (uint64_t)(uintptr_t)e->name ^ (uint64_t)(uintptr_t)budget);
    struct fetch_purse *p = ps->buckets[hash % FETCH_PURSE_BUCKETS];

    while (p && (p->hash != hash || !is_of(p, e, class, connection, account)))
        p = p->next_in_bucket;
    if (!p)
        return new_purse(ps, e, class, connection, account, hash);
    unlist(p);
    list_first(p);
    return p;
}

/* ---- tokens at hand ---- */

static int64_t usable_from(const struct fetch_purse *p, const struct fetch_lease *l)
{
    int64_t at = l->taken_us;

    for (size_t i = 0; i < p->class.n; i++) {
        int64_t from = l->from_us[i] + (int64_t)l->used * l->step_us[i];

        if (from > at)
            at = from;
    }
    return at;
}

/* What was kept too long is given back. */
static void expire(struct fetch_purse *p, int64_t now_us)
{
    for (size_t i = 0; i < FETCH_LEASES; i++) {
        struct fetch_lease *l = &p->leases[i];

        while (l->used < l->n && usable_from(p, l) + p->class.keep_us < now_us) {
            l->used++;
            p->owed--;
        }
    }
}

static bool is_empty(const struct fetch_lease *l)
{
    return l->used == l->n;
}

/* The lease with the next token; null: there is none. */
static struct fetch_lease *next_lease(struct fetch_purse *p)
{
    struct fetch_lease *a = &p->leases[0], *b = &p->leases[1];

    if (is_empty(a))
        return is_empty(b) ? NULL : b;
    return is_empty(b) || usable_from(p, a) <= usable_from(p, b) ? a : b;
}

static size_t at_hand(const struct fetch_purse *p)
{
    return p->leases[0].n - p->leases[0].used + p->leases[1].n - p->leases[1].used;
}

static bool has_room(const struct fetch_purse *p)
{
    return is_empty(&p->leases[0]) || is_empty(&p->leases[1]);
}

/* ---- asking for more ---- */

static void count_spent(struct fetch_purse *p, int64_t now_us)
{
    int64_t since = now_us - p->span_us;

    if (since > p->class.keep_us) {
        p->spent_before = since > 2 * p->class.keep_us ? 0 : p->spent;
        p->spent = 0;
        p->span_us = now_us;
    }
    p->spent++;
    p->used_us = now_us;
}

/* As many as wait, and as many more as were spent lately; a purse that is used once takes one. */
static void ask_if_needed(struct fetch_purse *p, int64_t now_us)
{
    size_t soon = now_us - p->span_us > 2 * p->class.keep_us ? 0
                  : p->spent > p->spent_before               ? p->spent
                                                             : p->spent_before;
    size_t have = at_hand(p), need = p->queue.n + soon;

    if (soon < 2)
        need = p->queue.n;
    if (p->asking || p->wants || !has_room(p) || now_us < p->empty_until_us - p->class.keep_us)
        return;
    if (p->queue.n ? have >= p->queue.n : have * 2 >= need)
        return;
    need -= have;
    fetch_purse_ask(p, need < p->class.batch ? need : p->class.batch);
}

/* ---- spending ---- */

static bool spend(struct fetch_purse *p, int64_t now_us)
{
    expire(p, now_us);
    struct fetch_lease *l = next_lease(p);

    if (!l || usable_from(p, l) > now_us)
        return false;
    l->used++;
    count_spent(p, now_us);
    return true;
}

bool fetch_purse_spend(struct fetch_purse *p)
{
    int64_t now = gs_mono_us();

    if (p->queue.n || !spend(p, now))
        return false;
    ask_if_needed(p, now);
    return true;
}

/* When the n-th waiter gets a token at the soonest, as far as is known. */
static int64_t expected(struct fetch_purse *p, size_t n, int64_t now_us)
{
    struct fetch_lease *l = next_lease(p);
    size_t have = at_hand(p);
    int64_t at = l ? usable_from(p, l) : p->empty_until_us, step = fetch_class_interval(&p->class);

    if (at < now_us)
        at = now_us;
    /* Only what Redis has said is known: before that, a token may be there for everybody. */
    if (p->empty_until_us <= now_us && !l)
        return at;
    return n <= have ? at : at + (int64_t)(n - have) * step;
}

/* Those who are sent away come back one after the other. */
static int64_t send_away(struct fetch_purse *p, int64_t at_us, int64_t now_us)
{
    if (at_us < p->sent_away_us)
        at_us = p->sent_away_us;
    p->sent_away_us = at_us + fetch_class_interval(&p->class);
    gs_metric_add(p->owner->sent_away, 1);
    return gs_now_us() + at_us - now_us;
}

static void serve(struct fetch_purse *p);

static void on_time(void *arg)
{
    serve(arg);
}

static void wake_at(struct fetch_purse *p, int64_t at_us, int64_t now_us)
{
    if (!p->timer)
        p->timer = gs_timer_new(p->owner->spec.loop, on_time, p);
    gs_timer_start(p->timer, at_us > now_us ? at_us - now_us : SHORT_US, 0);
}

static void call(struct fetch_purse *p, struct fetch_turn *t, int64_t retry_at_us)
{
    fetch_queue_drop(t);
    gs_metric_add(p->owner->waiting, -1);
    p->owner->spec.called(t, retry_at_us);
}

/* Who cannot have one in time is told now, the organisation with the most of them first. */
static void send_late_ones_away(struct fetch_purse *p, int64_t now_us)
{
    struct fetch_turn *t;

    while ((t = fetch_queue_last(&p->queue))) {
        int64_t at = expected(p, p->queue.n, now_us);

        if (at < p->owner->spec.deadline(t) - MARGIN_US)
            return;
        call(p, t, send_away(p, at, now_us));
    }
}

static void serve(struct fetch_purse *p)
{
    int64_t now = gs_mono_us();

    while (p->queue.n && spend(p, now))
        call(p, fetch_queue_next(&p->queue), 0);
    send_late_ones_away(p, now);
    if (!p->queue.n)
        return;
    ask_if_needed(p, now);
    struct fetch_lease *l = next_lease(p);

    if (l)
        wake_at(p, usable_from(p, l), now);
    else if (!p->asking && !p->wants)
        wake_at(p, p->empty_until_us - p->class.keep_us, now);
}

bool fetch_purse_wait(struct fetch_purse *p, struct fetch_turn *t, int64_t org_id, int64_t *ret_retry_at_us)
{
    int64_t now = gs_mono_us(), at = expected(p, p->queue.n + 1, now);

    if (at > p->owner->spec.deadline(t) - MARGIN_US) {
        *ret_retry_at_us = send_away(p, at, now);
        return false;
    }
    fetch_queue_put(&p->queue, t, org_id);
    gs_metric_add(p->owner->waiting, 1);
    p->used_us = now;
    serve(p);
    return true;
}

void fetch_purse_leave(struct fetch_purse *p, struct fetch_turn *t)
{
    fetch_queue_drop(t);
    gs_metric_add(p->owner->waiting, -1);
}

void fetch_purse_refund(struct fetch_purse *p)
{
    p->owed--;
}

void fetch_purses_thin(struct fetch_purses *ps, const struct fetch_entry *e, size_t most)
{
    for (struct fetch_purse *p = ps->newest, *older; p; p = older) {
        older = p->older;
        while (p->entry == e && p->queue.n > most) {
            int64_t now = gs_mono_us(), at = expected(p, p->queue.n, now);

            call(p, fetch_queue_last(&p->queue), send_away(p, at, now));
        }
    }
}

const char *fetch_purse_name(const struct fetch_purse *p)
{
    return p->class.name ? p->class.name : "";
}

/* ---- answers ---- */

void fetch_purse_answered(struct fetch_purse *p, size_t got, const int64_t from_us[FETCH_RULES_MAX], int percent)
{
    struct fetch_lease *l = is_empty(&p->leases[0]) ? &p->leases[0] : &p->leases[1];

    p->asking = false;
    p->empty_until_us = 0;
    if (got) {
        assert(is_empty(l));
        *l = (struct fetch_lease){.taken_us = gs_mono_us(), .n = got};
        for (size_t i = 0; i < p->class.n; i++) {
            l->from_us[i] = from_us[i];
            l->step_us[i] = p->class.rules[i].interval_us * 100 / percent;
        }
    } else {
        for (size_t i = 0; i < p->class.n; i++) {
            if (from_us[i] > p->empty_until_us)
                p->empty_until_us = from_us[i];
        }
    }
    serve(p);
}

void fetch_purse_unanswered(struct fetch_purse *p)
{
    p->asking = false;
    serve(p);
}

/* ---- all of them ---- */

/* A purse that nobody has used for a while holds nothing; what it owes or has left is told first. */
static void sweep(void *arg)
{
    struct fetch_purses *ps = arg;
    int64_t now = gs_mono_us();

    for (struct fetch_purse *p = ps->oldest, *newer; p; p = newer) {
        newer = p->newer;
        if (now - p->used_us < 2 * p->class.keep_us)
            break;
        expire(p, now);
        if (p->queue.n || p->asking || p->wants || at_hand(p))
            continue;
        if (p->owed && !ps->alone)
            fetch_purse_ask(p, 0);
        else if (!p->owed || now - p->used_us > 60 * SWEEP_US)
            drop(p);
    }
    if (ps->oldest)
        gs_timer_start(ps->sweep, SWEEP_US, 0);
}

struct fetch_purses *fetch_purses_new(const struct fetch_purses_spec *spec)
{
    struct fetch_purses *ps = gs_alloc(sizeof *ps);

    ps->spec = *spec;
    ps->sweep = gs_timer_new(spec->loop, sweep, ps);
    ps->purses = gs_gauge("goalsync_fetch_budgets", NULL, "budgets in use");
    ps->waiting = gs_gauge("goalsync_fetch_budget_waiting", NULL, "requests that wait for their turn in a budget");
    ps->alone_now = gs_gauge("goalsync_fetch_budget_alone", NULL,
                             "1 while Redis is away and the worker keeps to a small share of every budget");
    ps->asked = gs_counter("goalsync_fetch_budget_questions_total", NULL, "questions to Redis about budgets");
    ps->sent_away = gs_counter("goalsync_fetch_budget_postponed_total", NULL,
                               "requests postponed because a budget is used up until after their deadline");
    fetch_purses_script(ps);
    return ps;
}

void fetch_purses_destroy(struct fetch_purses *ps)
{
    while (ps->oldest)
        drop(ps->oldest);
    while (ps->classes) {
        struct fetch_classes *k = ps->classes;

        ps->classes = k->next;
        gs_freep(&k);
    }
    ps->sweep = gs_timer_free(ps->sweep);
    gs_freep(&ps);
}

struct fetch_purses *fetch_purses_free(struct fetch_purses *ps)
{
    if (!ps)
        return NULL;
    ps->closed = true;
    if (!ps->flushing)
        fetch_purses_destroy(ps);
    return NULL;
}
