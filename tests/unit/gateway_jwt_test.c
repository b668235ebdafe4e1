/* Tokens of a sign-in service: what is taken, and every trick that must not be.
 * links: goalsync_gateway */
#include "services/gateway/auth_jwt.h"

#include "common/auto.h"
#include "common/buf.h"
#include "common/mem.h"
#include "services/gateway/auth_text.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ISSUER   "https://id.example.com/tenant"
#define AUDIENCE "https://goals.example.com"
#define NOW      INT64_C(1800000000)
#define GOOD     "\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":1800000300,\"iat\":1799999990"

static EVP_PKEY *rsa, *other_rsa, *ec;
static struct gw_keys *keys;

/* ---- making tokens and key sets ---- */

static void put_part(struct gs_buf *b, const void *bytes, size_t len)
{
    char *text = gs_alloc(4 * (len + 2) / 3 + 2);

    gw_base64url_encode(bytes, len, text);
    gs_buf_puts(b, text);
    free(text);
}

static void put_number(struct gs_buf *b, EVP_PKEY *key, const char *param, int size)
{
    unsigned char bytes[GW_RSA_BITS_MAX / 8];
    BIGNUM *n = NULL;

    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &n), 1);
    assert_true(BN_bn2binpad(n, bytes, size ? size : BN_num_bytes(n)) > 0);
    put_part(b, bytes, (size_t)(size ? size : BN_num_bytes(n)));
    BN_free(n);
}

/* more: members besides kty and the numbers, each after a comma. */
static void put_jwk(struct gs_buf *b, EVP_PKEY *key, const char *more)
{
    if (EVP_PKEY_is_a(key, "RSA")) {
        gs_buf_puts(b, "{\"kty\":\"RSA\",\"n\":\"");
        put_number(b, key, OSSL_PKEY_PARAM_RSA_N, 0);
        gs_buf_puts(b, "\",\"e\":\"");
        put_number(b, key, OSSL_PKEY_PARAM_RSA_E, 0);
    } else {
        gs_buf_puts(b, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"");
        put_number(b, key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
        gs_buf_puts(b, "\",\"y\":\"");
        put_number(b, key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
    }
    gs_buf_printf(b, "\"%s}", more);
}

static struct gw_keys *keys_of(const char *text)
{
    struct gw_keys *k = NULL;
    struct gs_err err = {.text = ""};

    if (gw_keys_parse(text, strlen(text), &k, &err) != GS_OK)
        fail_msg("%s: %s", text, err.text);
    return k;
}

static size_t sign(EVP_PKEY *key, bool pss, const struct gs_buf *text, unsigned char *dst, size_t size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;
    size_t len = size;

    assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha256(), NULL, key), 1);
    if (pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(ctx, dst, &len, (const unsigned char *)text->data, text->len), 1);
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_is_a(key, "EC")) {
        const unsigned char *at = dst;
        ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
        unsigned char raw[64];

        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32), 32);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32), 32);
        ECDSA_SIG_free(sig);
        memcpy(dst, raw, 64);
        len = 64;
    }
    return len;
}

/* Owned. key null: an empty signature. */
static char *token(EVP_PKEY *key, const char *head, const char *claims)
{
    struct gs_buf b;
    unsigned char signature[1024];
    size_t len = 0;

    gs_buf_init(&b, 1 << 20);
    put_part(&b, head, strlen(head));
    gs_buf_putc(&b, '.');
    put_part(&b, claims, strlen(claims));
    if (key)
        len = sign(key, strstr(head, "PS256") != NULL, &b, signature, sizeof(signature));
    gs_buf_putc(&b, '.');
    put_part(&b, signature, len);
    return gs_buf_steal(&b);
}

/* All that is done with a token; frees it. */
static enum gs_rc judge(char *text, const char *nonce, struct gs_err *err)
{
    const struct gw_jwt_expect expect = {.issuer = ISSUER, .audience = AUDIENCE, .nonce = nonce, .now_s = NOW};
    GS_AUTO(gw_jwt_freep) struct gw_jwt *t = NULL;
    enum gs_rc rc;

    *err = (struct gs_err){.rc = GS_OK};
    rc = gw_jwt_parse(text, strlen(text), &t, err);
    if (rc == GS_OK)
        rc = gw_jwt_judge(t, &expect, err);
    if (rc == GS_OK)
        rc = gw_jwt_verify(t, keys, err);
    assert_int_equal(rc, err->rc);
    assert_true(rc == GS_OK || err->text[0]);
    free(text);
    return rc;
}

static int setup(void **state)
{
    struct gs_buf b;

    (void)state;
    rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    other_rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    gs_buf_init(&b, 1 << 16);
    gs_buf_puts(&b, "{\"keys\":[");
    put_jwk(&b, rsa, ",\"kid\":\"r\",\"use\":\"sig\"");
    gs_buf_putc(&b, ',');
    put_jwk(&b, ec, ",\"kid\":\"e\",\"alg\":\"ES256\"");
    gs_buf_puts(&b, "]}");
    keys = keys_of(gs_buf_str(&b));
    gs_buf_done(&b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    keys = gw_keys_unref(keys);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(ec);
    return 0;
}

/* ---- tests ---- */

/* RFC 7515, appendices A.2 and A.3: signatures that others made. */
static void reads_the_examples_of_the_standard(void **state)
{
    static const char body[] =
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    static const struct {
        const char *head, *signature, *jwks;
    } examples[] = {
        {"eyJhbGciOiJSUzI1NiJ9",
         "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
         "O8W2Fp5jujGbds9uJdbF9CUAr7t"
         "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
         "xi12j"
         "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
         "IoypGlUPQ"
         "Ge77Rw",
         "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
         "wWJcyQoTbji9k0l8W26mPddxHmf"
         "HQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
         "bSf63kpa"
         "SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
         "DWN"
         "moudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}]}"},
        {"eyJhbGciOiJFUzI1NiJ9",
         "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
         "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
        GS_AUTO(gw_jwt_freep) struct gw_jwt *t = NULL;
        GS_AUTO(gw_keys_unrefp) struct gw_keys *k = keys_of(examples[i].jwks);
        char text[2048];
        struct gs_err err = {.text = ""};

        snprintf(text, sizeof(text), "%s%s%s", examples[i].head, body, examples[i].signature);
        assert_int_equal(gw_jwt_parse(text, strlen(text), &t, &err), GS_OK);
        assert_int_equal(gw_jwt_verify(t, k, &err), GS_OK);
        assert_string_equal(gw_claim_text(gw_jwt_claims(t), "iss"), "joe");
        assert_true(gw_claim_true(gw_jwt_claims(t), "http://example.com/is_root"));
    }
}

static void takes_good_tokens(void **state)
{
    static const struct {
        EVP_PKEY **key;
        const char *head, *claims;
    } good[] = {
        {&rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD "}"},
        {&rsa, "{\"alg\":\"PS256\",\"kid\":\"r\",\"typ\":\"at+jwt\"}", "{" GOOD "}"},
        {&ec, "{\"alg\":\"ES256\",\"kid\":\"e\",\"typ\":\"application/AT+JWT\"}", "{" GOOD "}"},
        {&ec, "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", "{" GOOD "}"}, /* names no key: any that fits */
        {&rsa, "{\"alg\":\"RS256\",\"kid\":\"r\",\"jku\":\"https://evil.example/\",\"x5c\":[\"AA\"]}", "{" GOOD "}"},
        {&rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}",
         "{\"iss\":\"" ISSUER "\",\"aud\":[\"x\",\"" AUDIENCE "\"],\"sub\":\"ada\",\"exp\":1800000000.9}"},
        {&rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD ",\"nbf\":1800000060,\"azp\":\"some client\"}"},
        {&rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", /* within the leeway */
         "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":1799999941}"},
    };
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (judge(token(*good[i].key, good[i].head, good[i].claims), NULL, &err) != GS_OK)
            fail_msg("%s %s: %s", good[i].head, good[i].claims, err.text);
}

static void refuses_claims_that_do_not_hold(void **state)
{
    static const struct {
        const char *claims, *says;
    } bad[] = {
        {"{}", "another issuer"},
        {"{" GOOD ",\"iss\":1}", NULL}, /* the first of two counts */
        {"{\"iss\":\"" ISSUER "/\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":1800000300}", "another issuer"},
        {"{\"iss\":\"" ISSUER "\\u0000x\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":1800000300}",
         "another issuer"},
        {"{\"iss\":[\"" ISSUER "\"],\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":1800000300}", "another issuer"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"x\",\"sub\":\"ada\",\"exp\":1800000300}", "another audience"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[\"x\",\"" AUDIENCE "x\"],\"sub\":\"ada\",\"exp\":1800000300}",
         "another audience"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[[\"" AUDIENCE "\"]],\"sub\":\"ada\",\"exp\":1800000300}",
         "another audience"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":{\"0\":\"" AUDIENCE "\"},\"sub\":\"ada\",\"exp\":1800000300}",
         "another audience"},
        {"{\"iss\":\"" ISSUER "\",\"sub\":\"ada\",\"exp\":1800000300}", "another audience"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\"}", "does not say when it expires"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":\"1800000300\"}",
         "does not say when it expires"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":1e300}",
         "does not say when it expires"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":-1}",
         "does not say when it expires"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":1799999940}",
         "expired at 2027-01-15T07:59:00"},
        {"{" GOOD ",\"nbf\":1800000061}", "not valid yet"},
        {"{" GOOD ",\"nbf\":\"soon\"}", "not valid yet"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"ada\",\"exp\":1800000300,\"iat\":1800000061}",
         "in the future"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"exp\":1800000300}", "no subject"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"\",\"exp\":1800000300}", "no subject"},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":7,\"exp\":1800000300}", "no subject"},
    };
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        enum gs_rc rc = judge(token(rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", bad[i].claims), NULL, &err);

        if (rc != (bad[i].says ? GS_DENIED : GS_OK) || (bad[i].says && !strstr(err.text, bad[i].says)))
            fail_msg("%s: %d %s", bad[i].claims, rc, err.text);
    }
}

static void refuses_heads_that_play_tricks(void **state)
{
    static const struct {
        const char *head;
        enum gs_rc rc;
        const char *says;
    } bad[] = {
        {"{\"alg\":\"none\"}", GS_DENIED, "\"none\""},
        {"{\"alg\":\"None\",\"kid\":\"r\"}", GS_DENIED, "\"None\""},
        {"{\"alg\":\"HS256\",\"kid\":\"r\"}", GS_DENIED, "\"HS256\""},
        {"{\"alg\":\"RS512\",\"kid\":\"r\"}", GS_DENIED, "\"RS512\""},
        {"{\"alg\":\"rs256\",\"kid\":\"r\"}", GS_DENIED, "\"rs256\""},
        {"{\"alg\":[\"RS256\"],\"kid\":\"r\"}", GS_REJECT, "no algorithm"},
        {"{\"kid\":\"r\"}", GS_REJECT, "no algorithm"},
        {"{\"alg\":\"RS256\",\"kid\":\"e\"}", GS_DENIED, "does not fit"}, /* an EC key under an RSA name */
        {"{\"alg\":\"ES256\",\"kid\":\"r\"}", GS_DENIED, "does not fit"},
        {"{\"alg\":\"PS256\",\"kid\":\"e\"}", GS_DENIED, "does not fit"},
        {"{\"alg\":\"RS256\",\"kid\":\"s\"}", GS_GONE, "does not show"},
        {"{\"alg\":\"RS256\",\"kid\":\"\"}", GS_REJECT, "key id"},
        {"{\"alg\":\"RS256\",\"kid\":1}", GS_REJECT, "key id"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\\u0000s\"}", GS_REJECT, "key id"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"exp\"],\"exp\":1}", GS_DENIED, "crit"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"b64\"],\"b64\":false}", GS_DENIED, "crit"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":null}", GS_DENIED, "crit"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"logout+jwt\"}", GS_DENIED, "type"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":7}", GS_DENIED, "type"},
        {"[\"RS256\"]", GS_REJECT, "not an object"},
        {"{\"alg\":\"RS256\"", GS_REJECT, "not JSON"},
    };
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        enum gs_rc rc = judge(token(rsa, bad[i].head, "{" GOOD "}"), NULL, &err);

        if (rc != bad[i].rc || !strstr(err.text, bad[i].says))
            fail_msg("%s: %d %s", bad[i].head, rc, err.text);
    }
}

/* The classic: the public key, which everybody has, as the secret of an HMAC. */
static void takes_no_public_key_for_a_secret(void **state)
{
    struct gs_buf b, jwk;
    unsigned char mac[32];
    struct gs_err err;

    (void)state;
    gs_buf_init(&jwk, 1 << 16);
    put_jwk(&jwk, rsa, "");
    gs_buf_init(&b, 1 << 16);
    put_part(&b, "{\"alg\":\"HS256\",\"kid\":\"r\"}", 25);
    gs_buf_putc(&b, '.');
    put_part(&b, "{" GOOD "}", sizeof("{" GOOD "}") - 1);
    HMAC(EVP_sha256(), jwk.data, (int)jwk.len, (const unsigned char *)b.data, b.len, mac, NULL);
    gs_buf_putc(&b, '.');
    put_part(&b, mac, sizeof(mac));
    assert_int_equal(judge(gs_buf_steal(&b), NULL, &err), GS_DENIED);
    assert_non_null(strstr(err.text, "HS256"));
    gs_buf_done(&jwk);
}

static void refuses_wrong_signatures(void **state)
{
    static const char head[] = "{\"alg\":\"RS256\",\"kid\":\"r\"}", es_head[] = "{\"alg\":\"ES256\",\"kid\":\"e\"}";
    struct gs_err err;
    char *t, *dot, *other;

    (void)state;
    assert_int_equal(judge(token(other_rsa, head, "{" GOOD "}"), NULL, &err), GS_DENIED);
    assert_non_null(strstr(err.text, "signature"));
    /* Without a key's name it may be one that is not known yet. */
    assert_int_equal(judge(token(other_rsa, "{\"alg\":\"RS256\"}", "{" GOOD "}"), NULL, &err), GS_GONE);
    /* Another body behind the same signature. */
    t = token(rsa, head, "{" GOOD "}");
    other = token(rsa, head, "{" GOOD ",\"scope\":\"admin\"}");
    dot = strrchr(other, '.');
    assert_true(strlen(dot) >= strlen(strrchr(t, '.')));
    memcpy(dot, strrchr(t, '.'), strlen(strrchr(t, '.')) + 1);
    free(t);
    assert_int_equal(judge(other, NULL, &err), GS_DENIED);
    /* PKCS #1 where PSS is said. */
    t = token(rsa, "{\"alg\":\"RS256\",\"x\":\"PS256\",\"kid\":\"r\"}", "{" GOOD "}"); /* signed by PSS, named RS256 */
    assert_int_equal(judge(t, NULL, &err), GS_DENIED);
    /* None at all, one of zeros (CVE-2022-21449), one in DER. */
    assert_int_equal(judge(token(NULL, head, "{" GOOD "}"), NULL, &err), GS_REJECT);
    t = token(ec, es_head, "{" GOOD "}");
    memset(strrchr(t, '.') + 1, 'A', 86);
    assert_int_equal(judge(t, NULL, &err), GS_DENIED);
    t = token(ec, es_head, "{" GOOD "}");
    t[strlen(t) - 4] = '\0';
    assert_int_equal(judge(t, NULL, &err) == GS_OK, 0);
}

static void refuses_what_is_no_token(void **state)
{
    char *good = token(rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD "}"), *t, *long_claims;
    struct gs_err err;

    (void)state;
    static const char *const bad[] = {
        "", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.AA", "eyJhbGciOiJSUzI1NiJ9.e30", "x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(judge(gs_strdup(bad[i]), NULL, &err), GS_REJECT);
    /* Five parts: encrypted. */
    t = gs_alloc(strlen(good) + 10);
    snprintf(t, strlen(good) + 10, "%s.AA.AA", good);
    assert_int_equal(judge(t, NULL, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "encrypted"));
    /* Padding, the other alphabet, a line end, in each part. */
    for (const char *c = "=+/\n \x80"; *c; c++)
        for (size_t at = 4; at < strlen(good); at += strlen(good) / 3) {
            t = gs_strdup(good);
            t[at] = *c;
            assert_int_equal(judge(t, NULL, &err), GS_REJECT);
        }
    long_claims = gs_alloc(GW_JWT_MAX + sizeof(GOOD) + 32);
    memset(long_claims, 'x', GW_JWT_MAX);
    memcpy(long_claims, "{" GOOD ",\"x\":\"", sizeof("{" GOOD ",\"x\":\"") - 1);
    memcpy(long_claims + GW_JWT_MAX, "\"}", 3);
    assert_int_equal(judge(token(rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", long_claims), NULL, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "bytes"));
    free(long_claims);
    free(good);
}

static void holds_id_tokens_to_more(void **state)
{
    static const struct {
        const char *head, *claims, *says; /* null: fine */
    } cases[] = {
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD ",\"nonce\":\"n1\"}", NULL},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD ",\"nonce\":\"n1\",\"azp\":\"" AUDIENCE "\"}", NULL},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD "}", "nonce"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD ",\"nonce\":\"n2\"}", "nonce"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD ",\"nonce\":\"n\"}", "nonce"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD ",\"nonce\":\"n1\",\"azp\":\"other\"}", "another client"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}",
         "{\"iss\":\"" ISSUER "\",\"aud\":[\"x\",\"" AUDIENCE
         "\"],\"sub\":\"a\",\"exp\":1800000300,\"iat\":1,\"nonce\":\"n1\"}",
         "another client"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}",
         "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"a\",\"exp\":1800000300,\"nonce\":\"n1\"}",
         "when it was issued"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"at+jwt\"}", "{" GOOD ",\"nonce\":\"n1\"}", "access token"},
    };
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        enum gs_rc rc = judge(token(rsa, cases[i].head, cases[i].claims), "n1", &err);

        if (rc != (cases[i].says ? GS_DENIED : GS_OK) || (cases[i].says && !strstr(err.text, cases[i].says)))
            fail_msg("%s %s: %d %s", cases[i].head, cases[i].claims, rc, err.text);
    }
}

static size_t usable(const char *text)
{
    struct gw_keys *k = NULL;
    struct gs_err err;
    size_t n = 0;

    if (gw_keys_parse(text, strlen(text), &k, &err) == GS_OK)
        n = gw_keys_count(k);
    gw_keys_unref(k);
    return n;
}

static void leaves_out_keys_of_no_use(void **state)
{
    static const char *const more[] = {",\"use\":\"enc\"", ",\"alg\":\"RS512\"", ",\"alg\":\"ES256\"",
                                       ",\"alg\":\"HS256\""};
    EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    EVP_PKEY *p384 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 1 << 16);
    gs_buf_puts(&b, "{\"keys\":[1,null,{},{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"RSA\"},{\"kty\":\"RSA\",\"n\":"
                    "\"AQAB\",\"e\":\"AQAB\"},"
                    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"},");
    for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
        put_jwk(&b, rsa, more[i]);
        gs_buf_putc(&b, ',');
    }
    put_jwk(&b, small, "");
    gs_buf_puts(&b, "]}");
    assert_int_equal(usable(gs_buf_str(&b)), 0);
    b.len -= 2;
    gs_buf_putc(&b, ',');
    put_jwk(&b, rsa, ",\"alg\":\"PS256\"");
    gs_buf_puts(&b, "]}");
    assert_int_equal(usable(gs_buf_str(&b)), 1);
    /* A point that is not on the curve: y of another one. */
    assert_int_equal(
        usable("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
               "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}"),
        0);
    assert_int_equal(usable("{\"keys\":{}}"), 0);
    assert_int_equal(usable("[]"), 0);
    assert_int_equal(usable(""), 0);
    gs_buf_done(&b);
    EVP_PKEY_free(small);
    EVP_PKEY_free(p384);
}

static void keeps_no_more_keys_than_it_says(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 1 << 20);
    gs_buf_puts(&b, "{\"keys\":[");
    for (int i = 0; i < 2 * GW_JWKS_KEYS_MAX; i++) {
        put_jwk(&b, ec, "");
        gs_buf_putc(&b, i + 1 < 2 * GW_JWKS_KEYS_MAX ? ',' : ']');
    }
    gs_buf_putc(&b, '}');
    assert_int_equal(usable(gs_buf_str(&b)), GW_JWKS_KEYS_MAX);
    gs_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_examples_of_the_standard), cmocka_unit_test(takes_good_tokens),
        cmocka_unit_test(refuses_claims_that_do_not_hold),    cmocka_unit_test(refuses_heads_that_play_tricks),
        cmocka_unit_test(takes_no_public_key_for_a_secret),   cmocka_unit_test(refuses_wrong_signatures),
        cmocka_unit_test(refuses_what_is_no_token),           cmocka_unit_test(holds_id_tokens_to_more),
        cmocka_unit_test(leaves_out_keys_of_no_use),          cmocka_unit_test(keeps_no_more_keys_than_it_says),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
