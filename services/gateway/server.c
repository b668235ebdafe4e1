/* The gateway as a whole: what it is made of, in the order in which it needs each other. */
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/pg.h"
#include "services/fetch/hosts.h"
#include "services/gateway/ask.h"
#include "services/gateway/cursor.h"
#include "services/gateway/limit.h"
#include "services/gateway/ops.h"
#include "services/gateway/private.h"
#include "services/gateway/settings.h"
#include "services/gateway/vault.h"

#include <stdlib.h>
#include <string.h>

#define DRAINED_EVERY_US 20000
#define SECRET_MIN       32

static bool check_settings(struct gs_err *err)
{
    if (strlen(gw_settings.secret) >= SECRET_MIN)
        return true;
    gs_fail(err, GS_REJECT, "GOALSYNC_GATEWAY_SECRET has less than %d characters; make one with: openssl rand -hex 32",
            SECRET_MIN);
    return false;
}

static bool start_sign_in(struct gs_err *err)
{
    struct gs_db *db = gs_db_new(gs_pg_url(), "goalsync-gateway", (int)(gw_settings.statement_us / 1000));
    enum gs_rc rc = gw_auth_start(db, err);

    gs_db_free(db);
    return rc == GS_OK;
}

static bool start_parts(struct gw_server *s, struct gs_err *err)
{
    if (!check_settings(err) || fetch_hosts_start(fetch_catalogue(), gw_settings.fetch_allow_plain, err) != GS_OK)
        return false;
    gw_cursor_init(gw_settings.secret);
    gw_limit_start();
    s->document = gw_document_new(gw_document_text, gw_document_len, gw_ops, err);
    if (!s->document || gw_vault_start(err) != GS_OK || !start_sign_in(err))
        return false;
    gw_count_start(s);
    gw_later_start(s);
    s->housekeeping = gw_housekeeping_new(s->loop);
    if (gw_ask_start(s->loop, err) != GS_OK)
        return false;
    s->pool = gw_pool_new(s);
    s->http = gw_http_new(s, err);
    return s->http;
}

void *gw_server_start(struct gs_service *service, struct gs_err *err)
{
    struct gw_server *s = gs_alloc(sizeof(*s));

    s->service = service;
    s->loop = gs_service_loop(service);
    pthread_mutex_init(&s->over_mutex, NULL);
    pthread_cond_init(&s->over, NULL);
    if (!start_parts(s, err)) {
        gw_server_stop(s);
        return NULL;
    }
    gs_log_info(NULL, "listening", "address=%s", gw_http_address(s->http));
    return s;
}

void gw_server_ready(void *server, struct gs_buf *reasons)
{
    (void)server, (void)reasons;
}

/* ---- the end ---- */

static void look_if_drained(void *arg)
{
    struct gw_server *s = arg;

    if (atomic_load(&s->in_flight) == 0)
        gs_service_drained(s->service);
}

void gw_server_drain(void *server)
{
    struct gw_server *s = server;

    atomic_store(&s->draining, true);
    gw_http_drain(s->http);
    gw_ask_drain();
    s->drained = gs_timer_new(s->loop, look_if_drained, s);
    gs_timer_start(s->drained, 0, DRAINED_EVERY_US);
}

/* No connection may sleep when the HTTP server ends; until then requests come in, and find that there is no room. */
void gw_server_stop(void *server)
{
    struct gw_server *s = server;

    s->drained = gs_timer_free(s->drained);
    gw_pool_stop(s->pool);
    gw_auth_stop(); /* those who sign in are answered before the HTTP server goes */
    gw_ask_stop();
    if (s->wake)
        gw_later_stop(s);
    s->http = gw_http_free(s->http);
    s->pool = gw_pool_free(s->pool);
    s->housekeeping = gw_housekeeping_free(s->housekeeping);
    s->document = gw_document_free(s->document);
    gw_vault_stop();
    pthread_cond_destroy(&s->over);
    pthread_mutex_destroy(&s->over_mutex);
    free(s);
}
