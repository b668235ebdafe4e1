/* A connection's secret: read from a file or standard input, never from the command line; stored sealed. */
#include "services/cli/forms.h"

#include "common/json.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/vault.h"
#include "services/cli/db.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 2, PLACE_MAX = 80 };

/* Wiped when it goes. */
struct secret {
    char text[GS_SECRET_MAX + 1];
    size_t len;
};

bool cli_secret_given(const struct cli *c)
{
    return cli_has(c, "secret-file") || cli_has(c, "secret-stdin");
}

static enum cli_exit read_secret(struct cli *c, struct secret *s)
{
    const char *path = cli_opt(c, "secret-file");
    FILE *file = path ? fopen(path, "re") : stdin;

    if (path && cli_has(c, "secret-stdin"))
        return cli_fail(c, CLI_USAGE, "give --secret-file or --secret-stdin, not both");
    if (!file)
        return cli_fail(c, CLI_USAGE, "the secret's file %s cannot be read: %s", path, strerror(errno));
    s->len = fread(s->text, 1, sizeof(s->text), file);
    if (path)
        fclose(file);
    if (s->len > GS_SECRET_MAX)
        return cli_fail(c, CLI_USAGE, "the secret is longer than %d bytes", GS_SECRET_MAX);
    while (s->len && isspace((unsigned char)s->text[s->len - 1]))
        s->len--;
    s->text[s->len] = '\0';
    return s->len ? CLI_OK : cli_fail(c, CLI_USAGE, "the secret is empty");
}

static const char *expected(enum fetch_secret kind)
{
    return kind == FETCH_BEARER ? "{\"token\":\"...\"}, or the token alone" : "{\"user\":\"...\",\"password\":\"...\"}";
}

struct members {
    struct gs_buf *out;
    enum fetch_secret kind;
    int known, unknown;
};

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

/* The JSON object that is sealed. Errors repeat nothing of the secret. */
static enum cli_exit to_json(struct cli *c, const struct fetch_entry *e, const struct secret *s, struct gs_buf *ret)
{
    struct members m = {.out = ret, .kind = e->connector->secret};
    struct gs_json *json;
    struct gs_err err;
    bool good;

    if (m.kind == FETCH_BEARER && s->text[0] != '{') {
        on_member(&m, "token", s->text);
        gs_buf_putc(ret, '}');
        return CLI_OK;
    }
    json = gs_json_new(GS_SECRET_MAX, JSON_DEPTH);
    good = gs_json_parse(json, s->text, s->len, &err) == GS_OK &&
           gs_json_each_string(json, "", on_member, &m, &err) == GS_OK && m.unknown == 0 &&
           m.known == (m.kind == FETCH_BEARER ? 1 : 2);
    gs_json_free(json);
    gs_buf_putc(ret, '}');
    return good ? CLI_OK : cli_fail(c, CLI_USAGE, "the secret of %s must be %s", e->connector->label, expected(m.kind));
}

/* ---- sealing ---- */

/* "\x0123..." for a bytea parameter; owned. */
static char *bytea_text(const void *data, size_t len)
{
    char *text = gs_alloc(2 * len + 3);

    memcpy(text, "\\x", 2);
    gs_hex_encode(data, len, text + 2);
    return text;
}

static enum cli_exit make_data_key(struct cli *c, const struct gs_keyring *ring, enum gs_category category,
                                   struct gs_data_key *ret)
{
    unsigned char sealed[GS_KEY_BYTES + GS_SEAL_OVERHEAD];
    char id[GS_KEY_ID_MAX + 1];
    size_t len;
    struct gs_err err;
    enum cli_exit rc;

    CLI_AUTO_RESULT r = cli_query(c, "INSERT INTO data_key (org_id, category) VALUES ($1, $2) RETURNING id",
                                  CLI_WITH(c->org, gs_category_name(category)));
    if (!r)
        return c->code;
    snprintf(id, sizeof(id), "dk%s", PQgetvalue(r, 0, 0));
    if (gs_data_key_new(id, ret, &err) != GS_OK || gs_data_key_seal(ring, ret, sealed, &len, &err) != GS_OK)
        return cli_fail(c, CLI_FAILED, "%s", err.text);
    GS_AUTO(gs_freep) char *text = bytea_text(sealed, len);
    rc = cli_exec(c, "UPDATE data_key SET sealed = $2 WHERE id = $1", CLI_WITH(PQgetvalue(r, 0, 0), text));
    return rc;
}

/* The newest data key of the organisation in the category; made when there is none. */
static enum cli_exit load_data_key(struct cli *c, const struct gs_keyring *ring, enum gs_category category,
                                   struct gs_data_key *ret)
{
    char id[GS_KEY_ID_MAX + 1];
    unsigned char *sealed;
    size_t len;
    struct gs_err err;
    enum gs_rc opened;

    /* Two first connections at once must not make two. */
    if (cli_exec(c, "SELECT pg_advisory_xact_lock(hashtextextended('data_key:' || $2, $1::bigint))",
                 CLI_WITH(c->org, gs_category_name(category))) != CLI_OK)
        return c->code;
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "SELECT id, sealed FROM data_key WHERE org_id = $1 AND category = $2 AND sealed IS NOT NULL "
                  "ORDER BY id DESC LIMIT 1",
                  CLI_WITH(c->org, gs_category_name(category)));
    if (!r)
        return c->code;
    if (PQntuples(r) == 0)
        return make_data_key(c, ring, category, ret);
    snprintf(id, sizeof(id), "dk%s", PQgetvalue(r, 0, 0));
    sealed = PQunescapeBytea((const unsigned char *)PQgetvalue(r, 0, 1), &len);
    opened = gs_data_key_open(ring, id, sealed, len, ret, &err);
    PQfreemem(sealed);
    return opened == GS_OK ? CLI_OK
                           : cli_fail(c, CLI_REFUSED, "the organisation's data key cannot be opened: %s", err.text);
}

static enum cli_exit store(struct cli *c, const struct fetch_entry *e, const char *connection,
                           const struct gs_data_key *key, const struct gs_buf *secret)
{
    GS_AUTO(gs_freep) unsigned char *sealed = gs_alloc(secret->len + GS_SEAL_OVERHEAD);
    char place[PLACE_MAX];
    size_t len;
    struct gs_err err;

    snprintf(place, sizeof(place), "credential:%s:%s", connection, gs_category_name(e->category));
    if (gs_secret_seal(key, place, secret->data, secret->len, sealed, &len, &err) != GS_OK)
        return cli_fail(c, CLI_FAILED, "%s", err.text);
    GS_AUTO(gs_freep) char *text = bytea_text(sealed, len);
    return cli_exec(
        c,
        "INSERT INTO credential (connection_id, org_id, category, data_key_id, sealed) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (connection_id) DO UPDATE SET data_key_id = EXCLUDED.data_key_id, sealed = EXCLUDED.sealed, "
        "updated_at = now()",
        CLI_WITH(connection, c->org, gs_category_name(e->category), key->id + strlen("dk"), text));
}

static enum cli_exit seal_and_store(struct cli *c, const struct fetch_entry *e, const char *connection,
                                    const struct gs_buf *secret)
{
    const struct gs_env *const tables[] = {gs_vault_env[e->category], NULL};
    struct gs_data_key key = {0};
    struct gs_keyring *ring;
    struct gs_err err;
    enum cli_exit rc = cli_settings(c, tables);

    if (rc != CLI_OK)
        return rc;
    ring = gs_keyring_from_env(e->category, &err);
    if (!ring)
        return cli_fail(c, CLI_USAGE, "%s", err.text);
    rc = load_data_key(c, ring, e->category, &key);
    if (rc == CLI_OK)
        rc = store(c, e, connection, &key, secret);
    gs_data_key_done(&key);
    gs_keyring_free(ring);
    return rc;
}

enum cli_exit cli_secret_store(struct cli *c, const struct fetch_entry *e, const char *connection)
{
    struct secret *s;
    struct gs_buf json;
    enum cli_exit rc;

    if (e->connector->secret == FETCH_NO_SECRET)
        return cli_fail(c, CLI_USAGE, "%s signs in without a secret; leave --secret-file and --secret-stdin out",
                        e->connector->label);
    s = gs_alloc(sizeof(*s));
    gs_buf_init(&json, 2 * GS_SECRET_MAX);
    rc = read_secret(c, s);
    if (rc == CLI_OK)
        rc = to_json(c, e, s, &json);
    if (rc == CLI_OK && (json.overflow || json.len > GS_SECRET_MAX))
        rc = cli_fail(c, CLI_USAGE, "the secret is longer than %d bytes", GS_SECRET_MAX);
    if (rc == CLI_OK)
        rc = seal_and_store(c, e, connection, &json);
    if (json.data)
        gs_wipe(json.data, json.cap);
    gs_buf_done(&json);
    gs_free_secret(s, sizeof(*s));
    return rc;
}
