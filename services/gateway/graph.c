/* Reads goal graphs: refs become indexes, every mistake is named at its place. */
#include "services/gateway/graph.h"

#include "common/goals/goal.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ref {
    const char *text;
    size_t len;
    uint32_t index;
};

struct goal {
    bool project, is_private;
    uint32_t parents;
    int64_t weights; /* fixed ones below it, in hundredths */
};

struct reading {
    struct gw_graph *g;
    const struct gs_json *j;
    struct ref *refs; /* sorted */
    struct goal *goals;
    gw_fault_fn *fault;
    void *arg;
    bool single, ok;
};

static void GS_PRINTF(3, 4) tell(struct reading *r, const char *pointer, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    r->ok = false;
    r->fault(r->arg, pointer, text);
}

static void GS_PRINTF(5, 6)
    tell_at(struct reading *r, const char *list, uint32_t i, const char *member, const char *fmt, ...)
{
    char pointer[64], text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    snprintf(pointer, sizeof(pointer), "/%s/%u%s", list, i, member);
    tell(r, pointer, "%s", text);
}

void gw_graph_done(struct gw_graph *g)
{
    free(g->edges);
    free(g->order);
    *g = (struct gw_graph){0};
}

/* ---- goals ---- */

static int compare_texts(const struct ref *a, const struct ref *b)
{
    int d = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

    return d ? d : (a->len > b->len) - (a->len < b->len);
}

static int compare_refs(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;
    int d = compare_texts(x, y);

    return d ? d : (x->index > y->index) - (x->index < y->index);
}

static bool text_of(const struct gs_json *j, uint32_t at, struct ref *ret)
{
    if (gs_json_at_type(j, at) != GS_JSON_STRING)
        return false;
    ret->text = gs_json_at_text(j, at, &ret->len);
    return true;
}

static void read_goal(struct reading *r, uint32_t at, uint32_t i)
{
    struct ref kind;

    r->refs[i].index = i;
    r->refs[i].text = "";
    if (!text_of(r->j, gs_json_member(r->j, at, "ref"), &r->refs[i]) || r->refs[i].len == 0)
        tell_at(r, "goals", i, "/ref", "is missing; every goal has a ref of its own");
    r->goals[i].project = text_of(r->j, gs_json_member(r->j, at, "kind"), &kind) && gs_str_eq(kind.text, "project");
    r->goals[i].is_private = gs_json_at_bool(r->j, gs_json_member(r->j, at, "private"));
}

static void read_goals(struct reading *r)
{
    uint32_t list = gs_json_member(r->j, gs_json_root(r->j), "goals"), i = 0;
    uint32_t n = gs_json_at_type(r->j, list) == GS_JSON_ARRAY ? gs_json_at_count(r->j, list) : 0;

    if (n > GW_GRAPH_GOALS_MAX) {
        tell(r, "/goals", "has %u goals; at most %d come at once", n, GW_GRAPH_GOALS_MAX);
        n = 0;
    }
    r->g->n_goals = n;
    r->refs = gs_alloc_n(n + 1, sizeof(*r->refs));
    r->goals = gs_alloc_n(n + 1, sizeof(*r->goals));
    for (uint32_t at = gs_json_first(r->j, list); at != GS_JSON_NONE && i < n; at = gs_json_next(r->j, list, at))
        read_goal(r, at, i++);
    qsort(r->refs, n, sizeof(*r->refs), compare_refs);
    for (i = 1; i < n; i++)
        if (r->refs[i].len && compare_texts(&r->refs[i - 1], &r->refs[i]) == 0)
            tell_at(r, "goals", r->refs[i].index, "/ref", "is the ref of an earlier goal, too");
}

/* ---- edges ---- */

static int find_ref(const void *key, const void *ref)
{
    return compare_texts(key, ref);
}

static bool read_end(struct reading *r, uint32_t edge, uint32_t i, const char *member, uint32_t *ret)
{
    struct ref key = {.text = ""};
    const struct ref *found = NULL;

    if (text_of(r->j, gs_json_member(r->j, edge, member + 1), &key))
        found = bsearch(&key, r->refs, r->g->n_goals, sizeof(*r->refs), find_ref);
    if (!found)
        tell_at(r, "edges", i, member, "is the ref of no goal of this document");
    else
        *ret = found->index;
    return found != NULL;
}

static void read_weight(struct reading *r, uint32_t edge, uint32_t i, struct gw_graph_edge *ret)
{
    uint32_t at = gs_json_member(r->j, edge, "weight");
    struct ref text;
    struct gs_err err;

    ret->weight = GS_WEIGHT_FREE;
    if (text_of(r->j, at, &text) && gs_weight_parse(text.text, text.len, &ret->weight, &err) != GS_OK)
        tell_at(r, "edges", i, "/weight", "%s", err.text);
    at = gs_json_member(r->j, edge, "contributes");
    ret->contributes = gs_json_at_type(r->j, at) == GS_JSON_BOOL ? gs_json_at_bool(r->j, at) : -1;
}

static void judge_edge(struct reading *r, const struct gw_graph_edge *e, uint32_t i)
{
    struct goal *parent = &r->goals[e->parent], *child = &r->goals[e->child];

    child->parents++;
    if (e->parent == e->child)
        tell_at(r, "edges", i, "/child", "is the parent itself");
    if (parent->project)
        tell_at(r, "edges", i, "/parent", "is a project, which has tasks and no goals below it");
    if (child->is_private && !parent->is_private)
        tell_at(r, "edges", i, "/child", "is private and cannot stand below a public goal");
    if (child->is_private && child->parents > 1)
        tell_at(r, "edges", i, "/child", "is private and has another parent already");
    if (r->single && child->parents > 1)
        tell_at(r, "edges", i, "/child",
                "has another parent already, and this organisation lets a goal have one parent only");
    if (e->weight > 0 && e->contributes != 0)
        parent->weights += e->weight;
}

static void read_edges(struct reading *r)
{
    uint32_t list = gs_json_member(r->j, gs_json_root(r->j), "edges"), i = 0;
    uint32_t n = gs_json_at_type(r->j, list) == GS_JSON_ARRAY ? gs_json_at_count(r->j, list) : 0;

    if (n > GW_GRAPH_EDGES_MAX) {
        tell(r, "/edges", "has %u edges; at most %d come at once", n, GW_GRAPH_EDGES_MAX);
        return;
    }
    r->g->edges = gs_alloc_n(n + 1, sizeof(*r->g->edges));
    for (uint32_t at = gs_json_first(r->j, list); at != GS_JSON_NONE; at = gs_json_next(r->j, list, at), i++) {
        struct gw_graph_edge *e = &r->g->edges[r->g->n_edges];
        bool parent = read_end(r, at, i, "/parent", &e->parent), child = read_end(r, at, i, "/child", &e->child);
        read_weight(r, at, i, e);
        if (parent && child) {
            judge_edge(r, e, i);
            r->g->n_edges++;
        }
    }
    for (i = 0; i < r->g->n_goals; i++)
        if (r->goals[i].weights > GS_WEIGHT_FULL)
            tell_at(r, "goals", i, "", "the fixed weights below it add up to %lld.%02lld percent, which is above 100",
                    (long long)(r->goals[i].weights / 100), (long long)(r->goals[i].weights % 100));
}

static int compare_pairs(const void *a, const void *b)
{
    const struct gw_graph_edge *x = *(struct gw_graph_edge *const *)a, *y = *(struct gw_graph_edge *const *)b;

    if (x->parent != y->parent)
        return (x->parent > y->parent) - (x->parent < y->parent);
    if (x->child != y->child)
        return (x->child > y->child) - (x->child < y->child);
    return (x > y) - (x < y);
}

/* Only asked of documents that are right otherwise: an edge's place in the list is its index then. */
static void find_twins(struct reading *r)
{
    struct gw_graph *g = r->g;
    struct gw_graph_edge **sorted = gs_alloc_n(g->n_edges + 1, sizeof(*sorted));

    for (uint32_t i = 0; i < g->n_edges; i++)
        sorted[i] = &g->edges[i];
    qsort(sorted, g->n_edges, sizeof(*sorted), compare_pairs);
    for (uint32_t i = 1; i < g->n_edges; i++)
        if (sorted[i]->parent == sorted[i - 1]->parent && sorted[i]->child == sorted[i - 1]->child)
            tell_at(r, "edges", (uint32_t)(sorted[i] - g->edges), "", "is the same as an earlier one");
    free(sorted);
}

/* ---- order ---- */

bool gw_graph_sort(struct gw_graph *g)
{
    uint32_t *first = gs_alloc_n(g->n_goals + 2, sizeof(*first)), *next = gs_alloc_n(g->n_edges + 1, sizeof(*next));
    uint32_t *waits = gs_alloc_n(g->n_goals + 1, sizeof(*waits)), n = 0;

    free(g->order);
    g->order = gs_alloc_n(g->n_goals + 1, sizeof(*g->order));
    /* first[p]: 1 + the newest edge of the chain below p; next[e]: likewise behind e */
    for (uint32_t i = 0; i < g->n_edges; i++) {
        next[i] = first[g->edges[i].parent];
        first[g->edges[i].parent] = i + 1;
        waits[g->edges[i].child]++;
    }
    for (uint32_t i = 0; i < g->n_goals; i++)
        if (waits[i] == 0)
            g->order[n++] = i;
    for (uint32_t done = 0; done < n; done++)
        for (uint32_t e = first[g->order[done]]; e; e = next[e - 1])
            if (--waits[g->edges[e - 1].child] == 0)
                g->order[n++] = g->edges[e - 1].child;
    g->n_ordered = n;
    for (uint32_t i = 0; i < g->n_goals; i++)
        if (waits[i] > 0)
            g->order[n++] = i;
    free(first);
    free(next);
    free(waits);
    return g->n_ordered == g->n_goals;
}

bool gw_graph_read(struct gw_graph *g, const struct gs_json *j, bool single, gw_fault_fn *fault, void *arg)
{
    struct reading r = {.g = g, .j = j, .fault = fault, .arg = arg, .single = single, .ok = true};

    *g = (struct gw_graph){0};
    read_goals(&r);
    read_edges(&r);
    if (r.ok)
        find_twins(&r);
    if (!gw_graph_sort(g) && r.ok) {
        char at[32];
        snprintf(at, sizeof(at), "/goals/%u", g->order[g->n_ordered]);
        tell(&r, at, "stands in a circle of edges, or below one; %u goals do", g->n_goals - g->n_ordered);
    }
    free(r.refs);
    free(r.goals);
    return r.ok;
}
