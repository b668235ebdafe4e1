/* What importing goals shares, whatever they come in. Documents and sheets know people by e-mail address, teams and
 * periods by name. */
#ifndef GATEWAY_TRANSFER_H
#define GATEWAY_TRANSFER_H

#include "services/gateway/call.h"
#include "services/gateway/goal_define.h"

/* One row for each element of an array of objects (text; or of the member "goals" of an object), in its order:
 *   body   what gw_definition_read_text() takes
 *   wrong  see gw_transfer_wrong()
 *   notes  sentences about what was taken otherwise than it is written; a JSON array
 * fallback: address of who owns what nobody known owns; may be null. lenient: a delegate or check-in owner that is
 * unknown is left out, with a note. Null: failed, see gw_status(). */
PGresult *gw_transfer_names(struct gw_call *c, const char *list, const char *fallback, bool lenient);

/* Takes one member and one sentence from what is left of a row's `wrong`. False: nothing is left. */
struct gw_wrong {
    char member[32]; /* "/owners" */
    char text[400];
};
bool gw_transfer_wrong(const char **wrong, struct gw_wrong *ret);

/* 0, or 422 on "/fallback_owner": it is nobody's address here. */
int gw_transfer_need_fallback(struct gw_call *c, const char *fallback) GS_MUST_CHECK;
/* May the caller make a goal of this level that stands below no goal of the caller's? */
int gw_transfer_may_create(struct gw_call *c, const struct gw_definition *d, bool *ret) GS_MUST_CHECK;
extern const char gw_transfer_no_create[]; /* the sentence when not */

/* Tells of goals that were imported: their feeds, an event each. ids: internal ones. 0, or a status. */
int gw_transfer_tell(struct gw_call *c, const char *const *ids, size_t n, bool edited) GS_MUST_CHECK;
/* A row of the audit: goals.imported or goals.exported. */
bool gw_transfer_audit(struct gw_call *c, const char *action, const char *format, size_t goals) GS_MUST_CHECK;

int gw_goal_export(struct gw_call *c); /* the operation goal_export */
/* "{1,2,3}" */
void gw_transfer_put_ids(struct gs_buf *b, const char *const *ids, size_t n);

#endif
