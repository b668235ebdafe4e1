/* Reads, seals and stores a connection's secret. */
#include "services/fetch/credential.h"

#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/secret.h"

#define PLACE_MAX    80
#define EXPECTED_MAX 1024

/* Members in their order of arrival, and which way to sign in they are of. */
struct members {
    struct gs_buf *out;
    const struct fetch_auth *auth; /* null: there is none of the name given */
    const struct fetch_connector *connector;
    int known, others;
};

static void put_expected(const struct fetch_auth *a, bool usual, struct gs_buf *b)
{
    const char *between = "";

    gs_buf_putc(b, '{');
    if (!usual) {
        gs_buf_printf(b, "\"auth\":\"%s\"", a->name);
        between = ",";
    }
    for (const char *const *f = fetch_secret_fields(a->kind); *f; f++, between = ",")
        gs_buf_printf(b, "%s\"%s\":\"...\"", between, *f);
    gs_buf_putc(b, '}');
}

enum gs_rc fetch_credential_refuse(const struct fetch_connector *c, struct gs_err *err)
{
    struct gs_buf b;
    enum gs_rc rc;

    gs_buf_init(&b, EXPECTED_MAX);
    for (const struct fetch_auth *a = c->auths; a && a->name; a++) {
        if (!*fetch_secret_fields(a->kind))
            continue;
        gs_buf_puts(&b, b.len ? " or " : "");
        put_expected(a, a == c->auths, &b);
    }
    rc = gs_fail(err, GS_REJECT, "the secret of %s must be %s", c->label, gs_buf_str(&b));
    gs_buf_done(&b);
    return rc;
}

bool fetch_credential_is_token(const struct fetch_connector *c)
{
    return c->auths && (c->auths->kind == FETCH_BEARER || c->auths->kind == FETCH_KEY);
}

static void find_auth(void *arg, const char *key, const char *value)
{
    struct members *m = arg;

    if (gs_str_eq(key, "auth"))
        m->auth = fetch_auth_find(m->connector, value);
}

static bool is_field(const struct fetch_auth *a, const char *key)
{
    for (const char *const *f = a ? fetch_secret_fields(a->kind) : NULL; f && *f; f++)
        if (gs_str_eq(key, *f))
            return true;
    return false;
}

static void on_member(void *arg, const char *key, const char *value)
{
    struct members *m = arg;

    if (is_field(m->auth, key))
        m->known++;
    else if (!gs_str_eq(key, "auth"))
        m->others++;
    gs_buf_puts(m->out, m->out->len ? "," : "{");
    gs_buf_put_json(m->out, key, strlen(key));
    gs_buf_putc(m->out, ':');
    gs_buf_put_json(m->out, value, strlen(value));
}

static bool complete(const struct members *m)
{
    int fields = 0;

    for (const char *const *f = m->auth ? fetch_secret_fields(m->auth->kind) : NULL; f && *f; f++)
        fields++;
    return fields && m->known == fields && !m->others;
}

/* What a worker would refuse is refused here, where the person who gave it still is. */
static enum gs_rc finish(const struct members *m, bool good, struct gs_err *err)
{
    struct gs_buf *b = m->out;

    gs_buf_putc(b, '}');
    if (b->overflow || b->len > GS_SECRET_MAX)
        return gs_fail(err, GS_REJECT, "the secret is longer than %d bytes", GS_SECRET_MAX);
    struct fetch_secrets *usable =
        good && complete(m) ? fetch_secrets_parse(m->connector, b->data, b->len, NULL) : NULL;
    good = usable;
    fetch_secrets_free(usable);
    return good ? GS_OK : fetch_credential_refuse(m->connector, err);
}

static enum gs_rc needs_none(const struct fetch_connector *c, struct gs_err *err)
{
    return gs_fail(err, GS_REJECT, "%s signs in without a secret; leave it out", c->label);
}

enum gs_rc fetch_credential_read(const struct fetch_connector *c, struct gs_json *json, const char *pointer,
                                 struct gs_buf *ret, struct gs_err *err)
{
    struct members m = {.out = ret, .connector = c, .auth = c->auths};
    bool good;

    if (!c->auths)
        return needs_none(c, err);
    good = gs_json_each_string(json, pointer, find_auth, &m, err) == GS_OK &&
           gs_json_each_string(json, pointer, on_member, &m, err) == GS_OK;
    return finish(&m, good, err);
}

enum gs_rc fetch_credential_token(const struct fetch_connector *c, const char *token, struct gs_buf *ret,
                                  struct gs_err *err)
{
    struct members m = {.out = ret, .connector = c, .auth = c->auths};

    if (!c->auths)
        return needs_none(c, err);
    on_member(&m, "token", token);
    return finish(&m, true, err);
}

enum gs_rc fetch_credential_store(const struct gs_vault_db *db, const struct gs_keyring *ring,
                                  const struct fetch_entry *e, const char *org, const char *connection,
                                  const struct gs_buf *secret, struct gs_err *err)
{
    const char *category = gs_category_name(e->category);
    struct gs_data_key key = {0};
    char place[PLACE_MAX];
    enum gs_rc rc = gs_data_key_load(db, ring, org, e->category, &key, err);

    if (rc != GS_OK)
        return rc;
    snprintf(place, sizeof place, "credential:%s:%s", connection, category);
    GS_AUTO(gs_freep) char *sealed = gs_secret_seal_text(&key, place, secret->data, secret->len, err);
    const char *const params[] = {connection, org, category, key.id + strlen("dk"), sealed};
    PGresult *r = NULL;

    /* $5, not EXCLUDED.sealed: reading that takes the right to read the column, which who stores need not have. */
    if (sealed)
        r = db->query(
            db->arg,
            "INSERT INTO credential (connection_id, org_id, category, data_key_id, sealed) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (connection_id) DO UPDATE SET data_key_id = $4, sealed = $5, updated_at = now()",
            5, params);
    gs_data_key_done(&key);
    PQclear(r);
    return r ? GS_OK : sealed ? GS_RETRY : GS_FATAL;
}
