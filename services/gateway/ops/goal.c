/* Goals: listing, making, showing, editing, deleting. What they are made of is in goal_define.c. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/goal_define.h"
#include "services/gateway/note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DELETED_MAX = 1000, /* goals that go at once */
    PARENTS_MAX = 50,
};

/* ---- lists ---- */

/* $1: rows, $2: the last row's sort key and id as JSON, or null, $3 to $17: filters, each null when not given. A cursor
 * holds for the sort that made it. */
#define FILTERS                                                                                                        \
    "g.org_id = calling('org') "                                                                                       \
    "AND ($3::uuid IS NULL OR g.period_id = (SELECT id FROM period WHERE public_id = $3)) "                            \
    "AND ($4::uuid IS NULL OR EXISTS (SELECT FROM person p WHERE p.public_id = $4 AND (p.id = g.owner_id OR EXISTS "   \
    "(SELECT FROM goal_co_owner o WHERE o.goal_id = g.id AND o.person_id = p.id)))) "                                  \
    "AND ($5::uuid IS NULL OR EXISTS (SELECT FROM goal_team t JOIN team x ON x.id = t.team_id WHERE t.goal_id = g.id " \
    "AND x.public_id = $5)) "                                                                                          \
    "AND ($6::text IS NULL OR EXISTS (SELECT FROM goal_tag t WHERE t.goal_id = g.id AND t.tag = $6)) "                 \
    "AND ($7::goal_status IS NULL OR g.status = $7) AND ($8::goal_kind IS NULL OR g.kind = $8) "                       \
    "AND ($9::goal_level IS NULL OR g.level = $9) AND ($10::progress_mode IS NULL OR g.mode = $10) "                   \
    "AND ($11::text IS NULL OR EXISTS (SELECT FROM link l JOIN connection k ON k.id = l.connection_id WHERE "          \
    "l.goal_id = g.id AND k.connector = $11)) "                                                                        \
    "AND ($12::uuid IS NULL OR EXISTS (SELECT FROM goal_edge e JOIN goal p ON p.id = e.parent_id WHERE e.child_id = "  \
    "g.id AND p.public_id = $12)) "                                                                                    \
    "AND ($13::boolean IS NULL OR $13 <> EXISTS (SELECT FROM goal_edge e WHERE e.child_id = g.id)) "                   \
    "AND ($14::text IS NULL OR strpos(lower(g.title), lower($14)) > 0 OR strpos(lower(g.description), lower($14)) > "  \
    "0) AND ($15::numeric IS NULL OR (g.has_value AND g.progress >= $15)) "                                            \
    "AND ($16::numeric IS NULL OR (g.has_value AND g.progress <= $16)) "                                               \
    "AND ($17::timestamptz IS NULL OR greatest(g.edited_at, g.applied_at) >= $17) "
/* Two statements for each order: rows first, then what is shown of them. */
#define LIST(name, key, type, order, than)                                                                             \
    "SELECT g.id, jsonb_build_array(" key ", g.id, '" name "')::text FROM goal g WHERE " FILTERS                       \
    "AND ($2::jsonb IS NULL OR "                                                                                       \
    "(" key ", g.id) " than " (($2->>0)::" type ", ($2->>1)::bigint)) ORDER BY " key " " order ", g.id " order         \
    " LIMIT $1"

static const struct {
    const char *name, *sql;
} sorts[] = {
    {"created", LIST("created", "g.id", "bigint", "", ">")},
    {"-created", LIST("-created", "g.id", "bigint", "DESC", "<")},
    {"title", LIST("title", "g.title", "text", "", ">")},
    {"-title", LIST("-title", "g.title", "text", "DESC", "<")},
    {"progress", LIST("progress", "g.progress", "numeric", "", ">")},
    {"-progress", LIST("-progress", "g.progress", "numeric", "DESC", "<")},
    {"ends_on", LIST("ends_on", "g.end_on", "date", "", ">")},
    {"-ends_on", LIST("-ends_on", "g.end_on", "date", "DESC", "<")},
    {"updated", LIST("updated", "greatest(g.edited_at, g.applied_at)", "timestamptz", "", ">")},
    {"-updated", LIST("-updated", "greatest(g.edited_at, g.applied_at)", "timestamptz", "DESC", "<")},
};

static const char shown_sql[] = "SELECT " GW_GOAL_JSON ", u.cursor FROM unnest($1::bigint[], $2::text[]) WITH "
                                "ORDINALITY AS u(id, cursor, n) JOIN goal g ON g.id = u.id ORDER BY u.n";

/* Null: the cursor was made by another order. */
static const char *sort_sql(struct gw_call *c)
{
    const char *sort = gw_param(c, "sort"), *cursor = gw_page_cursor(c);
    char made_by[32];
    size_t i = 0;

    while (i < sizeof(sorts) / sizeof(*sorts) && !gs_str_eq(sort, sorts[i].name))
        i++;
    if (i == sizeof(sorts) / sizeof(*sorts))
        i = 0;
    snprintf(made_by, sizeof(made_by), "\"%s\"]", sorts[i].name);
    size_t len = cursor ? strlen(cursor) : 0;
    if (cursor && (len < strlen(made_by) || strcmp(cursor + len - strlen(made_by), made_by) != 0))
        return NULL;
    return sorts[i].sql;
}

/* An element of an array as text. */
static void put_quoted(struct gs_buf *b, bool first, const char *text)
{
    gs_buf_puts(b, first ? "\"" : ",\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            gs_buf_putc(b, '\\');
        gs_buf_putc(b, *text);
    }
    gs_buf_putc(b, '"');
}

static int answer_rows(struct gw_call *c, const PGresult *rows)
{
    GS_AUTO(gs_buf_done) struct gs_buf ids;
    GS_AUTO(gs_buf_done) struct gs_buf cursors;

    gs_buf_init(&ids, GW_BODY_MAX);
    gs_buf_init(&cursors, GW_BODY_MAX);
    gs_buf_putc(&ids, '{');
    gs_buf_putc(&cursors, '{');
    for (int i = 0; i < PQntuples(rows); i++) {
        put_quoted(&ids, i == 0, PQgetvalue(rows, i, 0));
        put_quoted(&cursors, i == 0, PQgetvalue(rows, i, 1));
    }
    gs_buf_putc(&ids, '}');
    gs_buf_putc(&cursors, '}');
    return gw_answer_page(c, gw_query(c, shown_sql, GS_WITH(gs_buf_str(&ids), gs_buf_str(&cursors))));
}

static int goal_list(struct gw_call *c)
{
    const char *roots = gw_param(c, "roots"); /* absent: both */
    const char *sql = sort_sql(c);

    if (!sql)
        return gw_fail(c, 422, "cursor",
                       "the cursor is of a list in another order; ask for the first page in this one");
    GS_AUTO_RESULT rows =
        gw_query(c, sql,
                 GS_WITH(gw_page_rows(c), gw_page_cursor(c), gw_param(c, "period_id"), gw_param(c, "owner_id"),
                         gw_param(c, "team_id"), gw_param(c, "tag"), gw_param(c, "status"), gw_param(c, "kind"),
                         gw_param(c, "level"), gw_param(c, "mode"), gw_param(c, "integration"),
                         gw_param(c, "parent_id"), roots, gw_param(c, "q"), gw_param(c, "progress_min"),
                         gw_param(c, "progress_max"), gw_param(c, "updated_since")));

    return rows ? answer_rows(c, rows) : gw_status(c);
}

/* ---- the tree ---- */

/* Breadth first from the roots, or from one goal, so that a cut leaves the lower levels out. A look-up for each edge,
 * whatever the planner thinks of a table that has just been filled. */
static const char tree_sql[] =
    "WITH RECURSIVE down(id, depth) AS (SELECT g.id, 0 FROM goal g WHERE g.org_id = calling('org') AND CASE WHEN "
    "$1::uuid IS NULL THEN NOT EXISTS (SELECT FROM goal_edge e CROSS JOIN LATERAL (SELECT FROM goal p WHERE p.id = "
    "e.parent_id OFFSET 0) p WHERE e.child_id = g.id) AND ($2::uuid IS NULL OR g.period_id = (SELECT id FROM period "
    "WHERE public_id = $2)) ELSE g.public_id = $1 END UNION SELECT e.child_id, d.depth + 1 FROM down d JOIN goal_edge "
    "e "
    "ON e.parent_id = d.id CROSS JOIN LATERAL (SELECT FROM goal k WHERE k.id = e.child_id OFFSET 0) k WHERE d.depth < "
    "$3::int), "
    "seen AS (SELECT id, min(depth) AS depth FROM down GROUP BY id), "
    "kept AS (SELECT g.*, s.depth FROM (SELECT id, depth FROM seen ORDER BY depth, id LIMIT $4::int) s CROSS JOIN "
    "LATERAL (SELECT * FROM goal x WHERE x.id = s.id OFFSET 0) g) "
    "SELECT json_build_object('truncated', (SELECT count(*) FROM seen) > $4::int, "
    "'goals', (SELECT coalesce(json_agg(json_build_object('id', g.public_id, 'kind', g.kind, 'level', g.level, "
    "'title', g.title, 'status', g.status, 'mode', g.mode, 'has_value', g.has_value, 'value', "
    "trim_scale(g.applied_value)::text, 'unit', g.unit, 'progress', round(g.progress, 4)::text, 'private', g.private, "
    "'starts_on', g.start_on, 'ends_on', g.end_on, 'owner_id', (SELECT p.public_id FROM person p WHERE p.id = "
    "g.owner_id), 'depth', g.depth) ORDER BY g.depth, g.id), '[]') FROM kept g), "
    "'edges', (SELECT coalesce(json_agg(json_build_object('parent_id', p.public_id, 'goal_id', g.public_id, "
    "'weight', round(e.weight_hundredths / 100.0, 2)::text, 'contributes', e.contributes) ORDER BY e.parent_id, "
    "e.position, e.child_id), '[]') FROM kept g CROSS JOIN LATERAL (SELECT * FROM goal_edge x WHERE x.child_id = g.id "
    "OFFSET 0) e CROSS JOIN LATERAL (SELECT * FROM goal x WHERE x.id = e.parent_id OFFSET 0) p WHERE (e.parent_id IN "
    "(SELECT id FROM kept)) IS TRUE))";

static int goal_tree(struct gw_call *c)
{
    return gw_answer(c, 200,
                     gw_query(c, tree_sql,
                              GS_WITH(gw_param(c, "root_id"), gw_param(c, "period_id"), gw_param(c, "depth"),
                                      gw_param(c, "limit"))));
}

/* ---- making ---- */

/* Who may make a goal of this level: $1 teams. */
static const char create_sql[] =
    "SELECT o.create_rule, EXISTS (SELECT FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.person_id = "
    "calling('person') AND m.owner AND t.archived_at IS NULL) AS team_owner, NOT EXISTS (SELECT FROM "
    "unnest($1::bigint[]) x WHERE NOT EXISTS (SELECT FROM team_member m WHERE m.team_id = x AND m.person_id = "
    "calling('person'))) AS of_teams FROM organisation o WHERE o.id = calling('org')";

/* Beside the level's rule: who may edit a parent may put goals below it. */
static int edits_a_parent(struct gw_call *c, bool *ret)
{
    char pointer[64], parent[GW_ID_TEXT];
    int status = 0;

    *ret = false;
    for (int i = 0; i < PARENTS_MAX && !*ret && status == 0; i++) {
        snprintf(pointer, sizeof(pointer), "/parents/%d/goal_id", i);
        if (!gw_text(c, pointer))
            break;
        status = gw_goal_find(c, gw_text(c, pointer), pointer, parent);
        if (status == 0)
            status = gw_goal_may(c, parent, GW_EDIT, ret);
    }
    return status;
}

static int need_create(struct gw_call *c, const struct gw_definition *d)
{
    bool below;
    int status;

    if (gw_who(c)->role >= GW_ADMIN || gs_str_eq(d->level, "individual"))
        return 0;
    if ((status = edits_a_parent(c, &below)) != 0 || below)
        return status;
    GS_AUTO_RESULT r = gw_query(c, create_sql, GS_WITH(d->teams));
    if (!r)
        return gw_status(c);
    if (gs_str_eq(d->level, "team"))
        return gs_db_get_bool(r, 0, "of_teams")
                   ? 0
                   : gw_forbidden(c, "only members of a team, and administrators, make goals of the team");
    const char *rule = gs_db_get(r, 0, "create_rule");
    if (gs_str_eq(rule, "everyone") || (gs_str_eq(rule, "team_owners") && gs_db_get_bool(r, 0, "team_owner")))
        return 0;
    return gw_forbidden(c,
                        "in this organisation only %s make goals of the organisation's level; make a team's or an "
                        "individual one, or align it below a goal you may edit",
                        gs_str_eq(rule, "admins") ? "administrators" : "team owners and administrators");
}

static int put_parent(struct gw_call *c, const char *goal, int i)
{
    char pointer[64], parent[GW_ID_TEXT], weight[GW_ID_TEXT];
    struct gs_json *j = gw_body(c);
    bool contributes, given;
    int status;

    snprintf(pointer, sizeof(pointer), "/parents/%d/goal_id", i);
    if ((status = gw_goal_find(c, gw_text(c, pointer), pointer, parent)) != 0)
        return status;
    snprintf(pointer, sizeof(pointer), "/parents/%d/contributes", i);
    given = gs_json_bool(j, pointer, &contributes);
    snprintf(pointer, sizeof(pointer), "/parents/%d/weight", i);
    if ((status = gw_weight_read(c, gw_text(c, pointer), pointer, weight)) != 0)
        return status;
    /* Everybody who sees a goal aligns to it; what the others below it count is not theirs to say. */
    if ((*weight || given) && (status = gw_goal_need(c, parent, GW_CHECK_IN)) != 0)
        return status;
    return gw_goal_align(c, goal, parent, *weight ? weight : NULL, !given ? NULL : contributes ? "true" : "false");
}

static int put_parents(struct gw_call *c, const char *goal)
{
    int64_t n = gs_json_count(gw_body(c), "/parents");
    int status = 0;

    for (int i = 0; i < n && status == 0; i++)
        status = put_parent(c, goal, i);
    return status;
}

/* A key result below a private goal becomes private: its parents say so. */
static int pass_parents_privacy(struct gw_call *c, const char *goal)
{
    static const char sql[] = "SELECT p.id FROM goal_edge e JOIN goal p ON p.id = e.parent_id WHERE e.child_id = $1 "
                              "AND p.private ORDER BY p.id";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal));
    int status = r ? 0 : gw_status(c);

    for (int i = 0; r && i < PQntuples(r) && status == 0; i++)
        status = gw_goal_pass_privacy(c, PQgetvalue(r, i, 0));
    return status ? status : gw_goal_pass_privacy(c, goal);
}

static int location(struct gw_call *c, const char *goal)
{
    static const char sql[] = "SELECT '/api/v1/goals/' || public_id FROM goal WHERE id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "goal");
    gw_header_set(c, "Location", PQgetvalue(r, 0, 0));
    return 0;
}

static int goal_create(struct gw_call *c)
{
    GS_AUTO_RESULT row = NULL;
    struct gw_definition d;
    char goal[GW_ID_TEXT];
    const char *changed;
    int status = gw_definition_read(c, NULL, &row, &d, &changed);

    if (status == 0)
        status = need_create(c, &d);
    if (status == 0)
        status = gw_goal_insert(c, &d, goal);
    if (status == 0)
        status = put_parents(c, goal);
    if (status == 0)
        status = pass_parents_privacy(c, goal);
    if (status == 0)
        status = gw_goal_recompute_one(c, goal, &(struct gw_change){.edited = true});
    if (status)
        return status;
    if (!gw_goal_activity(c, goal, "created", NULL) || !gw_note(c, GW_GOAL_CREATED, goal, NULL))
        return gw_status(c);
    status = location(c, goal);
    return status ? status : gw_goal_show(c, 201, goal);
}

static int goal_get(struct gw_call *c)
{
    return gw_goal_show(c, 200, gw_item(c));
}

/* ---- editing ---- */

static const char before_sql[] =
    "SELECT g.revision, g.kind, g.private, (SELECT k.name FROM link l JOIN connection k ON k.id = l.connection_id "
    "WHERE "
    "l.goal_id = g.id) AS source, (SELECT count(*) FROM goal_task t WHERE t.goal_id = g.id) AS tasks, (SELECT count(*) "
    "FROM goal_edge e WHERE e.parent_id = g.id) AS children FROM goal g WHERE g.id = $1";

/* What the goal has forbids some changes of what it is. */
static int check_edit(struct gw_call *c, const PGresult *before, const struct gw_definition *d)
{
    const char *kind = gs_db_get(before, 0, "kind");

    if (!gs_db_is_null(before, 0, "source") && !gs_str_eq(d->mode, "data_source"))
        return gw_invalid(c, "/mode",
                          "must stay data_source while the goal is fed by the connection %s; delete its link "
                          "first",
                          gs_db_get(before, 0, "source"));
    if (gs_str_eq(kind, "project") && !gs_str_eq(d->kind, "project") && gs_db_get_int(before, 0, "tasks") > 0)
        return gw_invalid(c, "/kind", "must stay project while it has tasks; delete them first");
    if (!gs_str_eq(kind, "project") && gs_str_eq(d->kind, "project") && gs_db_get_int(before, 0, "children") > 0)
        return gw_invalid(c, "/kind", "cannot become project while goals are aligned to it; projects have tasks only");
    return 0;
}

static bool changes_people(struct gw_call *c)
{
    return gw_has(c, "/owner_ids");
}

static int edit(struct gw_call *c, const char *goal, const PGresult *before)
{
    GS_AUTO_RESULT row = NULL;
    GS_AUTO(gs_buf_done) struct gs_buf data;
    struct gw_definition d;
    const char *changed = NULL;
    int status = gw_definition_read(c, goal, &row, &d, &changed);

    gs_buf_init(&data, GW_BODY_MAX);
    if (status == 0)
        status = check_edit(c, before, &d);
    if (status == 0)
        status = gw_goal_update(c, goal, &d);
    if (status == 0)
        status = pass_parents_privacy(c, goal);
    if (status == 0)
        status = gw_goal_recompute_one(c, goal, &(struct gw_change){.edited = true});
    if (status)
        return status;
    gs_buf_printf(&data, "{\"changed\": %s}", changed);
    if (!gw_goal_activity(c, goal, "edited", gs_buf_str(&data)) || !gw_note(c, GW_GOAL_EDITED, goal, NULL))
        return gw_status(c);
    return gw_goal_show(c, 200, goal);
}

static int goal_edit(struct gw_call *c)
{
    const char *goal = gw_item(c);
    int status = gw_goal_need(c, goal, changes_people(c) ? GW_OWN : GW_EDIT);

    if (status)
        return status;
    GS_AUTO_RESULT before = gw_query(c, before_sql, GS_WITH(goal));
    if (!before)
        return gw_status(c);
    status = gw_match(c, gs_db_get(before, 0, "revision"));
    return status ? status : edit(c, goal, before);
}

/* ---- deleting ---- */

/* The goal and what stands below it and nowhere else; a goal with another parent stays and is only unaligned. Asked
 * with all goals in sight. A goal goes when all of its parents go: levels are settled from above. */
static const char below_sql[] =
    "WITH RECURSIVE down(id) AS (SELECT $1::bigint UNION SELECT e.child_id FROM down d JOIN goal_edge e ON e.parent_id "
    "= d.id), kept(id) AS (SELECT d.id FROM down d JOIN goal_edge e ON e.child_id = d.id WHERE d.id <> $1 AND "
    "e.parent_id NOT IN (SELECT id FROM down) UNION SELECT e.child_id FROM kept k JOIN goal_edge e ON e.parent_id = "
    "k.id) SELECT coalesce(array_agg(id ORDER BY id), '{}') AS ids, count(*) AS n FROM down WHERE id = $1 OR id NOT IN "
    "(SELECT id FROM kept)";
static const char children_sql[] = "SELECT count(*) FROM goal_edge WHERE parent_id = $1";
/* Parents that stay, and have to be rolled up again. */
static const char left_sql[] = "SELECT DISTINCT e.parent_id FROM goal_edge e WHERE e.child_id = ANY ($1::bigint[]) AND "
                               "e.parent_id <> ALL ($1::bigint[]) ORDER BY 1";

static bool run_deletion(struct gw_call *c, const char *ids)
{
    static const char *const steps[] = {
        "DELETE FROM goal_edge WHERE child_id = ANY ($1::bigint[]) OR parent_id = ANY ($1::bigint[])",
        "DELETE FROM goal_task WHERE goal_id = ANY ($1::bigint[])",
        "DELETE FROM link WHERE goal_id = ANY ($1::bigint[])",
        "UPDATE goal SET copied_from_id = NULL WHERE copied_from_id = ANY ($1::bigint[])",
        "DELETE FROM goal WHERE id = ANY ($1::bigint[])",
    };

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        if (!gw_exec(c, steps[i], GS_WITH(ids)))
            return false;
    return true;
}

/* Each goal that goes must be the caller's to edit; told about and written down one by one. The audit is read by
 * administrators who never saw a private goal's title. */
static int take_leave(struct gw_call *c, const char *ids)
{
    static const char sql[] =
        "SELECT x AS id, g.public_id, g.title, CASE WHEN g.private THEN '{}' ELSE json_build_object('title', "
        "g.title)::text END AS detail FROM unnest($1::bigint[]) x LEFT JOIN goal g ON g.id = x ORDER BY x";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(ids));

    if (!r)
        return gw_status(c);
    for (int i = 0; i < PQntuples(r); i++) {
        const char *goal = gs_db_get(r, i, "id"), *title = gs_db_get(r, i, "title");
        bool may = false;
        if (gs_db_is_null(r, i, "public_id"))
            return gw_forbidden(c,
                                "below it stand private goals that you cannot see; their owners have to delete them, "
                                "or align them elsewhere, first");
        int status = gw_goal_may(c, goal, GW_EDIT, &may);
        if (status)
            return status;
        if (!may)
            return gw_forbidden(c, "you may not delete \"%.200s\", which stands below; align it elsewhere first",
                                title);
        if (!gw_note(c, GW_GOAL_DELETED, goal, NULL) ||
            !gw_audit(c, "goal.deleted", "goal", gs_db_get(r, i, "public_id"), gs_db_get(r, i, "detail")))
            return gw_status(c);
    }
    return 0;
}

static int recompute_left(struct gw_call *c, const PGresult *left)
{
    size_t n = (size_t)PQntuples(left);
    GS_AUTO(gs_freep) const char **goals = gs_alloc_n(n + 1, sizeof *goals);

    for (size_t i = 0; i < n; i++)
        goals[i] = PQgetvalue(left, (int)i, 0);
    return gw_goal_recompute(c, goals, n, NULL);
}

static int delete_all(struct gw_call *c, const char *ids)
{
    int status = take_leave(c, ids);

    if (status)
        return status;
    GS_AUTO_RESULT left = gw_query(c, left_sql, GS_WITH(ids));
    if (!left || !run_deletion(c, ids))
        return gw_status(c);
    status = recompute_left(c, left);
    return status ? status : gw_no_content(c);
}

static int goal_delete(struct gw_call *c)
{
    const char *goal = gw_item(c);
    int status = gw_goal_need(c, goal, GW_EDIT);

    if (status)
        return status;
    GS_AUTO_RESULT before = gw_query(c, before_sql, GS_WITH(goal));
    GS_AUTO_RESULT children = before ? gw_query(c, children_sql, GS_WITH(goal)) : NULL;
    if (!children)
        return gw_status(c);
    if ((status = gw_match(c, gs_db_get(before, 0, "revision"))) != 0)
        return status;
    if (!gs_str_eq(PQgetvalue(children, 0, 0), "0") && !gw_flag(c, "cascade"))
        return gw_fail(c, 409, "has-children",
                       "%s goals are aligned to it; align them elsewhere, or delete them with it by cascade=true",
                       PQgetvalue(children, 0, 0));
    if (!gw_goal_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT ids = gw_query(c, below_sql, GS_WITH(goal));
    if (!ids || !gw_goal_see_all(c, false))
        return gw_status(c);
    if (gs_db_get_int(ids, 0, "n") > DELETED_MAX)
        return gw_fail(c, 409, "too-many", "%s goals would go; at most %d do at once", gs_db_get(ids, 0, "n"),
                       DELETED_MAX);
    return delete_all(c, gs_db_get(ids, 0, "ids"));
}

const struct gw_op gw_ops_goal[] = {
    {"goal_list", goal_list},
    {"goal_tree", goal_tree},
    {"goal_create", goal_create},
    {"goal_get", goal_get},
    {"goal_edit", goal_edit},
    {"goal_delete", goal_delete},
    {0},
};
