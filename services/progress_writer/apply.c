/* Results onto loaded links: gates, duplicates, superseded revisions, then the goal's rules. No I/O. */
#include "services/progress_writer/work.h"

#include "common/log.h"

#include <stdlib.h>

static struct writer_link *find_link(const struct writer_work *w, int64_t id)
{
    if (!w->links.n)
        return NULL;
    return bsearch(&id, w->links.items, w->links.n, sizeof *w->links.items, writer_compare_ids);
}

static bool refused(const struct writer_link *l, const struct writer_result *r, enum writer_count *ret)
{
    if (!l || l->revision != r->revision)
        *ret = WRITER_N_SUPERSEDED; /* unlinked, or asked with other settings */
    else if (!l->active || !l->open || gs_goal_is_frozen(&l->g.goal) || l->g.goal.mode == GS_ROLL_UP)
        *ret = WRITER_N_PAUSED;
    else if (r->slot_us <= l->last_slot)
        *ret = WRITER_N_DUPLICATE;
    else
        return false;
    return true;
}

static void apply_value(struct writer_work *w, struct writer_link *l, const struct writer_result *r)
{
    unsigned changes = gs_goal_apply_auto(&l->g.goal, &r->value, l->g.rules);
    l->touched = true;
    l->last_slot = r->slot_us;
    l->fetched_at = r->fetched_at_us;
    l->source_at = r->source_at_us;
    writer_recover(w, l, r);
    if (r->note)
        writer_note(w, l, r);
    if (!w->oldest_fetched_us || r->fetched_at_us < w->oldest_fetched_us)
        w->oldest_fetched_us = r->fetched_at_us;
    if (changes == GS_CHANGED_REFUSED)
        changes = 0;
    l->g.changes |= changes;
    w->counts[changes ? WRITER_N_APPLIED : WRITER_N_UNCHANGED]++;
    if (!(changes & (GS_CHANGED_AUTO | GS_CHANGED_VALUE)))
        return;
    l->g.result = r;
    *writer_list_add(&w->observations) = (struct writer_observation){l, r};
}

static void apply_one(struct writer_work *w, struct writer_link *l, const struct writer_result *r, int64_t now_us)
{
    enum writer_count why;
    if (l && !l->g.rules)
        l->g.rules = writer_work_rules(w, l->g.org_id);
    if (refused(l, r, &why))
        w->counts[why]++;
    else if (r->outcome == WRITER_OK)
        apply_value(w, l, r);
    else
        writer_fail(w, l, r, now_us);
}

/* The goals whose ancestors are to be rolled up: a change that nobody sees (an override holds) does not travel. */
static void collect(struct writer_work *w, int64_t now_us)
{
    for (size_t i = 0; i < w->links.n; i++) {
        struct writer_goal *g = &w->links.items[i].g;
        writer_work_report(w, g, w->own_cause, now_us);
        if (g->changes & GS_CHANGED_VISIBLE)
            *writer_list_add(&w->seeds) = g->goal.id;
    }
    writer_sort_by_id(w->seeds.items, w->seeds.n, sizeof *w->seeds.items);
}

void writer_apply(struct writer_work *w, int64_t now_us)
{
    struct writer_link *l = NULL;
    for (size_t i = 0; i < w->n_results; i++) {
        const struct writer_result *r = w->results[i];
        if (!l || l->id != r->link_id)
            l = find_link(w, r->link_id);
        apply_one(w, l, r, now_us);
    }
    writer_again_sort(w);
    collect(w, now_us);
}
