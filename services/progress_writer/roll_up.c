/* Recomputes the ancestors of what changed, children before parents, each once. No I/O. */
#include "services/progress_writer/work.h"

#include "common/log.h"
#include "common/mem.h"

#include <stdlib.h>

/* Edge between two ancestors. */
struct up {
    int64_t child_id; /* first: searched by it */
    size_t parent;
};

struct walk {
    struct writer_work *w;
    struct gs_goal_child *children; /* of one parent at a time */
    size_t *first;                  /* edges of ancestor i: first[i] .. first[i + 1] */
    size_t *ready;                  /* stack of ancestors that wait for nothing */
    struct up *ups;                 /* sorted by child */
    size_t n_ready, n_ups, done;
};

static size_t index_of(const struct writer_work *w, const struct writer_goal *g)
{
    return (size_t)(g - w->ancestors.items);
}

/* Edges are sorted by parent, and so are the ancestors by id. */
static void split_edges(struct walk *k)
{
    size_t e = 0;
    for (size_t i = 0; i < k->w->ancestors.n; i++) {
        k->first[i] = e;
        while (e < k->w->edges.n && k->w->edges.items[e].parent_id == k->w->ancestors.items[i].goal.id)
            e++;
    }
    k->first[k->w->ancestors.n] = e;
}

/* A child that is itself an ancestor is read where it is recomputed, not as it was loaded. */
static void join_children(struct walk *k)
{
    for (size_t e = 0; e < k->w->edges.n; e++) {
        struct writer_edge *edge = &k->w->edges.items[e];
        const struct writer_goal *child = writer_work_ancestor(k->w, edge->child_id);
        edge->child.goal = child ? &child->goal : &edge->goal;
        if (!child)
            continue;
        struct writer_goal *parent = writer_work_ancestor(k->w, edge->parent_id);
        k->ups[k->n_ups++] = (struct up){child->goal.id, index_of(k->w, parent)};
        parent->waits_for++;
    }
    if (k->n_ups)
        qsort(k->ups, k->n_ups, sizeof *k->ups, writer_compare_ids);
}

static void compute(struct walk *k, struct writer_goal *g)
{
    size_t i = index_of(k->w, g), n = k->first[i + 1] - k->first[i];
    if (n > GS_GOAL_CHILDREN_MAX || !g->rules)
        return;
    for (size_t c = 0; c < n; c++)
        k->children[c] = k->w->edges.items[k->first[i] + c].child;
    g->changes = gs_goal_roll_up(&g->goal, k->children, n, g->rules);
    if (g->changes == GS_CHANGED_REFUSED)
        g->changes = 0;
    if (g->changes)
        k->w->counts[WRITER_N_ROLLED_UP]++;
}

static void release_parents(struct walk *k, int64_t child_id)
{
    const struct up *u = k->n_ups ? bsearch(&child_id, k->ups, k->n_ups, sizeof *k->ups, writer_compare_ids) : NULL;
    while (u && u > k->ups && u[-1].child_id == child_id)
        u--;
    for (; u && u < k->ups + k->n_ups && u->child_id == child_id; u++)
        if (--k->w->ancestors.items[u->parent].waits_for == 0)
            k->ready[k->n_ready++] = u->parent;
}

static void walk(struct walk *k)
{
    for (size_t i = 0; i < k->w->ancestors.n; i++) {
        k->w->ancestors.items[i].rules = writer_work_rules(k->w, k->w->ancestors.items[i].org_id);
        if (k->w->ancestors.items[i].waits_for == 0)
            k->ready[k->n_ready++] = i;
    }
    while (k->n_ready > 0) {
        struct writer_goal *g = &k->w->ancestors.items[k->ready[--k->n_ready]];
        compute(k, g);
        k->done++;
        release_parents(k, g->goal.id);
    }
    /* The schema forbids circles; a goal in one would keep what it has. */
    if (k->done < k->w->ancestors.n)
        gs_log_error(NULL, "goals stand in a circle", "left=%zu", k->w->ancestors.n - k->done);
}

void writer_roll_up(struct writer_work *w, int64_t now_us)
{
    struct walk k = {.w = w};
    k.children = gs_alloc_n(w->edges.n + 1, sizeof *k.children);
    k.first = gs_alloc_n(w->ancestors.n + 1, sizeof *k.first);
    k.ready = gs_alloc_n(w->ancestors.n + 1, sizeof *k.ready);
    k.ups = gs_alloc_n(w->edges.n + 1, sizeof *k.ups);
    split_edges(&k);
    join_children(&k);
    walk(&k);
    for (size_t i = 0; i < w->ancestors.n; i++)
        writer_work_report(w, &w->ancestors.items[i], w->up_cause, now_us);
    free(k.children);
    free(k.first);
    free(k.ready);
    free(k.ups);
}
