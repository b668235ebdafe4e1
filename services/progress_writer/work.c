/* Lists of one transaction's work, and what a change says to the world. */
#include "services/progress_writer/work.h"

#include "common/event.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

void writer_list_grow(void **items, size_t *n, size_t *cap, size_t size)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *items = gs_realloc_n(*items, *cap, size);
    }
    memset((char *)*items + *n * size, 0, size);
    (*n)++;
}

void writer_work_init(struct writer_work *w)
{
    *w = (struct writer_work){.own_cause = WRITER_FETCHED, .up_cause = WRITER_ROLLED_UP};
    gs_buf_init(&w->events, WRITER_OUTBOX_MAX);
}

void writer_work_reset(struct writer_work *w)
{
    for (size_t i = 0; i < w->activities.n; i++)
        free(w->activities.items[i].data);
    for (size_t i = 0; i < w->units.n; i++)
        free(w->units.items[i]);
    w->orgs.n = w->links.n = w->goals.n = w->ancestors.n = w->edges.n = w->seeds.n = 0;
    w->observations.n = w->activities.n = w->again.n = w->units.n = 0;
    w->seeds_too = false;
    gs_buf_clear(&w->events);
    w->events.overflow = false;
    memset(w->counts, 0, sizeof w->counts);
    memset(w->outcomes, 0, sizeof w->outcomes);
    w->oldest_fetched_us = 0;
}

void writer_work_done(struct writer_work *w)
{
    writer_work_reset(w);
    free(w->results);
    free(w->orgs.items);
    free(w->links.items);
    free(w->goals.items);
    free(w->ancestors.items);
    free(w->edges.items);
    free(w->seeds.items);
    free(w->observations.items);
    free(w->activities.items);
    free(w->again.items);
    free(w->units.items);
    gs_buf_done(&w->events);
}

int writer_compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void writer_sort_by_id(void *items, size_t n, size_t size)
{
    const char *p = items;
    for (size_t i = 1; i < n; i++) {
        if (writer_compare_ids(p + (i - 1) * size, p + i * size) <= 0)
            continue;
        qsort(items, n, size, writer_compare_ids);
        return;
    }
}

/* All lists that are searched begin their items with the id. */
const struct gs_goal_rules *writer_work_rules(const struct writer_work *w, int64_t org_id)
{
    const struct writer_org *o =
        w->orgs.n ? bsearch(&org_id, w->orgs.items, w->orgs.n, sizeof *w->orgs.items, writer_compare_ids) : NULL;
    return o ? &o->rules : NULL;
}

struct writer_goal *writer_work_ancestor(const struct writer_work *w, int64_t goal_id)
{
    if (!w->ancestors.n)
        return NULL;
    return bsearch(&goal_id, w->ancestors.items, w->ancestors.n, sizeof *w->ancestors.items, writer_compare_ids);
}

const char *writer_work_unit(struct writer_work *w, const char *unit)
{
    if (!unit[0])
        return "";
    for (size_t i = 0; i < w->units.n; i++)
        if (strcmp(w->units.items[i], unit) == 0)
            return w->units.items[i];
    return *writer_list_add(&w->units) = gs_strdup(unit);
}

void writer_goal_mark(struct writer_goal *g)
{
    g->applied_before = g->goal.applied_value;
    g->progress_before = g->goal.progress;
    g->has_value_before = g->goal.has_value && g->goal.has_applied;
    g->status_before = g->goal.status;
}

static void report_status(struct writer_work *w, const struct writer_goal *g)
{
    if (g->goal.status == g->status_before)
        return;
    struct gs_buf b;
    gs_buf_init(&b, 200);
    gs_buf_puts(&b, "{\"from\": \"");
    gs_buf_puts(&b, gs_goal_status_name(g->status_before));
    gs_buf_puts(&b, "\", \"to\": \"");
    gs_buf_puts(&b, gs_goal_status_name(g->goal.status));
    gs_buf_puts(&b, "\"}");
    struct writer_activity *a = writer_list_add(&w->activities);
    *a = (struct writer_activity){g->org_id, g->goal.id, "status_changed", gs_buf_steal(&b)};
}

void writer_work_report(struct writer_work *w, struct writer_goal *g, enum writer_cause cause, int64_t now_us)
{
    if (!(g->changes & GS_CHANGED_VISIBLE))
        return;
    g->version++;
    const struct writer_event ev = {
        .org_id = g->org_id,
        .goal_id = g->goal.id,
        .version = g->version,
        .changed_at_us = now_us,
        .cause = cause,
        .before = {g->applied_before, g->progress_before, g->has_value_before, true,
                   gs_goal_status_name(g->status_before)},
        .after = {g->goal.applied_value, g->goal.progress, g->goal.has_value && g->goal.has_applied, true,
                  gs_goal_status_name(g->goal.status)},
        .result = g->result,
        .traceparent = g->result && g->result->message ? gs_event_trace(g->result->message) : NULL,
    };
    writer_wire_put_event(&w->events, &ev);
    report_status(w, g);
}
