/* A connection's secret: read from a file or standard input, never from the command line; stored sealed. */
#include "services/cli/forms.h"

#include "common/json.h"
#include "common/mem.h"
#include "services/cli/db.h"
#include "services/fetch/credential.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { JSON_DEPTH = 2 };

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

/* The JSON object that is sealed. Errors repeat nothing of the secret. */
static enum cli_exit to_json(struct cli *c, const struct fetch_entry *e, const struct secret *s, struct gs_buf *ret)
{
    struct gs_json *json;
    struct gs_err err;
    enum gs_rc rc;

    if (fetch_credential_is_token(e->connector) && s->text[0] != '{') {
        rc = fetch_credential_token(e->connector, s->text, ret, &err);
    } else {
        json = gs_json_new(GS_SECRET_MAX, JSON_DEPTH);
        if (gs_json_parse(json, s->text, s->len, NULL) == GS_OK)
            rc = fetch_credential_read(e->connector, json, "", ret, &err);
        else
            rc = fetch_credential_refuse(e->connector, &err);
        gs_json_free(json);
    }
    return rc == GS_OK ? CLI_OK : cli_fail(c, CLI_USAGE, "%s", err.text);
}

static PGresult *ask(void *arg, const char *sql, int n, const char *const *params)
{
    return cli_query(arg, sql, n, params);
}

static enum cli_exit seal_and_store(struct cli *c, const struct fetch_entry *e, const char *connection,
                                    const struct gs_buf *secret)
{
    const struct gs_env *const tables[] = {gs_vault_env[e->category], NULL};
    const struct gs_vault_db db = {ask, c};
    struct gs_keyring *ring;
    struct gs_err err;
    enum gs_rc stored;
    enum cli_exit rc = cli_settings(c, tables);

    if (rc != CLI_OK)
        return rc;
    ring = gs_keyring_from_env(e->category, &err);
    if (!ring)
        return cli_fail(c, CLI_USAGE, "%s", err.text);
    stored = fetch_credential_store(&db, ring, e, c->org, connection, secret, &err);
    gs_keyring_free(ring);
    if (stored == GS_RETRY)
        return c->code;
    return stored == GS_OK ? CLI_OK : cli_fail(c, stored == GS_REJECT ? CLI_REFUSED : CLI_FAILED, "%s", err.text);
}

enum cli_exit cli_secret_store(struct cli *c, const struct fetch_entry *e, const char *connection)
{
    struct secret *s;
    struct gs_buf json;
    enum cli_exit rc;

    if (!e->connector->auths)
        return cli_fail(c, CLI_USAGE, "%s signs in without a secret; leave --secret-file and --secret-stdin out",
                        e->connector->label);
    s = gs_alloc(sizeof(*s));
    gs_buf_init(&json, 2 * GS_SECRET_MAX);
    rc = read_secret(c, s);
    if (rc == CLI_OK)
        rc = to_json(c, e, s, &json);
    if (rc == CLI_OK)
        rc = seal_and_store(c, e, connection, &json);
    if (json.data)
        gs_wipe(json.data, json.cap);
    gs_buf_done(&json);
    gs_free_secret(s, sizeof(*s));
    return rc;
}
