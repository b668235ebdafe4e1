/* Answers that are kept: found again by caller and key, sealed, because some hold what is shown once. */
#include "services/gateway/idempotency.h"

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/cursor.h"
#include "services/gateway/private.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX     255
#define KEPT_MAX    (GW_ANSWER_MAX + 65536)
#define HEAD_FIELDS 64

/* What a key stands for. */
struct kept {
    const char *caller, *key, *place;
    char hash[2 + 64 + 1];
};

static void digest(EVP_MD_CTX *ctx, const char *text, size_t len)
{
    if (!EVP_DigestUpdate(ctx, text, len) || !EVP_DigestUpdate(ctx, "", 1))
        abort();
}

/* Of all that makes it another request. */
static void hash_request(const struct gw_call *c, char dst[2 + 64 + 1])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char hash[32];

    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        abort();
    digest(ctx, c->method, strlen(c->method));
    digest(ctx, c->target, strlen(c->target));
    digest(ctx, c->content_type, strlen(c->content_type));
    digest(ctx, gs_buf_str(&c->body), c->body.len);
    if (!EVP_DigestFinal_ex(ctx, hash, NULL))
        abort();
    EVP_MD_CTX_free(ctx);
    memcpy(dst, "\\x", 2);
    gs_hex_encode(hash, sizeof(hash), dst + 2);
}

static void describe(struct gw_call *c, struct kept *k)
{
    k->key = gw_call_header(c, "Idempotency-Key");
    /* Tokens of one account may do different things: what one was answered is not another's to read. */
    if (*c->who.token)
        k->caller = gw_call_printf(c, "token:%s", c->who.token);
    else if (*c->who.account)
        k->caller = gw_call_printf(c, "account:%s scopes:%x", c->who.account, c->who.scopes);
    else
        k->caller = gw_call_printf(c, "address:%s", c->address);
    k->place = gw_call_printf(c, "%s %s", k->caller, k->key);
    hash_request(c, k->hash);
}

/* ---- writing an answer down: status, type, headers, an empty line, body ---- */

static void write_answer(struct gw_call *c, int status, struct gs_buf *b)
{
    gs_buf_printf(b, "%d\n%s\n", status, c->answer_type ? c->answer_type : "");
    for (int i = 0; i < c->n_answer; i++)
        if (!gs_str_starts(c->answer[i].name, "RateLimit"))
            gs_buf_printf(b, "%s\n%s\n", c->answer[i].name, c->answer[i].value);
    if (c->etag)
        gs_buf_printf(b, "ETag\n%s\n", c->etag);
    gs_buf_putc(b, '\n');
    if (status >= 400) {
        struct gs_buf problem;
        gs_buf_init(&problem, GW_ANSWER_MAX);
        c->status = status;
        gw_problem_write(c, &problem);
        gs_buf_append(b, problem.data, problem.len);
        gs_buf_done(&problem);
    } else {
        gs_buf_append(b, gs_buf_str(&c->out), c->out.len);
    }
}

/* The next line, cut out of the text; null at its end. */
static char *next_line(char **at)
{
    char *line = *at, *end = line ? strchr(line, '\n') : NULL;

    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line;
}

static int replay(struct gw_call *c, struct gs_buf *b)
{
    char *at = b->data, *status = next_line(&at), *type = next_line(&at), *name, *value;
    int64_t n = 500;

    for (int i = 0; i < HEAD_FIELDS && (name = next_line(&at)) && *name && (value = next_line(&at)); i++) {
        if (gs_str_eq(name, "ETag"))
            c->etag = gs_arena_strndup(&c->arena, value, strlen(value));
        else
            gw_header_set(c, name, value);
    }
    if (status)
        (void)gs_parse_int(status, 200, 499, &n);
    gw_header_set(c, "Idempotent-Replayed", "true");
    if (type && !*type)
        type = NULL;
    gs_buf_clear(&c->out);
    gs_buf_append(&c->out, at, (size_t)(b->data + b->len - at));
    c->answer_type = type ? gs_arena_strndup(&c->arena, type, strlen(type)) : NULL;
    c->written = n >= 400;
    return (int)n;
}

static bool seal(struct gw_call *c, int status, const char *place, struct gs_buf *ret_text)
{
    struct gs_buf plain, sealed;
    char *room;
    size_t len;

    gs_buf_init(&plain, KEPT_MAX);
    gs_buf_init(&sealed, KEPT_MAX + 64);
    gs_buf_init(ret_text, (size_t)KEPT_MAX * 2);
    write_answer(c, status, &plain);
    gw_seal(gs_buf_str(&plain), plain.len, place, &sealed);
    len = (sealed.len + 2) / 3 * 4;
    room = sealed.overflow || plain.overflow ? NULL : gs_buf_room(ret_text, len + 1);
    if (room) {
        gs_base64_encode(sealed.data, sealed.len, room);
        ret_text->len += len;
    }
    gs_buf_done(&plain);
    gs_buf_done(&sealed);
    return room;
}

static bool unseal(const char *text, const char *place, struct gs_buf *ret)
{
    size_t len = strlen(text), n;
    GS_AUTO(gs_freep) char *raw = gs_alloc(len + 1);

    gs_buf_init(ret, KEPT_MAX);
    return gs_base64_decode(text, len, raw, len + 1, &n) && gw_unseal(raw, n, place, ret) && ret->len > 0;
}

/* ---- finding and keeping ---- */

static int replay_found(struct gw_call *c, const struct kept *k, const PGresult *r)
{
    struct gs_buf plain;
    int status;

    if (!gs_db_get_bool(r, 0, "same"))
        return gw_fail(c, 422, "idempotency-key", "This Idempotency-Key was used for another request; take a new one");
    if (gs_db_is_null(r, 0, "status"))
        return gw_fail(c, 409, "in-progress",
                       "The first request with this Idempotency-Key is still under way; try again");
    if (unseal(gs_db_get(r, 0, "body"), k->place, &plain))
        status = replay(c, &plain);
    else
        status =
            gw_fail(c, 409, "idempotency-key", "The answer kept under this Idempotency-Key cannot be read any more");
    gs_buf_done(&plain);
    return status;
}

/* 0: nothing is kept, and it is for us to. Who comes meanwhile is told so, and holds up no worker. */
static int look(struct gw_call *c, const struct kept *k)
{
    static const char lock[] = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 20260)) AS mine";
    /* An answer that never came, because its gateway went away, is not waited for. */
    static const char find[] =
        "SELECT status, body, request_hash = $3::bytea AS same FROM idempotency WHERE caller = $1 AND "
        "key = $2 AND created_at > now() - CASE WHEN status IS NULL THEN interval '2 minutes' ELSE "
        "interval '1 day' END";
    PGresult *r = gw_query(c, lock, GS_WITH(k->place));
    bool mine = r && gs_db_get_bool(r, 0, "mine");
    int status = 0;

    if (!r)
        return gw_status(c);
    PQclear(r);
    if (!mine) {
        gw_header_set(c, "Retry-After", "1");
        return gw_fail(c, 409, "in-progress",
                       "The first request with this Idempotency-Key is still under way; try again");
    }
    r = gw_query(c, find, GS_WITH(k->caller, k->key, k->hash));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 1)
        status = replay_found(c, k, r);
    PQclear(r);
    return status;
}

static const char keep_sql[] =
    "INSERT INTO idempotency (caller, key, request_hash, status, body) VALUES ($1, $2, $3::bytea, $4::int, $5) "
    "ON CONFLICT (caller, key) DO UPDATE SET request_hash = EXCLUDED.request_hash, status = EXCLUDED.status, "
    "body = EXCLUDED.body, created_at = now()";

/* status 0: the answer comes later. */
static int keep(struct gw_call *c, const struct kept *k, int status)
{
    char number[GW_ID_TEXT];
    struct gs_buf text;
    bool ok;

    if (status == 0)
        return gw_exec(c, keep_sql, GS_WITH(k->caller, k->key, k->hash, NULL, NULL)) ? 0 : gw_status(c);
    snprintf(number, sizeof(number), "%d", status);
    ok = seal(c, status, k->place, &text) &&
         gw_exec(c, keep_sql, GS_WITH(k->caller, k->key, k->hash, number, gs_buf_str(&text)));
    gs_buf_done(&text);
    c->keep = ok && status >= 400;
    return ok ? status : gw_fail(c, 503, "unavailable", "The answer could not be kept; try again");
}

static int run_and_keep(struct gw_call *c, const struct kept *k, int (*run)(struct gw_call *c))
{
    int status;

    if (!gw_exec(c, "SAVEPOINT operation", GS_NO_PARAMS))
        return gw_status(c);
    status = run(c);
    if (c->again || status >= 500)
        return status;
    /* A refusal is kept, what was done before it is not. */
    if (status >= 400 && !gs_db_exec(c->db, "ROLLBACK TO SAVEPOINT operation", GS_NO_PARAMS))
        return gw_db_failed(c);
    c->keep_later = status == 0;
    return keep(c, k, status);
}

static bool is_key(const char *s)
{
    size_t len = 0;

    while (s[len] >= ' ' && s[len] <= '~')
        len++;
    return len > 0 && len <= KEY_MAX && !s[len];
}

int gw_idempotent(struct gw_call *c, int (*run)(struct gw_call *c))
{
    const char *key = gw_call_header(c, "Idempotency-Key");
    struct kept k;
    int status;

    if (!key || !gs_str_eq(c->op->method, "POST"))
        return run(c);
    if (!is_key(key)) /* of operations that do not name it in the document */
        return gw_fail(c, 400, "malformed", "Idempotency-Key must have 1 to %d characters, all of ASCII", KEY_MAX);
    describe(c, &k);
    status = look(c, &k);
    return status ? status : run_and_keep(c, &k, run);
}

void gw_idempotent_later(struct gw_call *c)
{
    static const char forget[] = "DELETE FROM idempotency WHERE caller = $1 AND key = $2";
    char number[GW_ID_TEXT];
    struct gs_buf text;
    struct kept k;
    bool ok;

    describe(c, &k);
    snprintf(number, sizeof(number), "%d", c->status);
    ok = c->status < 500 && seal(c, c->status, k.place, &text);
    if (ok)
        ok = gs_db_exec(c->db, keep_sql, GS_WITH(k.caller, k.key, k.hash, number, gs_buf_str(&text)));
    else
        ok = gs_db_exec(c->db, forget, GS_WITH(k.caller, k.key));
    if (!ok)
        gw_log_failure(c, gs_db_error(c->db));
    if (c->status < 500)
        gs_buf_done(&text);
}
