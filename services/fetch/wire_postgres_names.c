/* Owns the tables of what PostgreSQL's type OIDs, SQLSTATEs and libpq's connection texts mean. */
#include "services/fetch/wire_postgres_names.h"

#include "common/str.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 250 /* bytes of the server's words that are shown */

/* Built-in types have had these OIDs for ever: catalog/pg_type.dat. */
static const struct {
    unsigned oid;
    const char *name;
} types[] = {
    {16, "bool"},          {17, "bytea"},      {18, "char"},
    {19, "name"},          {20, "int8"},       {21, "int2"},
    {23, "int4"},          {25, "text"},       {26, "oid"},
    {114, "json"},         {142, "xml"},       {600, "point"},
    {700, "float4"},       {701, "float8"},    {705, "unknown"},
    {790, "money"},        {869, "inet"},      {1000, "bool[]"},
    {1007, "int4[]"},      {1009, "text[]"},   {1016, "int8[]"},
    {1022, "float8[]"},    {1042, "bpchar"},   {1043, "varchar"},
    {1082, "date"},        {1083, "time"},     {1114, "timestamp"},
    {1184, "timestamptz"}, {1186, "interval"}, {1231, "numeric[]"},
    {1266, "timetz"},      {1560, "bit"},      {FETCH_PG_NUMERIC, "numeric"},
    {2249, "record"},      {2278, "void"},     {2950, "uuid"},
    {3802, "jsonb"},
};

char *fetch_pg_type_name(unsigned oid, char dst[FETCH_PG_TYPE_TEXT])
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].oid == oid) {
            snprintf(dst, FETCH_PG_TYPE_TEXT, "%s", types[i].name);
            return dst;
        }
    }
    snprintf(dst, FETCH_PG_TYPE_TEXT, "oid %u", oid);
    return dst;
}

/* The first row whose code starts the SQLSTATE decides. text, if any, is said in place of the server's words. */
static const struct {
    const char *code;
    enum gs_rc rc;
    const char *text;
} states[] = {
    {"28", GS_DENIED, "the server refused the user or the password; enter them anew in the connection"},
    {"3D000", GS_REJECT, "the server has no database of that name; correct it in the connection"},
    {"25006", GS_REJECT, "the query tries to change something, but it may only read"},
    {"57014", GS_RETRY, "the server stopped the query because it took too long; make the query faster"},
    {"55P03", GS_RETRY, "the query waited too long for a lock that somebody else holds"},
    {"53300", GS_RETRY, "the server has no free connection"},
    {"57P03", GS_RETRY, "the server is starting up or shutting down"},
    {"57P", GS_RETRY, "the server is being stopped or restarted"},
    {"08P01", GS_REJECT, NULL}, /* a parameter nobody gives; a pooler's refusal */
    {"08", GS_RETRY, "the connection to the server failed"},
    {"40", GS_RETRY, NULL},
    {"53", GS_RETRY, NULL},
    {"57", GS_RETRY, NULL},
    {"58", GS_RETRY, NULL},
    {"XX", GS_RETRY, NULL},
    {"42501", GS_REJECT, NULL},
    {"", GS_REJECT, NULL},
};

static size_t find_state(const char *sqlstate)
{
    size_t i = 0;

    while (!gs_str_starts(sqlstate, states[i].code))
        i++;
    return i;
}

enum gs_rc fetch_pg_sqlstate_rc(const char *sqlstate)
{
    return states[find_state(sqlstate)].rc;
}

enum gs_rc fetch_pg_refusal(const char *sqlstate, const char *message, struct gs_err *err)
{
    size_t i = find_state(sqlstate);
    char clean[MESSAGE_MAX];

    if (states[i].text)
        return gs_fail(err, states[i].rc, "%s (SQLSTATE %s)", states[i].text, sqlstate);
    if (!message[0])
        return gs_fail(err, states[i].rc, "the server refused with SQLSTATE %s", sqlstate);
    gs_str_clean(clean, sizeof(clean), message, strlen(message));
    return gs_fail(err, states[i].rc, "the server refused: %s (SQLSTATE %s)", clean, sqlstate);
}

/* libpq tells these apart by words only. */
static const struct {
    const char *words;
    enum gs_rc rc;
    const char *text;
} failures[] = {
    {"no password supplied", GS_DENIED, "the server asks for a password; enter it in the connection"},
    {"does not support SSL", GS_REJECT, "the server does not offer TLS, which sslmode asks for"},
    {"does not match host name", GS_REJECT,
     "the server's certificate is for another host name; correct the host, or choose sslmode verify-ca"},
    {"certificate verify failed", GS_REJECT,
     "the server's certificate is not signed by a trusted authority; give its CA certificate in ca_pem"},
    {"could not read root certificate", GS_REJECT, "ca_pem holds no certificate that can be read"},
    {"certificate", GS_REJECT, NULL},
    {"authentication method", GS_REJECT, NULL},
    {"expected authentication request", GS_REJECT, "what answers at this host and port is not a PostgreSQL server"},
    {"invalid response to SSL negotiation", GS_REJECT, "what answers at this host and port is not a PostgreSQL server"},
    {"", GS_RETRY, NULL},
};

/* With verbosity "sqlstate" a server's refusal ends in "FATAL:  28P01", the first word in the server's language. */
static const char *find_sqlstate(const char *text, size_t len)
{
    const char *code;

    if (len < 8)
        return NULL;
    code = text + len - 5;
    if (memcmp(code - 3, ":  ", 3) != 0)
        return NULL;
    for (int i = 0; i < 5; i++) {
        if (!isdigit((unsigned char)code[i]) && !isupper((unsigned char)code[i]))
            return NULL;
    }
    return code;
}

/* The last line that is no hint (those begin with a tab) is about the last address tried; what stands before "failed: "
 * in it names host and address once more. */
static const char *last_cause(const char *text, size_t *len)
{
    const char *line = text, *cause;

    while (*len > 0 && isspace((unsigned char)text[*len - 1]))
        (*len)--;
    for (size_t i = 0; i < *len; i++) {
        if (text[i] == '\n' && text[i + 1] == '\t')
            *len = i;
        else if (text[i] == '\n')
            line = text + i + 1;
    }
    cause = strstr(line, "failed: ");
    if (cause && cause < text + *len)
        line = cause + strlen("failed: ");
    *len = line < text + *len ? (size_t)(text + *len - line) : 0; /* "failed: " and no cause */
    return line;
}

enum gs_rc fetch_pg_connect_failure(const char *text, const char *host, int port, char ret_sqlstate[6],
                                    struct gs_err *err)
{
    size_t len = strlen(text), i = 0;
    const char *cause = last_cause(text, &len), *code = find_sqlstate(cause, len);
    char clean[MESSAGE_MAX];

    ret_sqlstate[0] = '\0';
    if (code) {
        memcpy(ret_sqlstate, code, 5);
        ret_sqlstate[5] = '\0';
        return fetch_pg_refusal(ret_sqlstate, "", err);
    }
    while (!strstr(text, failures[i].words))
        i++;
    if (failures[i].text)
        return gs_fail(err, failures[i].rc, "%s", failures[i].text);
    gs_str_clean(clean, sizeof(clean), cause, len);
    return gs_fail(err, failures[i].rc, "no connection to %s port %d: %s", host, port,
                   *clean ? clean : "no reason was given");
}
