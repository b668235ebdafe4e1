/* Who a request says it is from, and the settings of signing in. */
#include "services/gateway/auth.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/str.h"
#include "services/gateway/auth_private.h"
#include "services/gateway/auth_text.h"
#include "services/gateway/settings.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

struct gw_auth_settings gw_auth_settings;
#define S gw_auth_settings

const struct gs_env gw_auth_env[] = {
    {"GOALSYNC_OIDC_ISSUER", GS_ENV_STRING, &S.issuer, "", 0, 0,
     "the sign-in service (OpenID Connect), as it calls itself; empty: API tokens only"},
    {"GOALSYNC_OIDC_CLIENT_ID", GS_ENV_STRING, &S.client_id, "", 0, 0,
     "as which the sign-in service knows goalsync; empty: no sign-in in browsers"},
    {"GOALSYNC_OIDC_CLIENT_SECRET", GS_ENV_SECRET, &S.client_secret, "", 0, 0, "empty: a public client, by PKCE alone"},
    {"GOALSYNC_OIDC_SCOPES", GS_ENV_STRING, &S.scopes, "openid email profile", 0, 0,
     "what a browser's sign-in asks for; openid must be among them"},
    {"GOALSYNC_OIDC_AUDIENCE", GS_ENV_STRING, &S.audience, "", 0, 0,
     "the audience of access tokens that programs send; empty: none are taken"},
    {"GOALSYNC_OIDC_SCOPE_PREFIX", GS_ENV_STRING, &S.scope_prefix, "", 0, 0,
     "what stands before read, write, admin and tenant in the scopes of access tokens"},
    {"GOALSYNC_OIDC_SUBJECT_CLAIM", GS_ENV_STRING, &S.subject_claim, "sub", 0, 0,
     "what identifies a person for good; oid for Entra ID"},
    {"GOALSYNC_OIDC_EMAIL_CLAIM", GS_ENV_STRING, &S.email_claim, "", 0, 0,
     "a claim that is trusted to hold the person's own address; empty: email, where email_verified is true"},
    {"GOALSYNC_OIDC_ADMIN_CLAIM", GS_ENV_STRING, &S.admin_claim, "", 0, 0,
     "a claim (groups, roles) that makes tenant administrators when it is or holds GOALSYNC_OIDC_ADMIN_VALUE"},
    {"GOALSYNC_OIDC_ADMIN_VALUE", GS_ENV_STRING, &S.admin_value, "", 0, 0, "see GOALSYNC_OIDC_ADMIN_CLAIM"},
    {"GOALSYNC_TENANT_ADMINS", GS_ENV_STRING, &S.tenant_admins, "", 0, 0,
     "e-mail addresses, with commas between; whoever signs in with one becomes a tenant administrator"},
    {"GOALSYNC_OIDC_CA_FILE", GS_ENV_STRING, &S.ca_file, "/etc/ssl/certs/ca-certificates.crt", 0, 0,
     "certificates that the sign-in service's must come from"},
    {"GOALSYNC_OIDC_ALLOW_PLAIN", GS_ENV_BOOL, &S.allow_plain, "no", 0, 0,
     "take http:// for a sign-in service on this very machine; for trying things out"},
    {"GOALSYNC_SESSION_IDLE", GS_ENV_SECONDS, &S.session_idle_us, "8h", 300, 2592000,
     "a browser's session ends when it is not used for so long"},
    {"GOALSYNC_SESSION_MAX", GS_ENV_SECONDS, &S.session_max_us, "7d", 300, 31536000, "and after this at the latest"},
    {"GOALSYNC_BOOTSTRAP_TOKEN_FILE", GS_ENV_STRING, &S.bootstrap_file, "", 0, 0,
     "where the first start leaves the token to begin with; empty: printed once"},
    GS_ENV_END,
};

/* ---- requests ---- */

static enum gs_rc read_token(const char *token, size_t len, struct gw_proof *ret, struct gs_err *err)
{
    if (!gs_token_intact(token, len))
        return gs_fail(err, GS_REJECT, "the API token is not whole: it was mistyped or cut; copy it again");
    ret->kind = GW_TOKEN;
    gs_token_hash(token, ret->hash);
    return GS_OK;
}

static enum gs_rc read_jwt(struct gs_db *db, const char *text, size_t len, struct gw_proof *ret, struct gs_err *err)
{
    const struct gw_jwt_expect expect = {.issuer = S.issuer, .audience = S.audience, .now_s = gs_now_us() / 1000000};
    GS_AUTO(gw_jwt_freep) struct gw_jwt *t = NULL;
    struct gw_identity who;
    enum gs_rc rc = gw_jwt_parse(text, len, &t, err);

    if (rc == GS_OK)
        rc = gw_jwt_judge(t, &expect, err);
    if (rc == GS_OK)
        rc = gw_issuer_verify(t, err);
    if (rc == GS_OK)
        rc = gw_identity_of(gw_jwt_claims(t), &who, err);
    if (rc == GS_OK)
        rc = gw_account_known(db, &who, &ret->account, err);
    if (rc != GS_OK)
        return rc;
    ret->kind = GW_JWT;
    ret->scopes = gw_scopes_of(gw_jwt_claims(t));
    return GS_OK;
}

/* Null: another scheme. */
static const char *bearer(const char *header, size_t *ret_len)
{
    size_t len;

    if (strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    header += 7;
    header += strspn(header, " ");
    len = strlen(header);
    while (len > 0 && header[len - 1] == ' ')
        len--;
    *ret_len = len;
    return header;
}

static enum gs_rc read_authorization(struct gs_db *db, const char *header, struct gw_proof *ret, struct gs_err *err)
{
    size_t len;
    const char *text = bearer(header, &len);

    if (!text)
        return gs_fail(err, GS_REJECT, "the header Authorization does not begin with \"Bearer \"");
    if (gs_str_starts(text, GS_TOKEN_PREFIX))
        return read_token(text, len, ret, err);
    if (!*S.issuer || !*S.audience)
        return gs_fail(err, GS_REJECT,
                       "this is no API token (they begin with " GS_TOKEN_PREFIX
                       "), and no sign-in service's access tokens are taken here");
    return read_jwt(db, text, len, ret, err);
}

enum gs_rc gw_auth_read(struct gs_db *db, const char *authorization, const char *cookie, struct gw_proof *ret,
                        struct gs_err *err)
{
    char session[GW_RANDOM_TEXT];

    *ret = (struct gw_proof){.kind = GW_NO_PROOF};
    if (authorization)
        return read_authorization(db, authorization, ret, err);
    if (cookie && gw_cookie_find(cookie, gw_session_cookie(), session, sizeof(session)) && gw_is_random_text(session)) {
        ret->kind = GW_SESSION;
        gw_sha256(session, ret->hash);
    }
    return GS_OK;
}

const char *gw_auth_shown(const char *authorization, const char *cookie, size_t *ret_len)
{
    if (authorization)
        return bearer(authorization, ret_len);
    return cookie ? gw_cookie_at(cookie, gw_session_cookie(), ret_len) : NULL;
}

/* ---- start ---- */

bool gw_auth_browsers(void)
{
    return *S.issuer && *S.client_id && *gw_settings.public_url;
}

static bool on_this_machine(const char *url)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        size_t len = strlen(hosts[i]);

        if (strncmp(url, hosts[i], len) == 0 && (url[len] == '\0' || strchr(":/", url[len])))
            return true;
    }
    return false;
}

static enum gs_rc check_public_url(struct gs_err *err)
{
    const char *url = gw_settings.public_url, *host = strstr(url, "://");
    bool plain = gs_str_starts(url, "http://");
    size_t len;

    if (!*url)
        return GS_OK;
    if ((!plain && !gs_str_starts(url, "https://")) || (plain && !on_this_machine(host + 3)))
        return gs_fail(
            err, GS_REJECT,
            "GOALSYNC_GATEWAY_PUBLIC_URL must begin with https:// (or http:// for a host that is this machine)");
    host += 3;
    len = strcspn(host, "/?#@\\ ");
    if (len == 0 || (host[len] && strcmp(host + len, "/") != 0))
        return gs_fail(err, GS_REJECT,
                       "GOALSYNC_GATEWAY_PUBLIC_URL must be a host, with a port or without, and no path");
    return GS_OK;
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    while (*(words += strspn(words, " ")) != '\0') {
        size_t n = strcspn(words, " ");

        if (n == len && memcmp(words, word, len) == 0)
            return true;
        words += n;
    }
    return false;
}

static enum gs_rc check_settings(struct gs_err *err)
{
    enum gs_rc rc = check_public_url(err);

    if (rc == GS_OK && *S.issuer)
        rc = gw_fetch_check_url("GOALSYNC_OIDC_ISSUER", S.issuer, err);
    if (rc != GS_OK)
        return rc;
    if (!*S.issuer && (*S.client_id || *S.audience))
        return gs_fail(err, GS_REJECT, "GOALSYNC_OIDC_CLIENT_ID or _AUDIENCE is set, and GOALSYNC_OIDC_ISSUER is not");
    if (*S.issuer && !*S.client_id && !*S.audience)
        return gs_fail(err, GS_REJECT,
                       "GOALSYNC_OIDC_ISSUER is of no use without GOALSYNC_OIDC_CLIENT_ID (browsers) or "
                       "GOALSYNC_OIDC_AUDIENCE (programs)");
    if (*S.client_id && !*gw_settings.public_url)
        return gs_fail(err, GS_REJECT,
                       "GOALSYNC_OIDC_CLIENT_ID needs GOALSYNC_GATEWAY_PUBLIC_URL: where browsers come back to");
    if (*S.client_id && !has_word(S.scopes, "openid"))
        return gs_fail(err, GS_REJECT, "GOALSYNC_OIDC_SCOPES must have openid among them");
    if (!*S.subject_claim)
        return gs_fail(err, GS_REJECT, "GOALSYNC_OIDC_SUBJECT_CLAIM is empty; its default is sub");
    if (!*S.admin_claim != !*S.admin_value)
        return gs_fail(err, GS_REJECT, "GOALSYNC_OIDC_ADMIN_CLAIM and GOALSYNC_OIDC_ADMIN_VALUE belong together");
    return GS_OK;
}

enum gs_rc gw_auth_start(struct gs_db *db, struct gs_err *err)
{
    enum gs_rc rc = check_settings(err);

    if (rc == GS_OK)
        rc = gw_bootstrap(db, err);
    if (rc != GS_OK || !*S.issuer)
        return rc;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return gs_fail(err, GS_FATAL, "libcurl cannot start");
    gw_issuer_start();
    if (gw_auth_browsers())
        gw_sign_ins_start();
    return GS_OK;
}

void gw_auth_stop(void)
{
    gw_fetch_stop();
    gw_sign_ins_stop();
    gw_issuer_stop();
}
