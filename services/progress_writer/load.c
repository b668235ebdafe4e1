/* What a transaction reads: the statements, their parameters, their rows. Ids go out sorted: neighbours share pages. */
#include "services/progress_writer/work.h"

#include <stdlib.h>

/* ---- columns ---- */

/* Labels of enums come from our own schema: an unknown one is a schema newer than this program. Such a goal is treated
 * as the zero label would be, which changes nothing by itself. */
static void read_words(const struct gs_pg_result *r, int row, int col, struct gs_goal *g)
{
    bool known = gs_goal_kind_parse(gs_pg_get_text(r, row, col), &g->kind);
    known = gs_goal_metric_parse(gs_pg_get_text(r, row, col + 1), &g->metric) && known;
    known = gs_goal_mode_parse(gs_pg_get_text(r, row, col + 2), &g->mode) && known;
    known = gs_goal_override_parse(gs_pg_get_text(r, row, col + 3), &g->override) && known;
    known = gs_goal_status_parse(gs_pg_get_text(r, row, col + 4), &g->status) && known;
    (void)known;
}

void writer_load_goal(const struct gs_pg_result *r, int row, int col, struct writer_goal *ret)
{
    struct gs_goal *g = &ret->goal;
    ret->place = gs_pg_get_tid(r, row, col);
    g->id = gs_pg_get_int8(r, row, col + 1);
    ret->org_id = gs_pg_get_int8(r, row, col + 2);
    ret->version = gs_pg_get_int8(r, row, col + 3);
    read_words(r, row, col + 4, g);
    g->status_by_hand = gs_pg_get_bool(r, row, col + 9);
    g->has_value = gs_pg_get_bool(r, row, col + 10);
    g->has_start = gs_pg_get_dec(r, row, col + 11, &g->start);
    g->has_target = gs_pg_get_dec(r, row, col + 12, &g->target);
    g->has_risk = gs_pg_get_dec(r, row, col + 13, &g->risk);
    g->has_auto = gs_pg_get_dec(r, row, col + 14, &g->auto_value);
    g->has_applied = gs_pg_get_dec(r, row, col + 15, &g->applied_value);
    (void)gs_pg_get_dec(r, row, col + 16, &g->progress); /* NOT NULL */
    if (!gs_pg_get_dec(r, row, col + 17, &g->raw_progress))
        g->raw_progress = g->progress;
    g->start_day = gs_pg_get_date(r, row, col + 18);
    g->end_day = gs_pg_get_date(r, row, col + 19);
    writer_goal_mark(ret);
}

static void add_ids(struct gs_pg_params *p, const int64_t *ids, size_t n)
{
    gs_pg_array_begin(p, GS_PG_INT8);
    for (size_t i = 0; i < n; i++)
        gs_pg_item_int8(p, ids[i]);
    gs_pg_array_end(p);
}

/* ---- links with their goals ---- */

const struct gs_pg_stmt writer_load_links_stmt = {
    "load_links",
    "SELECT l.id, l.revision, l.state = 'active', c.paused_reason IS NULL, l.outcome IS NOT DISTINCT FROM 'ok',"
    " l.failures, l.failed_attempt, l.failing_since, l.waiting_until, l.failed_slot, g.last_slot, " WRITER_GOAL_COLUMNS
    " FROM link l JOIN goal g ON g.id = l.goal_id JOIN connection c ON c.id = l.connection_id"
    " WHERE l.id = ANY ($1::bigint[])"};
#define LINK_GOAL_COLUMN 11

void writer_load_links_params(const struct writer_work *w, struct gs_pg_params *p)
{
    gs_pg_array_begin(p, GS_PG_INT8);
    for (size_t i = 0; i < w->n_results; i++)
        if (i == 0 || w->results[i]->link_id != w->results[i - 1]->link_id)
            gs_pg_item_int8(p, w->results[i]->link_id);
    gs_pg_array_end(p);
}

void writer_load_links_read(struct writer_work *w, const struct gs_pg_result *r)
{
    for (int i = 0; i < gs_pg_rows(r); i++) {
        struct writer_link *l = writer_list_add(&w->links);
        l->id = gs_pg_get_int8(r, i, 0);
        l->revision = gs_pg_get_int4(r, i, 1);
        l->active = gs_pg_get_bool(r, i, 2);
        l->open = gs_pg_get_bool(r, i, 3);
        l->answered = gs_pg_get_bool(r, i, 4);
        l->failures = gs_pg_get_int4(r, i, 5);
        l->failed_attempt = gs_pg_get_int4(r, i, 6);
        l->failing_since = gs_pg_get_time(r, i, 7);
        l->waiting_until = gs_pg_get_time(r, i, 8);
        l->failed_slot = gs_pg_get_time(r, i, 9);
        l->last_slot = gs_pg_get_time(r, i, 10);
        writer_load_goal(r, i, LINK_GOAL_COLUMN, &l->g);
    }
    writer_sort_by_id(w->links.items, w->links.n, sizeof *w->links.items);
}

/* ---- organisations ---- */

const struct gs_pg_stmt writer_load_orgs_stmt = {
    "load_orgs", "SELECT o.id, (now() AT TIME ZONE o.time_zone)::date, o.behind_above, o.at_risk_above, o.status_mode"
                 " FROM organisation o WHERE o.id = ANY ($1::bigint[])"};

static size_t distinct(int64_t *ids, size_t n)
{
    size_t kept = 0;
    qsort(ids, n, sizeof *ids, writer_compare_ids);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || ids[kept - 1] != ids[i])
            ids[kept++] = ids[i];
    return kept;
}

bool writer_load_orgs_params(const struct writer_work *w, struct gs_pg_params *p)
{
    struct {
        int64_t *items;
        size_t n, cap;
    } ids = {0};
    if (w->links.n == 0 && w->goals.n == 0)
        for (size_t i = 0; i < w->n_results; i++)
            *writer_list_add(&ids) = w->results[i]->org_id;
    for (size_t i = 0; i < w->links.n; i++)
        if (!writer_work_rules(w, w->links.items[i].g.org_id))
            *writer_list_add(&ids) = w->links.items[i].g.org_id;
    size_t n = ids.n ? distinct(ids.items, ids.n) : 0;
    add_ids(p, ids.items, n);
    free(ids.items);
    return n > 0;
}

void writer_load_orgs_read(struct writer_work *w, const struct gs_pg_result *r)
{
    for (int i = 0; i < gs_pg_rows(r); i++) {
        struct writer_org *o = writer_list_add(&w->orgs);
        o->id = gs_pg_get_int8(r, i, 0);
        o->rules.today = gs_pg_get_date(r, i, 1);
        (void)gs_pg_get_dec(r, i, 2, &o->rules.behind_above); /* both are NOT NULL */
        (void)gs_pg_get_dec(r, i, 3, &o->rules.at_risk_above);
        if (!gs_status_mode_parse(gs_pg_get_text(r, i, 4), &o->rules.status_mode))
            o->rules.status_mode = GS_STATUS_FROM_PROGRESS;
    }
    writer_sort_by_id(w->orgs.items, w->orgs.n, sizeof *w->orgs.items);
}

/* ---- ancestors ---- */

/* Locked in the order of ids, always after linked goals: writers cannot wait for each other in a circle, and the
 * children read by the next statement include what the transaction waited for has committed. An ancestor above one that
 * does not roll up is read as well; recomputing it changes nothing. */
#define ANCESTORS(base)                                                                                                \
    "WITH RECURSIVE up(id) AS (" base " UNION SELECT e.parent_id FROM up JOIN goal_edge e ON e.child_id = up.id)"      \
    " SELECT " WRITER_GOAL_COLUMNS                                                                                     \
    ", g.unit FROM goal g WHERE g.id = ANY (ARRAY(SELECT id FROM up)) AND g.mode = 'roll_up'"                          \
    " AND g.kind <> 'project' ORDER BY g.id FOR NO KEY UPDATE"

const struct gs_pg_stmt writer_load_ancestors_stmt = {
    "load_ancestors", ANCESTORS("SELECT e.parent_id FROM goal_edge e WHERE e.child_id = ANY ($1::bigint[])")};
const struct gs_pg_stmt writer_load_seeds_stmt = {"load_seeds", ANCESTORS("SELECT unnest($1::bigint[])")};

void writer_load_ancestors_params(const struct writer_work *w, struct gs_pg_params *p)
{
    add_ids(p, w->seeds.items, w->seeds.n);
}

void writer_load_ancestors_read(struct writer_work *w, const struct gs_pg_result *r)
{
    for (int i = 0; i < gs_pg_rows(r); i++) {
        struct writer_goal *g = writer_list_add(&w->ancestors);
        writer_load_goal(r, i, 0, g);
        g->goal.unit = writer_work_unit(w, gs_pg_get_text(r, i, WRITER_GOAL_COLUMNS_N));
    }
}

/* ---- their children ---- */

/* The largest answer of a transaction, so only what a roll-up asks of a child: a parent that averages needs no values.
 * Null: what is usual. */
#define CHILDREN(metric, more)                                                                                         \
    "SELECT e.parent_id, e.child_id, e.weight_hundredths, nullif(e.contributes, true), nullif(g.kind, 'key_result'),"  \
    " CASE WHEN g.has_value THEN g.progress END, g.status, " metric more                                               \
    " FROM goal_edge e JOIN goal g ON g.id = e.child_id WHERE e.parent_id = ANY ($1::bigint[])"

const struct gs_pg_stmt writer_load_averaged_stmt = {"load_averaged",
                                                     CHILDREN("CASE WHEN g.metric = 'baseline' THEN g.metric END", "")};
const struct gs_pg_stmt writer_load_added_stmt = {
    "load_added", CHILDREN("g.metric", ", CASE WHEN NOT g.has_value THEN g.start_value END, g.applied_value,"
                                       " nullif(g.unit, '')")};

static bool adds_values(const struct gs_goal *parent)
{
    return parent->metric == GS_BASELINE || gs_goal_is_numeric(parent);
}

size_t writer_load_children_params(const struct writer_work *w, bool added, struct gs_pg_params *p)
{
    size_t n = 0;
    gs_pg_array_begin(p, GS_PG_INT8);
    for (size_t i = 0; i < w->ancestors.n; i++) {
        if (adds_values(&w->ancestors.items[i].goal) != added)
            continue;
        gs_pg_item_int8(p, w->ancestors.items[i].goal.id);
        n++;
    }
    gs_pg_array_end(p);
    return n;
}

static struct gs_goal *read_child(struct writer_work *w, const struct gs_pg_result *r, int row)
{
    struct writer_edge *e = writer_list_add(&w->edges);
    struct gs_goal *g = &e->goal;
    e->parent_id = gs_pg_get_int8(r, row, 0);
    e->child_id = g->id = gs_pg_get_int8(r, row, 1);
    e->child.weight = gs_pg_is_null(r, row, 2) ? GS_WEIGHT_FREE : gs_pg_get_int4(r, row, 2);
    e->child.contributes = gs_pg_is_null(r, row, 3);
    g->kind = GS_KEY_RESULT;
    bool known = gs_pg_is_null(r, row, 4) || gs_goal_kind_parse(gs_pg_get_text(r, row, 4), &g->kind);
    g->has_value = gs_pg_get_dec(r, row, 5, &g->progress);
    known = gs_goal_status_parse(gs_pg_get_text(r, row, 6), &g->status) && known;
    known = (gs_pg_is_null(r, row, 7) || gs_goal_metric_parse(gs_pg_get_text(r, row, 7), &g->metric)) && known;
    (void)known; /* see read_words() */
    return g;
}

static void sort_edges(struct writer_work *w)
{
    writer_sort_by_id(w->edges.items, w->edges.n, sizeof *w->edges.items);
}

void writer_load_averaged_read(struct writer_work *w, const struct gs_pg_result *r)
{
    for (int i = 0; i < gs_pg_rows(r); i++)
        (void)read_child(w, r, i);
    sort_edges(w);
}

void writer_load_added_read(struct writer_work *w, const struct gs_pg_result *r)
{
    for (int i = 0; i < gs_pg_rows(r); i++) {
        struct gs_goal *g = read_child(w, r, i);
        g->has_start = gs_pg_get_dec(r, i, 8, &g->start);
        g->has_applied = gs_pg_get_dec(r, i, 9, &g->applied_value);
        g->unit = writer_work_unit(w, gs_pg_get_text(r, i, 10));
    }
    sort_edges(w);
}
