/* The secret fields of a connection in the clear: read once, wiped when freed. */
#ifndef FETCH_SECRET_H
#define FETCH_SECRET_H

#include "services/fetch/connector.h"

struct fetch_secrets {
    const char *authorization;   /* FETCH_BEARER: the header's value; else null */
    const char *user, *password; /* FETCH_USER_PASSWORD; else null */
    size_t size;                 /* of all of it */
    char text[];
};

/* text is a JSON object of strings. Errors never repeat any of it. */
struct fetch_secrets *fetch_secrets_parse(enum fetch_secret kind, const char *text, size_t len, struct gs_err *err);
struct fetch_secrets *fetch_secrets_free(struct fetch_secrets *s); /* wipes */

#endif
