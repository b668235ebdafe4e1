/* What PostgreSQL's codes mean to us: types by OID, decisions by SQLSTATE, sentences for failed connections. Pure. */
#ifndef FETCH_WIRE_POSTGRES_NAMES_H
#define FETCH_WIRE_POSTGRES_NAMES_H

#include "common/rc.h"

#include <stddef.h>

#define FETCH_PG_TYPE_TEXT 16
#define FETCH_PG_NUMERIC   1700 /* its OID */

/* "int4", or "oid 12345" for types outside the built-in table. Returns dst. */
char *fetch_pg_type_name(unsigned oid, char dst[FETCH_PG_TYPE_TEXT]);

/* The decision about a statement or a sign-in that the server refused. Never GS_OK. */
enum gs_rc fetch_pg_sqlstate_rc(const char *sqlstate);

/* Fills err for a refusal: state is its SQLSTATE, message the server's own words, or "" where they may hold a name. */
enum gs_rc fetch_pg_refusal(const char *sqlstate, const char *message, struct gs_err *err);

/* Fills err from libpq's text about a connection that could not be made, the server's answers being SQLSTATEs only. The
 * SQLSTATE, if any, goes to ret_sqlstate. */
enum gs_rc fetch_pg_connect_failure(const char *text, const char *host, int port, char ret_sqlstate[6],
                                    struct gs_err *err);

#endif
