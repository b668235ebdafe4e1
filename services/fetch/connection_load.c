/* Turns a stored connection into one that can be used: checks whose it is, opens the credential, seals the copy for
 * Redis. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/connection.h"

#define PLACE_MAX    96
#define ACCOUNT_MAX  4096                   /* bytes of what a connector calls an account */
#define PLAIN_MAX    (GS_SECRET_MAX - 1024) /* a longer connection is not cached in Redis */
#define COPY_VERSION 1

/* "credential:42:third_party": where the vault's users sealed it. */
static const char *credential_place(char dst[PLACE_MAX], const struct fetch_conn *c, enum gs_category category)
{
    snprintf(dst, PLACE_MAX, "credential:%lld:%s", (long long)c->id, gs_category_name(category));
    return dst;
}

static const char *copy_place(char dst[PLACE_MAX], const struct fetch_conn *c, enum gs_category category)
{
    snprintf(dst, PLACE_MAX, "cache:%lld:%d:%s", (long long)c->id, (int)c->version, gs_category_name(category));
    return dst;
}

static bool refuse(struct fetch_conn *c, enum fetch_outcome outcome, const char *fmt, ...) GS_PRINTF(3, 4);
static bool refuse(struct fetch_conn *c, enum fetch_outcome outcome, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->err.text, sizeof c->err.text, fmt, ap);
    va_end(ap);
    c->outcome = outcome;
    return false;
}

static enum gs_rc open_key(const struct fetch_conns_spec *spec, int64_t id, const void *sealed, size_t len,
                           struct gs_data_key *ret, struct gs_err *err)
{
    char name[GS_KEY_ID_MAX + 1];

    snprintf(name, sizeof name, "dk%lld", (long long)id);
    return gs_data_key_open(spec->keyring, name, sealed, len, ret, err);
}

/* ---- the sealed copy ----
 *
 * version(1) key id(8) length(4) sealed data key, then everything else sealed under that data key and bound to
 * connection, version and category: who can write to Redis can neither read a connection nor change where its secret is
 * sent. */

static void put_int(struct gs_buf *b, uint64_t n, int bytes)
{
    for (int i = 0; i < bytes; i++)
        gs_buf_putc(b, (char)(unsigned char)(n >> (8 * i)));
}

static void put_bytes(struct gs_buf *b, const void *data, size_t len)
{
    put_int(b, len, 4);
    gs_buf_append(b, data, len);
}

static void seal_copy(const struct fetch_conn *c, const struct fetch_conns_spec *spec, const struct fetch_conn_row *row,
                      const struct gs_data_key *key, struct gs_buf *copy)
{
    struct gs_buf plain;
    char where[PLACE_MAX];
    size_t sealed;

    gs_buf_init(&plain, PLAIN_MAX);
    put_int(&plain, (uint64_t)row->org_id, 8);
    put_bytes(&plain, row->connector, strlen(row->connector));
    put_bytes(&plain, row->settings, row->settings_len);
    put_bytes(&plain, row->credential, row->credential_len);
    put_int(copy, COPY_VERSION, 1);
    put_int(copy, (uint64_t)row->key_id, 8);
    put_bytes(copy, row->key, row->key_len);
    char *room = plain.overflow ? NULL : gs_buf_room(copy, plain.len + GS_SEAL_OVERHEAD);
    if (room &&
        gs_secret_seal(key, copy_place(where, c, spec->category), plain.data, plain.len, room, &sealed, NULL) == GS_OK)
        copy->len += sealed;
    else
        gs_buf_clear(copy);
    gs_buf_done(&plain);
}

struct cursor {
    const char *at, *end;
    bool bad;
};

static uint64_t get_int(struct cursor *r, int bytes)
{
    uint64_t n = 0;

    if (r->end - r->at < bytes) {
        r->bad = true;
        return 0;
    }
    for (int i = 0; i < bytes; i++)
        n |= (uint64_t)(unsigned char)*r->at++ << (8 * i);
    return n;
}

static const char *get_bytes(struct cursor *r, size_t *ret_len)
{
    size_t len = (size_t)get_int(r, 4);
    const char *p = r->at;

    *ret_len = 0;
    if (r->bad || len > (size_t)(r->end - r->at)) {
        r->bad = true;
        return "";
    }
    r->at += len;
    *ret_len = len;
    return p;
}

static bool read_copy(struct cursor *r, struct fetch_conn_row *row, char connector[FETCH_NAME_MAX + 1])
{
    size_t len;
    const char *name;

    row->org_id = (int64_t)get_int(r, 8);
    name = get_bytes(r, &len);
    row->settings = get_bytes(r, &row->settings_len);
    row->credential = get_bytes(r, &row->credential_len);
    if (r->bad || r->at != r->end || len > FETCH_NAME_MAX)
        return false;
    memcpy(connector, name, len);
    connector[len] = '\0';
    row->connector = connector;
    return true;
}

bool fetch_conn_fill_sealed(struct fetch_conn *c, const struct fetch_conns_spec *spec, const char *data, size_t len)
{
    struct cursor outer = {data, data + len, false}, inner;
    struct fetch_conn_row row = {.version = c->asked};
    char where[PLACE_MAX], connector[FETCH_NAME_MAX + 1];
    struct gs_data_key key;
    size_t plain_len;
    bool done = false;

    if (get_int(&outer, 1) != COPY_VERSION)
        return false;
    row.key_id = (int64_t)get_int(&outer, 8);
    row.key = get_bytes(&outer, &row.key_len);
    if (outer.bad || outer.at == outer.end || open_key(spec, row.key_id, row.key, row.key_len, &key, NULL) != GS_OK)
        return false;
    size_t sealed = (size_t)(outer.end - outer.at);
    char *plain = gs_alloc(sealed);

    c->version = c->asked;
    if (gs_secret_open(&key, copy_place(where, c, spec->category), outer.at, sealed, plain, &plain_len, NULL) ==
        GS_OK) {
        inner = (struct cursor){plain, plain + plain_len, false};
        done = read_copy(&inner, &row, connector);
    }
    if (done)
        fetch_conn_fill(c, spec, &row, NULL);
    gs_data_key_done(&key);
    gs_freep(&plain);
    return done;
}

/* ---- filling ---- */

static bool open_secrets(struct fetch_conn *c, const struct fetch_conns_spec *spec, const struct fetch_conn_row *row,
                         struct gs_buf *cache)
{
    struct gs_data_key key;
    char where[PLACE_MAX];
    struct gs_err err;
    char *plain;
    size_t len;

    if (!row->key_id)
        return refuse(c, FETCH_OUTCOME_DENIED, "connection %lld has no credential; give it one", (long long)c->id);
    if (open_key(spec, row->key_id, row->key, row->key_len, &key, &err) != GS_OK)
        return refuse(c, FETCH_OUTCOME_DENIED, "the data key of connection %lld cannot be opened: %.300s",
                      (long long)c->id, err.text);
    plain = gs_alloc(row->credential_len + 1);
    if (gs_secret_open(&key, credential_place(where, c, spec->category), row->credential, row->credential_len, plain,
                       &len, &err) == GS_OK) {
        c->secrets = fetch_secrets_parse(c->entry->connector, plain, len, &err);
        gs_wipe(plain, len);
    }
    if (c->secrets && cache)
        seal_copy(c, spec, row, &key, cache);
    gs_data_key_done(&key);
    gs_freep(&plain);
    return c->secrets || refuse(c, FETCH_OUTCOME_DENIED, "the credential of connection %lld cannot be used: %.300s",
                                (long long)c->id, err.text);
}

static bool read_settings(struct fetch_conn *c, const struct fetch_conn_row *row)
{
    struct gs_err err;

    c->settings = fetch_settings_parse(c->entry->connector->connection_fields, row->settings, row->settings_len, &err);
    return c->settings || refuse(c, FETCH_OUTCOME_REJECTED, "the settings of connection %lld are wrong: %.300s",
                                 (long long)c->id, err.text);
}

/* A connection has limits of its own until it gets another version, which may be another account. Accounts are texts
 * of customers: of any length, with any bytes. */
static void name_account(struct fetch_conn *c)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct gs_buf account;

    snprintf(c->self, sizeof c->self, "c%lld.%d", (long long)c->id, (int)c->version);
    memcpy(c->account, c->self, sizeof c->account);
    if (!c->entry->connector->account)
        return;
    gs_buf_init(&account, ACCOUNT_MAX);
    c->entry->connector->account(c->settings, &account);
    if (account.len && !account.overflow) {
        EVP_Digest(account.data, account.len, digest, NULL, EVP_sha256(), NULL);
        c->account[0] = 'a';
        gs_hex_encode(digest, 16, c->account + 1);
    }
    gs_buf_done(&account);
}

void fetch_conn_fill(struct fetch_conn *c, const struct fetch_conns_spec *spec, const struct fetch_conn_row *row,
                     struct gs_buf *cache)
{
    c->org_id = row->org_id;
    c->version = row->version;
    c->outcome = FETCH_OUTCOME_OK;
    c->entry = fetch_catalogue_find(row->connector);
    if (row->paused)
        refuse(c, FETCH_OUTCOME_EXPIRED, "paused: %s", row->paused);
    else if (!c->entry || c->entry->category != spec->category)
        refuse(c, FETCH_OUTCOME_GONE, "connection %lld is not for this worker", (long long)c->id);
    else if (read_settings(c, row) && c->entry->connector->auths)
        open_secrets(c, spec, row, cache);
    if (c->settings)
        name_account(c);
}
