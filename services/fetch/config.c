/* The settings of a fetch worker. */
#include "services/fetch/worker.h"

struct fetch_config fetch_config;

const struct gs_env fetch_env[] = {
    {"GOALSYNC_FETCH_WINDOW", GS_ENV_INT, &fetch_config.window, "512", 16, 8192,
     "requests in flight at once, an eighth of them for urgent ones"},
    {"GOALSYNC_FETCH_LANE_SHARE", GS_ENV_INT, &fetch_config.lane_share, "75", 1, 100,
     "percent of them that one connector may have when there are several"},
    {"GOALSYNC_FETCH_DEADLINE", GS_ENV_SECONDS, &fetch_config.deadline_us, "30s", 1, 600, "time for one request"},
    {"GOALSYNC_FETCH_CONNECTIONS", GS_ENV_INT, &fetch_config.connections, "10000", 1, 1000000,
     "connections kept in memory"},
    {"GOALSYNC_FETCH_BODY_MAX", GS_ENV_BYTES, &fetch_config.body_max, "4M", 1024, FETCH_BODY_CEILING,
     "bytes of one reply of a source"},
    {"GOALSYNC_FETCH_EXCHANGES", GS_ENV_INT, &fetch_config.exchanges, "200", 1, FETCH_EXCHANGES_MAX,
     "exchanges with a source for one request, where a connector needs many"},
    {"GOALSYNC_FETCH_BUDGET_ALONE", GS_ENV_INT, &fetch_config.alone_percent, "5", 1, 100,
     "percent of every source's limits that this worker takes while Redis is away: 100 divided by the workers there "
     "are"},
    {"GOALSYNC_FETCH_EXCLUDE", GS_ENV_STRING, &fetch_config.exclude, "", 0, 0,
     "connectors left to workers of their own, with commas between"},
    {"GOALSYNC_FETCH_HOSTS_ALLOWED", GS_ENV_STRING, &fetch_config.hosts_allowed, "", 0, 0,
     "hosts that may be asked, *.example.org for all below; empty: all, and in-boundary those of the connectors"},
    {"GOALSYNC_FETCH_ALLOW_PLAIN", GS_ENV_BOOL, &fetch_config.allow_plain, "no", 0, 0,
     "sources may be asked over http://, without TLS and at private addresses"},
    {"GOALSYNC_FETCH_ALLOW_PRIVATE", GS_ENV_BOOL, &fetch_config.allow_private, "no", 0, 0,
     "sources may have private and loopback addresses"},
    GS_ENV_END,
};
