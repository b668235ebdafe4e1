/* JSON Web Tokens as far as signing in needs them: signed ones in compact form (RFC 7515, 7519), judged with the care
 * that RFC 8725 asks for. No I/O, no settings; safe on any thread.
 *
 * What a token's head says about keys (jwk, jku, x5u, x5c) is never looked at: a key comes from the issuer's set only,
 * and the algorithm must fit the key's own type, so that no public key can serve as a secret. */
#ifndef GATEWAY_AUTH_JWT_H
#define GATEWAY_AUTH_JWT_H

#include "common/json.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_JWT_MAX       8192   /* bytes of a token */
#define GW_JWT_DEPTH     8      /* of its JSON */
#define GW_JWT_KID_MAX   256    /* bytes */
#define GW_JWT_SUB_MAX   255    /* bytes of a subject (OpenID Connect Core, section 2) */
#define GW_JWT_AUD_MAX   32     /* audiences of one token */
#define GW_JWT_LEEWAY_S  60     /* between the issuer's clock and ours */
#define GW_JWKS_MAX      262144 /* bytes of a key set */
#define GW_JWKS_KEYS_MAX 64     /* keys that are kept; those after them are left out */
#define GW_RSA_BITS_MIN  2048
#define GW_RSA_BITS_MAX  8192

struct gw_jwt;
/* GS_REJECT: not a token; GS_DENIED: one that is never accepted (unsigned, another algorithm, critical extensions). */
enum gs_rc gw_jwt_parse(const char *text, size_t len, struct gw_jwt **ret, struct gs_err *err) GS_MUST_CHECK;
struct gw_jwt *gw_jwt_free(struct gw_jwt *t); /* returns null */
static inline void gw_jwt_freep(struct gw_jwt **t)
{
    gw_jwt_free(*t);
}
/* "" when the token names no key. */
const char *gw_jwt_kid(const struct gw_jwt *t);
/* Nothing in it is true before gw_jwt_verify() and gw_jwt_judge() said so. Borrowed. */
struct gs_json *gw_jwt_claims(struct gw_jwt *t);

struct gw_keys; /* an issuer's public keys (RFC 7517); never changed, shared between threads */
/* Keys of other types and uses, and malformed ones, are left out; GS_REJECT when none is left. */
enum gs_rc gw_keys_parse(const char *text, size_t len, struct gw_keys **ret, struct gs_err *err) GS_MUST_CHECK;
struct gw_keys *gw_keys_ref(struct gw_keys *k);
struct gw_keys *gw_keys_unref(struct gw_keys *k); /* returns null; null is fine */
static inline void gw_keys_unrefp(struct gw_keys **k)
{
    gw_keys_unref(*k);
}
size_t gw_keys_count(const struct gw_keys *k);

/* GS_GONE: there is no such key (any more, or not yet); GS_DENIED: the signature is wrong. */
enum gs_rc gw_jwt_verify(const struct gw_jwt *t, const struct gw_keys *k, struct gs_err *err) GS_MUST_CHECK;

struct gw_jwt_expect {
    const char *issuer, *audience;
    const char *nonce; /* not null: it is an ID token, and this is its nonce */
    int64_t now_s;
};
/* GS_DENIED says which claim is wrong. */
enum gs_rc gw_jwt_judge(struct gw_jwt *t, const struct gw_jwt_expect *e, struct gs_err *err) GS_MUST_CHECK;

/* A claim by its name, which may hold any character. Null: missing, of another type, or with a zero byte in it. */
const char *gw_claim_text(struct gs_json *j, const char *name);
bool gw_claim_true(struct gs_json *j, const char *name);
/* Is the claim this text, or an array with it? */
bool gw_claim_has(struct gs_json *j, const char *name, const char *text);
/* Calls fn for each word of a claim that is words with spaces between them, or an array of words; at most 256. */
void gw_claim_words(struct gs_json *j, const char *name, void (*fn)(void *arg, const char *word, size_t len),
                    void *arg);
enum gs_json_type gw_claim_type(struct gs_json *j, const char *name);

#endif
