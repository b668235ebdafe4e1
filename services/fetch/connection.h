/* What a worker knows of connections: settings, opened secrets, limits. Memory, then Redis (sealed), then PostgreSQL.
 */
#ifndef FETCH_CONNECTION_H
#define FETCH_CONNECTION_H

#include "common/pg.h"
#include "common/redis.h"
#include "common/vault.h"
#include "services/fetch/budget.h"
#include "services/fetch/catalogue.h"
#include "services/fetch/secret.h"
#include "services/fetch/task.h"

#define FETCH_CONN_CACHE_SECONDS 3600 /* of the sealed copy in Redis */

struct fetch_conns;
struct fetch_conn_wait;

/* Does not change once loaded: a newer version is another object, and both live while they are used.
 */
struct fetch_conn {
    int64_t id, org_id;
    int32_t version;
    enum fetch_outcome outcome; /* not OK: nothing may be fetched, err says why */
    struct gs_err err;
    const struct fetch_entry *entry;
    struct fetch_settings *settings;
    struct fetch_secrets
        *secrets; /* null when the connector needs none. The token cache of later connectors fills this too */
    char self[FETCH_SCOPE_TEXT], account[FETCH_SCOPE_TEXT]; /* for limits: this connection; who shares them with it */

    /* the cache's own */
    struct fetch_conns *owner;
    int32_t wanted, asked; /* the newest version wanted; the one the load under way was begun for */
    unsigned refs;
    bool loaded, listed;
    int64_t load_began_us; /* monotonic */
    struct fetch_conn *next_in_bucket, *older, *newer, *next_retry;
    struct fetch_conn_wait *waits;
};

/* Embedded in who waits for a connection. */
struct fetch_conn_wait {
    void (*fn)(void *arg, struct fetch_conn *c); /* c is held for the waiter */
    void *arg;
    struct fetch_conn *conn; /* null: not waiting */
    struct fetch_conn_wait *next, **at;
};

struct fetch_conns_spec {
    uv_loop_t *loop;
    enum gs_category category;
    struct gs_keyring *keyring; /* borrowed */
    struct gs_pg *pg;           /* borrowed */
    struct gs_redis *redis;     /* borrowed; may be null */
    size_t max;                 /* connections kept */
};

struct fetch_conns *fetch_conns_new(const struct fetch_conns_spec *spec);
/* After the clients of PostgreSQL and Redis are gone, and everything held was released. */
struct fetch_conns *fetch_conns_free(struct fetch_conns *cs);

/* The connection in at least that version, held; or null: wait->fn is called later, once. Many waiters share one load.
 */
struct fetch_conn *fetch_conns_get(struct fetch_conns *cs, int64_t id, int32_t version, struct fetch_conn_wait *wait);
/* A gate may have been opened or closed: from now on every connection is read from PostgreSQL before it is used again.
 */
void fetch_conns_gates_changed(struct fetch_conns *cs);
void fetch_conn_cancel(struct fetch_conn_wait *wait); /* harmless when not waiting */
void fetch_conn_release(struct fetch_conn *c);

/* ---- between connection.c and connection_load.c ---- */

/* A connection as it is stored; borrowed. */
struct fetch_conn_row {
    int64_t org_id, key_id; /* key_id: 0: there is no credential */
    int32_t version;
    const char *connector, *paused, *settings;
    size_t settings_len;
    const void *key, *credential; /* sealed */
    size_t key_len, credential_len;
};

/* Fills outcome, settings, secrets. cache: receives the sealed copy for Redis when it is to be kept there; may be null.
 */
void fetch_conn_fill(struct fetch_conn *c, const struct fetch_conns_spec *spec, const struct fetch_conn_row *row,
                     struct gs_buf *cache);
/* Fills from such a copy; false when it is not of this connection and version, or was tampered with. */
bool fetch_conn_fill_sealed(struct fetch_conn *c, const struct fetch_conns_spec *spec, const char *data, size_t len);

#endif
