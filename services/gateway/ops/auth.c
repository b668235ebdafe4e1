/* Signing in and out in a browser: OpenID Connect, authorization code with PKCE. */
#include "common/auto.h"
#include "common/str.h"
#include "services/gateway/auth_private.h"
#include "services/gateway/auth_text.h"
#include "services/gateway/ops.h"
#include "services/gateway/settings.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define LOCATION_MAX 16384
#define STATE_MAX    (2 * GW_RANDOM_TEXT)

/* What is kept is the hash of state and cookie together: the answer counts only in the browser that left, and what the
 * database holds is of no use to whoever reads it. */
static void hash_state(const char *state, const char *browser, char dst[GW_BYTEA_TEXT])
{
    char both[STATE_MAX + 1];
    unsigned char hash[32];

    snprintf(both, sizeof(both), "%s.%s", state, browser);
    gw_sha256(both, hash);
    gw_bytea(hash, dst);
}

static int no_browsers(struct gw_call *c)
{
    return gw_fail(
        c, 404, "no-sign-in",
        "Nobody can sign in with a browser here: the operator has named no sign-in service. Use an API token");
}

static int redirect(struct gw_call *c, int status, const char *location)
{
    gw_header_set(c, "Location", location);
    gw_header_set(c, "Cache-Control", "no-store");
    return gw_answer_text(c, status, "text/plain; charset=utf-8", "", 0);
}

static void set_cookie(struct gw_call *c, const char *name, const char *value, int64_t max_age_s)
{
    GS_AUTO(gs_buf_done) struct gs_buf b;

    gs_buf_init(&b, 1024);
    gw_cookie_format(&b, name, value, max_age_s);
    gw_header_set(c, "Set-Cookie", gs_buf_str(&b));
}

/* ---- leaving ---- */

struct leaving {
    char state[GW_RANDOM_TEXT], nonce[GW_RANDOM_TEXT], verifier[GW_RANDOM_TEXT], browser[GW_RANDOM_TEXT];
};

/* False: too many are under way already. */
static bool remember(struct gw_call *c, const struct leaving *l, const char *return_to, bool *ret_room)
{
    static const char sql[] =
        "INSERT INTO sign_in (state_hash, nonce, verifier, return_to, expires_at) "
        "SELECT $1::bytea, $2, $3, $4, now() + make_interval(secs => $5::bigint) "
        "WHERE (SELECT count(*) FROM (SELECT FROM sign_in LIMIT $6::bigint) x) < $6::bigint RETURNING true AS made";
    char hash[GW_BYTEA_TEXT], seconds[GS_INT_TEXT], most[GS_INT_TEXT];

    hash_state(l->state, l->browser, hash);
    gs_int_format(GW_SIGN_IN_S, seconds);
    gs_int_format(GW_SIGN_INS_MAX, most);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(hash, l->nonce, l->verifier, return_to, seconds, most));
    *ret_room = r && PQntuples(r) == 1;
    return r != NULL;
}

static void put_location(struct gs_buf *b, const char *endpoint, const struct leaving *l)
{
    GS_AUTO(gs_buf_done) struct gs_buf uri;
    unsigned char hash[32];
    char challenge[GW_RANDOM_TEXT];

    gs_buf_init(&uri, GW_ISSUER_URL_MAX);
    gw_redirect_uri(&uri);
    gw_sha256(l->verifier, hash);
    gw_base64url_encode(hash, sizeof(hash), challenge);
    gs_buf_puts(b, endpoint);
    if (!strchr(endpoint, '?'))
        gs_buf_putc(b, '?');
    gw_form_add(b, "response_type", "code");
    gw_form_add(b, "client_id", gw_auth_settings.client_id);
    gw_form_add(b, "redirect_uri", gs_buf_str(&uri));
    gw_form_add(b, "scope", gw_auth_settings.scopes);
    gw_form_add(b, "state", l->state);
    gw_form_add(b, "nonce", l->nonce);
    gw_form_add(b, "code_challenge", challenge);
    gw_form_add(b, "code_challenge_method", "S256");
}

static int auth_login(struct gw_call *c)
{
    const char *return_to = gw_param(c, "return_to"), *browser = gw_cookie(c, gw_sign_in_cookie());
    GS_AUTO(gs_buf_done) struct gs_buf location;
    struct gw_issuer issuer;
    struct leaving l;
    struct gs_err err;
    bool room;

    gs_buf_init(&location, LOCATION_MAX);
    if (!gw_auth_browsers())
        return no_browsers(c);
    if (!gw_return_to_valid(return_to))
        return gw_fail(c, 422, "invalid", "return_to must be a path of this site, like /goals");
    if (gw_issuer_get(&issuer, &err) != GS_OK)
        return gw_fail(c, 503, "sign-in-unavailable", "%s; try again in a moment", err.text);
    gw_random_text(l.state);
    gw_random_text(l.nonce);
    gw_random_text(l.verifier);
    gw_random_text(l.browser);
    if (browser && gw_is_random_text(browser)) /* signs in in another tab as well */
        snprintf(l.browser, sizeof(l.browser), "%s", browser);
    if (!remember(c, &l, return_to, &room))
        return gw_status(c);
    if (!room)
        return gw_fail(c, 503, "busy", "Too many people are signing in at the moment; try again in a minute");
    put_location(&location, issuer.authorization, &l);
    set_cookie(c, gw_sign_in_cookie(), l.browser, GW_SIGN_IN_S);
    return redirect(c, 302, gs_buf_str(&location));
}

/* ---- coming back ---- */

/* An answer that another issuer gave must not be taken to ours (RFC 9207). */
static int check_issuer(struct gw_call *c)
{
    const char *iss = gw_param(c, "iss");
    struct gw_issuer issuer;
    struct gs_err err;

    if (gw_issuer_get(&issuer, &err) != GS_OK)
        return gw_fail(c, 503, "sign-in-unavailable", "%s; try again in a moment", err.text);
    if (iss ? !gs_str_eq(iss, gw_auth_settings.issuer) : issuer.says_iss)
        return gw_fail(c, 403, "sign-in-refused",
                       "The answer is not from the sign-in service that was asked; sign in again");
    return 0;
}

static int refused_there(struct gw_call *c, const char *error)
{
    char clean[80];

    return gw_fail(c, 403, "sign-in-refused", "The sign-in service answered \"%s\"; sign in again",
                   gs_str_clean(clean, sizeof(clean), error, strlen(error)));
}

/* The row goes with this transaction's commit, before the code is used: neither works twice. */
static int auth_callback(struct gw_call *c)
{
    static const char sql[] = "DELETE FROM sign_in WHERE state_hash = $1::bytea AND expires_at > now() "
                              "RETURNING nonce, verifier, return_to";
    const char *code = gw_param(c, "code"), *state = gw_param(c, "state"), *error = gw_param(c, "error");
    const char *browser = gw_cookie(c, gw_sign_in_cookie());
    char hash[GW_BYTEA_TEXT];
    int status;

    if (!gw_auth_browsers())
        return no_browsers(c);
    status = check_issuer(c);
    if (status)
        return status;
    if (!browser || !gw_is_random_text(browser) || !gw_is_random_text(state))
        return gw_fail(c, 403, "sign-in-unknown", "This browser has not begun to sign in; begin at /auth/login");
    hash_state(state, browser, hash);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(hash));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_fail(c, 403, "sign-in-unknown", "This sign-in is over, or took too long; begin at /auth/login");
    if (error || !code)
        return refused_there(c, error ? error : "no code");
    return gw_later(c, gw_sign_in_start,
                    gw_sign_in_new(code, gs_db_get(r, 0, "verifier"), gs_db_get(r, 0, "nonce"),
                                   gs_db_get(r, 0, "return_to"), gw_cookie(c, gw_session_cookie())),
                    gw_sign_in_free);
}

/* ---- out ---- */

/* Out of the sign-in service as well, where it can be told (OpenID Connect RP-Initiated Logout). */
static void put_way_out(struct gs_buf *b)
{
    GS_AUTO(gs_buf_done) struct gs_buf back;
    struct gw_issuer issuer;
    struct gs_err err;

    if (!gw_auth_browsers() || gw_issuer_get(&issuer, &err) != GS_OK || !*issuer.end_session) {
        gs_buf_putc(b, '/');
        return;
    }
    gs_buf_init(&back, GW_ISSUER_URL_MAX);
    gw_public_url(&back);
    gs_buf_putc(&back, '/');
    gs_buf_puts(b, issuer.end_session);
    if (!strchr(issuer.end_session, '?'))
        gs_buf_putc(b, '?');
    gw_form_add(b, "client_id", gw_auth_settings.client_id);
    gw_form_add(b, "post_logout_redirect_uri", gs_buf_str(&back));
}

static int auth_logout(struct gw_call *c)
{
    static const char sql[] =
        "WITH s AS (DELETE FROM session WHERE id_hash = $1::bytea RETURNING account_id) "
        "INSERT INTO audit (actor, action, target) SELECT 'account:' || a.public_id, 'account.signed_out', "
        "'account:' || a.public_id FROM s JOIN account a ON a.id = s.account_id";
    const char *session = gw_cookie(c, gw_session_cookie());
    GS_AUTO(gs_buf_done) struct gs_buf out;
    unsigned char bytes[32];
    char hash[GW_BYTEA_TEXT];

    gs_buf_init(&out, LOCATION_MAX);
    if (!session)
        return redirect(c, 303, "/");
    gw_sha256(session, bytes);
    gw_bytea(bytes, hash);
    if (!gw_exec(c, sql, GS_WITH(hash)))
        return gw_status(c);
    set_cookie(c, gw_session_cookie(), "", 0);
    put_way_out(&out);
    return redirect(c, 303, gs_buf_str(&out));
}

const struct gw_op gw_ops_auth[] = {
    {"auth_login", auth_login},
    {"auth_callback", auth_callback},
    {"auth_logout", auth_logout},
    {0},
};
