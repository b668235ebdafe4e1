/* What the files of this folder share: the goals of one recomputation. */
#ifndef GS_GOALS_STORE_PRIVATE_H
#define GS_GOALS_STORE_PRIVATE_H

#include "common/goals/store/recompute.h"

struct gs_node {
    struct gs_goal goal; /* begins with the id: nodes are searched by it */
    struct gs_goal before;
    int64_t version;
    unsigned changes; /* enum gs_goal_change, and GS_EDITED */
    bool named;       /* by the caller; the others stand above */
    size_t waits_for; /* nodes among its children that are not computed yet */
};
#define GS_EDITED 0x8000u /* see struct gs_deed */

struct gs_branch {
    int64_t parent_id, child_id;
    struct gs_goal_child child; /* .goal is the node, where the child is one, else the goal below */
    struct gs_goal goal;        /* what a roll-up asks of a child */
};

struct gs_graph {
    int64_t org;
    struct gs_goal_rules rules;
    int64_t now_us;
    struct gs_node *nodes; /* sorted by id; locked */
    size_t n_nodes;
    struct gs_branch *branches; /* below the nodes, sorted by parent */
    size_t n_branches;
    PGresult *named, *above, *below; /* units are borrowed from these */
};

/* All in the order they are called in. GS_FATAL: the database failed. */
enum gs_rc gs_graph_load(struct gs_graph *g, struct gs_db *db, const int64_t *goals, size_t n,
                         struct gs_err *err) GS_MUST_CHECK;
enum gs_rc gs_graph_save(const struct gs_graph *g, struct gs_db *db, const struct gs_deed *deed,
                         const char *traceparent, struct gs_err *err) GS_MUST_CHECK;
void gs_graph_done(struct gs_graph *g);
struct gs_node *gs_graph_node(const struct gs_graph *g, int64_t id); /* null: none of them */

int gs_compare_ids(const void *a, const void *b); /* of items that begin with an int64_t */

#endif
