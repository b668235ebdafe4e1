/* Cross-origin resource sharing. */
#include "services/gateway/cors.h"

#include "services/gateway/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_allowed(const char *origin)
{
    const char *list = gw_settings.cors_origins;
    size_t len = strlen(origin);

    while (*list) {
        size_t n;
        list += strspn(list, ", ");
        n = strcspn(list, ", ");
        if (n > 0 && n == len && memcmp(list, origin, n) == 0)
            return true;
        list += n;
    }
    return false;
}

void gw_cors_add(struct MHD_Response *r, const char *origin, const char *allow)
{
    if (!*gw_settings.cors_origins)
        return;
    MHD_add_response_header(r, "Vary", "Origin");
    if (!origin || !is_allowed(origin))
        return;
    MHD_add_response_header(r, "Access-Control-Allow-Origin", origin);
    MHD_add_response_header(r, "Access-Control-Expose-Headers",
                            "ETag, Location, X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, "
                            "Idempotent-Replayed, Content-Disposition");
    if (!allow)
        return;
    MHD_add_response_header(r, "Access-Control-Allow-Methods", allow);
    MHD_add_response_header(r, "Access-Control-Allow-Headers",
                            "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-Id, "
                            "traceparent");
    MHD_add_response_header(r, "Access-Control-Max-Age", "600");
}
