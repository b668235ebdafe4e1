/* Which goals a list is about, over the alias g of table goal. Parameters $3 to $17, each null when not given. */
#ifndef GATEWAY_GOAL_FILTER_H
#define GATEWAY_GOAL_FILTER_H

#define GW_GOAL_FILTERS                                                                                                \
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

#endif
