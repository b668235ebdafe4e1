/* One number from the rows of a query: what all sources that are asked in SQL, or in a language like it, share. */
#ifndef FETCH_SCALAR_H
#define FETCH_SCALAR_H

#include "services/fetch/connector.h"

enum fetch_number { FETCH_EXACT = 1, FETCH_FLOAT /* rounded to 18 decimals */ };

/* Which of a source's types are numbers; all others (texts, times, truth) are refused even where they look like one. */
struct fetch_number_type {
    const char *name;
    enum fetch_number number;
};

/* A link's query before it is saved: it is not empty. */
enum gs_rc fetch_scalar_check(const char *query, struct gs_err *err) GS_MUST_CHECK;

/* The reply's one value: exactly one column of a type that is a number, exactly one row, not NULL, NaN or infinite.
 * GS_REJECT names rows and types as they are. */
enum gs_rc fetch_scalar(const struct fetch_reply *r, const struct fetch_number_type *types, struct gs_dec *ret,
                        struct gs_err *err) GS_MUST_CHECK; /* types: ended by {0} */

/* Gives it to every target. */
enum gs_rc fetch_scalar_emit(struct fetch_task *t, struct gs_dec value);

#endif
