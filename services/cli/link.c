/* goalsync link: which number of which source feeds a goal. */
#include "services/cli/link.h"

#include "common/goals/goal.h"
#include "common/mem.h"
#include "common/slot.h"
#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/forms.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"
#include "services/fetch/link_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum cli_exit refuse_paused(struct cli *c, const struct cli_ask *a)
{
    return cli_fail(c, CLI_REFUSED, "connection %s may not be used now: %s", a->connection, a->paused);
}

/* ---- goals that may be linked ---- */

static enum cli_exit check_goal(struct cli *c, const char *goal, const struct cli_ask *a)
{
    unsigned outcomes = a->entry->connector->outcomes;

    CLI_AUTO_RESULT r =
        cli_query(c,
                  "SELECT g.org_id, g.metric, g.status, k.id AS link_id FROM goal g LEFT JOIN link k ON k.goal_id = "
                  "g.id WHERE g.id = $1 FOR UPDATE OF g",
                  CLI_WITH(goal));
    if (!r)
        return c->code;
    if (cli_get_int(r, 0, "org_id") != a->org_id)
        return cli_fail(c, CLI_REFUSED, "goal %s and connection %s are of different organisations", goal,
                        a->connection);
    if (!cli_is_null(r, 0, "link_id"))
        return cli_fail(c, CLI_REFUSED, "goal %s has link %s already; edit that, or delete it first", goal,
                        cli_get(r, 0, "link_id"));
    if (gs_str_eq(cli_get(r, 0, "status"), "closed") || gs_str_eq(cli_get(r, 0, "status"), "postponed"))
        return cli_fail(c, CLI_REFUSED, "goal %s is %s; only open goals can be linked", goal, cli_get(r, 0, "status"));
    if (!(outcomes & (gs_str_eq(cli_get(r, 0, "metric"), "percent") ? FETCH_PERCENT : FETCH_NUMBER)))
        return cli_fail(c, CLI_REFUSED, "%s gives %s; goal %s is measured otherwise", a->entry->connector->label,
                        outcomes & FETCH_PERCENT ? "a percentage" : "a number", goal);
    return CLI_OK;
}

/* ---- storing ---- */

/* The batch's row is locked. */
static enum cli_exit check_room(struct cli *c, const struct cli_ask *a, const char *batch)
{
    CLI_AUTO_RESULT r = cli_query(c, fetch_link_room_sql, CLI_WITH(batch));

    if (!r)
        return c->code;
    if (a->entry->connector->pushed ||
        (cli_get_int(r, 0, "n") < FETCH_TARGETS_MAX &&
         cli_get_int(r, 0, "bytes") + (int64_t)strlen(a->settings) <= FETCH_TOGETHER_BYTES))
        return CLI_OK;
    return cli_fail(c, CLI_REFUSED,
                    "%s links of connection %s are asked together with this one already, and at most %d links or %d "
                    "bytes of settings can be; link it by another connection",
                    cli_get(r, 0, "n"), a->connection, FETCH_TARGETS_MAX, FETCH_TOGETHER_BYTES);
}

static enum cli_exit put_batch(struct cli *c, const struct cli_ask *a, char ret[CLI_ID_TEXT])
{
    char hash[CLI_ID_TEXT];

    snprintf(hash, sizeof(hash), "%d", gs_slot_hash(a->connection_id, a->batch_key));
    CLI_AUTO_RESULT r =
        cli_query(c, fetch_link_batch_sql,
                  CLI_WITH(a->connection, hash, a->batch_key, a->entry->connector->pushed ? "true" : "false"));
    if (!r)
        return c->code;
    snprintf(ret, CLI_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return check_room(c, a, ret);
}

static enum cli_exit put_revision(struct cli *c, const char *link, const char *person)
{
    return cli_exec(c, fetch_link_revision_sql, CLI_WITH(link, person));
}

static enum cli_exit put_feed(struct cli *c, const char *link, const char *kind, const char *person)
{
    return cli_exec(c, fetch_link_feed_sql, CLI_WITH(link, kind, person));
}

enum cli_exit cli_sync_request(struct cli *c, const char *ids)
{
    enum cli_exit rc = cli_exec(c, fetch_link_sync_sql, CLI_WITH(ids));

    return rc == CLI_OK ? cli_exec(c, "NOTIFY goalsync_sync", CLI_NO_PARAMS) : rc;
}

static enum cli_exit sync_one(struct cli *c, const char *link)
{
    char ids[CLI_ID_TEXT + 2];

    snprintf(ids, sizeof(ids), "{%s}", link);
    return cli_sync_request(c, ids);
}

static enum cli_exit print_link(struct cli *c, const char *link)
{
    struct gs_buf b;

    CLI_AUTO_RESULT r = cli_link_load(c, "k.id = $1", link);
    if (!r)
        return c->code;
    if (PQntuples(r) == 0)
        return cli_fail(c, CLI_NOT_FOUND, "there is no link %s (any more)", link);
    if (c->json)
        return cli_print_row(c, r);
    cli_terminal_init();
    gs_buf_init(&b, CLI_OUT_MAX);
    gs_buf_printf(&b, "link %s feeds goal %s, ", cli_get(r, 0, "id"), cli_get(r, 0, "goal_id"));
    cli_put_colour(&b, CLI_BOLD, cli_get(r, 0, "goal"));
    gs_buf_putc(&b, '\n');
    cli_link_put(&b, r, 0);
    cli_print_buf(&b);
    return CLI_OK;
}

static enum cli_exit insert(struct cli *c, const char *goal, const struct cli_ask *a, char ret_link[CLI_ID_TEXT])
{
    char batch[CLI_ID_TEXT], person[CLI_ID_TEXT] = "";

    if (cli_has(c, "by") && cli_find(c, CLI_PERSON, cli_opt(c, "by"), person) != CLI_OK)
        return c->code;
    if (cli_begin(c) != CLI_OK || check_goal(c, goal, a) != CLI_OK || put_batch(c, a, batch) != CLI_OK)
        return c->code;
    CLI_AUTO_RESULT r = cli_query(c, fetch_link_insert_sql, CLI_WITH(goal, a->connection, batch, a->settings, person));
    if (!r)
        return c->code;
    snprintf(ret_link, CLI_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    if (cli_exec(c, "UPDATE goal SET mode = 'data_source' WHERE id = $1", CLI_WITH(goal)) != CLI_OK ||
        put_revision(c, ret_link, person) != CLI_OK || put_feed(c, ret_link, "linked", person) != CLI_OK ||
        cli_audit(c, c->org, "link.created", "link", ret_link) != CLI_OK || sync_one(c, ret_link) != CLI_OK)
        return c->code;
    return cli_commit(c);
}

static enum cli_exit create_or_preview(struct cli *c, bool preview)
{
    struct cli_ask a = {0};
    char goal[CLI_ID_TEXT] = "", link[CLI_ID_TEXT];
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK && cli_has(c, "goal"))
        rc = cli_find(c, CLI_GOAL, cli_opt(c, "goal"), goal);
    if (rc == CLI_OK)
        rc = cli_ask_prepare(c, cli_opt(c, "connection"), "{}", goal, &a);
    if (rc == CLI_OK && preview)
        rc = a.paused[0] ? refuse_paused(c, &a) : cli_preview(c, &a);
    else if (rc == CLI_OK)
        rc = insert(c, goal, &a, link);
    cli_ask_done(&a);
    return rc == CLI_OK && !preview ? print_link(c, link) : rc;
}

static enum cli_exit run_create(struct cli *c)
{
    return create_or_preview(c, cli_has(c, "preview"));
}

static enum cli_exit run_preview(struct cli *c)
{
    return create_or_preview(c, true);
}

/* ---- changing ---- */

static enum cli_exit find_link(struct cli *c, char id[CLI_ID_TEXT])
{
    enum cli_exit rc = cli_db_open(c);

    return rc == CLI_OK ? cli_find(c, CLI_LINK, cli_arg(c, 0), id) : rc;
}

static enum cli_exit open_link(struct cli *c, char id[CLI_ID_TEXT])
{
    enum cli_exit rc = find_link(c, id);

    return rc == CLI_OK ? cli_begin(c) : rc;
}

static enum cli_exit drop_if_empty(struct cli *c, const char *batch)
{
    return cli_exec(c, fetch_link_drop_batch_sql, CLI_WITH(batch));
}

static enum cli_exit store_edit(struct cli *c, const char *id, const char *old_batch, const struct cli_ask *a)
{
    char batch[CLI_ID_TEXT], person[CLI_ID_TEXT] = "";

    if (cli_has(c, "by") && cli_find(c, CLI_PERSON, cli_opt(c, "by"), person) != CLI_OK)
        return c->code;
    if (put_batch(c, a, batch) != CLI_OK ||
        cli_exec(c, fetch_link_edit_sql, CLI_WITH(id, a->connection, batch, a->settings)) != CLI_OK ||
        drop_if_empty(c, old_batch) != CLI_OK || put_revision(c, id, person) != CLI_OK ||
        put_feed(c, id, "link_edited", person) != CLI_OK || cli_audit(c, c->org, "link.edited", "link", id) != CLI_OK ||
        sync_one(c, id) != CLI_OK)
        return c->code;
    return cli_commit(c);
}

static enum cli_exit run_edit(struct cli *c)
{
    struct cli_ask a = {0};
    char id[CLI_ID_TEXT];
    /* A source may take its time: while it is asked, the link's row must not be held, or the writer waits for it. */
    enum cli_exit rc = cli_has(c, "preview") ? find_link(c, id) : open_link(c, id);

    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT old =
        cli_query(c, "SELECT org_id, goal_id, connection_id, batch_id, settings FROM link WHERE id = $1 FOR UPDATE",
                  CLI_WITH(id));
    if (!old)
        return c->code;
    rc = cli_ask_prepare(c, cli_has(c, "connection") ? cli_opt(c, "connection") : cli_get(old, 0, "connection_id"),
                         cli_get(old, 0, "settings"), cli_get(old, 0, "goal_id"), &a);
    if (rc == CLI_OK && cli_get_int(old, 0, "org_id") != a.org_id)
        rc = cli_fail(c, CLI_REFUSED, "link %s and connection %s are of different organisations", id, a.connection);
    if (rc == CLI_OK && cli_has(c, "preview"))
        rc = a.paused[0] ? refuse_paused(c, &a) : cli_preview(c, &a);
    else if (rc == CLI_OK)
        rc = store_edit(c, id, cli_get(old, 0, "batch_id"), &a);
    cli_ask_done(&a);
    return rc == CLI_OK && !cli_has(c, "preview") ? print_link(c, id) : rc;
}

static enum cli_exit set_state(struct cli *c, const char *state, const char *reason, const char *action)
{
    char id[CLI_ID_TEXT];
    enum cli_exit rc = open_link(c, id);

    if (rc == CLI_OK)
        rc = cli_exec(c, "UPDATE link SET state = $2, paused_reason = $3 WHERE id = $1", CLI_WITH(id, state, reason));
    if (rc == CLI_OK && !reason)
        rc = sync_one(c, id);
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, action, "link", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? print_link(c, id) : rc;
}

static enum cli_exit run_pause(struct cli *c)
{
    return set_state(c, "paused", cli_has(c, "reason") ? cli_opt(c, "reason") : "paused by a person", "link.paused");
}

static enum cli_exit run_resume(struct cli *c)
{
    return set_state(c, "active", NULL, "link.resumed");
}

static enum cli_exit run_delete(struct cli *c)
{
    char id[CLI_ID_TEXT];
    enum cli_exit rc = open_link(c, id);

    /* The feed keeps what the link asked. */
    if (rc == CLI_OK)
        rc = put_feed(c, id, "unlinked", "");
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT gone = cli_query(c, "DELETE FROM link WHERE id = $1 RETURNING id, goal_id, batch_id", CLI_WITH(id));
    if (!gone)
        return c->code;
    rc = cli_exec(c, "UPDATE goal SET mode = 'manual' WHERE id = $1 AND mode = 'data_source'",
                  CLI_WITH(cli_get(gone, 0, "goal_id")));
    if (rc == CLI_OK)
        rc = drop_if_empty(c, cli_get(gone, 0, "batch_id"));
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, "link.deleted", "link", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_print_row(c, gone) : rc;
}

static enum cli_exit run_show(struct cli *c)
{
    char id[CLI_ID_TEXT];
    enum cli_exit rc = find_link(c, id);

    return rc == CLI_OK ? print_link(c, id) : rc;
}

static enum cli_exit run_list(struct cli *c)
{
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_org(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r = cli_query(
        c,
        "SELECT k.id, g.title AS goal, c.name AS connection, c.connector, CASE WHEN coalesce(k.paused_reason, "
        "c.paused_reason) IS NOT "
        "NULL OR k.state <> 'active' THEN 'paused' WHEN k.outcome = 'waiting' THEN 'waiting' WHEN k.failures > 0 THEN "
        "'failing' "
        "WHEN k.outcome IS NULL THEN 'new' ELSE 'ok' END AS state, g.applied_value AS value, g.fetched_at, "
        "b.next_due_at, "
        "coalesce(k.paused_reason, c.paused_reason, k.error) AS reason FROM link k JOIN goal g ON g.id = k.goal_id "
        "JOIN connection "
        "c ON c.id = k.connection_id JOIN link_batch b ON b.id = k.batch_id WHERE k.org_id = $1 ORDER BY k.id",
        CLI_WITH(c->org));
    return r ? cli_print_rows(c, "links", r, "There is no link yet; make one with `goalsync link create`.") : c->code;
}

#define ORG                                                                                                            \
    {                                                                                                                  \
        "org", "ORG", "id or name; may be left out when there is only one", 0                                          \
    }
#define BY                                                                                                             \
    {                                                                                                                  \
        "by", "EMAIL", "the person who links", 0                                                                       \
    }

static const struct cli_option create_options[] = {
    ORG,
    {"goal", "GOAL", "the goal that is fed, by id or title", CLI_REQUIRED},
    {"connection", "CONNECTION", "where the number comes from, by id or name", CLI_REQUIRED},
    CLI_SET_OPTION,
    {"preview", NULL, "only ask the source and show what it says; nothing is stored", 0},
    {"timeout", "SECONDS", "with --preview: how long to wait; default 30", 0},
    BY,
    {0},
};
static const struct cli_option preview_options[] = {
    ORG,
    {"goal", "GOAL", "the goal that would be fed", 0},
    {"connection", "CONNECTION", "where the number comes from", CLI_REQUIRED},
    CLI_SET_OPTION,
    {"timeout", "SECONDS", "how long to wait; default 30", 0},
    {0},
};
static const struct cli_option edit_options[] = {
    ORG,
    {"connection", "CONNECTION", "another connection", 0},
    CLI_SET_OPTION,
    {"preview", NULL, "only ask the source with the new settings", 0},
    {"timeout", "SECONDS", "with --preview: how long to wait; default 30", 0},
    BY,
    {0},
};
static const struct cli_option org_options[] = {ORG, {0}};
static const struct cli_option pause_options[] = {ORG, {"reason", "TEXT", "what people read", 0}, {0}};

const struct cli_command cli_link_commands[] = {
    {"create", "", "Links a goal to a source; it is asked at once", create_options,
     "  goalsync link create --goal 12 --connection Shop --set query='SELECT count(*) FROM customer'\n"
     "  goalsync link create --goal 12 --connection Shop --set query='SELECT count(*) FROM customer' --preview\n",
     run_create},
    {"preview", "", "Asks a source and shows its number; nothing is stored", preview_options,
     "  goalsync link preview --connection Shop --set query='SELECT count(*) FROM customer'\n", run_preview},
    {"edit", "LINK", "Changes what is asked, or where; it is asked at once", edit_options,
     "  goalsync link edit 4 --set query='SELECT sum(paid) FROM customer_order'\n", run_edit},
    {"list", "", "Lists the links of an organisation", org_options, NULL, run_list},
    {"show", "LINK", "Shows one link: evidence, next slot, trouble", org_options, NULL, run_show},
    {"pause", "LINK", "Stops asking until resumed", pause_options,
     "  goalsync link pause 4 --reason \"the table moves\"\n", run_pause},
    {"resume", "LINK", "Goes on asking, at once", org_options, NULL, run_resume},
    {"delete", "LINK", "Deletes a link; the goal keeps its number and becomes manual", org_options, NULL, run_delete},
    {0},
};
