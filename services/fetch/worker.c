/* Wires a fetch worker: its clients, in the order of need, and the way down. */
#include "services/fetch/worker.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/hosts.h"
#include "services/fetch/reach.h"
#include "services/fetch/request.h"

#define ONLY_MAX 1024 /* bytes of --connectors */

const struct gs_env *const *fetch_worker_env(enum gs_category category)
{
    static const struct gs_env *tables[9];
    size_t n = 0;

    tables[n++] = fetch_env;
    tables[n++] = fetch_hosts_env;
    tables[n++] = gs_kafka_env;
    tables[n++] = gs_pg_env;
    tables[n++] = gs_redis_env;
    tables[n++] = gs_http_env;
    tables[n++] = gs_vault_env[category];
    tables[n] = NULL;
    return tables;
}

/* "--connectors a,b" or "--connectors=a,b"; nothing else is known here. */
static enum gs_rc read_args(struct gs_service *service, char only[ONLY_MAX], struct gs_err *err)
{
    static const char flag[] = "--connectors";
    char **argv;
    int argc = gs_service_args(service, &argv);
    const char *list = NULL;

    only[0] = '\0';
    if (!argc)
        return GS_OK;
    if (argc == 2 && !strcmp(argv[0], flag))
        list = argv[1];
    else if (argc == 1 && gs_str_starts(argv[0], flag) && argv[0][sizeof flag - 1] == '=')
        list = argv[0] + sizeof flag;
    if (!list || !*list || strlen(list) >= ONLY_MAX)
        return gs_fail(err, GS_REJECT,
                       "the only argument taken is --connectors with names, e.g. --connectors github,jira");
    snprintf(only, ONLY_MAX, "%s", list);
    return GS_OK;
}

static void revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct fetch_worker *w = arg;

    (void)lost;
    gs_offsets_forget(w->offsets, topic, partition);
}

static void failed(void *arg, const struct gs_err *err)
{
    struct fetch_worker *w = arg;

    if (!w->stopping)
        gs_service_fail(w->service, err);
}

/* Without a connector there is nothing to subscribe to: the worker idles. */
static bool start_consumer(struct fetch_worker *w, struct gs_err *err)
{
    const char **topics = fetch_lanes_topics(w);
    const struct gs_consumer_spec spec = {
        .group = w->group,
        .client_id = gs_service_instance(w->service),
        .topics = topics,
        .lane_ready = fetch_lanes_ready,
        .lane_closed = fetch_lanes_closed,
        .revoked = revoked,
        .failed = failed,
        .arg = w,
    };

    if (w->n_lanes)
        w->consumer = gs_consumer_new(w->loop, &spec, err);
    else
        gs_log_warn(NULL, "no connectors", "category=%s", gs_category_name(w->category));
    gs_freep(&topics);
    return w->consumer || !w->n_lanes;
}

static void ignore_answer(void *arg, const struct gs_pg_result *r)
{
    (void)arg, (void)r;
}

/* While the connection was down, a gate may have been closed unheard; at the start nothing is cached here yet. */
static void on_database(void *arg, bool up)
{
    static const struct gs_pg_stmt listen = {NULL, "LISTEN goalsync_gates"};
    struct fetch_worker *w = arg;

    if (!up)
        return;
    gs_pg_query(w->pg, &listen, NULL, ignore_answer, NULL);
    if (w->was_up)
        fetch_conns_gates_changed(w->conns);
    w->was_up = true;
}

static void on_gates(void *arg, const char *channel, const char *payload)
{
    struct fetch_worker *w = arg;

    (void)channel, (void)payload;
    fetch_conns_gates_changed(w->conns);
}

/* What keeps the worker from asking sources more than they want. */
static void start_manners(struct fetch_worker *w)
{
    const struct fetch_purses_spec purses = {
        .loop = w->loop,
        .redis = w->redis,
        .alone_percent = (int)fetch_config.alone_percent,
        .called = fetch_pass_paid,
        .deadline = fetch_pass_deadline,
    };

    w->purses = fetch_purses_new(&purses);
    w->limits = fetch_limits_new(w->loop, w->redis, w->category);
    w->sites = fetch_sites_new(w->loop, fetch_pass_called);
    w->look_timer = gs_timer_new(w->loop, fetch_lanes_look, w);
    gs_timer_start(w->look_timer, FETCH_LOOK_US, FETCH_LOOK_US);
}

static bool start_clients(struct fetch_worker *w, struct gs_err *err)
{
    const struct gs_pg_conf pg = {
        .application_name = gs_service_name(w->service), .state = on_database, .notified = on_gates, .arg = w};
    struct fetch_conns_spec conns = {.loop = w->loop, .category = w->category};

    w->keyring = gs_keyring_from_env(w->category, err);
    w->pg = w->keyring ? gs_pg_new(w->loop, &pg, err) : NULL;
    w->redis = w->pg ? gs_redis_new(w->loop, err) : NULL;
    if (!w->redis || fetch_drives_start(w, err) != GS_OK)
        return false;
    w->producer = gs_producer_new(w->loop, gs_service_instance(w->service), err);
    if (!w->producer)
        return false;
    conns.keyring = w->keyring;
    conns.pg = w->pg;
    conns.redis = w->redis;
    conns.max = (size_t)fetch_config.connections;
    w->conns = fetch_conns_new(&conns);
    start_manners(w);
    gs_producer_on_writable(w->producer, fetch_send_unsent, w);
    return true;
}

static void start_metrics(struct fetch_worker *w)
{
    w->in_flight = gs_gauge("goalsync_fetch_in_flight", NULL, "requests being answered");
    w->lanes_waiting = gs_gauge("goalsync_fetch_lanes_waiting", NULL, "lanes with messages that wait for room");
    w->unacknowledged = gs_gauge("goalsync_fetch_unacknowledged", NULL, "results Kafka has not acknowledged");
    w->dead_letters = gs_counter("goalsync_fetch_dead_letters_total", NULL, "messages that could not be decoded");
}

void *fetch_worker_start(struct gs_service *service, enum gs_category category, struct gs_err *err)
{
    struct fetch_worker *w = gs_alloc(sizeof *w);
    char only[ONLY_MAX];

    w->service = service;
    w->loop = gs_service_loop(service);
    w->category = category;
    snprintf(w->group, sizeof w->group, "goalsync-fetch-%s", gs_category_dashed(category));
    snprintf(w->source, sizeof w->source, "/goalsync/fetch-%s", gs_category_dashed(category));
    start_metrics(w);
    w->offsets = gs_offsets_new();
    w->deadline_timer = gs_timer_new(w->loop, fetch_request_deadlines, w);
    w->held_timer = gs_timer_new(w->loop, fetch_send_held, w);
    w->resend_timer = gs_timer_new(w->loop, fetch_send_unsent, w);
    if (fetch_hosts_start(fetch_catalogue(), fetch_config.allow_plain, err) == GS_OK &&
        fetch_reach_start(category, fetch_catalogue(), fetch_config.hosts_allowed, err) == GS_OK &&
        read_args(service, only, err) == GS_OK &&
        fetch_lanes_init(w, only[0] ? only : NULL, fetch_config.exclude, err) == GS_OK && start_clients(w, err) &&
        start_consumer(w, err))
        return w;
    fetch_worker_stop(w);
    return NULL;
}

void fetch_worker_ready(void *worker, struct gs_buf *reasons)
{
    const struct fetch_worker *w = worker;

    if (w->consumer && !gs_consumer_assigned(w->consumer))
        gs_buf_puts(reasons, "kafka: not yet a member of the group\n");
    if (w->consumer && !gs_producer_connected(w->producer))
        gs_buf_puts(reasons, "kafka: not connected\n");
    if (!gs_pg_up(w->pg))
        gs_buf_printf(reasons, "postgresql: %s\n", gs_pg_error(w->pg));
    if (w->unsent.n)
        gs_buf_printf(reasons, "kafka: %zu results could not be handed over\n", w->unsent.n);
}

/* Last, when no callback can come any more. */
static void free_worker(void *arg)
{
    struct fetch_worker *w = arg;

    w->offsets = gs_offsets_free(w->offsets);
    fetch_lanes_done(w);
    gs_freep(&w);
}

static void closed(void *arg)
{
    struct fetch_worker *w = arg;

    w->consumer = NULL;
    if (w->stopping)
        free_worker(w);
    else
        gs_service_drained(w->service);
}

size_t fetch_unacknowledged(const struct fetch_worker *w)
{
    return w->held.n + w->sending.n + w->unsent.n;
}

void fetch_worker_finished(struct fetch_worker *w)
{
    gs_metric_set(w->unacknowledged, (double)fetch_unacknowledged(w));
    if (!w->draining || w->closing || w->running.n || fetch_unacknowledged(w))
        return;
    w->closing = true;
    if (w->consumer)
        gs_consumer_close(w->consumer, closed, w);
    else
        gs_service_drained(w->service);
}

void fetch_worker_drain(void *worker)
{
    struct fetch_worker *w = worker;

    w->draining = true;
    fetch_lanes_unpark(w);
    if (w->consumer)
        gs_consumer_stop(w->consumer);
    fetch_worker_finished(w);
}

/* What is in flight is given up: no offset was stored for it, so another worker does it again. Clients end what they
 * have open with callbacks, so each goes before what its callbacks touch. */
void fetch_worker_stop(void *worker)
{
    struct fetch_worker *w = worker;

    if (!w)
        return;
    w->stopping = true;
    fetch_lanes_unpark(w);
    fetch_requests_abandon(w);
    w->producer = gs_producer_free(w->producer);
    fetch_drives_stop(w);
    w->redis = w->redis ? gs_redis_free(w->redis) : NULL;
    w->pg = w->pg ? gs_pg_free(w->pg) : NULL;
    w->purses = fetch_purses_free(w->purses);
    w->limits = fetch_limits_free(w->limits);
    w->sites = fetch_sites_free(w->sites);
    w->conns = fetch_conns_free(w->conns);
    w->keyring = gs_keyring_free(w->keyring);
    w->deadline_timer = gs_timer_free(w->deadline_timer);
    w->held_timer = gs_timer_free(w->held_timer);
    w->resend_timer = gs_timer_free(w->resend_timer);
    w->look_timer = gs_timer_free(w->look_timer);
    if (w->consumer && !w->closing)
        gs_consumer_close(w->consumer, closed, w);
    else if (!w->consumer)
        gs_defer(w->loop, free_worker, w);
}
