/* goalsync connection: how a source is reached. */
#include "services/cli/db.h"
#include "services/cli/forms.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const char show_sql[] =
    "SELECT c.id, c.org_id, c.name, c.connector, c.category::text AS category, p.email AS owner, c.shared, c.settings, "
    "c.version, "
    "(SELECT updated_at FROM credential WHERE connection_id = c.id) AS secret_updated_at, "
    "(SELECT count(*) FROM link WHERE connection_id = c.id) AS links, c.paused_reason, c.stopped_reason, c.created_at "
    "FROM connection c LEFT JOIN person p ON p.id = c.owner_id WHERE c.id = $1";

/* Stored settings are not secret, but the connector's own rules come on top of its fields'. */
static enum cli_exit check(struct cli *c, const struct fetch_entry *e, const struct fetch_settings *s)
{
    struct gs_err err;

    return fetch_settings_check(e->connector, s, NULL, &err) == GS_OK ? CLI_OK
                                                                      : cli_fail(c, CLI_REFUSED, "%s", err.text);
}

static enum cli_exit find_owner(struct cli *c, char ret[CLI_ID_TEXT])
{
    ret[0] = '\0';
    return cli_has(c, "owner") ? cli_find(c, CLI_PERSON, cli_opt(c, "owner"), ret) : CLI_OK;
}

static enum cli_exit insert(struct cli *c, const struct fetch_entry *e, const struct fetch_settings *s,
                            char ret_id[CLI_ID_TEXT])
{
    GS_AUTO(gs_freep) char *text = cli_form_text(s);
    char owner[CLI_ID_TEXT];

    if (find_owner(c, owner) != CLI_OK || cli_begin(c) != CLI_OK)
        return c->code;
    CLI_AUTO_RESULT same = cli_query(c, "SELECT id FROM connection WHERE org_id = $1 AND connector = $2 AND name = $3",
                                     CLI_WITH(c->org, e->name, cli_opt(c, "name")));
    if (!same)
        return c->code;
    if (PQntuples(same))
        return cli_fail(c, CLI_REFUSED, "there is a %s connection \"%s\" already, with id %s", e->connector->label,
                        cli_opt(c, "name"), PQgetvalue(same, 0, 0));
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "INSERT INTO connection (org_id, connector, category, name, owner_id, shared, settings) VALUES "
                  "($1, $2, $3, $4, nullif($5, '')::bigint, $6, $7) RETURNING id",
                  CLI_WITH(c->org, e->name, gs_category_name(e->category), cli_opt(c, "name"), owner,
                           cli_has(c, "shared") ? "true" : "false", text));
    if (r)
        snprintf(ret_id, CLI_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return r ? CLI_OK : c->code;
}

static enum cli_exit run_create(struct cli *c)
{
    const struct fetch_entry *e = cli_form_connector(c, cli_opt(c, "connector"));
    char id[CLI_ID_TEXT];
    enum cli_exit rc;

    if (!e)
        return c->code;
    if (e->connector->auths && !cli_secret_given(c))
        return cli_fail(c, CLI_USAGE, "%s needs a secret; give it with --secret-stdin or --secret-file",
                        e->connector->label);
    rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_org(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_SETTINGS s = cli_form_given(c, e->connector->connection_fields, "{}");
    if (!s || check(c, e, s) != CLI_OK)
        return c->code;
    rc = insert(c, e, s, id);
    if (rc == CLI_OK && cli_secret_given(c))
        rc = cli_secret_store(c, e, id);
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, "connection.created", "connection", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_show(c, "connection", show_sql, id) : rc;
}

static enum cli_exit run_list(struct cli *c)
{
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_org(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "SELECT c.id, c.name, c.connector, c.category::text AS category, c.version, (SELECT count(*) FROM "
                  "link WHERE connection_id = c.id) AS links, (SELECT count(*) FROM link WHERE connection_id = "
                  "c.id AND failures > 0) AS failing, c.paused_reason FROM connection c WHERE c.org_id = $1 "
                  "ORDER BY c.id",
                  CLI_WITH(c->org));
    return r ? cli_print_rows(c, "connections", r,
                              "There is no connection yet; make one with `goalsync connection create`.")
             : c->code;
}

static enum cli_exit run_show(struct cli *c)
{
    char id[CLI_ID_TEXT];
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_find(c, CLI_CONNECTION, cli_arg(c, 0), id);
    return rc == CLI_OK ? cli_show(c, "connection", show_sql, id) : rc;
}

static enum cli_exit update(struct cli *c, const char *id, const struct fetch_settings *s)
{
    GS_AUTO(gs_freep) char *text = cli_form_text(s);
    const char *stop = cli_has(c, "start") ? "" : cli_opt(c, "stop");
    char owner[CLI_ID_TEXT];

    if (find_owner(c, owner) != CLI_OK)
        return c->code;
    /* $5: null leaves it, "" takes it away. A new version makes the workers read the connection again. */
    return cli_exec(
        c,
        "UPDATE connection SET name = coalesce($2, name), settings = $3, owner_id = coalesce(nullif($4, '')::bigint, "
        "owner_id), stopped_reason = CASE WHEN $5::text IS NULL THEN stopped_reason ELSE nullif($5, '') END, "
        "version = version + 1 WHERE id = $1",
        CLI_WITH(id, cli_opt(c, "name"), text, owner, stop));
}

static enum cli_exit run_edit(struct cli *c)
{
    char id[CLI_ID_TEXT];
    const struct fetch_entry *e;
    enum cli_exit rc =
        c->n_given > cli_has(c, "org")
            ? CLI_OK
            : cli_fail(c, CLI_USAGE, "nothing to change is given; `goalsync connection edit --help` lists what can be");

    if (rc == CLI_OK)
        rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_find(c, CLI_CONNECTION, cli_arg(c, 0), id);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT old =
        cli_query(c, "SELECT connector, settings FROM connection WHERE id = $1 FOR UPDATE", CLI_WITH(id));
    if (!old)
        return c->code;
    e = fetch_catalogue_find(cli_get(old, 0, "connector"));
    if (!e)
        return cli_fail(c, CLI_REFUSED, "this goalsync was built without the integration \"%s\"",
                        cli_get(old, 0, "connector"));
    CLI_AUTO_SETTINGS s = cli_form_given(c, e->connector->connection_fields, cli_get(old, 0, "settings"));
    if (!s || check(c, e, s) != CLI_OK)
        return c->code;
    rc = update(c, id, s);
    if (rc == CLI_OK && cli_secret_given(c))
        rc = cli_secret_store(c, e, id);
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, "connection.edited", "connection", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_show(c, "connection", show_sql, id) : rc;
}

static enum cli_exit run_delete(struct cli *c)
{
    char id[CLI_ID_TEXT];
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_find(c, CLI_CONNECTION, cli_arg(c, 0), id);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT links = cli_query(c, "SELECT count(*) AS n FROM link WHERE connection_id = $1", CLI_WITH(id));
    if (!links)
        return c->code;
    if (cli_get_int(links, 0, "n") > 0)
        return cli_fail(c, CLI_REFUSED,
                        "links (%s) use connection %s; delete them first (`goalsync link list` shows them)",
                        cli_get(links, 0, "n"), id);
    CLI_AUTO_RESULT gone = cli_query(c, "DELETE FROM connection WHERE id = $1 RETURNING id, name", CLI_WITH(id));
    if (!gone)
        return c->code;
    rc = cli_audit(c, c->org, "connection.deleted", "connection", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_print_row(c, gone) : rc;
}

#define ORG                                                                                                            \
    {                                                                                                                  \
        "org", "ORG", "id or name; may be left out when there is only one", 0                                          \
    }
#define SECRET                                                                                                         \
    {"secret-file", "FILE", "file with the secret: a JSON object of its fields, or a plain token", 0},                 \
    {                                                                                                                  \
        "secret-stdin", NULL, "reads the secret from standard input", 0                                                \
    }

static const struct cli_option create_options[] = {
    ORG,
    {"connector", "INTEGRATION", "as `goalsync integration list` shows it", CLI_REQUIRED},
    {"name", "NAME", "what people call it", CLI_REQUIRED},
    CLI_SET_OPTION,
    SECRET,
    {"owner", "EMAIL", "whose connection it is", 0},
    {"shared", NULL, "others of the organisation may link with it", 0},
    {0},
};
static const struct cli_option edit_options[] = {
    ORG,
    {"name", "NAME", "what people call it", 0},
    CLI_SET_OPTION,
    SECRET,
    {"owner", "EMAIL", "whose connection it is", 0},
    {"stop", "REASON", "stops fetching by it; people see the reason", 0},
    {"start", NULL, "takes a stop away", 0},
    {0},
};
static const struct cli_option org_options[] = {ORG, {0}};

const struct cli_command cli_connection_commands[] = {
    {"create", "", "Makes a connection; the secret is sealed before it is stored", create_options,
     "  goalsync connection create --connector postgresql --name Shop --set host=db.example --set database=shop \\\n"
     "      --secret-file shop.json            # {\"user\":\"...\",\"password\":\"...\"}\n"
     "  goalsync connection create --connector github --name Code --secret-stdin < token.txt\n",
     run_create},
    {"list", "", "Lists the connections of an organisation", org_options, NULL, run_list},
    {"show", "CONNECTION", "Shows one connection, without its secret", org_options, NULL, run_show},
    {"edit", "CONNECTION", "Changes settings, the secret or the owner; stops or starts it", edit_options,
     "  goalsync connection edit 3 --set host=db2.example\n  goalsync connection edit 3 --secret-stdin < new.json\n"
     "  goalsync connection edit 3 --stop \"the shop moves on Sunday\"\n",
     run_edit},
    {"delete", "CONNECTION", "Deletes a connection that no link uses, its secret too", org_options, NULL, run_delete},
    {0},
};
