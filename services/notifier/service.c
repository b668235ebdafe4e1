/* The process: settings, connections, and the way in and out. */
#include "services/notifier/notifier.h"

#include "common/egress.h"
#include "common/http.h"
#include "common/kafka.h"
#include "common/mem.h"
#include "common/pg.h"
#include "common/vault.h"
#include "services/notifier/count.h"
#include "services/notifier/feed.h"
#include "services/notifier/sender.h"
#include "services/notifier/upkeep.h"

#include <stdlib.h>

#define DAY_S 86400

struct notifier_settings notifier_settings;
const struct gs_env notifier_env[] = {
    {"GOALSYNC_NOTIFIER_TIMEOUT", GS_ENV_SECONDS, &notifier_settings.timeout_us, "15s", 1, 60,
     "time that a receiver has for its answer"},
    {"GOALSYNC_NOTIFIER_GIVE_UP", GS_ENV_SECONDS, &notifier_settings.give_up_us, "75h", 1, 30 * DAY_S,
     "time from the first attempt to deliver to the tenth and last"},
    {"GOALSYNC_NOTIFIER_KEEP", GS_ENV_SECONDS, &notifier_settings.keep_us, "720h", 8 * DAY_S, 3650 * DAY_S,
     "time that deliveries stay in the list; longer than Kafka keeps events, so that a replay tells nothing twice"},
    {"GOALSYNC_NOTIFIER_ALLOW_PRIVATE", GS_ENV_BOOL, &notifier_settings.allow_private, "no", 0, 0,
     "webhooks may lead to private addresses"},
    {"GOALSYNC_NOTIFIER_ALLOW_PLAIN", GS_ENV_BOOL, &notifier_settings.allow_plain, "no", 0, 0,
     "webhooks may be http://"},
    GS_ENV_END,
};

struct notifier {
    struct gs_service *svc;
    uv_loop_t *loop;
    struct gs_pg *feed_pg, *sender_pg, *upkeep_pg;
    struct gs_producer *producer; /* of dead letters */
    struct gs_http *http;
    struct gs_keyring *keyring;
    struct notifier_feed *feed;
    struct notifier_sender *sender;
    struct notifier_upkeep *upkeep;
    bool feed_left, sender_empty;
};

/* ---- what the parts tell ---- */

static void on_feed_state(void *arg, bool up)
{
    /* Everything is found by id. Plans for the arrays at hand would be made again and again, and those made while the
     * tables were small would scan them when they are not. */
    static const struct gs_pg_stmt by_index = {NULL, "SET enable_seqscan = off"};
    static const struct gs_pg_stmt plan_once = {NULL, "SET plan_cache_mode = force_generic_plan"};
    struct notifier *n = arg;

    if (up) {
        gs_pg_query(n->feed_pg, &by_index, NULL, NULL, NULL);
        gs_pg_query(n->feed_pg, &plan_once, NULL, NULL, NULL);
    }
    if (n->feed)
        notifier_feed_state(n->feed, up);
}

/* What the gateway makes due at once (a test, a repetition) is told by NOTIFY. Claims and records that the database
 * loses in a crash cost no more than another attempt under the same id. */
static void on_sender_state(void *arg, bool up)
{
    static const struct gs_pg_stmt by_index = {NULL, "SET enable_seqscan = off"};
    static const struct gs_pg_stmt quick = {NULL, "SET synchronous_commit = off"};
    static const struct gs_pg_stmt listen = {NULL, "LISTEN goalsync_webhook"};
    struct notifier *n = arg;

    if (!up)
        return;
    gs_pg_query(n->sender_pg, &by_index, NULL, NULL, NULL);
    gs_pg_query(n->sender_pg, &quick, NULL, NULL, NULL);
    gs_pg_query(n->sender_pg, &listen, NULL, NULL, NULL);
    if (n->sender)
        notifier_sender_kick(n->sender);
}

static void kick_sender(void *arg)
{
    notifier_sender_kick(((struct notifier *)arg)->sender);
}

static void on_notified(void *arg, const char *channel, const char *payload)
{
    (void)channel;
    (void)payload;
    if (((struct notifier *)arg)->sender)
        kick_sender(arg);
}

static void on_failed(void *arg, const struct gs_err *err)
{
    gs_service_fail(((struct notifier *)arg)->svc, err);
}

static void check_drained(struct notifier *n)
{
    if (n->feed_left && n->sender_empty)
        gs_service_drained(n->svc);
}

static void on_feed_drained(void *arg)
{
    struct notifier *n = arg;

    n->feed_left = true;
    check_drained(n);
}

static void on_sender_drained(void *arg)
{
    struct notifier *n = arg;

    n->sender_empty = true;
    check_drained(n);
}

/* ---- in ---- */

static bool connect_all(struct notifier *n, struct gs_err *err)
{
    const struct gs_pg_conf feed = {.application_name = "goalsync-notifier", .state = on_feed_state, .arg = n};
    const struct gs_pg_conf sender = {
        .application_name = "goalsync-notifier sender", .state = on_sender_state, .notified = on_notified, .arg = n};
    const struct gs_pg_conf upkeep = {.application_name = "goalsync-notifier upkeep"};

    n->feed_pg = gs_pg_new(n->loop, &feed, err);
    n->sender_pg = n->feed_pg ? gs_pg_new(n->loop, &sender, err) : NULL;
    n->upkeep_pg = n->sender_pg ? gs_pg_new(n->loop, &upkeep, err) : NULL;
    n->producer = n->upkeep_pg ? gs_producer_new(n->loop, gs_service_instance(n->svc), err) : NULL;
    n->http = n->producer ? gs_http_new(n->loop, err) : NULL;
    if (n->http)
        gs_http_allow_addresses(n->http, gs_egress_allowed, &notifier_settings.allow_private);
    return n->http != NULL;
}

static bool start_parts(struct notifier *n, struct gs_err *err)
{
    const struct notifier_sender_spec sender = {.pg = n->sender_pg,
                                                .durable_pg = n->upkeep_pg,
                                                .http = n->http,
                                                .keyring = n->keyring,
                                                .drained = on_sender_drained,
                                                .arg = n};
    const struct notifier_feed_spec feed = {.client_id = gs_service_instance(n->svc),
                                            .told = kick_sender,
                                            .failed = on_failed,
                                            .drained = on_feed_drained,
                                            .arg = n};

    n->sender = notifier_sender_new(n->loop, &sender);
    n->upkeep = notifier_upkeep_new(n->loop, n->upkeep_pg);
    n->feed = notifier_feed_new(n->loop, n->feed_pg, n->producer, &feed, err);
    return n->feed != NULL;
}

void *notifier_start(struct gs_service *svc, struct gs_err *err)
{
    struct notifier *n = gs_alloc(sizeof *n);

    n->svc = svc;
    n->loop = gs_service_loop(svc);
    notifier_count_init();
    n->keyring = gs_keyring_from_env(GS_THIRD_PARTY, err);
    if (!n->keyring || !connect_all(n, err) || !start_parts(n, err)) {
        notifier_stop(n);
        return NULL;
    }
    return n;
}

void notifier_ready(void *app, struct gs_buf *reasons)
{
    const struct notifier *n = app;

    if (!gs_pg_up(n->feed_pg) || !gs_pg_up(n->sender_pg))
        gs_buf_printf(reasons, "no connection to the database: %s\n",
                      gs_pg_error(gs_pg_up(n->feed_pg) ? n->sender_pg : n->feed_pg));
    notifier_feed_ready(n->feed, reasons);
}

/* ---- out ---- */

void notifier_drain(void *app)
{
    struct notifier *n = app;

    notifier_sender_drain(n->sender);
    notifier_feed_drain(n->feed);
}

/* Stops what calls others, then clients and connections, whose last answers still find everything in place. */
void notifier_stop(void *app)
{
    struct notifier *n = app;

    if (n->feed)
        notifier_feed_stop(n->feed);
    if (n->sender) {
        notifier_sender_stop(n->sender);
        notifier_upkeep_stop(n->upkeep);
    }
    n->http = gs_http_free(n->http);
    n->producer = gs_producer_free(n->producer);
    n->feed_pg = gs_pg_free(n->feed_pg);
    n->sender_pg = gs_pg_free(n->sender_pg);
    n->upkeep_pg = gs_pg_free(n->upkeep_pg);
    n->sender = notifier_sender_free(n->sender);
    n->upkeep = notifier_upkeep_free(n->upkeep);
    if (n->feed)
        notifier_feed_free(n->feed);
    n->keyring = gs_keyring_free(n->keyring);
    free(n);
}
