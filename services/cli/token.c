/* goalsync token: API tokens, made by the operator where nobody can sign in yet, or any more. A token is written to a
 * file once; the database has its hash. */
#include "services/cli/db.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include "common/mem.h"
#include "common/str.h"
#include "common/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAYS_DEFAULT = 90, DAYS_MAX = 365, SCOPES_MAX = 8, SCOPES_TEXT = 64, BYTEA_TEXT = 67 };

#define TOKEN_COLUMNS                                                                                                  \
    "t.public_id AS id, t.name, t.hint, coalesce(a.email, a.name) AS account, array_to_string(t.scopes, ' ') AS "      \
    "scopes, t.created_at, t.expires_at, t.last_used_at, t.revoked_at"

/* ---- whose it is ---- */

struct owner {
    char id[CLI_ID_TEXT], public_id[40];
    bool tenant_admin;
};

static enum cli_exit take_account(struct cli *c, const PGresult *r, struct owner *ret)
{
    if (cli_get_bool(r, 0, "away"))
        return cli_fail(c, CLI_REFUSED, "the account of %s is deactivated; an administrator can activate it again",
                        cli_get(r, 0, "called"));
    snprintf(ret->id, sizeof(ret->id), "%s", cli_get(r, 0, "id"));
    snprintf(ret->public_id, sizeof(ret->public_id), "%s", cli_get(r, 0, "public_id"));
    ret->tenant_admin = cli_get_bool(r, 0, "tenant_admin");
    return CLI_OK;
}

#define ACCOUNT_COLUMNS                                                                                                \
    "id, public_id, tenant_admin, deactivated_at IS NOT NULL AS away, coalesce(email, name) AS called"

/* Somebody who has not signed in has no account yet. What the operator says of an address counts as much as what a
 * sign-in service says: whoever signs in with it later finds this account. */
static enum cli_exit make_account(struct cli *c, const char *email, struct owner *ret)
{
    CLI_AUTO_RESULT known = cli_query(c,
                                      "SELECT name FROM person WHERE lower(email) = lower($1) AND deactivated_at IS "
                                      "NULL ORDER BY id LIMIT 1",
                                      CLI_WITH(email));
    if (!known)
        return c->code;
    if (PQntuples(known) == 0 && !cli_has(c, "tenant-admin"))
        return cli_fail(c, CLI_NOT_FOUND,
                        "nobody has the address %s; `goalsync person add --email %s` makes them a person of an "
                        "organisation",
                        email, email);
    CLI_AUTO_RESULT r = cli_query(
        c, "INSERT INTO account (email, name) VALUES (lower($1), coalesce($2, $1)) RETURNING " ACCOUNT_COLUMNS,
        CLI_WITH(email, PQntuples(known) ? PQgetvalue(known, 0, 0) : NULL));
    return r ? take_account(c, r, ret) : c->code;
}

static enum cli_exit find_account(struct cli *c, const char *email, struct owner *ret)
{
    CLI_AUTO_RESULT r =
        cli_query(c, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE email = lower($1) LIMIT 2", CLI_WITH(email));

    if (!r)
        return c->code;
    if (PQntuples(r) > 1)
        return cli_fail(c, CLI_REFUSED, "several accounts of the sign-in service have the address %s", email);
    return PQntuples(r) == 1 ? take_account(c, r, ret) : make_account(c, email, ret);
}

/* The one that the first start makes a token for; it is nobody's in particular. */
static enum cli_exit first_account(struct cli *c, struct owner *ret)
{
    CLI_AUTO_RESULT r = cli_query(
        c,
        "WITH found AS (SELECT " ACCOUNT_COLUMNS
        " FROM account WHERE issuer IS NULL AND email IS NULL AND tenant_admin "
        "AND deactivated_at IS NULL ORDER BY id LIMIT 1), made AS (INSERT INTO account (name, tenant_admin) SELECT "
        "'Bootstrap administrator', true WHERE NOT EXISTS (SELECT FROM found) RETURNING " ACCOUNT_COLUMNS
        ") TABLE found UNION ALL TABLE made",
        CLI_NO_PARAMS);

    return r ? take_account(c, r, ret) : c->code;
}

static enum cli_exit appoint(struct cli *c, struct owner *o)
{
    enum cli_exit rc = cli_exec(c, "UPDATE account SET tenant_admin = true WHERE id = $1", CLI_WITH(o->id));

    o->tenant_admin = true;
    return rc == CLI_OK ? cli_audit(c, NULL, "tenant.admin_appointed", "account", o->public_id) : rc;
}

static enum cli_exit find_owner(struct cli *c, struct owner *ret)
{
    const char *email = cli_opt(c, "email");
    enum cli_exit rc;

    if (!email && !cli_has(c, "tenant-admin"))
        return cli_fail(c, CLI_USAGE,
                        "say whose the token is with --email, or make one for the administrator of the "
                        "first start with --tenant-admin");
    rc = email ? find_account(c, email, ret) : first_account(c, ret);
    if (rc == CLI_OK && cli_has(c, "tenant-admin") && !ret->tenant_admin)
        rc = appoint(c, ret);
    /* The places that organisations keep for the address, as at a sign-in. */
    return rc == CLI_OK && email
               ? cli_exec(
                     c,
                     "UPDATE person p SET account_id = $1 WHERE lower(p.email) = lower($2) AND p.account_id IS NULL "
                     "AND p.deactivated_at IS NULL AND NOT EXISTS (SELECT FROM person q WHERE q.org_id = p.org_id "
                     "AND q.account_id = $1)",
                     CLI_WITH(ret->id, email))
               : rc;
}

/* ---- making ---- */

/* As PostgreSQL reads an array. */
static enum cli_exit read_scopes(struct cli *c, const struct owner *o, char ret[SCOPES_TEXT])
{
    static const char *const known[] = {"read", "write", "admin", "tenant"};
    enum { KNOWN = sizeof(known) / sizeof(known[0]) };
    size_t n = 0;

    for (int i = 0, k; cli_opt_at(c, "scope", i); i++) {
        for (k = 0; k < KNOWN && !gs_str_eq(known[k], cli_opt_at(c, "scope", i));)
            k++;
        if (k == KNOWN || i == SCOPES_MAX)
            return cli_fail(c, CLI_USAGE, "--scope is \"%s\"; it must be read, write, admin or tenant",
                            cli_opt_at(c, "scope", i));
        if (k == KNOWN - 1 && !o->tenant_admin)
            return cli_fail(c, CLI_REFUSED,
                            "the scope tenant is for tenant administrators; --tenant-admin makes them "
                            "one");
        n += (size_t)snprintf(ret + n, SCOPES_TEXT - n, "%c%s", n ? ',' : '{', known[k]);
    }
    if (n)
        snprintf(ret + n, SCOPES_TEXT - n, "}");
    else
        snprintf(ret, SCOPES_TEXT, "{read,write,admin%s}", cli_has(c, "tenant-admin") ? ",tenant" : "");
    return CLI_OK;
}

/* Never over something else, and readable by its owner alone from its first moment on. */
static enum cli_exit write_token(struct cli *c, const char *path, const char *token)
{
    int fd =
        gs_str_eq(path, "-") ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    char line[GS_TOKEN_LEN + 2];
    bool fine;

    if (fd < 0)
        return cli_fail(c, CLI_USAGE, "%s cannot be made: %s", path, strerror(errno));
    snprintf(line, sizeof(line), "%s\n", token);
    fine = write(fd, line, strlen(line)) == (ssize_t)strlen(line);
    gs_wipe(line, sizeof(line));
    if (fd != STDOUT_FILENO)
        fine = fsync(fd) == 0 && close(fd) == 0 && fine;
    return fine ? CLI_OK : cli_fail(c, CLI_FAILED, "%s cannot be written: %s", path, strerror(errno));
}

static enum cli_exit insert(struct cli *c, const struct owner *o, const char *token, char ret_id[40])
{
    static const struct cli_range days_range = {DAYS_DEFAULT, 1, DAYS_MAX};
    char hash[BYTEA_TEXT] = "\\x", hint[GS_TOKEN_HINT + 1], days[GS_INT_TEXT], scopes[SCOPES_TEXT];
    const char *name = cli_opt(c, "name");
    unsigned char bytes[32];
    int64_t n;
    enum cli_exit rc = cli_opt_int(c, "days", days_range, &n);

    if (rc == CLI_OK)
        rc = read_scopes(c, o, scopes);
    if (rc != CLI_OK)
        return rc;
    gs_token_hash(token, bytes);
    gs_hex_encode(bytes, sizeof(bytes), hash + 2);
    gs_int_format(n, days);
    snprintf(hint, sizeof(hint), "%.*s", GS_TOKEN_HINT, token);
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "INSERT INTO api_token (account_id, name, token_hash, hint, scopes, expires_at) VALUES "
                  "($1, $2, $3::bytea, $4, $5::text[], now() + make_interval(days => $6::int)) RETURNING "
                  "public_id",
                  CLI_WITH(o->id, name ? name : "made by the operator", hash, hint, scopes, days));
    if (!r)
        return c->code;
    snprintf(ret_id, 40, "%s", PQgetvalue(r, 0, 0));
    return cli_audit(c, NULL, "token.created", "token", ret_id);
}

static const char show_sql[] =
    "SELECT " TOKEN_COLUMNS " FROM api_token t JOIN account a ON a.id = t.account_id WHERE t.public_id = $1";

/* Written before the commit: a token without its file would be lost, a file without its token is removed. */
static enum cli_exit finish(struct cli *c, const char *token, const char *id)
{
    const char *path = cli_opt(c, "out");
    bool file = !gs_str_eq(path, "-");
    enum cli_exit rc = file ? write_token(c, path, token) : CLI_OK;
    bool made = file && rc == CLI_OK;

    if (rc == CLI_OK)
        rc = cli_commit(c);
    if (rc != CLI_OK) {
        if (made)
            unlink(path);
        return rc;
    }
    return file ? cli_show(c, "token", show_sql, id) : write_token(c, path, token);
}

static enum cli_exit run_create(struct cli *c)
{
    char token[GS_TOKEN_LEN + 1], id[40];
    struct owner owner = {0};
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc == CLI_OK)
        rc = find_owner(c, &owner);
    gs_token_new(token);
    if (rc == CLI_OK)
        rc = insert(c, &owner, token, id);
    if (rc == CLI_OK)
        rc = finish(c, token, id);
    gs_wipe(token, sizeof(token));
    return rc;
}

/* ---- seeing and revoking ---- */

static enum cli_exit run_list(struct cli *c)
{
    enum cli_exit rc = cli_db_open(c);

    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "SELECT " TOKEN_COLUMNS " FROM api_token t JOIN account a ON a.id = t.account_id WHERE "
                  "($1::text IS NULL OR a.email = lower($1)) AND ($2::text IS NOT NULL OR (t.revoked_at "
                  "IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()))) ORDER BY t.id",
                  CLI_WITH(cli_opt(c, "email"), cli_opt(c, "all")));
    return r ? cli_print_rows(c, "tokens", r, "There is none; make one with `goalsync token create`.") : c->code;
}

static enum cli_exit run_revoke(struct cli *c)
{
    const char *id = cli_arg(c, 0);
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "UPDATE api_token SET revoked_at = coalesce(revoked_at, now()) WHERE public_id::text = "
                  "$1 RETURNING public_id",
                  CLI_WITH(id));
    if (!r)
        return c->code;
    if (PQntuples(r) == 0)
        return cli_fail(c, CLI_NOT_FOUND, "there is no token \"%s\"; `goalsync token list` shows them", id);
    rc = cli_audit(c, NULL, "token.revoked", "token", PQgetvalue(r, 0, 0));
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_show(c, "token", show_sql, PQgetvalue(r, 0, 0)) : rc;
}

static const struct cli_option create_options[] = {
    {"email", "EMAIL", "whose it is: who signs in with that address later, is the same", 0},
    {"out", "FILE", "where it is written, once; \"-\" is standard output", CLI_REQUIRED},
    {"name", "TEXT", "what it is for", 0},
    {"scope", "SCOPE", "read, write, admin or tenant; default all they may have but tenant", CLI_MANY},
    {"days", "N", "how long it is good; default 90, at most 365", 0},
    {"tenant-admin", NULL, "makes them tenant administrator; without --email: the first start's", 0},
    {0},
};
static const struct cli_option list_options[] = {
    {"email", "EMAIL", "theirs only", 0},
    {"all", NULL, "those that are revoked or have expired, too", 0},
    {0},
};

const struct cli_command cli_token_commands[] = {
    {"create", "", "Makes a token for the API: for people where there is no sign-in service, or to get in again",
     create_options,
     "  goalsync token create --email ada@acme.example --out ada.token\n"
     "  goalsync --server https://goals.acme.example --token-file ada.token api me_get\n",
     run_create},
    {"list", "", "Lists the tokens that are good", list_options, NULL, run_list},
    {"revoke", "TOKEN", "Ends one at once", NULL, NULL, run_revoke},
    {0},
};
