/* Copies of goals, as postponing and cloning make them. */
#ifndef GATEWAY_COPY_H
#define GATEWAY_COPY_H

#include "common/goals/goal.h"
#include "services/gateway/call.h"

#define GW_COPIES_MAX 1000 /* goals of one request */

/* What is copied, from where it stands: the goals that the call has locked, and the edges between them. */
struct gw_subtree {
    PGresult *rows, *edge_rows; /* the rest borrows from these */
    struct gs_goal *goals;      /* goals[0] is the root */
    size_t n;
    struct gw_subtree_edge {
        size_t parent, child; /* indexes into goals */
    } * edges;
    size_t n_edges;
};
void gw_subtree_done(struct gw_subtree *s);
/* The root, which the call has locked, and everything below it; locks it all. open_only: what is closed or postponed,
 * or out of the caller's sight, is left out with what hangs below it only; otherwise 403 when something is out of
 * sight. 0, or a status. */
int gw_subtree_load(struct gw_call *c, const char *root, bool open_only, struct gw_subtree *ret) GS_MUST_CHECK;
/* Its id, public_id, title, kind; other_parents: is it aligned to goals outside too? */
const char *gw_subtree_get(const struct gw_subtree *s, size_t i, const char *col);

struct gw_copying {
    const struct gw_subtree *from;
    const struct gs_goal *const *copies;      /* of each goal: what its copy starts with; null: it gets none */
    const bool *edges;                        /* of each edge: are the copies aligned likewise? */
    const char *starts_on, *ends_on, *period; /* null starts_on: the originals' dates and periods; period may be null */
    const char *title;                        /* of the root's copy; null: the original's */
    const char *creator;                      /* internal id; null: the originals' */
    bool root_alone;                          /* the root's copy is an individual goal of the caller's */
    bool done_tasks;                          /* these too, undone; else only the unfinished ones */
    bool links;                               /* switched off */
};
/* Stores the copies, rolls them up, tells of them. ret: an array like `from`, of inner and outer ids; "" where there is
 * no copy. 0, or a status. */
struct gw_copied {
    char id[GW_ID_TEXT], public_id[37];
};
int gw_copies_store(struct gw_call *c, const struct gw_copying *how, struct gw_copied *ret) GS_MUST_CHECK;

/* The new period of a body: period_id, or starts_on and ends_on, which come before the period's own. Borrowed from
 * *ret_row, which the caller clears; starts_on is null when the body names none. 0, or 422. */
struct gw_dates {
    PGresult *row;
    const char *starts_on, *ends_on, *period;
    int32_t start_day, end_day;
};
int gw_dates_read(struct gw_call *c, struct gw_dates *ret) GS_MUST_CHECK;

#endif
