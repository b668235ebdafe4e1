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
};

static struct gw_call *take(struct gw_pool *p)
{
    struct gw_call *c;

    pthread_mutex_lock(&p->mutex);
    while (!p->first && !p->stopping)
        pthread_cond_wait(&p->filled, &p->mutex);
    c = p->first;
    if (c) {
        p->first = c->next;
        if (!p->first)
            p->last = &p->first;
        c->next = NULL;
        gs_metric_set(p->depth, (double)--p->waiting);
    }
    pthread_mutex_unlock(&p->mutex);
    return c;
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
        if (c->answered) {
            gw_run_answered(w, c);
            continue;
        }
        if (!is_stopping(w->pool)) {
            gw_run(w, c);
            continue;
        }
        c->status = gw_fail(c, 503, "stopping", "This gateway is being stopped; try again");
        gw_http_resume(c);
    }
    return NULL;
}

static bool put(struct gw_pool *p, struct gw_call *c, size_t ceiling)
{
    bool room;

    pthread_mutex_lock(&p->mutex);
    room = !p->stopping && p->waiting < ceiling;
    if (room) {
        *p->last = c;
        p->last = &c->next;
        gs_metric_set(p->depth, (double)++p->waiting);
        pthread_cond_signal(&p->filled);
    }
    pthread_mutex_unlock(&p->mutex);
    return room;
}

bool gw_pool_put(struct gw_pool *p, struct gw_call *c)
{
    return put(p, c, (size_t)gw_settings.queue);
}

bool gw_pool_put_answered(struct gw_pool *p, struct gw_call *c)
{
    return put(p, c, SIZE_MAX);
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
