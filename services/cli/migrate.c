/* Applies the embedded migrations in order, each in a transaction of its own, under an advisory lock. */
#include "services/cli/migrate.h"

#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { CHECKSUM_TEXT = 65 };

static void checksum(const struct cli_migration *m, char dst[CHECKSUM_TEXT])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    EVP_Digest(m->sql, m->len, hash, &len, EVP_sha256(), NULL);
    gs_hex_encode(hash, len, dst);
}

static int newest(void)
{
    int version = 0;

    for (const struct cli_migration *m = cli_migrations; m->name; m++)
        version = m->version;
    return version;
}

/* Two at once: the second waits here, then finds everything applied. */
static enum cli_exit lock(struct cli *c)
{
    if (cli_exec(c, "SELECT set_config('lock_timeout', '60s', false), set_config('statement_timeout', '0', false)",
                 CLI_NO_PARAMS) != CLI_OK)
        return c->code;
    if (cli_exec(c, "SELECT pg_advisory_lock(hashtextextended('goalsync.migrate', 0))", CLI_NO_PARAMS) != CLI_OK)
        return c->code;
    return cli_exec(c,
                    "CREATE TABLE IF NOT EXISTS schema_migration (version int PRIMARY KEY, name text NOT NULL, "
                    "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
                    CLI_NO_PARAMS);
}

static enum cli_exit refuse_newer(struct cli *c, int64_t version)
{
    return cli_fail(
        c, CLI_REFUSED,
        "the database has migration %lld, and this goalsync (%s) knows none beyond %d; use the newer goalsync that "
        "migrated it",
        (long long)version, GOALSYNC_VERSION, newest());
}

static enum cli_exit check_applied(struct cli *c, const PGresult *applied)
{
    for (int i = 0; i < PQntuples(applied); i++) {
        const struct cli_migration *m = cli_migrations;
        char sum[CHECKSUM_TEXT];

        while (m->name && m->version != cli_get_int(applied, i, "version"))
            m++;
        if (!m->name)
            return refuse_newer(c, cli_get_int(applied, i, "version"));
        checksum(m, sum);
        if (strcmp(sum, cli_get(applied, i, "checksum")) != 0)
            return cli_fail(
                c, CLI_REFUSED,
                "migration %s was applied to this database with other contents; an applied migration must never be "
                "changed: use the goalsync that migrated it, or begin with an empty database",
                m->name);
    }
    return CLI_OK;
}

static bool is_applied(const PGresult *applied, int version)
{
    for (int i = 0; i < PQntuples(applied); i++)
        if (cli_get_int(applied, i, "version") == version)
            return true;
    return false;
}

static enum cli_exit apply(struct cli *c, const struct cli_migration *m)
{
    char version[CLI_ID_TEXT], sum[CHECKSUM_TEXT];
    enum cli_exit rc = cli_begin(c);
    PGresult *r;

    if (rc != CLI_OK)
        return rc;
    r = PQexec(c->db, m->sql); /* many statements: the simple protocol */
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
        char line[512];
        const char *message = PQresultErrorMessage(r);
        gs_str_clean(line, sizeof(line), message, strcspn(message, "\n"));
        PQclear(r);
        return cli_fail(c, CLI_REFUSED, "migration %s failed and was rolled back: %s", m->name, line);
    }
    PQclear(r);
    snprintf(version, sizeof(version), "%d", m->version);
    checksum(m, sum);
    rc = cli_exec(c, "INSERT INTO schema_migration (version, name, checksum) VALUES ($1, $2, $3)",
                  CLI_WITH(version, m->name, sum));
    return rc == CLI_OK ? cli_commit(c) : rc;
}

static const char applied_sql[] = "SELECT version, name, checksum, applied_at FROM schema_migration ORDER BY version";

static enum cli_exit run_migrate(struct cli *c)
{
    int applied_now = 0;
    enum cli_exit rc = cli_db_open_any(c);

    if (rc == CLI_OK)
        rc = lock(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT applied = cli_query(c, applied_sql, CLI_NO_PARAMS);
    if (!applied || check_applied(c, applied) != CLI_OK)
        return c->code;
    for (const struct cli_migration *m = cli_migrations; m->name; m++) {
        if (is_applied(applied, m->version))
            continue;
        rc = apply(c, m);
        if (rc != CLI_OK)
            return rc;
        applied_now++;
        if (!c->json)
            printf("Applied %s\n", m->name);
    }
    if (!c->json && applied_now == 0)
        printf("The schema is up to date (version %d).\n", newest());
    CLI_AUTO_RESULT all = c->json ? cli_query(c, applied_sql, CLI_NO_PARAMS) : NULL;
    return c->json ? (all ? cli_print_rows(c, "migrations", all, "") : c->code) : CLI_OK;
}

enum cli_exit cli_migrate_check(struct cli *c)
{
    CLI_AUTO_RESULT there = cli_query(c, "SELECT to_regclass('public.schema_migration') IS NOT NULL", CLI_NO_PARAMS);

    if (!there)
        return c->code;
    if (PQgetvalue(there, 0, 0)[0] == 'f')
        return cli_fail(c, CLI_USAGE, "the database has no goalsync schema yet; run `goalsync migrate`");
    CLI_AUTO_RESULT r =
        cli_query(c, "SELECT coalesce(max(version), 0) AS version FROM schema_migration", CLI_NO_PARAMS);
    if (!r)
        return c->code;
    if (cli_get_int(r, 0, "version") > newest())
        return refuse_newer(c, cli_get_int(r, 0, "version"));
    if (cli_get_int(r, 0, "version") < newest())
        return cli_fail(c, CLI_USAGE, "the database's schema is older than this goalsync (%s); run `goalsync migrate`",
                        GOALSYNC_VERSION);
    return CLI_OK;
}

const struct cli_command cli_migrate_commands[] = {
    {"", "", "Applies the schema's migrations that are missing; safe to run twice and at once", NULL,
     "  GOALSYNC_DATABASE_URL=postgresql://owner@db/goalsync goalsync migrate\n", run_migrate},
    {0},
};
