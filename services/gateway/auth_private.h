/* Shared by the files that sign people and programs in; the rest of the gateway sees auth.h only. */
#ifndef GATEWAY_AUTH_PRIVATE_H
#define GATEWAY_AUTH_PRIVATE_H

#include "common/buf.h"
#include "common/db.h"
#include "common/json.h"
#include "common/token.h"
#include "services/gateway/auth.h"
#include "services/gateway/auth_jwt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define GW_ISSUER_ANSWER_MAX GW_JWKS_MAX /* bytes of any answer of the issuer */
#define GW_ISSUER_CONNECT_MS 3000
#define GW_ISSUER_TIMEOUT_MS 10000 /* of one request to the issuer */
#define GW_ISSUER_URL_MAX    2000
#define GW_ISSUER_REFRESH_S  600  /* description and keys are fetched anew */
#define GW_ISSUER_STALE_S    3600 /* and may be as old as this while they cannot be */
#define GW_ISSUER_RETRY_S    15   /* between attempts while the issuer fails, and between further refetches */
#define GW_ISSUER_REFETCHES  4    /* for keys that are not known, at once; then one each GW_ISSUER_RETRY_S */
#define GW_ISSUER_WAITERS    2    /* workers that wait for a fetch; the others answer at once */
#define GW_ISSUER_WAIT_MS    5000
#define GW_ISSUER_LOOKS      4      /* for one token at ever newer keys */
#define GW_SIGN_INS_MAX      100000 /* under way in browsers; far more than one address may begin in GW_SIGN_IN_S */
#define GW_SIGN_IN_S         600    /* from leaving for the issuer to coming back */
#define GW_SIGN_IN_THREADS   4
#define GW_SIGN_IN_QUEUE     64 /* that came back and wait for one of them */
#define GW_ACCOUNTS_KNOWN    1024
#define GW_ACCOUNT_KNOWN_S   300
#define GW_RETURN_TO_MAX     2000
#define GW_TENANT_ADMINS_MAX 65536 /* bytes of the list */

struct gw_auth_settings {
    char *issuer, *client_id, *client_secret, *audience, *scopes;
    char *email_claim, *subject_claim, *scope_prefix, *admin_claim, *admin_value, *tenant_admins;
    char *ca_file, *bootstrap_file;
    bool allow_plain;
    int64_t session_idle_us, session_max_us;
};
extern struct gw_auth_settings gw_auth_settings;

/* Browsers can sign in: there is an issuer, a client and an address to come back to. */
bool gw_auth_browsers(void);

/* ---- auth_scope.c ---- */

#define GW_SCOPES_TEXT 64
/* "{read,write}", as PostgreSQL reads an array. */
void gw_scopes_format(unsigned scopes, char dst[GW_SCOPES_TEXT]);

/* ---- auth_cookie.c ---- */

/* Browsers accept the prefix "__Host-" from https only. */
const char *gw_session_cookie(void);
const char *gw_sign_in_cookie(void);
/* The Set-Cookie header: max_age_s 0 takes it away. */
void gw_cookie_format(struct gs_buf *b, const char *name, const char *value, int64_t max_age_s);
/* A value among a Cookie header's, borrowed; null: none of that name. */
const char *gw_cookie_at(const char *header, const char *name, size_t *ret_len);
/* The same, copied; false: none of that name that fits. */
bool gw_cookie_find(const char *header, const char *name, char *dst, size_t size);
/* A path of this site, and nothing that a browser could read as another site's address. */
bool gw_return_to_valid(const char *s);

/* ---- auth_fetch.c: HTTP to the issuer; waits, on whichever thread calls ---- */

struct gw_fetch {
    const char *url;
    const char *form;            /* not null: POST */
    const char *user, *password; /* HTTP Basic; may be null */
    const char *bearer;          /* may be null */
};
/* Keeps TLS, sizes and times within bounds and follows nothing. GS_OK: an answer of whatever status came. */
enum gs_rc gw_fetch(const struct gw_fetch *f, struct gs_buf *ret_body, long *ret_status,
                    struct gs_err *err) GS_MUST_CHECK;
void gw_fetch_stop(void); /* those under way end, later ones fail at once */
/* Asked after the name was resolved. */
bool gw_fetch_address_allowed(bool plain, const struct sockaddr *a);
/* https, or http on this machine where the settings allow it. */
enum gs_rc gw_fetch_check_url(const char *what, const char *url, struct gs_err *err) GS_MUST_CHECK;

/* ---- auth_issuer.c: what the issuer says about itself, and its keys; fetched by a thread of its own ---- */

struct gw_issuer { /* strings are "" when it has none */
    char authorization[GW_ISSUER_URL_MAX], token[GW_ISSUER_URL_MAX], userinfo[GW_ISSUER_URL_MAX],
        end_session[GW_ISSUER_URL_MAX], jwks[GW_ISSUER_URL_MAX];
    bool says_iss;   /* in its answers to the browser (RFC 9207) */
    bool takes_post; /* the client's secret in the body only */
};
enum gs_rc gw_issuer_parse(const char *text, size_t len, struct gw_issuer *ret, struct gs_err *err) GS_MUST_CHECK;
void gw_issuer_start(void);
void gw_issuer_stop(void);
/* GS_RETRY: it cannot be reached. May wait, for GW_ISSUER_WAIT_MS, and only as one of GW_ISSUER_WAITERS. */
enum gs_rc gw_issuer_get(struct gw_issuer *ret, struct gs_err *err) GS_MUST_CHECK;
/* Checks the token's signature, with keys fetched anew when it names one that is not known. */
enum gs_rc gw_issuer_verify(const struct gw_jwt *t, struct gs_err *err) GS_MUST_CHECK;

/* ---- auth_account.c: from claims to accounts ---- */

struct gw_identity {
    const char *subject, *name; /* name may be null */
    const char *email;          /* null: none that can be trusted */
    bool tenant_admin;
};
/* Borrowed from the claims. GS_DENIED: the claim that is to be the subject is missing. */
enum gs_rc gw_identity_of(struct gs_json *claims, struct gw_identity *ret, struct gs_err *err) GS_MUST_CHECK;
unsigned gw_scopes_of(struct gs_json *claims);
/* Finds or makes the account. GS_DENIED: it is deactivated; GS_RETRY: the database. */
enum gs_rc gw_account_of(struct gs_db *db, const struct gw_identity *who, int64_t *ret,
                         struct gs_err *err) GS_MUST_CHECK;
/* The same, remembered for GW_ACCOUNT_KNOWN_S. */
enum gs_rc gw_account_known(struct gs_db *db, const struct gw_identity *who, int64_t *ret,
                            struct gs_err *err) GS_MUST_CHECK;

/* ---- auth_sign_in.c: browsers that come back ---- */

struct gw_sign_in;
/* Everything is copied; old_session may be null: a session that the new one replaces. */
struct gw_sign_in *gw_sign_in_new(const char *code, const char *verifier, const char *nonce, const char *return_to,
                                  const char *old_session);
/* For gw_later(): exchanges the code on a thread of its own, and finishes the call. */
void gw_sign_in_start(void *sign_in, struct gw_call *c);
void gw_sign_in_free(void *sign_in);
void gw_sign_ins_start(void);
void gw_sign_ins_stop(void);
/* Of this gateway, without a slash at its end; and of its /auth/callback. */
void gw_public_url(struct gs_buf *b);
void gw_redirect_uri(struct gs_buf *b);

/* ---- auth_bootstrap.c ---- */
enum gs_rc gw_bootstrap(struct gs_db *db, struct gs_err *err) GS_MUST_CHECK;

#endif
