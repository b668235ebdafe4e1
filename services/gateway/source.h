/* What is to be asked of a source: a connection that the caller may use, and settings that its connector accepts. */
#ifndef GATEWAY_SOURCE_H
#define GATEWAY_SOURCE_H

#include "services/fetch/catalogue.h"
#include "services/gateway/call.h"

struct gw_source {
    const struct fetch_entry *entry;
    char connection[GW_ID_TEXT], connection_public[37];
    int64_t org_id, connection_id;
    int32_t connection_version;
    char *settings;     /* of the link: canonical JSON; owned; null: none were read */
    char batch_key[65]; /* see fetch_link_batch_key() */
    char paused[400];   /* why the connection may not be used now; "" */
    bool usable;        /* the caller's own, or shared; else the one that a link has already */
};
void gw_source_done(struct gw_source *s);

/* Finds the connection that has this public id. It must be the caller's own or shared, or `except` (internal id, may be
 * null): the one that a link has already. 0, or a status: 422 names the member "/connection_id". */
int gw_source_find(struct gw_call *c, const char *connection, const char *except, struct gw_source *ret) GS_MUST_CHECK;
/* The connection of the path; that must be usable likewise. */
int gw_source_of_path(struct gw_call *c, struct gw_source *ret) GS_MUST_CHECK;
/* The body's "settings" laid over others ("{}", or what a link has), read by the connector. goal: internal id of what
 * is linked; "" when nothing is. 0, or 422 about "/settings". */
int gw_source_settings(struct gw_call *c, const char *under, const char *goal, struct gw_source *s) GS_MUST_CHECK;
/* The same of any text. */
int gw_source_settings_are(struct gw_call *c, const char *json, const char *goal, struct gw_source *s) GS_MUST_CHECK;
/* By a connection that is not theirs to use, callers ask what the goal's link asks already and nothing else: what is
 * asked is what its owner's secret is used for. goal: internal id or "". 0, or 403. */
int gw_source_need_use(struct gw_call *c, const struct gw_source *s, const char *goal) GS_MUST_CHECK;
/* 0, or 409 with the reason of a closed gate. */
int gw_source_need_open(struct gw_call *c, const struct gw_source *s) GS_MUST_CHECK;
/* 0, or 409: it sends its numbers by itself. */
int gw_source_need_asked(struct gw_call *c, const struct gw_source *s) GS_MUST_CHECK;
/* 0, or 422: it gives no number that such a goal is measured by. metric: label of goal_metric. */
int gw_source_need_fit(struct gw_call *c, const struct gw_source *s, const char *metric) GS_MUST_CHECK;

#endif
