/* Keyrings of all categories, and sealing for an operation. */
#include "services/gateway/vault.h"

#include "common/log.h"

#include <stdio.h>

static struct gs_keyring *rings[GS_CATEGORIES];

enum gs_rc gw_vault_start(struct gs_err *err)
{
    for (int i = 0; i < GS_CATEGORIES; i++) {
        rings[i] = gs_keyring_from_env((enum gs_category)i, err);
        if (!rings[i])
            return GS_REJECT;
    }
    return GS_OK;
}

void gw_vault_stop(void)
{
    for (int i = 0; i < GS_CATEGORIES; i++)
        rings[i] = gs_keyring_free(rings[i]);
}

const struct gs_keyring *gw_vault_keyring(enum gs_category category)
{
    return rings[category];
}

static PGresult *ask(void *arg, const char *sql, int n, const char *const *params)
{
    return gw_query(arg, sql, n, params);
}

struct gs_vault_db gw_vault_db(struct gw_call *c)
{
    return (struct gs_vault_db){ask, c};
}

/* Keys that do not fit together are the operator's trouble: the caller learns that much and no more. */
static int broken(struct gw_call *c, const struct gs_err *err)
{
    gs_log_error(NULL, "sealing failed", "request=%s error=\"%s\"", gw_request_id(c), err->text);
    return gw_fail(c, 503, "vault", "The secret cannot be sealed now; the operator finds the reason in the log");
}

int gw_vault_seal(struct gw_call *c, enum gs_category category, const char *place, const char *secret, size_t len,
                  struct gw_sealed *ret)
{
    const struct gs_vault_db db = gw_vault_db(c);
    struct gs_data_key key;
    struct gs_err err;
    enum gs_rc rc = gs_data_key_load(&db, rings[category], gw_who(c)->org, category, &key, &err);

    if (rc != GS_OK)
        return rc == GS_RETRY ? gw_status(c) : broken(c, &err);
    /* "dk12" is row 12 */
    snprintf(ret->data_key_id, sizeof(ret->data_key_id), "%.*s", GW_ID_TEXT - 1, key.id + 2);
    ret->bytes = gs_secret_seal_text(&key, place, secret, len, &err);
    gs_data_key_done(&key);
    return ret->bytes ? 0 : broken(c, &err);
}
