/* The gateway's settings. */
#include "services/gateway/settings.h"

struct gw_settings gw_settings;

const struct gs_env gw_env[] = {
    {"GOALSYNC_GATEWAY_LISTEN", GS_ENV_STRING, &gw_settings.listen, "127.0.0.1:8080", 0, 0,
     "where the API is served, without TLS: put a proxy with TLS in front; port 0: any free one"},
    {"GOALSYNC_GATEWAY_PUBLIC_URL", GS_ENV_STRING, &gw_settings.public_url, "", 0, 0,
     "as browsers reach the gateway, like https://goals.example.org; https also turns HSTS on"},
    {"GOALSYNC_GATEWAY_SECRET", GS_ENV_SECRET, &gw_settings.secret, GS_ENV_REQUIRED, 0, 0,
     "what cursors and stored answers are sealed with; at least 32 characters, the same for every replica"},
    {"GOALSYNC_GATEWAY_PROXIES", GS_ENV_STRING, &gw_settings.proxies, "", 0, 0,
     "addresses of the proxies in front, with commas between; their X-Forwarded-For is believed"},
    {"GOALSYNC_GATEWAY_CORS_ORIGINS", GS_ENV_STRING, &gw_settings.cors_origins, "", 0, 0,
     "origins whose pages may call the API with a token, with commas between; empty: none"},
    {"GOALSYNC_GATEWAY_WORKERS", GS_ENV_INT, &gw_settings.workers, "8", 1, 256,
     "threads that run requests, each with a connection to PostgreSQL"},
    {"GOALSYNC_GATEWAY_QUEUE", GS_ENV_INT, &gw_settings.queue, "256", 1, 65536,
     "requests that wait for a worker; more are answered with 503"},
    {"GOALSYNC_GATEWAY_CONNECTIONS", GS_ENV_INT, &gw_settings.connections, "4096", 1, 65536,
     "client connections at a time"},
    {"GOALSYNC_GATEWAY_CONNECTIONS_PER_ADDRESS", GS_ENV_INT, &gw_settings.connections_per_address, "0", 0, 65536,
     "client connections at a time from one address; 0: no limit, as behind a proxy"},
    {"GOALSYNC_GATEWAY_IDLE", GS_ENV_SECONDS, &gw_settings.idle_us, "30", 1, 3600,
     "how long a connection may be silent: between requests, or while one is sent"},
    {"GOALSYNC_GATEWAY_STATEMENT", GS_ENV_SECONDS, &gw_settings.statement_us, "10", 1, 600,
     "how long one statement of a request may take"},
    {"GOALSYNC_GATEWAY_LATER", GS_ENV_SECONDS, &gw_settings.later_us, "60", 0, 600,
     "how long a request may wait for somebody else, as a preview does for a worker"},
    {"GOALSYNC_GATEWAY_RATE", GS_ENV_INT, &gw_settings.rate, "100", 1, 1000000,
     "requests a second of one caller (a token or session) over time"},
    {"GOALSYNC_GATEWAY_BURST", GS_ENV_INT, &gw_settings.burst, "1000", 1, 1000000, "requests of one caller at once"},
    {"GOALSYNC_GATEWAY_ANONYMOUS_RATE", GS_ENV_INT, &gw_settings.anonymous_rate, "20", 1, 1000000,
     "requests a second of one address without a valid token or session over time"},
    {"GOALSYNC_GATEWAY_ANONYMOUS_BURST", GS_ENV_INT, &gw_settings.anonymous_burst, "200", 1, 1000000,
     "requests of one address without a valid token or session at once"},
    GS_ENV_END,
};
