/* Reads the one number out of rows. */
#include "services/fetch/scalar.h"

#include <string.h>
#include <strings.h>

#define TYPES_SHOWN_MAX 8 /* columns whose types are named in a refusal */

enum gs_rc fetch_scalar_check(const char *query, struct gs_err *err)
{
    if (query[strspn(query, " \t\r\n;")] == '\0')
        return gs_fail(err, GS_REJECT, "query is empty; enter one SELECT that gives one number");
    return GS_OK;
}

static void put_types(struct gs_buf *b, const struct fetch_reply *r)
{
    for (int i = 0; i < r->cols && i < TYPES_SHOWN_MAX; i++)
        gs_buf_printf(b, "%s%s", i ? ", " : "", r->types[i]);
    if (r->cols > TYPES_SHOWN_MAX)
        gs_buf_puts(b, ", ...");
}

/* A wire need not carry out what has the wrong columns, so these are looked at before the rows. */
static enum gs_rc check_columns(const struct fetch_reply *r, enum fetch_number number, struct gs_err *err)
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
    if (!number)
        return gs_fail(err, GS_REJECT,
                       "the query gave a value of type %s, which is no number; cast it to numeric in the query",
                       r->types[0]);
    return GS_OK;
}

static enum fetch_number number_of(const struct fetch_number_type *types, const char *name)
{
    while (types->name && strcasecmp(types->name, name) != 0)
        types++;
    return types->number;
}

static bool holds(const char *text, const char *word)
{
    return strcasestr(text, word);
}

static enum gs_rc parse_value(enum fetch_number number, const char *value, struct gs_dec *ret, struct gs_err *err)
{
    if (!value)
        return gs_fail(err, GS_REJECT, "the query gave NULL; it must give exactly one number (coalesce names one)");
    if (holds(value, "nan"))
        return gs_fail(err, GS_REJECT, "the query gave NaN (not a number); it must give exactly one number");
    if (holds(value, "inf"))
        return gs_fail(err, GS_REJECT, "the query gave an infinite value; it must give exactly one number");
    if (number == FETCH_FLOAT)
        return gs_dec_parse_float(value, strlen(value), ret, err);
    if (gs_dec_parse(value, strlen(value), ret, NULL) == GS_OK)
        return GS_OK;
    return gs_fail(err, GS_REJECT,
                   "the query gave a number of more than 20 digits before or 18 after the point; "
                   "round it in the query, for example round(..., 6)");
}

enum gs_rc fetch_scalar(const struct fetch_reply *r, const struct fetch_number_type *types, struct gs_dec *ret,
                        struct gs_err *err)
{
    enum fetch_number number = r->cols > 0 ? number_of(types, r->types[0]) : 0;

    if (check_columns(r, number, err) != GS_OK)
        return GS_REJECT;
    if (r->rows == 0)
        return gs_fail(err, GS_REJECT, "the query gave no row (of type %s); it must give exactly one number",
                       r->types[0]);
    if (r->rows > 1)
        return gs_fail(err, GS_REJECT, "the query gave 2 rows or more (of type %s); it must give exactly one number",
                       r->types[0]);
    return parse_value(number, r->values[0], ret, err);
}

enum gs_rc fetch_scalar_emit(struct fetch_task *t, struct gs_dec value)
{
    for (size_t i = 0; i < fetch_targets(t); i++) {
        fetch_emit(t, i, value);
        fetch_rows_seen(t, i, 1);
    }
    return GS_OK;
}
