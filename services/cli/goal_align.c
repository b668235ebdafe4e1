/* goalsync goal align, unalign, task and check-in: changes after which everything above the goal follows. */
#include "services/cli/goal.h"

#include "common/goals/goal.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/out.h"
#include "services/cli/recompute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fixed weights below one parent, the new one included; null has been stored by then. */
static enum cli_exit check_weights(struct cli *c, const char *parent)
{
    static const struct gs_goal any;
    struct gs_goal_child *children;
    struct gs_err err;
    enum gs_rc checked;

    CLI_AUTO_RESULT r = cli_query(
        c, "SELECT coalesce(weight_hundredths, -1) AS weight, contributes FROM goal_edge WHERE parent_id = $1",
        CLI_WITH(parent));
    if (!r)
        return c->code;
    children = gs_alloc_n((size_t)PQntuples(r) + 1, sizeof(*children));
    for (int i = 0; i < PQntuples(r); i++) {
        children[i].goal = &any;
        children[i].weight = (int32_t)cli_get_int(r, i, "weight");
        children[i].contributes = cli_get_bool(r, i, "contributes");
    }
    checked = gs_weights_validate(children, (size_t)PQntuples(r), &err);
    free(children);
    return checked == GS_OK ? CLI_OK : cli_fail(c, CLI_REFUSED, "%s", err.text);
}

enum cli_exit cli_goal_put_edge(struct cli *c, const char *parent, const char *child, const char *weight)
{
    char hundredths[CLI_ID_TEXT] = "";
    int32_t w;
    struct gs_err err;
    struct gs_align_rules defaults = {.newly_aligned_contribute = true};
    enum gs_goal_kind kind = GS_OBJECTIVE;
    enum cli_exit rc;

    if (weight && gs_weight_parse(weight, strlen(weight), &w, &err) != GS_OK)
        return cli_fail(c, CLI_USAGE, "--weight: %s", err.text);
    if (weight)
        snprintf(hundredths, sizeof(hundredths), "%d", w);
    /* Locked: a change of the child that began before the edge was there does not know the parent, and what comes after
     * does. */
    CLI_AUTO_RESULT r = cli_query(c, "SELECT kind FROM goal WHERE id = $1 FOR NO KEY UPDATE", CLI_WITH(child));
    if (!r || PQntuples(r) == 0 || !gs_goal_kind_parse(PQgetvalue(r, 0, 0), &kind))
        return c->code ? c->code : cli_fail(c, CLI_NOT_FOUND, "there is no goal %s (any more)", child);
    /* Giving a weight says that it shall count, whatever the default for its kind. */
    rc = cli_exec(
        c,
        "INSERT INTO goal_edge (parent_id, child_id, org_id, weight_hundredths, contributes, position) "
        "SELECT $1, $2, g.org_id, nullif($3, '')::int, $4::boolean, "
        "coalesce((SELECT max(position) + 1 FROM goal_edge WHERE parent_id = $1), 0) FROM goal g WHERE g.id = $2 "
        "ON CONFLICT (parent_id, child_id) DO UPDATE SET weight_hundredths = EXCLUDED.weight_hundredths, "
        "contributes = goal_edge.contributes OR nullif($3, '') IS NOT NULL",
        CLI_WITH(parent, child, hundredths, weight || gs_align_contributes(kind, &defaults) ? "true" : "false"));
    return rc == CLI_OK ? check_weights(c, parent) : rc;
}

/* Both goals of a command, and a transaction. */
static enum cli_exit open_pair(struct cli *c, char goal[CLI_ID_TEXT], char parent[CLI_ID_TEXT])
{
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_find(c, CLI_GOAL, cli_arg(c, 0), goal);
    if (rc == CLI_OK)
        rc = cli_find(c, CLI_GOAL, cli_opt(c, "parent"), parent);
    if (rc == CLI_OK && gs_str_eq(goal, parent))
        rc = cli_fail(c, CLI_REFUSED, "a goal cannot count towards itself");
    return rc == CLI_OK ? cli_begin(c) : rc;
}

enum cli_exit cli_goal_align(struct cli *c)
{
    char goal[CLI_ID_TEXT], parent[CLI_ID_TEXT];
    enum cli_exit rc = open_pair(c, goal, parent);

    if (rc == CLI_OK)
        rc = cli_goal_put_edge(c, parent, goal, cli_opt(c, "weight"));
    if (rc == CLI_OK)
        rc = cli_recompute(c, parent);
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, "goal.aligned", "goal", goal);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_goal_print(c, goal) : rc;
}

enum cli_exit cli_goal_unalign(struct cli *c)
{
    char goal[CLI_ID_TEXT], parent[CLI_ID_TEXT];
    enum cli_exit rc = open_pair(c, goal, parent);

    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r = cli_query(c, "DELETE FROM goal_edge WHERE parent_id = $1 AND child_id = $2 RETURNING 1",
                                  CLI_WITH(parent, goal));
    if (!r)
        return c->code;
    if (PQntuples(r) == 0)
        return cli_fail(c, CLI_NOT_FOUND, "goal %s is not aligned below goal %s", goal, parent);
    rc = cli_recompute(c, parent);
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, "goal.unaligned", "goal", goal);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_goal_print(c, goal) : rc;
}

/* ---- tasks ---- */

static enum cli_exit change_task(struct cli *c, const char *goal, const char *sql, const char *option)
{
    CLI_AUTO_RESULT r = cli_query(c, sql, CLI_WITH(goal, cli_opt(c, option)));

    if (!r)
        return c->code;
    return PQntuples(r) ? CLI_OK : cli_fail(c, CLI_NOT_FOUND, "goal %s has no task %s", goal, cli_opt(c, option));
}

static enum cli_exit change_tasks(struct cli *c, const char *goal)
{
    enum cli_exit rc = CLI_OK;

    if (cli_has(c, "add"))
        rc = cli_exec(c, "INSERT INTO goal_task (org_id, goal_id, title, due_on) VALUES ($1, $2, $3, $4)",
                      CLI_WITH(c->org, goal, cli_opt(c, "add"), cli_opt(c, "due")));
    if (rc == CLI_OK && cli_has(c, "done"))
        rc = change_task(c, goal, "UPDATE goal_task SET done = true WHERE goal_id = $1 AND id::text = $2 RETURNING 1",
                         "done");
    if (rc == CLI_OK && cli_has(c, "open"))
        rc = change_task(c, goal, "UPDATE goal_task SET done = false WHERE goal_id = $1 AND id::text = $2 RETURNING 1",
                         "open");
    if (rc == CLI_OK && cli_has(c, "remove"))
        rc = change_task(c, goal, "DELETE FROM goal_task WHERE goal_id = $1 AND id::text = $2 RETURNING 1", "remove");
    if (rc == CLI_OK)
        rc = cli_recompute(c, goal);
    return rc == CLI_OK ? cli_audit(c, c->org, "goal.tasks_changed", "goal", goal) : rc;
}

static enum cli_exit require_project(struct cli *c, const char *goal)
{
    CLI_AUTO_RESULT r = cli_query(c, "SELECT kind FROM goal WHERE id = $1", CLI_WITH(goal));

    if (!r)
        return c->code;
    return gs_str_eq(PQgetvalue(r, 0, 0), "project")
               ? CLI_OK
               : cli_fail(c, CLI_REFUSED, "goal %s is no project; only projects have tasks", goal);
}

enum cli_exit cli_goal_task(struct cli *c)
{
    char goal[CLI_ID_TEXT];
    enum cli_exit rc = cli_has(c, "add") && !*cli_opt(c, "add")
                           ? cli_fail(c, CLI_USAGE, "--add is empty; a task needs a title")
                           : cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_find(c, CLI_GOAL, cli_arg(c, 0), goal);
    if (rc == CLI_OK)
        rc = require_project(c, goal);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc == CLI_OK && (cli_has(c, "add") || cli_has(c, "done") || cli_has(c, "open") || cli_has(c, "remove")))
        rc = change_tasks(c, goal);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r =
        cli_query(c, "SELECT id, title, done, due_on FROM goal_task WHERE goal_id = $1 ORDER BY id", CLI_WITH(goal));
    return r ? cli_print_rows(c, "tasks", r, "The project has no tasks; add one with --add TITLE.") : c->code;
}

/* ---- check-in ---- */

static enum cli_exit read_check_in(struct cli *c, struct gs_check_in *ret)
{
    const char *value = cli_opt(c, "value"), *status;
    struct gs_err err;

    if (cli_opt_word(c, "status", "not_started on_track behind at_risk in_progress", &status) != CLI_OK)
        return c->code;
    if (cli_has(c, "resume") && (value || status || cli_has(c, "sticky")))
        return cli_fail(c, CLI_USAGE, "--resume ends an override; it goes with neither --value, --status nor --sticky");
    if (!cli_has(c, "resume") && !value && !status && !cli_has(c, "note"))
        return cli_fail(c, CLI_USAGE, "nothing to check in; give --value, --status, --note or --resume");
    ret->sticky = cli_has(c, "sticky");
    ret->has_value = value != NULL;
    if (value && gs_dec_parse(value, strlen(value), &ret->value, &err) != GS_OK)
        return cli_fail(c, CLI_USAGE, "--value: %s", err.text);
    ret->has_status = status != NULL && gs_goal_status_parse(status, &ret->status);
    return CLI_OK;
}

static enum cli_exit put_feed(struct cli *c, const char *goal, const char *person)
{
    return cli_exec(
        c,
        "INSERT INTO activity (org_id, goal_id, person_id, kind, data) VALUES ($1, $2, nullif($3, '')::bigint, $4, "
        "jsonb_strip_nulls(jsonb_build_object('value', $5::text, 'status', $6::text, 'note', $7::text, 'sticky', "
        "CASE WHEN $8::boolean THEN true END)))",
        CLI_WITH(c->org, goal, person, cli_has(c, "resume") ? "resumed" : "checked_in", cli_opt(c, "value"),
                 cli_opt(c, "status"), cli_opt(c, "note"), cli_has(c, "sticky") ? "true" : "false"));
}

enum cli_exit cli_goal_check_in(struct cli *c)
{
    struct gs_check_in check_in = {0};
    struct cli_change change = {.check_in = cli_has(c, "resume") ? NULL : &check_in, .resume = cli_has(c, "resume")};
    char goal[CLI_ID_TEXT], person[CLI_ID_TEXT] = "";
    enum cli_exit rc = read_check_in(c, &check_in);

    if (rc == CLI_OK)
        rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_find(c, CLI_GOAL, cli_arg(c, 0), goal);
    if (rc == CLI_OK && cli_has(c, "by"))
        rc = cli_find(c, CLI_PERSON, cli_opt(c, "by"), person);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc == CLI_OK)
        rc = cli_recompute_with(c, goal, &change);
    if (rc == CLI_OK)
        rc = put_feed(c, goal, person);
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, "goal.checked_in", "goal", goal);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_goal_print(c, goal) : rc;
}
