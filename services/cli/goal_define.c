/* goalsync goal create and edit: what a goal is made of, checked by the domain rules before it is stored. */
#include "services/cli/goal.h"

#include "common/goals/goal.h"
#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/out.h"
#include "services/cli/recompute.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The columns as text; null: NULL, or not given. */
struct definition {
    const char *title, *kind, *metric, *mode, *start, *target, *risk, *unit, *from, *to, *owner;
};

static enum cli_exit read_given(struct cli *c, struct definition *d)
{
    if (cli_opt_word(c, "kind", "objective key_result project", &d->kind) != CLI_OK ||
        cli_opt_word(c, "metric", "percent reach increase decrease stay_below stay_above baseline", &d->metric) !=
            CLI_OK ||
        cli_opt_word(c, "mode", "manual roll_up data_source", &d->mode) != CLI_OK)
        return c->code;
    d->title = cli_opt(c, "title");
    d->start = cli_opt(c, "start");
    d->target = cli_opt(c, "target");
    d->risk = cli_opt(c, "risk");
    d->unit = cli_opt(c, "unit");
    d->from = cli_opt(c, "from");
    d->to = cli_opt(c, "to");
    return CLI_OK;
}

static enum cli_exit number(struct cli *c, const char *option, const char *text, bool *ret_has, struct gs_dec *ret)
{
    struct gs_err err;

    *ret_has = text && *text;
    if (*ret_has && gs_dec_parse(text, strlen(text), ret, &err) != GS_OK)
        return cli_fail(c, CLI_USAGE, "--%s: %s", option, err.text);
    return CLI_OK;
}

/* Written as 2026-10-01: the server would take "tomorrow", too. */
static enum cli_exit check_day(struct cli *c, const char *option, const char *text)
{
    static const char form[] = "0000-00-00";
    struct tm day = {0};
    const char *end = text ? strptime(text, "%Y-%m-%d", &day) : NULL;
    bool good = end && !*end && strlen(text) == strlen(form);
    struct tm same = day;

    if (!text)
        return CLI_OK;
    good = good && timegm(&same) != (time_t)-1 && same.tm_mday == day.tm_mday && same.tm_mon == day.tm_mon;
    return good ? CLI_OK : cli_fail(c, CLI_USAGE, "--%s is \"%s\"; it must be a day such as 2026-10-01", option, text);
}

/* Day numbers come from the server: it reads dates for us, and knows the organisation's today. */
static enum cli_exit read_days(struct cli *c, struct definition *d, struct gs_goal *g)
{
    static char from[16], to[16];

    if (check_day(c, "from", cli_opt(c, "from")) != CLI_OK || check_day(c, "to", cli_opt(c, "to")) != CLI_OK)
        return c->code;
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "WITH o AS (SELECT (now() AT TIME ZONE time_zone)::date AS today FROM organisation WHERE id = $1), "
                  "d AS (SELECT coalesce($2::date, date_trunc('quarter', today)::date) AS a, "
                  "coalesce($3::date, (date_trunc('quarter', coalesce($2::date, today)) + interval '3 months')::date - "
                  "1) AS b FROM o) "
                  "SELECT a, b, a - date '1970-01-01' AS first, b - date '1970-01-01' AS last FROM d",
                  CLI_WITH(c->org, d->from, d->to));
    if (!r)
        return c->code;
    snprintf(from, sizeof(from), "%s", cli_get(r, 0, "a"));
    snprintf(to, sizeof(to), "%s", cli_get(r, 0, "b"));
    d->from = from;
    d->to = to;
    g->start_day = (int32_t)cli_get_int(r, 0, "first");
    g->end_day = (int32_t)cli_get_int(r, 0, "last");
    return CLI_OK;
}

static enum cli_exit validate(struct cli *c, struct definition *d)
{
    struct gs_goal g = {.unit = d->unit};
    struct gs_err err;

    if (!gs_goal_kind_parse(d->kind, &g.kind) || !gs_goal_metric_parse(d->metric, &g.metric) ||
        !gs_goal_mode_parse(d->mode, &g.mode))
        return cli_fail(c, CLI_FAILED, "the goal's kind, metric or mode is unknown to this goalsync");
    if (number(c, "start", d->start, &g.has_start, &g.start) != CLI_OK ||
        number(c, "target", d->target, &g.has_target, &g.target) != CLI_OK ||
        number(c, "risk", d->risk, &g.has_risk, &g.risk) != CLI_OK || read_days(c, d, &g) != CLI_OK)
        return c->code;
    return gs_goal_validate(&g, &err) == GS_OK ? CLI_OK : cli_fail(c, CLI_REFUSED, "%s", err.text);
}

enum cli_exit cli_goal_print(struct cli *c, const char *id)
{
    return cli_show(
        c, "goal",
        "SELECT g.id, g.org_id, g.title, g.kind::text AS kind, g.metric::text AS metric, g.mode::text AS mode, "
        "g.start_value AS start, g.target_value AS target, g.risk_value AS risk, nullif(g.unit, '') AS unit, "
        "g.start_on, g.end_on, p.email AS owner, g.status::text AS status, g.applied_value AS value, "
        "round(g.progress, 4) AS progress, (SELECT coalesce(jsonb_agg(parent_id ORDER BY parent_id), '[]') "
        "FROM goal_edge WHERE child_id = g.id) AS parents FROM goal g LEFT JOIN person p ON p.id = g.owner_id WHERE "
        "g.id = $1",
        id);
}

/* The goals given by --parent: edges, and everything above recomputed. */
static enum cli_exit put_parents(struct cli *c, const char *id)
{
    char parent[CLI_ID_TEXT];
    enum cli_exit rc = CLI_OK;

    for (int i = 0; cli_opt_at(c, "parent", i) && rc == CLI_OK; i++) {
        rc = cli_find(c, CLI_GOAL, cli_opt_at(c, "parent", i), parent);
        if (rc == CLI_OK)
            rc = cli_goal_put_edge(c, parent, id, cli_opt(c, "weight"));
    }
    return rc == CLI_OK && cli_has(c, "parent") ? cli_recompute(c, id) : rc;
}

enum cli_exit cli_goal_create(struct cli *c)
{
    struct definition d = {0};
    char id[CLI_ID_TEXT], owner[CLI_ID_TEXT] = "";
    enum cli_exit rc = read_given(c, &d);

    d.metric = d.metric ? d.metric : "percent";
    d.mode = d.mode ? d.mode : "manual";
    if (rc == CLI_OK && cli_has(c, "weight") && !cli_has(c, "parent"))
        rc = cli_fail(c, CLI_USAGE, "--weight is the goal's share in a parent; give the --parent, too");
    if (rc == CLI_OK && !*d.title)
        rc = cli_fail(c, CLI_USAGE, "--title is empty; a goal needs one");
    if (rc == CLI_OK)
        rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_org(c);
    if (rc == CLI_OK)
        rc = validate(c, &d);
    if (rc == CLI_OK && cli_has(c, "owner"))
        rc = cli_find(c, CLI_PERSON, cli_opt(c, "owner"), owner);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r = cli_query(
        c,
        "INSERT INTO goal (org_id, title, kind, metric, mode, start_value, target_value, risk_value, unit, start_on, "
        "end_on, owner_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, ''), $10, $11, nullif($12, '')::bigint) RETURNING id",
        CLI_WITH(c->org, d.title, d.kind, d.metric, d.mode, d.start, d.target, d.risk, d.unit, d.from, d.to, owner));
    if (!r)
        return c->code;
    snprintf(id, sizeof(id), "%s", PQgetvalue(r, 0, 0));
    rc = put_parents(c, id);
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, "goal.created", "goal", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_goal_print(c, id) : rc;
}

/* What is not given stays as it is; "" takes an optional one away. */
static const char *or_old(const char *given, const PGresult *r, const char *col)
{
    if (given)
        return *given ? given : NULL;
    return cli_is_null(r, 0, col) ? NULL : cli_get(r, 0, col);
}

static enum cli_exit merge(struct cli *c, struct definition *d, const PGresult *r)
{
    d->title = or_old(d->title, r, "title");
    d->kind = cli_get(r, 0, "kind");
    d->metric = or_old(d->metric, r, "metric");
    d->mode = or_old(d->mode, r, "mode");
    d->start = or_old(d->start, r, "start_value");
    d->target = or_old(d->target, r, "target_value");
    d->risk = or_old(d->risk, r, "risk_value");
    d->unit = or_old(d->unit, r, "unit");
    d->from = or_old(d->from, r, "start_on");
    d->to = or_old(d->to, r, "end_on");
    if (cli_get_bool(r, 0, "linked") && !gs_str_eq(d->mode, "data_source"))
        return cli_fail(c, CLI_REFUSED, "the goal is fed by link %s; delete the link first (`goalsync link delete %s`)",
                        cli_get(r, 0, "link_id"), cli_get(r, 0, "link_id"));
    return d->title ? CLI_OK : cli_fail(c, CLI_USAGE, "--title is empty; a goal needs one");
}

enum cli_exit cli_goal_edit(struct cli *c)
{
    struct definition d = {0};
    char id[CLI_ID_TEXT], owner[CLI_ID_TEXT] = "";
    enum cli_exit rc = read_given(c, &d);

    if (rc == CLI_OK && c->n_given == cli_has(c, "org"))
        rc = cli_fail(c, CLI_USAGE, "nothing to change is given; `goalsync goal edit --help` lists what can be");
    if (rc == CLI_OK)
        rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_find(c, CLI_GOAL, cli_arg(c, 0), id);
    if (rc == CLI_OK && cli_has(c, "owner"))
        rc = cli_find(c, CLI_PERSON, cli_opt(c, "owner"), owner);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT old =
        cli_query(c,
                  "SELECT g.*, k.id AS link_id, k.id IS NOT NULL AS linked FROM goal g LEFT JOIN link k ON "
                  "k.goal_id = g.id WHERE g.id = $1 FOR UPDATE OF g",
                  CLI_WITH(id));
    if (!old || merge(c, &d, old) != CLI_OK || validate(c, &d) != CLI_OK)
        return c->code;
    rc = cli_exec(
        c,
        "UPDATE goal SET title = $2, metric = $3, mode = $4, start_value = $5, target_value = $6, risk_value = $7, "
        "unit = coalesce($8, ''), start_on = $9, end_on = $10, owner_id = coalesce(nullif($11, '')::bigint, owner_id) "
        "WHERE id = $1",
        CLI_WITH(id, d.title, d.metric, d.mode, d.start, d.target, d.risk, d.unit, d.from, d.to, owner));
    if (rc == CLI_OK)
        rc = cli_recompute_with(c, id, &(struct cli_change){.edited = true});
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, "goal.edited", "goal", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_goal_print(c, id) : rc;
}
