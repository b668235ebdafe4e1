/* The text of API tokens: random digits, and those that check them. */
#include "common/token.h"

#include "common/mem.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_LEN (sizeof(GS_TOKEN_PREFIX) - 1)
#define CHECK_LEN  6
#define RANDOM_LEN (GS_TOKEN_LEN - PREFIX_LEN - CHECK_LEN)

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Bytes of 248 and more are thrown away: 248 is four times 62, so that every digit is as likely as any other. */
static void random_digits(char *dst, size_t n)
{
    unsigned char bytes[64];

    while (n > 0) {
        /* Without randomness nothing here is safe. */
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

static void hash(const char *text, size_t len, unsigned char ret[32])
{
    if (EVP_Digest(text, len, ret, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

static void check_digits(const char *token, char dst[CHECK_LEN])
{
    unsigned char bytes[32];
    uint64_t v = 0;

    hash(token, PREFIX_LEN + RANDOM_LEN, bytes);
    for (int i = 0; i < 8; i++)
        v = v << 8 | bytes[i];
    for (int i = CHECK_LEN - 1; i >= 0; i--, v /= 62)
        dst[i] = digits[v % 62];
}

void gs_token_new(char dst[GS_TOKEN_LEN + 1])
{
    memcpy(dst, GS_TOKEN_PREFIX, PREFIX_LEN);
    random_digits(dst + PREFIX_LEN, RANDOM_LEN);
    check_digits(dst, dst + PREFIX_LEN + RANDOM_LEN);
    dst[GS_TOKEN_LEN] = '\0';
}

bool gs_token_intact(const char *token, size_t len)
{
    char check[CHECK_LEN];

    if (len != GS_TOKEN_LEN || strncmp(token, GS_TOKEN_PREFIX, PREFIX_LEN) != 0)
        return false;
    check_digits(token, check);
    return memcmp(token + PREFIX_LEN + RANDOM_LEN, check, CHECK_LEN) == 0;
}

void gs_token_hash(const char *token, unsigned char ret[32])
{
    hash(token, strlen(token), ret);
}
