/* Finding people, who owns an organisation, and what somebody who leaves leaves behind. */
#include "services/gateway/person.h"

#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"

#include <stdio.h>

enum { NAMED_MAX = 5 }; /* things of a kind that a refusal names */

int gw_person_find(struct gw_call *c, const char *public_id, const char *pointer, char ret[GW_ID_TEXT])
{
    static const char sql[] = "SELECT id FROM person WHERE public_id = $1::uuid AND deactivated_at IS NULL";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(public_id));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return pointer ? gw_invalid(c, pointer, "names nobody of this organisation, or somebody deactivated")
                       : gw_not_found(c, "person");
    snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return 0;
}

bool gw_members_lock(struct gw_call *c)
{
    return gw_exec(c, "SELECT FROM organisation WHERE id = calling('org') FOR NO KEY UPDATE", GS_NO_PARAMS);
}

int gw_need_other_owner(struct gw_call *c, const char *person)
{
    static const char sql[] = "SELECT FROM person WHERE role = 'owner' AND deactivated_at IS NULL AND id <> $1 LIMIT 1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(person));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_fail(c, 409, "last-owner", "Nobody else owns this organisation; make somebody else an owner first");
    return 0;
}

/* ---- what somebody owns ---- */

#define OWNED_GOALS                                                                                                    \
    "(SELECT id FROM goal WHERE owner_id = $1 UNION SELECT goal_id FROM goal_co_owner WHERE person_id = $1)"

/* Titles of what the caller sees, and how many there are altogether. */
static const char goals_seen_sql[] = "SELECT string_agg('\"' || x.title || '\"', ', ') AS names FROM (SELECT g.title "
                                     "FROM goal g WHERE g.id IN " OWNED_GOALS " ORDER BY g.id LIMIT $2) x";
static const char owned_sql[] =
    "SELECT (SELECT count(*) FROM " OWNED_GOALS " x) AS goals, (SELECT count(*) FROM connection c WHERE c.owner_id = "
    "$1 AND (c.shared OR NOT $2::boolean AND EXISTS (SELECT FROM link k WHERE k.connection_id = c.id))) AS "
    "connections, (SELECT string_agg('\"' || x.name || '\"', ', ') FROM (SELECT c.name FROM connection c WHERE "
    "c.owner_id = $1 AND (c.shared OR NOT $2::boolean AND EXISTS (SELECT FROM link k WHERE k.connection_id = c.id)) "
    "ORDER BY c.id LIMIT $3) x) AS names";

static int refuse_estate(struct gw_call *c, const PGresult *seen, const PGresult *owned, int64_t goals,
                         const char *what)
{
    int64_t connections = gs_db_get_int(owned, 0, "connections");
    char goal_text[700] = "", connection_text[700] = "";
    const char *names = gs_db_get(seen, 0, "names");

    if (goals)
        snprintf(goal_text, sizeof(goal_text), "%lld goal%s%s%.600s%s", (long long)goals, goals == 1 ? "" : "s",
                 *names ? " (" : "", names, *names ? ")" : "");
    if (connections)
        snprintf(connection_text, sizeof(connection_text), "%s%lld connection%s (%.600s)", goals ? " and " : "",
                 (long long)connections, connections == 1 ? "" : "s", gs_db_get(owned, 0, "names"));
    return gw_fail(c, 409, "owns-things",
                   "This person still owns %s%s and cannot be %s; say with transfer_to who takes over, or hand them "
                   "over first",
                   goal_text, connection_text, what);
}

int gw_estate_need_none(struct gw_call *c, const char *person, bool only_shared, const char *what)
{
    const char *only = only_shared ? "true" : "false";
    char named[GW_ID_TEXT];

    snprintf(named, sizeof(named), "%d", NAMED_MAX);
    GS_AUTO_RESULT seen = gw_query(c, goals_seen_sql, GS_WITH(person, named));
    if (!seen || !gw_goal_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT owned = gw_query(c, owned_sql, GS_WITH(person, only, named));
    if (!owned || !gw_goal_see_all(c, false))
        return gw_status(c);
    int64_t goals = only_shared ? 0 : gs_db_get_int(owned, 0, "goals");
    if (!goals && !gs_db_get_int(owned, 0, "connections"))
        return 0;
    return refuse_estate(c, seen, owned, goals, what);
}

/* ---- handing it over ---- */

/* The other one's place as a co-owner becomes that of the first owner. */
static const char drop_place_sql[] =
    "DELETE FROM goal_co_owner o USING goal g WHERE g.id = o.goal_id AND g.owner_id = $1 AND o.person_id = $2";
static const char drop_double_sql[] =
    "DELETE FROM goal_co_owner o WHERE o.person_id = $1 AND (EXISTS (SELECT FROM goal g WHERE g.id = o.goal_id AND "
    "g.owner_id = $2) OR EXISTS (SELECT FROM goal_co_owner x WHERE x.goal_id = o.goal_id AND x.person_id = $2))";
static const char *const move_goals_sql[] = {
    drop_place_sql,
    drop_double_sql,
    "UPDATE goal_co_owner SET person_id = $2 WHERE person_id = $1",
    "UPDATE goal SET owner_id = $2 WHERE owner_id = $1",
};
static const char move_teams_sql[] =
    "INSERT INTO team_member (team_id, person_id, org_id, owner) SELECT m.team_id, $2, m.org_id, true FROM team_member "
    "m WHERE m.person_id = $1 AND m.owner ON CONFLICT (team_id, person_id) DO UPDATE SET owner = true";

static int tell_of_goals(struct gw_call *c, const PGresult *goals, const char *to)
{
    static const char sql[] = "SELECT json_build_object('owner_id', public_id) FROM person WHERE id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(to));

    if (!r)
        return gw_status(c);
    for (int i = 0; i < PQntuples(goals); i++)
        if (!gw_goal_activity(c, PQgetvalue(goals, i, 0), "owner_changed", PQgetvalue(r, 0, 0)) ||
            !gw_note(c, GW_GOAL_EDITED, PQgetvalue(goals, i, 0), NULL))
            return gw_status(c);
    return 0;
}

static int move_goals(struct gw_call *c, const char *from, const char *to, int *ret_n)
{
    /* In the order in which everybody locks goals. */
    static const char lock_sql[] =
        "SELECT g.id FROM goal g WHERE g.id IN " OWNED_GOALS " ORDER BY g.id FOR NO KEY UPDATE OF g";

    GS_AUTO_RESULT goals = gw_query(c, lock_sql, GS_WITH(from));
    if (!goals)
        return gw_status(c);
    for (size_t i = 0; i < sizeof(move_goals_sql) / sizeof(*move_goals_sql); i++)
        if (!gw_exec(c, move_goals_sql[i], GS_WITH(from, to)))
            return gw_status(c);
    *ret_n = PQntuples(goals);
    return tell_of_goals(c, goals, to);
}

static int move_connections(struct gw_call *c, const char *from, const char *to, bool only_shared, int *ret_n)
{
    static const char sql[] = "UPDATE connection c SET owner_id = $2 FROM person p WHERE c.owner_id = $1 AND p.id = $2 "
                              "AND (c.shared OR NOT $3::boolean) RETURNING c.public_id, json_build_object('owner_id', "
                              "p.public_id)";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(from, to, only_shared ? "true" : "false"));

    if (!r)
        return gw_status(c);
    *ret_n = PQntuples(r);
    for (int i = 0; i < *ret_n; i++)
        if (!gw_audit(c, "connection.transferred", "connection", PQgetvalue(r, i, 0), PQgetvalue(r, i, 1)))
            return gw_status(c);
    return 0;
}

int gw_estate_move(struct gw_call *c, const char *from, const char *to, bool only_shared, struct gw_estate *ret)
{
    int status = 0;

    *ret = (struct gw_estate){0};
    if (!only_shared) {
        if (!gw_goal_see_all(c, true))
            return gw_status(c);
        status = move_goals(c, from, to, &ret->goals);
        if (!status && (!gw_goal_see_all(c, false) || !gw_exec(c, move_teams_sql, GS_WITH(from, to))))
            status = gw_status(c);
    }
    return status ? status : move_connections(c, from, to, only_shared, &ret->connections);
}
