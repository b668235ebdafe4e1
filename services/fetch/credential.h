/* A connection's secret on its way into the database: read from what a person gave, sealed, stored. What comes out
 * again, in a worker, is in secret.h. */
#ifndef FETCH_CREDENTIAL_H
#define FETCH_CREDENTIAL_H

#include "common/vault_store.h"
#include "services/fetch/catalogue.h"

/* Fails, saying what the connector signs in with: {"token":"..."} or {"auth":"key","private_key":"..."} */
enum gs_rc fetch_credential_refuse(const struct fetch_connector *c, struct gs_err *err);
/* Whether its usual secret is a token and nothing else. */
bool fetch_credential_is_token(const struct fetch_connector *c);

/* The object of texts at pointer: exactly the members of one of the connector's ways to sign in, usable as such; "auth"
 * names it where it is not the usual one. ret receives the JSON to store (wipe it); errors repeat nothing of the
 * secret. */
enum gs_rc fetch_credential_read(const struct fetch_connector *c, struct gs_json *json, const char *pointer,
                                 struct gs_buf *ret, struct gs_err *err) GS_MUST_CHECK;
/* The same from the token alone. */
enum gs_rc fetch_credential_token(const struct fetch_connector *c, const char *token, struct gs_buf *ret,
                                  struct gs_err *err) GS_MUST_CHECK;

/* Stores it sealed as the connection's only credential, inside the caller's transaction; org and connection are ids.
 * GS_RETRY: db's query failed. Anything else: err says what. */
enum gs_rc fetch_credential_store(const struct gs_vault_db *db, const struct gs_keyring *ring,
                                  const struct fetch_entry *e, const char *org, const char *connection,
                                  const struct gs_buf *secret, struct gs_err *err) GS_MUST_CHECK;

#endif
