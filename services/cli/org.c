/* goalsync org: organisations. */
#include "services/cli/db.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include <stdio.h>
#include <stdlib.h>

static const char show_sql[] =
    "SELECT o.id, o.name, o.time_zone, o.behind_above, o.at_risk_above, o.status_mode::text AS status_mode, "
    "(SELECT count(*) FROM person WHERE org_id = o.id) AS people, (SELECT count(*) FROM goal WHERE org_id = o.id) AS "
    "goals, "
    "(SELECT count(*) FROM connection WHERE org_id = o.id) AS connections, "
    "(SELECT count(*) FROM link WHERE org_id = o.id AND state = 'active') AS active_links, o.created_at "
    "FROM organisation o WHERE o.id = $1";

/* 0 <= behind < at risk <= 100, as the schema demands it. */
static enum cli_exit check_points(struct cli *c)
{
    static const char *const names[] = {"behind-above", "at-risk-above"};
    double points[] = {0, 25};

    for (int i = 0; i < 2; i++) {
        const char *text = cli_opt(c, names[i]);
        char *end = NULL;
        if (text)
            points[i] = strtod(text, &end);
        if (text && (end == text || *end || !(points[i] >= 0 && points[i] <= 100)))
            return cli_fail(c, CLI_USAGE, "--%s is \"%s\"; it must be a number from 0 to 100", names[i], text);
    }
    if (points[0] >= points[1])
        return cli_fail(c, CLI_USAGE, "--behind-above (%g) must be smaller than --at-risk-above (%g)", points[0],
                        points[1]);
    return CLI_OK;
}

static enum cli_exit run_create(struct cli *c)
{
    const char *name = cli_opt(c, "name"), *zone = cli_opt(c, "time-zone"), *mode;
    char id[CLI_ID_TEXT];
    enum cli_exit rc = cli_opt_word(c, "status-mode", "progress key_results", &mode);

    if (rc == CLI_OK)
        rc = check_points(c);
    if (rc == CLI_OK)
        rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT known =
        cli_query(c, "SELECT FROM pg_timezone_names WHERE name = $1", CLI_WITH(zone ? zone : "UTC"));
    if (!known)
        return c->code;
    if (PQntuples(known) == 0)
        return cli_fail(c, CLI_USAGE, "--time-zone is \"%s\"; it must be a name such as Europe/Berlin or UTC", zone);
    CLI_AUTO_RESULT same = cli_query(c, "SELECT id FROM organisation WHERE name = $1", CLI_WITH(name));
    if (!same)
        return c->code;
    if (PQntuples(same) > 0)
        return cli_fail(c, CLI_REFUSED, "there is an organisation \"%s\" already, with id %s", name,
                        PQgetvalue(same, 0, 0));
    CLI_AUTO_RESULT r = cli_query(
        c,
        "INSERT INTO organisation (name, time_zone, behind_above, at_risk_above, status_mode) VALUES ($1, $2, "
        "coalesce($3::numeric, 0), coalesce($4::numeric, 25), coalesce($5::status_mode, 'progress')) RETURNING id",
        CLI_WITH(name, zone ? zone : "UTC", cli_opt(c, "behind-above"), cli_opt(c, "at-risk-above"), mode));
    if (!r)
        return c->code;
    snprintf(id, sizeof(id), "%s", PQgetvalue(r, 0, 0));
    rc = cli_audit(c, id, "organisation.created", "organisation", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_show(c, "organisation", show_sql, id) : rc;
}

static enum cli_exit run_list(struct cli *c)
{
    enum cli_exit rc = cli_db_open(c);

    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "SELECT o.id, o.name, o.time_zone, (SELECT count(*) FROM person WHERE org_id = o.id) AS people, "
                  "(SELECT count(*) FROM goal WHERE org_id = o.id) AS goals, (SELECT count(*) FROM link WHERE "
                  "org_id = o.id AND state = 'active') AS active_links FROM organisation o ORDER BY o.id",
                  CLI_NO_PARAMS);
    return r ? cli_print_rows(c, "organisations", r,
                              "There is no organisation yet; make one with `goalsync org create --name NAME`.")
             : c->code;
}

static enum cli_exit run_show(struct cli *c)
{
    enum cli_exit rc;

    if (cli_arg(c, 0))
        c->given[c->n_given++] = (struct cli_given){"org", cli_arg(c, 0)};
    rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_org(c);
    return rc == CLI_OK ? cli_show(c, "organisation", show_sql, c->org) : rc;
}

static const struct cli_option create_options[] = {
    {"name", "NAME", "what it is called", CLI_REQUIRED},
    {"time-zone", "ZONE", "whose midnight begins a goal's day; default UTC", 0},
    {"behind-above", "POINTS", "points off the expected progress above which a goal is behind; default 0", 0},
    {"at-risk-above", "POINTS", "points off above which it is at risk; default 25", 0},
    {"status-mode", "MODE", "an objective's status comes from: progress (default) or key-results", 0},
    {0},
};

const struct cli_command cli_org_commands[] = {
    {"create", "", "Makes an organisation", create_options,
     "  goalsync org create --name \"Acme\" --time-zone Europe/Berlin\n", run_create},
    {"list", "", "Lists the organisations", NULL, NULL, run_list},
    {"show", "[ORG]", "Shows one organisation, by id or name", NULL, "  goalsync org show Acme --json\n", run_show},
    {0},
};
