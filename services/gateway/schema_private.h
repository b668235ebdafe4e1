/* Between schema.c and schema_check.c. */
#ifndef GATEWAY_SCHEMA_PRIVATE_H
#define GATEWAY_SCHEMA_PRIVATE_H

#include "common/auto.h"
#include "common/decimal.h"
#include "services/gateway/schema.h"

#include <regex.h>

#define GW_MEMBERS_MAX 64 /* that a schema names: a bit each while an object is checked */

enum gw_type_bit {
    GW_T_NULL = 1,
    GW_T_BOOL = 2,
    GW_T_INTEGER = 4,
    GW_T_NUMBER = 8,
    GW_T_STRING = 16,
    GW_T_ARRAY = 32,
    GW_T_OBJECT = 64,
};

enum gw_format {
    GW_NO_FORMAT,
    GW_F_UUID,
    GW_F_DATE,
    GW_F_DATE_TIME,
    GW_F_DECIMAL,
    GW_F_EMAIL,
    GW_F_URI,
    GW_F_INT32,
    GW_F_INT64,
    GW_F_PASSWORD, /* a hint for programs that show it */
    GW_F_BINARY,   /* the same */
    GW_FORMATS,
};
extern const char *const gw_format_names[GW_FORMATS];

enum gw_combination { GW_ALL_OF, GW_ANY_OF, GW_ONE_OF, GW_COMBINATIONS };

struct gw_member {
    char *name;
    size_t len;
    const struct gw_schema *schema; /* null: anything */
    bool required;
};

struct gw_bound {
    bool set, exclusive;
    struct gs_dec value;
};

struct gw_parts {
    const struct gw_schema **list;
    size_t n;
};

struct gw_schema {
    struct gw_schema *next;
    const struct gs_json *document;
    uint32_t at;
    unsigned types; /* of enum gw_type_bit; 0: any */
    struct gw_member *members;
    size_t n_members;
    bool closed; /* no members but those named */
    const struct gw_schema *additional, *items, *ref;
    int64_t min_length, max_length, min_items, max_items, min_members, max_members;
    bool unique;
    struct gw_bound minimum, maximum;
    uint32_t enum_at, const_at; /* in the document */
    enum gw_format format;
    regex_t *pattern;
    char *pattern_text;
    struct gw_parts parts[GW_COMBINATIONS];
};

#endif
