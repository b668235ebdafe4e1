/* Bytes and texts that signing in passes around: base64url, random values, hashes, forms. */
#ifndef GATEWAY_AUTH_TEXT_H
#define GATEWAY_AUTH_TEXT_H

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* RFC 4648 section 5 without padding. Decode is strict: one text for each value. */
size_t gw_base64url_encode(const void *src, size_t len, char *dst); /* dst: 4 * ceil(len / 3) + 1 bytes */
bool gw_base64url_decode(const char *src, size_t len, void *dst, size_t size, size_t *ret_len);

#define GW_RANDOM_TEXT 44 /* 32 random bytes as base64url, and the zero byte */
void gw_random_text(char dst[GW_RANDOM_TEXT]);
bool gw_is_random_text(const char *s); /* has the form of one */

void gw_sha256(const char *text, unsigned char ret[32]);
#define GW_BYTEA_TEXT 67 /* "\x" and 64 digits, and the zero byte */
/* As PostgreSQL reads a bytea. */
void gw_bytea(const unsigned char hash[32], char dst[GW_BYTEA_TEXT]);

/* name=value, percent-encoded, after an '&' when b holds something that does not end with '?'. */
void gw_form_add(struct gs_buf *b, const char *name, const char *value);
void gw_percent_encode(struct gs_buf *b, const char *s);

#endif
