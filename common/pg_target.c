/* Where a database is: takes the url apart, looks its hosts up without blocking, begins a connection. */
#include "common/loop.h"
#include "common/mem.h"
#include "common/pg.h"
#include "common/pg_internal.h"
#include "common/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKET_FOLDER "/var/run/postgresql" /* when the url names no host */
#define OPTIONS_MAX   80                    /* libpq knows about 45 */

struct address {
    char *host, *ip, *port; /* ip "" for a socket in the file system */
};

struct lookup {
    uv_getaddrinfo_t req;
    struct gs_pg_target *t; /* null once the target is gone */
};

struct gs_pg_target {
    PQconninfoOption *options;
    char *application_name;
    int64_t timeout_us;
    char label[256];
    struct address addresses[GS_PG_ADDRESSES];
    unsigned n_addresses;
    unsigned host; /* the one being looked up */
    struct lookup *lookup;
    char error[200];
    uv_loop_t *loop;
    void (*done)(void *arg, const char *error);
    void *arg;
};

static const char *option(const struct gs_pg_target *t, const char *keyword)
{
    for (const PQconninfoOption *o = t->options; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val ? o->val : "";
    return "";
}

static unsigned list_len(const char *list)
{
    unsigned n = 1;

    for (; *list; list++)
        n += *list == ',';
    return n;
}

/* The i-th part of a comma list, owned; "" when it has fewer. */
static char *list_item(const char *list, unsigned i)
{
    for (; i > 0; i--) {
        list += strcspn(list, ",");
        if (!*list)
            return gs_strdup("");
        list++;
    }
    return gs_strndup(list, strcspn(list, ","));
}

static unsigned host_count(const struct gs_pg_target *t)
{
    const char *hosts = option(t, "host"), *ips = option(t, "hostaddr");

    return list_len(*ips ? ips : hosts);
}

/* As libpq: lists of hosts and addresses are of one length, and one port may serve for all. */
static bool lists_match(const struct gs_pg_target *t)
{
    const char *hosts = option(t, "host"), *ips = option(t, "hostaddr"), *ports = option(t, "port");
    unsigned n = host_count(t);

    return (!*hosts || list_len(hosts) == n) && (!*ips || list_len(ips) == n) &&
           (list_len(ports) == 1 || list_len(ports) == n) && n <= GS_PG_ADDRESSES;
}

static void make_label(struct gs_pg_target *t)
{
    const char *host = *option(t, "host") ? option(t, "host") : option(t, "hostaddr");
    const char *user = option(t, "user"), *name = *option(t, "dbname") ? option(t, "dbname") : user;

    char raw[sizeof(t->label)];

    snprintf(raw, sizeof(raw), "database %s at %s port %s as user %s", *name ? name : "(default)",
             *host ? host : SOCKET_FOLDER, *option(t, "port") ? option(t, "port") : "5432", *user ? user : "(default)");
    gs_str_clean(t->label, sizeof(t->label), raw, strlen(raw));
}

struct gs_pg_target *gs_pg_target_new(const struct gs_pg_conf *conf, struct gs_err *err)
{
    const char *url = conf->url ? conf->url : gs_pg_url();
    struct gs_pg_target *t = gs_alloc(sizeof(*t));

    t->application_name = gs_strdup(conf->application_name ? conf->application_name : "goalsync");
    t->timeout_us = conf->timeout_us > 0 ? conf->timeout_us : GS_PG_TIMEOUT_US;
    /* libpq's own message may quote the password, so it is not asked for. */
    t->options = url && *url ? PQconninfoParse(url, NULL) : NULL;
    if (!t->options || !lists_match(t)) {
        gs_fail(err, GS_REJECT, "the database's address (GOALSYNC_DATABASE_URL) is %s",
                !url || !*url ? "missing"
                : !t->options ? "neither a postgresql:// URI nor a list of keyword=value that libpq understands"
                              : "odd: its lists of hosts, addresses and ports differ in length, or are too long");
        return gs_pg_target_free(t);
    }
    make_label(t);
    return t;
}

static void drop_addresses(struct gs_pg_target *t)
{
    for (unsigned i = 0; i < t->n_addresses; i++) {
        free(t->addresses[i].host);
        free(t->addresses[i].ip);
        free(t->addresses[i].port);
    }
    t->n_addresses = 0;
}

static void wipe_options(struct gs_pg_target *t)
{
    for (PQconninfoOption *o = t->options; o && o->keyword; o++)
        if (o->val)
            gs_wipe(o->val, strlen(o->val));
    PQconninfoFree(t->options);
}

struct gs_pg_target *gs_pg_target_free(struct gs_pg_target *t)
{
    if (!t)
        return NULL;
    if (t->lookup) {
        t->lookup->t = NULL;
        uv_cancel((uv_req_t *)&t->lookup->req);
    }
    drop_addresses(t);
    wipe_options(t);
    free(t->application_name);
    free(t);
    return NULL;
}

const char *gs_pg_target_label(const struct gs_pg_target *t)
{
    return t->label;
}

int64_t gs_pg_target_connect_us(const struct gs_pg_target *t)
{
    int64_t seconds;

    if (gs_parse_int(option(t, "connect_timeout"), 1, 3600, &seconds))
        return seconds * 1000000;
    return GS_PG_CONNECT_US;
}

/* ---- looking up ---- */

static void add_address(struct gs_pg_target *t, const char *host, const char *ip)
{
    const char *ports = option(t, "port");
    struct address *a = &t->addresses[t->n_addresses];

    if (t->n_addresses == GS_PG_ADDRESSES)
        return;
    t->n_addresses++;
    a->host = gs_strdup(host);
    a->ip = gs_strdup(ip);
    a->port = list_item(ports, list_len(ports) == 1 ? 0 : t->host);
}

static void add_found(struct gs_pg_target *t, const char *host, const struct addrinfo *found)
{
    for (; found; found = found->ai_next) {
        char ip[INET6_ADDRSTRLEN];

        if (uv_ip_name(found->ai_addr, ip, sizeof(ip)) == 0)
            add_address(t, host, ip);
    }
}

static void next_host(struct gs_pg_target *t);

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct lookup *l = req->data;
    struct gs_pg_target *t = l->t;

    if (t) {
        char *host = list_item(option(t, "host"), t->host);

        t->lookup = NULL;
        if (status == 0)
            add_found(t, host, found);
        else
            snprintf(t->error, sizeof(t->error), "the name %.100s was not found: %s", host, uv_strerror(status));
        free(host);
        t->host++;
        next_host(t);
    }
    uv_freeaddrinfo(found);
    free(l);
}

static bool look_up(struct gs_pg_target *t, const char *host)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct lookup *l = gs_alloc(sizeof(*l));
    int rc;

    l->t = t;
    l->req.data = l;
    rc = uv_getaddrinfo(t->loop, &l->req, on_lookup, host, NULL, &hints);
    if (rc != 0) {
        snprintf(t->error, sizeof(t->error), "the name %.100s was not found: %s", host, uv_strerror(rc));
        free(l);
        return false;
    }
    t->lookup = l;
    return true;
}

/* Goes on with host number t->host, in order, and waits where a look-up is needed. */
static void next_host(struct gs_pg_target *t)
{
    for (; t->host < host_count(t); t->host++) {
        char *host = list_item(option(t, "host"), t->host), *ip = list_item(option(t, "hostaddr"), t->host);
        bool waiting = false;

        if (*ip)
            add_address(t, host, ip);
        else if (!*host)
            add_address(t, SOCKET_FOLDER, "");
        else if (*host == '/' || *host == '@')
            add_address(t, host, "");
        else
            waiting = look_up(t, host);
        free(host);
        free(ip);
        if (waiting)
            return;
    }
    t->done(t->arg, t->n_addresses > 0 ? "" : t->error);
}

static void start_lookup(void *arg)
{
    struct lookup *l = arg;
    struct gs_pg_target *t = l->t;

    free(l);
    if (t) {
        t->lookup = NULL;
        next_host(t);
    }
}

void gs_pg_target_resolve(struct gs_pg_target *t, uv_loop_t *loop, void (*done)(void *arg, const char *error),
                          void *arg)
{
    struct lookup *l = gs_alloc(sizeof(*l));

    assert(!t->lookup);
    drop_addresses(t);
    t->error[0] = '\0';
    t->host = 0;
    t->loop = loop;
    t->done = done;
    t->arg = arg;
    l->t = t;
    t->lookup = l;
    gs_defer(loop, start_lookup, l);
}

/* ---- connecting ---- */

struct settings {
    const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];
    int n;
};

static void set(struct settings *s, const char *key, const char *value)
{
    assert(s->n < OPTIONS_MAX - 1);
    s->keys[s->n] = key;
    s->values[s->n] = value;
    s->n++;
}

/* What the url says itself stands. */
static void set_default(struct settings *s, const struct gs_pg_target *t, const char *key, const char *value)
{
    if (!*option(t, key))
        set(s, key, value);
}

static bool replaced(const char *keyword)
{
    static const char *const names[] = {"host", "hostaddr", "port", "options", "client_encoding", "connect_timeout"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(keyword, names[i]) == 0)
            return true;
    return false;
}

struct address_lists {
    struct gs_buf host, ip, port;
};

static void list_addresses(struct address_lists *l, const struct gs_pg_target *t, unsigned first)
{
    gs_buf_init(&l->host, SIZE_MAX / 2);
    gs_buf_init(&l->ip, SIZE_MAX / 2);
    gs_buf_init(&l->port, SIZE_MAX / 2);
    for (unsigned i = 0; i < t->n_addresses; i++) {
        const struct address *a = &t->addresses[(first + i) % t->n_addresses];
        const char *comma = i > 0 ? "," : "";

        gs_buf_printf(&l->host, "%s%s", comma, a->host);
        gs_buf_printf(&l->ip, "%s%s", comma, a->ip);
        gs_buf_printf(&l->port, "%s%s", comma, a->port);
    }
}

/* The server gives up on a statement about when we do, so that it does not work for nobody. */
static void list_options(struct gs_buf *b, const struct gs_pg_target *t)
{
    const char *given = option(t, "options");

    gs_buf_init(b, SIZE_MAX / 2);
    gs_buf_puts(b, given);
    if (!strstr(given, "statement_timeout"))
        gs_buf_printf(b, "%s-c statement_timeout=%lld", *given ? " " : "", (long long)(t->timeout_us / 1000));
}

static void set_all(struct settings *s, const struct gs_pg_target *t, const struct address_lists *l,
                    const char *options)
{
    for (const PQconninfoOption *o = t->options; o->keyword; o++)
        if (o->val && *o->val && !replaced(o->keyword))
            set(s, o->keyword, o->val);
    set(s, "host", gs_buf_str(&l->host));
    set(s, "hostaddr", gs_buf_str(&l->ip));
    set(s, "port", gs_buf_str(&l->port));
    set(s, "options", options);
    set(s, "client_encoding", "UTF8");
    set_default(s, t, "application_name", t->application_name);
    set_default(s, t, "keepalives_idle", "30");
    set_default(s, t, "keepalives_interval", "10");
    set_default(s, t, "keepalives_count", "3");
    set_default(s, t, "tcp_user_timeout", "30000");
    /* Asking for Kerberos tickets may block on the network. */
    set_default(s, t, "gssencmode", "disable");
}

PGconn *gs_pg_target_connect(struct gs_pg_target *t, unsigned first)
{
    struct settings s = {0};
    struct address_lists l;
    struct gs_buf options;
    PGconn *conn;

    list_addresses(&l, t, first);
    list_options(&options, t);
    set_all(&s, t, &l, gs_buf_str(&options));
    conn = PQconnectStartParams(s.keys, s.values, 0);
    gs_buf_done(&l.host);
    gs_buf_done(&l.ip);
    gs_buf_done(&l.port);
    gs_buf_done(&options);
    return conn;
}
