/* PostgreSQL for threads that may wait (the command line, the gateway's workers): one connection, used by one thread at
 * a time; parameters and results are text. The loop's asynchronous one is pg.h. */
#ifndef GS_DB_H
#define GS_DB_H

#include "common/auto.h"
#include "common/rc.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GS_DB_STATEMENTS_MAX 1024 /* prepared on one connection; further ones are sent as they are */

/* What the server, or the way to it, refused. */
struct gs_db_error {
    enum gs_rc rc; /* RETRY: unreachable, lost, deadlock, serialization; REJECT: the data; FATAL: rights, schema */
    char state[6]; /* SQLSTATE; "" when the server could not be asked */
    char constraint[64]; /* "" when none was violated */
    bool ours;           /* raised by a trigger or function of the schema: its text is a sentence for people */
    char text[400];      /* one line; never a parameter's value, unless ours */
};

struct gs_db;

/* Keeps url and application; connects at the first statement. timeout_ms: of each statement; 0: none. */
struct gs_db *gs_db_new(const char *url, const char *application, int timeout_ms);
struct gs_db *gs_db_free(struct gs_db *db); /* returns null */
PGconn *gs_db_conn(struct gs_db *db);       /* for what this header does not offer; null while not connected */

/* GS_WITH(a, b) gives the last two arguments of gs_db_query(). Null: NULL. */
#define GS_WITH(...)                                                                                                   \
    (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)), (const char *const[])                    \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define GS_NO_PARAMS 0, NULL

/* Null: failed, gs_db_error() says how. The caller clears. sql is one statement; equal texts are prepared once for each
 * connection. Outside a transaction a lost connection is made again and the statement sent once more; inside one it is
 * an error, and gs_db_rollback() makes the connection good again. */
PGresult *gs_db_query(struct gs_db *db, const char *sql, int n, const char *const *params);
/* For statements without an interesting result. */
bool gs_db_exec(struct gs_db *db, const char *sql, int n, const char *const *params) GS_MUST_CHECK;
/* One bytea parameter more, as the last one. */
PGresult *gs_db_query_bytes(struct gs_db *db, const char *sql, int n, const char *const *params, const void *bytes,
                            size_t len);
const struct gs_db_error *gs_db_error(const struct gs_db *db); /* of the newest failure */

bool gs_db_begin(struct gs_db *db) GS_MUST_CHECK;
bool gs_db_commit(struct gs_db *db) GS_MUST_CHECK; /* false: unknown when rc is RETRY, else not committed */
void gs_db_rollback(struct gs_db *db);             /* fine when there is no transaction */

static inline void gs_db_clearp(PGresult **r)
{
    PQclear(*r);
}
#define GS_AUTO_RESULT GS_AUTO(gs_db_clearp) PGresult *

/* By the column's name, which must exist. "" for NULL. */
const char *gs_db_get(const PGresult *r, int row, const char *col);
int64_t gs_db_get_int(const PGresult *r, int row, const char *col); /* 0 for NULL */
bool gs_db_get_bool(const PGresult *r, int row, const char *col);
bool gs_db_is_null(const PGresult *r, int row, const char *col);

#endif
