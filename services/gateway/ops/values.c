/* Pushed values: a source sends its number. It goes the way of fetched ones: fetch.completed, the progress writer. */
#include "services/gateway/ops.h"

#include "common/clock.h"
#include "common/str.h"
#include "services/fetch/catalogue.h"
#include "services/gateway/ask.h"
#include "services/gateway/link.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define SKEW_US  INT64_C(60000000)            /* how far the sender's clock may be ahead of ours */
#define STALE_US (INT64_C(366) * 86400000000) /* how old a number may be */
#define HASH_LEN 32

static int read_value(struct gw_call *c, struct gs_dec *ret)
{
    const char *text = gw_text(c, "/value");
    struct gs_err err;

    return gs_dec_parse(text, strlen(text), ret, &err) == GS_OK ? 0 : gw_invalid(c, "/value", "%s", err.text);
}

/* newest_us: of the value before, 0 unknown. A value that comes late must not take a newer one's place. */
static int read_source_at(struct gw_call *c, int64_t newest_us, int64_t *ret_us)
{
    const char *text = gw_text(c, "/source_at");
    int64_t now_us = gs_now_us();
    char newest[GS_TIME_TEXT];

    *ret_us = 0;
    if (!text)
        return 0;
    if (!gs_time_parse(text, ret_us))
        return gw_invalid(c, "/source_at", "is no instant; write one like 2026-11-23T16:00:00Z");
    if (*ret_us > now_us + SKEW_US)
        return gw_invalid(c, "/source_at", "lies in the future; it is %s here", gs_time_format(now_us, newest));
    if (*ret_us < now_us - STALE_US)
        return gw_invalid(c, "/source_at", "is more than a year ago; numbers that old do not count");
    if (*ret_us < newest_us)
        return gw_fail(c, 409, "newer-value", "The newest value is of %s already; an older one does not take its place",
                       gs_time_format(newest_us, newest));
    return 0;
}

/* Of the key and the body: the same request sent again. Null without a key. */
static const char *hash_request(struct gw_call *c, char dst[2 * HASH_LEN + 3])
{
    const char *key = gw_param(c, "Idempotency-Key"), *body;
    unsigned char hash[HASH_LEN];
    size_t len;

    if (!key)
        return NULL;
    body = gw_body_text(c, &len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) && EVP_DigestUpdate(ctx, key, strlen(key) + 1) &&
              EVP_DigestUpdate(ctx, body, len) && EVP_DigestFinal_ex(ctx, hash, NULL);
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return NULL; /* then a repetition counts as a value of its own */
    memcpy(dst, "\\x", 2);
    gs_hex_encode(hash, sizeof(hash), dst + 2);
    return dst;
}

/* A link's slots grow, whatever the clock does; the writer counts each once. */
static const char slot_sql[] =
    "UPDATE link k SET pushed_slot = CASE WHEN k.pushed_key = $2::bytea THEN k.pushed_slot ELSE "
    "greatest(clock_timestamp(), k.pushed_slot + interval '1 microsecond', g.last_slot + interval '1 microsecond') "
    "END, "
    "pushed_key = $2::bytea, pushed_source_at = coalesce($3::timestamptz, k.pushed_source_at) FROM goal g WHERE k.id = "
    "$1 AND g.id = k.goal_id RETURNING (extract(epoch FROM k.pushed_slot) * 1000000)::bigint AS slot_us, k.revision, "
    "k.batch_id, k.connection_id, k.org_id, k.id";

static int check_link(struct gw_call *c, const struct gw_link *l)
{
    const struct fetch_entry *e = fetch_catalogue_find(gs_db_get(l->r, 0, "connector"));
    int status;

    if (!l->pushed)
        return gw_fail(c, 409, "fetched-source",
                       "This link's numbers are fetched from %s; only links of integrations that send their numbers "
                       "take values",
                       e ? e->connector->label : "its source");
    status = gw_link_need_live(c, l->status);
    if (!status && l->paused[0])
        status = gw_fail(c, 409, "gate-closed", "The link is paused: %s", l->paused);
    return status;
}

static int take(struct gw_call *c, const struct gw_link *l, struct gw_value *v)
{
    char hash[2 * HASH_LEN + 3], source_at[GS_TIME_TEXT];

    GS_AUTO_RESULT r = gw_query(
        c, slot_sql,
        GS_WITH(l->id, hash_request(c, hash), v->source_at_us ? gs_time_format(v->source_at_us, source_at) : NULL));
    if (!r)
        return gw_status(c);
    v->slot_us = gs_db_get_int(r, 0, "slot_us");
    v->revision = (int32_t)gs_db_get_int(r, 0, "revision");
    v->batch_id = gs_db_get_int(r, 0, "batch_id");
    v->connection_id = gs_db_get_int(r, 0, "connection_id");
    v->org_id = gs_db_get_int(r, 0, "org_id");
    v->link_id = gs_db_get_int(r, 0, "id");
    v->link_public = l->public_id;
    v->note = gw_text(c, "/note");
    return gw_ask_push(c, v);
}

/* A token of one link reaches no other. */
static int need_own_link(struct gw_call *c)
{
    const struct gw_caller *who = gw_who(c);

    return who->token_link[0] && !gs_str_eq(who->token_link, gw_item(c))
               ? gw_forbidden(c, "this token is another link's; it pushes values to that one alone")
               : 0;
}

static int link_push(struct gw_call *c)
{
    GW_AUTO_LINK l = {0};
    struct gw_value v = {0};
    int status = need_own_link(c);

    if (!status)
        status = read_value(c, &v.value);
    if (!status)
        status = gw_link_open(c, &l);
    if (!status)
        status = check_link(c, &l);
    if (!status)
        status = read_source_at(c, gs_db_get_int(l.r, 0, "pushed_source_us"), &v.source_at_us);
    return status ? status : take(c, &l, &v);
}

const struct gw_op gw_ops_values[] = {
    {"link_push", link_push},
    {0},
};
