/* The command line's database: connecting, statements, and turning the server's refusals into exit codes. */
#include "services/cli/db.h"

#include "common/clock.h"
#include "common/pg.h"
#include "common/str.h"
#include "services/cli/migrate.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVER_VERSION_MIN = 130000, AUDIT_OPTION_MAX = 500 };

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/* libpq adds hints on lines of their own; the first line says it all. */
static const char *first_line(const char *message, char *dst, size_t size)
{
    return gs_str_clean(dst, size, message, strcspn(message, "\n"));
}

static enum cli_exit check_server(struct cli *c)
{
    int version = PQserverVersion(c->db);

    if (version < SERVER_VERSION_MIN)
        return cli_fail(
            c, CLI_REFUSED,
            "the PostgreSQL server is version %d, and goalsync needs 13 or newer; upgrade the server or point "
            "GOALSYNC_DATABASE_URL at another",
            version / 10000);
    return cli_exec(c,
                    "SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), "
                    "set_config('IntervalStyle', 'postgres', false), set_config('search_path', 'public', false), "
                    "set_config('statement_timeout', '60s', false)",
                    CLI_NO_PARAMS);
}

enum cli_exit cli_db_open_any(struct cli *c)
{
    const struct gs_env *const tables[] = {gs_pg_env, NULL};
    const char *const keys[] = {"connect_timeout", "fallback_application_name", "client_encoding", "dbname", NULL};
    const char *values[] = {"5", "goalsync", "UTF8", NULL, NULL};
    char line[512];
    enum cli_exit rc = cli_settings(c, tables);

    if (rc != CLI_OK)
        return rc;
    values[3] = gs_pg_url();
    c->db = PQconnectdbParams(keys, values, 1);
    if (PQstatus(c->db) != CONNECTION_OK) {
        const char *message = PQerrorMessage(c->db);
        bool malformed = strstr(message, "invalid") || strstr(message, "missing \"=\"");
        return cli_fail(c, malformed ? CLI_USAGE : CLI_UNREACHABLE,
                        "cannot connect to PostgreSQL: %s; check GOALSYNC_DATABASE_URL and that the server runs",
                        first_line(message, line, sizeof(line)));
    }
    PQsetNoticeProcessor(c->db, ignore_notice, NULL);
    return check_server(c);
}

enum cli_exit cli_db_reopen(struct cli *c)
{
    c->code = CLI_OK;
    c->error[0] = '\0';
    PQreset(c->db);
    if (PQstatus(c->db) != CONNECTION_OK)
        return cli_fail(c, CLI_UNREACHABLE, "PostgreSQL cannot be reached");
    return check_server(c);
}

enum cli_exit cli_db_open(struct cli *c)
{
    enum cli_exit rc = cli_db_open_any(c);

    return rc == CLI_OK ? cli_migrate_check(c) : rc;
}

static enum cli_exit code_of(const char *state)
{
    static const struct {
        const char *prefix;
        enum cli_exit code;
    } codes[] = {{"08", CLI_UNREACHABLE}, {"57014", CLI_TIMEOUT}, {"57", CLI_UNREACHABLE}, {"53", CLI_UNREACHABLE},
                 {"40", CLI_UNREACHABLE}, {"55P03", CLI_TIMEOUT}, {"22", CLI_USAGE},       {"23", CLI_REFUSED},
                 {"42501", CLI_REFUSED},  {"P0001", CLI_REFUSED}};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (gs_str_starts(state, codes[i].prefix))
            return codes[i].code;
    return CLI_FAILED;
}

static enum cli_exit fail_from(struct cli *c, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
    char line[512], more[512];

    if (!state)
        return cli_fail(c, CLI_UNREACHABLE, "the connection to PostgreSQL was lost: %s; try again",
                        first_line(PQerrorMessage(c->db), line, sizeof(line)));
    if (gs_str_eq(state, "42501"))
        return cli_fail(c, CLI_REFUSED, "the database login may not do this: %s; grant it the role goalsync_operator",
                        first_line(message, line, sizeof(line)));
    /* Our own triggers speak in sentences. */
    if (gs_str_eq(state, "23514") && !PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME))
        return cli_fail(c, CLI_REFUSED, "%s", first_line(message, line, sizeof(line)));
    if (gs_str_eq(state, "42P01") || gs_str_eq(state, "42703"))
        return cli_fail(c, CLI_USAGE,
                        "the database's schema is not the one of this goalsync (%s); bring it to this version with "
                        "`goalsync migrate`, as the database's owner",
                        first_line(message, line, sizeof(line)));
    /* The detail of a check is the whole row, in the table's order: it tells a person nothing. */
    if (gs_str_eq(state, "23514"))
        detail = NULL;
    return cli_fail(c, code_of(state), "PostgreSQL refused: %s%s%s", first_line(message, line, sizeof(line)),
                    detail ? "; " : "", detail ? first_line(detail, more, sizeof(more)) : "");
}

PGresult *cli_query(struct cli *c, const char *sql, int n, const char *const *params)
{
    PGresult *r = PQexecParams(c->db, sql, n, NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(r);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return r;
    (void)fail_from(c, r);
    PQclear(r);
    return NULL;
}

enum cli_exit cli_exec(struct cli *c, const char *sql, int n, const char *const *params)
{
    PGresult *r = cli_query(c, sql, n, params);

    PQclear(r);
    return r ? CLI_OK : c->code;
}

enum cli_exit cli_begin(struct cli *c)
{
    return cli_exec(c, "BEGIN", CLI_NO_PARAMS);
}

enum cli_exit cli_commit(struct cli *c)
{
    return cli_exec(c, "COMMIT", CLI_NO_PARAMS);
}

const char *cli_value(const PGresult *r, int row, int col)
{
    return PQgetisnull(r, row, col) ? NULL : PQgetvalue(r, row, col);
}

static int column(const PGresult *r, const char *name)
{
    int col = PQfnumber(r, name);

    assert(col >= 0);
    return col;
}

const char *cli_get(const PGresult *r, int row, const char *col)
{
    return PQgetvalue(r, row, column(r, col));
}

int64_t cli_get_int(const PGresult *r, int row, const char *col)
{
    int64_t n = 0;

    return gs_parse_int(cli_get(r, row, col), INT64_MIN, INT64_MAX, &n) ? n : 0;
}

bool cli_get_bool(const PGresult *r, int row, const char *col)
{
    return cli_get(r, row, col)[0] == 't';
}

bool cli_is_null(const PGresult *r, int row, const char *col)
{
    return PQgetisnull(r, row, column(r, col));
}

/* Options are never secret: secrets come from files only. */
static void given_json(const struct cli *c, struct gs_buf *b)
{
    gs_buf_puts(b, "{\"given\":[");
    for (int i = 0; i < c->n_given; i++) {
        char text[AUDIT_OPTION_MAX];
        int len = snprintf(text, sizeof(text), "%s=%s", c->given[i].name, c->given[i].value);
        gs_buf_puts(b, i ? "," : "");
        gs_buf_put_json(b, text, len < AUDIT_OPTION_MAX ? (size_t)len : AUDIT_OPTION_MAX - 1);
    }
    gs_buf_puts(b, "]}");
}

enum cli_exit cli_audit(struct cli *c, const char *org, const char *action, const char *kind, const char *id)
{
    struct gs_buf detail;
    enum cli_exit rc;

    gs_buf_init(&detail, CLI_OUT_MAX);
    given_json(c, &detail);
    rc = cli_exec(c,
                  "INSERT INTO audit (org_id, actor, action, target, detail) "
                  "VALUES ($1, 'operator:' || session_user, $2, $3 || ':' || $4, $5::jsonb)",
                  CLI_WITH(org, action, kind, id, gs_buf_str(&detail)));
    gs_buf_done(&detail);
    return rc;
}

/* ---- looking things up ---- */

static enum cli_exit org_by_text(struct cli *c, const char *text)
{
    CLI_AUTO_RESULT r = cli_query(
        c, "SELECT id FROM organisation WHERE name = $1 OR id::text = $1 ORDER BY (id::text = $1) DESC LIMIT 1",
        CLI_WITH(text));

    if (!r)
        return c->code;
    if (PQntuples(r) == 0)
        return cli_fail(c, CLI_NOT_FOUND, "there is no organisation \"%s\"; `goalsync org list` shows them", text);
    snprintf(c->org, sizeof(c->org), "%s", PQgetvalue(r, 0, 0));
    return CLI_OK;
}

enum cli_exit cli_org(struct cli *c)
{
    if (c->org[0])
        return CLI_OK;
    if (cli_has(c, "org"))
        return org_by_text(c, cli_opt(c, "org"));
    CLI_AUTO_RESULT r = cli_query(c, "SELECT id FROM organisation LIMIT 2", CLI_NO_PARAMS);
    if (!r)
        return c->code;
    if (PQntuples(r) == 0)
        return cli_fail(c, CLI_NOT_FOUND,
                        "there is no organisation yet; make one with `goalsync org create --name NAME`");
    if (PQntuples(r) > 1)
        return cli_fail(c, CLI_USAGE,
                        "there are several organisations; say which with --org (`goalsync org list` shows them)");
    snprintf(c->org, sizeof(c->org), "%s", PQgetvalue(r, 0, 0));
    return CLI_OK;
}

enum cli_exit cli_find(struct cli *c, enum cli_kind kind, const char *text, char ret[CLI_ID_TEXT])
{
    /* An id goes before a name. $2: the organisation, or null for any. */
    static const struct {
        const char *what, *list, *sql;
    } kinds[] = {
        [CLI_PERSON] =
            {"person", "person list",
             "SELECT id, org_id, id::text = $1 FROM person WHERE (id::text = $1 OR lower(email) = lower($1)) AND "
             "($2::bigint IS NULL OR org_id = $2) ORDER BY 3 DESC LIMIT 2"},
        [CLI_GOAL] = {"goal", "goal list",
                      "SELECT id, org_id, id::text = $1 FROM goal WHERE (id::text = $1 OR title = $1) AND ($2::bigint "
                      "IS NULL OR "
                      "org_id = $2) ORDER BY 3 DESC LIMIT 2"},
        [CLI_CONNECTION] = {"connection", "connection list",
                            "SELECT id, org_id, id::text = $1 FROM connection WHERE (id::text = $1 OR name = $1) AND "
                            "($2::bigint IS NULL OR org_id = $2) ORDER BY 3 DESC LIMIT 2"},
        [CLI_LINK] = {"link", "link list",
                      "SELECT k.id, k.org_id, k.id::text = $1 FROM link k JOIN goal g ON g.id = k.goal_id "
                      "WHERE (k.id::text = $1 OR g.title = $1) AND ($2::bigint IS NULL OR k.org_id = $2) ORDER BY 3 "
                      "DESC LIMIT 2"},
    };
    enum cli_exit rc = cli_has(c, "org") ? cli_org(c) : CLI_OK;

    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r = cli_query(c, kinds[kind].sql, CLI_WITH(text, c->org[0] ? c->org : NULL));
    if (!r)
        return c->code;
    if (PQntuples(r) == 0)
        return cli_fail(c, CLI_NOT_FOUND, "there is no %s \"%s\"; `goalsync %s` shows them", kinds[kind].what, text,
                        kinds[kind].list);
    if (PQntuples(r) == 2 && PQgetvalue(r, 0, 2)[0] == 'f')
        return cli_fail(c, CLI_USAGE, "several %ss are called \"%s\"; give the id (`goalsync %s --json` shows it)",
                        kinds[kind].what, text, kinds[kind].list);
    snprintf(ret, CLI_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    snprintf(c->org, sizeof(c->org), "%s", PQgetvalue(r, 0, 1));
    return CLI_OK;
}
