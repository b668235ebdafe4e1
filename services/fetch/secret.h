/* The secret fields of a connection in the clear: read once, wiped when freed. */
#ifndef FETCH_SECRET_H
#define FETCH_SECRET_H

#include "services/fetch/connector.h"

struct fetch_secrets {
    const struct fetch_auth *auth;
    const char *header, *authorization; /* of HTTP: a header and its value; null: none */
    const char *user, *password;        /* of the SQL wires; else null */
    size_t size;                        /* of all of it */
    char text[];
};

#define FETCH_SECRET_FIELDS_MAX 2

/* Names of what a person enters for this kind, ended by null; none: nothing is entered. */
const char *const *fetch_secret_fields(enum fetch_auth_kind kind);
/* The way to sign in of that name ("": the usual one); null: the connector has none of it. */
const struct fetch_auth *fetch_auth_find(const struct fetch_connector *c, const char *name);

/* text is a JSON object of strings: the fields of one way to sign in, and "auth", its name, where it is not the usual
 * one. Errors never repeat any of it. */
struct fetch_secrets *fetch_secrets_parse(const struct fetch_connector *c, const char *text, size_t len,
                                          struct gs_err *err);
struct fetch_secrets *fetch_secrets_free(struct fetch_secrets *s); /* wipes */

#endif
