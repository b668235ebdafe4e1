/* What signing in to others takes: base64url, JSON Web Tokens that we sign, forms. */
#ifndef GS_JOSE_H
#define GS_JOSE_H

#include "common/buf.h"
#include "common/rc.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

/* RFC 4648 section 5 without padding. Decode is strict: one text for each value. */
size_t gs_base64url_encode(const void *src, size_t len, char *dst); /* dst: 4 * ceil(len / 3) + 1 bytes */
bool gs_base64url_decode(const char *src, size_t len, void *dst, size_t size, size_t *ret_len);

/* name=value, percent-encoded, after an '&' when b holds something that does not end with '?'. */
void gs_form_add(struct gs_buf *b, const char *name, const char *value);
void gs_percent_encode(struct gs_buf *b, const char *s);

/* An RSA private key of 2048 to 8192 bits, PEM without a password; null: err says what it is instead, without repeating
 * it. Freed by EVP_PKEY_free(). */
EVP_PKEY *gs_rsa_read(const char *pem, size_t len, struct gs_err *err);
/* "SHA256:" and the base64 of the SHA-256 of the public key (SubjectPublicKeyInfo, DER). */
#define GS_FINGERPRINT 52
void gs_rsa_fingerprint(EVP_PKEY *key, char dst[GS_FINGERPRINT]);

/* Appends the compact form, signed by RS256. claims is a JSON object; kid may be null. */
enum gs_rc gs_jwt_sign(EVP_PKEY *key, const char *kid, const char *claims, struct gs_buf *ret,
                       struct gs_err *err) GS_MUST_CHECK;

#endif
