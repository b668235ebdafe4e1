/* Readers of the vault: sealed bytes and keyring texts. Nothing that was not sealed here may open. */
#include "common/vault.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_sealed(const uint8_t *data, size_t size)
{
    /* The key of the seeds: its bytes count up from 1. */
    struct gs_data_key key = {.id = "dk1"};
    struct gs_err err;
    unsigned char *dst = malloc(size + 1);
    size_t len;
    for (unsigned i = 0; i < GS_KEY_BYTES; i++)
        key.key[i] = (unsigned char)(i + 1);
    if (!dst)
        abort();
    /* No forgery: whatever opens at this place must be one of the seeds, which all seal this text. */
    if (gs_secret_open(&key, "seed", data, size, dst, &len, &err) == GS_OK &&
        (len != 6 || memcmp(dst, "secret", 6) != 0))
        abort();
    if (gs_secret_open(&key, "elsewhere", data, size, dst, &len, &err) == GS_OK)
        abort();
    free(dst);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char id[GS_KEY_ID_MAX + 1], text[4096];
    struct gs_err err;
    if (size >= sizeof(text))
        return 0;
    if (gs_sealed_key_id(data, size, id, &err) == GS_OK && (strlen(id) == 0 || strlen(id) > GS_KEY_ID_MAX))
        abort();
    open_sealed(data, size);
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    struct gs_keyring *k = gs_keyring_parse(text, &err);
    if (k && strlen(gs_keyring_active(k)) == 0)
        abort();
    gs_keyring_free(k);
    return 0;
}
