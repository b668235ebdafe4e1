/* Owns how a connection to a PostgreSQL source is described to libpq, and what of it may be told to people. */
#include "services/fetch/wire_postgres_conn.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/wire_postgres.h"
#include "services/fetch/wire_postgres_names.h"

#include <ctype.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum limits {
    HOST_BYTES_MAX = 253,
    NAME_BYTES_MAX = 1024,  /* database, user, password */
    PENDING_READS_MAX = 64, /* of one event, for what the TLS library already holds */
};

/* libpq takes files it finds in the home directory for granted unless it is told others. */
#define NO_FILE "/dev/null/none"

void fetch_pg_target_copy(struct fetch_pg_target *dst, const struct fetch_pg_target *src)
{
    *dst = *src;
    dst->host = gs_strdup(src->host ? src->host : "");
    dst->database = gs_strdup(src->database ? src->database : "");
    dst->sslmode = gs_strdup(src->sslmode ? src->sslmode : "");
    dst->ca_pem = gs_strdup(src->ca_pem ? src->ca_pem : "");
    dst->ca_file = gs_strdup(src->ca_file ? src->ca_file : FETCH_PG_CA_FILE);
    dst->user = gs_strdup(src->user ? src->user : "");
    dst->password = gs_strdup(src->password ? src->password : "");
}

void fetch_pg_target_free(struct fetch_pg_target *t)
{
    const char *const plain[] = {t->host, t->database, t->sslmode, t->ca_pem, t->ca_file};
    const char *const secret[] = {t->user, t->password};

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        free((void *)(uintptr_t)plain[i]);
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
        gs_free_secret((void *)(uintptr_t)secret[i], strlen(secret[i]));
}

void fetch_pg_target_init(struct fetch_pg_target *target, const struct fetch_settings *connection)
{
    int64_t port = 0;

    *target = (struct fetch_pg_target){
        .host = fetch_setting(connection, "host"),
        .database = fetch_setting(connection, "database"),
        .sslmode = fetch_setting(connection, "sslmode"),
        .ca_pem = fetch_setting(connection, "ca_pem"),
    };
    if (gs_parse_int(fetch_setting(connection, "port"), 1, 65535, &port))
        target->port = (int)port;
}

static bool host_is_name(const char *host)
{
    size_t len = strlen(host);

    /* A path would be a socket of this machine, a comma another host. */
    return len > 0 && len <= HOST_BYTES_MAX &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") == len;
}

static bool sslmode_is_known(const char *mode)
{
    return gs_str_eq(mode, "disable") || gs_str_eq(mode, "require") || gs_str_eq(mode, "verify-ca") ||
           gs_str_eq(mode, "verify-full");
}

enum gs_rc fetch_pg_target_check(const struct fetch_pg_target *t, struct gs_err *err)
{
    if (!host_is_name(t->host))
        return gs_fail(err, GS_REJECT, "the host must be a name or an address of at most %d characters",
                       HOST_BYTES_MAX);
    if (t->port < 1 || t->port > 65535)
        return gs_fail(err, GS_REJECT, "the port must be from 1 to 65535");
    if (!t->database[0] || strlen(t->database) > NAME_BYTES_MAX)
        return gs_fail(err, GS_REJECT, "the database's name must have 1 to %d bytes", NAME_BYTES_MAX);
    if (!t->user[0] || strlen(t->user) > NAME_BYTES_MAX || strlen(t->password) > NAME_BYTES_MAX)
        return gs_fail(err, GS_DENIED, "the connection needs a user, and a password of at most %d bytes",
                       NAME_BYTES_MAX);
    if (!sslmode_is_known(t->sslmode))
        return gs_fail(err, GS_REJECT, "sslmode must be verify-full, verify-ca, require or disable");
    if (gs_str_eq(t->sslmode, "disable") && !t->allow_plain)
        return gs_fail(err, GS_REJECT, "sslmode disable is not allowed here; choose verify-full, or ask the operator");
    return GS_OK;
}

/* ---- connecting ---- */

/* libpq reads certificates from files only; a file in memory holds those of the form. */
static bool open_ca(const struct fetch_pg_target *t, char path[64], int *ret_fd)
{
    size_t len = strlen(t->ca_pem);

    *ret_fd = memfd_create("goalsync-ca", MFD_CLOEXEC);
    snprintf(path, 64, "/proc/self/fd/%d", *ret_fd);
    return *ret_fd >= 0 && write(*ret_fd, t->ca_pem, len) == (ssize_t)len;
}

/* "host,host" and "1.2.3.4,5.6.7.8" of the allowed addresses; returns how many there are. */
static int list_addresses(const struct fetch_pg_target *t, const struct addrinfo *list, struct gs_buf *hosts,
                          struct gs_buf *addresses)
{
    int n = 0;

    for (const struct addrinfo *at = list; at && n < FETCH_PG_ADDRESSES_MAX; at = at->ai_next) {
        char text[NI_MAXHOST];

        if (t->address_allowed && !t->address_allowed(t->address_arg, at->ai_addr))
            continue;
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        gs_buf_printf(hosts, "%s%s", n ? "," : "", t->host);
        gs_buf_printf(addresses, "%s%s", n ? "," : "", text);
        n++;
    }
    return n;
}

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

/* Everything libpq would otherwise take from the environment or the home directory is named. */
static PGconn *start(const struct fetch_pg_target *t, const char *hosts, const char *addresses, const char *ca)
{
    char port[12];
    const struct {
        const char *name, *value;
    } options[] = {
        {"host", hosts},
        {"hostaddr", addresses},
        {"port", port},
        {"dbname", t->database},
        {"user", t->user},
        {"password", t->password},
        {"passfile", NO_FILE},
        {"sslmode", t->sslmode},
        {"sslrootcert", ca},
        {"sslcert", NO_FILE},
        {"sslkey", NO_FILE},
        {"sslcrl", NO_FILE},
        {"ssl_min_protocol_version", "TLSv1.2"},
        {"channel_binding", "prefer"},
        {"gssencmode", "disable"},
        {"application_name", "goalsync"},
        {"client_encoding", "UTF8"},
        {"options", ""},
        {"target_session_attrs", "any"},
    };
    enum { N = sizeof(options) / sizeof(options[0]) };
    const char *names[N + 1] = {NULL}, *values[N + 1] = {NULL};
    PGconn *conn;

    snprintf(port, sizeof(port), "%d", t->port);
    for (int i = 0; i < N; i++) {
        names[i] = options[i].name;
        values[i] = options[i].value;
    }
    conn = PQconnectStartParams(names, values, 0);
    if (conn) {
        PQsetErrorVerbosity(conn, PQERRORS_SQLSTATE); /* the server's words on a sign-in name the user */
        PQsetNoticeReceiver(conn, ignore_notice, NULL);
    }
    return conn;
}

static PGconn *start_verified(const struct fetch_pg_target *t, const char *hosts, const char *addresses, int *ret_ca_fd,
                              struct gs_err *err)
{
    /* With a CA file "require" would verify as well, and does not say so. */
    const char *ca = gs_str_starts(t->sslmode, "verify-") ? t->ca_file : NO_FILE;
    char path[64];

    if (t->ca_pem[0] && ca == t->ca_file) {
        if (!open_ca(t, path, ret_ca_fd)) {
            gs_fail(err, GS_RETRY, "the CA certificate could not be handed to the TLS library");
            return NULL;
        }
        ca = path;
    }
    return start(t, hosts, addresses, ca);
}

PGconn *fetch_pg_connect(const struct fetch_pg_target *t, const struct addrinfo *addresses, int *ret_ca_fd,
                         struct gs_err *err)
{
    struct gs_buf hosts, numbers;
    char state[6];
    PGconn *conn = NULL;

    *ret_ca_fd = -1;
    gs_buf_init(&hosts, (size_t)FETCH_PG_ADDRESSES_MAX * (HOST_BYTES_MAX + 1));
    gs_buf_init(&numbers, (size_t)FETCH_PG_ADDRESSES_MAX * (NI_MAXHOST + 1));
    if (list_addresses(t, addresses, &hosts, &numbers) == 0)
        gs_fail(err, GS_REJECT, "the addresses of %s are not allowed as sources; ask the operator", t->host);
    else
        conn = start_verified(t, gs_buf_str(&hosts), gs_buf_str(&numbers), ret_ca_fd, err);
    if (conn && PQstatus(conn) == CONNECTION_BAD) {
        fetch_pg_connect_failure(PQerrorMessage(conn), t->host, t->port, state, err);
        PQfinish(conn);
        conn = NULL;
    }
    gs_buf_done(&hosts);
    gs_buf_done(&numbers);
    return conn;
}

/* ---- talking ---- */

/* A TLS record may be longer than the room libpq reads into; the rest would wait for an event that never comes. */
bool fetch_pg_consume(PGconn *conn)
{
    SSL *ssl = PQsslStruct(conn, "OpenSSL");

    for (int i = 0; i < PENDING_READS_MAX; i++) {
        if (PQconsumeInput(conn) != 1)
            return false;
        if (!ssl || SSL_pending(ssl) == 0 || !PQisBusy(conn))
            return true;
    }
    return true;
}

/* The TLS library calls this before and after each read; what is left to read is kept in place of an argument. */
static long on_read(BIO *bio, int oper, const char *data, size_t len, int argi, long argl, int ret, size_t *processed)
{
    uintptr_t left = (uintptr_t)BIO_get_callback_arg(bio);

    (void)data;
    (void)len;
    (void)argi;
    (void)argl;
    if (oper == BIO_CB_READ && left == 0)
        return -1;
    if (oper == (BIO_CB_READ | BIO_CB_RETURN) && ret > 0 && processed)
        BIO_set_callback_arg(bio, (char *)(left > *processed ? left - *processed : 0));
    return ret;
}

void fetch_pg_limit(PGconn *conn, uint64_t max)
{
    SSL *ssl = PQsslStruct(conn, "OpenSSL");

    if (!ssl)
        return;
    BIO_set_callback_arg(SSL_get_rbio(ssl), (char *)(uintptr_t)max);
    BIO_set_callback_ex(SSL_get_rbio(ssl), on_read);
}

static bool word_char(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_';
}

/* Blackens every occurrence; of a name only whole words, since "a" is in every sentence. */
static void mask(char *text, const char *secret, bool words)
{
    size_t len = strlen(secret);
    char *at = text;

    if (len == 0)
        return;
    while ((at = strstr(at, secret))) {
        if (!words || ((at == text || !word_char(at[-1])) && !word_char(at[len])))
            memset(at, '*', len);
        at += len;
    }
}

enum gs_rc fetch_pg_result_refusal(const struct fetch_pg_target *t, const PGresult *result, char ret_sqlstate[6],
                                   struct gs_err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    enum gs_rc rc;
    char *words;

    ret_sqlstate[0] = '\0';
    if (!state) /* libpq's own: the connection broke, or the server does not keep to the protocol */
        return gs_fail(err, GS_RETRY, "the connection to the server was lost while it answered");
    gs_str_clean(ret_sqlstate, 6, state, strlen(state)); /* five letters and digits, of a server that keeps to them */
    words = gs_strdup(message ? message : "");
    mask(words, t->password, false);
    mask(words, t->user, true);
    rc = fetch_pg_refusal(ret_sqlstate, words, err);
    free(words);
    return rc;
}
