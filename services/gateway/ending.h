/* What the end of goals brings with it: their links stop, their scores are given, objectives score themselves. */
#ifndef GATEWAY_ENDING_H
#define GATEWAY_ENDING_H

#include "common/goals/score.h"
#include "services/gateway/call.h"

/* A goal as scoring looks at it. */
struct gw_scored {
    struct gs_goal goal; /* its kind, metric, status and progress */
    struct gs_score_ranges ranges;
    bool aspirational;
    bool by_hand; /* the score was given by a person */
    bool has_score, has_suggested;
    struct gs_dec score;
    struct gs_dec suggested; /* of its own: what it gets when nobody says otherwise */
    char revision[GW_ID_TEXT];
};

/* 0, or a status. */
int gw_scored_load(struct gw_call *c, const char *goal, struct gw_scored *ret) GS_MUST_CHECK;
/* Stores a score, null: none. */
bool gw_score_store(struct gw_call *c, const char *goal, const struct gs_dec *score, bool by_hand) GS_MUST_CHECK;
/* Schema GoalScore. */
void gw_score_put(struct gs_buf *b, const struct gw_scored *s);

/* Once goals were scored, reopened or postponed: objectives right above them, and those among them, score themselves
 * anew. goals: an array of internal ids, "{3,1}". 0, or a status. */
int gw_scores_settle(struct gw_call *c, const char *goals) GS_MUST_CHECK;

/* Nothing is fetched for closed and postponed goals; the reason stands on the link. What a person paused stays so when
 * the goals are reopened. False: failed, see gw_status(). */
bool gw_links_stop(struct gw_call *c, const char *goals, enum gs_goal_status how) GS_MUST_CHECK;
/* 0, or a status: 409 when the source is asked for too many others by now. */
int gw_links_go_on(struct gw_call *c, const char *goals) GS_MUST_CHECK;

#endif
