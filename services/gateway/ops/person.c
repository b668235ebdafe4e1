/* People of an organisation: added, changed, sent away, deleted. */
#include "services/gateway/ops.h"

#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/person.h"

#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static int person_list(struct gw_call *c)
{
    static const char sql[] =
        "SELECT " GW_PERSON_JSON ", p.id FROM person p WHERE p.org_id = $1 AND ($2::bigint IS NULL OR p.id > $2) "
        "AND ($3::text IS NULL OR strpos(lower(p.name || ' ' || p.email), lower($3)) > 0) "
        "AND ($4::text IS NULL OR p.role::text = $4) AND ($5::boolean OR p.deactivated_at IS NULL) "
        "AND ($6::uuid IS NULL OR p.manager_id = (SELECT m.id FROM person m WHERE m.public_id = $6)) "
        "ORDER BY p.id LIMIT $7";

    return gw_answer_page(
        c, gw_query(c, sql,
                    GS_WITH(gw_item(c), gw_page_cursor(c), gw_param(c, "search"), gw_param(c, "role"),
                            gw_flag(c, "deactivated") ? "true" : "false", gw_param(c, "manager_id"), gw_page_rows(c))));
}

static int show(struct gw_call *c, int status, const char *person)
{
    static const char sql[] = "SELECT " GW_PERSON_JSON ", p.revision, '/api/v1/people/' || p.public_id AS location "
                              "FROM person p WHERE p.id = $1";
    PGresult *r = gw_query(c, sql, GS_WITH(person));

    if (r && PQntuples(r)) {
        gw_etag(c, gs_db_get(r, 0, "revision"));
        if (status == 201)
            gw_header_set(c, "Location", gs_db_get(r, 0, "location"));
    }
    return gw_answer(c, status, r);
}

static int person_get(struct gw_call *c)
{
    return show(c, 200, gw_item(c));
}

static bool audit(struct gw_call *c, const char *action, const char *person, const char *detail)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT public_id FROM person WHERE id = $1", GS_WITH(person));

    return r && gw_audit(c, action, "person", PQgetvalue(r, 0, 0), detail);
}

/* ---- adding ---- */

static int need_owner_for(struct gw_call *c, const char *role)
{
    if (!gs_str_eq(role, "owner") || gw_who(c)->role == GW_OWNER)
        return 0;
    return gw_forbidden(c, "Only an owner of the organisation makes somebody an owner, or changes one");
}

/* An address of exactly one account is that person's at once: somebody vouched for it. */
static const char add_sql[] =
    "WITH a AS (SELECT min(id) AS id FROM account WHERE email = lower($1) AND deactivated_at IS NULL "
    "HAVING count(*) = 1) "
    "INSERT INTO person (org_id, account_id, email, name, role, manager_id) SELECT calling('org'), (SELECT a.id FROM a "
    "WHERE NOT EXISTS (SELECT FROM person x WHERE x.account_id = a.id)), $1, coalesce($2, $1), coalesce($3, "
    "'member')::org_role, nullif($4, '')::bigint RETURNING id";

static int need_new(struct gw_call *c, const char *email)
{
    static const char sql[] =
        "SELECT public_id, deactivated_at IS NOT NULL AS away FROM person WHERE lower(email) = lower($1)";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(email));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return 0;
    return gw_fail(c, 409, "exists",
                   gs_db_get_bool(r, 0, "away") ? "%s is a deactivated person of this organisation, %s; reactivate them"
                                                : "%s is a person of this organisation already, %s",
                   email, gs_db_get(r, 0, "public_id"));
}

static int person_add(struct gw_call *c)
{
    const char *email = gw_text(c, "/email"), *role = gw_text(c, "/role");
    char manager[GW_ID_TEXT] = "", detail[64];
    int status = need_owner_for(c, role);

    if (!status)
        status = need_new(c, email);
    if (!status && gw_text(c, "/manager_id"))
        status = gw_person_find(c, gw_text(c, "/manager_id"), "/manager_id", manager);
    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, add_sql, GS_WITH(email, gw_text(c, "/name"), role, manager));
    if (!r)
        return gw_status(c);
    snprintf(detail, sizeof(detail), "{\"role\":\"%s\"}", role ? role : "member");
    return audit(c, "person.added", PQgetvalue(r, 0, 0), detail) ? show(c, 201, PQgetvalue(r, 0, 0)) : gw_status(c);
}

/* ---- the person of the path, locked, with everybody else's roles ---- */

struct target {
    char role[16];
    bool self, away;
};

static int open_target(struct gw_call *c, struct target *ret)
{
    static const char sql[] = "SELECT role, revision, deactivated_at IS NOT NULL AS away, id = calling('person') AS "
                              "self FROM person WHERE id = $1 FOR NO KEY UPDATE";

    if (!gw_members_lock(c))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c)));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "person");
    snprintf(ret->role, sizeof(ret->role), "%s", gs_db_get(r, 0, "role"));
    ret->self = gs_db_get_bool(r, 0, "self");
    ret->away = gs_db_get_bool(r, 0, "away");
    return gw_match(c, gs_db_get(r, 0, "revision"));
}

/* ---- editing ---- */

static int need_no_circle(struct gw_call *c, const char *manager)
{
    static const char sql[] =
        "WITH RECURSIVE up(id) AS (SELECT $2::bigint UNION SELECT p.manager_id FROM person p JOIN up ON p.id = up.id "
        "WHERE p.manager_id IS NOT NULL) SELECT FROM up WHERE id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c), manager));

    if (!r)
        return gw_status(c);
    return PQntuples(r) == 0 ? 0
                             : gw_invalid(c, "/manager_id",
                                          "names this person, or somebody whom this person manages, however far below; "
                                          "managers cannot stand in a circle");
}

static int edit_manager(struct gw_call *c)
{
    char manager[GW_ID_TEXT] = "";
    int status = 0;

    if (gw_text(c, "/manager_id")) {
        status = gw_person_find(c, gw_text(c, "/manager_id"), "/manager_id", manager);
        if (!status)
            status = need_no_circle(c, manager);
    }
    if (!status && !gw_exec(c, "UPDATE person SET manager_id = nullif($2, '')::bigint WHERE id = $1",
                            GS_WITH(gw_item(c), manager)))
        status = gw_status(c);
    return status;
}

static int edit_role(struct gw_call *c, const struct target *t, const char *role)
{
    char detail[96];
    int status = need_owner_for(c, role);

    if (gs_str_eq(role, t->role))
        return 0;
    if (!status)
        status = need_owner_for(c, t->role);
    if (!status && gs_str_eq(t->role, "owner"))
        status = gw_need_other_owner(c, gw_item(c));
    if (status)
        return status;
    snprintf(detail, sizeof(detail), "{\"from\":\"%s\",\"to\":\"%s\"}", t->role, role);
    if (!gw_exec(c, "UPDATE person SET role = $2::org_role WHERE id = $1", GS_WITH(gw_item(c), role)) ||
        !audit(c, "person.role_changed", gw_item(c), detail))
        return gw_status(c);
    return 0;
}

static int person_edit(struct gw_call *c)
{
    const char *name = gw_text(c, "/name"), *role = gw_text(c, "/role");
    bool manager = gw_has(c, "/manager_id"), admin = gw_who(c)->role >= GW_ADMIN;
    struct target t;
    int status = open_target(c, &t);

    if (!status && !admin && (!t.self || role || manager))
        status = gw_forbidden(c, "You may change your own name; everything else about people is for administrators");
    if (!status && manager)
        status = edit_manager(c);
    if (!status && role)
        status = edit_role(c, &t, role);
    if (status)
        return status;
    if (name && !gw_exec(c, "UPDATE person SET name = $2 WHERE id = $1", GS_WITH(gw_item(c), name)))
        return gw_status(c);
    if ((name || manager) && !audit(c, "person.edited", gw_item(c), manager ? "{\"manager\":true}" : NULL))
        return gw_status(c);
    return show(c, 200, gw_item(c));
}

/* ---- leaving ---- */

/* Who takes over: transfer_to, of the body or the address. 0, or a status; "" when nobody is named. */
static int find_heir(struct gw_call *c, const char *public_id, const char *pointer, char ret[GW_ID_TEXT])
{
    int status;

    ret[0] = '\0';
    if (!public_id)
        return 0;
    status = gw_person_find(c, public_id, pointer, ret);
    if (!status && gs_str_eq(ret, gw_item(c)))
        status = gw_invalid(c, pointer, "names the one who leaves; name somebody else");
    return status;
}

static int leave_estate(struct gw_call *c, const char *heir, bool only_shared, struct gw_estate *ret)
{
    *ret = (struct gw_estate){0};
    return *heir ? gw_estate_move(c, gw_item(c), heir, only_shared, ret)
                 : gw_estate_need_none(c, gw_item(c), only_shared, only_shared ? "deactivated" : "deleted");
}

static int may_send_away(struct gw_call *c, const struct target *t)
{
    int status = 0;

    if (gw_who(c)->role < GW_ADMIN && !t->self)
        return gw_forbidden(c, "You may leave yourself; sending others away is for administrators");
    if (!t->self)
        status = need_owner_for(c, t->role);
    return status || !gs_str_eq(t->role, "owner") ? status : gw_need_other_owner(c, gw_item(c));
}

static int person_deactivate(struct gw_call *c)
{
    struct gw_estate estate;
    char heir[GW_ID_TEXT], detail[64];
    struct target t;
    int status = open_target(c, &t);

    if (!status && t.away)
        return show(c, 200, gw_item(c));
    if (!status)
        status = may_send_away(c, &t);
    if (!status)
        status = find_heir(c, gw_text(c, "/transfer_to"), "/transfer_to", heir);
    if (!status)
        status = leave_estate(c, heir, true, &estate);
    if (status)
        return status;
    snprintf(detail, sizeof(detail), "{\"connections\":%d}", estate.connections);
    if (!gw_exec(c, "UPDATE person SET deactivated_at = now() WHERE id = $1", GS_WITH(gw_item(c))) ||
        !audit(c, "person.deactivated", gw_item(c), detail))
        return gw_status(c);
    return show(c, 200, gw_item(c));
}

static int person_reactivate(struct gw_call *c)
{
    struct target t;
    int status = open_target(c, &t);

    if (!status)
        status = need_owner_for(c, t.role);
    if (status)
        return status;
    if (t.away && (!gw_exec(c, "UPDATE person SET deactivated_at = NULL WHERE id = $1", GS_WITH(gw_item(c))) ||
                   !audit(c, "person.reactivated", gw_item(c), NULL)))
        return gw_status(c);
    return show(c, 200, gw_item(c));
}

/* Private ones that nothing uses. */
static bool drop_connections(struct gw_call *c)
{
    GS_AUTO_RESULT r =
        gw_query(c, "DELETE FROM connection WHERE owner_id = $1 RETURNING public_id", GS_WITH(gw_item(c)));

    for (int i = 0; r && i < PQntuples(r); i++)
        if (!gw_audit(c, "connection.deleted", "connection", PQgetvalue(r, i, 0), NULL))
            return false;
    return r;
}

/* Tokens that act as this person here, and what was written beside numbers. */
static const char *const forget_sql[] = {
    "UPDATE api_token SET revoked_at = now() WHERE revoked_at IS NULL AND org_id = calling('org') AND account_id = "
    "(SELECT account_id FROM person WHERE id = $1)",
    "UPDATE check_in SET note = '' WHERE person_id = $1 AND note <> ''",
};

static int forget(struct gw_call *c)
{
    if (!drop_connections(c) || !gw_goal_see_all(c, true))
        return gw_status(c);
    for (size_t i = 0; i < sizeof(forget_sql) / sizeof(*forget_sql); i++)
        if (!gw_exec(c, forget_sql[i], GS_WITH(gw_item(c))))
            return gw_status(c);
    if (!gw_exec(c, "DELETE FROM person WHERE id = $1", GS_WITH(gw_item(c))) || !gw_goal_see_all(c, false))
        return gw_status(c);
    return 0;
}

static int person_delete(struct gw_call *c)
{
    struct gw_estate estate;
    char heir[GW_ID_TEXT], detail[96];
    struct target t;
    int status = open_target(c, &t);

    if (!status)
        status = may_send_away(c, &t);
    if (!status)
        status = find_heir(c, gw_param(c, "transfer_to"), "#query/transfer_to", heir);
    if (!status)
        status = leave_estate(c, heir, false, &estate);
    if (status)
        return status;
    snprintf(detail, sizeof(detail), "{\"goals\":%d,\"connections\":%d}", estate.goals, estate.connections);
    if (!audit(c, "person.deleted", gw_item(c), detail))
        return gw_status(c);
    status = forget(c);
    return status ? status : gw_no_content(c);
}

const struct gw_op gw_ops_person[] = {
    {"person_list", person_list},
    {"person_add", person_add},
    {"person_get", person_get},
    {"person_edit", person_edit},
    {"person_deactivate", person_deactivate},
    {"person_reactivate", person_reactivate},
    {"person_delete", person_delete},
    {0},
};
