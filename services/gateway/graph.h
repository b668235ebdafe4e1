/* The shape of a goal graph that a document describes: which of its goals stands below which. Plain reading and
 * judging, without a database. */
#ifndef GATEWAY_GRAPH_H
#define GATEWAY_GRAPH_H

#include "common/json.h"
#include "services/gateway/schema.h"

#define GW_GRAPH_GOALS_MAX 5000
#define GW_GRAPH_EDGES_MAX 20000

struct gw_graph_edge {
    uint32_t parent, child; /* indexes of goals */
    int32_t weight;         /* in hundredths of a percent; GS_WEIGHT_FREE: a free share */
    int contributes;        /* 1, 0; -1: as the organisation's settings say */
};

struct gw_graph {
    uint32_t n_goals, n_edges;
    struct gw_graph_edge *edges;
    uint32_t *order;    /* every goal, parents first; null before gw_graph_sort() */
    uint32_t n_ordered; /* of them those that stand in no circle nor below one; the others follow */
};

void gw_graph_done(struct gw_graph *g);
/* Reads {"goals": [{"ref", "kind", "private"}, ...], "edges": [{"parent", "child", "weight", "contributes"}, ...]}.
 * False: at least one mistake was told to fault: a ref given twice or named nowhere, an edge given twice, weights above
 * 100 percent, goals below a project, a circle, privacy that cannot be. single: a goal has one parent at most. */
bool gw_graph_read(struct gw_graph *g, const struct gs_json *j, bool single, gw_fault_fn *fault,
                   void *arg) GS_MUST_CHECK;
/* Fills order. False: there is a circle. */
bool gw_graph_sort(struct gw_graph *g);

#endif
