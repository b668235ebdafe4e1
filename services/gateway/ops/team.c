/* Teams, how they stand below each other, and who is in them. */
#include "services/gateway/ops.h"

#include "common/str.h"
#include "services/gateway/exists.h"
#include "services/gateway/goal.h"
#include "services/gateway/person.h"

#include <stdio.h>

#define TEAM_JSON                                                                                                      \
    "json_build_object('id', t.public_id, 'name', t.name, 'parent_id', (SELECT x.public_id FROM team x WHERE x.id = "  \
    "t.parent_id), 'owner_ids', (SELECT coalesce(json_agg(p.public_id ORDER BY p.id), '[]') FROM team_member m JOIN "  \
    "person p ON p.id = m.person_id WHERE m.team_id = t.id AND m.owner), 'members', (SELECT count(*) FROM "            \
    "team_member "                                                                                                     \
    "m WHERE m.team_id = t.id), 'archived_at', api_time(t.archived_at), 'revision', t.revision)"

/* ---- reading ---- */

static int team_list(struct gw_call *c)
{
    static const char sql[] =
        "SELECT " TEAM_JSON ", t.id FROM team t WHERE t.org_id = $1 AND ($2::bigint IS NULL OR t.id > $2) AND "
        "($3::boolean OR t.archived_at IS NULL) AND ($4::text IS NULL OR strpos(lower(t.name), lower($4)) > 0) AND "
        "($5::uuid IS NULL OR t.parent_id = (SELECT x.id FROM team x WHERE x.public_id = $5)) ORDER BY t.id LIMIT $6";

    return gw_answer_page(c, gw_query(c, sql,
                                      GS_WITH(gw_item(c), gw_page_cursor(c), gw_flag(c, "archived") ? "true" : "false",
                                              gw_param(c, "search"), gw_param(c, "parent_id"), gw_page_rows(c))));
}

static int show(struct gw_call *c, int status, const char *team)
{
    static const char sql[] = "SELECT " TEAM_JSON ", t.revision, '/api/v1/teams/' || t.public_id AS location FROM team "
                              "t WHERE t.id = $1";
    PGresult *r = gw_query(c, sql, GS_WITH(team));

    if (r && PQntuples(r)) {
        gw_etag(c, gs_db_get(r, 0, "revision"));
        if (status == 201)
            gw_header_set(c, "Location", gs_db_get(r, 0, "location"));
    }
    return gw_answer(c, status, r);
}

static int team_get(struct gw_call *c)
{
    return show(c, 200, gw_item(c));
}

static bool audit(struct gw_call *c, const char *action, const char *team, const char *detail)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT public_id FROM team WHERE id = $1", GS_WITH(team));

    return r && gw_audit(c, action, "team", PQgetvalue(r, 0, 0), detail);
}

/* ---- rights ---- */

/* Administrators, and the team's own owners. */
static int need_owner(struct gw_call *c, const char *team, const char *doing)
{
    static const char sql[] = "SELECT FROM team_member WHERE team_id = $1 AND person_id = calling('person') AND owner";

    if (gw_who(c)->role >= GW_ADMIN)
        return 0;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(team));
    if (!r)
        return gw_status(c);
    return PQntuples(r) ? 0 : gw_forbidden(c, "Only owners of the team and administrators %s", doing);
}

/* The team of the path, locked. */
static int open_team(struct gw_call *c, const char *doing)
{
    static const char sql[] = "SELECT revision FROM team WHERE id = $1 FOR NO KEY UPDATE";

    if (!gw_members_lock(c))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c)));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "team");
    int status = need_owner(c, gw_item(c), doing);
    return status ? status : gw_match(c, PQgetvalue(r, 0, 0));
}

/* "" for none. Who puts a team below another owns that one, or administers. */
static int find_parent(struct gw_call *c, char ret[GW_ID_TEXT])
{
    static const char sql[] = "SELECT id, archived_at IS NOT NULL AS archived FROM team WHERE public_id = $1::uuid";
    const char *parent = gw_text(c, "/parent_id");

    ret[0] = '\0';
    if (!parent)
        return gw_who(c)->role >= GW_ADMIN
                   ? 0
                   : gw_forbidden(c, "Only administrators make teams that stand below no other; put it below a team "
                                     "that you own");
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(parent));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0 || gs_db_get_bool(r, 0, "archived"))
        return gw_invalid(c, "/parent_id", "names no team of this organisation, or one that is archived");
    snprintf(ret, GW_ID_TEXT, "%s", gs_db_get(r, 0, "id"));
    return need_owner(c, ret, "put teams below it");
}

/* ---- teams ---- */

static int team_create(struct gw_call *c)
{
    static const char sql[] = "INSERT INTO team (org_id, name, parent_id) VALUES (calling('org'), $1, nullif($2, "
                              "'')::bigint) RETURNING id";
    static const char own_sql[] = "INSERT INTO team_member (team_id, person_id, org_id, owner) SELECT $1, p.id, "
                                  "p.org_id, true FROM person p WHERE p.id = calling('person')";
    char parent[GW_ID_TEXT];
    int status = gw_members_lock(c) ? find_parent(c, parent) : gw_status(c);

    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_text(c, "/name"), parent));
    if (!r)
        return gw_exists(c, "team");
    const char *team = PQgetvalue(r, 0, 0);
    if (!gw_exec(c, own_sql, GS_WITH(team)) || !audit(c, "team.created", team, NULL))
        return gw_status(c);
    return show(c, 201, team);
}

static int need_no_circle(struct gw_call *c, const char *parent)
{
    static const char sql[] = "WITH RECURSIVE up(id) AS (SELECT $2::bigint UNION SELECT t.parent_id FROM team t JOIN "
                              "up ON t.id = up.id WHERE "
                              "t.parent_id IS NOT NULL) SELECT FROM up WHERE id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c), parent));

    if (!r)
        return gw_status(c);
    return PQntuples(r) == 0 ? 0
                             : gw_invalid(c, "/parent_id",
                                          "names this team, or one that stands below it; teams cannot "
                                          "stand in a circle");
}

static int edit_parent(struct gw_call *c)
{
    char parent[GW_ID_TEXT];
    int status = find_parent(c, parent);

    if (!status && *parent)
        status = need_no_circle(c, parent);
    if (!status &&
        !gw_exec(c, "UPDATE team SET parent_id = nullif($2, '')::bigint WHERE id = $1", GS_WITH(gw_item(c), parent)))
        status = gw_status(c);
    return status;
}

static int team_edit(struct gw_call *c)
{
    const char *name = gw_text(c, "/name");
    int status = open_team(c, "change it");

    if (!status && gw_has(c, "/parent_id"))
        status = edit_parent(c);
    if (status)
        return status;
    if (name && !gw_exec(c, "UPDATE team SET name = $2 WHERE id = $1", GS_WITH(gw_item(c), name)))
        return gw_exists(c, "team");
    if (!audit(c, "team.edited", gw_item(c), gw_body_text(c, NULL)))
        return gw_status(c);
    return show(c, 200, gw_item(c));
}

/* Teams below it stand for themselves from then on; nobody counts as a member until it is restored. */
static int team_archive(struct gw_call *c)
{
    static const char sql[] = "UPDATE team SET archived_at = now() WHERE id = $1 AND archived_at IS NULL RETURNING id";
    int status = open_team(c, "archive it");

    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c)));
    if (!r ||
        (PQntuples(r) && (!gw_exec(c, "UPDATE team SET parent_id = NULL WHERE parent_id = $1", GS_WITH(gw_item(c))) ||
                          !audit(c, "team.archived", gw_item(c), NULL))))
        return gw_status(c);
    return show(c, 200, gw_item(c));
}

static int team_restore(struct gw_call *c)
{
    static const char sql[] = "UPDATE team SET archived_at = NULL WHERE id = $1 AND archived_at IS NOT NULL RETURNING "
                              "id";
    int status = open_team(c, "restore it");

    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c)));
    if (!r || (PQntuples(r) && !audit(c, "team.restored", gw_item(c), NULL)))
        return gw_status(c);
    return show(c, 200, gw_item(c));
}

static int need_no_goals(struct gw_call *c)
{
    if (!gw_goal_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, "SELECT count(*) AS n FROM goal_team WHERE team_id = $1", GS_WITH(gw_item(c)));
    if (!r || !gw_goal_see_all(c, false))
        return gw_status(c);
    if (gs_db_get_int(r, 0, "n") == 0)
        return 0;
    return gw_fail(c, 409, "in-use", "The team has %s goals; archive it, or give them to another team first",
                   gs_db_get(r, 0, "n"));
}

static int team_delete(struct gw_call *c)
{
    int status = open_team(c, "delete it");

    if (!status)
        status = need_no_goals(c);
    if (status)
        return status;
    if (!audit(c, "team.deleted", gw_item(c), NULL) ||
        !gw_exec(c, "UPDATE team SET parent_id = NULL WHERE parent_id = $1", GS_WITH(gw_item(c))) ||
        !gw_exec(c, "DELETE FROM team WHERE id = $1", GS_WITH(gw_item(c))))
        return gw_status(c);
    return gw_no_content(c);
}

/* ---- members ---- */

#define MEMBER_JSON                                                                                                    \
    "json_build_object('person_id', p.public_id, 'name', p.name, 'email', p.email, 'owner', m.owner, "                 \
    "'deactivated_at', api_time(p.deactivated_at))"
#define MEMBER_FROM " FROM team_member m JOIN person p ON p.id = m.person_id "

static int team_member_list(struct gw_call *c)
{
    static const char sql[] = "SELECT " MEMBER_JSON ", p.id" MEMBER_FROM "WHERE m.team_id = $1 AND ($2::bigint IS NULL "
                              "OR p.id > $2) ORDER BY p.id LIMIT $3";

    return gw_answer_page(c, gw_query(c, sql, GS_WITH(gw_item(c), gw_page_cursor(c), gw_page_rows(c))));
}

static int audit_member(struct gw_call *c, const char *action, const char *owner)
{
    char detail[128];

    snprintf(detail, sizeof(detail), "{\"person_id\":\"%s\",\"owner\":%s}", gw_param(c, "person"), owner);
    return audit(c, action, gw_item(c), detail) ? 0 : gw_status(c);
}

static int team_member_set(struct gw_call *c)
{
    static const char sql[] =
        "INSERT INTO team_member (team_id, person_id, org_id, owner) VALUES ($1, $2, calling('org'), $3) ON CONFLICT "
        "(team_id, person_id) DO UPDATE SET owner = EXCLUDED.owner";
    static const char show_sql[] = "SELECT " MEMBER_JSON MEMBER_FROM "WHERE m.team_id = $1 AND m.person_id = $2";
    char person[GW_ID_TEXT];
    bool owner = false;
    int status = open_team(c, "change its members");

    if (!status)
        status = gw_person_find(c, gw_param(c, "person"), NULL, person);
    if (status)
        return status;
    (void)gs_json_bool(gw_body(c), "/owner", &owner);
    if (!gw_exec(c, sql, GS_WITH(gw_item(c), person, owner ? "true" : "false")))
        return gw_status(c);
    status = audit_member(c, "team.member_set", owner ? "true" : "false");
    return status ? status : gw_answer(c, 200, gw_query(c, show_sql, GS_WITH(gw_item(c), person)));
}

/* Who is not in it is out of it already. Everybody may leave. */
static int team_member_remove(struct gw_call *c)
{
    static const char sql[] =
        "DELETE FROM team_member m USING person p WHERE m.team_id = $1 AND p.id = m.person_id AND "
        "p.public_id = $2::uuid RETURNING m.owner";
    bool self = gs_str_eq(gw_param(c, "person"), gw_who(c)->person_public);
    int status = self ? 0 : open_team(c, "change its members");

    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c), gw_param(c, "person")));
    if (!r)
        return gw_status(c);
    if (PQntuples(r))
        status = audit_member(c, "team.member_removed", gs_db_get_bool(r, 0, "owner") ? "true" : "false");
    return status ? status : gw_no_content(c);
}

const struct gw_op gw_ops_team[] = {
    {"team_list", team_list},
    {"team_create", team_create},
    {"team_get", team_get},
    {"team_edit", team_edit},
    {"team_archive", team_archive},
    {"team_restore", team_restore},
    {"team_delete", team_delete},
    {"team_member_list", team_member_list},
    {"team_member_set", team_member_set},
    {"team_member_remove", team_member_remove},
    {0},
};
