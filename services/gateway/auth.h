/* Who a request says it is from: an API token, a browser's session, or a JWT of the sign-in service. */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "common/db.h"
#include "common/env.h"
#include "common/rc.h"
#include "services/gateway/call.h"

#include <stdbool.h>
#include <stdint.h>

extern const struct gs_env gw_auth_env[]; /* GOALSYNC_OIDC_ISSUER, _CLIENT_ID, _CLIENT_SECRET, _AUDIENCE ... */

enum gw_proof_kind { GW_NO_PROOF, GW_TOKEN, GW_SESSION, GW_JWT };
struct gw_proof {
    enum gw_proof_kind kind;
    unsigned char hash[32]; /* of the token or the session's value */
    int64_t account;        /* of a verified JWT */
    unsigned scopes;        /* enum gw_scope, of a verified JWT; those of a token are in its row */
};
/* Reads Authorization and Cookie (each may be null). A JWT is verified (signature by the issuer's keys, iss, aud, exp,
 * nbf, alg) and its account looked up by db or remembered. GS_REJECT: malformed; GS_DENIED: not valid (any more), with
 * a sentence that names no secret; GS_RETRY: the issuer's keys cannot be had. Runs on worker threads; thread-safe. */
enum gs_rc gw_auth_read(struct gs_db *db, const char *authorization, const char *cookie, struct gw_proof *ret,
                        struct gs_err *err) GS_MUST_CHECK;

/* What tells one caller from another in these headers, borrowed from them: the token or the session's value, however
 * else they are written. Nothing is checked. Null: they show nobody. */
const char *gw_auth_shown(const char *authorization, const char *cookie, size_t *ret_len);

/* "read" -> GW_SCOPE_READ; 0: no such scope. The second one reads PostgreSQL's text of an array: "{read,write}". */
unsigned gw_scope(const char *name);
unsigned gw_scopes(const char *array);

/* May a browser's session change things when the request's Origin header is this (null: it has none)? SameSite keeps
 * other sites out; this keeps out other hosts of the same site. */
bool gw_auth_origin_allowed(const char *origin);

/* Once at start, on the main thread, before any request; makes the bootstrap account and token on the first start of an
 * empty database. */
enum gs_rc gw_auth_start(struct gs_db *db, struct gs_err *err) GS_MUST_CHECK;
void gw_auth_stop(void);

#endif
