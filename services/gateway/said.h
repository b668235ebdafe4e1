/* What people say about goals, as the API shows it: SQL for one JSON value each. */
#ifndef GATEWAY_SAID_H
#define GATEWAY_SAID_H

#include "services/gateway/call.h"

/* Schema CheckIn over the aliases k of check_in and g of goal. */
#define GW_CHECK_IN_JSON                                                                                               \
    "json_build_object('id', k.public_id, 'goal_id', g.public_id, 'person_id', (SELECT p.public_id FROM person p "     \
    "WHERE p.id = k.person_id), 'at', api_time(k.at), 'value', trim_scale(k.value)::text, 'automatic_value', "         \
    "trim_scale(k.auto_value)::text, 'status', k.status, 'sticky', k.sticky, 'note', k.note, 'mention_ids', (SELECT "  \
    "coalesce(json_agg(p.public_id ORDER BY n.id), '[]') FROM mention n JOIN person p ON p.id = n.person_id WHERE "    \
    "n.check_in_id = k.id), 'reactions', (SELECT coalesce(json_agg(json_build_object('emoji', x.emoji, 'count', x.n, " \
    "'mine', x.mine) ORDER BY x.emoji), '[]') FROM (SELECT emoji, count(*) AS n, bool_or(person_id = "                 \
    "calling('person')) AS mine FROM reaction WHERE goal_id = k.goal_id AND check_in_id = k.id GROUP BY emoji) x), "   \
    "'comment_count', (SELECT count(*) FROM comment m WHERE m.goal_id = k.goal_id AND m.check_in_id = k.id AND "       \
    "m.removed_at IS NULL), 'edited_at', api_time(k.edited_at), 'revision', k.revision)"

/* Schema Comment over the aliases m of comment and g of goal. */
#define GW_COMMENT_JSON                                                                                                \
    "json_build_object('id', m.public_id, 'goal_id', g.public_id, 'check_in_id', (SELECT k.public_id FROM check_in k " \
    "WHERE k.id = m.check_in_id), 'person_id', (SELECT p.public_id FROM person p WHERE p.id = m.person_id), 'at', "    \
    "api_time(m.at), 'body', m.body, 'mention_ids', (SELECT coalesce(json_agg(p.public_id ORDER BY n.id), '[]') FROM " \
    "mention n JOIN person p ON p.id = n.person_id WHERE n.comment_id = m.id), 'reactions', (SELECT "                  \
    "coalesce(json_agg(json_build_object('emoji', x.emoji, 'count', x.n, 'mine', x.mine) ORDER BY x.emoji), '[]') "    \
    "FROM (SELECT emoji, count(*) AS n, bool_or(person_id = calling('person')) AS mine FROM reaction WHERE goal_id = " \
    "m.goal_id AND comment_id = m.id GROUP BY emoji) x), 'edited_at', api_time(m.edited_at), 'revision', m.revision)"

/* The people of the body's member mention_ids take the place of those mentioned before; nothing happens when it is left
 * out. Either check_in or comment is null. 0, or a status. */
int gw_mention(struct gw_call *c, const char *goal, const char *check_in, const char *comment) GS_MUST_CHECK;

#endif
