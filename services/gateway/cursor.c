/* Sealing what others keep for us. The format: nonce, ciphertext, tag. */
#include "services/gateway/cursor.h"

#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

enum { NONCE = 12, TAG = 16, KEY = 32, CURSOR_MAX = 4096 };

static unsigned char key[KEY];

void gw_cursor_init(const char *secret)
{
    static const char label[] = "goalsync gateway 1:";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) && EVP_DigestUpdate(ctx, label, sizeof(label)) &&
              EVP_DigestUpdate(ctx, secret, strlen(secret)) && EVP_DigestFinal_ex(ctx, key, NULL);

    assert(ok);
    EVP_MD_CTX_free(ctx);
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const void *data, size_t len, const char *place, unsigned char *out)
{
    int n;

    return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, out) &&
           EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)place, (int)strlen(place)) &&
           EVP_EncryptUpdate(ctx, out + NONCE, &n, data, (int)len) && EVP_EncryptFinal_ex(ctx, out + NONCE + n, &n) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, out + NONCE + len);
}

void gw_seal(const void *data, size_t len, const char *place, struct gs_buf *b)
{
    char *out = gs_buf_room(b, NONCE + len + TAG);
    EVP_CIPHER_CTX *ctx;
    bool ok;

    if (!out)
        return; /* the buffer says that it is full */
    ok = RAND_bytes((unsigned char *)out, NONCE) == 1;
    ctx = EVP_CIPHER_CTX_new();
    ok = ok && ctx && encrypt(ctx, data, len, place, (unsigned char *)out);
    EVP_CIPHER_CTX_free(ctx);
    assert(ok);
    b->len += NONCE + len + TAG;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const unsigned char *in, size_t len, const char *place, unsigned char *out)
{
    unsigned char tag[TAG];
    int n;

    memcpy(tag, in + NONCE + len, TAG);
    return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, in) &&
           EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)place, (int)strlen(place)) &&
           EVP_DecryptUpdate(ctx, out, &n, in + NONCE, (int)len) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) && EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
}

bool gw_unseal(const void *sealed, size_t len, const char *place, struct gs_buf *ret)
{
    EVP_CIPHER_CTX *ctx;
    char *out;
    bool ok;

    if (len < NONCE + TAG || len > INT32_MAX)
        return false;
    len -= NONCE + TAG;
    out = gs_buf_room(ret, len + 1);
    ctx = out ? EVP_CIPHER_CTX_new() : NULL;
    ok = ctx && decrypt(ctx, sealed, len, place, (unsigned char *)out);
    EVP_CIPHER_CTX_free(ctx);
    if (ok)
        ret->len += len;
    if (out)
        ret->data[ret->len] = '\0';
    return ok;
}

/* ---- as text ---- */

/* Base64 for addresses: RFC 4648 section 5, without padding. */
static void to_url(char *s)
{
    for (; *s && *s != '='; s++)
        *s = *s == '+' ? '-' : *s == '/' ? '_' : *s;
    *s = '\0';
}

static bool from_url(const char *s, char dst[CURSOR_MAX * 2])
{
    size_t len = strlen(s);

    if (len > CURSOR_MAX || len % 4 == 1)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '+' || s[i] == '/' || s[i] == '=')
            return false;
        dst[i] = s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i];
    }
    while (len % 4)
        dst[len++] = '=';
    dst[len] = '\0';
    return true;
}

bool gw_cursor_seal(const char *text, const char *place, struct gs_buf *b)
{
    char encoded[CURSOR_MAX * 2];
    struct gs_buf sealed;

    gs_buf_init(&sealed, CURSOR_MAX / 4 * 3);
    gw_seal(text, strlen(text), place, &sealed);
    if (!sealed.overflow) {
        gs_base64_encode(sealed.data, sealed.len, encoded);
        to_url(encoded);
        gs_buf_puts(b, encoded);
    }
    bool fits = !sealed.overflow;
    gs_buf_done(&sealed);
    return fits;
}

bool gw_cursor_open(const char *sealed, const char *place, struct gs_buf *ret_text)
{
    char encoded[CURSOR_MAX * 2];
    unsigned char raw[CURSOR_MAX];
    size_t len;

    return from_url(sealed, encoded) && gs_base64_decode(encoded, strlen(encoded), raw, sizeof(raw), &len) &&
           gw_unseal(raw, len, place, ret_text) && !memchr(gs_buf_str(ret_text), '\0', ret_text->len);
}
