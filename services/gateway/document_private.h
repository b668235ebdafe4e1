/* Between document.c, router.c and served.c. */
#ifndef GATEWAY_DOCUMENT_PRIVATE_H
#define GATEWAY_DOCUMENT_PRIVATE_H

#include "common/json.h"
#include "services/gateway/document.h"

/* A place in paths: what may follow it. */
struct gw_node {
    struct gw_node *sibling, *children;
    char *segment; /* null: any, a parameter */
    const struct gw_operation *by_method[GW_METHODS];
    bool is_path; /* some method ends here */
};

struct gw_document {
    struct gs_json *json;
    struct gw_schemas *schemas;
    struct gw_operation *first;
    struct gw_node root;
    struct gs_buf served;
};

bool gw_routes_add(struct gw_document *d, const struct gw_operation *op, size_t method, struct gs_err *err);
void gw_routes_free(struct gw_document *d);
void gw_document_write_served(struct gw_document *d);

#endif
