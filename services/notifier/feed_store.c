/* The one statement of the feed: offsets forward, deliveries made. */
#include "services/notifier/feed_private.h"

#include <string.h>

/* Deliveries of private goals are not made, nor of goals that are gone without having said their name. A webhook is not
 * told of what was before it; a minute allows for clocks that differ. */
static const struct gs_pg_stmt store_stmt = {
    "store",
    "WITH held AS (UPDATE consumer_offset o SET next_offset = u.next, updated_at = now()"
    " FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS u(topic, part, epoch, next, i)"
    " WHERE o.consumer_group = '" NOTIFIER_GROUP "' AND o.topic = u.topic AND o.partition = u.part"
    " AND o.epoch = u.epoch RETURNING u.i),"
    " told AS (INSERT INTO webhook_delivery (org_id, webhook_id, event_id, event, payload)"
    " SELECT w.org_id, w.id, e.id, e.event, webhook_payload(e.event, e.at, o.public_id,"
    " jsonb_build_object('goal', jsonb_build_object('id', coalesce(e.goal::uuid, g.public_id),"
    " 'kind', coalesce(e.kind, g.kind::text), 'title', coalesce(e.title, g.title), 'value', trim_scale(e.value)::text,"
    " 'progress', round(e.progress, 4)::text, 'status', e.status)) || CASE WHEN e.cause IS NULL THEN"
    " jsonb_build_object('person_id', p.public_id) ELSE jsonb_build_object('cause', e.cause, 'before',"
    " jsonb_build_object('value', trim_scale(e.value0)::text, 'progress', round(e.progress0, 4)::text,"
    " 'status', e.status0), 'link_id', l.public_id, 'source_at', api_time(e.source_at),"
    " 'fetched_at', api_time(e.fetched_at)) END || CASE e.event"
    " WHEN 'goal.checked_in' THEN jsonb_build_object('check_in_id', e.thing)"
    " WHEN 'goal.commented' THEN jsonb_build_object('comment_id', e.thing) ELSE '{}' END)"
    " FROM unnest($5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::timestamptz[], $11::bool[],"
    " $12::text[], $13::numeric[], $14::numeric[], $15::text[], $16::numeric[], $17::numeric[], $18::text[],"
    " $19::bigint[], $20::timestamptz[], $21::timestamptz[], $22::bigint[], $23::text[], $24::text[], $25::text[],"
    " $26::text[]) AS e(i, id, event, org_id, goal_id, at, hidden, status, value, progress, status0, value0, progress0,"
    " cause, link_id, source_at, fetched_at, person_id, goal, kind, title, thing)"
    " JOIN held h ON h.i = e.i"
    " JOIN webhook w ON w.org_id = e.org_id AND w.enabled AND w.stopped_reason IS NULL AND e.event = ANY (w.events)"
    " AND w.created_at <= e.at + interval '1 minute'"
    " JOIN organisation o ON o.id = e.org_id"
    " LEFT JOIN goal g ON g.id = e.goal_id AND g.org_id = e.org_id"
    " LEFT JOIN person p ON p.id = e.person_id AND p.org_id = e.org_id"
    " LEFT JOIN link l ON l.id = e.link_id AND l.org_id = e.org_id"
    " WHERE NOT e.hidden AND NOT coalesce(g.private, false) AND coalesce(e.goal::uuid, g.public_id) IS NOT NULL"
    " ON CONFLICT (webhook_id, event_id) DO NOTHING RETURNING id)"
    " SELECT i, (SELECT count(*) FROM told) FROM held"};

/* ---- offsets ---- */

static size_t move_of(struct notifier_feed *f, const struct notifier_item *item)
{
    for (size_t k = 0; k < f->n_moves; k++)
        if (f->moves[k].topic == item->topic && f->moves[k].partition == item->m->partition &&
            f->moves[k].epoch == item->epoch)
            return k;
    f->moves[f->n_moves] =
        (struct notifier_move){.topic = item->topic, .partition = item->m->partition, .epoch = item->epoch};
    return f->n_moves++;
}

static void make_moves(struct notifier_feed *f, size_t n)
{
    f->n_moves = 0;
    for (size_t i = 0; i < n; i++)
        f->moves[move_of(f, &f->items[i])].next = f->items[i].m->offset + 1;
}

static void add_moves(struct notifier_feed *f)
{
    struct gs_pg_params *p = f->params;

    gs_pg_array_begin(p, GS_PG_TEXT);
    for (size_t k = 0; k < f->n_moves; k++)
        gs_pg_item_text(p, notifier_topics[f->moves[k].topic]);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_INT4);
    for (size_t k = 0; k < f->n_moves; k++)
        gs_pg_item_int4(p, f->moves[k].partition);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_INT8);
    for (size_t k = 0; k < f->n_moves; k++)
        gs_pg_item_int8(p, f->moves[k].epoch);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_INT8);
    for (size_t k = 0; k < f->n_moves; k++)
        gs_pg_item_int8(p, f->moves[k].next);
    gs_pg_array_end(p);
}

/* ---- events: an array a column ---- */

#define COLUMN(type, put)                                                                                              \
    do {                                                                                                               \
        gs_pg_array_begin(p, type);                                                                                    \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const struct notifier_item *item = &f->items[i];                                                           \
            const struct notifier_event *ev = &item->ev;                                                               \
            if (ev->event)                                                                                             \
                put;                                                                                                   \
        }                                                                                                              \
        gs_pg_array_end(p);                                                                                            \
    } while (0)

static void item_id(struct gs_pg_params *p, int64_t id)
{
    if (id > 0)
        gs_pg_item_int8(p, id);
    else
        gs_pg_item_null(p);
}

static void item_dec(struct gs_pg_params *p, const char *text)
{
    struct gs_dec d;

    if (text && gs_dec_parse(text, strlen(text), &d, NULL) == GS_OK)
        gs_pg_item_dec(p, d);
    else
        gs_pg_item_null(p);
}

static void add_what(struct notifier_feed *f, size_t n)
{
    struct gs_pg_params *p = f->params;

    COLUMN(GS_PG_INT8, gs_pg_item_int8(p, (int64_t)move_of(f, item) + 1));
    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, item->id));
    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, ev->event));
    COLUMN(GS_PG_INT8, gs_pg_item_int8(p, ev->org_id));
    COLUMN(GS_PG_INT8, gs_pg_item_int8(p, ev->goal_id));
    COLUMN(GS_PG_TIME, gs_pg_item_time(p, ev->at_us));
    COLUMN(GS_PG_BOOL, gs_pg_item_bool(p, ev->hidden));
}

static void add_states(struct notifier_feed *f, size_t n)
{
    struct gs_pg_params *p = f->params;

    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, ev->now.status));
    COLUMN(GS_PG_DEC, item_dec(p, ev->now.value));
    COLUMN(GS_PG_DEC, item_dec(p, ev->now.progress));
    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, ev->before.status));
    COLUMN(GS_PG_DEC, item_dec(p, ev->before.value));
    COLUMN(GS_PG_DEC, item_dec(p, ev->before.progress));
}

static void add_why(struct notifier_feed *f, size_t n)
{
    struct gs_pg_params *p = f->params;

    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, ev->cause));
    COLUMN(GS_PG_INT8, item_id(p, ev->link_id));
    COLUMN(GS_PG_TIME, gs_pg_item_time(p, ev->source_at_us));
    COLUMN(GS_PG_TIME, gs_pg_item_time(p, ev->fetched_at_us));
    COLUMN(GS_PG_INT8, item_id(p, ev->person_id));
    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, ev->public_id));
    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, ev->kind));
    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, ev->title));
    COLUMN(GS_PG_TEXT, gs_pg_item_text(p, ev->thing));
}

void notifier_feed_store(struct notifier_feed *f, size_t n, gs_pg_fn fn)
{
    gs_pg_params_clear(f->params);
    make_moves(f, n);
    add_moves(f);
    add_what(f, n);
    add_states(f, n);
    add_why(f, n);
    gs_pg_query(f->pg, &store_stmt, f->params, fn, f);
}
