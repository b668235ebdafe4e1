/* The part of JSON Schema that the API's description uses: compiled once, then asked of every request. */
#ifndef GATEWAY_SCHEMA_H
#define GATEWAY_SCHEMA_H

#include "common/json.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_schema;
struct gw_schemas; /* all of a document */

struct gw_schemas *gw_schemas_new(struct gs_json *document);
struct gw_schemas *gw_schemas_free(struct gw_schemas *s);
/* Of a schema object of the document; the same for the same place. Null: it uses what is not understood; err says what
 * and where. Lives as long as s. */
const struct gw_schema *gw_schema_compile(struct gw_schemas *s, uint32_t at, struct gs_err *err);

/* Told of each thing that is wrong: an RFC 6901 pointer and a sentence, both gone afterwards. */
typedef void gw_fault_fn(void *arg, const char *pointer, const char *detail);

/* Text of a parameter. */
bool gw_schema_check_text(const struct gw_schema *s, const char *text, gw_fault_fn *fault, void *arg);
/* What no schema allows, because PostgreSQL would read it differently: a member given twice, a zero character. */
bool gw_schema_clean(const struct gs_json *j, gw_fault_fn *fault, void *arg);
/* A body that is clean. */
bool gw_schema_check(const struct gw_schema *s, const struct gs_json *j, gw_fault_fn *fault, void *arg);

#endif
