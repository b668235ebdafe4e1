/* Applies what a person did and rolls up, children before parents. Reading is in load.c, writing in save.c. */
#include "common/goals/store/private.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>

struct walk {
    struct gs_graph *g;
    const struct gs_deed *deed;
    struct gs_goal_child *children; /* of one node at a time */
    struct gs_branch **ups;         /* branches from a node to a node, sorted by child */
    size_t *ready;                  /* stack of nodes that wait for nothing */
    size_t n_ups, n_ready;
};

int gs_compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

struct gs_node *gs_graph_node(const struct gs_graph *g, int64_t id)
{
    return g->n_nodes ? bsearch(&id, g->nodes, g->n_nodes, sizeof *g->nodes, gs_compare_ids) : NULL;
}

void gs_graph_done(struct gs_graph *g)
{
    free(g->nodes);
    free(g->branches);
    PQclear(g->named);
    PQclear(g->above);
    PQclear(g->below);
}

/* ---- one goal ---- */

static enum gs_rc do_deed(struct gs_node *n, const struct gs_deed *deed, const struct gs_goal_rules *rules,
                          struct gs_err *err)
{
    struct gs_goal *g = &n->goal;
    enum gs_rc rc = GS_OK;

    if (deed->check_in)
        rc = gs_goal_check_in(g, &deed->checked_in, rules, &n->changes, err);
    else if (deed->replaced)
        rc = gs_goal_replace_check_in(g, deed->latest, rules, &n->changes, err);
    else if (deed->reopen)
        rc = gs_goal_reopen(g, rules, &n->changes, err);
    else if (deed->end)
        n->changes = gs_goal_close(g, deed->ending);
    else if (deed->resume)
        n->changes = gs_goal_resume(g, rules);
    else
        n->changes = gs_goal_derive(g, rules);
    if (deed->edited)
        n->changes |= GS_EDITED;
    return rc;
}

static struct gs_branch *first_branch(const struct gs_graph *g, int64_t parent)
{
    struct gs_branch *b =
        g->n_branches ? bsearch(&parent, g->branches, g->n_branches, sizeof *g->branches, gs_compare_ids) : NULL;

    while (b && b > g->branches && b[-1].parent_id == parent)
        b--;
    return b;
}

static enum gs_rc compute(struct walk *w, struct gs_node *n, struct gs_err *err)
{
    const struct gs_graph *g = w->g;
    const struct gs_branch *end = g->n_branches ? g->branches + g->n_branches : NULL;
    size_t count = 0;
    enum gs_rc rc = n->named ? do_deed(n, w->deed, &g->rules, err) : GS_OK;

    if (rc != GS_OK)
        return rc;
    for (const struct gs_branch *b = first_branch(g, n->goal.id); b && b < end && b->parent_id == n->goal.id; b++)
        w->children[count++] = b->child;
    n->changes |= gs_goal_roll_up(&n->goal, w->children, count, &g->rules);
    if (!(n->changes & GS_CHANGED_REFUSED))
        return GS_OK;
    if (count > GS_GOAL_CHILDREN_MAX)
        return gs_fail(err, GS_REJECT, "a goal has at most %d children", GS_GOAL_CHILDREN_MAX);
    return gs_fail(err, GS_REJECT, "the sum of the children's values above would have more than 20 digits");
}

/* ---- the order ---- */

static int compare_ups(const void *a, const void *b)
{
    const struct gs_branch *x = *(struct gs_branch *const *)a, *y = *(struct gs_branch *const *)b;

    return gs_compare_ids(&x->child_id, &y->child_id);
}

static int find_up(const void *id, const void *up)
{
    return gs_compare_ids(id, &(*(struct gs_branch *const *)up)->child_id);
}

static void count_waits(struct walk *w)
{
    struct gs_graph *g = w->g;

    for (size_t i = 0; i < g->n_branches; i++) {
        if (g->branches[i].child.goal == &g->branches[i].goal)
            continue;
        w->ups[w->n_ups++] = &g->branches[i];
        gs_graph_node(g, g->branches[i].parent_id)->waits_for++;
    }
    qsort(w->ups, w->n_ups, sizeof *w->ups, compare_ups);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].waits_for == 0)
            w->ready[w->n_ready++] = i;
}

static void release_parents(struct walk *w, int64_t child)
{
    struct gs_branch **up = w->n_ups ? bsearch(&child, w->ups, w->n_ups, sizeof *w->ups, find_up) : NULL;

    while (up && up > w->ups && up[-1]->child_id == child)
        up--;
    for (; up && up < w->ups + w->n_ups && (*up)->child_id == child; up++) {
        struct gs_node *parent = gs_graph_node(w->g, (*up)->parent_id);
        if (--parent->waits_for == 0)
            w->ready[w->n_ready++] = (size_t)(parent - w->g->nodes);
    }
}

static enum gs_rc walk(struct walk *w, struct gs_err *err)
{
    size_t done = 0;

    count_waits(w);
    while (w->n_ready > 0) {
        struct gs_node *n = &w->g->nodes[w->ready[--w->n_ready]];
        enum gs_rc rc = compute(w, n, err);
        if (rc != GS_OK)
            return rc;
        done++;
        release_parents(w, n->goal.id);
    }
    if (done < w->g->n_nodes) /* the schema forbids it */
        return gs_fail(err, GS_REJECT, "%zu goals stand in a circle; take one of their alignments away",
                       w->g->n_nodes - done);
    return GS_OK;
}

static enum gs_rc change(struct gs_graph *g, const struct gs_deed *deed, struct gs_err *err)
{
    struct walk w = {.g = g, .deed = deed};

    w.children = gs_alloc_n(g->n_branches + 1, sizeof *w.children);
    w.ups = gs_alloc_n(g->n_branches + 1, sizeof *w.ups);
    w.ready = gs_alloc_n(g->n_nodes + 1, sizeof *w.ready);
    enum gs_rc rc = walk(&w, err);
    free(w.children);
    free(w.ups);
    free(w.ready);
    return rc;
}

enum gs_rc gs_goals_recompute(struct gs_db *db, int64_t org, const int64_t *goals, size_t n, const struct gs_deed *deed,
                              const char *traceparent, struct gs_err *err)
{
    static const struct gs_deed nothing;
    struct gs_graph g = {.org = org};
    enum gs_rc rc;

    if (n == 0)
        return GS_OK;
    if (n > GS_RECOMPUTE_MAX)
        return gs_fail(err, GS_REJECT, "%zu goals change at once; at most %d can", n, GS_RECOMPUTE_MAX);
    deed = deed ? deed : &nothing;
    rc = gs_graph_load(&g, db, goals, n, err);
    if (rc == GS_OK)
        rc = change(&g, deed, err);
    if (rc == GS_OK)
        rc = gs_graph_save(&g, db, deed, traceparent, err);
    gs_graph_done(&g);
    return rc;
}
