/* Shared by the pg_*.c files; nobody else includes it. */
#ifndef GS_PG_INTERNAL_H
#define GS_PG_INTERNAL_H

#include "common/buf.h"
#include "common/pg.h"

#include <libpq-fe.h>

#define GS_PG_PARAMS_MAX     64          /* of one statement */
#define GS_PG_PARAM_BYTES    (64u << 20) /* of one statement, all parameters together */
#define GS_PG_COLUMNS        64          /* of a result, whose types are looked up once */
#define GS_PG_PENDING        65536       /* statements without an answer */
#define GS_PG_PREPARED       256         /* names; statements beyond are sent unprepared */
#define GS_PG_ADDRESSES      16          /* of all hosts together */
#define GS_PG_MIN_SERVER     130000
#define GS_PG_CONNECT_US     10000000 /* one attempt, unless the url has connect_timeout */
#define GS_PG_BACKOFF_MIN_US 100000
#define GS_PG_BACKOFF_MAX_US 5000000
#define GS_PG_TIMEOUT_US     30000000

/* Type numbers of pg_type.dat, fixed for ever. */
enum gs_pg_oid {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_TID = 27,
    OID_JSON = 114,
    OID_BOOL_ARRAY = 1000,
    OID_BYTEA_ARRAY = 1001,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_TID_ARRAY = 1010,
    OID_INT8_ARRAY = 1016,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_VARCHAR_ARRAY = 1015,
    OID_DATE = 1082,
    OID_TIMESTAMPTZ = 1184,
    OID_TIMESTAMPTZ_ARRAY = 1185,
    OID_NUMERIC = 1700,
    OID_NUMERIC_ARRAY = 1231,
    OID_JSONB = 3802,
    OID_FIRST_OWN = 16384, /* types made by CREATE TYPE begin here */
};

#define GS_PG_EPOCH_US   INT64_C(946684800000000) /* 2000-01-01, where PostgreSQL's times begin */
#define GS_PG_EPOCH_DAYS 10957

struct gs_pg_params {
    struct gs_buf bytes; /* all values, one after the other */
    int n;
    Oid types[GS_PG_PARAMS_MAX];
    size_t at[GS_PG_PARAMS_MAX]; /* where in bytes */
    int len[GS_PG_PARAMS_MAX];   /* -1: NULL */
    int formats[GS_PG_PARAMS_MAX];
    bool in_array;
    enum gs_pg_array array_type;
    int32_t items, nulls; /* of the open array */
};

struct gs_pg_params *gs_pg_params_copy(const struct gs_pg_params *p); /* null gives null */

struct gs_pg_result {
    enum gs_rc rc;
    PGresult *res;            /* may be null unless rc is GS_OK */
    int rows, cols;           /* of res */
    Oid types[GS_PG_COLUMNS]; /* of its first columns; asking libpq for each cell costs more than the cell */
    char sqlstate[6];
    char error[400];
};

/* Judges res, which stays the caller's. */
void gs_pg_result_init(struct gs_pg_result *r, PGresult *res);

/* ---- what a connection has under way ---- */

struct gs_pg_item {
    struct gs_pg_item *next;
    gs_pg_fn fn;
    void *arg;
    struct gs_pg_stmt stmt;
    struct gs_pg_params *params; /* only while it waits to be sent */
    int64_t since_us;
    bool prepares;   /* a PREPARE goes before it */
    enum gs_rc rc;   /* how it ends when it never reached the server, */
    const char *why; /* and why; lives longer than the item */
};

struct gs_pg_queue {
    struct gs_pg_item *first, **last;
    size_t n;
};

void gs_pg_queue_init(struct gs_pg_queue *q);
void gs_pg_push(struct gs_pg_queue *q, struct gs_pg_item *it);
struct gs_pg_item *gs_pg_pop(struct gs_pg_queue *q); /* null when empty */

/* Names that the session has prepared. */
struct gs_pg_names {
    const char *name[GS_PG_PREPARED];
    size_t n;
};

/* Puts the statement and its Sync into libpq's buffer; false when the connection is of no use any more. */
bool gs_pg_transmit(PGconn *conn, struct gs_pg_names *names, struct gs_pg_item *it, const struct gs_pg_params *p);
/* Learns from a failure what is prepared. in_prepare: it was the PREPARE that failed. */
void gs_pg_note_failure(struct gs_pg_names *names, const struct gs_pg_item *it, const struct gs_pg_result *r,
                        bool in_prepare);

/* ---- where to connect to ---- */

/* The url taken apart, and its hosts' addresses. */
struct gs_pg_target;
struct gs_pg_target *gs_pg_target_new(const struct gs_pg_conf *conf, struct gs_err *err);
struct gs_pg_target *gs_pg_target_free(struct gs_pg_target *t);
const char *gs_pg_target_label(const struct gs_pg_target *t); /* "database d at h:5432 as u" */
int64_t gs_pg_target_connect_us(const struct gs_pg_target *t);
/* Looks the hosts up and calls done once, later; error is "" when there is an address. Not called after the free. */
void gs_pg_target_resolve(struct gs_pg_target *t, uv_loop_t *loop, void (*done)(void *arg, const char *error),
                          void *arg);
/* Begins to connect. The order of the addresses is the url's, begun at number `first` (modulo). */
PGconn *gs_pg_target_connect(struct gs_pg_target *t, unsigned first);

#endif
