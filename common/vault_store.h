/* Data keys in the database, for those who store secrets: the command line and the gateway. The vault itself (vault.h)
 * knows no database. */
#ifndef GS_VAULT_STORE_H
#define GS_VAULT_STORE_H

#include "common/vault.h"

#include <libpq-fe.h>

/* The caller's own way to ask: parameters and results are text; null: failed, and the caller knows how. */
struct gs_vault_db {
    PGresult *(*query)(void *arg, const char *sql, int n, const char *const *params);
    void *arg;
};

/* The newest data key of the organisation in the category, opened; made when there is none. Inside the caller's
 * transaction. GS_RETRY: query() failed. Anything else: err says what. Wipe the key with gs_data_key_done(). */
enum gs_rc gs_data_key_load(const struct gs_vault_db *db, const struct gs_keyring *ring, const char *org,
                            enum gs_category category, struct gs_data_key *ret, struct gs_err *err) GS_MUST_CHECK;

/* gs_secret_seal() as a bytea parameter ("\x4753..."), owned; null: err says why. */
char *gs_secret_seal_text(const struct gs_data_key *d, const char *place, const void *src, size_t len,
                          struct gs_err *err);

#endif
