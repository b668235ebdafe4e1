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

/* Walking without pointers: a value is known by a number until the next parse; GS_JSON_NONE is none.
 *     for (uint32_t at = gs_json_first(j, list); at != GS_JSON_NONE; at = gs_json_next(j, list, at)) */
#define GS_JSON_NONE 0u
uint32_t gs_json_root(const struct gs_json *j);
uint32_t gs_json_at(struct gs_json *j, const char *pointer);
uint32_t gs_json_member(const struct gs_json *j, uint32_t object, const char *key); /* none also when it is no object */
uint32_t gs_json_first(const struct gs_json *j, uint32_t parent);                   /* element, or member's value */
uint32_t gs_json_next(const struct gs_json *j, uint32_t parent, uint32_t at);
const char *gs_json_key(const struct gs_json *j, uint32_t at, size_t *ret_len); /* of a value in an object */
enum gs_json_type gs_json_at_type(const struct gs_json *j, uint32_t at);
uint32_t gs_json_at_count(const struct gs_json *j, uint32_t at); /* of an array or object */
bool gs_json_at_bool(const struct gs_json *j, uint32_t at);      /* is it true? */
/* A string's characters (zero-terminated too, but may hold zeros), or a number's own digits (not terminated). */
const char *gs_json_at_text(const struct gs_json *j, uint32_t at, size_t *ret_len);

#endif
