/* Reads, seals and stores a connection's secret. */
#include "services/fetch/credential.h"

#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/secret.h"

#define PLACE_MAX 80

struct members {
    struct gs_buf *out;
    enum fetch_secret kind;
    int known, unknown;
};

const char *fetch_credential_expected(const struct fetch_connector *c)
{
    return c->secret == FETCH_BEARER ? "{\"token\":\"...\"}, a token without blanks"
                                     : "{\"user\":\"...\",\"password\":\"...\"}";
}

static void on_member(void *arg, const char *key, const char *value)
{
    struct members *m = arg;
    bool known =
        m->kind == FETCH_BEARER ? gs_str_eq(key, "token") : gs_str_eq(key, "user") || gs_str_eq(key, "password");

    if (!known) {
        m->unknown++;
        return;
    }
    gs_buf_puts(m->out, m->known++ ? "," : "{");
    gs_buf_put_json(m->out, key, strlen(key));
    gs_buf_putc(m->out, ':');
    gs_buf_put_json(m->out, value, strlen(value));
}

/* What a worker would refuse is refused here, where the person who gave it still is. */
static enum gs_rc finish(const struct fetch_connector *c, const struct members *m, bool good, struct gs_err *err)
{
    struct gs_buf *b = m->out;

    gs_buf_putc(b, '}');
    if (b->overflow || b->len > GS_SECRET_MAX)
        return gs_fail(err, GS_REJECT, "the secret is longer than %d bytes", GS_SECRET_MAX);
    good = good && !m->unknown && m->known == (m->kind == FETCH_BEARER ? 1 : 2);
    struct fetch_secrets *usable = good ? fetch_secrets_parse(c->secret, b->data, b->len, NULL) : NULL;
    good = usable;
    fetch_secrets_free(usable);
    return good ? GS_OK
                : gs_fail(err, GS_REJECT, "the secret of %s must be %s", c->label, fetch_credential_expected(c));
}

static enum gs_rc needs_none(const struct fetch_connector *c, struct gs_err *err)
{
    return gs_fail(err, GS_REJECT, "%s signs in without a secret; leave it out", c->label);
}

enum gs_rc fetch_credential_read(const struct fetch_connector *c, struct gs_json *json, const char *pointer,
                                 struct gs_buf *ret, struct gs_err *err)
{
    struct members m = {.out = ret, .kind = c->secret};

    if (c->secret == FETCH_NO_SECRET)
        return needs_none(c, err);
    return finish(c, &m, gs_json_each_string(json, pointer, on_member, &m, err) == GS_OK, err);
}

enum gs_rc fetch_credential_token(const struct fetch_connector *c, const char *token, struct gs_buf *ret,
                                  struct gs_err *err)
{
    struct members m = {.out = ret, .kind = c->secret};

    if (c->secret == FETCH_NO_SECRET)
        return needs_none(c, err);
    on_member(&m, "token", token);
    return finish(c, &m, true, err);
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
