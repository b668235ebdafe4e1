/* JSON Web Tokens: taking them apart and judging what they claim. Signatures are checked in auth_keys.c. */
#include "services/gateway/auth_jwt.h"

#include "common/auto.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/auth_jwt_internal.h"
#include "services/gateway/auth_text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CLAIM_NAME_MAX 256
#define WORDS_MAX      256

/* ---- claims ---- */

/* RFC 6901: claims of some providers are named by addresses, with slashes. Names come from settings and from here. */
static void pointer_to(const char *name, char dst[2 * CLAIM_NAME_MAX + 2])
{
    size_t n = 0;

    dst[n++] = '/';
    for (size_t i = 0; name[i] && i < CLAIM_NAME_MAX; i++) {
        if (name[i] == '~' || name[i] == '/')
            dst[n++] = '~';
        dst[n++] = name[i] == '~' ? '0' : name[i];
        if (name[i] == '/')
            dst[n - 1] = '1';
    }
    dst[n] = '\0';
}

static const char *text_at(struct gs_json *j, const char *pointer)
{
    const char *s;
    size_t len;

    return gs_json_string(j, pointer, &s, &len) && strlen(s) == len ? s : NULL;
}

const char *gw_claim_text(struct gs_json *j, const char *name)
{
    char pointer[2 * CLAIM_NAME_MAX + 2];

    pointer_to(name, pointer);
    return text_at(j, pointer);
}

enum gs_json_type gw_claim_type(struct gs_json *j, const char *name)
{
    char pointer[2 * CLAIM_NAME_MAX + 2];

    pointer_to(name, pointer);
    return gs_json_type(j, pointer);
}

bool gw_claim_true(struct gs_json *j, const char *name)
{
    char pointer[2 * CLAIM_NAME_MAX + 2];
    bool v;

    pointer_to(name, pointer);
    return gs_json_bool(j, pointer, &v) && v;
}

static void each_word(const char *s, void (*fn)(void *arg, const char *word, size_t len), void *arg)
{
    for (int n = 0; n < WORDS_MAX; n++) {
        size_t len;

        s += strspn(s, " ");
        len = strcspn(s, " ");
        if (len == 0)
            return;
        fn(arg, s, len);
        s += len;
    }
}

void gw_claim_words(struct gs_json *j, const char *name, void (*fn)(void *arg, const char *word, size_t len), void *arg)
{
    char pointer[2 * CLAIM_NAME_MAX + 2], element[sizeof(pointer) + GS_INT_TEXT];
    const char *text;
    int64_t n;

    pointer_to(name, pointer);
    text = text_at(j, pointer);
    if (text)
        each_word(text, fn, arg);
    n = gs_json_type(j, pointer) == GS_JSON_ARRAY ? gs_json_count(j, pointer) : 0;
    for (int64_t i = 0; i < n && i < WORDS_MAX; i++) {
        snprintf(element, sizeof(element), "%s/%d", pointer, (int)i);
        text = text_at(j, element);
        if (text)
            fn(arg, text, strlen(text));
    }
}

bool gw_claim_has(struct gs_json *j, const char *name, const char *wanted)
{
    char pointer[2 * CLAIM_NAME_MAX + 2], element[sizeof(pointer) + GS_INT_TEXT];
    int64_t n;

    pointer_to(name, pointer);
    if (gs_json_type(j, pointer) != GS_JSON_ARRAY)
        return gs_str_eq(text_at(j, pointer), wanted);
    n = gs_json_count(j, pointer);
    for (int64_t i = 0; i < n && i < WORDS_MAX; i++) {
        snprintf(element, sizeof(element), "%s/%d", pointer, (int)i);
        if (gs_str_eq(text_at(j, element), wanted))
            return true;
    }
    return false;
}

/* Seconds since 1970; fractions are allowed (RFC 7519 section 2) and dropped. */
static bool claim_seconds(struct gs_json *j, const char *name, int64_t *ret)
{
    char pointer[2 * CLAIM_NAME_MAX + 2];
    struct gs_dec d;
    struct gs_err err;

    pointer_to(name, pointer);
    if (gs_json_decimal(j, pointer, &d, &err) != GS_OK)
        return false;
    /* Far beyond any calendar, and no sum with it overflows. */
    if (gs_dec_cmp(d, gs_dec_int(INT64_C(1) << 40)) > 0 || gs_dec_cmp(d, gs_dec_int(0)) < 0)
        return false;
    *ret = (int64_t)(d.u / GS_DEC_ONE);
    return true;
}

/* ---- taking apart ---- */

static const char *const algorithm_names[] = {"RS256", "PS256", "ES256"};

static enum gs_rc set_algorithm(struct gw_jwt *t, const char *name, struct gs_err *err)
{
    char clean[24];

    for (size_t i = 0; i < sizeof(algorithm_names) / sizeof(algorithm_names[0]); i++)
        if (strcmp(name, algorithm_names[i]) == 0) {
            t->algorithm = (enum gw_algorithm)i;
            return GS_OK;
        }
    return gs_fail(err, GS_DENIED, "the token's algorithm is \"%s\"; accepted are RS256, PS256 and ES256",
                   gs_str_clean(clean, sizeof(clean), name, strlen(name)));
}

/* One part of the token as a JSON object. */
static enum gs_rc read_object(const char *part, size_t len, const char *what, struct gs_json **ret, struct gs_err *err)
{
    GS_AUTO(gs_freep) char *bytes = gs_alloc(len + 1);
    struct gs_err why;
    size_t n;

    if (!gw_base64url_decode(part, len, bytes, len, &n))
        return gs_fail(err, GS_REJECT, "the token's %s is not base64url", what);
    *ret = gs_json_new(GW_JWT_MAX, GW_JWT_DEPTH);
    if (gs_json_parse(*ret, bytes, n, &why) != GS_OK)
        return gs_fail(err, GS_REJECT, "the token's %s: %s", what, why.text);
    if (gs_json_type(*ret, "") != GS_JSON_OBJECT)
        return gs_fail(err, GS_REJECT, "the token's %s is JSON, but not an object", what);
    return GS_OK;
}

static enum gs_rc read_kid(struct gw_jwt *t, struct gs_json *head, struct gs_err *err)
{
    const char *kid = text_at(head, "/kid");

    if (gs_json_type(head, "/kid") == GS_JSON_MISSING)
        return GS_OK;
    if (!kid || !*kid || strlen(kid) > GW_JWT_KID_MAX)
        return gs_fail(err, GS_REJECT, "the token's key id is not a text of 1 to %d bytes", GW_JWT_KID_MAX);
    snprintf(t->kid, sizeof(t->kid), "%s", kid);
    return GS_OK;
}

/* "application/at+jwt" and "at+jwt" mean the same (RFC 7515 section 4.1.9). */
static enum gs_rc read_type(struct gw_jwt *t, struct gs_json *head, struct gs_err *err)
{
    const char *typ = text_at(head, "/typ");

    if (gs_json_type(head, "/typ") == GS_JSON_MISSING)
        return GS_OK;
    if (typ && strncasecmp(typ, "application/", 12) == 0)
        typ += 12;
    if (typ && strcasecmp(typ, "at+jwt") == 0)
        t->type = GW_JWT_ACCESS;
    else if (!typ || strcasecmp(typ, "jwt") != 0)
        return gs_fail(err, GS_DENIED, "the token's type is neither JWT nor at+jwt");
    return GS_OK;
}

static enum gs_rc read_head(struct gw_jwt *t, const char *part, size_t len, struct gs_err *err)
{
    struct gs_json *head = NULL;
    enum gs_rc rc = read_object(part, len, "head", &head, err);
    const char *alg = rc == GS_OK ? text_at(head, "/alg") : NULL;

    if (rc == GS_OK && !alg)
        rc = gs_fail(err, GS_REJECT, "the token's head names no algorithm");
    if (rc == GS_OK)
        rc = set_algorithm(t, alg, err);
    if (rc == GS_OK && gs_json_type(head, "/crit") != GS_JSON_MISSING)
        rc = gs_fail(err, GS_DENIED, "the token asks for extensions (crit), and none is known here");
    if (rc == GS_OK)
        rc = read_kid(t, head, err);
    if (rc == GS_OK)
        rc = read_type(t, head, err);
    gs_json_free(head);
    return rc;
}

static enum gs_rc split(struct gw_jwt *t, const char *text, size_t len, struct gs_err *err)
{
    const char *dots[2];
    size_t n = 0;
    enum gs_rc rc;

    for (size_t i = 0; i < len; i++) {
        if (text[i] != '.')
            continue;
        if (n == 2)
            return gs_fail(err, GS_REJECT, "the token has more than three parts; encrypted ones are not read");
        dots[n++] = text + i;
    }
    if (n < 2)
        return gs_fail(err, GS_REJECT, "this is no token: a JWT has three parts with dots between them");
    rc = read_head(t, text, (size_t)(dots[0] - text), err);
    if (rc != GS_OK)
        return rc;
    rc = read_object(dots[0] + 1, (size_t)(dots[1] - dots[0] - 1), "body", &t->claims, err);
    if (rc != GS_OK)
        return rc;
    if (!gw_base64url_decode(dots[1] + 1, len - (size_t)(dots[1] + 1 - text), t->signature, sizeof(t->signature),
                             &t->signature_len) ||
        t->signature_len == 0)
        return gs_fail(err, GS_REJECT, "the token's signature is missing or is not base64url");
    t->signed_text = gs_strndup(text, (size_t)(dots[1] - text));
    t->signed_len = (size_t)(dots[1] - text);
    return GS_OK;
}

enum gs_rc gw_jwt_parse(const char *text, size_t len, struct gw_jwt **ret, struct gs_err *err)
{
    GS_AUTO(gw_jwt_freep) struct gw_jwt *t = gs_alloc(sizeof(*t));
    enum gs_rc rc;

    if (len > GW_JWT_MAX)
        return gs_fail(err, GS_REJECT, "the token has more than %d bytes", GW_JWT_MAX);
    rc = split(t, text, len, err);
    if (rc == GS_OK)
        *ret = gs_take(&t);
    return rc;
}

struct gw_jwt *gw_jwt_free(struct gw_jwt *t)
{
    if (!t)
        return NULL;
    gs_json_free(t->claims);
    free(t->signed_text);
    free(t);
    return NULL;
}

const char *gw_jwt_kid(const struct gw_jwt *t)
{
    return t->kid;
}

struct gs_json *gw_jwt_claims(struct gw_jwt *t)
{
    return t->claims;
}

/* ---- judging ---- */

static enum gs_rc judge_times(struct gs_json *j, const struct gw_jwt_expect *e, struct gs_err *err)
{
    char when[GS_TIME_TEXT];
    int64_t s;

    if (!claim_seconds(j, "exp", &s))
        return gs_fail(err, GS_DENIED, "the token does not say when it expires");
    if (e->now_s >= s + GW_JWT_LEEWAY_S)
        return gs_fail(err, GS_DENIED, "the token expired at %s", gs_time_format(s * 1000000, when));
    if (gw_claim_type(j, "nbf") != GS_JSON_MISSING && (!claim_seconds(j, "nbf", &s) || e->now_s < s - GW_JWT_LEEWAY_S))
        return gs_fail(err, GS_DENIED, "the token is not valid yet");
    if (gw_claim_type(j, "iat") == GS_JSON_MISSING)
        return e->nonce ? gs_fail(err, GS_DENIED, "the token does not say when it was issued") : GS_OK;
    if (!claim_seconds(j, "iat", &s) || e->now_s < s - GW_JWT_LEEWAY_S)
        return gs_fail(err, GS_DENIED, "the token was issued in the future; is a clock wrong?");
    return GS_OK;
}

static enum gs_rc judge_audience(struct gs_json *j, const struct gw_jwt_expect *e, struct gs_err *err)
{
    const char *azp = gw_claim_text(j, "azp");
    int64_t n = gw_claim_type(j, "aud") == GS_JSON_ARRAY ? gs_json_count(j, "/aud") : 1;

    if (n > GW_JWT_AUD_MAX || !gw_claim_has(j, "aud", e->audience))
        return gs_fail(err, GS_DENIED, "the token was made for another audience");
    /* An access token's azp is its client, which may be any; an ID token's must be us. */
    if (e->nonce && (gw_claim_type(j, "azp") != GS_JSON_MISSING || n > 1) && !gs_str_eq(azp, e->audience))
        return gs_fail(err, GS_DENIED, "the token was made for another client");
    return GS_OK;
}

static bool same_secret(const char *a, const char *b)
{
    size_t len = strlen(b);

    return a && strlen(a) == len && CRYPTO_memcmp(a, b, len) == 0;
}

enum gs_rc gw_jwt_judge(struct gw_jwt *t, const struct gw_jwt_expect *e, struct gs_err *err)
{
    struct gs_json *j = t->claims;
    const char *sub = gw_claim_text(j, "sub");
    enum gs_rc rc;

    if (e->nonce && t->type == GW_JWT_ACCESS)
        return gs_fail(err, GS_DENIED, "an access token stands where an ID token should");
    if (!gs_str_eq(gw_claim_text(j, "iss"), e->issuer))
        return gs_fail(err, GS_DENIED, "the token is from another issuer");
    rc = judge_audience(j, e, err);
    if (rc == GS_OK)
        rc = judge_times(j, e, err);
    if (rc != GS_OK)
        return rc;
    if (!sub || !*sub || strlen(sub) > GW_JWT_SUB_MAX)
        return gs_fail(err, GS_DENIED, "the token has no subject of 1 to %d bytes", GW_JWT_SUB_MAX);
    if (e->nonce && !same_secret(gw_claim_text(j, "nonce"), e->nonce))
        return gs_fail(err, GS_DENIED, "the token answers another sign-in (nonce)");
    return GS_OK;
}
