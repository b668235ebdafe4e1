/* Settings of connections and links as a person gives them, and their secrets. */
#ifndef CLI_FORMS_H
#define CLI_FORMS_H

#include "services/cli/cli.h"
#include "services/fetch/catalogue.h"

#define CLI_SET_OPTION                                                                                                 \
    {                                                                                                                  \
        "set", "NAME=VALUE", "a field of the integration's form; NAME= takes it away", CLI_MANY                        \
    }

GS_AUTO_DEFINE(struct fetch_settings, cli_settings_free, fetch_settings_free)
#define CLI_AUTO_SETTINGS GS_AUTO(cli_settings_freep) struct fetch_settings *

/* The connector of that name; null: there is none, or none yet. */
const struct fetch_entry *cli_form_connector(struct cli *c, const char *name);
/* Reads stored JSON by a connector's fields; null: failed. */
struct fetch_settings *cli_form_read(struct cli *c, const struct fetch_field *fields, const char *json);
/* The --set options laid over stored JSON ("{}": none), checked field by field; null: failed. */
struct fetch_settings *cli_form_given(struct cli *c, const struct fetch_field *fields, const char *json);
/* The canonical text that is stored; owned. */
char *cli_form_text(const struct fetch_settings *s);

/* Is --secret-file or --secret-stdin given? */
bool cli_secret_given(const struct cli *c);
/* Reads the secret, checks it against what the connector signs in with, and stores it sealed. Inside the caller's
 * transaction. */
enum cli_exit cli_secret_store(struct cli *c, const struct fetch_entry *e, const char *connection) GS_MUST_CHECK;

#endif
