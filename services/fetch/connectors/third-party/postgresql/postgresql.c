/* PostgreSQL: the one number that a read-only query gives. */
#include "services/fetch/scalar.h"

#include "common/str.h"

#include <string.h>

static const struct fetch_field connection_fields[] = {
    {.name = "host", .label = "Host", .help = "Name or address of the server", .type = FETCH_HOST, .required = true},
    {.name = "port", .label = "Port", .type = FETCH_INTEGER, .def = "5432", .min = 1, .max = 65535},
    {.name = "database", .label = "Database", .type = FETCH_TEXT, .required = true, .keeps_secret = true},
    {.name = "sslmode",
     .label = "TLS",
     .help = "verify-full checks the server's certificate and name; disable works only where the operator allows it",
     .type = FETCH_CHOICE,
     .def = "verify-full",
     .choices = "verify-full,verify-ca,require,disable"},
    {.name = "ca_pem",
     .label = "CA certificates",
     .help = "PEM text; needed when the server's certificate is not signed by a public authority",
     .type = FETCH_LONG_TEXT},
    {0},
};

static const struct fetch_field link_fields[] = {
    {.name = "query",
     .label = "Query",
     .help = "One SELECT that gives one row with one numeric column",
     .type = FETCH_LONG_TEXT,
     .required = true},
    {0},
};

static enum gs_rc check(const struct fetch_settings *connection, const struct fetch_settings *link, struct gs_err *err)
{
    const char *mode = fetch_setting(connection, "sslmode"), *pem = fetch_setting(connection, "ca_pem");

    if (pem[0] && !gs_str_starts(mode, "verify-"))
        return gs_fail(err, GS_REJECT, "ca_pem is used by sslmode verify-full and verify-ca only; choose one of them");
    if (pem[0] && !strstr(pem, "-----BEGIN CERTIFICATE-----"))
        return gs_fail(err, GS_REJECT, "ca_pem must hold certificates in PEM form (-----BEGIN CERTIFICATE-----)");
    return link ? fetch_scalar_check(fetch_setting(link, "query"), err) : GS_OK;
}

static enum gs_rc start(struct fetch_task *t)
{
    return fetch_sql(t, fetch_arg(t, "query"));
}

static const struct fetch_number_type types[] = {{"int2", FETCH_EXACT},
                                                 {"int4", FETCH_EXACT},
                                                 {"int8", FETCH_EXACT},
                                                 {"numeric", FETCH_EXACT},
                                                 {"float4", FETCH_FLOAT},
                                                 {"float8", FETCH_FLOAT},
                                                 {0}};

static enum gs_rc reply(struct fetch_task *t, const struct fetch_reply *r)
{
    struct gs_dec value;

    if (fetch_scalar(r, types, &value, fetch_err(t)) != GS_OK)
        return fetch_err(t)->rc;
    return fetch_scalar_emit(t, value);
}

static const struct fetch_auth auths[] = {
    {.name = "password",
     .label = "User and password",
     .help = "A role that may SELECT what is asked, and nothing else",
     .kind = FETCH_USER_PASSWORD},
    {0},
};

const struct fetch_connector fetch_connector_postgresql = {
    .label = "PostgreSQL",
    .terms_url = "https://www.postgresql.org/about/policies/",
    .wire = FETCH_POSTGRES,
    .auths = auths,
    .outcomes = FETCH_NUMBER | FETCH_PERCENT,
    .connection_fields = connection_fields,
    .link_fields = link_fields,
    .trial = "{\"query\":\"SELECT 1\"}",
    .check = check,
    .start = start,
    .reply = reply,
};
