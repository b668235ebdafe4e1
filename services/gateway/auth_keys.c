/* An issuer's public keys, and signatures made with them. */
#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/auth_jwt_internal.h"
#include "services/gateway/auth_text.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define P256_BYTES     32
#define RSA_E_BITS_MAX 64 /* of the public exponent: larger ones make checking slow and nothing safer */
#define NAMELESS_TRIES 8  /* keys tried for a token that names none */
#define POINTER_MAX    32

struct key {
    char kid[GW_JWT_KID_MAX + 1]; /* "": it has none */
    bool rsa;                     /* else P-256 */
    bool bound;                   /* to algorithm */
    enum gw_algorithm algorithm;
    EVP_PKEY *pkey;
};

struct gw_keys {
    atomic_int refs;
    size_t n;
    struct key keys[GW_JWKS_KEYS_MAX];
};

GS_AUTO_DEFINE(OSSL_PARAM_BLD, param_bld_free, OSSL_PARAM_BLD_free)
GS_AUTO_DEFINE(OSSL_PARAM, param_free, OSSL_PARAM_free)
GS_AUTO_DEFINE(EVP_PKEY_CTX, pkey_ctx_free, EVP_PKEY_CTX_free)
GS_AUTO_DEFINE(EVP_MD_CTX, md_ctx_free, EVP_MD_CTX_free)
GS_AUTO_DEFINE(BIGNUM, bn_free, BN_free)
GS_AUTO_DEFINE(ECDSA_SIG, ecdsa_sig_free, ECDSA_SIG_free)

/* ---- one key of a set ---- */

static const char *member_text(struct gs_json *j, size_t i, const char *name)
{
    char pointer[POINTER_MAX];
    const char *s;
    size_t len;

    snprintf(pointer, sizeof(pointer), "/keys/%zu/%s", i, name);
    return gs_json_string(j, pointer, &s, &len) && strlen(s) == len ? s : NULL;
}

static bool member_bytes(struct gs_json *j, size_t i, const char *name, unsigned char *dst, size_t size, size_t *ret)
{
    const char *s = member_text(j, i, name);

    return s && gw_base64url_decode(s, strlen(s), dst, size, ret) && *ret > 0;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *parts)
{
    GS_AUTO(param_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(parts);
    GS_AUTO(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return pkey;
}

static EVP_PKEY *read_rsa(struct gs_json *j, size_t i)
{
    unsigned char n[GW_RSA_BITS_MAX / 8], e[RSA_E_BITS_MAX / 8];
    size_t n_len, e_len;

    if (!member_bytes(j, i, "n", n, sizeof(n), &n_len) || !member_bytes(j, i, "e", e, sizeof(e), &e_len))
        return NULL;
    GS_AUTO(bn_freep) BIGNUM *modulus = BN_bin2bn(n, (int)n_len, NULL);
    GS_AUTO(bn_freep) BIGNUM *exponent = BN_bin2bn(e, (int)e_len, NULL);
    GS_AUTO(param_bld_freep) OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    if (!modulus || !exponent || !parts || BN_num_bits(modulus) < GW_RSA_BITS_MIN || !BN_is_odd(modulus) ||
        !BN_is_odd(exponent) || BN_is_one(exponent))
        return NULL;
    if (OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_N, modulus) != 1 ||
        OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_E, exponent) != 1)
        return NULL;
    return pkey_from("RSA", parts);
}

/* OpenSSL refuses a point that is not on the curve. */
static EVP_PKEY *read_p256(struct gs_json *j, size_t i)
{
    unsigned char point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t x, y;

    if (!gs_str_eq(member_text(j, i, "crv"), "P-256") || !member_bytes(j, i, "x", point + 1, P256_BYTES, &x) ||
        x != P256_BYTES || !member_bytes(j, i, "y", point + 1 + P256_BYTES, P256_BYTES, &y) || y != P256_BYTES)
        return NULL;
    GS_AUTO(param_bld_freep) OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    if (!parts || OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) != 1)
        return NULL;
    return pkey_from("EC", parts);
}

/* A key may be bound to one algorithm; to one that is not accepted: it is not for us. */
static bool read_binding(struct gs_json *j, size_t i, struct key *k)
{
    static const struct {
        const char *name;
        bool rsa;
        enum gw_algorithm algorithm;
    } known[] = {{"RS256", true, GW_RS256}, {"PS256", true, GW_PS256}, {"ES256", false, GW_ES256}};
    const char *alg = member_text(j, i, "alg");

    if (!alg)
        return true;
    for (size_t a = 0; a < sizeof(known) / sizeof(known[0]); a++)
        if (strcmp(alg, known[a].name) == 0 && known[a].rsa == k->rsa) {
            k->bound = true;
            k->algorithm = known[a].algorithm;
            return true;
        }
    return false;
}

static bool read_key(struct gs_json *j, size_t i, struct key *k)
{
    const char *kty = member_text(j, i, "kty"), *use = member_text(j, i, "use"), *kid = member_text(j, i, "kid");

    k->rsa = gs_str_eq(kty, "RSA");
    if ((!k->rsa && !gs_str_eq(kty, "EC")) || (use && strcmp(use, "sig") != 0) || !read_binding(j, i, k) ||
        (kid && strlen(kid) > GW_JWT_KID_MAX))
        return false;
    snprintf(k->kid, sizeof(k->kid), "%s", kid ? kid : "");
    k->pkey = k->rsa ? read_rsa(j, i) : read_p256(j, i);
    ERR_clear_error();
    return k->pkey != NULL;
}

/* ---- the set ---- */

static void json_freep(struct gs_json **j)
{
    gs_json_free(*j);
}

enum gs_rc gw_keys_parse(const char *text, size_t len, struct gw_keys **ret, struct gs_err *err)
{
    GS_AUTO(json_freep) struct gs_json *j = gs_json_new(GW_JWKS_MAX, GW_JWT_DEPTH);
    GS_AUTO(gw_keys_unrefp) struct gw_keys *k = NULL;
    struct gs_err why;
    int64_t n;

    if (gs_json_parse(j, text, len, &why) != GS_OK)
        return gs_fail(err, GS_REJECT, "the key set: %s", why.text);
    n = gs_json_type(j, "/keys") == GS_JSON_ARRAY ? gs_json_count(j, "/keys") : -1;
    if (n < 0)
        return gs_fail(err, GS_REJECT, "the key set has no array called keys");
    k = gs_alloc(sizeof(*k));
    atomic_init(&k->refs, 1);
    for (int64_t i = 0; i < n && k->n < GW_JWKS_KEYS_MAX; i++) {
        struct key *key = &k->keys[k->n];

        *key = (struct key){0};
        if (read_key(j, (size_t)i, key))
            k->n++;
    }
    if (k->n == 0)
        return gs_fail(err, GS_REJECT, "the key set has no key for RS256, PS256 or ES256 among its %d", (int)n);
    *ret = gs_take(&k);
    return GS_OK;
}

struct gw_keys *gw_keys_ref(struct gw_keys *k)
{
    atomic_fetch_add(&k->refs, 1);
    return k;
}

struct gw_keys *gw_keys_unref(struct gw_keys *k)
{
    if (!k || atomic_fetch_sub(&k->refs, 1) > 1)
        return NULL;
    for (size_t i = 0; i < k->n; i++)
        EVP_PKEY_free(k->keys[i].pkey);
    free(k);
    return NULL;
}

size_t gw_keys_count(const struct gw_keys *k)
{
    return k->n;
}

/* ---- signatures ---- */

/* R and S as two numbers of fixed length (RFC 7518 section 3.4) in the form that OpenSSL reads; 0: it is not that. */
static int signature_to_der(const struct gw_jwt *t, unsigned char **ret)
{
    GS_AUTO(ecdsa_sig_freep) ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r, *s;
    int len;

    if (!sig || t->signature_len != (size_t)2 * P256_BYTES)
        return 0;
    r = BN_bin2bn(t->signature, P256_BYTES, NULL);
    s = BN_bin2bn(t->signature + P256_BYTES, P256_BYTES, NULL);
    if (!r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return 0;
    }
    len = i2d_ECDSA_SIG(sig, ret);
    return len > 0 ? len : 0;
}

static bool padding_set(EVP_PKEY_CTX *ctx, enum gw_algorithm algorithm)
{
    if (algorithm == GW_RS256)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    if (algorithm == GW_PS256)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
    return true;
}

static bool signature_good(const struct gw_jwt *t, const struct key *k)
{
    GS_AUTO(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const unsigned char *signature = t->signature;
    unsigned char *der = NULL;
    size_t len = t->signature_len;
    EVP_PKEY_CTX *pctx;
    bool good;

    if (t->algorithm == GW_ES256) {
        len = (size_t)signature_to_der(t, &der);
        signature = der;
    }
    good = ctx && len > 0 && EVP_DigestVerifyInit(ctx, &pctx, EVP_sha256(), NULL, k->pkey) == 1 &&
           padding_set(pctx, t->algorithm) &&
           EVP_DigestVerify(ctx, signature, len, (const unsigned char *)t->signed_text, t->signed_len) == 1;
    OPENSSL_free(der);
    ERR_clear_error();
    return good;
}

static bool fits(const struct gw_jwt *t, const struct key *k)
{
    if (k->bound)
        return k->algorithm == t->algorithm;
    return k->rsa == (t->algorithm != GW_ES256);
}

enum gs_rc gw_jwt_verify(const struct gw_jwt *t, const struct gw_keys *k, struct gs_err *err)
{
    bool named = false;
    int tried = 0;

    for (size_t i = 0; i < k->n && (*t->kid || tried < NAMELESS_TRIES); i++) {
        if (*t->kid && strcmp(k->keys[i].kid, t->kid) != 0)
            continue;
        named = true;
        if (!fits(t, &k->keys[i]))
            continue;
        tried++;
        if (signature_good(t, &k->keys[i]))
            return GS_OK;
    }
    if (*t->kid && !named)
        return gs_fail(err, GS_GONE, "the token is signed with a key that its issuer does not show");
    if (tried == 0)
        return gs_fail(err, GS_DENIED, "the token's algorithm does not fit its issuer's key");
    /* Without a name it may as well be a key that is not known yet; one that names its key is simply wrong. */
    return gs_fail(err, *t->kid ? GS_DENIED : GS_GONE, "the token's signature is wrong");
}
