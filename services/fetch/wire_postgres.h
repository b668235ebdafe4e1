/* The PostgreSQL wire: one read-only statement of a customer, asked of a source on a connection of its own.
 *
 * The statement runs in a READ ONLY transaction that has already asked something (so it cannot be made writable any
 * more), by the extended protocol (so it is one statement), with a statement timeout. It is prepared and described
 * first, and carried out only if it gives one column of a type that bounds its values; then row by row, and after the
 * second row the connection is closed. So no answer fills memory. Nothing waits: names are resolved by libuv. Names and
 * passwords are in no error. Loop thread only. */
#ifndef FETCH_WIRE_POSTGRES_H
#define FETCH_WIRE_POSTGRES_H

#include "services/fetch/connector.h"

#include <uv.h>

#define FETCH_PG_HOST_CONNECTIONS_MAX 8 /* open at once to one host and port; further calls wait their turn */
#define FETCH_PG_ADDRESSES_MAX        4 /* of one host name that are tried */
#define FETCH_PG_REPLY_MAX            (1024 * 1024) /* bytes from the server before there is an answer */
#define FETCH_PG_VALUE_MAX            4096          /* bytes of one value as text */
#define FETCH_PG_STATEMENT_MAX        (256 * 1024)  /* bytes */
#define FETCH_PG_CA_FILE              "/etc/ssl/certs/ca-certificates.crt"

/* Where to ask, and as whom. Everything is copied by fetch_pg_ask() and wiped after use. */
struct fetch_pg_target {
    const char *host; /* name or address; never a socket's path */
    int port;
    const char *database;
    const char *sslmode; /* verify-full, verify-ca, require, disable */
    const char *ca_pem;  /* certificates to trust instead of ca_file's; may be null or "" */
    const char *ca_file; /* null: FETCH_PG_CA_FILE */
    const char *user, *password;
    bool allow_plain; /* the operator allows sslmode disable */
    /* Called for each address of the host; those it refuses are not connected to. Null: all are allowed. */
    bool (*address_allowed)(void *arg, const struct sockaddr *address);
    void *address_arg;
};

/* Fills what the connection form of a PostgreSQL source says (host, port, database, sslmode, ca_pem); the rest is zero.
 * Borrows from the settings. */
void fetch_pg_target_init(struct fetch_pg_target *target, const struct fetch_settings *connection);

struct fetch_pg_answer {
    enum gs_rc rc;            /* GS_OK: reply is filled. GS_RETRY, GS_DENIED, GS_REJECT otherwise */
    const char *error;        /* a sentence; "" when GS_OK */
    const char *sqlstate;     /* of a refusal by the server; "" when none */
    struct fetch_reply reply; /* borrowed for the callback; no rows when its columns alone are wrong, at most two */
};

struct fetch_pg;
struct fetch_pg_call;

struct fetch_pg *fetch_pg_new(uv_loop_t *loop);
/* Calls under way end with GS_RETRY. Returns null. */
struct fetch_pg *fetch_pg_free(struct fetch_pg *pg);

/* Asks; fn is called exactly once, never from inside this call, at the latest at deadline_us (gs_mono_us()). The call
 * is gone when fn returns. */
struct fetch_pg_call *fetch_pg_ask(struct fetch_pg *pg, const struct fetch_pg_target *target, const char *statement,
                                   int64_t deadline_us, void (*fn)(void *arg, const struct fetch_pg_answer *a),
                                   void *arg) __attribute__((nonnull(1, 2, 3)));
void fetch_pg_cancel(struct fetch_pg_call *c);   /* fn is not called any more */
size_t fetch_pg_open(const struct fetch_pg *pg); /* calls that hold or make a connection */

#endif
