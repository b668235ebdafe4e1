/* Plain libpq: parameters and results are text. */
#ifndef CLI_DB_H
#define CLI_DB_H

#include "services/cli/cli.h"

/* Connects, checks the server's version, and that the schema is the one this program knows. */
enum cli_exit cli_db_open(struct cli *c) GS_MUST_CHECK;
/* The same without looking at the schema, for migrating it. */
enum cli_exit cli_db_open_any(struct cli *c) GS_MUST_CHECK;

/* After a failure, for a command that stays: forgets it and connects again. */
enum cli_exit cli_db_reopen(struct cli *c) GS_MUST_CHECK;

/* CLI_WITH(a, b) gives the last two arguments of cli_query(). Null: NULL. */
#define CLI_WITH(...)                                                                                                  \
    (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)), (const char *const[])                    \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define CLI_NO_PARAMS 0, NULL

/* Null: failed, c->code and c->error say how. The caller clears. */
PGresult *cli_query(struct cli *c, const char *sql, int n, const char *const *params);
/* For statements without an interesting result. */
enum cli_exit cli_exec(struct cli *c, const char *sql, int n, const char *const *params) GS_MUST_CHECK;
enum cli_exit cli_begin(struct cli *c) GS_MUST_CHECK;
enum cli_exit cli_commit(struct cli *c) GS_MUST_CHECK;

static inline void cli_clearp(PGresult **r)
{
    PQclear(*r);
}
#define CLI_AUTO_RESULT GS_AUTO(cli_clearp) PGresult *

/* Null instead of "" for NULL. */
const char *cli_value(const PGresult *r, int row, int col);
/* By the column's name, which must exist. "" for NULL. */
const char *cli_get(const PGresult *r, int row, const char *col);
int64_t cli_get_int(const PGresult *r, int row, const char *col);
bool cli_get_bool(const PGresult *r, int row, const char *col);
bool cli_is_null(const PGresult *r, int row, const char *col);

/* Writes the audit row of a change, with the options it was made by. kind and id: "goal", "12"; org may be null. */
enum cli_exit cli_audit(struct cli *c, const char *org, const char *action, const char *kind,
                        const char *id) GS_MUST_CHECK;

/* ---- looking things up: by id or by name; ret has CLI_ID_TEXT bytes ---- */

/* --org, or the only organisation there is; kept in c->org. */
enum cli_exit cli_org(struct cli *c) GS_MUST_CHECK;
enum cli_kind { CLI_PERSON, CLI_GOAL, CLI_CONNECTION, CLI_LINK };
/* Takes any organisation's when --org was not given; c->org is the found thing's afterwards. */
enum cli_exit cli_find(struct cli *c, enum cli_kind kind, const char *text, char ret[CLI_ID_TEXT]) GS_MUST_CHECK;

#endif
