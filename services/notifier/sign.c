/* Makes signatures. */
#include "services/notifier/sign.h"

#include "common/auto.h"
#include "common/str.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define PREFIX   "whsec_"
#define MAC_SIZE 32

enum gs_rc notifier_key_read(const char *text, size_t len, struct notifier_key *ret, struct gs_err *err)
{
    size_t prefix = sizeof PREFIX - 1;

    if (len < prefix || memcmp(text, PREFIX, prefix) != 0 ||
        !gs_base64_decode(text + prefix, len - prefix, ret->bytes, sizeof ret->bytes, &ret->len) ||
        ret->len < NOTIFIER_KEY_MIN)
        return gs_fail(err, GS_REJECT, "the secret is not \"" PREFIX "\" and Base64 of %d to %d bytes",
                       NOTIFIER_KEY_MIN, NOTIFIER_KEY_MAX);
    return GS_OK;
}

void notifier_sign(struct gs_buf *header, const struct notifier_key *key, const char *id, int64_t seconds,
                   const char *body, size_t len)
{
    unsigned char mac[MAC_SIZE];
    char text[4 * ((MAC_SIZE + 2) / 3) + 1];
    unsigned mac_len = 0;
    GS_AUTO(gs_buf_done) struct gs_buf said;

    gs_buf_init(&said, strlen(id) + len + 64);
    gs_buf_printf(&said, "%s.%" PRId64 ".", id, seconds);
    gs_buf_append(&said, body, len);
    const unsigned char *made =
        HMAC(EVP_sha256(), key->bytes, (int)key->len, (const unsigned char *)said.data, said.len, mac, &mac_len);
    assert(made && mac_len == MAC_SIZE && !said.overflow);
    gs_base64_encode(mac, MAC_SIZE, text);
    gs_buf_printf(header, "%sv1,%s", header->len ? " " : "", text);
}
