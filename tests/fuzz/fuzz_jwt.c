// links: goalsync_gateway
/* Tokens and key sets of a sign-in service: whatever the bytes, nothing unsigned is taken, and a set with any key in it
 * is safe to check with. */
#include "services/gateway/auth_jwt.h"

#include "common/auto.h"
#include "services/gateway/auth_private.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of RFC 7515, appendix A.3. */
static const char jwks[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"1\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void on_word(void *arg, const char *word, size_t len)
{
    size_t *sum = arg;

    for (size_t i = 0; i < len; i++)
        *sum += (unsigned char)word[i];
}

static void try_token(const char *text, size_t len, const struct gw_keys *own)
{
    const struct gw_jwt_expect expect = {.issuer = "joe", .audience = "aud", .nonce = "n", .now_s = 1300819380};
    GS_AUTO(gw_jwt_freep) struct gw_jwt *t = NULL;
    struct gs_err err = {.text = ""};
    enum gs_rc rc = gw_jwt_parse(text, len, &t, &err);
    size_t sum = 0;

    MUST(rc == GS_OK || ((rc == GS_REJECT || rc == GS_DENIED) && err.text[0] && !t));
    if (rc != GS_OK)
        return;
    rc = gw_jwt_judge(t, &expect, &err);
    MUST(rc == GS_OK || rc == GS_DENIED);
    rc = gw_jwt_verify(t, own, &err);
    MUST(rc == GS_OK || rc == GS_DENIED || rc == GS_GONE);
    gw_claim_words(gw_jwt_claims(t), "scope", on_word, &sum);
    (void)gw_claim_has(gw_jwt_claims(t), "aud", "aud");
    (void)gw_claim_true(gw_jwt_claims(t), "a/b~c");
}

/* A token, a line end, and a set of keys; either may be missing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_keys *fixed;
    const char *text = (const char *)data, *line = size ? memchr(text, '\n', size) : NULL;
    size_t len = line ? (size_t)(line - text) : size;
    GS_AUTO(gw_keys_unrefp) struct gw_keys *given = NULL;
    struct gs_err err;

    if (!fixed)
        MUST(gw_keys_parse(jwks, sizeof(jwks) - 1, &fixed, &err) == GS_OK);
    if (line && gw_keys_parse(line + 1, size - len - 1, &given, &err) == GS_OK)
        MUST(gw_keys_count(given) > 0 && gw_keys_count(given) <= GW_JWKS_KEYS_MAX);
    try_token(text, len, given ? given : fixed);
    return 0;
}
