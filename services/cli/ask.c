/* What is to be asked of a source: a connection, and settings checked by its connector. */
#include "services/cli/link.h"

#include "common/mem.h"
#include "services/cli/db.h"
#include "services/cli/forms.h"
#include "services/fetch/link_sql.h"

#include <stdio.h>

void cli_ask_done(struct cli_ask *a)
{
    gs_freep(&a->settings);
    a->settings = NULL;
}

static enum cli_exit load_connection(struct cli *c, const char *connection, struct cli_ask *ret, PGresult **ret_row)
{
    if (cli_find(c, CLI_CONNECTION, connection, ret->connection) != CLI_OK)
        return c->code;
    *ret_row =
        cli_query(c, "SELECT id, org_id, connector, settings, version, paused_reason FROM connection WHERE id = $1",
                  CLI_WITH(ret->connection));
    if (!*ret_row)
        return c->code;
    ret->entry = fetch_catalogue_find(cli_get(*ret_row, 0, "connector"));
    ret->connection_id = cli_get_int(*ret_row, 0, "id");
    ret->org_id = cli_get_int(*ret_row, 0, "org_id");
    ret->connection_version = (int32_t)cli_get_int(*ret_row, 0, "version");
    snprintf(ret->paused, sizeof(ret->paused), "%s", cli_get(*ret_row, 0, "paused_reason"));
    return ret->entry ? CLI_OK
                      : cli_fail(c, CLI_REFUSED, "this goalsync was built without the integration \"%s\"",
                                 cli_get(*ret_row, 0, "connector"));
}

enum cli_exit cli_ask_prepare(struct cli *c, const char *connection, const char *old_settings, const char *goal,
                              struct cli_ask *ret)
{
    CLI_AUTO_RESULT row = NULL;
    struct gs_err err;

    *ret = (struct cli_ask){0};
    if (load_connection(c, connection, ret, &row) != CLI_OK)
        return c->code;
    CLI_AUTO_SETTINGS there = cli_form_read(c, ret->entry->connector->connection_fields, cli_get(row, 0, "settings"));
    if (!there)
        return c->code;
    CLI_AUTO_SETTINGS asked = cli_form_given(c, ret->entry->connector->link_fields, old_settings);
    if (!asked)
        return c->code;
    if (fetch_settings_check(ret->entry->connector, there, asked, &err) != GS_OK)
        return cli_fail(c, CLI_REFUSED, "%s", err.text);
    fetch_link_batch_key(ret->entry->connector, asked, goal, ret->batch_key);
    ret->settings = cli_form_text(asked);
    return CLI_OK;
}
