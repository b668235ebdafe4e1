/* Takes away what has served its time: kept answers, sessions, sign-ins under way. On a thread of libuv's, so that the
 * loop does not wait. Several replicas may do it at once: each takes what the others have not. */
#include "common/db.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/pg.h"
#include "services/gateway/private.h"

#include <stdlib.h>

#define FIRST_US     10000000
#define EVERY_US     300000000
#define STATEMENT_MS 10000

struct gw_housekeeping {
    uv_loop_t *loop;
    struct gs_timer *timer;
    uv_work_t work;
    bool working, freed;
    struct gs_db *db;
};

/* Bounded, so that no statement holds many locks for long; what is left goes the next time. Runs on: a thread of
 * libuv's pool. */
static void tidy(uv_work_t *work)
{
    static const char *const statements[] = {
        "DELETE FROM idempotency WHERE (caller, key) IN (SELECT caller, key FROM idempotency WHERE created_at < now() "
        "- "
        "interval '1 day' LIMIT 10000 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM session WHERE id_hash IN (SELECT id_hash FROM session WHERE expires_at < now() LIMIT 10000 "
        "FOR UPDATE SKIP LOCKED)",
        "DELETE FROM sign_in WHERE state_hash IN (SELECT state_hash FROM sign_in WHERE expires_at < now() LIMIT 10000 "
        "FOR UPDATE SKIP LOCKED)",
    };
    struct gw_housekeeping *h = work->data;

    for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
        if (!gs_db_exec(h->db, statements[i], GS_NO_PARAMS))
            gs_log_warn(NULL, "housekeeping failed", "error=\"%s\"", gs_db_error(h->db)->text);
}

static void destroy(struct gw_housekeeping *h)
{
    gs_db_free(h->db);
    free(h);
}

static void on_tidied(uv_work_t *work, int status)
{
    struct gw_housekeeping *h = work->data;

    (void)status;
    h->working = false;
    if (h->freed)
        destroy(h);
}

static void on_time(void *arg)
{
    struct gw_housekeeping *h = arg;

    if (!h->working)
        h->working = uv_queue_work(h->loop, &h->work, tidy, on_tidied) == 0;
}

struct gw_housekeeping *gw_housekeeping_new(uv_loop_t *loop)
{
    struct gw_housekeeping *h = gs_alloc(sizeof(*h));

    h->loop = loop;
    h->db = gs_db_new(gs_pg_url(), "goalsync-gateway housekeeping", STATEMENT_MS);
    h->work.data = h;
    h->timer = gs_timer_new(loop, on_time, h);
    gs_timer_start(h->timer, FIRST_US, EVERY_US);
    return h;
}

struct gw_housekeeping *gw_housekeeping_free(struct gw_housekeeping *h)
{
    if (!h)
        return NULL;
    h->timer = gs_timer_free(h->timer);
    h->freed = true;
    if (!h->working)
        destroy(h);
    else
        uv_cancel((uv_req_t *)&h->work); /* or it ends by itself */
    return NULL;
}
