/* What operations on goals share: who may do what, and what follows from a change. */
#ifndef GATEWAY_GOAL_H
#define GATEWAY_GOAL_H

#include "common/goals/goal.h"
#include "services/gateway/call.h"

enum gw_right {
    GW_SEE,      /* any member, but for private goals */
    GW_CHECK_IN, /* editors and the check-in owner: also links, weights */
    GW_EDIT,     /* owners, creator, delegate, team owners, owners of a parent, managers of owners, org admins (public
                    goals) */
    GW_OWN,      /* EDIT without the delegate: change of owners */
};
/* Locks the goal's row (FOR NO KEY UPDATE) unless right is GW_SEE, and gives 0, or the status of a refusal. goal:
 * internal id. */
int gw_goal_need(struct gw_call *c, const char *goal, enum gw_right right) GS_MUST_CHECK;
/* The same as a question; a goal out of sight is 404 all the same. */
int gw_goal_may(struct gw_call *c, const char *goal, enum gw_right right, bool *ret) GS_MUST_CHECK;
/* The internal id of a goal in sight by its outside one, which pointer (null: the path) named. 0, or a status. */
int gw_goal_find(struct gw_call *c, const char *public_id, const char *pointer, char ret[GW_ID_TEXT]) GS_MUST_CHECK;
/* Roll-ups and shares count private goals whoever asks: on for the statements that need it, then off again. */
bool gw_goal_see_all(struct gw_call *c, bool on) GS_MUST_CHECK;
/* Answers with schema GoalDetail and its ETag. */
int gw_goal_show(struct gw_call *c, int status, const char *goal);

/* A person's change of goals, all at once: each goal itself, then everything above them, in this transaction, with feed
 * and events (common/goals/store/recompute.h). goals: internal ids, distinct. Null change: only derived again (edited
 * edges, tasks). 0, or a status. */
struct gw_change {
    const struct gs_check_in *check_in;
    bool resume;
    bool edited;   /* the definition was changed in this transaction */
    bool replaced; /* a check-in was edited or removed: check_in is the latest that remains; null: none does */
    bool reopen;
    bool end; /* closed or postponed by hand, as `ending` says */
    enum gs_goal_status ending;
};
int gw_goal_recompute(struct gw_call *c, const char *const *goals, size_t n,
                      const struct gw_change *change) GS_MUST_CHECK;
/* Of one goal. */
int gw_goal_recompute_one(struct gw_call *c, const char *goal, const struct gw_change *change) GS_MUST_CHECK;

/* A row of the feed; data: a JSON object or null. False: failed, see gw_status(). */
bool gw_goal_activity(struct gw_call *c, const char *goal, const char *kind, const char *data) GS_MUST_CHECK;

/* The goal as the API shows it (schema Goal): SQL for one JSON value over the alias g of table goal. Owners: the first
 * one first. Expected: a straight line over whole days in the organisation's time zone, the last day 100. */
#define GW_GOAL_JSON                                                                                                   \
    "json_build_object('id', g.public_id, 'kind', g.kind, 'level', g.level, 'title', g.title, "                        \
    "'description', g.description, 'metric', g.metric, 'unit', g.unit, 'start', trim_scale(g.start_value)::text, "     \
    "'target', trim_scale(g.target_value)::text, 'risk', trim_scale(g.risk_value)::text, 'mode', g.mode, "             \
    "'override', g.override, 'has_value', g.has_value, 'value', trim_scale(g.applied_value)::text, "                   \
    "'automatic_value', trim_scale(g.auto_value)::text, 'progress', round(g.progress, 4)::text, "                      \
    "'expected_progress', (SELECT CASE WHEN g.metric <> 'baseline' THEN round(CASE WHEN d.today >= g.end_on THEN 100 " \
    "WHEN d.today <= g.start_on THEN 0 ELSE 100.0 * (d.today - g.start_on) / (g.end_on - g.start_on) END, 4)::text "   \
    "END FROM (SELECT (now() AT TIME ZONE o.time_zone)::date AS today FROM organisation o WHERE o.id = g.org_id) d), " \
    "'status', g.status, 'status_by_hand', g.status_by_hand, 'starts_on', g.start_on, 'ends_on', g.end_on, "           \
    "'period_id', (SELECT x.public_id FROM period x WHERE x.id = g.period_id), "                                       \
    "'owner_ids', (SELECT coalesce(json_agg(p.public_id ORDER BY x.place, p.id), '[]') FROM (SELECT g.owner_id AS "    \
    "id, 0 AS place UNION ALL SELECT o.person_id, 1 FROM goal_co_owner o WHERE o.goal_id = g.id) x "                   \
    "JOIN person p ON p.id = x.id), "                                                                                  \
    "'creator_id', (SELECT p.public_id FROM person p WHERE p.id = g.creator_id), "                                     \
    "'delegate_id', (SELECT p.public_id FROM person p WHERE p.id = g.delegate_id), "                                   \
    "'check_in_owner_id', (SELECT p.public_id FROM person p WHERE p.id = g.check_in_owner_id), "                       \
    "'team_ids', (SELECT coalesce(json_agg(t.public_id ORDER BY t.id), '[]') FROM goal_team x "                        \
    "JOIN team t ON t.id = x.team_id WHERE x.goal_id = g.id), "                                                        \
    "'tags', (SELECT coalesce(json_agg(x.tag ORDER BY x.tag), '[]') FROM goal_tag x WHERE x.goal_id = g.id), "         \
    "'private', g.private, 'viewer_ids', (SELECT coalesce(json_agg(p.public_id ORDER BY p.id), '[]') "                 \
    "FROM goal_viewer x JOIN person p ON p.id = x.person_id WHERE x.goal_id = g.id), "                                 \
    "'parent_ids', (SELECT coalesce(json_agg(x.public_id ORDER BY x.id), '[]') FROM goal_edge e CROSS JOIN LATERAL "   \
    "(SELECT y.id, y.public_id FROM goal y WHERE y.id = e.parent_id OFFSET 0) x WHERE e.child_id = g.id), "            \
    "'aspirational', g.aspirational, 'score', trim_scale(g.score)::text, 'ended_at', api_time(g.ended_at), "           \
    "'ended_note', g.ended_note, 'external_id', g.external_id, "                                                       \
    "'copied_from_id', (SELECT x.public_id FROM goal x WHERE x.id = g.copied_from_id), "                               \
    "'source_at', api_time(g.source_at), 'fetched_at', api_time(g.fetched_at), "                                       \
    "'value_changed_at', api_time(g.applied_at), 'created_at', api_time(g.created_at), "                               \
    "'edited_at', api_time(g.edited_at), "                                                                             \
    "'revision', g.revision, 'version', g.version)"

#endif
