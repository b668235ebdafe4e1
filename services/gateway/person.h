/* What operations on people share. */
#ifndef GATEWAY_PERSON_H
#define GATEWAY_PERSON_H

#include "services/gateway/call.h"

/* The person as the API shows it (schema Person): SQL for one JSON value over the alias p of table person. */
#define GW_PERSON_JSON                                                                                                 \
    "json_build_object('id', p.public_id, 'email', p.email, 'name', p.name, 'role', p.role, 'manager_id', "            \
    "(SELECT m.public_id FROM person m WHERE m.id = p.manager_id), 'signed_in', p.account_id IS NOT NULL, "            \
    "'deactivated_at', api_time(p.deactivated_at), 'team_ids', (SELECT coalesce(json_agg(t.public_id ORDER BY t.id), " \
    "'[]') FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.person_id = p.id AND t.archived_at IS NULL), "   \
    "'created_at', api_time(p.created_at), 'revision', p.revision)"

/* The internal id of an active person of the call's organisation by the outside one. pointer: of the member of the body
 * that named it; null: the path did. 0, or a status. */
int gw_person_find(struct gw_call *c, const char *public_id, const char *pointer, char ret[GW_ID_TEXT]) GS_MUST_CHECK;

/* Changes of who may do what in the call's organisation come one after another from here on; so do changes of the lines
 * between managers and between teams, which must not close a circle. False: failed, see gw_status(). */
bool gw_members_lock(struct gw_call *c) GS_MUST_CHECK;
/* 0, or 409: without this person (internal id) nobody would own the organisation. Under the lock. */
int gw_need_other_owner(struct gw_call *c, const char *person) GS_MUST_CHECK;

/* Hands over all that somebody owns: goals, connections, the ownership of teams; internal ids. only_shared: shared
 * connections and nothing else. Gives how many. 0, or a status. */
struct gw_estate {
    int goals, connections;
};
int gw_estate_move(struct gw_call *c, const char *from, const char *to, bool only_shared,
                   struct gw_estate *ret) GS_MUST_CHECK;
/* 0, or 409 that names what somebody owns: goals, and connections that are shared or in use; only_shared as above.
 * what: "deleted", for the sentence. */
int gw_estate_need_none(struct gw_call *c, const char *person, bool only_shared, const char *what) GS_MUST_CHECK;

#endif
