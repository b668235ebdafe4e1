/* PostgreSQL: the one number that a read-only query gives. */
#include "services/fetch/connector.h"

#include "common/str.h"

#include <ctype.h>
#include <string.h>

#define TYPES_SHOWN_MAX 8  /* columns whose types are named in a refusal */
#define FLOAT_TEXT_MAX  40 /* the server's shortest text of any double is shorter */
#define EXPONENT_MAX    400

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
    const char *query = link ? fetch_setting(link, "query") : "SELECT";

    if (pem[0] && !gs_str_starts(mode, "verify-"))
        return gs_fail(err, GS_REJECT, "ca_pem is used by sslmode verify-full and verify-ca only; choose one of them");
    if (pem[0] && !strstr(pem, "-----BEGIN CERTIFICATE-----"))
        return gs_fail(err, GS_REJECT, "ca_pem must hold certificates in PEM form (-----BEGIN CERTIFICATE-----)");
    if (query[strspn(query, " \t\r\n;")] == '\0')
        return gs_fail(err, GS_REJECT, "query is empty; enter one SELECT that gives one number");
    return GS_OK;
}

static enum gs_rc start(struct fetch_task *t)
{
    return fetch_sql(t, fetch_arg(t, "query"));
}

/* ---- numbers ---- */

static bool is_one_of(const char *type, const char *const *list)
{
    while (*list && !gs_str_eq(type, *list))
        list++;
    return *list;
}

static bool is_exact(const char *type)
{
    return is_one_of(type, (const char *const[]){"int2", "int4", "int8", "numeric", NULL});
}

static bool is_float(const char *type)
{
    return is_one_of(type, (const char *const[]){"float4", "float8", NULL});
}

/* The significant digits of a float's text, and the power of ten of the last one. */
struct digits {
    bool negative;
    char text[FLOAT_TEXT_MAX + 1];
    size_t n;
    int64_t exponent;
};

static bool read_float(const char *s, struct digits *ret)
{
    bool point = false;

    *ret = (struct digits){.negative = *s == '-'};
    if (*s == '-')
        s++;
    for (; isdigit((unsigned char)*s) || *s == '.'; s++) {
        if (*s == '.') {
            if (point)
                return false;
            point = true;
        } else {
            if (ret->n == FLOAT_TEXT_MAX)
                return false;
            ret->text[ret->n++] = *s;
            ret->exponent -= point;
        }
    }
    if (ret->n == 0)
        return false;
    if (*s == 'e') {
        int64_t e;

        if (!gs_parse_int(s + 1 + (s[1] == '+'), -EXPONENT_MAX, EXPONENT_MAX, &e))
            return false;
        ret->exponent += e;
        return true;
    }
    return *s == '\0';
}

/* A double is not exact anyway: beyond 18 decimals it is rounded, halves away from zero. Anything else about the text
 * is judged by the common parser. */
static enum gs_rc parse_float(const char *s, struct gs_dec *ret, struct gs_err *err)
{
    struct digits d;
    int64_t drop;
    enum gs_rc rc = GS_OK;

    if (!read_float(s, &d) || d.exponent >= -GS_DEC_SCALE)
        return gs_dec_parse(s, strlen(s), ret, err);
    drop = -GS_DEC_SCALE - d.exponent;
    ret->u = 0;
    if (drop < (int64_t)d.n) {
        char text[FLOAT_TEXT_MAX + 5];
        size_t kept = d.n - (size_t)drop;

        memcpy(text, d.text, kept);
        memcpy(text + kept, "e-18", 5);
        rc = gs_dec_parse(text, kept + 4, ret, err);
    }
    if (rc == GS_OK && drop <= (int64_t)d.n && d.text[d.n - (size_t)drop] >= '5')
        ret->u++;
    if (rc == GS_OK && d.negative)
        ret->u = -ret->u;
    return rc;
}

static enum gs_rc parse_value(const char *type, const char *value, struct gs_dec *ret, struct gs_err *err)
{
    if (!value)
        return gs_fail(err, GS_REJECT, "the query gave NULL; it must give exactly one number (coalesce names one)");
    if (strstr(value, "NaN"))
        return gs_fail(err, GS_REJECT, "the query gave NaN (not a number); it must give exactly one number");
    if (strstr(value, "Infinity"))
        return gs_fail(err, GS_REJECT, "the query gave an infinite value; it must give exactly one number");
    if (is_float(type))
        return parse_float(value, ret, err);
    if (gs_dec_parse(value, strlen(value), ret, NULL) == GS_OK)
        return GS_OK;
    return gs_fail(err, GS_REJECT,
                   "the query gave a number of more than 20 digits before or 18 after the point; "
                   "round it in the query, for example round(..., 6)");
}

/* ---- the answer ---- */

static void put_types(struct gs_buf *b, const struct fetch_reply *r)
{
    for (int i = 0; i < r->cols && i < TYPES_SHOWN_MAX; i++)
        gs_buf_printf(b, "%s%s", i ? ", " : "", r->types[i]);
    if (r->cols > TYPES_SHOWN_MAX)
        gs_buf_puts(b, ", ...");
}

/* The wire does not carry out what has the wrong columns, so these are looked at before the rows. */
static enum gs_rc check_columns(const struct fetch_reply *r, struct gs_err *err)
{
    struct gs_buf types;

    if (r->cols == 0)
        return gs_fail(err, GS_REJECT, "the query gave no columns; it must be a SELECT that gives exactly one number");
    if (r->cols > 1) {
        gs_buf_init(&types, 256);
        put_types(&types, r);
        gs_fail(err, GS_REJECT, "the query gave %d columns (%s); it must give exactly one number", r->cols,
                gs_buf_str(&types));
        gs_buf_done(&types);
        return GS_REJECT;
    }
    if (!is_exact(r->types[0]) && !is_float(r->types[0]))
        return gs_fail(err, GS_REJECT,
                       "the query gave a value of type %s, which is no number; cast it to numeric in the query",
                       r->types[0]);
    return GS_OK;
}

static enum gs_rc read_value(const struct fetch_reply *r, struct gs_dec *ret, struct gs_err *err)
{
    if (check_columns(r, err) != GS_OK)
        return GS_REJECT;
    if (r->rows == 0)
        return gs_fail(err, GS_REJECT, "the query gave no row (of type %s); it must give exactly one number",
                       r->types[0]);
    if (r->rows > 1)
        return gs_fail(err, GS_REJECT, "the query gave 2 rows or more (of type %s); it must give exactly one number",
                       r->types[0]);
    return parse_value(r->types[0], r->values[0], ret, err);
}

static enum gs_rc reply(struct fetch_task *t, const struct fetch_reply *r)
{
    struct gs_dec value;

    if (read_value(r, &value, fetch_err(t)) != GS_OK)
        return fetch_err(t)->rc;
    for (size_t i = 0; i < fetch_targets(t); i++) {
        fetch_emit(t, i, value);
        fetch_rows_seen(t, i, 1);
    }
    return GS_OK;
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
