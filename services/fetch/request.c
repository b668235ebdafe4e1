/* The life of one request: decode, connection, exchanges, outcome. */
#include "services/fetch/request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"

#define ROOM_PER_BYTE 3    /* decoding needs about this many bytes for each of the message */
#define ROOM_LEAST    1536 /* for the answer */
#define ROOM_MOST     (64 * 1024)

/* ---- lists ---- */

void fetch_list_move(struct fetch_request *q, struct fetch_list *to)
{
    if (q->list) {
        *(q->prev ? &q->prev->next : &q->list->first) = q->next;
        *(q->next ? &q->next->prev : &q->list->last) = q->prev;
        q->list->n--;
    }
    q->list = to;
    q->next = q->prev = NULL;
    if (!to)
        return;
    q->prev = to->last;
    *(q->prev ? &q->prev->next : &to->first) = q;
    to->last = q;
    to->n++;
}

/* ---- from message to request ---- */

static struct fetch_request *new_request(struct fetch_worker *w, struct fetch_lane *lane, const rd_kafka_message_t *m)
{
    size_t room = m->len * ROOM_PER_BYTE + ROOM_LEAST;

    if (room > ROOM_MOST)
        room = ROOM_MOST;
    struct fetch_request *q = gs_alloc(sizeof *q + room);

    q->w = w;
    q->lane = lane;
    q->partition = m->partition;
    q->offset = m->offset;
    q->generation = gs_offsets_begin(w->offsets, lane->topic, m->partition, m->offset);
    gs_arena_init(&q->arena, q->room, room);
    return q;
}

/* What is of no use once the answer is packed. */
static void let_go(struct fetch_request *q)
{
    fetch_conn_cancel(&q->wait);
    fetch_pass_leave(q);
    if (q->http)
        gs_http_cancel(q->http);
    if (q->sql)
        fetch_pg_cancel(q->sql);
    q->http = NULL;
    q->sql = NULL;
    q->task = fetch_task_free(q->task);
    for (size_t i = 0; q->settings && i < q->order.n_targets; i++)
        fetch_settings_free(q->settings[i]);
    q->settings = NULL;
    if (q->conn)
        fetch_conn_release(q->conn);
    q->conn = NULL;
}

void fetch_request_free(struct fetch_request *q)
{
    let_go(q);
    fetch_list_move(q, NULL);
    if (q->dead)
        rd_kafka_message_destroy(q->dead);
    gs_arena_done(&q->arena);
    gs_freep(&q);
}

/* ---- outcome ---- */

static void report(struct fetch_request *q, const struct fetch_answer *a)
{
    bool failed = a->outcome != FETCH_OUTCOME_OK;
    char trace[33], error[256];
    struct gs_log_ctx ctx = {.topic = "fetch", .org_id = q->order.org_id, .connection_id = q->order.connection_id};
    const char *why = a->error;

    for (size_t i = 0; a->results && !failed && i < q->order.n_targets; i++) {
        failed = a->results[i].outcome != FETCH_OUTCOME_OK;
        why = a->results[i].error;
    }
    gs_metric_add(q->lane->stats->outcomes[a->outcome], 1);
    gs_metric_add(q->lane->stats->exchanges, a->requests_used);
    gs_metric_observe(q->lane->stats->seconds, (double)(gs_mono_us() - q->begun_us) / 1e6);
    if (!gs_log_on(&ctx, failed ? GS_LOG_INFO : GS_LOG_DEBUG))
        return;
    snprintf(trace, sizeof trace, "%.32s", q->traceparent + 3);
    ctx.trace = trace;
    ctx.link_id = q->order.targets[0].link_id;
    if (failed)
        gs_log_info(&ctx, "fetch failed", "connector=%s links=%zu outcome=%s ms=%d error=\"%s\"", q->lane->entry->name,
                    q->order.n_targets, fetch_outcome_name(a->outcome), (int)a->elapsed_ms,
                    gs_str_clean(error, sizeof error, why, strlen(why)));
    else
        gs_log_debug(&ctx, "fetch done", "connector=%s links=%zu ms=%d exchanges=%d", q->lane->entry->name,
                     q->order.n_targets, (int)a->elapsed_ms, (int)a->requests_used);
}

void fetch_request_finish(struct fetch_request *q, enum fetch_outcome outcome, const char *error, int64_t retry_at_us)
{
    struct fetch_answer a = {
        .order = &q->order,
        .outcome = outcome,
        .error = error,
        .retry_at_us = retry_at_us,
        .fetched_at_us = q->fetched_at_us,
        .requests_used = q->task ? fetch_task_exchanges(q->task) : 0,
        .elapsed_ms = (int32_t)((gs_mono_us() - q->begun_us) / 1000),
        .results = outcome == FETCH_OUTCOME_OK ? q->results : NULL,
    };
    struct fetch_worker *w = q->w;

    report(q, &a);
    fetch_send(q, &a);
    let_go(q);
    fetch_lanes_left(w, q->lane);
}

static void finish_task(struct fetch_request *q)
{
    struct fetch_task *t = q->task;
    enum fetch_outcome outcome = fetch_task_outcome(t);
    size_t place = 0;

    for (size_t i = 0; outcome == FETCH_OUTCOME_OK && i < q->order.n_targets; i++) {
        if (q->settings[i])
            fetch_task_result(t, place++, &q->results[i]);
    }
    if (outcome == FETCH_OUTCOME_WAITING)
        fetch_limits_add(q->w->limits, q->lane->entry, q->conn->account, fetch_task_used_up(t),
                         fetch_task_retry_at_us(t), fetch_task_error(t));
    fetch_request_finish(q, outcome, fetch_task_error(t), fetch_task_retry_at_us(t));
}

/* ---- exchanges ---- */

static void go_on(struct fetch_request *q, bool asks)
{
    if (asks)
        fetch_pass(q);
    else
        finish_task(q);
}

/* What an answer says of its host, whatever it says of the request. */
static enum fetch_site_end site_end(const struct fetch_reply *r)
{
    if (r->status >= 502 && r->status <= 504)
        return FETCH_SITE_FAILED;
    return FETCH_SITE_ANSWERED;
}

void fetch_request_replied(struct fetch_request *q, const struct fetch_reply *r)
{
    q->http = NULL;
    q->sql = NULL;
    q->fetched_at_us = gs_now_us();
    fetch_pass_over(q, site_end(r), "it answered with a server error");
    go_on(q, fetch_task_reply(q->task, r));
}

void fetch_request_unanswered(struct fetch_request *q, enum gs_rc rc, const char *why)
{
    q->http = NULL;
    q->sql = NULL;
    fetch_pass_over(q, rc == GS_RETRY ? FETCH_SITE_FAILED : FETCH_SITE_UNKNOWN, why);
    fetch_task_fail(q->task, rc, why);
    finish_task(q);
}

/* ---- targets ---- */

/* A link with wrong settings is refused alone; the others are asked for. */
static size_t read_targets(struct fetch_request *q)
{
    const struct fetch_connector *c = q->lane->entry->connector;
    size_t good = 0, n = q->order.n_targets;
    struct gs_err err;

    q->settings = gs_arena_alloc(&q->arena, n * sizeof(struct fetch_settings *));
    q->results = gs_arena_alloc(&q->arena, n * sizeof *q->results);
    for (size_t i = 0; i < n; i++) {
        const char *json = q->order.targets[i].settings;

        q->results[i] = (struct fetch_result){.error = ""};
        q->settings[i] = fetch_settings_parse(c->link_fields, json, strlen(json), &err);
        if (q->settings[i] && fetch_settings_check(c, q->conn->settings, q->settings[i], &err) != GS_OK)
            q->settings[i] = fetch_settings_free(q->settings[i]);
        if (q->settings[i]) {
            good++;
            continue;
        }
        q->results[i].outcome = FETCH_OUTCOME_REJECTED;
        q->results[i].error = gs_arena_strndup(&q->arena, err.text, strlen(err.text));
    }
    return good;
}

static void start_task(struct fetch_request *q)
{
    size_t good = read_targets(q), place = 0;
    const struct fetch_settings **targets;

    if (!good) {
        fetch_request_finish(q, FETCH_OUTCOME_OK, "", 0);
        return;
    }
    targets = gs_arena_alloc(&q->arena, good * sizeof *targets);
    for (size_t i = 0; i < q->order.n_targets; i++) {
        if (q->settings[i])
            targets[place++] = q->settings[i];
    }
    const struct fetch_task_spec spec = {
        .connector = q->lane->entry->connector,
        .connection = q->conn->settings,
        .targets = targets,
        .n_targets = good,
        .max_exchanges = (int)fetch_config.exchanges,
        .now_us = gs_now_us(),
    };

    q->task = fetch_task_new(&spec);
    go_on(q, fetch_task_start(q->task));
}

static void on_connection(void *arg, struct fetch_conn *c)
{
    struct fetch_request *q = arg;

    q->conn = c;
    if (c->outcome != FETCH_OUTCOME_OK)
        fetch_request_finish(q, c->outcome, c->err.text, 0);
    else if (c->org_id != q->order.org_id || c->entry != q->lane->entry)
        fetch_request_finish(q, FETCH_OUTCOME_GONE,
                             "the connection belongs to another organisation or another integration", 0);
    else
        start_task(q);
}

/* ---- beginning ---- */

static void take_trace(struct fetch_request *q, const rd_kafka_message_t *m)
{
    struct gs_event ev = {0};

    gs_traceparent_child(gs_event_read(m, &ev) ? ev.traceparent : NULL, q->traceparent);
}

static void arm_deadline(struct fetch_worker *w)
{
    int64_t left = w->running.first ? w->running.first->deadline_us - gs_mono_us() : 0;

    if (w->running.first)
        gs_timer_start(w->deadline_timer, left > 0 ? left : 0, 0);
}

struct fetch_request *fetch_request_take(struct fetch_worker *w, struct fetch_lane *lane, rd_kafka_message_t *m)
{
    struct fetch_request *q = new_request(w, lane, m);
    struct gs_err err;

    take_trace(q, m);
    if (fetch_wire_decode(&q->arena, m->payload, m->len, &q->order, &err) != GS_OK) {
        fetch_send_dead_letter(q, m, err.text);
        return NULL;
    }
    rd_kafka_message_destroy(m);
    return q;
}

void fetch_request_begin(struct fetch_request *q)
{
    struct fetch_worker *w = q->w;

    q->begun_us = gs_mono_us();
    q->deadline_us = q->begun_us + fetch_config.deadline_us;
    fetch_list_move(q, &w->running);
    if (q == w->running.first)
        arm_deadline(w);
    if (q->order.expires_at_us && q->order.expires_at_us < gs_now_us()) {
        fetch_request_finish(q, FETCH_OUTCOME_EXPIRED, "the request was too old when its turn came", 0);
        return;
    }
    q->wait = (struct fetch_conn_wait){.fn = on_connection, .arg = q};
    struct fetch_conn *c = fetch_conns_get(w->conns, q->order.connection_id, q->order.connection_version, &q->wait);

    if (c)
        on_connection(q, c);
}

static void pass_deadline(struct fetch_request *q)
{
    const char *waits = fetch_pass_waits_for(q),
               *what = q->conn ? "no answer from the source" : "the connection could not be loaded";
    char why[160];

    if (waits) {
        snprintf(why, sizeof why, "waiting for %s: %s", q->lane->entry->connector->label, waits);
        fetch_request_finish(q, FETCH_OUTCOME_WAITING, why, gs_now_us() + fetch_config.deadline_us);
        return;
    }

    snprintf(why, sizeof why, "%s within %.0f s", what, (double)fetch_config.deadline_us / 1e6);
    fetch_pass_over(q, FETCH_SITE_FAILED, why);
    fetch_request_finish(q, FETCH_OUTCOME_RETRY, why, 0);
}

void fetch_request_deadlines(void *worker)
{
    struct fetch_worker *w = worker;

    while (w->running.first && w->running.first->deadline_us <= gs_mono_us())
        pass_deadline(w->running.first);
    arm_deadline(w);
}

void fetch_requests_abandon(struct fetch_worker *w)
{
    while (w->running.first)
        fetch_request_free(w->running.first);
    while (w->held.first)
        fetch_request_free(w->held.first);
    while (w->unsent.first)
        fetch_request_free(w->unsent.first);
}
