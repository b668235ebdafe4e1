/* From what the issuer claims of somebody to an account of ours. */
#include "services/gateway/auth_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 400 /* the database keeps 200 characters */
#define EMAIL_MAX      254

/* ---- who it is ---- */

static bool is_email(const char *s)
{
    const char *at = strchr(s, '@');

    if (!at || at == s || !at[1] || strchr(at + 1, '@') || strlen(s) > EMAIL_MAX)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* An address that nobody verified could be anybody's, and with it the places that organisations keep for it. */
static const char *trusted_email(struct gs_json *claims)
{
    const char *own = gw_auth_settings.email_claim, *email = NULL;

    if (*own)
        email = gw_claim_text(claims, own);
    else if (gw_claim_true(claims, "email_verified"))
        email = gw_claim_text(claims, "email");
    return email && is_email(email) ? email : NULL;
}

static bool is_named_admin(const char *email)
{
    const char *list = gw_auth_settings.tenant_admins;

    while (*(list += strspn(list, ", \t\r\n")) != '\0') {
        size_t len = strcspn(list, ", \t\r\n");

        if (strlen(email) == len && strncasecmp(email, list, len) == 0)
            return true;
        list += len;
    }
    return false;
}

enum gs_rc gw_identity_of(struct gs_json *claims, struct gw_identity *ret, struct gs_err *err)
{
    const char *subject = gw_claim_text(claims, gw_auth_settings.subject_claim);
    const char *name = gw_claim_text(claims, "name");

    if (!subject || !*subject || strlen(subject) > GW_JWT_SUB_MAX)
        return gs_fail(err, GS_DENIED, "the token has no claim %s, which GOALSYNC_OIDC_SUBJECT_CLAIM asks for",
                       gw_auth_settings.subject_claim);
    ret->subject = subject;
    ret->name = name ? name : gw_claim_text(claims, "preferred_username");
    ret->email = trusted_email(claims);
    ret->tenant_admin = (ret->email && is_named_admin(ret->email)) ||
                        (*gw_auth_settings.admin_claim &&
                         gw_claim_has(claims, gw_auth_settings.admin_claim, gw_auth_settings.admin_value));
    return GS_OK;
}

static void add_scope(void *arg, const char *word, size_t len)
{
    const char *prefix = gw_auth_settings.scope_prefix;
    size_t skip = strlen(prefix);
    char name[16];

    if (len < skip || memcmp(word, prefix, skip) != 0 || len - skip >= sizeof(name))
        return;
    memcpy(name, word + skip, len - skip);
    name[len - skip] = '\0';
    *(unsigned *)arg |= gw_scope(name) & GW_SCOPES_SESSION;
}

/* A person's roles say nothing of what the program that acts for them was allowed, so that they count only where a
 * program acts for itself: its token has no scopes at all. */
unsigned gw_scopes_of(struct gs_json *claims)
{
    unsigned scopes = 0;

    if (gw_claim_type(claims, "scope") == GS_JSON_MISSING && gw_claim_type(claims, "scp") == GS_JSON_MISSING)
        gw_claim_words(claims, "roles", add_scope, &scopes);
    gw_claim_words(claims, "scope", add_scope, &scopes);
    gw_claim_words(claims, "scp", add_scope, &scopes);
    return scopes;
}

/* ---- its account ---- */

static const char sign_in_sql[] = "SELECT gateway_sign_in($1, $2, $3, $4) AS id";

static const char appoint_sql[] =
    "WITH a AS (UPDATE account SET tenant_admin = true WHERE id = $1 AND NOT tenant_admin RETURNING public_id) "
    "INSERT INTO audit (actor, action, target, detail) "
    "SELECT 'service:gateway', 'tenant.admin_appointed', 'account:' || public_id, "
    "jsonb_build_object('by', 'the gateway''s settings') FROM a";

/* What the database says is for the operator, not for whoever calls. */
static enum gs_rc database_failed(struct gs_db *db, struct gs_err *err)
{
    const struct gs_log_ctx ctx = {.topic = "auth"};

    gs_log_warn(&ctx, "an account cannot be looked up", "state=%s error=\"%s\"", gs_db_error(db)->state,
                gs_db_error(db)->text);
    return gs_fail(err, GS_RETRY, "the account cannot be looked up; try again");
}

enum gs_rc gw_account_of(struct gs_db *db, const struct gw_identity *who, int64_t *ret, struct gs_err *err)
{
    char name[NAME_MAX_BYTES], id[GS_INT_TEXT];
    const char *called = who->name ? gs_str_clean(name, sizeof(name), who->name, strlen(who->name)) : NULL;
    GS_AUTO_RESULT r = gs_db_query(db, sign_in_sql, GS_WITH(gw_auth_settings.issuer, who->subject, who->email, called));

    if (!r)
        return database_failed(db, err);
    if (gs_db_is_null(r, 0, "id"))
        return gs_fail(err, GS_DENIED, "the account is deactivated; a tenant administrator can activate it again");
    *ret = gs_db_get_int(r, 0, "id");
    gs_int_format(*ret, id);
    if (who->tenant_admin && !gs_db_exec(db, appoint_sql, GS_WITH(id)))
        return database_failed(db, err);
    return GS_OK;
}

/* ---- remembered ones ---- */

/* Programs send their token with every request; what is remembered spares the database a write each time. Deactivation
 * is looked at with every request anyway. */
static struct {
    pthread_mutex_t mutex;
    struct known {
        unsigned char key[32];
        int64_t account, until_us; /* 0: empty */
    } slots[GW_ACCOUNTS_KNOWN];
} known = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Everything that finding the account depends on; a changed address or role is a new entry. */
static struct known *key_of(const struct gw_identity *who, unsigned char key[32])
{
    const char *const parts[] = {who->subject, who->email ? who->email : "", who->name ? who->name : "",
                                 who->tenant_admin ? "1" : ""};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint32_t at;

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        abort();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        EVP_DigestUpdate(ctx, parts[i], strlen(parts[i]) + 1);
    EVP_DigestFinal_ex(ctx, key, NULL);
    EVP_MD_CTX_free(ctx);
    memcpy(&at, key, sizeof(at));
    return &known.slots[at % GW_ACCOUNTS_KNOWN];
}

enum gs_rc gw_account_known(struct gs_db *db, const struct gw_identity *who, int64_t *ret, struct gs_err *err)
{
    unsigned char key[32];
    struct known *slot = key_of(who, key);
    int64_t found = 0;
    enum gs_rc rc;

    pthread_mutex_lock(&known.mutex);
    if (slot->until_us > gs_mono_us() && memcmp(slot->key, key, sizeof(key)) == 0)
        found = slot->account;
    pthread_mutex_unlock(&known.mutex);
    if (found) {
        *ret = found;
        return GS_OK;
    }
    rc = gw_account_of(db, who, &found, err);
    if (rc != GS_OK)
        return rc;
    pthread_mutex_lock(&known.mutex);
    memcpy(slot->key, key, sizeof(key));
    slot->account = found;
    slot->until_us = gs_mono_us() + GW_ACCOUNT_KNOWN_S * INT64_C(1000000);
    pthread_mutex_unlock(&known.mutex);
    *ret = found;
    return GS_OK;
}
