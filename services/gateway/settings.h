/* The gateway's settings and the bounds on what comes in. */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include "common/env.h"

struct gw_settings {
    char *listen, *public_url, *cors_origins, *secret, *proxies;
    int64_t workers, queue, connections, connections_per_address;
    int64_t idle_us, request_us, statement_us, later_us, bodies, answers;
    int64_t rate, burst, anonymous_rate, anonymous_burst;
    bool fetch_allow_plain;
};

extern struct gw_settings gw_settings;
extern const struct gs_env gw_env[];

#endif
