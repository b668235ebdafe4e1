/* Connections as operations change them: who may, what a form and a secret hold, what hangs on one. */
#ifndef GATEWAY_REACH_H
#define GATEWAY_REACH_H

#include "services/fetch/catalogue.h"
#include "services/gateway/call.h"

/* The connection of the path, locked, as far as the caller sees it: their own, shared ones, and administrators all. */
struct gw_reach {
    PGresult *r; /* borrowed by the rest; gw_reach_done() clears */
    const char *id, *public_id, *integration, *settings, *sharing;
    bool own;    /* the caller's, or nobody's and the caller administers */
    bool manage; /* own, or the caller administers */
    bool shared;
};
static inline void gw_reach_done(struct gw_reach *k)
{
    PQclear(k->r);
    k->r = NULL;
}
#define GW_AUTO_REACH GS_AUTO(gw_reach_done) struct gw_reach

/* 0, or a status: 404 for one that the caller does not see, 412. */
int gw_reach_open(struct gw_call *c, struct gw_reach *ret) GS_MUST_CHECK;

/* ---- what a person gives: the body's "settings" and "secret" ---- */

struct gw_form {
    const struct fetch_entry *entry;
    struct fetch_settings *settings; /* owned */
    char *text;                      /* of settings, canonical; owned */
    char moved[64];                  /* the field whose change may send the secret elsewhere; "" */
};
void gw_form_done(struct gw_form *f);
#define GW_AUTO_FORM GS_AUTO(gw_form_done) struct gw_form

/* The body's settings laid over stored ones ("{}": none), judged by the connector. 0, or 422 about "/settings". */
int gw_form_read(struct gw_call *c, const struct fetch_entry *e, const char *under, struct gw_form *ret) GS_MUST_CHECK;
/* Stores the body's secret sealed; connection: internal id. 0, or a status: 422 about "/secret". */
int gw_secret_store(struct gw_call *c, const struct fetch_entry *e, const char *connection) GS_MUST_CHECK;
/* The body has a secret. */
bool gw_secret_given(struct gw_call *c);

/* ---- links that hang on it; connection: internal id ---- */

/* Links that failed are asked at once: something about their connection is better now. */
bool gw_reach_ask(struct gw_call *c, const char *connection) GS_MUST_CHECK;
/* Takes every link away, or refuses with 409 when there are some and detach is false. Goals keep mode, value and
 * history. Gives how many. 0, or a status. */
int gw_reach_unlink(struct gw_call *c, const struct gw_reach *k, bool detach, int *ret_n) GS_MUST_CHECK;

#endif
