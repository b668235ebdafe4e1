/* Goal graphs as documents: what is taken has an order with parents first.
 * links: goalsync_gateway */
#include "common/auto.h"
#include "common/mem.h"
#include "services/gateway/graph.h"

#include <stdlib.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *arg, const char *pointer, const char *detail)
{
    MUST(pointer && detail && *detail);
    ++*(size_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gs_json *j = gs_json_new(1 << 20, 32);
    struct gs_err err;

    if (gs_json_parse(j, (const char *)data, size, &err) == GS_OK) {
        GS_AUTO(gw_graph_done) struct gw_graph g;
        size_t faults = 0;
        bool ok = gw_graph_read(&g, j, size % 2, count, &faults);
        MUST(ok == (faults == 0));
        uint32_t *place = gs_alloc_n(g.n_goals + 1, sizeof(*place));
        for (uint32_t i = 0; i < g.n_goals; i++)
            place[g.order[i]] = i;
        for (uint32_t i = 0; ok && i < g.n_edges; i++)
            MUST(place[g.edges[i].parent] < place[g.edges[i].child]);
        free(place);
    }
    gs_json_free(j);
    return 0;
}
