/* Readers of the vault: sealed bytes, data keys as the database has them, keyring texts. Nothing that was not sealed
 * here may open. */
#include "common/vault_store.h"

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

/* Of a data key there is one row: its id, and as a bytea what is fuzzed. Locks and updates give a row as well. */
static PGresult *query(void *arg, const char *sql, int n, const char *const *params)
{
    static char id[] = "id", sealed[] = "sealed", one[] = "1";
    PGresAttDesc columns[] = {{.name = id, .format = 0}, {.name = sealed, .format = 0}};
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    char *text = arg;

    (void)sql;
    (void)n;
    (void)params;
    if (!r || !PQsetResultAttrs(r, 2, columns) || !PQsetvalue(r, 0, 0, one, 1) ||
        !PQsetvalue(r, 0, 1, text, (int)strlen(text)))
        abort();
    return r;
}

static void load(char *text)
{
    static struct gs_keyring *ring;
    const struct gs_vault_db db = {.query = query, .arg = text};
    struct gs_data_key key;
    struct gs_err err = {.text = ""};

    if (!ring)
        ring = gs_keyring_parse("k1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", &err);
    if (!ring || gs_data_key_load(&db, ring, "1", GS_THIRD_PARTY, &key, &err) == GS_OK || !err.text[0])
        abort();
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
    load(text);
    struct gs_keyring *k = gs_keyring_parse(text, &err);
    if (k && strlen(gs_keyring_active(k)) == 0)
        abort();
    gs_keyring_free(k);
    return 0;
}
