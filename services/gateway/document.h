/* The API's description as the gateway obeys it: which requests there are, who may send them, and what they hold.
 * Read-only once made, so that every thread may use it. */
#ifndef GATEWAY_DOCUMENT_H
#define GATEWAY_DOCUMENT_H

#include "common/buf.h"
#include "common/metrics.h"
#include "common/rc.h"
#include "services/gateway/call.h"
#include "services/gateway/schema.h"

/* Put together by CMake of openapi/. */
extern const char gw_document_text[];
extern const size_t gw_document_len;

#define GW_PARAMS_MAX   24 /* of an operation */
#define GW_SEGMENTS_MAX 16 /* of a path */
#define GW_METHODS      5

enum gw_access {
    GW_PUBLIC = 1,
    GW_SIGNED_IN = 2,
    GW_ANY_MEMBER = 4,
    GW_ANY_ADMIN = 8,
    GW_ANY_OWNER = 16,
    GW_TENANT_ADMIN = 32,
};

struct gw_param_spec {
    char *name;
    enum gw_param_in { GW_IN_PATH, GW_IN_QUERY, GW_IN_HEADER } in;
    bool required;
    const struct gw_schema *schema;
    char *def; /* its default as text; null: none */
};

struct gw_operation {
    struct gw_operation *next;
    char *id, *path;
    const char *method;
    unsigned access;  /* of enum gw_access */
    char *scope;      /* "" for public ones */
    const char *kind; /* the name of the path's first parameter; null: none */
    bool large;
    bool any_query; /* what it does not name in the query is let pass: another service writes it */
    struct gw_param_spec params[GW_PARAMS_MAX];
    int n_params;
    bool body, body_required;
    const struct gw_schema *body_schema; /* of application/json; null: that is not taken */
    char **media;                        /* what it takes; ended by null */
    char **produces;                     /* what its answers are; ended by null */
    int (*run)(struct gw_call *c);
    struct gs_metric *duration, *answers[6]; /* by status / 100 */
};

struct gw_document;

/* ops: tables ended by null. GS_REJECT: the document breaks its own rules, err says where. */
struct gw_document *gw_document_new(const char *text, size_t len, const struct gw_op *const *ops, struct gs_err *err);
struct gw_document *gw_document_free(struct gw_document *d);

/* Finds who takes a path, as it was sent, without its query. values: the path's parameters, decoded, in order; their
 * memory is buf, of at least len + GW_SEGMENTS_MAX bytes. */
enum gw_route { GW_FOUND, GW_NO_PATH, GW_NO_METHOD, GW_BAD_PATH };
struct gw_match {
    const struct gw_operation *op;
    const struct gw_operation *const *by_method; /* of the path, GW_METHODS of them, null where there is none */
    const char *values[GW_SEGMENTS_MAX];
};
enum gw_route gw_document_route(const struct gw_document *d, const char *method, const char *path, size_t len,
                                char *buf, struct gw_match *ret);
/* The names of the methods, as in gw_match.by_method. */
extern const char *const gw_methods[GW_METHODS];

/* What is served: with the answers that every operation shares. */
const char *gw_document_served(const struct gw_document *d, size_t *ret_len);
/* The first of all operations; the others by next. */
struct gw_operation *gw_document_operations(const struct gw_document *d);

/* Percent-decodes len bytes of a path or query into dst (len + 1 bytes); false: a broken escape, a control character or
 * text that is not UTF-8. plus: "+" is a space. */
bool gw_percent_decode(const char *s, size_t len, bool plus, char *dst, size_t *ret_len);

#endif
