/* All connectors that were built in, and what their forms accept. Data and pure functions; used by the workers, the CLI
 * and the gateway, from any thread. */
#ifndef FETCH_CATALOGUE_H
#define FETCH_CATALOGUE_H

#include "common/vault.h"
#include "services/fetch/connector.h"

#define FETCH_SETTINGS_MAX (64 * 1024) /* bytes of JSON */
#define FETCH_FIELDS_MAX   32
#define FETCH_NAME_MAX     48

struct fetch_entry {
    const char *name; /* the folder's */
    enum gs_category category;
    const struct fetch_connector *connector;
};

/* Entries of the categories linked into this program, ended by a null name. Generated from the folders. */
const struct fetch_entry *fetch_catalogue(void);
const struct fetch_entry *fetch_catalogue_find(const char *name);

/* What there is to know of an integration by its name, as one JSON object: what it is called, its category, its owner's
 * terms, how it signs in, its forms. Also of known systems (systems.h) without a connector, which are not available.
 * False, and nothing: there is none of that name. */
bool fetch_catalogue_print(const char *name, struct gs_buf *b);
/* A JSON array of them all. */
void fetch_catalogue_print_all(struct gs_buf *b);
/* Grows when the terms of the integration's owner change, so that everybody who accepted them is asked again. */
const char *fetch_terms_version(const struct fetch_connector *c);

/* Parses a settings object: only known fields, all required ones, types and ranges. GS_REJECT names the field, what was
 * wrong and what is accepted. */
struct fetch_settings *fetch_settings_parse(const struct fetch_field *fields, const char *json, size_t len,
                                            struct gs_err *err);
struct fetch_settings *fetch_settings_free(struct fetch_settings *s);
/* Whether FETCH_URL accepts http://, for sources in a private network and for tests; set once at start, false by
 * itself. */
void fetch_settings_allow_plain(bool allowed);
/* One canonical JSON text (keys sorted, defaults left out), so that equal settings are equal bytes. */
void fetch_settings_print(const struct fetch_settings *s, struct gs_buf *b);

/* Everything the connector has to say about a link before it is saved. */
enum gs_rc fetch_settings_check(const struct fetch_connector *c, const struct fetch_settings *connection,
                                const struct fetch_settings *link, struct gs_err *err) GS_MUST_CHECK;
/* At most 64 characters, safe in logs: a readable start, or a hash. */
void fetch_batch_key(const struct fetch_connector *c, const struct fetch_settings *link, char ret_key[65]);

#endif
