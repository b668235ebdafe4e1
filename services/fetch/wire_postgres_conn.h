/* What the wire does with libpq and the kernel beside waiting: targets, TLS files, sizes. No loop. */
#ifndef FETCH_WIRE_POSTGRES_CONN_H
#define FETCH_WIRE_POSTGRES_CONN_H

#include "common/rc.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct addrinfo;
struct fetch_pg_target;

/* Copies with every string set; free wipes user and password. */
void fetch_pg_target_copy(struct fetch_pg_target *dst, const struct fetch_pg_target *src);
void fetch_pg_target_free(struct fetch_pg_target *t);
enum gs_rc fetch_pg_target_check(const struct fetch_pg_target *t, struct gs_err *err);

/* Starts a connection to the allowed ones of the addresses, in turn. *ret_ca_fd: to be closed after the connection, or
 * -1. */
PGconn *fetch_pg_connect(const struct fetch_pg_target *t, const struct addrinfo *addresses, int *ret_ca_fd,
                         struct gs_err *err);

/* As PQconsumeInput, also for what the TLS library holds back. */
bool fetch_pg_consume(PGconn *conn);
/* Breaks a TLS connection that sends more than max bytes from now on. libpq reads as long as something comes, so that
 * nobody else could stop a server that lies about its types; one without TLS is the operator's own choice. */
void fetch_pg_limit(PGconn *conn, uint64_t max);
/* Bytes the kernel has received for a socket, since libpq does not tell how much it holds of a row or of notices. */
uint64_t fetch_pg_received(int fd);

/* Says what the server refused, without naming who asked. ret_sqlstate: "" when the connection broke instead. */
enum gs_rc fetch_pg_result_refusal(const struct fetch_pg_target *t, const PGresult *result, char ret_sqlstate[6],
                                   struct gs_err *err);

#endif
