/* The worker threads and the bounded queue in front of them. */
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "services/gateway/private.h"
#include "services/gateway/settings.h"

#include <signal.h>
#include <stdlib.h>

#define STACK_BYTES (1 << 20)
#define SHARES      4096 /* callers who meet in one share it; nobody outside can aim at one */

/* What one caller has of the workers and of the queue: a part of both is always left to others, however much it asks
 * and however long that takes. */
struct share {
    unsigned running, waiting;
};

struct gw_pool {
    struct gw_server *server;
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct gw_call *first, **last;
    size_t waiting;
    bool stopping;
    struct gw_worker *workers;
    size_t n_workers;
    struct gs_metric *depth;
    struct share shares[SHARES];
    unsigned running_most, waiting_most; /* of one caller */
};

/* ---- shares; with the mutex held ---- */

static struct share *share_of(struct gw_pool *p, const struct gw_call *c)
{
    return &p->shares[c->caller_key % SHARES];
}

/* Three quarters, and at least one. */
static unsigned most_of(size_t all)
{
    return all > 1 ? (unsigned)(all - (all + 3) / 4) : 1;
}

/* At the end nobody is kept waiting for others; an answer that is to be kept takes no time. */
static bool may_run(struct gw_pool *p, const struct gw_call *c)
{
    return p->stopping || c->answered || share_of(p, c)->running < p->running_most;
}

static struct gw_call *take_first(struct gw_pool *p)
{
    struct gw_call **at = &p->first, *c;

    while (*at && !may_run(p, *at))
        at = &(*at)->next;
    c = *at;
    if (!c)
        return NULL;
    *at = c->next;
    if (!*at)
        p->last = at;
    c->next = NULL;
    gs_metric_set(p->depth, (double)--p->waiting);
    if (!c->answered) {
        share_of(p, c)->waiting--;
        share_of(p, c)->running++;
    }
    return c;
}

/* ---- the workers ---- */

static struct gw_call *take(struct gw_pool *p)
{
    struct gw_call *c;

    pthread_mutex_lock(&p->mutex);
    while (!(c = take_first(p)) && !p->stopping)
        pthread_cond_wait(&p->filled, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
    return c;
}

/* The worker looks for the next one right away: what may run now, as one of this caller's is done, is found. */
static void done(struct gw_pool *p, uint64_t caller_key)
{
    pthread_mutex_lock(&p->mutex);
    p->shares[caller_key % SHARES].running--;
    pthread_mutex_unlock(&p->mutex);
}

static bool is_stopping(struct gw_pool *p)
{
    bool stopping;

    pthread_mutex_lock(&p->mutex);
    stopping = p->stopping;
    pthread_mutex_unlock(&p->mutex);
    return stopping;
}

/* Runs on: a worker thread. */
static void *work(void *arg)
{
    struct gw_worker *w = arg;
    struct gw_call *c;

    while ((c = take(w->pool))) {
        const uint64_t caller_key = c->caller_key; /* the call may be gone when it has run */
        if (c->answered) {
            gw_run_answered(w, c);
            continue;
        }
        if (is_stopping(w->pool)) {
            c->status = gw_fail(c, 503, "stopping", "This gateway is being stopped; try again");
            gw_http_resume(c);
        } else {
            gw_run(w, c);
        }
        done(w->pool, caller_key);
    }
    return NULL;
}

/* ---- the queue ---- */

/* With the mutex held. */
static void append(struct gw_pool *p, struct gw_call *c)
{
    *p->last = c;
    p->last = &c->next;
    gs_metric_set(p->depth, (double)++p->waiting);
    pthread_cond_signal(&p->filled);
}

enum gw_room gw_pool_put(struct gw_pool *p, struct gw_call *c)
{
    enum gw_room room = GW_ROOM;

    pthread_mutex_lock(&p->mutex);
    if (p->stopping || p->waiting >= (size_t)gw_settings.queue)
        room = GW_FULL;
    else if (share_of(p, c)->waiting >= p->waiting_most)
        room = GW_CALLER_FULL;
    if (room == GW_ROOM) {
        share_of(p, c)->waiting++;
        append(p, c);
    }
    pthread_mutex_unlock(&p->mutex);
    return room;
}

bool gw_pool_put_answered(struct gw_pool *p, struct gw_call *c)
{
    bool room;

    pthread_mutex_lock(&p->mutex);
    room = !p->stopping;
    if (room)
        append(p, c);
    pthread_mutex_unlock(&p->mutex);
    return room;
}

static void start_worker(struct gw_pool *p, struct gw_worker *w)
{
    pthread_attr_t attr;
    sigset_t all, before;

    w->server = p->server;
    w->pool = p; /* the server's own pointer to it is set once all of them run */
    w->db = gs_db_new(gs_pg_url(), "goalsync-gateway", (int)(gw_settings.statement_us / 1000));
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&w->thread, &attr, work, w) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}

struct gw_pool *gw_pool_new(struct gw_server *server)
{
    struct gw_pool *p = gs_alloc(sizeof(*p));

    p->server = server;
    p->last = &p->first;
    p->depth = gs_gauge("goalsync_gateway_queue", NULL, "Requests that wait for a worker");
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->filled, NULL);
    p->n_workers = (size_t)gw_settings.workers;
    p->running_most = most_of(p->n_workers);
    p->waiting_most = gw_settings.queue < 4 ? (unsigned)gw_settings.queue : most_of((size_t)gw_settings.queue);
    p->workers = gs_alloc_n(p->n_workers, sizeof(*p->workers));
    for (size_t i = 0; i < p->n_workers; i++)
        start_worker(p, &p->workers[i]);
    return p;
}

void gw_pool_stop(struct gw_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    pthread_cond_broadcast(&p->filled);
    pthread_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->n_workers; i++) {
        pthread_join(p->workers[i].thread, NULL);
        gs_db_free(p->workers[i].db);
        gs_json_free(p->workers[i].json);
    }
    p->n_workers = 0;
}

struct gw_pool *gw_pool_free(struct gw_pool *p)
{
    if (!p)
        return NULL;
    gw_pool_stop(p);
    free(p->workers);
    pthread_cond_destroy(&p->filled);
    pthread_mutex_destroy(&p->mutex);
    free(p);
    return NULL;
}
