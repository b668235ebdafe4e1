/* Strings from outside: numbers, cutting for logs. */
#ifndef GS_STR_H
#define GS_STR_H

#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole string, decimal, within [min, max]; nothing else is accepted. */
bool gs_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret);
#define GS_INT_TEXT 21                                  /* bytes that any int64_t needs as text */
size_t gs_int_format(int64_t v, char dst[GS_INT_TEXT]); /* returns the length; a fifth of snprintf's time */
bool gs_str_eq(const char *a, const char *b);           /* null equals only null */
bool gs_str_starts(const char *s, const char *prefix);

/* Length of the valid UTF-8 character at s, 1 to 4; 0 when there is none within len bytes. */
size_t gs_utf8_char(const char *s, size_t len);

/* Copies text from outside for a log line or an error: control characters and invalid UTF-8 become '?', cut at
 * size - 1 with "..." at the end. Returns dst. */
char *gs_str_clean(char *dst, size_t size, const char *src, size_t len);

/* 64-bit hash (FNV-1a, then mixed), the same on every machine and in every version: slots depend on it. */
uint64_t gs_hash64(const void *data, size_t len, uint64_t seed);

/* Base64 (RFC 4648 section 4). Decode returns false on anything that is not base64 or does not fit. */
void gs_base64_encode(const void *src, size_t len, char *dst); /* dst: 4 * ceil(len / 3) + 1 bytes */
bool gs_base64_decode(const char *src, size_t len, void *dst, size_t size, size_t *ret_len);
void gs_hex_encode(const void *src, size_t len, char *dst); /* dst: 2 * len + 1 bytes */

#endif
