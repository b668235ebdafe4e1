/* Owns the calls to PostgreSQL sources: their turn per host, the connection, the transaction and the deadline. What
 * codes and texts of the server mean is in wire_postgres_names.c. */
#include "services/fetch/wire_postgres.h"

#include "common/clock.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/wire_postgres_conn.h"
#include "services/fetch/wire_postgres_names.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum limits {
    TIMEOUT_SPARE_MS = 250, /* the server gives up this much before we do, so that its own words arrive */
    TIMEOUT_LEAST_MS = 100,
};

enum state { NEW, WAITING, RESOLVING, CONNECTING, BEGINNING, PARSING, DESCRIBING, ASKING };

/* All calls to one host and port. */
struct host {
    struct host *next;
    char *name;
    int port, open;
    struct fetch_pg_call *waiting, **waiting_end; /* in the order of their coming */
};

struct fetch_pg {
    uv_loop_t *loop;
    struct host *hosts;
    struct fetch_pg_call *calls; /* all of them */
    size_t open;
};

struct fetch_pg_call {
    struct fetch_pg *pg;
    struct fetch_pg_call *prev, *next; /* pg->calls */
    struct fetch_pg_call *next_waiting;
    enum state state;
    struct host *host;         /* null until it has joined one */
    struct fetch_pg_target to; /* owned copies */
    char *statement;
    int64_t deadline_us;
    void (*fn)(void *arg, const struct fetch_pg_answer *a);
    void *arg;
    struct gs_timer *timer; /* first the start, then the deadline */
    struct gs_watch *watch;
    uv_getaddrinfo_t *resolving; /* owns itself; its data is null once we are gone */
    PGconn *conn;
    int ca_fd;
    PGresult *described;  /* the latest result before the statement's own */
    PGresult *results[2]; /* of one row each; the first one may have none */
    int rows;
    char sqlstate[6];
    struct gs_err err;
};

static void begin(struct fetch_pg_call *c);
static void on_connection(void *arg, int events);

/* ---- the life of a call ---- */

static void leave_list(struct fetch_pg_call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->pg->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
}

static void remove_waiting(struct host *h, const struct fetch_pg_call *c)
{
    struct fetch_pg_call **at = &h->waiting;

    while (*at != c)
        at = &(*at)->next_waiting;
    *at = c->next_waiting;
    if (!*at)
        h->waiting_end = at;
}

/* Gives the turn to whoever waits longest for the host; an unused host is forgotten. */
static void leave_host(struct fetch_pg_call *c)
{
    struct host *h = c->host, **at = &c->pg->hosts;

    if (!h)
        return;
    if (c->state == WAITING) {
        remove_waiting(h, c);
    } else {
        h->open--;
        c->pg->open--;
    }
    if (h->waiting && h->open < FETCH_PG_HOST_CONNECTIONS_MAX) {
        struct fetch_pg_call *next = h->waiting;

        remove_waiting(h, next);
        next->state = NEW;
        h->open++;
        c->pg->open++;
        gs_timer_start(next->timer, 0, 0); /* never from inside another call's end */
    }
    if (h->open > 0 || h->waiting)
        return;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    free(h->name);
    free(h);
}

/* Everything that can call back stops here. */
static void disconnect(struct fetch_pg_call *c)
{
    c->timer = gs_timer_free(c->timer);
    c->watch = gs_watch_free(c->watch);
    if (c->resolving) {
        c->resolving->data = NULL;
        uv_cancel((uv_req_t *)c->resolving);
        c->resolving = NULL;
    }
    if (c->conn)
        PQfinish(c->conn);
    c->conn = NULL;
    if (c->ca_fd >= 0)
        close(c->ca_fd);
    c->ca_fd = -1;
    leave_host(c);
    c->host = NULL;
}

void fetch_pg_cancel(struct fetch_pg_call *c)
{
    disconnect(c);
    leave_list(c);
    PQclear(c->described);
    for (int i = 0; i < 2; i++)
        PQclear(c->results[i]);
    fetch_pg_target_free(&c->to);
    free(c->statement);
    free(c);
}

/* The only way a call ends by itself. c is gone afterwards. */
static void finish(struct fetch_pg_call *c, struct fetch_pg_answer *a)
{
    a->sqlstate = c->sqlstate;
    a->error = a->rc == GS_OK ? "" : c->err.text;
    disconnect(c);
    c->fn(c->arg, a);
    fetch_pg_cancel(c);
}

static void fail(struct fetch_pg_call *c, enum gs_rc rc)
{
    finish(c, &(struct fetch_pg_answer){.rc = rc});
}

/* ---- the answer ---- */

/* A numeric may still have thousands of digits. */
static enum gs_rc check_size(struct fetch_pg_call *c, const PGresult *last)
{
    char type[FETCH_PG_TYPE_TEXT];
    int cols = PQnfields(last);

    for (int i = 0; i < c->rows * cols; i++) {
        int len = PQgetlength(c->results[i / cols], 0, i % cols);

        if (len > FETCH_PG_VALUE_MAX)
            return gs_fail(&c->err, GS_REJECT,
                           "the query gave a value of type %s with %d bytes, at most %d are accepted",
                           fetch_pg_type_name(PQftype(last, i % cols), type), len, FETCH_PG_VALUE_MAX);
    }
    return GS_OK;
}

/* last: the result that describes the columns. Ends the call. */
static void answer(struct fetch_pg_call *c, const PGresult *last)
{
    struct fetch_pg_answer a = {.rc = check_size(c, last)};
    size_t cols = (size_t)PQnfields(last), rows = (size_t)c->rows;
    char(*names)[FETCH_PG_TYPE_TEXT];
    const char **types, **values;

    if (a.rc != GS_OK) {
        finish(c, &a);
        return;
    }
    names = gs_alloc_n(cols + 1, sizeof(*names));
    types = gs_alloc_n(cols + 1, sizeof(*types));
    values = gs_alloc_n(rows * cols + 1, sizeof(*values));
    for (size_t col = 0; col < cols; col++) {
        types[col] = fetch_pg_type_name(PQftype(last, (int)col), names[col]);
        for (size_t row = 0; row < rows; row++) {
            if (!PQgetisnull(c->results[row], 0, (int)col))
                values[row * cols + col] = PQgetvalue(c->results[row], 0, (int)col);
        }
    }
    a.reply = (struct fetch_reply){.rows = c->rows, .cols = (int)cols, .types = types, .values = values};
    finish(c, &a);
    free(names);
    free(types);
    free(values);
}

/* Takes one row; true when there is nothing more to wait for. */
static bool take_row(struct fetch_pg_call *c, PGresult *result)
{
    c->results[c->rows++] = result;
    if (c->rows < 2)
        return false;
    answer(c, result);
    return true;
}

/* Behind a connection pooler a transaction left open would cost its server connection. */
static void roll_back(struct fetch_pg_call *c)
{
    if (PQsendQuery(c->conn, "ROLLBACK") == 1)
        (void)PQflush(c->conn);
}

/* Takes one result of the user's statement; true when the call is gone. */
static bool take_result(struct fetch_pg_call *c, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
        return take_row(c, result);
    case PGRES_TUPLES_OK:
        roll_back(c);
        answer(c, result);
        break;
    default:
        fail(c, fetch_pg_result_refusal(&c->to, result, c->sqlstate, &c->err));
        break;
    }
    PQclear(result);
    return true;
}

/* ---- the transaction ---- */

static enum gs_rc sent(struct fetch_pg_call *c, enum state state, int rc)
{
    c->state = state;
    return rc == 1 ? GS_AGAIN : gs_fail(&c->err, GS_RETRY, "the connection to the server was lost before it was asked");
}

/* The SELECT makes the transaction's mode final before the user's text can name it. Settings are sent here, not when
 * connecting, because poolers refuse unknown start-up options. */
static enum gs_rc begin_transaction(struct fetch_pg_call *c)
{
    int64_t timeout_ms = (c->deadline_us - gs_mono_us()) / 1000 - TIMEOUT_SPARE_MS;
    char sql[256];

    snprintf(sql, sizeof(sql),
             "BEGIN READ ONLY; SET LOCAL statement_timeout = %lld; SET LOCAL extra_float_digits = 3; SELECT 1",
             (long long)(timeout_ms < TIMEOUT_LEAST_MS ? TIMEOUT_LEAST_MS : timeout_ms));
    PQsetnonblocking(c->conn, 1);
    return sent(c, BEGINNING, PQsendQuery(c->conn, sql));
}

/* Only a value whose type bounds its size is worth asking for: a row of libpq is in memory as a whole. */
static bool worth_asking(const PGresult *described)
{
    return PQnfields(described) == 1 && (PQfsize(described, 0) > 0 || PQftype(described, 0) == FETCH_PG_NUMERIC);
}

/* The next message to the server. GS_OK: the statement's shape was answer enough, and the call is gone. */
static enum gs_rc go_on(struct fetch_pg_call *c)
{
    switch (c->state) {
    case BEGINNING:
        return sent(c, PARSING, PQsendPrepare(c->conn, "", c->statement, 0, NULL));
    case PARSING:
        return sent(c, DESCRIBING, PQsendDescribePrepared(c->conn, ""));
    default:
        if (worth_asking(c->described))
            return sent(c, ASKING,
                        PQsendQueryPrepared(c->conn, "", 0, NULL, NULL, NULL, 0) && PQsetSingleRowMode(c->conn));
        roll_back(c);
        answer(c, c->described);
        return GS_OK;
    }
}

/* Reads the results of one message; the last one is kept. */
static enum gs_rc take_prepared(struct fetch_pg_call *c)
{
    while (!PQisBusy(c->conn)) {
        PGresult *result = PQgetResult(c->conn);

        if (!result)
            return c->described ? go_on(c) : gs_fail(&c->err, GS_RETRY, "the server gave no answer");
        PQclear(c->described);
        c->described = result;
        if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
            return fetch_pg_result_refusal(&c->to, result, c->sqlstate, &c->err);
    }
    return GS_AGAIN;
}

/* ---- the connection ---- */

static enum gs_rc too_long(struct fetch_pg_call *c)
{
    return gs_fail(&c->err, GS_REJECT, "the server sent more than %d bytes, but not the one number that was asked for",
                   FETCH_PG_REPLY_MAX);
}

/* The descriptor may have changed into another one of the same number, so an old watch is never kept. */
static void watch(struct fetch_pg_call *c, int events)
{
    gs_watch_free(c->watch);
    c->watch = gs_watch_new(c->pg->loop, PQsocket(c->conn), on_connection, c);
    gs_watch_set(c->watch, events);
}

static enum gs_rc on_connecting(struct fetch_pg_call *c)
{
    c->watch = gs_watch_free(c->watch);
    switch (PQconnectPoll(c->conn)) {
    case PGRES_POLLING_OK:
        fetch_pg_limit(c->conn, FETCH_PG_REPLY_MAX);
        return begin_transaction(c);
    case PGRES_POLLING_READING:
        watch(c, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        watch(c, UV_WRITABLE);
        break;
    default:
        return fetch_pg_connect_failure(PQerrorMessage(c->conn), c->to.host, c->to.port, c->sqlstate, &c->err);
    }
    return fetch_pg_received(PQsocket(c->conn)) > FETCH_PG_REPLY_MAX ? too_long(c) : GS_AGAIN;
}

/* GS_OK: the call is gone. GS_AGAIN: more must come. */
static enum gs_rc take_results(struct fetch_pg_call *c)
{
    while (!PQisBusy(c->conn)) {
        PGresult *result = PQgetResult(c->conn);

        if (!result)
            return gs_fail(&c->err, GS_RETRY, "the server ended its answer without a result");
        if (take_result(c, result))
            return GS_OK;
    }
    return GS_AGAIN;
}

/* GS_OK: the call is gone. */
static enum gs_rc on_connected(struct fetch_pg_call *c)
{
    bool alive = fetch_pg_consume(c->conn);
    enum gs_rc rc = c->state == ASKING ? take_results(c) : take_prepared(c);

    if (rc == GS_OK)
        return GS_OK;
    if ((rc == GS_AGAIN || !alive) && fetch_pg_received(PQsocket(c->conn)) > FETCH_PG_REPLY_MAX)
        return too_long(c);
    if (rc == GS_AGAIN && !alive)
        return gs_fail(&c->err, GS_RETRY, "the connection to the server was lost while it answered");
    return rc;
}

static void on_connection(void *arg, int events)
{
    struct fetch_pg_call *c = arg;
    enum gs_rc rc = c->state == CONNECTING ? on_connecting(c) : on_connected(c);

    (void)events;
    if (rc == GS_OK)
        return;
    if (rc == GS_AGAIN && c->state != CONNECTING) {
        int unsent = PQflush(c->conn);

        if (unsent < 0)
            rc = gs_fail(&c->err, GS_RETRY, "the connection to the server was lost while it was asked");
        else
            watch(c, unsent ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    }
    if (rc != GS_AGAIN)
        fail(c, rc);
}

static enum gs_rc connect_to(struct fetch_pg_call *c, const struct addrinfo *addresses)
{
    c->conn = fetch_pg_connect(&c->to, addresses, &c->ca_fd, &c->err);
    if (!c->conn)
        return c->err.rc;
    c->state = CONNECTING;
    watch(c, UV_WRITABLE);
    return GS_AGAIN;
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct fetch_pg_call *c = req->data;
    enum gs_rc rc;

    free(req);
    if (!c) {
        uv_freeaddrinfo(list);
        return;
    }
    c->resolving = NULL;
    if (status == 0)
        rc = connect_to(c, list);
    else
        rc = gs_fail(&c->err, GS_RETRY, "the host name %s could not be resolved: %s", c->to.host, uv_strerror(status));
    uv_freeaddrinfo(list);
    if (rc != GS_AGAIN)
        fail(c, rc);
}

static enum gs_rc resolve(struct fetch_pg_call *c)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int rc;

    c->state = RESOLVING;
    c->resolving = gs_alloc(sizeof(*c->resolving));
    c->resolving->data = c;
    rc = uv_getaddrinfo(c->pg->loop, c->resolving, on_resolved, c->to.host, NULL, &hints);
    if (rc == 0)
        return GS_AGAIN;
    free(c->resolving);
    c->resolving = NULL;
    return gs_fail(&c->err, GS_REJECT, "the host name %s could not be resolved: %s", c->to.host, uv_strerror(rc));
}

/* ---- the start of a call ---- */

static struct host *find_host(struct fetch_pg *pg, const char *name, int port)
{
    struct host *h = pg->hosts;

    while (h && (h->port != port || strcasecmp(h->name, name) != 0))
        h = h->next;
    if (h)
        return h;
    h = gs_alloc(sizeof(*h));
    h->name = gs_strdup(name);
    h->port = port;
    h->waiting_end = &h->waiting;
    h->next = pg->hosts;
    pg->hosts = h;
    return h;
}

/* True when it is the call's turn. */
static bool join_host(struct fetch_pg_call *c)
{
    struct host *h = find_host(c->pg, c->to.host, c->to.port);

    c->host = h;
    if (h->open >= FETCH_PG_HOST_CONNECTIONS_MAX) {
        c->state = WAITING;
        *h->waiting_end = c;
        h->waiting_end = &c->next_waiting;
        c->next_waiting = NULL;
        return false;
    }
    h->open++;
    c->pg->open++;
    return true;
}

static void begin(struct fetch_pg_call *c)
{
    enum gs_rc rc = fetch_pg_target_check(&c->to, &c->err);

    if (rc == GS_OK && strlen(c->statement) > FETCH_PG_STATEMENT_MAX)
        rc = gs_fail(&c->err, GS_REJECT, "the query has more than %d bytes", FETCH_PG_STATEMENT_MAX);

    gs_timer_start(c->timer, c->deadline_us - gs_mono_us(), 0);
    if (rc == GS_OK && !c->host && !join_host(c))
        return;
    if (rc == GS_OK)
        rc = resolve(c);
    if (rc != GS_AGAIN)
        fail(c, rc);
}

static void on_timer(void *arg)
{
    static const char *const where[] = {
        [NEW] = "before it was asked",
        [WAITING] = "while other queries to the same server were under way",
        [RESOLVING] = "resolving the host name",
        [CONNECTING] = "connecting to the server",
        [BEGINNING] = "opening a transaction",
        [PARSING] = "waiting for the server to read the query",
        [DESCRIBING] = "waiting for the query's columns",
        [ASKING] = "waiting for the query's answer",
    };
    struct fetch_pg_call *c = arg;

    if (c->state == NEW && c->deadline_us > gs_mono_us())
        begin(c);
    else
        fail(c, gs_fail(&c->err, GS_RETRY, "the time for this query was over %s", where[c->state]));
}

struct fetch_pg_call *fetch_pg_ask(struct fetch_pg *pg, const struct fetch_pg_target *target, const char *statement,
                                   int64_t deadline_us, void (*fn)(void *arg, const struct fetch_pg_answer *a),
                                   void *arg)
{
    struct fetch_pg_call *c = gs_alloc(sizeof(*c));

    c->pg = pg;
    fetch_pg_target_copy(&c->to, target);
    c->statement = gs_strdup(statement);
    c->deadline_us = deadline_us;
    c->fn = fn;
    c->arg = arg;
    c->ca_fd = -1;
    c->next = pg->calls;
    if (c->next)
        c->next->prev = c;
    pg->calls = c;
    c->timer = gs_timer_new(pg->loop, on_timer, c);
    gs_timer_start(c->timer, 0, 0);
    return c;
}

struct fetch_pg *fetch_pg_new(uv_loop_t *loop)
{
    struct fetch_pg *pg = gs_alloc(sizeof(*pg));

    pg->loop = loop;
    return pg;
}

struct fetch_pg *fetch_pg_free(struct fetch_pg *pg)
{
    if (!pg)
        return NULL;
    while (pg->calls) {
        struct fetch_pg_call *c = pg->calls;

        fail(c, gs_fail(&c->err, GS_RETRY, "the worker is being stopped"));
    }
    free(pg);
    return NULL;
}

size_t fetch_pg_open(const struct fetch_pg *pg)
{
    return pg->open;
}
