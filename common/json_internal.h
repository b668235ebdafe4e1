/* Between json.c and json_shim.cc; nobody else includes it. */
#ifndef GS_JSON_INTERNAL_H
#define GS_JSON_INTERNAL_H

#include "common/json.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GS_JSON_PADDING  64         /* readable bytes that simdjson wants behind the text */
#define GS_JSON_MAX_SIZE (1u << 30) /* positions are 32 bits wide */
#define GS_JSON_KEEP     (1u << 20) /* larger buffers are not kept for the next document */

enum gs_json_fault {
    GS_JSON_FINE,
    GS_JSON_SYNTAX,
    GS_JSON_BAD_UTF8,
    GS_JSON_UNCLOSED_STRING,
    GS_JSON_CONTROL_CHARACTER,
    GS_JSON_BAD_STRING,
    GS_JSON_BAD_NUMBER,
    GS_JSON_TOO_DEEP,
    GS_JSON_TRAILING,
    GS_JSON_NO_VALUE,
};

/* A value, in the document's order; an object's member is two: its key as a string, then the value. */
struct gs_json_node {
    uint32_t type; /* enum gs_json_type */
    uint32_t at;   /* string: in strings; number: in text; bool: 0 or 1 */
    uint32_t n;    /* string, number: bytes; array, object: elements, members */
    uint32_t end;  /* number of the node behind this value and all that is in it */
};

struct gs_json_shim; /* simdjson's parser */

struct gs_json {
    size_t max_bytes;
    unsigned max_depth;
    struct gs_json_shim *shim;
    char *text; /* '[' document ']' and padding */
    size_t len, text_cap;
    char *strings; /* unescaped, each followed by a zero */
    size_t strings_cap;
    struct gs_json_node *nodes; /* 0 is the outer array, 1 the document */
    uint32_t n_nodes, cap_nodes;
    uint32_t seen_array, seen_index, seen_node; /* the last element looked up: a walk over an array stays linear */
};

uint32_t gs_json_push(struct gs_json *j, enum gs_json_type type, uint32_t at, uint32_t n);

struct gs_json_shim *gs_json_shim_new(void);
struct gs_json_shim *gs_json_shim_free(struct gs_json_shim *s);
/* Fills nodes and strings from text. ret_at: the fault's position in text, as far as known. */
enum gs_json_fault gs_json_shim_walk(struct gs_json *j, size_t *ret_at);

#ifdef __cplusplus
}
#endif

#endif
