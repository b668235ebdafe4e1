/* Takes due deliveries from the database, with what signs them. */
#include "services/notifier/sender_private.h"

#include "common/log.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_EXTRA_US INT64_C(15000000) /* for the answer of a full database, and clocks that drift */

static const struct gs_log_ctx log_ctx = {.topic = "sender"};

/* `pending` steps through the index from webhook to webhook, so that thousands of deliveries of one cost no more than
 * one. `locked` asks for the conditions again, for another notifier may have been faster. */
static const struct gs_pg_stmt claim_stmt = {
    "claim",
    "WITH RECURSIVE pending(webhook_id) AS ("
    "(SELECT d.webhook_id FROM webhook_delivery d WHERE d.state = 'due' ORDER BY d.webhook_id LIMIT 1)"
    " UNION ALL SELECT (SELECT d.webhook_id FROM webhook_delivery d WHERE d.state = 'due'"
    " AND d.webhook_id > p.webhook_id ORDER BY d.webhook_id LIMIT 1) FROM pending p WHERE p.webhook_id IS NOT NULL),"
    " ready AS (SELECT r.id FROM pending p JOIN webhook w ON w.id = p.webhook_id AND w.enabled AND w.stopped_reason IS "
    "NULL"
    " LEFT JOIN unnest($1::bigint[], $2::int[]) AS b(id, room) ON b.id = p.webhook_id"
    " CROSS JOIN LATERAL (SELECT x.id, x.due_at, row_number() OVER (ORDER BY x.due_at) AS n FROM"
    " (SELECT d.id, d.due_at FROM webhook_delivery d WHERE d.webhook_id = p.webhook_id AND d.state = 'due'"
    " AND d.due_at <= now() ORDER BY d.due_at LIMIT 16) x) r"
    " WHERE r.n <= coalesce(b.room, 1) ORDER BY r.due_at LIMIT $3),"
    " locked AS (SELECT d.id FROM webhook_delivery d WHERE d.id = ANY (ARRAY(SELECT id FROM ready)) AND d.state = 'due'"
    " AND d.due_at <= now() FOR UPDATE SKIP LOCKED),"
    " claimed AS (UPDATE webhook_delivery d SET attempts = d.attempts + 1, tried_at = now(),"
    " due_at = now() + $4::bigint * interval '1 microsecond' FROM locked WHERE d.id = locked.id"
    " RETURNING d.id, d.webhook_id, d.public_id, d.attempts, d.payload)"
    " SELECT c.id, c.webhook_id, c.public_id::text, c.attempts, c.payload::text, w.url, s.sealed, k.id, k.sealed"
    " FROM claimed c JOIN webhook w ON w.id = c.webhook_id"
    " LEFT JOIN webhook_secret s ON s.webhook_id = w.id AND (s.expires_at IS NULL OR s.expires_at > now())"
    " LEFT JOIN data_key k ON k.id = s.data_key_id ORDER BY c.id, s.expires_at DESC NULLS FIRST, s.id DESC"};
_Static_assert(NOTIFIER_WINDOW_MAX == 16, "the statement says so too");
enum { ID, WEBHOOK, PUBLIC_ID, ATTEMPTS, PAYLOAD, URL, SECRET, KEY_ID, KEY };

void notifier_sender_claim(struct notifier_sender *s, gs_pg_fn fn)
{
    struct gs_pg_params *p = s->params;

    notifier_windows_ask(s->windows);
    gs_pg_params_clear(p);
    gs_pg_array_begin(p, GS_PG_INT8);
    for (size_t i = 0; i < notifier_windows_count(s->windows); i++)
        gs_pg_item_int8(p, notifier_windows_at(s->windows, i)->webhook_id);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_INT4);
    for (size_t i = 0; i < notifier_windows_count(s->windows); i++)
        gs_pg_item_int4(p, notifier_window_room(notifier_windows_at(s->windows, i)));
    gs_pg_array_end(p);
    gs_pg_add_int8(p, (int64_t)(NOTIFIER_IN_FLIGHT - s->in_flight));
    gs_pg_add_int8(p, notifier_settings.timeout_us + LEASE_EXTRA_US);
    gs_pg_query(s->spec.pg, &claim_stmt, p, fn, s);
}

/* ---- reading ---- */

static enum gs_rc open_data_key(const struct gs_keyring *ring, const struct gs_pg_result *r, int row,
                                struct gs_data_key *ret, struct gs_err *err)
{
    char name[GS_KEY_ID_MAX + 1];
    size_t len;
    const void *sealed = gs_pg_get_bytes(r, row, KEY, &len);

    snprintf(name, sizeof name, "dk%" PRId64, gs_pg_get_int8(r, row, KEY_ID));
    return gs_data_key_open(ring, name, sealed, len, ret, err);
}

static enum gs_rc open_secret(const struct notifier_delivery *d, const struct gs_pg_result *r, int row,
                              struct notifier_key *ret, struct gs_err *err)
{
    char place[40], text[4 * NOTIFIER_KEY_MAX];
    size_t sealed_len, len;
    struct gs_data_key key;
    const void *sealed = gs_pg_get_bytes(r, row, SECRET, &sealed_len);
    enum gs_rc rc;

    if (sealed_len > sizeof text)
        return gs_fail(err, GS_REJECT, "the sealed secret has %zu bytes", sealed_len);
    rc = open_data_key(d->s->spec.keyring, r, row, &key, err);
    if (rc != GS_OK)
        return rc;
    snprintf(place, sizeof place, "webhook:%" PRId64, d->webhook_id);
    rc = gs_secret_open(&key, place, sealed, sealed_len, text, &len, err);
    if (rc == GS_OK)
        rc = notifier_key_read(text, len, ret, err);
    gs_data_key_done(&key);
    gs_wipe(text, sizeof text);
    return rc;
}

static void add_secret(struct notifier_delivery *d, const struct gs_pg_result *r, int row)
{
    struct gs_err err;

    if (gs_pg_is_null(r, row, SECRET) || d->n_keys == NOTIFIER_SECRETS_MAX || d->error[0])
        return;
    if (open_secret(d, r, row, &d->keys[d->n_keys], &err) == GS_OK)
        d->n_keys++;
    else
        snprintf(d->error, sizeof d->error, "its secret cannot be opened: %.250s", err.text);
}

static struct notifier_delivery *read_one(struct notifier_sender *s, const struct gs_pg_result *r, int row)
{
    struct notifier_delivery *d = gs_alloc(sizeof *d);

    d->s = s;
    d->id = gs_pg_get_int8(r, row, ID);
    d->webhook_id = gs_pg_get_int8(r, row, WEBHOOK);
    d->attempt = gs_pg_get_int4(r, row, ATTEMPTS);
    snprintf(d->public_id, sizeof d->public_id, "%s", gs_pg_get_text(r, row, PUBLIC_ID));
    d->body = gs_strdup(gs_pg_get_text(r, row, PAYLOAD));
    d->url = gs_strdup(gs_pg_get_text(r, row, URL));
    return d;
}

/* One row for each secret; those of a delivery stand together. */
struct notifier_delivery *notifier_sender_read(struct notifier_sender *s, const struct gs_pg_result *r)
{
    struct notifier_delivery *first = NULL, *d = NULL;

    for (int row = 0; row < gs_pg_rows(r); row++) {
        if (!d || d->id != gs_pg_get_int8(r, row, ID)) {
            d = read_one(s, r, row);
            d->next = first;
            first = d;
        }
        add_secret(d, r, row);
    }
    for (d = first; d; d = d->next) {
        if (d->n_keys == 0 && !d->error[0])
            snprintf(d->error, sizeof d->error, "it has no secret");
        if (d->error[0])
            gs_log_error(&log_ctx, "a delivery cannot be signed", "webhook=%" PRId64 " error=\"%s\"", d->webhook_id,
                         d->error);
    }
    return first;
}

struct notifier_delivery *notifier_delivery_free(struct notifier_delivery *d)
{
    if (!d)
        return NULL;
    gs_wipe(d->keys, sizeof d->keys);
    free(d->url);
    free(d->body);
    free(d);
    return NULL;
}
