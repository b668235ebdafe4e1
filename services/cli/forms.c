/* What --set says, checked by the connector's form. */
#include "services/cli/forms.h"

#include "common/mem.h"
#include "services/cli/db.h"
#include "services/fetch/systems.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORM_NAME_MAX = 64 };

const struct fetch_entry *cli_form_connector(struct cli *c, const char *name)
{
    const struct fetch_entry *e = fetch_catalogue_find(name);
    const struct fetch_system *s = fetch_systems_find(name);

    if (!e && s)
        (void)cli_fail(c, CLI_REFUSED, "this goalsync has no connector for %s yet", s->label);
    else if (!e)
        (void)cli_fail(c, CLI_NOT_FOUND, "there is no integration \"%s\"; `goalsync integration list` shows them",
                       name);
    return e;
}

struct fetch_settings *cli_form_read(struct cli *c, const struct fetch_field *fields, const char *json)
{
    struct gs_err err;
    struct fetch_settings *s;

    /* Whether http:// and unencrypted databases are allowed is the workers' setting; they refuse them themselves. */
    fetch_settings_allow_plain(true);
    s = fetch_settings_parse(fields, json, strlen(json), &err);
    if (!s)
        (void)cli_fail(c, CLI_REFUSED, "%s", err.text);
    return s;
}

/* {"name":"value",...} of the --set options. */
static enum cli_exit given_json(struct cli *c, struct gs_buf *b)
{
    const char *text;

    gs_buf_putc(b, '{');
    for (int i = 0; (text = cli_opt_at(c, "set", i)) != NULL; i++) {
        size_t len = strcspn(text, "=");
        if (!text[len] || len == 0 || len > FORM_NAME_MAX)
            return cli_fail(c, CLI_USAGE, "--set \"%.80s\" is not NAME=VALUE", text);
        for (int k = 0; k < i; k++)
            if (strncmp(cli_opt_at(c, "set", k), text, len + 1) == 0)
                return cli_fail(c, CLI_USAGE, "--set %.*s is given twice", (int)len, text);
        gs_buf_puts(b, i ? "," : "");
        gs_buf_put_json(b, text, len);
        gs_buf_putc(b, ':');
        gs_buf_put_json(b, text + len + 1, strlen(text + len + 1));
    }
    gs_buf_putc(b, '}');
    return b->overflow ? cli_fail(c, CLI_USAGE, "the --set options are longer than %d bytes", FETCH_SETTINGS_MAX)
                       : CLI_OK;
}

struct fetch_settings *cli_form_given(struct cli *c, const struct fetch_field *fields, const char *json)
{
    struct fetch_settings *s = NULL;
    struct gs_buf given;

    gs_buf_init(&given, FETCH_SETTINGS_MAX);
    if (given_json(c, &given) == CLI_OK) {
        CLI_AUTO_RESULT merged =
            cli_query(c, "SELECT ($1::jsonb || $2::jsonb)::text", CLI_WITH(json, gs_buf_str(&given)));
        s = merged ? cli_form_read(c, fields, PQgetvalue(merged, 0, 0)) : NULL;
    }
    gs_buf_done(&given);
    return s;
}

char *cli_form_text(const struct fetch_settings *s)
{
    struct gs_buf b;

    gs_buf_init(&b, FETCH_SETTINGS_MAX * 2);
    fetch_settings_print(s, &b);
    return gs_buf_steal(&b);
}
