/* Signatures of Standard Webhooks (standardwebhooks.com): "v1," and the Base64 of HMAC-SHA-256 over id.time.body, one
 * for each secret that is valid, with spaces between. */
#ifndef NOTIFIER_SIGN_H
#define NOTIFIER_SIGN_H

#include "common/buf.h"
#include "common/rc.h"

#include <stddef.h>
#include <stdint.h>

#define NOTIFIER_KEY_MIN 24 /* bytes of a secret, as the specification has it */
#define NOTIFIER_KEY_MAX 64

struct notifier_key {
    unsigned char bytes[NOTIFIER_KEY_MAX];
    size_t len;
};

/* "whsec_" and Base64. GS_REJECT: it is not; the text is not repeated. Wipe with gs_wipe(). */
enum gs_rc notifier_key_read(const char *text, size_t len, struct notifier_key *ret, struct gs_err *err) GS_MUST_CHECK;

/* Appends the signature by one key to what header holds already. */
void notifier_sign(struct gs_buf *header, const struct notifier_key *key, const char *id, int64_t seconds,
                   const char *body, size_t len);

#endif
