/* Alignments: which goal counts towards which, and by how much. A weight belongs to the edge. */
#include "services/gateway/ops.h"

#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/goal_define.h"
#include "services/gateway/note.h"

#include <stdio.h>
#include <string.h>

enum { CHILDREN_MAX = 10000 }; /* of one request, as the document has it */

/* The goal at the other end of the edge that the path names. */
static int find_parent(struct gw_call *c, char parent[GW_ID_TEXT])
{
    return gw_goal_find(c, gw_param(c, "parent"), NULL, parent);
}

/* The feed of both ends says it, each naming the other. */
static bool tell(struct gw_call *c, const char *kind, const char *child, const char *parent)
{
    static const char sql[] =
        "INSERT INTO activity (org_id, goal_id, person_id, kind, data) SELECT k.org_id, x.id, calling('person'), $1, "
        "jsonb_build_object('goal_id', k.public_id, 'parent_id', p.public_id) FROM goal k CROSS JOIN goal p CROSS JOIN "
        "LATERAL (VALUES (k.id), (p.id)) x(id) WHERE k.id = $2 AND p.id = $3";

    return gw_exec(c, sql, GS_WITH(kind, child, parent));
}

/* A key result below a private goal follows it; nothing private stands below a public one. */
static int settle_privacy(struct gw_call *c, const char *child, const char *parent)
{
    static const char sql[] = "SELECT private FROM goal WHERE id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(parent));
    int status;

    if (!r)
        return gw_status(c);
    if (PQntuples(r) && *PQgetvalue(r, 0, 0) == 't' && (status = gw_goal_pass_privacy(c, parent)) != 0)
        return status;
    return gw_goal_pass_privacy(c, child);
}

/* ---- one edge ---- */

static int alignment_create(struct gw_call *c)
{
    const char *child = gw_item(c);
    char parent[GW_ID_TEXT], weight[GW_ID_TEXT];
    bool contributes, given = gs_json_bool(gw_body(c), "/contributes", &contributes);
    int status = gw_goal_need(c, child, GW_EDIT);

    if (status == 0)
        status = gw_goal_find(c, gw_text(c, "/parent_id"), "/parent_id", parent);
    if (status == 0)
        status = gw_weight_read(c, gw_text(c, "/weight"), "/weight", weight);
    /* Everybody who sees a goal aligns to it; what the others below it count is not theirs to say. */
    if (status == 0 && (*weight || given))
        status = gw_goal_need(c, parent, GW_CHECK_IN);
    if (status == 0)
        status = gw_goal_align(c, child, parent, *weight ? weight : NULL,
                               !given        ? NULL
                               : contributes ? "true"
                                             : "false");
    if (status == 0)
        status = settle_privacy(c, child, parent);
    if (status == 0)
        status = gw_goal_recompute_one(c, parent, NULL);
    if (status)
        return status;
    if (!tell(c, "aligned", child, parent) || !gw_note(c, GW_GOAL_EDITED, child, NULL))
        return gw_status(c);
    return gw_goal_show(c, 201, child);
}

/* Who edits the goal, and who edits the parent, may part them. */
static int need_either(struct gw_call *c, const char *child, const char *parent)
{
    bool may;
    int status = gw_goal_may(c, parent, GW_EDIT, &may);

    return status || may ? status : gw_goal_need(c, child, GW_EDIT);
}

static int alignment_delete(struct gw_call *c)
{
    static const char sql[] = "DELETE FROM goal_edge WHERE child_id = $1 AND parent_id = $2 RETURNING 1";
    const char *child = gw_item(c);
    char parent[GW_ID_TEXT];
    int status = gw_goal_need(c, child, GW_SEE);

    if (status == 0)
        status = find_parent(c, parent);
    if (status == 0)
        status = need_either(c, child, parent);
    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(child, parent));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "alignment");
    if ((status = gw_goal_recompute_one(c, parent, NULL)) != 0)
        return status;
    if (!tell(c, "unaligned", child, parent) || !gw_note(c, GW_GOAL_EDITED, child, NULL))
        return gw_status(c);
    return gw_no_content(c);
}

/* Members that are left out stay; a null weight is a free share; a weight says that it shall count. */
static int alignment_edit(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE goal_edge SET weight_hundredths = CASE WHEN $3::boolean THEN nullif($4, '')::int ELSE "
        "weight_hundredths "
        "END, contributes = coalesce($5::boolean, contributes OR nullif($4, '') IS NOT NULL), position = "
        "coalesce($6::int, position) WHERE child_id = $1 AND parent_id = $2 RETURNING 1";
    const char *child = gw_item(c);
    char parent[GW_ID_TEXT], weight[GW_ID_TEXT], position[GW_ID_TEXT] = "";
    bool contributes, given = gs_json_bool(gw_body(c), "/contributes", &contributes);
    int64_t place;
    int status = gw_goal_need(c, child, GW_SEE);

    if (status == 0)
        status = find_parent(c, parent);
    if (status == 0)
        status = gw_goal_need(c, parent, GW_CHECK_IN);
    if (status == 0)
        status = gw_weight_read(c, gw_text(c, "/weight"), "/weight", weight);
    if (status)
        return status;
    if (gs_json_int(gw_body(c), "/position", &place))
        snprintf(position, sizeof(position), "%lld", (long long)place);
    GS_AUTO_RESULT r = gw_query(c, sql,
                                GS_WITH(child, parent, gw_has(c, "/weight") ? "true" : "false", weight,
                                        !given        ? NULL
                                        : contributes ? "true"
                                                      : "false",
                                        *position ? position : NULL));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "alignment");
    status = gw_goal_check_weights(c, parent);
    if (status == 0)
        status = gw_goal_recompute_one(c, parent, NULL);
    if (status)
        return status;
    return tell(c, "weight_changed", child, parent) ? gw_goal_show(c, 200, child) : gw_status(c);
}

/* ---- all edges of a parent ---- */

/* $1 the parent, $2 the body. Who is missing, or not below it; then the new weights, in the order they are given. */
static const char judge_sql[] =
    "WITH b AS (SELECT (x->>'goal_id')::uuid AS public_id, n FROM jsonb_array_elements($2::jsonb->'children') WITH "
    "ORDINALITY t(x, n)), e AS (SELECT g.public_id, g.title FROM goal_edge e JOIN goal g ON g.id = e.child_id WHERE "
    "e.parent_id = $1) SELECT (SELECT string_agg('\"' || e.title || '\"', ', ') FROM e WHERE e.public_id NOT IN "
    "(SELECT "
    "public_id FROM b)) AS missing, (SELECT min(n) - 1 FROM b WHERE public_id NOT IN (SELECT public_id FROM e)) AS "
    "strange, (SELECT max(n) - 1 FROM b GROUP BY public_id HAVING count(*) > 1 LIMIT 1) AS twice";
static const char replace_sql[] =
    "UPDATE goal_edge e SET weight_hundredths = (x->>'weight')::numeric * 100, contributes = coalesce((x->>"
    "'contributes')::boolean, e.contributes OR x->>'weight' IS NOT NULL), position = n - 1 FROM "
    "jsonb_array_elements($2::jsonb->'children') WITH ORDINALITY t(x, n) JOIN goal g ON g.public_id = "
    "(x->>'goal_id')::uuid WHERE e.parent_id = $1 AND e.child_id = g.id";

static int judge_weights(struct gw_call *c, const char *parent)
{
    char pointer[64], weight[GW_ID_TEXT];
    int64_t n = gs_json_count(gw_body(c), "/children");
    int status = 0;

    for (int i = 0; i < n && i < CHILDREN_MAX && status == 0; i++) {
        snprintf(pointer, sizeof(pointer), "/children/%d/weight", i);
        status = gw_weight_read(c, gw_text(c, pointer), pointer, weight);
    }
    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, judge_sql, GS_WITH(parent, gw_body_text(c, NULL)));
    if (!r)
        return gw_status(c);
    if (!gs_db_is_null(r, 0, "strange") || !gs_db_is_null(r, 0, "twice")) {
        bool twice = gs_db_is_null(r, 0, "strange");
        snprintf(pointer, sizeof(pointer), "/children/%.20s/goal_id", gs_db_get(r, 0, twice ? "twice" : "strange"));
        return gw_invalid(c, pointer, twice ? "names a goal for the second time" : "names no goal below this one");
    }
    if (!gs_db_is_null(r, 0, "missing"))
        return gw_invalid(c, "/children", "must name all goals below this one; %.300s is missing",
                          gs_db_get(r, 0, "missing"));
    return 0;
}

static int changed_weights(struct gw_call *c, const char *parent)
{
    int status = gw_goal_recompute_one(c, parent, NULL);

    if (status)
        return status;
    return gw_goal_activity(c, parent, "weights_changed", NULL) ? gw_goal_show(c, 200, parent) : gw_status(c);
}

static int weight_replace(struct gw_call *c)
{
    const char *parent = gw_item(c);
    int status = gw_goal_need(c, parent, GW_CHECK_IN);

    if (status == 0)
        status = judge_weights(c, parent);
    if (status)
        return status;
    if (!gw_exec(c, replace_sql, GS_WITH(parent, gw_body_text(c, NULL))))
        return gw_status(c);
    status = gw_goal_check_weights(c, parent);
    return status ? status : changed_weights(c, parent);
}

/* All shares are free again; who contributes stays. */
static int weight_reset(struct gw_call *c)
{
    static const char sql[] = "UPDATE goal_edge SET weight_hundredths = NULL WHERE parent_id = $1";
    const char *parent = gw_item(c);
    int status = gw_goal_need(c, parent, GW_CHECK_IN);

    if (status)
        return status;
    return gw_exec(c, sql, GS_WITH(parent)) ? changed_weights(c, parent) : gw_status(c);
}

const struct gw_op gw_ops_alignment[] = {
    {"alignment_create", alignment_create}, {"alignment_edit", alignment_edit}, {"alignment_delete", alignment_delete},
    {"weight_replace", weight_replace},     {"weight_reset", weight_reset},     {0},
};
