/* The keys under which the gateway seals what it is given to keep. It seals; nothing here opens a secret. */
#ifndef GATEWAY_VAULT_H
#define GATEWAY_VAULT_H

#include "common/vault_store.h"
#include "services/gateway/call.h"

/* Once at start, on the main thread, from gs_vault_env of every category. */
enum gs_rc gw_vault_start(struct gs_err *err) GS_MUST_CHECK;
void gw_vault_stop(void);
/* Never changes while the gateway runs: for any thread. */
const struct gs_keyring *gw_vault_keyring(enum gs_category category);
/* The call's own way to ask, for vault_store.h. A failure of it is gw_status()'s. */
struct gs_vault_db gw_vault_db(struct gw_call *c);

/* A secret sealed under the data key of the call's organisation, as parameters of a statement. */
struct gw_sealed {
    char data_key_id[GW_ID_TEXT];
    char *bytes; /* owned; null: none */
};
/* 0, or a status. */
int gw_vault_seal(struct gw_call *c, enum gs_category category, const char *place, const char *secret, size_t len,
                  struct gw_sealed *ret) GS_MUST_CHECK;

#endif
