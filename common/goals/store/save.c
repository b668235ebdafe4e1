/* Stores what a recomputation changed: one statement a table, one array a column. */
#include "common/goals/store/private.h"

#include "common/buf.h"
#include "common/event.h"
#include "common/str.h"
#include "services/progress_writer/wire.h"

#include <stdlib.h>

/* Ids, numbers and words of ours: nothing in them needs quoting inside an array. */
struct column {
    struct gs_buf text;
};
enum { COLUMNS = 12, COLUMN_MAX = 64 << 20 };

static void put(struct column *c, const char *item)
{
    gs_buf_putc(&c->text, c->text.len ? ',' : '{');
    gs_buf_puts(&c->text, item ? item : "NULL");
}

static void put_int(struct column *c, int64_t v)
{
    char text[GS_INT_TEXT];

    gs_int_format(v, text);
    put(c, text);
}

static void put_bool(struct column *c, bool v)
{
    put(c, v ? "t" : "f");
}

static void put_dec(struct column *c, bool has, struct gs_dec d)
{
    char text[GS_DEC_TEXT];

    if (has)
        gs_dec_format(d, text);
    put(c, has ? text : NULL);
}

static void start(struct column *c, int n)
{
    for (int i = 0; i < n; i++)
        gs_buf_init(&c[i].text, COLUMN_MAX);
}

static void done(struct column *c, int n)
{
    for (int i = 0; i < n; i++)
        gs_buf_done(&c[i].text);
}

/* Runs sql with one parameter a column, after those of `first`. */
static enum gs_rc run(struct gs_db *db, const char *sql, const char *first, struct column *c, int n, struct gs_err *err)
{
    const char *params[COLUMNS + 1];
    int used = 0;

    if (first)
        params[used++] = first;
    for (int i = 0; i < n; i++) {
        gs_buf_putc(&c[i].text, '}');
        if (c[i].text.overflow)
            return gs_fail(err, GS_REJECT, "the change moves too many goals at once");
        params[used++] = gs_buf_str(&c[i].text);
    }
    return gs_db_exec(db, sql, used, params) ? GS_OK : gs_fail(err, GS_FATAL, "%s", gs_db_error(db)->text);
}

/* ---- goals ---- */

static const char state_sql[] =
    "UPDATE goal g SET version = u.version, override = u.override, status = u.status, status_by_hand = u.by_hand, "
    "auto_value = u.automatic, applied_value = u.applied, progress = u.progress, raw_progress = u.raw, "
    "has_value = u.has_value, applied_at = CASE WHEN u.moved THEN now() ELSE g.applied_at END, auto_at = CASE WHEN "
    "g.auto_value IS DISTINCT FROM u.automatic THEN clock_timestamp() ELSE g.auto_at END "
    "FROM unnest($1::bigint[], $2::bigint[], $3::override_kind[], $4::goal_status[], $5::bool[], $6::numeric[], "
    "$7::numeric[], $8::numeric[], $9::numeric[], $10::bool[], $11::bool[]) "
    "AS u(id, version, override, status, by_hand, automatic, applied, progress, raw, has_value, moved) "
    "WHERE g.id = u.id";
#define STATE_COLUMNS 11

static bool is_visible(const struct gs_node *n)
{
    return n->changes & (GS_CHANGED_VISIBLE | GS_EDITED);
}

static void put_state(struct column *c, const struct gs_node *n)
{
    const struct gs_goal *g = &n->goal;

    put_int(c++, g->id);
    put_int(c++, n->version + is_visible(n));
    put(c++, gs_goal_override_name(g->override));
    put(c++, gs_goal_status_name(g->status));
    put_bool(c++, g->status_by_hand);
    put_dec(c++, g->has_auto, g->auto_value);
    put_dec(c++, g->has_applied, g->applied_value);
    put_dec(c++, true, g->progress);
    put_dec(c++, true, g->raw_progress);
    put_bool(c++, g->has_value);
    put_bool(c++, n->changes & GS_CHANGED_VALUE);
}

static enum gs_rc save_state(const struct gs_graph *g, struct gs_db *db, struct gs_err *err)
{
    struct column c[STATE_COLUMNS];
    enum gs_rc rc = GS_OK;

    start(c, STATE_COLUMNS);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].changes)
            put_state(c, &g->nodes[i]);
    if (c[0].text.len)
        rc = run(db, state_sql, NULL, c, STATE_COLUMNS, err);
    done(c, STATE_COLUMNS);
    return rc;
}

/* ---- the feed ---- */

static const char activity_sql[] =
    "INSERT INTO activity (org_id, goal_id, kind, data) SELECT $1, u.goal, 'status_changed', "
    "jsonb_build_object('from', u.before, 'to', u.after) FROM unnest($2::bigint[], $3::text[], $4::text[]) "
    "AS u(goal, before, after)";
#define ACTIVITY_COLUMNS 3

static enum gs_rc save_activity(const struct gs_graph *g, struct gs_db *db, struct gs_err *err)
{
    struct column c[ACTIVITY_COLUMNS];
    char org[GS_INT_TEXT];
    enum gs_rc rc = GS_OK;

    start(c, ACTIVITY_COLUMNS);
    gs_int_format(g->org, org);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct gs_node *n = &g->nodes[i];
        if (n->goal.status == n->before.status)
            continue;
        put_int(&c[0], n->goal.id);
        put(&c[1], gs_goal_status_name(n->before.status));
        put(&c[2], gs_goal_status_name(n->goal.status));
    }
    if (c[0].text.len)
        rc = run(db, activity_sql, org, c, ACTIVITY_COLUMNS, err);
    done(c, ACTIVITY_COLUMNS);
    return rc;
}

/* ---- events ---- */

static struct writer_state state_of(const struct gs_goal *g)
{
    return (struct writer_state){.value = g->applied_value,
                                 .progress = g->progress,
                                 .has_value = g->has_value && g->has_applied,
                                 .has_progress = true,
                                 .status = gs_goal_status_name(g->status)};
}

static void put_events(struct gs_buf *b, const struct gs_graph *g, const struct gs_deed *deed, const char *trace)
{
    bool by_person = deed->check_in || deed->replaced || deed->resume || deed->end || deed->reopen;

    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct gs_node *n = &g->nodes[i];
        if (!is_visible(n))
            continue;
        writer_wire_put_event(b, &(struct writer_event){
                                     .org_id = g->org,
                                     .goal_id = n->goal.id,
                                     .version = n->version + 1,
                                     .changed_at_us = g->now_us,
                                     .cause = n->named && by_person ? WRITER_CHECKED_IN : WRITER_ROLLED_UP,
                                     .before = state_of(&n->before),
                                     .after = state_of(&n->goal),
                                     .traceparent = trace,
                                 });
    }
}

static enum gs_rc save_events(const struct gs_graph *g, struct gs_db *db, const struct gs_deed *deed,
                              const char *traceparent, struct gs_err *err)
{
    static const char outbox_sql[] = "WITH o AS (INSERT INTO outbox (events) VALUES ($1)) "
                                     "SELECT set_config('goalsync.all_goals', '', true), "
                                     "pg_notify('goalsync_outbox', '')";
    GS_AUTO(gs_buf_done) struct gs_buf events;
    char trace[GS_TRACEPARENT_TEXT];

    gs_traceparent_child(traceparent, trace);
    gs_buf_init(&events, WRITER_OUTBOX_MAX);
    put_events(&events, g, deed, trace);
    if (events.overflow)
        return gs_fail(err, GS_REJECT, "the change moves too many goals at once");
    GS_AUTO_RESULT r = events.len ? gs_db_query_bytes(db, outbox_sql, GS_NO_PARAMS, events.data, events.len)
                                  : gs_db_query(db, "SELECT set_config('goalsync.all_goals', '', true)", GS_NO_PARAMS);
    return r ? GS_OK : gs_fail(err, GS_FATAL, "%s", gs_db_error(db)->text);
}

enum gs_rc gs_graph_save(const struct gs_graph *g, struct gs_db *db, const struct gs_deed *deed,
                         const char *traceparent, struct gs_err *err)
{
    enum gs_rc rc = save_state(g, db, err);

    if (rc == GS_OK)
        rc = save_activity(g, db, err);
    return rc == GS_OK ? save_events(g, db, deed, traceparent, err) : rc;
}
