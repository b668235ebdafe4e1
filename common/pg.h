/* libpq on the loop: one connection that keeps itself up, statements in order, pipelined, prepared once.
 *
 * Waits never block: names are resolved by libuv, the connection is made and remade in the background (back-off 100 ms
 * to 5 s), and a statement without an answer for the conf's timeout breaks the connection. When the connection is lost,
 * all statements that have no answer yet end with GS_RETRY, in order; whether one of them was carried out is then
 * unknown. */
#ifndef GS_PG_H
#define GS_PG_H

#include "common/decimal.h"
#include "common/env.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* GOALSYNC_DATABASE_URL: a libpq URI or conninfo text, TLS options included (sslmode=verify-full, sslrootcert=...). */
extern const struct gs_env gs_pg_env[];
const char *gs_pg_url(void); /* what the table read; holds a password, never log it */

struct gs_pg;
struct gs_pg_result;
struct gs_pg_params;

struct gs_pg_conf {
    const char *url; /* null: gs_pg_url() */
    const char *application_name;
    int64_t timeout_us; /* of one statement; 0: 30 s */
    /* Called when the connection is up (also after each reconnect, before queued statements are sent) and when it is
     * lost. May be null. Up: a session's state (LISTEN, temporary things) is gone and must be made again. */
    void (*state)(void *arg, bool up);
    void (*notified)(void *arg, const char *channel, const char *payload); /* LISTEN; may be null */
    void *arg;
};

struct gs_pg *gs_pg_new(uv_loop_t *loop, const struct gs_pg_conf *conf, struct gs_err *err);
/* Statements without an answer end with GS_RETRY first. */
struct gs_pg *gs_pg_free(struct gs_pg *pg);
bool gs_pg_up(const struct gs_pg *pg);
size_t gs_pg_pending(const struct gs_pg *pg);
/* Why the last attempt to connect failed, without secrets; "" when up. */
const char *gs_pg_error(const struct gs_pg *pg);
/* Breaks the connection; a new one is made. For a transaction whose state is not known any more. */
void gs_pg_reset(struct gs_pg *pg);

/* A statement's text and its name on the server; static. A null name: not prepared. */
struct gs_pg_stmt {
    const char *name;
    const char *sql;
};

/* Called exactly once for each statement. r is borrowed for the call. */
typedef void (*gs_pg_fn)(void *arg, const struct gs_pg_result *r);

/* Queues a statement; it is sent when the connection is up. params may be null; it is copied. Results are binary.
 * Every statement is its own pipeline step: BEGIN ... COMMIT are statements like others, and after a failure inside a
 * transaction the owner sends ROLLBACK. Once a connection is lost (or reset), what is queued before state(false) was
 * called ends with GS_RETRY too, as it may belong to a transaction that is gone. Statements that wait for a connection
 * do so for the conf's timeout at most. A statement queued by a callback of gs_pg_free() is dropped without a call. */
void gs_pg_query(struct gs_pg *pg, const struct gs_pg_stmt *stmt, const struct gs_pg_params *params, gs_pg_fn fn,
                 void *arg);

/* ---- parameters ---- */
struct gs_pg_params *gs_pg_params_new(void);
struct gs_pg_params *gs_pg_params_free(struct gs_pg_params *p);
void gs_pg_params_clear(struct gs_pg_params *p); /* keeps the memory */
/* Numbers, times, bool, bytes and arrays are sent with their type, NULL and text without: the statement's context gives
 * it (text may become an enum or jsonb). The first use of a prepared name decides; cast in the SQL where that is in
 * doubt. */
void gs_pg_add_null(struct gs_pg_params *p);
void gs_pg_add_bool(struct gs_pg_params *p, bool v);
void gs_pg_add_int4(struct gs_pg_params *p, int32_t v);
void gs_pg_add_int8(struct gs_pg_params *p, int64_t v);
void gs_pg_add_time(struct gs_pg_params *p, int64_t us);                    /* timestamptz; 0: null */
void gs_pg_add_dec(struct gs_pg_params *p, struct gs_dec v);                /* numeric */
void gs_pg_add_text(struct gs_pg_params *p, const char *s);                 /* null: NULL */
void gs_pg_add_bytes(struct gs_pg_params *p, const void *data, size_t len); /* bytea */
/* Arrays: begin, items, end. One-dimensional. */
enum gs_pg_array { GS_PG_BOOL, GS_PG_INT4, GS_PG_INT8, GS_PG_TIME, GS_PG_DEC, GS_PG_TEXT, GS_PG_BYTES, GS_PG_TID };
void gs_pg_array_begin(struct gs_pg_params *p, enum gs_pg_array type);
void gs_pg_item_null(struct gs_pg_params *p);
void gs_pg_item_bool(struct gs_pg_params *p, bool v);
void gs_pg_item_int4(struct gs_pg_params *p, int32_t v);
void gs_pg_item_int8(struct gs_pg_params *p, int64_t v);
void gs_pg_item_time(struct gs_pg_params *p, int64_t us); /* 0: null */
void gs_pg_item_dec(struct gs_pg_params *p, struct gs_dec v);
void gs_pg_item_text(struct gs_pg_params *p, const char *s); /* null: NULL */
void gs_pg_item_bytes(struct gs_pg_params *p, const void *data, size_t len);
void gs_pg_item_tid(struct gs_pg_params *p, int64_t tid); /* from gs_pg_get_tid() */
void gs_pg_array_end(struct gs_pg_params *p);

/* ---- results ---- */
enum gs_rc gs_pg_rc(const struct gs_pg_result *r); /* GS_OK; GS_RETRY: connection, deadlock, serialization, resources
                                                      (SQLSTATE 08, 40, 53, 57); GS_REJECT: everything else */
const char *gs_pg_result_error(const struct gs_pg_result *r); /* a sentence; "" when GS_OK */
const char *gs_pg_sqlstate(const struct gs_pg_result *r);     /* five characters; "" when none */
int gs_pg_rows(const struct gs_pg_result *r);
int64_t gs_pg_affected(const struct gs_pg_result *r);
/* Columns by number. Getters assert the column's type; NULL gives 0, false, 0, "". Borrowed for the callback. */
bool gs_pg_is_null(const struct gs_pg_result *r, int row, int col);
bool gs_pg_get_bool(const struct gs_pg_result *r, int row, int col);
int32_t gs_pg_get_int4(const struct gs_pg_result *r, int row, int col);
int64_t gs_pg_get_int8(const struct gs_pg_result *r, int row, int col);
int64_t gs_pg_get_time(const struct gs_pg_result *r, int row, int col); /* timestamptz, microseconds since 1970 */
int32_t gs_pg_get_date(const struct gs_pg_result *r, int row, int col); /* date, days since 1970-01-01 */
int64_t gs_pg_get_tid(const struct gs_pg_result *r, int row, int col);  /* tid, a row's place in its table: opaque */
bool gs_pg_get_dec(const struct gs_pg_result *r, int row, int col, struct gs_dec *ret); /* false: NULL */
const char *gs_pg_get_text(const struct gs_pg_result *r, int row, int col); /* text, enums, json, jsonb (as text) */
const void *gs_pg_get_bytes(const struct gs_pg_result *r, int row, int col, size_t *ret_len);
/* One-dimensional arrays without NULLs: number of elements, then element i. */
int gs_pg_array_len(const struct gs_pg_result *r, int row, int col);
int32_t gs_pg_array_int4(const struct gs_pg_result *r, int row, int col, int i);
int64_t gs_pg_array_int8(const struct gs_pg_result *r, int row, int col, int i);
const char *gs_pg_array_text(const struct gs_pg_result *r, int row, int col, int i,
                             size_t *ret_len); /* not zero-terminated */

#endif
