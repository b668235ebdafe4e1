/* What a transaction writes: one statement a table, one array parameter a column, ids sorted. */
#include "services/progress_writer/work.h"

#include "common/auto.h"
#include "common/mem.h"

#include <stdlib.h>

/* Enums travel as positions in these lists (1 is the first label of the C enum): a subscript costs less than a look-up
 * of the label for each row. */
#define STATUS(x)                                                                                                      \
    "('{not_started,on_track,behind,at_risk,in_progress,closed,postponed,reopened}'::goal_status[])[" x "]"
#define OVERRIDE(x) "('{none,one_off,sticky}'::override_kind[])[" x "]"
#define OUTCOME(x)  "('{ok,retry,waiting,denied,gone,rejected,expired}'::fetch_outcome[])[" x "]"

#define EACH(p, type, i, n, put)                                                                                       \
    do {                                                                                                               \
        gs_pg_array_begin((p), (type));                                                                                \
        for (size_t i = 0; i < (n); i++)                                                                               \
            put;                                                                                                       \
        gs_pg_array_end(p);                                                                                            \
    } while (0)

/* ---- goals ---- */

/* The columns of a goal's state; $1 to $12. applied_at is when the value last changed here, auto_at when the automatic
 * one did: check-ins lie before it or after it by the clock, for whoever made one held the row. */
#define STATE_SET                                                                                                      \
    "version = u.version, override = " OVERRIDE("u.override") ", status = " STATUS(                                    \
        "u.status") ", status_by_hand = u.by_hand, auto_value = u.auto, applied_value = u.applied, progress = "        \
                    "u.progress,"                                                                                      \
                    " raw_progress = coalesce(u.raw, u.progress), has_value = u.has_value, applied_at = CASE WHEN "    \
                    "u.moved THEN now() ELSE "                                                                         \
                    "g.applied_at END, auto_at = CASE WHEN g.auto_value IS DISTINCT FROM u.auto THEN "                 \
                    "clock_timestamp() ELSE g.auto_at END"
/* A row from each step through the arrays. Not FROM unnest(a, b, ...): that copies each array into a store of its own
 * first, and each row out of all of them. */
#define STATE_ROWS                                                                                                     \
    "unnest($1::bigint[]) AS id, unnest($2::bigint[]) AS version, unnest($3::int[]) AS override,"                      \
    " unnest($4::int[]) AS status, unnest($5::bool[]) AS by_hand, unnest($6::numeric[]) AS auto,"                      \
    " unnest($7::numeric[]) AS applied, unnest($8::numeric[]) AS progress, unnest($9::numeric[]) AS raw,"              \
    " unnest($10::bool[]) AS has_value, unnest($11::bool[]) AS moved, unnest($12::tid[]) AS place"
/* A row is found where it was read, without a way through the index. One that somebody wrote in between is elsewhere by
 * now, and not touched: the transaction begins anew. */
#define SAME_ROW "g.ctid = u.place AND g.id = u.id"

static void put_dec(struct gs_pg_params *p, bool has, struct gs_dec d)
{
    if (has)
        gs_pg_item_dec(p, d);
    else
        gs_pg_item_null(p);
}

static void add_state(struct gs_pg_params *p, const struct writer_goal *const *g, size_t n)
{
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, g[i]->goal.id));
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, g[i]->version));
    EACH(p, GS_PG_INT4, i, n, gs_pg_item_int4(p, (int32_t)g[i]->goal.override + 1));
    EACH(p, GS_PG_INT4, i, n, gs_pg_item_int4(p, (int32_t)g[i]->goal.status + 1));
    EACH(p, GS_PG_BOOL, i, n, gs_pg_item_bool(p, g[i]->goal.status_by_hand));
    EACH(p, GS_PG_DEC, i, n, put_dec(p, g[i]->goal.has_auto, g[i]->goal.auto_value));
    EACH(p, GS_PG_DEC, i, n, put_dec(p, g[i]->goal.has_applied, g[i]->goal.applied_value));
    EACH(p, GS_PG_DEC, i, n, gs_pg_item_dec(p, g[i]->goal.progress));
    EACH(p, GS_PG_DEC, i, n, put_dec(p, g[i]->goal.raw_progress.u != g[i]->goal.progress.u, g[i]->goal.raw_progress));
    EACH(p, GS_PG_BOOL, i, n, gs_pg_item_bool(p, g[i]->goal.has_value));
    EACH(p, GS_PG_BOOL, i, n, gs_pg_item_bool(p, (g[i]->changes & GS_CHANGED_VALUE) != 0));
    EACH(p, GS_PG_TID, i, n, gs_pg_item_tid(p, g[i]->place));
}

/* The version the row must still have: somebody else's change in between makes it another one. */
static int64_t version_before(const struct writer_goal *g)
{
    return g->version - ((g->changes & GS_CHANGED_VISIBLE) ? 1 : 0);
}

static const struct gs_pg_stmt linked_stmt = {
    "store_linked", "UPDATE goal g SET " STATE_SET ", last_slot = u.slot, fetched_at = u.fetched, source_at = u.source"
                    " FROM (SELECT " STATE_ROWS ", unnest($13::bigint[]) AS before, unnest($14::timestamptz[]) AS slot,"
                    " unnest($15::timestamptz[]) AS fetched, unnest($16::timestamptz[]) AS source) u WHERE " SAME_ROW
                    " AND g.version = u.before AND (g.last_slot IS NULL OR g.last_slot < u.slot)"};

static size_t pick_links(const struct writer_work *w, bool changed, const struct writer_link **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < w->links.n; i++)
        if (w->links.items[i].touched && (w->links.items[i].g.changes != 0) == changed)
            ret[n++] = &w->links.items[i];
    return n;
}

static void add_times(struct gs_pg_params *p, const struct writer_link *const *l, size_t n)
{
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, l[i]->last_slot));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, l[i]->fetched_at));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, l[i]->source_at));
}

static size_t linked_params(const struct writer_work *w, struct gs_pg_params *p)
{
    GS_AUTO(gs_freep) const struct writer_link **l = gs_alloc_n(w->links.n + 1, sizeof *l);
    GS_AUTO(gs_freep) const struct writer_goal **g = gs_alloc_n(w->links.n + 1, sizeof *g);
    size_t n = pick_links(w, true, l);
    for (size_t i = 0; i < n; i++)
        g[i] = &l[i]->g;
    add_state(p, g, n);
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, version_before(g[i])));
    add_times(p, l, n);
    return n;
}

/* An unchanged poll moves three instants and nothing else. */
static const struct gs_pg_stmt polled_stmt = {
    "store_polled",
    "UPDATE goal g SET last_slot = u.slot, fetched_at = u.fetched, source_at = u.source"
    " FROM (SELECT unnest($1::bigint[]) AS id, unnest($2::timestamptz[]) AS slot,"
    " unnest($3::timestamptz[]) AS fetched, unnest($4::timestamptz[]) AS source,"
    " unnest($5::tid[]) AS place) u WHERE " SAME_ROW " AND (g.last_slot IS NULL OR g.last_slot < u.slot)"};

static size_t polled_params(const struct writer_work *w, struct gs_pg_params *p)
{
    GS_AUTO(gs_freep) const struct writer_link **l = gs_alloc_n(w->links.n + 1, sizeof *l);
    size_t n = pick_links(w, false, l);
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, l[i]->g.goal.id));
    add_times(p, l, n);
    EACH(p, GS_PG_TID, i, n, gs_pg_item_tid(p, l[i]->g.place));
    return n;
}

static const struct gs_pg_stmt state_stmt = {"store_state", "UPDATE goal g SET " STATE_SET " FROM (SELECT " STATE_ROWS
                                                            ") u WHERE " SAME_ROW};

static size_t state_params(const struct writer_goal *items, size_t count, struct gs_pg_params *p)
{
    GS_AUTO(gs_freep) const struct writer_goal **g = gs_alloc_n(count + 1, sizeof *g);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].changes)
            g[n++] = &items[i];
    add_state(p, g, n);
    return n;
}

static size_t goals_params(const struct writer_work *w, struct gs_pg_params *p)
{
    return state_params(w->goals.items, w->goals.n, p);
}

static size_t ancestors_params(const struct writer_work *w, struct gs_pg_params *p)
{
    return state_params(w->ancestors.items, w->ancestors.n, p);
}

/* ---- history ---- */

#define ADD_OBSERVATIONS                                                                                               \
    "INSERT INTO observation (goal_id, slot, org_id, link_id, revision, rows_seen, fetched_at, source_at, value)"      \
    " SELECT unnest($1::bigint[]), unnest($2::timestamptz[]), unnest($3::bigint[]), unnest($4::bigint[]),"             \
    " unnest($5::int[]), unnest($6::int[]), unnest($7::timestamptz[]), unnest($8::timestamptz[]),"                     \
    " unnest($9::numeric[])"

/* A goal's slot only grows, in the transaction that writes the row, so the row is new. Where somebody set a slot back
 * by hand it is not: looking for it first costs as much again, and is left to the second try. */
static const struct gs_pg_stmt observations_stmt = {"store_observations", ADD_OBSERVATIONS};
static const struct gs_pg_stmt new_observations_stmt = {"store_new_observations",
                                                        ADD_OBSERVATIONS " ON CONFLICT DO NOTHING"};

static size_t observations_params(const struct writer_work *w, struct gs_pg_params *p)
{
    const struct writer_observation *o = w->observations.items;
    size_t n = w->observations.n;
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, o[i].link->g.goal.id));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, o[i].result->slot_us));
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, o[i].link->g.org_id));
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, o[i].link->id));
    EACH(p, GS_PG_INT4, i, n, gs_pg_item_int4(p, o[i].result->revision));
    EACH(p, GS_PG_INT4, i, n, gs_pg_item_int4(p, o[i].result->rows_seen));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, o[i].result->fetched_at_us));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, o[i].result->source_at_us));
    EACH(p, GS_PG_DEC, i, n, gs_pg_item_dec(p, o[i].result->value));
    return n;
}

static const struct gs_pg_stmt activities_stmt = {
    "store_activities",
    "INSERT INTO activity (org_id, goal_id, kind, data) SELECT org_id, goal_id, kind, data::jsonb"
    " FROM (SELECT unnest($1::bigint[]) AS org_id, unnest($2::bigint[]) AS goal_id, unnest($3::text[]) AS kind,"
    " unnest($4::text[]) AS data) u"};

static size_t activities_params(const struct writer_work *w, struct gs_pg_params *p)
{
    const struct writer_activity *a = w->activities.items;
    size_t n = w->activities.n;
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, a[i].org_id));
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, a[i].goal_id));
    EACH(p, GS_PG_TEXT, i, n, gs_pg_item_text(p, a[i].kind));
    EACH(p, GS_PG_TEXT, i, n, gs_pg_item_text(p, a[i].data));
    return n;
}

/* ---- links and batches ---- */

static const struct gs_pg_stmt links_stmt = {
    "store_links",
    "UPDATE link l SET outcome = " OUTCOME(
        "u.outcome") ", error = u.error, failures = u.failures,"
                     " failing_since = u.since, waiting_until = u.waiting, failed_slot = u.slot, failed_attempt = "
                     "u.attempt"
                     " FROM unnest($1::bigint[], $2::int[], $3::text[], $4::int[], $5::timestamptz[], "
                     "$6::timestamptz[], $7::timestamptz[],"
                     " $8::int[]) AS u(id, outcome, error, failures, since, waiting, slot, attempt) WHERE l.id = u.id"};

static size_t links_params(const struct writer_work *w, struct gs_pg_params *p)
{
    GS_AUTO(gs_freep) const struct writer_link **l = gs_alloc_n(w->links.n + 1, sizeof *l);
    size_t n = 0;
    for (size_t i = 0; i < w->links.n; i++)
        if (w->links.items[i].link_changed)
            l[n++] = &w->links.items[i];
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, l[i]->id));
    EACH(p, GS_PG_INT4, i, n, gs_pg_item_int4(p, (int32_t)l[i]->outcome + 1));
    EACH(p, GS_PG_TEXT, i, n, gs_pg_item_text(p, l[i]->error));
    EACH(p, GS_PG_INT4, i, n, gs_pg_item_int4(p, l[i]->failures));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, l[i]->failing_since));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, l[i]->waiting_until));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, l[i]->failed_slot));
    EACH(p, GS_PG_INT4, i, n, gs_pg_item_int4(p, l[i]->failed_attempt));
    return n;
}

/* The slot stays the same one of the grid: a retry only comes sooner than the next slot, never later. */
static const struct gs_pg_stmt again_stmt = {
    "store_again",
    "UPDATE link_batch b SET attempt = greatest(b.attempt, u.attempt),"
    " next_due_at = least(b.next_due_at, greatest(u.retry_at, now() + u.delay_us * interval '1 microsecond'))"
    " FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::timestamptz[]) AS u(id, attempt, delay_us, retry_at)"
    " WHERE b.id = u.id AND b.next_due_at IS NOT NULL"};

static size_t again_params(const struct writer_work *w, struct gs_pg_params *p)
{
    GS_AUTO(gs_freep) const struct writer_again **a = gs_alloc_n(w->again.n + 1, sizeof *a);
    size_t n = 0;
    for (size_t i = 0; i < w->again.n; i++)
        if (w->again.items[i].attempt > 0)
            a[n++] = &w->again.items[i];
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, a[i]->batch_id));
    EACH(p, GS_PG_INT4, i, n, gs_pg_item_int4(p, a[i]->attempt));
    EACH(p, GS_PG_INT8, i, n, gs_pg_item_int8(p, a[i]->delay_us));
    EACH(p, GS_PG_TIME, i, n, gs_pg_item_time(p, a[i]->retry_at_us));
    return n;
}

static const struct gs_pg_stmt answered_stmt = {
    "store_answered", "UPDATE link_batch SET attempt = 0 WHERE id = ANY ($1::bigint[]) AND attempt <> 0"};

static size_t answered_params(const struct writer_work *w, struct gs_pg_params *p)
{
    size_t n = 0;
    gs_pg_array_begin(p, GS_PG_INT8);
    for (size_t i = 0; i < w->again.n; i++) {
        if (w->again.items[i].attempt > 0)
            continue;
        gs_pg_item_int8(p, w->again.items[i].batch_id);
        n++;
    }
    gs_pg_array_end(p);
    return n;
}

/* ---- events ---- */

static const struct gs_pg_stmt outbox_stmt = {
    "store_outbox",
    "WITH o AS (INSERT INTO outbox (events) VALUES ($1) RETURNING id) SELECT pg_notify('goalsync_outbox', '') FROM o"};

static size_t outbox_params(const struct writer_work *w, struct gs_pg_params *p)
{
    gs_pg_add_bytes(p, w->events.data, w->events.len);
    return w->events.len > 0;
}

const struct writer_store writer_store_first[] = {
    {&linked_stmt, linked_params, true, NULL},
    {&polled_stmt, polled_params, true, NULL},
    {&state_stmt, goals_params, true, NULL},
    {&observations_stmt, observations_params, false, &new_observations_stmt},
};
const size_t writer_store_first_n = sizeof writer_store_first / sizeof *writer_store_first;

const struct writer_store writer_store_last[] = {
    {&state_stmt, ancestors_params, true, NULL},        {&links_stmt, links_params, false, NULL},
    {&again_stmt, again_params, false, NULL},           {&answered_stmt, answered_params, false, NULL},
    {&activities_stmt, activities_params, false, NULL}, {&outbox_stmt, outbox_params, false, NULL},
};
const size_t writer_store_last_n = sizeof writer_store_last / sizeof *writer_store_last;
