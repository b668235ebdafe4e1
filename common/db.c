/* One synchronous connection: made when needed, statements prepared once, waits bounded on our side too, refusals
 * turned into decisions. */
#include "common/db.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SERVER_VERSION_MIN = 130000,
    PARAMS_MAX = 64, /* of a statement */
    GRACE_MS = 1000, /* for the server to give up on a statement by itself, before we give up on the server */
    TABLE_SLOTS = GS_DB_STATEMENTS_MAX * 2,
};

struct statement {
    char *sql;
    unsigned number; /* its name is "s<number>" */
};

struct gs_db {
    char *url, *application;
    int timeout_ms;
    PGconn *conn;
    struct statement table[TABLE_SLOTS]; /* of the current connection; open addressing, never full */
    unsigned n_statements;
    struct gs_db_error error;
};

struct parameters {
    int n;
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
};

/* ---- errors ---- */

static void GS_PRINTF(3, 4) set_error(struct gs_db *db, enum gs_rc rc, const char *fmt, ...)
{
    char raw[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(raw, sizeof(raw), fmt, ap);
    va_end(ap);
    db->error = (struct gs_db_error){.rc = rc};
    gs_str_clean(db->error.text, sizeof(db->error.text), raw, strcspn(raw, "\n"));
}

static enum gs_rc decision(const char *state)
{
    static const struct {
        const char *prefix;
        enum gs_rc rc;
    } table[] = {{"40", GS_RETRY},  {"08", GS_RETRY},  {"53", GS_RETRY},  {"57", GS_RETRY},     {"55P03", GS_RETRY},
                 {"22", GS_REJECT}, {"23", GS_REJECT}, {"44", GS_REJECT}, {"P0001", GS_REJECT}, {"P0002", GS_REJECT}};

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (gs_str_starts(state, table[i].prefix))
            return table[i].rc;
    return GS_FATAL;
}

static const char *field(const PGresult *r, int code)
{
    const char *s = PQresultErrorField(r, code);

    return s ? s : "";
}

/* The schema's own sentences carry no constraint: they are raised, not violated. */
static bool is_ours(const char *state, const char *constraint)
{
    return gs_str_eq(state, "P0001") || (gs_str_eq(state, "23514") && !*constraint);
}

/* Which columns a key has, of "Key (org_id, name)=(1, x) already exists.": the values stay unsaid. */
static void describe_key(struct gs_db_error *e, const PGresult *r, const char *what, const char *otherwise)
{
    const char *detail = field(r, PG_DIAG_MESSAGE_DETAIL), *open = strchr(detail, '('), *end = strstr(detail, ")=");
    char columns[128];

    if (!open || !end || end < open) { /* row-level security keeps it to itself */
        snprintf(e->text, sizeof(e->text), "%s", otherwise);
        return;
    }
    open += gs_str_starts(open + 1, "org_id, ") ? sizeof("org_id, ") : 1;
    gs_str_clean(columns, sizeof(columns), open, (size_t)(end - open));
    snprintf(e->text, sizeof(e->text), what, columns);
}

static void error_from(struct gs_db *db, const PGresult *r)
{
    struct gs_db_error *e = &db->error;
    const char *state = field(r, PG_DIAG_SQLSTATE), *constraint = field(r, PG_DIAG_CONSTRAINT_NAME);
    const char *message = field(r, PG_DIAG_MESSAGE_PRIMARY);

    if (!*state) {
        set_error(db, GS_RETRY, "the connection to PostgreSQL was lost: %s", PQerrorMessage(db->conn));
        return;
    }
    *e = (struct gs_db_error){.rc = decision(state), .ours = is_ours(state, constraint)};
    snprintf(e->state, sizeof(e->state), "%s", state);
    gs_str_clean(e->constraint, sizeof(e->constraint), constraint, strlen(constraint));
    /* Of class 22 the message quotes what was sent. */
    if (gs_str_starts(state, "22") && !e->ours)
        snprintf(e->text, sizeof(e->text), "a value does not fit its type (SQLSTATE %s)", state);
    else
        gs_str_clean(e->text, sizeof(e->text), message, strcspn(message, "\n"));
    if (gs_str_eq(state, "23505"))
        describe_key(e, r, "there is one with the same %s already", "there is one like it already");
    else if (gs_str_eq(state, "23503"))
        describe_key(e, r, "what %s names does not exist, or is still in use",
                     "something it names does not exist, or is still in use");
}

const struct gs_db_error *gs_db_error(const struct gs_db *db)
{
    return &db->error;
}

/* ---- the connection ---- */

struct gs_db *gs_db_new(const char *url, const char *application, int timeout_ms)
{
    struct gs_db *db = gs_alloc(sizeof(*db));

    db->url = gs_strdup(url);
    db->application = gs_strdup(application);
    db->timeout_ms = timeout_ms;
    return db;
}

static void disconnect(struct gs_db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    for (size_t i = 0; db->n_statements > 0 && i < TABLE_SLOTS; i++) {
        free(db->table[i].sql);
        db->table[i].sql = NULL;
    }
    db->n_statements = 0;
}

struct gs_db *gs_db_free(struct gs_db *db)
{
    if (!db)
        return NULL;
    disconnect(db);
    gs_free_secret(db->url, strlen(db->url));
    free(db->application);
    free(db);
    return NULL;
}

PGconn *gs_db_conn(struct gs_db *db)
{
    return db->conn;
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static bool set_up_session(struct gs_db *db)
{
    char sql[400];
    PGresult *r;
    bool ok;

    if (PQserverVersion(db->conn) < SERVER_VERSION_MIN) {
        set_error(db, GS_FATAL,
                  "the PostgreSQL server is version %d, and goalsync needs 13 or newer; upgrade the server",
                  PQserverVersion(db->conn) / 10000);
        return false;
    }
    /* Compiling takes longer than our statements do; what is worked with stays in memory, so a look-up by an index is
     * never dearer than reading a whole table; with row-level security, planning is dearer than running. */
    snprintf(sql, sizeof(sql),
             "SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), "
             "set_config('IntervalStyle', 'postgres', false), set_config('search_path', 'public', false), "
             "set_config('jit', 'off', false), set_config('random_page_cost', '1.1', false), "
             "set_config('plan_cache_mode', 'force_generic_plan', false), "
             "set_config('statement_timeout', '%d', false)",
             db->timeout_ms);
    r = PQexec(db->conn, sql);
    ok = PQresultStatus(r) == PGRES_TUPLES_OK;
    if (!ok)
        error_from(db, r);
    PQclear(r);
    return ok;
}

/* A URL that libpq cannot read: its own message may quote the password. */
static bool is_malformed(const char *url)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);

    PQconninfoFree(options);
    return !options;
}

static bool connect_now(struct gs_db *db)
{
    const char *const keys[] = {
        "connect_timeout",  "fallback_application_name", "client_encoding", "keepalives_idle", "keepalives_interval",
        "keepalives_count", "tcp_user_timeout",          "gssencmode",      "dbname",          NULL};
    const char *const values[] = {"5", db->application, "UTF8", "30", "10", "3", "30000", "disable", db->url, NULL};

    disconnect(db);
    if (!*db->url || is_malformed(db->url)) {
        set_error(db, GS_FATAL, "the database's address is %s; see GOALSYNC_DATABASE_URL",
                  *db->url ? "neither a postgresql:// URI nor a list of keyword=value" : "missing");
        return false;
    }
    db->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(db->conn) != CONNECTION_OK) {
        set_error(db, GS_RETRY, "cannot connect to PostgreSQL: %s", PQerrorMessage(db->conn));
        disconnect(db);
        return false;
    }
    PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
    if (set_up_session(db))
        return true;
    disconnect(db);
    return false;
}

/* ---- statements ---- */

static struct statement *slot_of(struct gs_db *db, const char *sql)
{
    size_t i = gs_hash64(sql, strlen(sql), 0) % TABLE_SLOTS;

    while (db->table[i].sql && strcmp(db->table[i].sql, sql) != 0)
        i = (i + 1) % TABLE_SLOTS;
    return &db->table[i];
}

/* Waits until the socket can be read or, while something is left to send, written. False: time is up, or it broke. */
static bool wait_socket(struct gs_db *db, short events, int64_t deadline_us)
{
    struct pollfd p = {.fd = PQsocket(db->conn), .events = events};

    for (;;) {
        int64_t left_ms = deadline_us ? (deadline_us - gs_mono_us() + 999) / 1000 : -1;
        int n;

        if (deadline_us && left_ms <= 0)
            return false;
        n = poll(&p, 1, (int)left_ms);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

static bool flush(struct gs_db *db, int64_t deadline_us)
{
    int left;

    while ((left = PQflush(db->conn)) > 0) {
        /* The server may wait for us to read before it reads on. */
        if (!wait_socket(db, POLLIN | POLLOUT, deadline_us) || !PQconsumeInput(db->conn))
            return false;
    }
    return left == 0;
}

/* The last result of what was sent; null when the connection broke or time is up. */
static PGresult *collect(struct gs_db *db)
{
    int64_t deadline_us = db->timeout_ms ? gs_mono_us() + (int64_t)(db->timeout_ms + GRACE_MS) * 1000 : 0;
    PGresult *last = NULL, *r;

    if (!flush(db, deadline_us))
        return NULL;
    for (;;) {
        while (PQisBusy(db->conn)) {
            if (!wait_socket(db, POLLIN, deadline_us) || !PQconsumeInput(db->conn)) {
                PQclear(last);
                return NULL;
            }
        }
        r = PQgetResult(db->conn);
        if (!r)
            return last;
        PQclear(last);
        last = r;
    }
}

static bool is_good(const PGresult *r)
{
    return PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK;
}

/* Gives r back when it is good; else clears it and says why. */
static PGresult *judge(struct gs_db *db, PGresult *r)
{
    if (r && is_good(r))
        return r;
    if (r) {
        error_from(db, r);
    } else {
        bool silent = PQstatus(db->conn) == CONNECTION_OK;
        set_error(db, GS_RETRY, "the connection to PostgreSQL was lost: %s",
                  silent ? "it does not answer" : PQerrorMessage(db->conn));
    }
    /* The tables changed under a prepared statement: prepared anew it works. */
    bool stale = gs_str_eq(db->error.state, "0A000") || gs_str_eq(db->error.state, "26000");
    if (stale)
        db->error.rc = GS_RETRY;
    /* What is still under way there would be taken for the answer to the next statement. */
    if (!r || stale || PQstatus(db->conn) == CONNECTION_BAD)
        disconnect(db);
    PQclear(r);
    return NULL;
}

static bool send_unprepared(struct gs_db *db, const char *sql, const struct parameters *p)
{
    return PQsendQueryParams(db->conn, sql, p->n, NULL, p->values, p->lengths, p->formats, 0) == 1;
}

static PGresult *run(struct gs_db *db, const char *sql, const struct parameters *p)
{
    struct statement *s = slot_of(db, sql);
    char name[24];
    bool sent;

    if (!s->sql && db->n_statements == GS_DB_STATEMENTS_MAX) {
        sent = send_unprepared(db, sql, p);
        return judge(db, sent ? collect(db) : NULL);
    }
    if (!s->sql) {
        PGresult *r;
        snprintf(name, sizeof(name), "s%u", db->n_statements);
        sent = PQsendPrepare(db->conn, name, sql, 0, NULL) == 1;
        r = judge(db, sent ? collect(db) : NULL);
        if (!r)
            return NULL;
        PQclear(r);
        s->sql = gs_strdup(sql);
        s->number = db->n_statements++;
    }
    snprintf(name, sizeof(name), "s%u", s->number);
    sent = PQsendQueryPrepared(db->conn, name, p->n, p->values, p->lengths, p->formats, 0) == 1;
    return judge(db, sent ? collect(db) : NULL);
}

static PGresult *query(struct gs_db *db, const char *sql, const struct parameters *p)
{
    bool fresh = !db->conn, in_transaction = db->conn && PQtransactionStatus(db->conn) != PQTRANS_IDLE;
    PGresult *r;

    if (fresh && !connect_now(db))
        return NULL;
    r = run(db, sql, p);
    /* Nobody noticed that the server was started anew meanwhile. */
    if (!r && !db->conn && !fresh && !in_transaction && connect_now(db))
        r = run(db, sql, p);
    return r;
}

static void take(struct parameters *p, int n, const char *const *params)
{
    assert(n < PARAMS_MAX);
    p->n = n;
    for (int i = 0; i < n; i++) {
        p->values[i] = params[i];
        p->formats[i] = p->lengths[i] = 0;
    }
}

PGresult *gs_db_query(struct gs_db *db, const char *sql, int n, const char *const *params)
{
    struct parameters p;

    take(&p, n, params);
    return query(db, sql, &p);
}

PGresult *gs_db_query_bytes(struct gs_db *db, const char *sql, int n, const char *const *params, const void *bytes,
                            size_t len)
{
    struct parameters p;

    take(&p, n, params);
    assert(len <= INT32_MAX);
    p.values[n] = bytes;
    p.lengths[n] = (int)len;
    p.formats[n] = 1;
    p.n++;
    return query(db, sql, &p);
}

bool gs_db_exec(struct gs_db *db, const char *sql, int n, const char *const *params)
{
    PGresult *r = gs_db_query(db, sql, n, params);

    PQclear(r);
    return r != NULL;
}

/* ---- transactions ---- */

bool gs_db_begin(struct gs_db *db)
{
    return gs_db_exec(db, "BEGIN", GS_NO_PARAMS);
}

bool gs_db_commit(struct gs_db *db)
{
    GS_AUTO_RESULT r = NULL;

    if (!db->conn) {
        set_error(db, GS_RETRY, "the connection to PostgreSQL was lost before the commit");
        return false;
    }
    r = gs_db_query(db, "COMMIT", GS_NO_PARAMS);
    if (!r)
        return false;
    if (gs_str_eq(PQcmdStatus(r), "COMMIT"))
        return true;
    /* The server turns the commit of a transaction that failed into a rollback, without an error. */
    set_error(db, GS_REJECT, "the transaction had failed, so nothing of it was kept");
    return false;
}

void gs_db_rollback(struct gs_db *db)
{
    if (db->conn && PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
        struct gs_db_error kept = db->error;
        if (!gs_db_exec(db, "ROLLBACK", GS_NO_PARAMS))
            disconnect(db);
        db->error = kept;
    }
}

/* ---- results ---- */

static int column(const PGresult *r, const char *name)
{
    int col = PQfnumber(r, name);

    assert(col >= 0);
    return col;
}

const char *gs_db_get(const PGresult *r, int row, const char *col)
{
    return PQgetvalue(r, row, column(r, col));
}

int64_t gs_db_get_int(const PGresult *r, int row, const char *col)
{
    int64_t n = 0;

    return gs_parse_int(gs_db_get(r, row, col), INT64_MIN, INT64_MAX, &n) ? n : 0;
}

bool gs_db_get_bool(const PGresult *r, int row, const char *col)
{
    return gs_db_get(r, row, col)[0] == 't';
}

bool gs_db_is_null(const PGresult *r, int row, const char *col)
{
    return PQgetisnull(r, row, column(r, col));
}
