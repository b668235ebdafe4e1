/* Base64url, JSON Web Tokens that we sign (RFC 7515, RS256 by OpenSSL), forms. */
#include "common/jose.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"

#define KEY_BITS_MIN 2048
#define KEY_BITS_MAX 8192
#define HEAD_MAX     1024

GS_AUTO_DEFINE(BIO, bio_free, BIO_free_all)
GS_AUTO_DEFINE(EVP_PKEY, pkey_free, EVP_PKEY_free)
GS_AUTO_DEFINE(EVP_MD_CTX, md_free, EVP_MD_CTX_free)

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t gs_base64url_encode(const void *src, size_t len, char *dst)
{
    const unsigned char *p = src;
    size_t n = 0;

    for (; len > 0; p += 3) {
        size_t part = len < 3 ? len : 3;
        unsigned v = (unsigned)p[0] << 16 | (part > 1 ? (unsigned)p[1] << 8 : 0) | (part > 2 ? (unsigned)p[2] : 0);

        for (size_t i = 0; i <= part; i++)
            dst[n++] = digits[v >> (18 - 6 * i) & 63];
        len -= part;
    }
    dst[n] = '\0';
    return n;
}

static int digit(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

bool gs_base64url_decode(const char *src, size_t len, void *dst, size_t size, size_t *ret_len)
{
    unsigned char *out = dst;
    unsigned bits = 0, held = 0;
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int d = digit(src[i]);

        if (d < 0)
            return false;
        bits = (bits << 6 | (unsigned)d) & 0xffff;
        held += 6;
        if (held < 8)
            continue;
        if (n == size)
            return false;
        held -= 8;
        out[n++] = (unsigned char)(bits >> held);
    }
    /* Six bits left over are a digit too many; others must be zero, or several texts would mean the same. */
    if (held == 6 || (bits & ((1u << held) - 1)) != 0)
        return false;
    *ret_len = n;
    return true;
}

void gs_percent_encode(struct gs_buf *b, const char *s)
{
    for (; *s; s++) {
        if (digit(*s) >= 0 || *s == '.' || *s == '~')
            gs_buf_putc(b, *s);
        else
            gs_buf_printf(b, "%%%02X", (unsigned)(unsigned char)*s);
    }
}

void gs_form_add(struct gs_buf *b, const char *name, const char *value)
{
    if (b->len > 0 && b->data[b->len - 1] != '?')
        gs_buf_putc(b, '&');
    gs_percent_encode(b, name);
    gs_buf_putc(b, '=');
    gs_percent_encode(b, value);
}

/* ---- keys ---- */

/* A key that has a password is refused instead of asking for it at the terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

EVP_PKEY *gs_rsa_read(const char *pem, size_t len, struct gs_err *err)
{
    GS_AUTO(bio_freep) BIO *bio = len < INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    GS_AUTO(pkey_freep) EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

    if (!key && memmem(pem, len, "ENCRYPTED", strlen("ENCRYPTED")))
        gs_fail(err, GS_REJECT, "the private key has a password; give one without");
    else if (!key)
        gs_fail(err, GS_REJECT, "the private key is not in PEM (-----BEGIN PRIVATE KEY-----)");
    else if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        gs_fail(err, GS_REJECT, "the private key is not of RSA");
    else if (EVP_PKEY_get_bits(key) < KEY_BITS_MIN || EVP_PKEY_get_bits(key) > KEY_BITS_MAX)
        gs_fail(err, GS_REJECT, "the private key has %d bits; %d to %d are accepted", EVP_PKEY_get_bits(key),
                KEY_BITS_MIN, KEY_BITS_MAX);
    else
        return gs_take(&key);
    return NULL;
}

void gs_rsa_fingerprint(EVP_PKEY *key, char dst[GS_FINGERPRINT])
{
    unsigned char *der = NULL, hash[32];
    int len = i2d_PUBKEY(key, &der);

    if (len <= 0 || EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL) != 1)
        abort(); /* memory is out */
    OPENSSL_free(der);
    memcpy(dst, "SHA256:", 8);
    gs_base64_encode(hash, sizeof(hash), dst + 7);
}

/* ---- tokens ---- */

static void put_part(struct gs_buf *b, const void *data, size_t len)
{
    char *room = gs_buf_room(b, 4 * ((len + 2) / 3) + 1);

    if (room)
        b->len += gs_base64url_encode(data, len, room);
}

static bool sign(EVP_PKEY *key, const char *text, size_t len, unsigned char **ret, size_t *ret_len)
{
    GS_AUTO(md_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();

    if (!md || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(md, NULL, ret_len, (const unsigned char *)text, len) != 1)
        return false;
    *ret = gs_alloc(*ret_len);
    return EVP_DigestSign(md, *ret, ret_len, (const unsigned char *)text, len) == 1;
}

enum gs_rc gs_jwt_sign(EVP_PKEY *key, const char *kid, const char *claims, struct gs_buf *ret, struct gs_err *err)
{
    GS_AUTO(gs_buf_done) struct gs_buf head;
    GS_AUTO(gs_freep) unsigned char *signature = NULL;
    size_t start = ret->len, len = 0;

    gs_buf_init(&head, HEAD_MAX);
    gs_buf_puts(&head, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
    if (kid) {
        gs_buf_puts(&head, ",\"kid\":");
        gs_buf_put_json(&head, kid, strlen(kid));
    }
    gs_buf_putc(&head, '}');
    put_part(ret, head.data, head.len);
    gs_buf_putc(ret, '.');
    put_part(ret, claims, strlen(claims));
    if (!head.overflow && !ret->overflow && sign(key, ret->data + start, ret->len - start, &signature, &len)) {
        gs_buf_putc(ret, '.');
        put_part(ret, signature, len);
        if (!ret->overflow)
            return GS_OK;
    }
    return gs_fail(err, GS_REJECT, "the private key cannot sign");
}
