/* A statement that stores a thing with a name of its own was refused. */
#ifndef GATEWAY_EXISTS_H
#define GATEWAY_EXISTS_H

#include "common/str.h"
#include "services/gateway/call.h"

/* The status of the failed gw_query(): another thing's name, in a sentence, or whatever else it was. Behind row-level
 * security PostgreSQL itself does not say which columns it was. */
static inline int gw_exists(struct gw_call *c, const char *what)
{
    return gs_str_eq(gs_db_error(gw_db(c))->state, "23505")
               ? gw_fail(c, 409, "exists", "There is a %s of this name already; choose another name", what)
               : gw_status(c);
}

#endif
