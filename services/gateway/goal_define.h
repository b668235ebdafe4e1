/* What a goal is made of, from a body to the tables: shared by creating, editing, importing and copying goals. */
#ifndef GATEWAY_GOAL_DEFINE_H
#define GATEWAY_GOAL_DEFINE_H

#include "services/gateway/call.h"

/* As parameters of a statement; null: none. Borrowed. */
struct gw_definition {
    const char *kind, *metric, *mode, *level, *title, *description, *unit;
    const char *start, *target, *risk;                        /* decimals */
    const char *starts_on, *ends_on;                          /* 2026-10-01 */
    const char *period, *creator, *delegate, *check_in_owner; /* internal ids */
    const char *owners, *viewers, *teams;  /* arrays of internal ids: "{3,1}"; the first owner first */
    const char *tags;                      /* an array of text */
    const char *external_id, *copied_from; /* only when inserted */
    bool aspirational, is_private;
};

/* Reads a body of schema GoalCreate or, with the internal id of a goal, GoalEdit: what it leaves out stays as it is
 * then. Without dates it takes the period's, else the current quarter. Judged: 422 names the member that is wrong.
 * ret borrows from *ret_row, which the caller clears. changed: names of the members that differ, a JSON array. */
int gw_definition_read(struct gw_call *c, const char *goal, PGresult **ret_row, struct gw_definition *ret,
                       const char **ret_changed) GS_MUST_CHECK;
/* Of a body that is not the request's own. at: prefix of the member names in refusals: "" or "/goals/3". */
int gw_definition_read_text(struct gw_call *c, const char *body, const char *at, const char *goal, PGresult **ret_row,
                            struct gw_definition *ret, const char **ret_changed) GS_MUST_CHECK;
/* By the domain rules alone; at likewise. 0, or 422. */
int gw_definition_judge(struct gw_call *c, const struct gw_definition *d, const char *at) GS_MUST_CHECK;

/* Rights are not looked at, parents and values come later. 0, or a status. */
int gw_goal_insert(struct gw_call *c, const struct gw_definition *d, char ret_id[GW_ID_TEXT]) GS_MUST_CHECK;
int gw_goal_update(struct gw_call *c, const char *goal, const struct gw_definition *d) GS_MUST_CHECK;

/* Once a goal's privacy, people or parents changed: what is below follows, and 422 when it stands between public ones.
 */
int gw_goal_pass_privacy(struct gw_call *c, const char *goal) GS_MUST_CHECK;

/* Aligns child below parent. weight: hundredths of a percent, null: a free share. contributes: "true", "false", or
 * null: as the organisation's settings say for a child of its kind. Neither recomputed nor told. 0, or a status. */
int gw_goal_align(struct gw_call *c, const char *child, const char *parent, const char *weight,
                  const char *contributes) GS_MUST_CHECK;
/* The fixed weights below a parent are at most 100 together. 0, or 422. */
int gw_goal_check_weights(struct gw_call *c, const char *parent) GS_MUST_CHECK;
/* "12.5" or null, as pointer names it, to hundredths as text in ret ("" for a free share). 0, or 422. */
int gw_weight_read(struct gw_call *c, const char *text, const char *pointer, char ret[GW_ID_TEXT]) GS_MUST_CHECK;

#endif
