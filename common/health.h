/* The HTTP server for probes and metrics: GET and HEAD of /healthz, /readyz and /metrics, on the loop, without a
 * thread. */
#ifndef GS_HEALTH_H
#define GS_HEALTH_H

#include "common/buf.h"
#include "common/rc.h"

#include <uv.h>

struct gs_health;

/* address: "127.0.0.1:9464", "[::1]:9464"; port 0 takes a free one. ready() appends a line for each reason not to be
 * ready. GS_REJECT: not an address, or not one that can be listened at. */
struct gs_health *gs_health_new(uv_loop_t *loop, const char *address, void (*ready)(void *arg, struct gs_buf *reasons),
                                void *arg, struct gs_err *err);
struct gs_health *gs_health_free(struct gs_health *h);
/* Where it listens, with the port taken. */
const char *gs_health_address(const struct gs_health *h);

#endif
