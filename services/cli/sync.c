/* goalsync sync: ask now. The scheduler takes the request up; with --wait we look until the answers are applied. */
#include "services/cli/db.h"
#include "services/cli/groups.h"
#include "services/cli/link.h"
#include "services/cli/out.h"

#include "common/clock.h"
#include "common/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WAIT_DEFAULT = 30, WAIT_MAX = 3600, LOOK_MS = 50 };

static enum cli_exit choose(struct cli *c, const char *condition, int n, const char *const *params, PGresult **ret)
{
    char sql[1024];

    snprintf(sql, sizeof(sql),
             "SELECT coalesce(array_agg(l.id ORDER BY l.id) FILTER (WHERE l.reason IS NULL), '{}') AS ids, count(*) AS "
             "n, count(*) FILTER (WHERE l.reason IS NULL) AS n_open, min(l.reason) AS reason, clock_timestamp() AS "
             "asked_at FROM (SELECT k.id, CASE WHEN b.pushed THEN 'its source sends the values by itself' ELSE "
             "coalesce(k.paused_reason, c.paused_reason, CASE WHEN k.state <> 'active' THEN 'it is ' || k.state END) "
             "END AS reason FROM link k JOIN connection c ON c.id = k.connection_id JOIN link_batch b ON b.id = "
             "k.batch_id WHERE %s) l",
             condition);
    *ret = cli_query(c, sql, n, params);
    return *ret ? CLI_OK : c->code;
}

/* "12-40" */
static enum cli_exit choose_range(struct cli *c, const char *range, PGresult **ret)
{
    char low[CLI_ID_TEXT], high[CLI_ID_TEXT];
    const char *dash = strchr(range, '-');
    int64_t first, last;

    snprintf(low, sizeof(low), "%.*s", dash ? (int)(dash - range) : 0, range);
    if (!gs_parse_int(low, 1, INT64_MAX, &first) || !gs_parse_int(dash + 1, first, INT64_MAX, &last))
        return cli_fail(c, CLI_USAGE, "--links is \"%s\"; it must be two numbers of links like 12-40", range);
    snprintf(high, sizeof(high), "%lld", (long long)last);
    if (cli_org(c) != CLI_OK)
        return c->code;
    return choose(c, "k.org_id = $1 AND k.id BETWEEN $2 AND $3", CLI_WITH(c->org, low, high), ret);
}

static enum cli_exit choose_links(struct cli *c, PGresult **ret)
{
    char id[CLI_ID_TEXT];
    enum cli_exit rc;
    int given = (cli_arg(c, 0) != NULL) + cli_has(c, "goal") + cli_has(c, "connection") + cli_has(c, "links") +
                cli_has(c, "all");

    if (given != 1)
        return cli_fail(c, CLI_USAGE,
                        "say what to ask with exactly one of LINK, --goal, --connection, --links and --all");
    if (cli_db_open(c) != CLI_OK)
        return c->code;
    if (cli_has(c, "all")) {
        rc = cli_org(c);
        return rc == CLI_OK ? choose(c, "k.org_id = $1", CLI_WITH(c->org), ret) : rc;
    }
    if (cli_has(c, "goal")) {
        rc = cli_find(c, CLI_GOAL, cli_opt(c, "goal"), id);
        return rc == CLI_OK ? choose(c, "k.goal_id = $1", CLI_WITH(id), ret) : rc;
    }
    if (cli_has(c, "connection")) {
        rc = cli_find(c, CLI_CONNECTION, cli_opt(c, "connection"), id);
        return rc == CLI_OK ? choose(c, "k.connection_id = $1", CLI_WITH(id), ret) : rc;
    }
    if (cli_has(c, "links"))
        return choose_range(c, cli_opt(c, "links"), ret);
    rc = cli_find(c, CLI_LINK, cli_arg(c, 0), id);
    return rc == CLI_OK ? choose(c, "k.id = $1", CLI_WITH(id), ret) : rc;
}

/* An answer counts when its slot is not older than the request: Sync now makes the moment of its claim the slot. */
static const char open_sql[] =
    "SELECT count(*) AS n FROM link k JOIN goal g ON g.id = k.goal_id WHERE k.id = ANY ($1::bigint[]) AND "
    "coalesce(greatest(g.last_slot, k.failed_slot), '-infinity') < $2::timestamptz";

static enum cli_exit wait_applied(struct cli *c, const PGresult *chosen, int64_t seconds)
{
    int64_t until_us = gs_mono_us() + seconds * 1000000;
    const struct timespec pause = {0, LOOK_MS * 1000000L};

    for (;;) {
        CLI_AUTO_RESULT r = cli_query(c, open_sql, CLI_WITH(cli_get(chosen, 0, "ids"), cli_get(chosen, 0, "asked_at")));
        if (!r)
            return c->code;
        if (cli_get_int(r, 0, "n") == 0)
            return CLI_OK;
        if (gs_mono_us() > until_us)
            return cli_fail(
                c, CLI_TIMEOUT,
                "%s of %s links have no answer after %lld s; it may still come. `goalsync status` tells what lags",
                cli_get(r, 0, "n"), cli_get(chosen, 0, "n_open"), (long long)seconds);
        nanosleep(&pause, NULL);
    }
}

static enum cli_exit show(struct cli *c, const PGresult *chosen, bool waited)
{
    enum cli_exit rc;

    CLI_AUTO_RESULT r = cli_query(
        c,
        "SELECT k.id AS link, g.id AS goal_id, g.title AS goal, g.applied_value AS value, round(g.progress, 4) AS "
        "progress, "
        "g.status::text AS status, CASE WHEN $2::boolean THEN coalesce(k.outcome::text, 'ok') ELSE 'asked' END AS "
        "outcome, "
        "CASE WHEN $2::boolean THEN k.error END AS error FROM link k JOIN goal g ON g.id = k.goal_id WHERE k.id = ANY "
        "($1::bigint[]) ORDER BY k.id",
        CLI_WITH(cli_get(chosen, 0, "ids"), waited ? "true" : "false"));
    if (!r)
        return c->code;
    rc = cli_print_rows(c, "links", r, "There is no link to ask.");
    for (int i = 0; i < PQntuples(r) && waited && rc == CLI_OK; i++)
        if (!gs_str_eq(cli_get(r, i, "outcome"), "ok"))
            rc = cli_fail(c, CLI_REFUSED, "link %s got no number (%s): %s", cli_get(r, i, "link"),
                          cli_get(r, i, "outcome"), cli_get(r, i, "error"));
    return rc;
}

/* Of a range nobody reads line by line that each is asked. */
static enum cli_exit show_count(struct cli *c, const PGresult *chosen)
{
    CLI_AUTO_RESULT r = cli_query(c, "SELECT $1::bigint AS asked", CLI_WITH(cli_get(chosen, 0, "n_open")));

    return r ? cli_print_row(c, r) : c->code;
}

static enum cli_exit ask(struct cli *c, const PGresult *chosen)
{
    enum cli_exit rc = cli_begin(c);

    if (rc == CLI_OK)
        rc = cli_sync_request(c, cli_get(chosen, 0, "ids"));
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org[0] ? c->org : NULL, "sync.requested", "link",
                       cli_arg(c, 0) ? cli_arg(c, 0) : "several");
    return rc == CLI_OK ? cli_commit(c) : rc;
}

static enum cli_exit run_sync(struct cli *c)
{
    CLI_AUTO_RESULT chosen = NULL;
    int64_t seconds;
    bool wait = cli_has(c, "wait");
    enum cli_exit rc = cli_opt_int(c, "wait", (struct cli_range){WAIT_DEFAULT, 1, WAIT_MAX}, &seconds);

    if (rc == CLI_OK)
        rc = choose_links(c, &chosen);
    if (rc != CLI_OK)
        return rc;
    if (cli_get_int(chosen, 0, "n_open") == 0)
        return cli_get_int(chosen, 0, "n") == 0
                   ? cli_fail(c, CLI_NOT_FOUND, "nothing is linked there; `goalsync link create` links a goal")
                   : cli_fail(c, CLI_REFUSED, "what is linked there is not asked: %s", cli_get(chosen, 0, "reason"));
    rc = ask(c, chosen);
    if (rc == CLI_OK && wait)
        rc = wait_applied(c, chosen, seconds);
    if (rc != CLI_OK)
        return rc;
    return cli_has(c, "links") && !wait ? show_count(c, chosen) : show(c, chosen, wait);
}

static const struct cli_option options[] = {
    {"org", "ORG", "id or name; may be left out when there is only one", 0},
    {"goal", "GOAL", "the source of one goal", 0},
    {"connection", "CONNECTION", "everything that is asked by one connection", 0},
    {"links", "LOW-HIGH", "the links with these numbers", 0},
    {"all", NULL, "every link of the organisation", 0},
    {"wait", "SECONDS", "stay until the answers are applied; default 30", CLI_OPTIONAL_VALUE},
    {0},
};

const struct cli_command cli_sync_commands[] = {
    {"", "[LINK]", "Asks sources now; requests that wait already are not doubled", options,
     "  goalsync sync 4 --wait\n  goalsync sync --goal \"Paying customers\" --wait=10\n  goalsync sync --all\n",
     run_sync},
    {0},
};
