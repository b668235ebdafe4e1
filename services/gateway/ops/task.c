/* Tasks of projects: done over all is the project's progress while it rolls up. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"

#include <stdio.h>
#include <string.h>

enum { TASKS_MAX = 1000 }; /* of a project */

/* Over the alias t; a due day after the project's end is allowed, with a warning. */
#define TASK_JSON                                                                                                      \
    "json_build_object('id', t.public_id, 'goal_id', g.public_id, 'title', t.title, 'done', t.done, 'due_on', "        \
    "t.due_on, 'owner_id', (SELECT p.public_id FROM person p WHERE p.id = t.owner_id), 'position', t.position, "       \
    "'warning', CASE WHEN t.due_on > g.end_on THEN 'is due after the project ends on ' || g.end_on END, "              \
    "'created_at', api_time(t.created_at), 'revision', t.revision)"

static const char list_sql[] =
    "SELECT " TASK_JSON ", jsonb_build_array(t.position, t.id)::text FROM goal_task t JOIN goal g ON g.id = t.goal_id "
    "WHERE t.goal_id = $2 AND ($3::jsonb IS NULL OR (t.position, t.id) > (($3->>0)::int, ($3->>1)::bigint)) "
    "ORDER BY t.position, t.id LIMIT $1";
static const char task_sql[] =
    "SELECT " TASK_JSON ", t.revision, t.goal_id FROM goal_task t JOIN goal g ON g.id = t.goal_id WHERE t.id = $1";

static int show(struct gw_call *c, int status, const char *task)
{
    PGresult *r = gw_query(c, task_sql, GS_WITH(task));

    if (r && PQntuples(r))
        gw_etag(c, PQgetvalue(r, 0, 1));
    return gw_answer(c, status, r);
}

/* The project's value moves with its tasks, and everything above it. */
static int follow(struct gw_call *c, const char *goal, const char *kind, const char *title)
{
    GS_AUTO(gs_buf_done) struct gs_buf data;
    int status = gw_goal_recompute_one(c, goal, NULL);

    if (status)
        return status;
    gs_buf_init(&data, 10000);
    gs_buf_puts(&data, "{\"title\": ");
    gs_buf_put_json(&data, title, strlen(title));
    gs_buf_putc(&data, '}');
    return gw_goal_activity(c, goal, kind, gs_buf_str(&data)) ? 0 : gw_status(c);
}

/* The person that /owner_id names. 0, or 422. */
static int find_owner(struct gw_call *c, char ret[GW_ID_TEXT])
{
    static const char sql[] = "SELECT id FROM person WHERE public_id = $1 AND deactivated_at IS NULL";
    const char *public_id = gw_text(c, "/owner_id");

    *ret = '\0';
    if (!public_id)
        return 0;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(public_id));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_invalid(c, "/owner_id", "names nobody who is active in this organisation");
    snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return 0;
}

static int task_list(struct gw_call *c)
{
    int status = gw_goal_need(c, gw_item(c), GW_SEE);

    if (status)
        return status;
    return gw_answer_page(c, gw_query(c, list_sql, GS_WITH(gw_page_rows(c), gw_item(c), gw_page_cursor(c))));
}

static int need_room(struct gw_call *c, const char *goal)
{
    static const char sql[] = "SELECT kind, (SELECT count(*) FROM goal_task WHERE goal_id = g.id) AS tasks FROM goal g "
                              "WHERE g.id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal));

    if (!r)
        return gw_status(c);
    if (!gs_str_eq(gs_db_get(r, 0, "kind"), "project"))
        return gw_fail(c, 422, "no-project", "only projects have tasks; this goal is of kind %s",
                       gs_db_get(r, 0, "kind"));
    if (gs_db_get_int(r, 0, "tasks") >= TASKS_MAX)
        return gw_fail(c, 409, "too-many", "a project has at most %d tasks", TASKS_MAX);
    return 0;
}

static int task_create(struct gw_call *c)
{
    static const char sql[] =
        "INSERT INTO goal_task (org_id, goal_id, title, done, due_on, owner_id, position) SELECT g.org_id, g.id, "
        "b->>'title', coalesce((b->>'done')::boolean, false), (b->>'due_on')::date, $3, "
        "coalesce((b->>'position')::int, "
        "(SELECT max(position) + 1 FROM goal_task WHERE goal_id = g.id), 0) FROM goal g, (SELECT $2::jsonb AS b) x "
        "WHERE g.id = $1 RETURNING id";
    const char *goal = gw_item(c);
    char owner[GW_ID_TEXT], task[GW_ID_TEXT];
    int status = gw_goal_need(c, goal, GW_EDIT);

    if (status == 0)
        status = need_room(c, goal);
    if (status == 0)
        status = find_owner(c, owner);
    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal, gw_body_text(c, NULL), *owner ? owner : NULL));
    if (!r)
        return gw_status(c);
    snprintf(task, sizeof(task), "%s", PQgetvalue(r, 0, 0));
    status = follow(c, goal, "task_added", gw_text(c, "/title"));
    return status ? status : show(c, 201, task);
}

/* The task's project, its row locked; who checks in on a project ticks its tasks off. */
static int open_task(struct gw_call *c, enum gw_right right, char goal[GW_ID_TEXT], char title[2048])
{
    static const char sql[] = "SELECT goal_id FROM goal_task WHERE id = $1";
    static const char again_sql[] = "SELECT title, revision FROM goal_task WHERE id = $1";
    const char *task = gw_item(c);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(task));
    int status;

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "task");
    snprintf(goal, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    if ((status = gw_goal_need(c, goal, right)) != 0)
        return status;
    GS_AUTO_RESULT now = gw_query(c, again_sql, GS_WITH(task));
    if (!now)
        return gw_status(c);
    if (PQntuples(now) == 0)
        return gw_not_found(c, "task");
    snprintf(title, 2048, "%s", PQgetvalue(now, 0, 0));
    return gw_match(c, PQgetvalue(now, 0, 1));
}

static int task_get(struct gw_call *c)
{
    return show(c, 200, gw_item(c));
}

static bool only_done(struct gw_call *c)
{
    return gw_has(c, "/done") && gs_json_count(gw_body(c), "") == 1;
}

static int task_edit(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE goal_task SET title = coalesce(b->>'title', title), done = coalesce((b->>'done')::boolean, done), "
        "due_on "
        "= CASE WHEN b ? 'due_on' THEN (b->>'due_on')::date ELSE due_on END, owner_id = CASE WHEN b ? 'owner_id' THEN "
        "$3 ELSE owner_id END, position = coalesce((b->>'position')::int, position) FROM (SELECT $2::jsonb AS b) x "
        "WHERE "
        "id = $1";
    bool done, ticks = gs_json_bool(gw_body(c), "/done", &done);
    char goal[GW_ID_TEXT], title[2048], owner[GW_ID_TEXT];
    int status = open_task(c, only_done(c) ? GW_CHECK_IN : GW_EDIT, goal, title);

    if (status == 0)
        status = find_owner(c, owner);
    if (status)
        return status;
    if (!gw_exec(c, sql, GS_WITH(gw_item(c), gw_body_text(c, NULL), *owner ? owner : NULL)))
        return gw_status(c);
    status = follow(c, goal, !ticks ? "task_edited" : done ? "task_done" : "task_reopened", title);
    return status ? status : show(c, 200, gw_item(c));
}

static int task_delete(struct gw_call *c)
{
    char goal[GW_ID_TEXT], title[2048];
    int status = open_task(c, GW_EDIT, goal, title);

    if (status)
        return status;
    if (!gw_exec(c, "DELETE FROM goal_task WHERE id = $1", GS_WITH(gw_item(c))))
        return gw_status(c);
    status = follow(c, goal, "task_removed", title);
    return status ? status : gw_no_content(c);
}

/* All tasks of the project, in the order they shall have. */
static int task_order(struct gw_call *c)
{
    static const char sql[] =
        "WITH b AS (SELECT (x#>>'{}')::uuid AS public_id, n FROM jsonb_array_elements($2::jsonb->'task_ids') WITH "
        "ORDINALITY t(x, n)), u AS (UPDATE goal_task t SET position = b.n - 1 FROM b WHERE t.public_id = b.public_id "
        "AND "
        "t.goal_id = $1 RETURNING 1) SELECT (SELECT count(*) FROM u) = (SELECT count(*) FROM goal_task WHERE goal_id = "
        "$1) AND (SELECT count(*) FROM u) = (SELECT count(*) FROM b)";
    const char *goal = gw_item(c);
    int status = gw_goal_need(c, goal, GW_EDIT);

    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal, gw_body_text(c, NULL)));
    if (!r)
        return gw_status(c);
    if (*PQgetvalue(r, 0, 0) != 't')
        return gw_invalid(c, "/task_ids", "must name each task of this project, and no other");
    return gw_no_content(c);
}

const struct gw_op gw_ops_task[] = {
    {"task_list", task_list},
    {"task_create", task_create},
    {"task_get", task_get},
    {"task_edit", task_edit},
    {"task_delete", task_delete},
    {"task_order", task_order},
    {0},
};
