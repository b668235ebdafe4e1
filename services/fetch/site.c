/* The table of hosts. */
#include "services/fetch/site.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/pace.h"

#define BUCKETS  4096
#define SWEEP_US INT64_C(60000000)
#define KEEP_US  INT64_C(900000000) /* of a host that nobody asks: longer than the pause between probes */
#define SHOWN    120                /* bytes of a host's name in sentences */

struct fetch_site {
    struct fetch_sites *owner;
    const struct fetch_entry *entry;
    struct fetch_site *next;
    struct fetch_pace pace;
    struct fetch_queue queue;
    int inside;
    bool probing, calling;
    int64_t used_us; /* monotonic */
    char why[200];   /* the last failure */
    size_t len;
    char key[];
};

struct fetch_sites {
    struct fetch_site *buckets[BUCKETS];
    size_t *neighbours; /* of each connector of the catalogue */
    void (*called)(struct fetch_turn *t, enum fetch_site_call why);
    struct gs_timer *sweep;
    struct gs_metric *hosts, *dead, *waiting, *probes;
};

static const struct gs_log_ctx log_ctx = {.topic = "fetch"};

static int most_of(const struct fetch_connector *c)
{
    if (c->host_requests > 0)
        return c->host_requests;
    return c->wire == FETCH_HTTP ? FETCH_SITE_REQUESTS : FETCH_SITE_REQUESTS_SQL;
}

static double spread(void)
{
    return (double)(gs_random64() % 1000) / 1000;
}

/* ---- the table ---- */

struct fetch_site *fetch_sites_find(struct fetch_sites *ss, const struct fetch_entry *e, const char *key, size_t len)
{
    struct fetch_site **at = &ss->buckets[gs_hash64(key, len, (uint64_t)(uintptr_t)e->name) % BUCKETS], *s;

    for (s = *at; s; s = s->next) {
        if (s->entry == e && s->len == len && !memcmp(s->key, key, len))
            return s;
    }
    s = gs_alloc(sizeof *s + len + 1);
    s->owner = ss;
    s->entry = e;
    s->len = len;
    memcpy(s->key, key, len);
    fetch_pace_init(&s->pace, most_of(e->connector));
    s->used_us = gs_mono_us();
    s->next = *at;
    *at = s;
    ss->neighbours[e - fetch_catalogue()]++;
    gs_metric_add(ss->hosts, 1);
    return s;
}

static void drop(struct fetch_site **at)
{
    struct fetch_site *s = *at;

    *at = s->next;
    s->owner->neighbours[s->entry - fetch_catalogue()]--;
    gs_metric_add(s->owner->hosts, -1);
    if (!s->pace.window)
        gs_metric_add(s->owner->dead, -1);
    gs_freep(&s);
}

static void sweep(void *arg)
{
    struct fetch_sites *ss = arg;
    int64_t before = gs_mono_us() - KEEP_US;

    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct fetch_site **at = &ss->buckets[i]; *at;) {
            if (!(*at)->inside && !(*at)->queue.n && (*at)->used_us < before)
                drop(at);
            else
                at = &(*at)->next;
        }
    }
}

/* ---- going in ---- */

bool fetch_site_is_dead(const struct fetch_site *s)
{
    return !s->pace.window && (s->probing || gs_mono_us() < s->pace.probe_at_us);
}

enum fetch_site_entry fetch_site_enter(struct fetch_site *s, bool *ret_probe)
{
    *ret_probe = false;
    s->used_us = gs_mono_us();
    if (fetch_site_is_dead(s))
        return FETCH_SITE_DEAD;
    if (!s->pace.window) {
        *ret_probe = s->probing = true;
        gs_metric_add(s->owner->probes, 1);
    } else if (s->inside >= s->pace.window || s->queue.n) {
        return FETCH_SITE_FULL;
    }
    s->inside++;
    return FETCH_SITE_GO;
}

void fetch_site_wait(struct fetch_site *s, struct fetch_turn *t, int64_t org_id)
{
    fetch_queue_put(&s->queue, t, org_id);
    gs_metric_add(s->owner->waiting, 1);
}

void fetch_site_leave(struct fetch_site *s, struct fetch_turn *t)
{
    fetch_queue_drop(t);
    gs_metric_add(s->owner->waiting, -1);
}

const struct fetch_queue *fetch_site_queue(const struct fetch_site *s)
{
    return &s->queue;
}

void fetch_sites_thin(struct fetch_sites *ss, const struct fetch_entry *e, size_t most)
{
    if (ss->neighbours[e - fetch_catalogue()] < 2) /* nobody else would need the room */
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct fetch_site *s = ss->buckets[i]; s; s = s->next) {
            while (s->entry == e && s->queue.n > most) {
                struct fetch_turn *t = fetch_queue_last(&s->queue);

                fetch_site_leave(s, t);
                ss->called(t, FETCH_SITE_CROWDED);
            }
        }
    }
}

/* ---- coming out ---- */

static void shown(const struct fetch_site *s, char dst[SHOWN])
{
    const char *name = strstr(s->key, "://");

    name = name ? name + 3 : s->key;
    gs_str_clean(dst, SHOWN, name, strlen(name));
}

static void died(struct fetch_site *s)
{
    char name[SHOWN];

    shown(s, name);
    gs_metric_add(s->owner->dead, 1);
    gs_log_warn(&log_ctx, "host given up", "connector=%s host=\"%s\" error=\"%s\"", s->entry->name, name, s->why);
}

static void lives(struct fetch_site *s)
{
    char name[SHOWN];

    shown(s, name);
    gs_metric_add(s->owner->dead, -1);
    gs_log_info(&log_ctx, "host answers again", "connector=%s host=\"%s\"", s->entry->name, name);
}

static void learn(struct fetch_site *s, enum fetch_site_end end, bool probe, const char *why)
{
    bool was_dead = !s->pace.window;

    if (end == FETCH_SITE_FAILED) {
        gs_str_clean(s->why, sizeof s->why, why, strlen(why));
        fetch_pace_bad(&s->pace, probe, gs_mono_us(), spread());
    } else if (end == FETCH_SITE_ANSWERED) {
        fetch_pace_good(&s->pace, s->inside);
    }
    if (!was_dead && !s->pace.window)
        died(s);
    else if (was_dead && s->pace.window)
        lives(s);
}

/* Who is called may leave at once, which comes back here. */
static void call_next(struct fetch_site *s)
{
    struct fetch_turn *t;

    if (s->calling)
        return;
    s->calling = true;
    while ((t = fetch_queue_next(&s->queue))) {
        bool dead = !s->pace.window;

        if (!dead && s->inside >= s->pace.window)
            break;
        s->inside += !dead;
        fetch_site_leave(s, t);
        s->owner->called(t, dead ? FETCH_SITE_DIED : FETCH_SITE_ITS_TURN);
    }
    s->calling = false;
}

void fetch_site_left(struct fetch_site *s, enum fetch_site_end end, bool probe, const char *why)
{
    assert(s->inside > 0);
    learn(s, end, probe, why);
    if (probe)
        s->probing = false;
    s->inside--;
    call_next(s);
}

int64_t fetch_site_dead_until(const struct fetch_site *s, char *dst, size_t size)
{
    char name[SHOWN], since[GS_TIME_TEXT], again[GS_TIME_TEXT];
    int64_t now = gs_mono_us(), wall = gs_now_us(), at = s->pace.probe_at_us;

    if (at < now) /* a probe is under way */
        at = now + INT64_C(1000000);
    shown(s, name);
    snprintf(dst, size, "%s has not answered since %s and is asked again at %s: %s", name,
             gs_time_format(wall - (now - s->pace.since_us), since), gs_time_format(wall + at - now, again), s->why);
    return wall + at - now;
}

/* ---- all of them ---- */

struct fetch_sites *fetch_sites_new(uv_loop_t *loop, void (*called)(struct fetch_turn *t, enum fetch_site_call why))
{
    struct fetch_sites *ss = gs_alloc(sizeof *ss);
    size_t n = 0;

    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++)
        n++;
    ss->neighbours = gs_alloc_n(n + 1, sizeof *ss->neighbours);
    ss->called = called;
    ss->sweep = gs_timer_new(loop, sweep, ss);
    gs_timer_start(ss->sweep, SWEEP_US, SWEEP_US);
    ss->hosts = gs_gauge("goalsync_fetch_hosts", NULL, "hosts that are known");
    ss->dead = gs_gauge("goalsync_fetch_hosts_dead", NULL, "hosts given up, and asked by probes alone");
    ss->waiting = gs_gauge("goalsync_fetch_hosts_waiting", NULL, "requests that wait for their turn with a host");
    ss->probes = gs_counter("goalsync_fetch_probes_total", NULL, "requests that asked whether a host lives again");
    return ss;
}

struct fetch_sites *fetch_sites_free(struct fetch_sites *ss)
{
    if (!ss)
        return NULL;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (ss->buckets[i])
            drop(&ss->buckets[i]);
    }
    ss->sweep = gs_timer_free(ss->sweep);
    gs_freep(&ss->neighbours);
    gs_freep(&ss);
    return NULL;
}
