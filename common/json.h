/* Reading JSON: a C face of simdjson (json_shim.cc). Nothing here writes JSON; see gs_buf_put_json(). */
#ifndef GS_JSON_H
#define GS_JSON_H

#include "common/decimal.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gs_json; /* a parser with one parsed document; reusable */

enum gs_json_type {
    GS_JSON_MISSING,
    GS_JSON_NULL,
    GS_JSON_BOOL,
    GS_JSON_NUMBER,
    GS_JSON_STRING,
    GS_JSON_ARRAY,
    GS_JSON_OBJECT
};

struct gs_json *gs_json_new(size_t max_bytes, unsigned max_depth);
struct gs_json *gs_json_free(struct gs_json *j); /* returns null */
/* Parses a copy of text; the document before is gone. GS_REJECT says what is wrong and where ("byte 17"), and names
 * HTML when that is what it got. Duplicate keys: the first wins. */
enum gs_rc gs_json_parse(struct gs_json *j, const char *text, size_t len, struct gs_err *err) GS_MUST_CHECK;

/* Values are addressed by RFC 6901 pointers: "" is the root, "/items/0/name". Results are borrowed until the next
 * parse. A getter returns false when the value is missing or of another type; nothing is converted. */
enum gs_json_type gs_json_type(struct gs_json *j, const char *pointer);
bool gs_json_string(struct gs_json *j, const char *pointer, const char **ret,
                    size_t *ret_len); /* zero-terminated too */
bool gs_json_int(struct gs_json *j, const char *pointer, int64_t *ret);
bool gs_json_bool(struct gs_json *j, const char *pointer, bool *ret);
/* The number's own digits, exact: 0.1 stays 0.1. GS_REJECT names what stands there instead. */
enum gs_rc gs_json_decimal(struct gs_json *j, const char *pointer, struct gs_dec *ret,
                           struct gs_err *err) GS_MUST_CHECK;
/* Number of array elements or object members; -1 when it is neither. */
int64_t gs_json_count(struct gs_json *j, const char *pointer);
/* Calls fn for each member of an object whose values are strings; stops and returns GS_REJECT at anything else. */
enum gs_rc gs_json_each_string(struct gs_json *j, const char *pointer,
                               void (*fn)(void *arg, const char *key, const char *value), void *arg,
                               struct gs_err *err) GS_MUST_CHECK;

#endif
