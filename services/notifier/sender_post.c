/* One attempt: the signed request, what its answer means, and the record of it. */
#include "services/notifier/sender_private.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/notifier/retry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gs_log_ctx log_ctx = {.topic = "sender"};

#define HEADER_MAX (NOTIFIER_SECRETS_MAX * 64)
#define GONE       410

/* What an attempt came to. */
struct verdict {
    enum notifier_outcome outcome;
    int64_t pause_us;  /* with AGAIN */
    long status;       /* 0: no answer */
    const char *error; /* null when delivered */
};

/* ---- the record ---- */

/* Not when the lease ran out and somebody else has it, or when it was asked for anew. */
static const struct gs_pg_stmt record_stmt = {
    "record", "UPDATE webhook_delivery SET state = $3::text::delivery_state, last_status = $4, last_error = $5,"
              " due_at = CASE WHEN $6::bigint IS NULL THEN due_at ELSE now() + $6 * interval '1 microsecond' END"
              " WHERE id = $1 AND attempts = $2 AND state = 'due'"};

/* With a delivery: only if nothing at all was delivered since that one was made. */
static const struct gs_pg_stmt stop_stmt = {
    "stop",
    "WITH w AS (UPDATE webhook w SET stopped_reason = $2 WHERE w.id = $1 AND w.stopped_reason IS NULL"
    " AND ($3::bigint IS NULL OR NOT EXISTS (SELECT FROM webhook_delivery d JOIN webhook_delivery f ON f.id = $3"
    " WHERE d.webhook_id = $1 AND d.state = 'delivered' AND d.tried_at >= f.created_at))"
    " RETURNING w.org_id, w.public_id)"
    " INSERT INTO audit (org_id, actor, action, target, detail) SELECT org_id, 'service:notifier', 'webhook.stopped',"
    " 'webhook:' || public_id, jsonb_build_object('reason', $2::text) FROM w"};

/* What follows once the record is there; when that is lost the delivery is made again and comes here once more. */
struct after {
    struct notifier_sender *s;
    int64_t id, webhook_id;
    enum notifier_outcome outcome;
};

static void stop_webhook(const struct after *a, const char *reason, bool if_nothing_delivered)
{
    struct gs_pg_params *p = a->s->params;

    gs_pg_params_clear(p);
    gs_pg_add_int8(p, a->webhook_id);
    gs_pg_add_text(p, reason);
    if (if_nothing_delivered)
        gs_pg_add_int8(p, a->id);
    else
        gs_pg_add_null(p);
    gs_pg_query(a->s->spec.durable_pg, &stop_stmt, p, NULL, NULL);
}

/* A record that is lost with its connection is no harm: the lease runs out and the delivery is made again. */
static void on_recorded(void *arg, const struct gs_pg_result *r)
{
    struct after *a = arg;

    if (gs_pg_rc(r) != GS_OK)
        gs_log_warn(&log_ctx, "recording an attempt failed", "error=\"%s\"", gs_pg_result_error(r));
    else if (a->outcome == NOTIFIER_STOPPED)
        stop_webhook(a, "the receiver answered 410 Gone: it wants nothing any more", false);
    else if (a->outcome == NOTIFIER_FAILED)
        stop_webhook(a, "nothing could be delivered for as long as a delivery is tried", true);
    free(a);
}

static void record(struct notifier_delivery *d, const struct verdict *v)
{
    static const char *const states[] = {[NOTIFIER_DELIVERED] = "delivered",
                                         [NOTIFIER_AGAIN] = "due",
                                         [NOTIFIER_FAILED] = "failed",
                                         [NOTIFIER_STOPPED] = "failed"};
    struct gs_pg_params *p = d->s->params;

    gs_pg_params_clear(p);
    gs_pg_add_int8(p, d->id);
    gs_pg_add_int4(p, d->attempt);
    gs_pg_add_text(p, states[v->outcome]);
    if (v->status > 0)
        gs_pg_add_int4(p, (int32_t)v->status);
    else
        gs_pg_add_null(p);
    gs_pg_add_text(p, v->error);
    if (v->outcome == NOTIFIER_AGAIN)
        gs_pg_add_int8(p, v->pause_us);
    else
        gs_pg_add_null(p);
    struct after *after = gs_alloc(sizeof *after);
    *after = (struct after){.s = d->s, .id = d->id, .webhook_id = d->webhook_id, .outcome = v->outcome};
    gs_pg_query(d->s->spec.pg, &record_stmt, p, on_recorded, after);
}

static void end(struct notifier_delivery *d, const struct verdict *v)
{
    notifier_count_delivery(v->outcome, gs_mono_us() - d->begun_us);
    gs_log_debug(&log_ctx, "attempt", "webhook=%" PRId64 " delivery=%s attempt=%" PRId32 " status=%ld", d->webhook_id,
                 d->public_id, d->attempt, v->status);
    record(d, v);
    notifier_sender_ended(d, v->outcome == NOTIFIER_DELIVERED);
}

static void end_failed(struct notifier_delivery *d, long status, const char *error, const char *retry_after)
{
    int64_t pause_us = notifier_retry_pause(d->attempt, notifier_settings.give_up_us);
    struct verdict v = {.outcome = pause_us ? NOTIFIER_AGAIN : NOTIFIER_FAILED, .status = status, .error = error};

    if (pause_us)
        v.pause_us = notifier_retry_asked(retry_after, pause_us);
    end(d, &v);
}

/* ---- the request ---- */

static void on_reply(void *arg, const struct gs_http_reply *r)
{
    struct notifier_delivery *d = arg;
    char error[NOTIFIER_ERROR_MAX];

    if (d->s->stopped) {
        notifier_sender_ended(d, false);
        return;
    }
    if (r->rc != GS_OK) {
        gs_str_clean(error, sizeof error, r->error, strlen(r->error));
        end_failed(d, 0, error, NULL);
        return;
    }
    if (r->status >= 200 && r->status < 300) {
        end(d, &(struct verdict){.outcome = NOTIFIER_DELIVERED, .status = r->status});
        return;
    }
    bool redirect = r->status >= 300 && r->status < 400;
    snprintf(error, sizeof error, "the receiver answered %ld%s", r->status,
             redirect ? "; redirects are not followed" : "");
    if (r->status == GONE)
        end(d, &(struct verdict){.outcome = NOTIFIER_STOPPED, .status = GONE, .error = error});
    else
        end_failed(d, r->status, error, gs_http_reply_header(r, "Retry-After"));
}

static void put_signatures(struct gs_buf *b, const struct notifier_delivery *d, int64_t seconds)
{
    for (size_t i = 0; i < d->n_keys; i++)
        notifier_sign(b, &d->keys[i], d->public_id, seconds, d->body, strlen(d->body));
}

static bool send_signed(struct notifier_delivery *d, struct gs_err *err)
{
    char timestamp[GS_INT_TEXT];
    int64_t seconds = gs_now_us() / 1000000;
    GS_AUTO(gs_buf_done) struct gs_buf signature;

    gs_buf_init(&signature, HEADER_MAX);
    gs_int_format(seconds, timestamp);
    put_signatures(&signature, d, seconds);
    const struct gs_http_header headers[] = {
        {"Content-Type", "application/json"},
        {"webhook-id", d->public_id},
        {"webhook-timestamp", timestamp},
        {"webhook-signature", gs_buf_str(&signature)},
    };
    const struct gs_http_request req = {
        .method = "POST",
        .url = d->url,
        .headers = headers,
        .n_headers = sizeof headers / sizeof *headers,
        .body = d->body,
        .body_len = strlen(d->body),
        .timeout_us = notifier_settings.timeout_us,
        .connect_timeout_us = notifier_settings.timeout_us,
        .max_body = NOTIFIER_ANSWER_MAX,
        .cut_body = true,
        .allow_plain = notifier_settings.allow_plain,
    };
    return gs_http_send(d->s->spec.http, &req, on_reply, d, err) != NULL;
}

void notifier_sender_post(struct notifier_delivery *d)
{
    struct gs_err err;

    d->begun_us = gs_mono_us();
    if (d->error[0])
        end_failed(d, 0, d->error, NULL);
    else if (strlen(d->body) > NOTIFIER_BODY_MAX)
        end_failed(d, 0, "its body is too large to be sent", NULL);
    else if (!send_signed(d, &err))
        end_failed(d, 0, err.text, NULL);
}
