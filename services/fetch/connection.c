/* The cache of connections: one load however many wait, the least recently used go first. */
#include "services/fetch/connection.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/str.h"

#define BUCKETS         16384
#define REFUSED_KEEP_US INT64_C(10000000) /* a refusal is looked at again after this: a person may have mended it */
#define RETRY_US        INT64_C(500000)   /* between two tries to load while the database is away */
#define COPY_MAX        (128 * 1024)      /* bytes of a sealed copy in Redis */
#define KEY_MAX         64

struct fetch_conns {
    struct fetch_conns_spec spec;
    struct fetch_conn *buckets[BUCKETS];
    struct fetch_conn *newest, *oldest; /* loaded ones, by use */
    size_t listed;
    struct fetch_conn *retries;
    struct gs_timer *retry_timer;
    struct gs_pg_params *params;
    int64_t gates_changed_us; /* monotonic; what was loaded before is not trusted any more. 0: never */
    struct gs_metric *from_memory, *from_redis, *from_database;
};

static const struct gs_log_ctx log_ctx = {.topic = "fetch"};

static void load_from_database(struct fetch_conn *c);

/* ---- keeping ---- */

static struct fetch_conn **bucket(struct fetch_conns *cs, int64_t id)
{
    return &cs->buckets[gs_hash64(&id, sizeof id, 0) % BUCKETS];
}

static struct fetch_conn *find(struct fetch_conns *cs, int64_t id)
{
    struct fetch_conn *c = *bucket(cs, id);

    while (c && c->id != id)
        c = c->next_in_bucket;
    return c;
}

static void unlist(struct fetch_conn *c)
{
    struct fetch_conns *cs = c->owner;

    if (!c->listed)
        return;
    *(c->newer ? &c->newer->older : &cs->newest) = c->older;
    *(c->older ? &c->older->newer : &cs->oldest) = c->newer;
    c->newer = c->older = NULL;
    c->listed = false;
    cs->listed--;
}

static void list_first(struct fetch_conn *c)
{
    struct fetch_conns *cs = c->owner;

    if (cs->newest == c)
        return;
    unlist(c);
    c->older = cs->newest;
    *(c->older ? &c->older->newer : &cs->oldest) = c;
    cs->newest = c;
    c->listed = true;
    cs->listed++;
}

void fetch_conn_release(struct fetch_conn *c)
{
    assert(c->refs);
    if (--c->refs)
        return;
    fetch_settings_free(c->settings);
    fetch_secrets_free(c->secrets);
    gs_freep(&c);
}

/* The cache itself holds one reference to what can be found in it. */
static void forget(struct fetch_conn *c)
{
    struct fetch_conn **at = bucket(c->owner, c->id);

    while (*at && *at != c)
        at = &(*at)->next_in_bucket;
    if (!*at)
        return;
    *at = c->next_in_bucket;
    unlist(c);
    fetch_conn_release(c);
}

static struct fetch_conn *add(struct fetch_conns *cs, int64_t id)
{
    struct fetch_conn *c = gs_alloc(sizeof *c), **at = bucket(cs, id);

    c->id = id;
    c->owner = cs;
    c->refs = 1;
    c->next_in_bucket = *at;
    *at = c;
    return c;
}

/* ---- loading ---- */

static void loaded(struct fetch_conn *c)
{
    struct fetch_conns *cs = c->owner;

    c->loaded = true;
    if (c->version < c->wanted)
        c->version = c->wanted; /* a request that is ahead of the database: do not load in circles */
    list_first(c);
    while (cs->listed > cs->spec.max)
        forget(cs->oldest);
    while (c->waits) {
        struct fetch_conn_wait *wait = c->waits;

        fetch_conn_cancel(wait);
        c->refs++;
        wait->fn(wait->arg, c);
    }
}

static void retry_all(void *arg)
{
    struct fetch_conns *cs = arg;
    struct fetch_conn *c = cs->retries;

    cs->retries = NULL;
    while (c) {
        struct fetch_conn *next = c->next_retry;

        c->next_retry = NULL;
        if (c->waits)
            load_from_database(c);
        else
            forget(c);
        fetch_conn_release(c);
        c = next;
    }
}

/* The database is away: whoever waits keeps waiting until its deadline. */
static void retry_later(struct fetch_conn *c, const char *why)
{
    struct fetch_conns *cs = c->owner;

    if (!cs->retries) {
        gs_log_warn(&log_ctx, "connections cannot be loaded", "error=\"%s\"", why);
        gs_timer_start(cs->retry_timer, RETRY_US, 0);
    }
    c->refs++;
    c->next_retry = cs->retries;
    cs->retries = c;
}

static void redis_key(const struct fetch_conn *c, int32_t version, char dst[KEY_MAX])
{
    snprintf(dst, KEY_MAX, "gs:conn:%lld:%d", (long long)c->id, (int)version);
}

static void store_in_redis(struct fetch_conn *c, const struct gs_buf *copy)
{
    char key[KEY_MAX], seconds[16];
    const char *argv[] = {"SET", key, copy->data, "EX", seconds};
    size_t lens[] = {3, 0, copy->len, 2, 0};

    if (!c->owner->spec.redis || !copy->len || copy->overflow)
        return;
    redis_key(c, c->version, key);
    snprintf(seconds, sizeof seconds, "%d", FETCH_CONN_CACHE_SECONDS);
    lens[1] = strlen(key);
    lens[4] = strlen(seconds);
    gs_redis_command(c->owner->spec.redis, NULL, NULL, 5, argv, lens);
}

static void fill_from_row(struct fetch_conn *c, const struct gs_pg_result *r)
{
    struct fetch_conn_row row = {
        .org_id = gs_pg_get_int8(r, 0, 0),
        .version = gs_pg_get_int4(r, 0, 1),
        .connector = gs_pg_get_text(r, 0, 2),
        .paused = gs_pg_is_null(r, 0, 3) ? NULL : gs_pg_get_text(r, 0, 3),
        .settings = gs_pg_get_text(r, 0, 4),
        .key_id = gs_pg_get_int8(r, 0, 5),
    };
    struct gs_buf copy;

    row.settings_len = strlen(row.settings);
    row.key = gs_pg_get_bytes(r, 0, 6, &row.key_len);
    row.credential = gs_pg_get_bytes(r, 0, 7, &row.credential_len);
    gs_buf_init(&copy, COPY_MAX);
    fetch_conn_fill(c, &c->owner->spec, &row, &copy);
    store_in_redis(c, &copy);
    gs_buf_done(&copy);
}

static void on_row(void *arg, const struct gs_pg_result *r)
{
    struct fetch_conn *c = arg;

    if (gs_pg_rc(r) == GS_RETRY) {
        retry_later(c, gs_pg_result_error(r));
    } else if (gs_pg_rc(r) != GS_OK) {
        c->outcome = FETCH_OUTCOME_RETRY;
        gs_fail(&c->err, GS_RETRY, "connection %lld cannot be loaded: %.300s", (long long)c->id, gs_pg_result_error(r));
        loaded(c);
    } else if (gs_pg_rows(r) != 1) {
        c->outcome = FETCH_OUTCOME_GONE;
        gs_fail(&c->err, GS_GONE, "connection %lld does not exist any more", (long long)c->id);
        loaded(c);
    } else if (c->asked < c->wanted && gs_pg_get_int4(r, 0, 1) < c->wanted) {
        load_from_database(c);
    } else {
        gs_metric_add(c->owner->from_database, 1);
        fill_from_row(c, r);
        loaded(c);
    }
    fetch_conn_release(c);
}

/* Row level security hides the connections of other categories: they do not exist here. */
static void load_from_database(struct fetch_conn *c)
{
    static const struct gs_pg_stmt stmt = {
        "fetch_connection",
        "SELECT c.org_id, c.version, c.connector, c.paused_reason, c.settings::text, k.id, k.sealed, cr.sealed"
        " FROM connection c LEFT JOIN credential cr ON cr.connection_id = c.id"
        " LEFT JOIN data_key k ON k.id = cr.data_key_id WHERE c.id = $1"};
    struct fetch_conns *cs = c->owner;

    gs_pg_params_clear(cs->params);
    gs_pg_add_int8(cs->params, c->id);
    c->load_began_us = gs_mono_us();
    c->asked = c->wanted;
    c->refs++;
    gs_pg_query(cs->spec.pg, &stmt, cs->params, on_row, c);
}

/* A copy in Redis does not know of gates that were closed after it was made. */
static bool trusts_copies(const struct fetch_conns *cs)
{
    return !cs->gates_changed_us || gs_mono_us() - cs->gates_changed_us > FETCH_CONN_CACHE_SECONDS * INT64_C(1000000);
}

static void on_copy(void *arg, enum gs_rc rc, const redisReply *reply, const char *err)
{
    struct fetch_conn *c = arg;

    (void)err;
    if (rc == GS_OK && reply->type == REDIS_REPLY_STRING && c->asked == c->wanted && trusts_copies(c->owner) &&
        fetch_conn_fill_sealed(c, &c->owner->spec, reply->str, reply->len)) {
        gs_metric_add(c->owner->from_redis, 1);
        loaded(c);
    } else {
        load_from_database(c);
    }
    fetch_conn_release(c);
}

static void load(struct fetch_conn *c)
{
    struct gs_redis *redis = c->owner->spec.redis;
    char key[KEY_MAX];
    const char *argv[] = {"GET", key};

    c->load_began_us = gs_mono_us();
    if (!redis || !gs_redis_up(redis) || !trusts_copies(c->owner)) {
        load_from_database(c);
        return;
    }
    c->asked = c->wanted;
    redis_key(c, c->asked, key);
    size_t lens[] = {3, strlen(key)};

    c->refs++;
    gs_redis_command(redis, on_copy, c, 2, argv, lens);
}

/* ---- using ---- */

static bool usable(const struct fetch_conn *c, int32_t version)
{
    if (c->version < version || c->load_began_us < c->owner->gates_changed_us)
        return false;
    return c->outcome == FETCH_OUTCOME_OK || gs_mono_us() - c->load_began_us < REFUSED_KEEP_US;
}

static void enqueue(struct fetch_conn *c, struct fetch_conn_wait *wait)
{
    wait->conn = c;
    wait->next = c->waits;
    wait->at = &c->waits;
    if (wait->next)
        wait->next->at = &wait->next;
    c->waits = wait;
}

void fetch_conn_cancel(struct fetch_conn_wait *wait)
{
    if (!wait->conn)
        return;
    *wait->at = wait->next;
    if (wait->next)
        wait->next->at = wait->at;
    wait->conn = NULL;
}

void fetch_conns_gates_changed(struct fetch_conns *cs)
{
    cs->gates_changed_us = gs_mono_us();
}

struct fetch_conn *fetch_conns_get(struct fetch_conns *cs, int64_t id, int32_t version, struct fetch_conn_wait *wait)
{
    struct fetch_conn *c = find(cs, id);

    if (c && c->loaded && !usable(c, version)) {
        forget(c);
        c = NULL;
    }
    if (c && c->loaded) {
        gs_metric_add(cs->from_memory, 1);
        list_first(c);
        c->refs++;
        return c;
    }
    if (c) {
        if (c->wanted < version)
            c->wanted = version;
        enqueue(c, wait);
        return NULL;
    }
    c = add(cs, id);
    c->wanted = version;
    enqueue(c, wait);
    load(c);
    return NULL;
}

struct fetch_conns *fetch_conns_new(const struct fetch_conns_spec *spec)
{
    struct fetch_conns *cs = gs_alloc(sizeof *cs);
    const char *name = "goalsync_fetch_connection_loads_total", *help = "where connections were found";

    cs->spec = *spec;
    cs->params = gs_pg_params_new();
    cs->retry_timer = gs_timer_new(spec->loop, retry_all, cs);
    cs->from_memory = gs_counter(name, "from=\"memory\"", help);
    cs->from_redis = gs_counter(name, "from=\"redis\"", help);
    cs->from_database = gs_counter(name, "from=\"database\"", help);
    return cs;
}

struct fetch_conns *fetch_conns_free(struct fetch_conns *cs)
{
    if (!cs)
        return NULL;
    for (struct fetch_conn *c = cs->retries, *next; c; c = next) {
        next = c->next_retry;
        fetch_conn_release(c);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (cs->buckets[i])
            forget(cs->buckets[i]);
    }
    cs->retry_timer = gs_timer_free(cs->retry_timer);
    cs->params = gs_pg_params_free(cs->params);
    gs_freep(&cs);
    return NULL;
}
