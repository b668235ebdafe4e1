/* A growing list of results. */
#include "services/progress_writer/result.h"

#include "common/mem.h"

#include <stdlib.h>

const char *writer_outcome_name(enum writer_outcome o)
{
    static const char *const names[WRITER_OUTCOMES] = {"ok",   "retry",    "waiting", "denied",
                                                       "gone", "rejected", "expired"};
    return names[o];
}

void writer_results_add(struct writer_results *r, const struct writer_result *item)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 1; /* most messages have one target */
        r->items = gs_realloc_n(r->items, r->cap, sizeof *r->items);
    }
    r->items[r->n++] = *item;
}

void writer_results_cut(struct writer_results *r, size_t n)
{
    while (r->n > n) {
        free(r->items[--r->n].error);
        free(r->items[r->n].note);
    }
}

void writer_results_done(struct writer_results *r)
{
    writer_results_cut(r, 0);
    free(r->items);
    *r = (struct writer_results){0};
}
