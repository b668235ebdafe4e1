/* Pages of other origins: none may call the API but those of GOALSYNC_GATEWAY_CORS_ORIGINS, with tokens; cookies are
 * never taken from them. */
#ifndef GATEWAY_CORS_H
#define GATEWAY_CORS_H

#include <microhttpd.h>

/* Adds the answer's headers for the page that asks; nothing for one that may not. preflight: of OPTIONS; allow: its
 * methods. */
void gw_cors_add(struct MHD_Response *r, const char *origin, const char *allow);

#endif
