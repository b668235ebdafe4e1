/* Which message is taken next: the windows of requests in flight and each lane's share of them.
 *
 * Urgent requests have a window of their own (1/8), go first, and may use what the hourly lanes share, too. Within a
 * window every lane has room that nobody else can take, however many sources are stuck; the rest is shared, and one
 * lane can have most of it but not all. Lanes take turns by small handfuls. A full lane looks some messages ahead, and
 * what it finds begins in turns by organisation: a flood of one does not stand before the few of another. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/mem.h"
#include "services/fetch/request.h"
#include "services/fetch/worker.h"

#define HANDFUL        32  /* messages of a lane in its turn */
#define URGENT_PART    8   /* 1/8 of the window */
#define PARKED_MAX     256 /* of a lane; a request in memory has at most 64 KiB */
#define LOOKS          2   /* that find a lane full before it is thinned */
#define UNACKNOWLEDGED 4   /* windows of finished requests that wait for Kafka before no more are taken */

/* ---- room ---- */

static size_t own_room(const struct fetch_window *win)
{
    size_t room = win->size * (size_t)(100 - fetch_config.lane_share) / 100 / win->lanes;

    return room ? room : 1;
}

static size_t lane_limit(const struct fetch_window *win)
{
    size_t share = win->size * (size_t)fetch_config.lane_share / 100;

    if (win->lanes == 1)
        return win->size;
    return share > own_room(win) ? share : own_room(win);
}

/* What all lanes of the window share. */
static size_t pool_left(const struct fetch_window *win)
{
    size_t used = own_room(win) * win->lanes + win->shared;

    return win->size > used ? win->size - used : 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many more requests of the lane may begin in its own window. */
static size_t room_inside(const struct fetch_lane *lane)
{
    const struct fetch_window *win = lane->window;
    size_t inside = lane->in_flight - lane->borrowed, mine = inside - lane->shared;
    size_t own = own_room(win), limit = lane_limit(win);

    return least((own > mine ? own - mine : 0) + pool_left(win), limit > inside ? limit - inside : 0);
}

static size_t room_lent(const struct fetch_lane *lane)
{
    const struct fetch_window *lender = lane->window->lender;
    size_t limit = lender ? lane_limit(lender) : 0;

    return limit > lane->borrowed ? least(pool_left(lender), limit - lane->borrowed) : 0;
}

static size_t room(const struct fetch_lane *lane)
{
    return room_inside(lane) + room_lent(lane);
}

static void entered(struct fetch_worker *w, struct fetch_lane *lane)
{
    struct fetch_window *win = lane->window;

    if (room_inside(lane) == 0) {
        lane->borrowed++;
        win->lender->shared++;
    } else if (lane->in_flight - lane->borrowed - lane->shared >= own_room(win)) {
        lane->shared++;
        win->shared++;
    }
    lane->in_flight++;
    win->in_flight++;
    gs_metric_add(w->in_flight, 1);
}

void fetch_lanes_left(struct fetch_worker *w, struct fetch_lane *lane)
{
    if (lane->borrowed) {
        lane->borrowed--;
        lane->window->lender->shared--;
    } else if (lane->shared) {
        lane->shared--;
        lane->window->shared--;
    }
    lane->in_flight--;
    lane->window->in_flight--;
    gs_metric_add(w->in_flight, -1);
    fetch_lanes_pump(w);
}

/* ---- taking ---- */

static void begin(struct fetch_worker *w, struct fetch_lane *lane, struct fetch_request *q)
{
    entered(w, lane);
    fetch_request_begin(q);
}

static struct fetch_request *request_of(struct fetch_turn *t)
{
    return (struct fetch_request *)(void *)((char *)t - offsetof(struct fetch_request, turn));
}

static void begin_parked(struct fetch_worker *w, struct fetch_lane *lane)
{
    struct fetch_turn *t;

    while (room(lane) && (t = fetch_queue_next(&lane->parked))) {
        fetch_queue_drop(t);
        begin(w, lane, request_of(t));
    }
}

static void put(struct fetch_worker *w, struct fetch_lane *lane, rd_kafka_message_t *m)
{
    struct fetch_request *q = fetch_request_take(w, lane, m);

    if (q && room(lane) && !lane->parked.n)
        begin(w, lane, q);
    else if (q)
        fetch_queue_put(&lane->parked, &q->turn, q->order.org_id);
}

/* True when more could be taken at once. */
static bool take(struct fetch_worker *w, struct fetch_lane *lane)
{
    rd_kafka_message_t *messages[HANDFUL];
    size_t want, got;

    begin_parked(w, lane);
    want = least(HANDFUL, room(lane) + PARKED_MAX - lane->parked.n);
    if (!lane->source || !lane->waiting || !want)
        return false;
    got = gs_lane_take(lane->source, messages, want);
    lane->waiting = got == want;
    for (size_t i = 0; i < got; i++)
        put(w, lane, messages[i]);
    return lane->waiting && room(lane) + PARKED_MAX > lane->parked.n;
}

void fetch_lanes_unpark(struct fetch_worker *w)
{
    for (size_t i = 0; i < w->n_lanes; i++) {
        struct fetch_turn *t;

        while ((t = fetch_queue_next(&w->lanes[i].parked))) {
            fetch_queue_drop(t);
            fetch_request_free(request_of(t));
        }
    }
}

static bool may_take(const struct fetch_worker *w)
{
    size_t most = (size_t)fetch_config.window * UNACKNOWLEDGED;

    return !w->draining && !w->stopping && fetch_unacknowledged(w) < most;
}

static void pump(void *arg)
{
    struct fetch_worker *w = arg;
    size_t waiting = 0, n = w->n_lanes / 2; /* the first half is urgent */
    bool more = false;

    w->pump_wanted = false;
    if (!may_take(w))
        return;
    for (size_t i = 0; i < n; i++)
        more |= take(w, &w->lanes[i]);
    for (size_t i = 0; i < n; i++)
        more |= take(w, &w->lanes[n + (w->next_lane + i) % n]);
    w->next_lane++;
    for (size_t i = 0; i < w->n_lanes; i++)
        waiting += w->lanes[i].waiting;
    gs_metric_set(w->lanes_waiting, (double)waiting);
    if (more)
        fetch_lanes_pump(w);
}

void fetch_lanes_pump(struct fetch_worker *w)
{
    if (w->pump_wanted || w->stopping)
        return;
    w->pump_wanted = true;
    gs_defer(w->loop, pump, w);
}

/* Who waits for one host or budget leaves half of a lane to others, when the lane stays full of them. */
void fetch_lanes_look(void *worker)
{
    struct fetch_worker *w = worker;

    for (size_t i = 0; i < w->n_lanes; i++) {
        struct fetch_lane *lane = &w->lanes[i];

        lane->full = (lane->waiting || lane->parked.n) && !room(lane) ? lane->full + 1 : 0;
        if (lane->full < LOOKS)
            continue;
        lane->full = 0;
        fetch_sites_thin(w->sites, lane->entry, lane_limit(lane->window) / 2);
        fetch_purses_thin(w->purses, lane->entry, lane_limit(lane->window) / 2);
    }
}

void fetch_lanes_ready(void *worker, struct gs_lane *source)
{
    struct fetch_worker *w = worker;
    struct fetch_lane *lane = gs_lane_data(source);

    for (size_t i = 0; !lane && i < w->n_lanes; i++) {
        if (!strcmp(w->lanes[i].topic, gs_lane_topic(source)))
            lane = &w->lanes[i];
    }
    if (!lane)
        return;
    gs_lane_set_data(source, lane);
    lane->source = source;
    lane->waiting = true;
    fetch_lanes_pump(w);
}

void fetch_lanes_closed(void *worker, struct gs_lane *source)
{
    struct fetch_lane *lane = gs_lane_data(source);

    (void)worker;
    if (!lane)
        return;
    lane->source = NULL;
    lane->waiting = false;
}

/* ---- which lanes there are ---- */

static bool in_list(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = list; p && *p; p += strcspn(p, ",")) {
        p += strspn(p, ", ");
        if (!strncmp(p, name, len) && (!p[len] || strchr(", ", p[len])))
            return true;
    }
    return false;
}

/* A name nobody knows would be a worker that silently does nothing. */
static enum gs_rc check_names(const char *list, const char *what, struct gs_err *err)
{
    for (const char *p = list; p && *p;) {
        char name[FETCH_NAME_MAX + 1];

        p += strspn(p, ", ");
        size_t len = strcspn(p, ", ");
        snprintf(name, sizeof name, "%.*s", (int)(len < FETCH_NAME_MAX ? len : FETCH_NAME_MAX), p);
        if (len && !fetch_catalogue_find(name))
            return gs_fail(err, GS_REJECT, "%s names the connector \"%s\", which this worker does not have", what,
                           name);
        p += len;
    }
    return GS_OK;
}

static bool wanted(const struct fetch_worker *w, const struct fetch_entry *e, const char *only, const char *exclude)
{
    return e->category == w->category && !e->connector->pushed && (!only || in_list(only, e->name)) &&
           !in_list(exclude, e->name);
}

static struct fetch_stats *stats_of(struct fetch_worker *w, const struct fetch_entry *e)
{
    struct fetch_stats *s = &w->stats[e - fetch_catalogue()];
    char labels[160];

    if (s->seconds)
        return s;
    snprintf(labels, sizeof labels, "connector=\"%s\"", e->name);
    s->seconds = gs_histogram("goalsync_fetch_seconds", labels, "time from taking a request to its outcome");
    s->exchanges = gs_counter("goalsync_fetch_exchanges_total", labels, "exchanges with sources");
    for (enum fetch_outcome o = FETCH_OUTCOME_OK; o < FETCH_OUTCOMES; o++) {
        snprintf(labels, sizeof labels, "connector=\"%s\",outcome=\"%s\"", e->name, fetch_outcome_name(o));
        s->outcomes[o] = gs_counter("goalsync_fetch_total", labels, "requests by connector and outcome");
    }
    return s;
}

static enum gs_rc check_budgets(const struct fetch_worker *w, const char *only, const char *exclude, struct gs_err *err)
{
    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++) {
        if (wanted(w, e, only, exclude) && fetch_budgets_check(e->connector, err) != GS_OK)
            return GS_REJECT;
    }
    return GS_OK;
}

static void add_lane(struct fetch_worker *w, struct fetch_lane *lane, const struct fetch_entry *e, bool urgent)
{
    snprintf(lane->topic, sizeof lane->topic, "fetch.%s.%s.%s", urgent ? "urgent" : "requested",
             gs_category_dashed(w->category), e->name);
    lane->entry = e;
    lane->stats = stats_of(w, e);
    lane->window = urgent ? &w->urgent : &w->hourly;
    lane->window->lanes++;
}

enum gs_rc fetch_lanes_init(struct fetch_worker *w, const char *only, const char *exclude, struct gs_err *err)
{
    size_t entries = 0, n = 0, i = 0;

    if (check_names(only, "--connectors", err) != GS_OK ||
        check_names(exclude, "GOALSYNC_FETCH_EXCLUDE", err) != GS_OK || check_budgets(w, only, exclude, err) != GS_OK)
        return GS_REJECT;
    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++, entries++)
        n += wanted(w, e, only, exclude);
    w->stats = gs_alloc_n(entries + 1, sizeof *w->stats);
    w->lanes = gs_alloc_n(2 * n + 1, sizeof *w->lanes);
    w->n_lanes = 2 * n;
    w->urgent.size = (size_t)fetch_config.window / URGENT_PART;
    w->hourly.size = (size_t)fetch_config.window - w->urgent.size;
    w->urgent.lender = &w->hourly;
    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++) {
        if (!wanted(w, e, only, exclude))
            continue;
        add_lane(w, &w->lanes[i], e, true);
        add_lane(w, &w->lanes[n + i], e, false);
        i++;
    }
    return GS_OK;
}

const char **fetch_lanes_topics(const struct fetch_worker *w)
{
    const char **topics = gs_alloc_n(w->n_lanes + 1, sizeof *topics);

    for (size_t i = 0; i < w->n_lanes; i++)
        topics[i] = w->lanes[i].topic;
    return topics;
}

void fetch_lanes_done(struct fetch_worker *w)
{
    gs_freep(&w->lanes);
    gs_freep(&w->stats);
    w->n_lanes = 0;
}
