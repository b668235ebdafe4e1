/* Webhooks: made, changed, their secrets, and what was sent to them. The notifier sends. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/vault.h"
#include "services/gateway/webhook.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEBHOOKS_MAX  50 /* of an organisation */
#define SECRETS_MAX   3  /* that sign at the same time, the new one included */
#define OVERLAP_HOURS 24
#define SECRET_BYTES  32
#define SECRET_PREFIX "whsec_"
#define SECRET_TEXT   (sizeof(SECRET_PREFIX) + 4 * ((SECRET_BYTES + 2) / 3))

#define WEBHOOK_JSON                                                                                                   \
    "json_build_object('id', w.public_id, 'url', w.url, 'events', w.events, 'description', w.description, "            \
    "'enabled', w.enabled, 'stopped_reason', w.stopped_reason, 'secrets', (SELECT coalesce(json_agg("                  \
    "json_build_object('created_at', api_time(s.created_at), 'expires_at', api_time(s.expires_at)) "                   \
    "ORDER BY s.expires_at DESC NULLS FIRST, s.id DESC), '[]') FROM webhook_secret s WHERE s.webhook_id = w.id "       \
    "AND (s.expires_at IS NULL OR s.expires_at > now())), "                                                            \
    "'created_by_id', (SELECT p.public_id FROM person p WHERE p.id = w.created_by), "                                  \
    "'created_at', api_time(w.created_at), 'revision', w.revision)"
#define DELIVERY_JSON                                                                                                  \
    "json_build_object('id', d.public_id, 'event', d.event, 'state', d.state, 'attempts', d.attempts, "                \
    "'tried_at', api_time(d.tried_at), 'next_attempt_at', CASE d.state WHEN 'due' THEN api_time(d.due_at) END, "       \
    "'last_status', d.last_status, 'last_error', d.last_error, 'created_at', api_time(d.created_at), "                 \
    "'payload', d.payload)"

static const char one_sql[] = "SELECT " WEBHOOK_JSON " AS json, w.revision, '/api/v1/webhooks/' || w.public_id AS "
                              "location FROM webhook w WHERE w.id = $1";

/* ---- secrets ---- */

static bool new_secret(char ret[SECRET_TEXT])
{
    unsigned char bytes[SECRET_BYTES];
    bool ok = RAND_bytes(bytes, SECRET_BYTES) == 1;

    memcpy(ret, SECRET_PREFIX, sizeof(SECRET_PREFIX));
    gs_base64_encode(bytes, SECRET_BYTES, ret + sizeof(SECRET_PREFIX) - 1);
    gs_wipe(bytes, sizeof(bytes));
    return ok;
}

/* Makes one, and stores it sealed. 0, or a status. */
static int add_secret(struct gw_call *c, const char *webhook, char ret[SECRET_TEXT])
{
    static const char sql[] = "INSERT INTO webhook_secret (webhook_id, org_id, data_key_id, sealed) "
                              "VALUES ($1, calling('org'), $2, $3::bytea)";
    struct gw_sealed sealed = {.bytes = NULL};
    char place[GW_ID_TEXT + sizeof("webhook:")];
    int status;

    if (!new_secret(ret))
        return gw_fail(c, 503, "random", "The system has no random bytes now; try again");
    snprintf(place, sizeof(place), "webhook:%s", webhook);
    /* What is told to webhooks leaves the company: the third parties' keys. */
    status = gw_vault_seal(c, GS_THIRD_PARTY, place, ret, strlen(ret), &sealed);
    if (!status && !gw_exec(c, sql, GS_WITH(webhook, sealed.data_key_id, sealed.bytes)))
        status = gw_status(c);
    free(sealed.bytes);
    return status;
}

/* ---- webhooks ---- */

static int webhook_list(struct gw_call *c)
{
    static const char sql[] = "SELECT " WEBHOOK_JSON ", w.id FROM webhook w WHERE w.org_id = calling('org') "
                              "AND ($1::bigint IS NULL OR w.id < $1::bigint) ORDER BY w.id DESC LIMIT $2";

    return gw_answer_page(c, gw_query(c, sql, GS_WITH(gw_page_cursor(c), gw_page_rows(c))));
}

static int show(struct gw_call *c, const char *webhook)
{
    PGresult *r = gw_query(c, one_sql, GS_WITH(webhook));

    if (r && PQntuples(r))
        gw_etag(c, gs_db_get(r, 0, "revision"));
    return gw_answer(c, 200, r);
}

static int webhook_get(struct gw_call *c)
{
    return show(c, gw_item(c));
}

/* The URL stays out of it: people put tokens into paths. */
static bool audit(struct gw_call *c, const char *webhook, const char *action)
{
    static const char sql[] =
        "SELECT w.public_id, jsonb_build_object('events', w.events, 'enabled', w.enabled, 'host', "
        "substring(w.url FROM '^[a-z]+://([^/?#]*)')) AS detail FROM webhook w WHERE w.id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(webhook));

    return r && gw_audit(c, action, "webhook", gs_db_get(r, 0, "public_id"), gs_db_get(r, 0, "detail"));
}

static int check_url(struct gw_call *c)
{
    const char *url = gw_text(c, "/url");
    struct gs_err err;

    if (!url || gw_webhook_url_check(url, &gw_webhook_rules, &err) == GS_OK)
        return 0;
    return gw_invalid(c, "/url", "%s", err.text);
}

/* Two at once take turns, so that both are counted. */
static int check_room(struct gw_call *c)
{
    static const char sql[] = "SELECT count(*) AS n FROM webhook WHERE org_id = calling('org')";

    if (!gw_exec(c, "SELECT FROM organisation WHERE id = calling('org') FOR NO KEY UPDATE", GS_NO_PARAMS))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_NO_PARAMS);
    if (!r)
        return gw_status(c);
    if (gs_db_get_int(r, 0, "n") >= WEBHOOKS_MAX)
        return gw_fail(c, 409, "too-many", "There are %d webhooks in this organisation already; delete one",
                       WEBHOOKS_MAX);
    return 0;
}

static int answer_made(struct gw_call *c, const char *webhook, const char *secret)
{
    char etag[GW_ID_TEXT + 2];
    GS_AUTO_RESULT r = gw_query(c, one_sql, GS_WITH(webhook));

    if (!r)
        return gw_status(c);
    snprintf(etag, sizeof(etag), "\"%s\"", gs_db_get(r, 0, "revision"));
    gw_header_set(c, "ETag", etag);
    gw_header_set(c, "Location", gs_db_get(r, 0, "location"));
    gw_header_set(c, "Cache-Control", "no-store");
    struct gs_buf *b = gw_out(c);
    gs_buf_clear(b);
    gs_buf_printf(b, "{\"secret\":\"%s\",%s", secret, gs_db_get(r, 0, "json") + 1);
    return gw_answer_out(c, 201);
}

static int make(struct gw_call *c, char secret[SECRET_TEXT])
{
    static const char sql[] =
        "INSERT INTO webhook (org_id, url, events, description, created_by) SELECT calling('org'), b->>'url', "
        "ARRAY(SELECT jsonb_array_elements_text(b->'events')), coalesce(b->>'description', ''), calling('person') "
        "FROM (SELECT $1::jsonb AS b) x RETURNING id";
    char webhook[GW_ID_TEXT];
    size_t len;

    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_body_text(c, &len)));
    if (!r)
        return gw_status(c);
    snprintf(webhook, sizeof(webhook), "%s", gs_db_get(r, 0, "id"));
    int status = add_secret(c, webhook, secret);
    if (status)
        return status;
    return audit(c, webhook, "webhook.created") ? answer_made(c, webhook, secret) : gw_status(c);
}

static int webhook_create(struct gw_call *c)
{
    char secret[SECRET_TEXT];
    int status = check_url(c);

    if (!status)
        status = check_room(c);
    if (!status)
        status = make(c, secret);
    gs_wipe(secret, sizeof(secret));
    return status;
}

/* Locks the webhook. 0, or a status. */
static int open_webhook(struct gw_call *c)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT revision FROM webhook WHERE id = $1 FOR UPDATE", GS_WITH(gw_item(c)));

    if (!r)
        return gw_status(c);
    return PQntuples(r) ? gw_match(c, gs_db_get(r, 0, "revision")) : gw_not_found(c, "webhook");
}

static int webhook_edit(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE webhook w SET url = coalesce(b->>'url', w.url), events = CASE WHEN jsonb_typeof(b->'events') = 'array' "
        "THEN ARRAY(SELECT jsonb_array_elements_text(b->'events')) ELSE w.events END, "
        "description = coalesce(b->>'description', w.description), "
        "enabled = coalesce((b->>'enabled')::boolean, w.enabled), "
        "stopped_reason = CASE WHEN (b->>'enabled')::boolean THEN NULL ELSE w.stopped_reason END "
        "FROM (SELECT $2::jsonb AS b) x WHERE w.id = $1";
    size_t len;
    int status = check_url(c);

    if (!status)
        status = open_webhook(c);
    if (status)
        return status;
    if (!gw_exec(c, sql, GS_WITH(gw_item(c), gw_body_text(c, &len))) || !audit(c, gw_item(c), "webhook.edited"))
        return gw_status(c);
    return show(c, gw_item(c));
}

static int webhook_delete(struct gw_call *c)
{
    int status = open_webhook(c);

    if (status)
        return status;
    if (!audit(c, gw_item(c), "webhook.deleted") ||
        !gw_exec(c, "DELETE FROM webhook WHERE id = $1", GS_WITH(gw_item(c))))
        return gw_status(c);
    return gw_no_content(c);
}

/* ---- a new secret ---- */

/* The old ones sign on until the overlap ends; those that were to end sooner still do. */
static int age_secrets(struct gw_call *c, const char *hours)
{
    static const char old_sql[] = "SELECT count(*) AS n FROM webhook_secret WHERE webhook_id = $1 "
                                  "AND (expires_at IS NULL OR expires_at > now())";
    static const char age_sql[] =
        "UPDATE webhook_secret SET expires_at = now() + make_interval(hours => $2::int) "
        "WHERE webhook_id = $1 AND (expires_at IS NULL OR $2::int = 0 AND expires_at > now())";

    GS_AUTO_RESULT r = gw_query(c, old_sql, GS_WITH(gw_item(c)));
    if (!r)
        return gw_status(c);
    if (gs_db_get_int(r, 0, "n") >= SECRETS_MAX && !gs_str_eq(hours, "0"))
        return gw_fail(c, 409, "too-many",
                       "%d secrets of this webhook sign already; wait until one has expired, or end all of them at "
                       "once with overlap_hours 0",
                       SECRETS_MAX);
    return gw_exec(c, age_sql, GS_WITH(gw_item(c), hours)) ? 0 : gw_status(c);
}

static int answer_secret(struct gw_call *c, const char *hours, const char *secret)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT api_time(now() + make_interval(hours => $1::int)) AS at", GS_WITH(hours));

    if (!r)
        return gw_status(c);
    struct gs_buf *b = gw_out(c);
    gs_buf_clear(b);
    gs_buf_printf(b, "{\"secret\":\"%s\",\"old_expires_at\":\"%s\"}", secret, gs_db_get(r, 0, "at"));
    gw_header_set(c, "Cache-Control", "no-store");
    return gw_answer_out(c, 201);
}

static int rotate(struct gw_call *c, char secret[SECRET_TEXT])
{
    char hours[GS_INT_TEXT];
    int64_t n = OVERLAP_HOURS;
    int status = open_webhook(c);

    if (gw_body(c))
        (void)gs_json_int(gw_body(c), "/overlap_hours", &n);
    gs_int_format(n, hours);
    if (!status)
        status = age_secrets(c, hours);
    if (!status)
        status = add_secret(c, gw_item(c), secret);
    if (status)
        return status;
    return audit(c, gw_item(c), "webhook.secret_rotated") ? answer_secret(c, hours, secret) : gw_status(c);
}

static int webhook_secret_rotate(struct gw_call *c)
{
    char secret[SECRET_TEXT];
    int status = rotate(c, secret);

    gs_wipe(secret, sizeof(secret));
    return status;
}

/* ---- deliveries ---- */

static int delivery_list(struct gw_call *c)
{
    static const char sql[] = "SELECT " DELIVERY_JSON ", d.id FROM webhook_delivery d WHERE d.webhook_id = $1 "
                              "AND ($2::delivery_state IS NULL OR d.state = $2) AND ($3::text IS NULL OR d.event = $3) "
                              "AND ($4::bigint IS NULL OR d.id < $4::bigint) ORDER BY d.id DESC LIMIT $5";

    return gw_answer_page(c, gw_query(c, sql,
                                      GS_WITH(gw_item(c), gw_param(c, "state"), gw_param(c, "event"), gw_page_cursor(c),
                                              gw_page_rows(c))));
}

/* One that is off or stopped is sent nothing: better said now. */
static int need_running(struct gw_call *c)
{
    GS_AUTO_RESULT r = gw_query(
        c, "SELECT w.enabled AND w.stopped_reason IS NULL AS runs FROM webhook w WHERE w.id = $1", GS_WITH(gw_item(c)));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "webhook");
    if (!gs_db_get_bool(r, 0, "runs"))
        return gw_fail(c, 409, "stopped", "This webhook is switched off or has stopped; switch it on first");
    return 0;
}

/* Tells the notifier, so that it does not find it only at its next look. */
static int answer_due(struct gw_call *c, PGresult *delivery)
{
    if (delivery && PQntuples(delivery) && !gw_exec(c, "SELECT pg_notify('goalsync_webhook', '')", GS_NO_PARAMS)) {
        PQclear(delivery);
        return gw_status(c);
    }
    return gw_answer(c, 202, delivery);
}

static int webhook_ping(struct gw_call *c)
{
    static const char sql[] =
        "INSERT INTO webhook_delivery AS d (org_id, webhook_id, event_id, event, payload) SELECT w.org_id, w.id, "
        "'ping:' || gen_random_uuid(), 'webhook.ping', webhook_payload('webhook.ping', now(), o.public_id, "
        "jsonb_build_object('webhook_id', w.public_id)) FROM webhook w JOIN organisation o ON o.id = w.org_id "
        "WHERE w.id = $1 RETURNING " DELIVERY_JSON;
    int status = need_running(c);

    return status ? status : answer_due(c, gw_query(c, sql, GS_WITH(gw_item(c))));
}

static int delivery_redeliver(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE webhook_delivery d SET state = 'due', due_at = now(), attempts = 0 WHERE d.webhook_id = $1 "
        "AND d.public_id = $2 RETURNING " DELIVERY_JSON;
    int status = need_running(c);

    return status ? status : answer_due(c, gw_query(c, sql, GS_WITH(gw_item(c), gw_param(c, "delivery"))));
}

const struct gw_op gw_ops_webhook[] = {
    {"webhook_list", webhook_list},
    {"webhook_create", webhook_create},
    {"webhook_get", webhook_get},
    {"webhook_edit", webhook_edit},
    {"webhook_delete", webhook_delete},
    {"webhook_secret_rotate", webhook_secret_rotate},
    {"webhook_ping", webhook_ping},
    {"delivery_list", delivery_list},
    {"delivery_redeliver", delivery_redeliver},
    {0},
};
