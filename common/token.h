/* API tokens: their text. A recognisable prefix lets scanners find leaked ones; the check digits let a mistyped one be
 * told from a revoked one without asking the database, which keeps their SHA-256 only. */
#ifndef GS_TOKEN_H
#define GS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

/* "gst_", 43 random digits of base 62 (256 bits), and 6 that check them. */
#define GS_TOKEN_PREFIX "gst_"
#define GS_TOKEN_LEN    53
#define GS_TOKEN_HINT   12 /* characters from the beginning that may be shown */

void gs_token_new(char dst[GS_TOKEN_LEN + 1]);
bool gs_token_intact(const char *token, size_t len);
void gs_token_hash(const char *token, unsigned char ret[32]);

#endif
