/* One PostgreSQL connection on the loop: keeps it up, sends statements in a pipeline, hands results to their owners. */
#include "common/pg.h"

#include "common/backoff.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/pg_internal.h"
#include "common/str.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static char *url;

const struct gs_env gs_pg_env[] = {
    {"GOALSYNC_DATABASE_URL", GS_ENV_SECRET, &url, GS_ENV_REQUIRED, 0, 0,
     "PostgreSQL: a libpq URI or keyword=value text, TLS options included (sslmode=verify-full sslrootcert=...)"},
    GS_ENV_END,
};

const char *gs_pg_url(void)
{
    return url;
}

#define TICK_US 500000 /* how often waits are looked at; only while there are any */

enum state {
    DOWN, /* waiting for the next attempt */
    RESOLVING,
    CONNECTING,
    UP,
};

/* A statement is in exactly one queue: waiting for a connection, sent and waiting for its answer, or ending without
 * one. */
struct gs_pg {
    uv_loop_t *loop;
    struct gs_pg_conf conf;
    struct gs_pg_target *target;
    enum state state;
    PGconn *conn;
    struct gs_watch *watch;
    struct gs_timer *life; /* back-off between attempts, and the limit of one */
    struct gs_timer *soon; /* to tell owners what must not be told from inside their calls */
    struct gs_timer *tick;
    struct gs_backoff backoff;
    unsigned first_address;
    struct gs_pg_queue waiting, sent, ending;
    int64_t head_since_us; /* since when sent's first is the first */
    bool overdue;          /* seen once; the loop itself may have been late */
    bool want_write;
    bool lost; /* the owner has not been told yet; what he queues now is for the session that is gone */
    int parts; /* answers to sent's first that have ended */
    int depth; /* of calls into us; memory is freed at 0 */
    bool freed;
    PGresult *result; /* of sent's first, so far: the last one, or the first that failed */
    struct gs_pg_names names;
    char error[400];
    char lost_text[440];
};

static const struct gs_log_ctx log_ctx = {.topic = "pg"};

static void enter(struct gs_pg *pg)
{
    pg->depth++;
}

static void leave(struct gs_pg *pg)
{
    if (--pg->depth == 0 && pg->freed)
        free(pg);
}

/* Calls the owner, who may do anything, gs_pg_free() included. */
static void answer(struct gs_pg *pg, struct gs_pg_item *it, const struct gs_pg_result *r)
{
    enter(pg);
    if (it->fn)
        it->fn(it->arg, r);
    gs_pg_params_free(it->params);
    free(it);
    leave(pg);
}

static void answer_unsent(struct gs_pg *pg, struct gs_pg_item *it)
{
    struct gs_pg_result r = {.rc = it->rc};

    snprintf(r.error, sizeof(r.error), "%s", it->why);
    answer(pg, it, &r);
}

static void end_later(struct gs_pg *pg, struct gs_pg_item *it, enum gs_rc rc, const char *why)
{
    it->rc = rc;
    it->why = why;
    gs_pg_push(&pg->ending, it);
    gs_timer_start(pg->soon, 0, 0);
}

/* ---- the connection's life ---- */

static void try_connect(struct gs_pg *pg);
static void on_io(void *arg, int events);

static void disconnect(struct gs_pg *pg)
{
    pg->watch = gs_watch_free(pg->watch);
    PQclear(pg->result);
    pg->result = NULL;
    pg->parts = 0;
    if (pg->conn) {
        /* Whatever the peer does, what PQfinish() sends must not wait. */
        if (PQsocket(pg->conn) >= 0)
            shutdown(PQsocket(pg->conn), SHUT_RDWR);
        PQfinish(pg->conn);
    }
    pg->conn = NULL;
    pg->names.n = 0;
    pg->state = DOWN;
    pg->overdue = false;
}

/* libpq's texts have several lines; they name host and user, never the password. */
static void set_error(struct gs_pg *pg, const char *cause)
{
    char clean[300];

    gs_str_clean(clean, sizeof(clean), cause, strlen(cause));
    for (size_t len = strlen(clean); len > 0 && (clean[len - 1] == '?' || clean[len - 1] == ' '); len--)
        clean[len - 1] = '\0';
    snprintf(pg->error, sizeof(pg->error), "%.*s: %s", 90, gs_pg_target_label(pg->target), clean);
}

/* The connection is over, or was never made; there will be another try. */
static void lose(struct gs_pg *pg, const char *cause)
{
    bool was_up = pg->state == UP;

    set_error(pg, cause);
    disconnect(pg);
    gs_timer_start(pg->life, gs_backoff_next(&pg->backoff), 0);
    if (!was_up) {
        gs_log_debug(&log_ctx, "connect failed", "error=\"%s\"", pg->error);
        return;
    }
    pg->lost = true;
    snprintf(pg->lost_text, sizeof(pg->lost_text), "the connection was lost; %s", pg->error);
    for (struct gs_pg_item *it; (it = gs_pg_pop(&pg->sent));)
        end_later(pg, it, GS_RETRY, pg->lost_text);
    gs_timer_start(pg->soon, 0, 0);
}

static void on_soon(void *arg)
{
    struct gs_pg *pg = arg;
    bool tell = pg->lost;

    enter(pg);
    pg->lost = false;
    if (tell && pg->conf.state)
        pg->conf.state(pg->conf.arg, false);
    /* Those that come in meanwhile have their own turn. */
    for (size_t n = pg->ending.n; n > 0 && !pg->freed && pg->ending.first; n--)
        answer_unsent(pg, gs_pg_pop(&pg->ending));
    leave(pg);
}

static void watch_for(struct gs_pg *pg, int events)
{
    pg->watch = gs_watch_new(pg->loop, PQsocket(pg->conn), on_io, pg);
    gs_watch_set(pg->watch, events);
}

static void send_waiting(struct gs_pg *pg);

static void came_up(struct gs_pg *pg)
{
    int version = PQserverVersion(pg->conn);
    char text[120];

    if (version < GS_PG_MIN_SERVER) {
        snprintf(text, sizeof(text), "wrong version: the server is PostgreSQL %d.%d, and %d or newer is needed",
                 version / 10000, version % 10000, GS_PG_MIN_SERVER / 10000);
        lose(pg, text);
        return;
    }
    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1) {
        lose(pg, PQerrorMessage(pg->conn));
        return;
    }
    gs_timer_stop(pg->life);
    gs_backoff_reset(&pg->backoff);
    pg->state = UP;
    pg->error[0] = '\0';
    pg->want_write = false;
    watch_for(pg, UV_READABLE);
    if (pg->conf.state)
        pg->conf.state(pg->conf.arg, true);
    send_waiting(pg);
}

/* libpq may go on with another socket of the same number, so each step gets its own watch. */
static void step(struct gs_pg *pg)
{
    pg->watch = gs_watch_free(pg->watch);
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_READING:
        watch_for(pg, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        watch_for(pg, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        came_up(pg);
        break;
    default:
        lose(pg, PQerrorMessage(pg->conn));
        break;
    }
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static void on_resolved(void *arg, const char *error)
{
    struct gs_pg *pg = arg;

    if (pg->state != RESOLVING)
        return;
    if (*error) {
        lose(pg, error);
        return;
    }
    pg->state = CONNECTING;
    gs_timer_start(pg->life, gs_pg_target_connect_us(pg->target), 0);
    pg->conn = gs_pg_target_connect(pg->target, pg->first_address);
    if (!pg->conn || PQstatus(pg->conn) == CONNECTION_BAD) {
        lose(pg, pg->conn ? PQerrorMessage(pg->conn) : "out of memory");
        return;
    }
    PQsetNoticeProcessor(pg->conn, ignore_notice, NULL);
    watch_for(pg, UV_WRITABLE);
}

static void try_connect(struct gs_pg *pg)
{
    pg->state = RESOLVING;
    gs_timer_start(pg->life, gs_pg_target_connect_us(pg->target), 0);
    gs_pg_target_resolve(pg->target, pg->loop, on_resolved, pg);
}

static void on_life(void *arg)
{
    struct gs_pg *pg = arg;

    switch (pg->state) {
    case DOWN:
        try_connect(pg);
        break;
    case RESOLVING:
        /* The look-up runs in a thread that cannot be stopped; it ends by itself. */
        set_error(pg, "looking its name up takes long");
        break;
    case CONNECTING:
        /* Perhaps a host swallows what we send: begin with another one next time. */
        pg->first_address++;
        lose(pg, "no answer within the time-out for connecting");
        break;
    case UP:
        break;
    }
}

/* ---- answers ---- */

static void finish_first(struct gs_pg *pg)
{
    struct gs_pg_item *it = gs_pg_pop(&pg->sent);
    PGresult *res = pg->result;
    struct gs_pg_result r;

    gs_pg_result_init(&r, res);
    if (r.rc != GS_OK)
        gs_pg_note_failure(&pg->names, it, &r, pg->parts == 0);
    pg->result = NULL;
    pg->parts = 0;
    pg->overdue = false;
    pg->head_since_us = (int64_t)uv_now(pg->loop) * 1000;
    answer(pg, it, &r);
    PQclear(res);
}

/* Each statement ends with the answer to its Sync; what failed before it made the server skip the rest. */
static void take(struct gs_pg *pg, PGresult *res)
{
    bool failed = pg->result && PQresultStatus(pg->result) == PGRES_FATAL_ERROR;

    if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
        PQclear(res);
        finish_first(pg);
    } else if (failed || PQresultStatus(res) == PGRES_PIPELINE_ABORTED) {
        PQclear(res);
    } else {
        PQclear(pg->result);
        pg->result = res;
    }
}

static void drain(struct gs_pg *pg)
{
    bool ended = false;

    while (pg->state == UP && pg->sent.first && !PQisBusy(pg->conn)) {
        PGresult *res = PQgetResult(pg->conn);

        if (res) {
            ended = false;
            take(pg, res);
            continue;
        }
        if (PQstatus(pg->conn) == CONNECTION_BAD || ended) {
            lose(pg, PQerrorMessage(pg->conn));
            return;
        }
        /* Within a failed statement the count stays: it says which part failed. */
        if (!pg->result || PQresultStatus(pg->result) != PGRES_FATAL_ERROR)
            pg->parts++;
        ended = true;
    }
}

static void notify(struct gs_pg *pg)
{
    PGnotify *n;

    while (pg->state == UP && (n = PQnotifies(pg->conn))) {
        if (pg->conf.notified)
            pg->conf.notified(pg->conf.arg, n->relname, n->extra);
        PQfreemem(n);
    }
}

/* Bytes that OpenSSL holds already do not make the socket readable. */
static bool more_to_read(const struct gs_pg *pg)
{
    SSL *ssl = pg->state == UP ? PQsslStruct(pg->conn, "OpenSSL") : NULL;

    return ssl && SSL_pending(ssl) > 0;
}

static void flush(struct gs_pg *pg)
{
    int rc = PQflush(pg->conn);

    if (rc < 0) {
        lose(pg, PQerrorMessage(pg->conn));
    } else if (pg->want_write != (rc == 1)) {
        pg->want_write = rc == 1;
        gs_watch_set(pg->watch, rc == 1 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    }
}

static void on_io(void *arg, int events)
{
    struct gs_pg *pg = arg;

    enter(pg);
    if (pg->state == CONNECTING) {
        step(pg);
        leave(pg);
        return;
    }
    if (events & UV_WRITABLE)
        flush(pg);
    if (events & UV_READABLE) {
        do {
            if (pg->state == UP && !PQconsumeInput(pg->conn))
                lose(pg, PQerrorMessage(pg->conn));
            drain(pg);
            notify(pg);
        } while (more_to_read(pg));
    }
    leave(pg);
}

/* ---- statements ---- */

static void send_item(struct gs_pg *pg, struct gs_pg_item *it, const struct gs_pg_params *params)
{
    if (!pg->sent.first)
        pg->head_since_us = (int64_t)uv_now(pg->loop) * 1000;
    gs_pg_push(&pg->sent, it);
    if (!gs_pg_transmit(pg->conn, &pg->names, it, params))
        lose(pg, PQerrorMessage(pg->conn));
    else if (!pg->want_write)
        flush(pg);
}

static void send_waiting(struct gs_pg *pg)
{
    while (pg->state == UP && pg->waiting.first) {
        struct gs_pg_item *it = gs_pg_pop(&pg->waiting);
        struct gs_pg_params *params = it->params;

        it->params = NULL;
        send_item(pg, it, params);
        gs_pg_params_free(params);
    }
}

static void on_tick(void *arg)
{
    struct gs_pg *pg = arg;
    int64_t now = (int64_t)uv_now(pg->loop) * 1000;

    if (gs_pg_pending(pg) == 0) {
        gs_timer_stop(pg->tick);
        return;
    }
    while (pg->waiting.first && now - pg->waiting.first->since_us > pg->conf.timeout_us)
        end_later(pg, gs_pg_pop(&pg->waiting), GS_RETRY, "no connection to the database within the time-out");
    if (!pg->sent.first || now - pg->head_since_us <= pg->conf.timeout_us)
        return;
    if (pg->overdue)
        lose(pg, "a statement has no answer within its time-out");
    else
        pg->overdue = true;
}

void gs_pg_query(struct gs_pg *pg, const struct gs_pg_stmt *stmt, const struct gs_pg_params *params, gs_pg_fn fn,
                 void *arg)
{
    struct gs_pg_item *it;

    /* Only callbacks of a free can come here; they have been told that it is over. */
    if (pg->freed)
        return;
    it = gs_alloc(sizeof(*it));
    it->fn = fn;
    it->arg = arg;
    it->stmt = *stmt;
    it->since_us = (int64_t)uv_now(pg->loop) * 1000;
    if (gs_pg_pending(pg) == 0)
        gs_timer_start(pg->tick, TICK_US, TICK_US);
    if (params && params->bytes.overflow) {
        end_later(pg, it, GS_REJECT, "the statement's parameters are larger than 64 MiB");
    } else if (pg->lost) {
        end_later(pg, it, GS_RETRY, pg->lost_text);
    } else if (gs_pg_pending(pg) >= GS_PG_PENDING) {
        end_later(pg, it, GS_RETRY, "too many statements wait for the database");
    } else if (pg->state == UP) {
        enter(pg);
        send_item(pg, it, params);
        leave(pg);
    } else {
        it->params = gs_pg_params_copy(params);
        gs_pg_push(&pg->waiting, it);
    }
}

/* ---- the owner's side ---- */

struct gs_pg *gs_pg_new(uv_loop_t *loop, const struct gs_pg_conf *conf, struct gs_err *err)
{
    struct gs_pg_target *target = gs_pg_target_new(conf, err);
    struct gs_pg *pg;

    if (!target)
        return NULL;
    pg = gs_alloc(sizeof(*pg));
    pg->loop = loop;
    pg->conf = *conf;
    if (pg->conf.timeout_us <= 0)
        pg->conf.timeout_us = GS_PG_TIMEOUT_US;
    pg->target = target;
    pg->backoff = (struct gs_backoff){.min_us = GS_PG_BACKOFF_MIN_US, .max_us = GS_PG_BACKOFF_MAX_US};
    gs_pg_queue_init(&pg->waiting);
    gs_pg_queue_init(&pg->sent);
    gs_pg_queue_init(&pg->ending);
    pg->life = gs_timer_new(loop, on_life, pg);
    pg->soon = gs_timer_new(loop, on_soon, pg);
    pg->tick = gs_timer_new(loop, on_tick, pg);
    set_error(pg, "not connected yet");
    try_connect(pg);
    return pg;
}

static void end_all(struct gs_pg *pg, struct gs_pg_queue *q)
{
    for (struct gs_pg_item *it; (it = gs_pg_pop(q));) {
        it->rc = GS_RETRY;
        it->why = "the database client was closed";
        answer_unsent(pg, it);
    }
}

struct gs_pg *gs_pg_free(struct gs_pg *pg)
{
    if (!pg || pg->freed)
        return NULL;
    enter(pg);
    pg->freed = true;
    disconnect(pg);
    pg->target = gs_pg_target_free(pg->target);
    pg->life = gs_timer_free(pg->life);
    pg->soon = gs_timer_free(pg->soon);
    pg->tick = gs_timer_free(pg->tick);
    end_all(pg, &pg->ending);
    end_all(pg, &pg->sent);
    end_all(pg, &pg->waiting);
    leave(pg);
    return NULL;
}

bool gs_pg_up(const struct gs_pg *pg)
{
    return pg->state == UP;
}

size_t gs_pg_pending(const struct gs_pg *pg)
{
    return pg->waiting.n + pg->sent.n + pg->ending.n;
}

const char *gs_pg_error(const struct gs_pg *pg)
{
    return pg->error;
}

void gs_pg_reset(struct gs_pg *pg)
{
    if (!pg->freed && pg->state == UP)
        lose(pg, "given up by its owner");
}
