/* Comments on goals and check-ins, and reactions to all three. */
#include "services/gateway/ops.h"

#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"
#include "services/gateway/said.h"

#include <stdio.h>

static const char list_sql[] =
    "SELECT " GW_COMMENT_JSON
    ", jsonb_build_array(m.at, m.id)::text FROM comment m JOIN goal g ON g.id = m.goal_id WHERE "
    "m.goal_id = $2 AND m.removed_at IS NULL AND ($4::uuid IS NULL OR m.check_in_id = (SELECT id FROM check_in WHERE "
    "public_id = $4)) AND ($3::jsonb IS NULL OR (m.at, m.id) < (($3->>0)::timestamptz, ($3->>1)::bigint)) ORDER BY "
    "m.at "
    "DESC, m.id DESC LIMIT $1";
static const char one_sql[] =
    "SELECT " GW_COMMENT_JSON ", m.revision, '/api/v1/comments/' || m.public_id FROM comment m "
    "JOIN goal g ON g.id = m.goal_id WHERE m.id = $1 AND m.removed_at IS NULL";

static int show(struct gw_call *c, int status, const char *comment)
{
    PGresult *r = gw_query(c, one_sql, GS_WITH(comment));
    char etag[GW_ID_TEXT + 2];

    if (r && PQntuples(r)) {
        snprintf(etag, sizeof(etag), "\"%s\"", PQgetvalue(r, 0, 1));
        gw_header_set(c, "ETag", etag);
    }
    if (r && PQntuples(r) && status == 201)
        gw_header_set(c, "Location", PQgetvalue(r, 0, 2));
    return gw_answer(c, status, r);
}

static int comment_list(struct gw_call *c)
{
    int status = gw_goal_need(c, gw_item(c), GW_SEE);

    if (status)
        return status;
    return gw_answer_page(
        c, gw_query(c, list_sql, GS_WITH(gw_page_rows(c), gw_item(c), gw_page_cursor(c), gw_param(c, "check_in_id"))));
}

static int comment_get(struct gw_call *c)
{
    return show(c, 200, gw_item(c));
}

/* The check-in that the body names, of this goal. 0, or 422. */
static int find_check_in(struct gw_call *c, const char *goal, char ret[GW_ID_TEXT])
{
    static const char sql[] = "SELECT id FROM check_in WHERE public_id = $1 AND goal_id = $2 AND removed_at IS NULL";
    const char *public_id = gw_text(c, "/check_in_id");

    *ret = '\0';
    if (!public_id)
        return 0;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(public_id, goal));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_invalid(c, "/check_in_id", "names no check-in of this goal");
    snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return 0;
}

static int comment_create(struct gw_call *c)
{
    static const char sql[] =
        "INSERT INTO comment (at, org_id, goal_id, check_in_id, person_id, body) SELECT "
        "clock_timestamp(), g.org_id, g.id, $2, calling('person'), $3 FROM goal g WHERE g.id = $1 "
        "RETURNING id";
    const char *goal = gw_item(c);
    char check_in[GW_ID_TEXT], comment[GW_ID_TEXT];
    int status = gw_goal_need(c, goal, GW_SEE);

    if (status == 0)
        status = find_check_in(c, goal, check_in);
    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal, *check_in ? check_in : NULL, gw_text(c, "/body")));
    if (!r)
        return gw_status(c);
    snprintf(comment, sizeof(comment), "%s", PQgetvalue(r, 0, 0));
    if ((status = gw_mention(c, goal, NULL, comment)) != 0)
        return status;
    return gw_note(c, GW_GOAL_COMMENTED, goal, comment) ? show(c, 201, comment) : gw_status(c);
}

/* One's own; administrators also take others' away. The comment's row is locked. */
static int open_comment(struct gw_call *c, bool takes_away, char goal[GW_ID_TEXT])
{
    static const char sql[] =
        "SELECT goal_id, revision, coalesce(person_id = calling('person'), false) FROM comment WHERE "
        "id = $1 AND removed_at IS NULL FOR UPDATE";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c)));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "comment");
    snprintf(goal, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    if (*PQgetvalue(r, 0, 2) != 't' && !(takes_away && gw_who(c)->role >= GW_ADMIN))
        return gw_forbidden(c, takes_away ? "only who wrote a comment, and administrators, delete it"
                                          : "only who wrote a comment edits it");
    return gw_match(c, PQgetvalue(r, 0, 1));
}

static int comment_edit(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE comment SET body = coalesce($2, body), edited_at = clock_timestamp() WHERE id = $1";
    char goal[GW_ID_TEXT];
    int status = open_comment(c, false, goal);

    if (status)
        return status;
    if (!gw_exec(c, sql, GS_WITH(gw_item(c), gw_text(c, "/body"))))
        return gw_status(c);
    status = gw_mention(c, goal, NULL, gw_item(c));
    return status ? status : show(c, 200, gw_item(c));
}

static int comment_delete(struct gw_call *c)
{
    static const char sql[] = "UPDATE comment SET removed_at = clock_timestamp() WHERE id = $1";
    char goal[GW_ID_TEXT];
    int status = open_comment(c, true, goal);

    if (status)
        return status;
    return gw_exec(c, sql, GS_WITH(gw_item(c))) ? gw_no_content(c) : gw_status(c);
}

/* ---- reactions ---- */

/* $1: the thing the path names, $2: the emoji. Reacting twice alike is reacting once. */
static const char *const react_sql[] = {
    "INSERT INTO reaction (org_id, goal_id, person_id, emoji) SELECT g.org_id, g.id, calling('person'), $2 FROM goal g "
    "WHERE g.id = $1 ON CONFLICT DO NOTHING",
    "INSERT INTO reaction (org_id, goal_id, check_in_id, person_id, emoji) SELECT k.org_id, k.goal_id, k.id, "
    "calling('person'), $2 FROM check_in k WHERE k.id = $1 ON CONFLICT DO NOTHING",
    "INSERT INTO reaction (org_id, goal_id, comment_id, person_id, emoji) SELECT m.org_id, m.goal_id, m.id, "
    "calling('person'), $2 FROM comment m WHERE m.id = $1 ON CONFLICT DO NOTHING",
};
static const char *const unreact_sql[] = {
    "DELETE FROM reaction WHERE goal_id = $1 AND check_in_id IS NULL AND comment_id IS NULL AND person_id = "
    "calling('person') AND emoji = $2",
    "DELETE FROM reaction WHERE goal_id = (SELECT goal_id FROM check_in WHERE id = $1) AND check_in_id = $1 AND "
    "person_id "
    "= calling('person') AND emoji = $2",
    "DELETE FROM reaction WHERE goal_id = (SELECT goal_id FROM comment WHERE id = $1) AND comment_id = $1 AND "
    "person_id = "
    "calling('person') AND emoji = $2",
};
static const char *const there_sql[] = {
    "SELECT FROM goal WHERE id = $1",
    "SELECT FROM check_in WHERE id = $1 AND removed_at IS NULL",
    "SELECT FROM comment WHERE id = $1 AND removed_at IS NULL",
};
enum thing { OF_GOAL, OF_CHECK_IN, OF_COMMENT };

static int set_reaction(struct gw_call *c, enum thing thing, const char *const *sql)
{
    static const char *const names[] = {"goal", "check-in", "comment"};
    GS_AUTO_RESULT r = gw_query(c, there_sql[thing], GS_WITH(gw_item(c)));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, names[thing]);
    return gw_exec(c, sql[thing], GS_WITH(gw_item(c), gw_param(c, "emoji"))) ? gw_no_content(c) : gw_status(c);
}

static int goal_react(struct gw_call *c)
{
    return set_reaction(c, OF_GOAL, react_sql);
}

static int goal_unreact(struct gw_call *c)
{
    return set_reaction(c, OF_GOAL, unreact_sql);
}

static int check_in_react(struct gw_call *c)
{
    return set_reaction(c, OF_CHECK_IN, react_sql);
}

static int check_in_unreact(struct gw_call *c)
{
    return set_reaction(c, OF_CHECK_IN, unreact_sql);
}

static int comment_react(struct gw_call *c)
{
    return set_reaction(c, OF_COMMENT, react_sql);
}

static int comment_unreact(struct gw_call *c)
{
    return set_reaction(c, OF_COMMENT, unreact_sql);
}

const struct gw_op gw_ops_comment[] = {
    {"comment_list", comment_list},   {"comment_create", comment_create},   {"comment_get", comment_get},
    {"comment_edit", comment_edit},   {"comment_delete", comment_delete},   {"goal_react", goal_react},
    {"goal_unreact", goal_unreact},   {"check_in_react", check_in_react},   {"check_in_unreact", check_in_unreact},
    {"comment_react", comment_react}, {"comment_unreact", comment_unreact}, {0},
};
