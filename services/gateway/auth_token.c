/* API tokens of ours: their text. A recognisable prefix lets scanners find leaked ones; the check digits let a mistyped
 * one be told from a revoked one without asking the database. */
#include "common/mem.h"
#include "services/gateway/auth_private.h"
#include "services/gateway/auth_text.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_LEN (sizeof(GW_TOKEN_PREFIX) - 1)
#define CHECK_LEN  6
#define RANDOM_LEN (GW_TOKEN_LEN - PREFIX_LEN - CHECK_LEN)

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Bytes of 248 and more are thrown away: 248 is four times 62, so that every digit is as likely as any other. */
static void random_digits(char *dst, size_t n)
{
    unsigned char bytes[64];

    while (n > 0) {
        if (RAND_bytes(bytes, sizeof(bytes)) != 1)
            abort();
        for (size_t i = 0; i < sizeof(bytes) && n > 0; i++)
            if (bytes[i] < 248) {
                *dst++ = digits[bytes[i] % 62];
                n--;
            }
    }
    gs_wipe(bytes, sizeof(bytes));
}

static void check_digits(const char *token, char dst[CHECK_LEN])
{
    char text[GW_TOKEN_LEN];
    unsigned char hash[32];
    uint64_t v = 0;

    memcpy(text, token, PREFIX_LEN + RANDOM_LEN);
    text[PREFIX_LEN + RANDOM_LEN] = '\0';
    gw_sha256(text, hash);
    for (int i = 0; i < 8; i++)
        v = v << 8 | hash[i];
    for (int i = CHECK_LEN - 1; i >= 0; i--, v /= 62)
        dst[i] = digits[v % 62];
    gs_wipe(text, sizeof(text));
}

void gw_token_new(char dst[GW_TOKEN_LEN + 1])
{
    memcpy(dst, GW_TOKEN_PREFIX, PREFIX_LEN);
    random_digits(dst + PREFIX_LEN, RANDOM_LEN);
    check_digits(dst, dst + PREFIX_LEN + RANDOM_LEN);
    dst[GW_TOKEN_LEN] = '\0';
}

bool gw_token_intact(const char *token, size_t len)
{
    char check[CHECK_LEN];

    if (len != GW_TOKEN_LEN || strncmp(token, GW_TOKEN_PREFIX, PREFIX_LEN) != 0)
        return false;
    check_digits(token, check);
    return memcmp(token + PREFIX_LEN + RANDOM_LEN, check, CHECK_LEN) == 0;
}

/* ---- scopes ---- */

static const struct {
    const char *name;
    unsigned bit;
} scope_names[] = {{"read", GW_SCOPE_READ},     {"write", GW_SCOPE_WRITE},   {"admin", GW_SCOPE_ADMIN},
                   {"tenant", GW_SCOPE_TENANT}, {"values", GW_SCOPE_VALUES}, {"bootstrap", GW_SCOPE_BOOTSTRAP}};

static unsigned scope_named(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(scope_names) / sizeof(scope_names[0]); i++)
        if (strlen(scope_names[i].name) == len && memcmp(scope_names[i].name, name, len) == 0)
            return scope_names[i].bit;
    return 0;
}

unsigned gw_scope(const char *name)
{
    return scope_named(name, strlen(name));
}

unsigned gw_scopes(const char *array)
{
    unsigned scopes = 0;

    while (*(array += strspn(array, "{},")) != '\0') {
        size_t len = strcspn(array, "{},");

        scopes |= scope_named(array, len);
        array += len;
    }
    return scopes;
}

void gw_scopes_format(unsigned scopes, char dst[GW_SCOPES_TEXT])
{
    size_t n = 0;

    for (size_t i = 0; i < sizeof(scope_names) / sizeof(scope_names[0]); i++)
        if (scopes & scope_names[i].bit)
            n += (size_t)snprintf(dst + n, GW_SCOPES_TEXT - n, "%s%s", n ? "," : "{", scope_names[i].name);
    snprintf(dst + n, GW_SCOPES_TEXT - n, n ? "}" : "{}");
}
