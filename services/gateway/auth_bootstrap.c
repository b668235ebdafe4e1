/* The first way in: when nobody can administer the tenant, the start makes a token that can be changed for a lasting
 * one, once, and leaves it where the operator alone sees it. */
#include "common/auto.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/mem.h"
#include "services/gateway/auth_private.h"
#include "services/gateway/auth_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096

static const struct gs_log_ctx log_ctx = {.topic = "auth"};

/* One replica at a time; the lock ends with the transaction. */
static const char lock_sql[] = "SELECT pg_advisory_xact_lock(hashtext('goalsync bootstrap'))";

/* Nobody: no administrator has signed in, and no token that may administer (or become one that may) is alive. */
static const char needed_sql[] =
    "SELECT NOT EXISTS (SELECT FROM account WHERE tenant_admin AND issuer IS NOT NULL AND deactivated_at IS NULL) "
    "AND NOT gateway_tenant_token_alive() AS needed";

static const char account_sql[] =
    "WITH found AS (SELECT id FROM account WHERE issuer IS NULL AND email IS NULL AND tenant_admin AND deactivated_at "
    "IS NULL ORDER BY "
    "id LIMIT 1), "
    "made AS (INSERT INTO account (name, tenant_admin) SELECT 'Bootstrap administrator', true "
    "WHERE NOT EXISTS (SELECT FROM found) RETURNING id) "
    "SELECT set_config('goalsync.account', x.id::text, true) AS id FROM (TABLE found UNION ALL TABLE made) x";

static const char token_sql[] =
    "WITH t AS (INSERT INTO api_token (account_id, name, token_hash, hint, scopes, expires_at) "
    "VALUES ($1::bigint, 'first start', $2::bytea, $3, '{bootstrap}', now() + interval '24 hours') RETURNING "
    "public_id) "
    "INSERT INTO audit (actor, action, target, detail) "
    "SELECT 'service:gateway', 'token.created', 'token:' || public_id, '{\"scopes\": [\"bootstrap\"]}' FROM t";

static enum gs_rc database_failed(struct gs_db *db, struct gs_err *err)
{
    return gs_fail(err, gs_db_error(db)->rc, "the first token cannot be made: %s", gs_db_error(db)->text);
}

static enum gs_rc insert(struct gs_db *db, const char *token, struct gs_err *err)
{
    char hash[GW_BYTEA_TEXT], hint[GS_TOKEN_HINT + 1];
    unsigned char bytes[32];
    GS_AUTO_RESULT account = gs_db_query(db, account_sql, GS_NO_PARAMS);

    if (!account || PQntuples(account) != 1)
        return database_failed(db, err);
    gs_token_hash(token, bytes);
    gw_bytea(bytes, hash);
    snprintf(hint, sizeof(hint), "%.*s", GS_TOKEN_HINT, token);
    if (!gs_db_exec(db, token_sql, GS_WITH(gs_db_get(account, 0, "id"), hash, hint)))
        return database_failed(db, err);
    return GS_OK;
}

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* Whole or not at all, and readable by us alone from its first moment on. */
static enum gs_rc write_file(const char *token, struct gs_err *err)
{
    const char *path = gw_auth_settings.bootstrap_file;
    char text[GS_TOKEN_LEN + 2], temporary[PATH_MAX_BYTES];
    bool fine;
    int fd, n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

    if (n < 0 || (size_t)n >= sizeof(temporary))
        return gs_fail(err, GS_REJECT, "GOALSYNC_BOOTSTRAP_TOKEN_FILE is longer than %d bytes", PATH_MAX_BYTES - 8);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return gs_fail(err, GS_REJECT, "the file of GOALSYNC_BOOTSTRAP_TOKEN_FILE cannot be written: %s",
                       strerror(errno));
    snprintf(text, sizeof(text), "%s\n", token);
    fine = fchmod(fd, S_IRUSR | S_IWUSR) == 0 && write_all(fd, text, strlen(text));
    fine = close(fd) == 0 && fine && rename(temporary, path) == 0;
    gs_wipe(text, sizeof(text));
    if (fine)
        return GS_OK;
    gs_fail(err, GS_REJECT, "the file of GOALSYNC_BOOTSTRAP_TOKEN_FILE cannot be written: %s", strerror(errno));
    unlink(temporary);
    return GS_REJECT;
}

/* Before the commit: a file without its token in the database is made again at the next start, a token without its file
 * would lock everybody out. Standard output is told after it, for that cannot fail halfway. */
static enum gs_rc make(struct gs_db *db, const char *token, bool *ret_made, struct gs_err *err)
{
    GS_AUTO_RESULT locked = gs_db_query(db, lock_sql, GS_NO_PARAMS);
    GS_AUTO_RESULT needed = locked ? gs_db_query(db, needed_sql, GS_NO_PARAMS) : NULL;
    enum gs_rc rc;

    if (!needed)
        return database_failed(db, err);
    *ret_made = gs_db_get_bool(needed, 0, "needed");
    if (!*ret_made)
        return GS_OK;
    rc = insert(db, token, err);
    if (rc == GS_OK && *gw_auth_settings.bootstrap_file)
        rc = write_file(token, err);
    return rc;
}

static void tell(const char *token)
{
    if (*gw_auth_settings.bootstrap_file) {
        gs_log_info(&log_ctx, "bootstrap token made", "file=\"%s\" hours=24", gw_auth_settings.bootstrap_file);
        return;
    }
    printf("bootstrap token, good for 24 hours and for one use (POST /api/v1/bootstrap): %s\n", token);
    fflush(stdout);
}

/* Where the sign-in service makes administrators, there is another way in, and a powerful secret less. */
static bool others_can(void)
{
    return *gw_auth_settings.issuer && (*gw_auth_settings.tenant_admins || *gw_auth_settings.admin_claim);
}

enum gs_rc gw_bootstrap(struct gs_db *db, struct gs_err *err)
{
    char token[GS_TOKEN_LEN + 1];
    bool made = false;
    enum gs_rc rc;

    if (others_can())
        return GS_OK;
    gs_token_new(token);
    rc = gs_db_begin(db) ? make(db, token, &made, err) : database_failed(db, err);
    if (rc == GS_OK && !gs_db_commit(db))
        rc = database_failed(db, err);
    if (rc != GS_OK)
        gs_db_rollback(db);
    else if (made)
        tell(token);
    gs_wipe(token, sizeof(token));
    return rc;
}
