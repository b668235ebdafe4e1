/* Strings from outside: numbers, UTF-8, hashes and the text forms of bytes. */
#include "common/str.h"

#include <string.h>

bool gs_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
    bool negative = *s == '-';
    int64_t v = 0;
    s += negative;
    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        int digit = *s - '0';
        /* Built downwards for negative numbers: INT64_MIN has no positive twin. */
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return false;
    }
    if (v < min || v > max)
        return false;
    *ret = v;
    return true;
}

size_t gs_int_format(int64_t v, char dst[GS_INT_TEXT])
{
    uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
    char reversed[GS_INT_TEXT];
    size_t digits = 0, n = 0;
    do
        reversed[digits++] = (char)('0' + m % 10);
    while (m /= 10);
    if (v < 0)
        dst[n++] = '-';
    while (digits > 0)
        dst[n++] = reversed[--digits];
    dst[n] = '\0';
    return n;
}

bool gs_str_eq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool gs_str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

size_t gs_utf8_char(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    if (len == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    size_t n = u[0] >= 0xc2 && u[0] <= 0xdf ? 2 : (u[0] & 0xf0) == 0xe0 ? 3 : u[0] >= 0xf0 && u[0] <= 0xf4 ? 4 : 0;
    if (n == 0 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    }
    /* Too long forms, surrogates, and what lies above U+10FFFF. */
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf0 && u[1] < 0x90) ||
        (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return n;
}

/* Characters that could end or redraw a line: C0, DEL, C1, the line and paragraph separators, and those that turn the
 * direction of text. n is the length gs_utf8_char() gave. */
static bool harmful(const unsigned char *u, size_t n)
{
    if (n == 1)
        return u[0] < 0x20 || u[0] == 0x7f;
    if (n == 2)
        return u[0] == 0xc2 && u[1] < 0xa0;
    if (n != 3 || u[0] != 0xe2)
        return false;
    return (u[1] == 0x80 && u[2] >= 0xa8 && u[2] <= 0xae) || (u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9);
}

char *gs_str_clean(char *dst, size_t size, const char *src, size_t len)
{
    static const char dots[] = "...";
    const size_t ndots = sizeof(dots) - 1;
    size_t out = 0, cut = 0; /* cut: where the dots go if the text turns out to be too long */
    if (size == 0)
        return dst;
    for (size_t i = 0; i < len;) {
        size_t n = gs_utf8_char(src + i, len - i);
        bool keep = n > 0 && !harmful((const unsigned char *)src + i, n);
        size_t width = keep ? n : 1;
        if (out + width > size - 1) {
            size_t room = size - 1 - cut;
            memcpy(dst + cut, dots, room < ndots ? room : ndots);
            out = cut + (room < ndots ? room : ndots);
            break;
        }
        if (keep)
            memcpy(dst + out, src + i, n);
        else
            dst[out] = '?';
        out += width;
        i += n ? n : 1;
        if (out + ndots <= size - 1)
            cut = out;
    }
    dst[out] = 0;
    return dst;
}

uint64_t gs_hash64(const void *data, size_t len, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (size_t i = 0; i < len; i++) {
        h ^= p[i];
        h *= UINT64_C(0x100000001b3);
    }
    /* FNV leaves the upper bits of short keys poor; slots are taken from them. */
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    h ^= h >> 33;
    return h;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void gs_base64_encode(const void *src, size_t len, char *dst)
{
    const unsigned char *p = src;
    for (; len > 0; p += 3, dst += 4) {
        size_t n = len < 3 ? len : 3;
        uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        dst[0] = base64_digits[v >> 18];
        dst[1] = base64_digits[v >> 12 & 63];
        dst[2] = n > 1 ? base64_digits[v >> 6 & 63] : '=';
        dst[3] = n > 2 ? base64_digits[v & 63] : '=';
        len -= n;
    }
    *dst = 0;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool gs_base64_decode(const char *src, size_t len, void *dst, size_t size, size_t *ret_len)
{
    unsigned char *out = dst;
    size_t pad = len >= 4 ? (size_t)(src[len - 1] == '=') + (src[len - 1] == '=' && src[len - 2] == '=') : 0;
    if (len % 4 != 0 || len / 4 * 3 - pad > size)
        return false;
    uint32_t v = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = i < len - pad ? base64_value(src[i]) : 0;
        if (digit < 0)
            return false;
        v = v << 6 | (uint32_t)digit;
        if (i % 4 != 3)
            continue;
        size_t bytes = i == len - 1 ? 3 - pad : 3;
        /* Bits that belong to no byte must be zero: one value has one text. */
        if (v & ((UINT32_C(1) << (8 * (3 - bytes))) - 1))
            return false;
        for (size_t k = 0; k < bytes; k++)
            out[n++] = (unsigned char)(v >> (16 - 8 * k));
        v = 0;
    }
    *ret_len = n;
    return true;
}

void gs_hex_encode(const void *src, size_t len, char *dst)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = src;
    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = digits[p[i] >> 4];
        dst[2 * i + 1] = digits[p[i] & 15];
    }
    dst[2 * len] = 0;
}
