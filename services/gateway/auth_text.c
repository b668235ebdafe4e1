/* Base64url, random values, hashes and forms for signing in. */
#include "services/gateway/auth_text.h"

#include "common/mem.h"
#include "common/str.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t gw_base64url_encode(const void *src, size_t len, char *dst)
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

bool gw_base64url_decode(const char *src, size_t len, void *dst, size_t size, size_t *ret_len)
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

void gw_random_text(char dst[GW_RANDOM_TEXT])
{
    unsigned char bytes[32];

    /* Without randomness nothing here is safe. */
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        abort();
    gw_base64url_encode(bytes, sizeof(bytes), dst);
    gs_wipe(bytes, sizeof(bytes));
}

bool gw_is_random_text(const char *s)
{
    unsigned char bytes[32];
    size_t len = strnlen(s, GW_RANDOM_TEXT), n;

    return gw_base64url_decode(s, len, bytes, sizeof(bytes), &n) && n == sizeof(bytes);
}

void gw_sha256(const char *text, unsigned char ret[32])
{
    if (EVP_Digest(text, strlen(text), ret, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

void gw_bytea(const unsigned char hash[32], char dst[GW_BYTEA_TEXT])
{
    dst[0] = '\\';
    dst[1] = 'x';
    gs_hex_encode(hash, 32, dst + 2);
}

void gw_percent_encode(struct gs_buf *b, const char *s)
{
    for (; *s; s++) {
        if (digit(*s) >= 0 || *s == '.' || *s == '~')
            gs_buf_putc(b, *s);
        else
            gs_buf_printf(b, "%%%02X", (unsigned)(unsigned char)*s);
    }
}

void gw_form_add(struct gs_buf *b, const char *name, const char *value)
{
    if (b->len > 0 && b->data[b->len - 1] != '?')
        gs_buf_putc(b, '&');
    gw_percent_encode(b, name);
    gs_buf_putc(b, '=');
    gw_percent_encode(b, value);
}
