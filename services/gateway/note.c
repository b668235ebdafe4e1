/* The only file of the gateway that packs an event about goals. */
#include "services/gateway/note.h"

#include "common/event.h"
#include "common/mem.h"
#include "common/str.h"
#include "proto/goalsync/v1/goal.pb-c.h"
#include "proto/goalsync/v1/outbox.pb-c.h"

#include <stdlib.h>

#define TEXT(s) ((char *)(uintptr_t)(s)) /* packing only reads */

/* The goal as it is now, and the thing by its outside id. A goal that the caller does not see (any more) has no row. */
static const char goal_sql[] =
    "SELECT g.org_id, g.public_id, g.kind, g.title, g.private, g.status, round(g.progress, 4) AS progress, "
    "trim_scale(g.applied_value) AS value, (extract(epoch FROM now()) * 1000000)::bigint AS now, "
    "coalesce((SELECT x.public_id FROM check_in x WHERE $2::boolean AND x.id = $3::bigint), "
    "(SELECT x.public_id FROM comment x WHERE NOT $2::boolean AND x.id = $3::bigint)) AS thing "
    "FROM goal g WHERE g.id = $1";

static const char outbox_sql[] =
    "WITH o AS (INSERT INTO outbox (events) VALUES ($1)) SELECT pg_notify('goalsync_outbox', '')";

static Goalsync__V1__GoalDeed deed_of(enum gw_note what)
{
    static const Goalsync__V1__GoalDeed deeds[] = {
        [GW_GOAL_CREATED] = GOALSYNC__V1__GOAL_DEED__GOAL_DEED_CREATED,
        [GW_GOAL_EDITED] = GOALSYNC__V1__GOAL_DEED__GOAL_DEED_EDITED,
        [GW_GOAL_CLOSED] = GOALSYNC__V1__GOAL_DEED__GOAL_DEED_CLOSED,
        [GW_GOAL_POSTPONED] = GOALSYNC__V1__GOAL_DEED__GOAL_DEED_POSTPONED,
        [GW_GOAL_REOPENED] = GOALSYNC__V1__GOAL_DEED__GOAL_DEED_REOPENED,
        [GW_GOAL_DELETED] = GOALSYNC__V1__GOAL_DEED__GOAL_DEED_DELETED,
        [GW_GOAL_CHECKED_IN] = GOALSYNC__V1__GOAL_DEED__GOAL_DEED_CHECKED_IN,
        [GW_GOAL_COMMENTED] = GOALSYNC__V1__GOAL_DEED__GOAL_DEED_COMMENTED,
    };
    return deeds[what];
}

static int64_t id_of(const char *text)
{
    int64_t id = 0;

    return text && *text && gs_parse_int(text, 1, INT64_MAX, &id) ? id : 0;
}

/* Owned; *ret_len bytes. */
static uint8_t *pack_noted(enum gw_note what, const char *goal, const char *person, const char *thing,
                           const PGresult *row, size_t *ret_len)
{
    Goalsync__V1__GoalState state = GOALSYNC__V1__GOAL_STATE__INIT;
    Goalsync__V1__GoalNoted m = GOALSYNC__V1__GOAL_NOTED__INIT;

    state.value = TEXT(gs_db_get(row, 0, "value"));
    state.progress = TEXT(gs_db_get(row, 0, "progress"));
    state.status = TEXT(gs_db_get(row, 0, "status"));
    m.org_id = gs_db_get_int(row, 0, "org_id");
    m.goal_id = id_of(goal);
    m.deed = deed_of(what);
    m.noted_at_us = gs_db_get_int(row, 0, "now");
    m.person_id = id_of(person);
    m.goal_public_id = TEXT(gs_db_get(row, 0, "public_id"));
    m.kind = TEXT(gs_db_get(row, 0, "kind"));
    m.title = TEXT(gs_db_get(row, 0, "title"));
    m.private_ = gs_db_get_bool(row, 0, "private");
    m.state = &state;
    m.thing_id = id_of(thing);
    m.thing_public_id = TEXT(gs_db_get(row, 0, "thing"));
    uint8_t *packed = gs_alloc(goalsync__v1__goal_noted__get_packed_size(&m));
    *ret_len = goalsync__v1__goal_noted__pack(&m, packed);
    return packed;
}

/* Owned; *ret_len bytes: a row of the outbox. */
static uint8_t *pack_event(const char *goal, const char *traceparent, uint8_t *payload, size_t len, size_t *ret_len)
{
    char id[GS_ID_TEXT], trace[GS_TRACEPARENT_TEXT];
    Goalsync__V1__OutboxEvent e = GOALSYNC__V1__OUTBOX_EVENT__INIT, *one = &e;
    Goalsync__V1__OutboxEvents list = GOALSYNC__V1__OUTBOX_EVENTS__INIT;

    gs_id_new(id);
    gs_traceparent_child(traceparent, trace);
    e.topic = TEXT("goal.noted");
    e.key = TEXT(goal);
    e.id = id;
    e.type = TEXT("goalsync.goal.noted.v1");
    e.source = TEXT("/goalsync/gateway");
    e.traceparent = trace;
    e.payload.data = payload;
    e.payload.len = len;
    list.n_events = 1;
    list.events = &one;
    uint8_t *packed = gs_alloc(goalsync__v1__outbox_events__get_packed_size(&list));
    *ret_len = goalsync__v1__outbox_events__pack(&list, packed);
    return packed;
}

bool gw_note(struct gw_call *c, enum gw_note what, const char *goal, const char *thing)
{
    size_t payload_len, len;

    GS_AUTO_RESULT row = gw_query(c, goal_sql, GS_WITH(goal, what == GW_GOAL_CHECKED_IN ? "true" : "false", thing));
    if (!row || PQntuples(row) == 0)
        return row != NULL;
    GS_AUTO(gs_freep) uint8_t *payload = pack_noted(what, goal, gw_who(c)->person, thing, row, &payload_len);
    GS_AUTO(gs_freep) uint8_t *events = pack_event(goal, gw_traceparent(c), payload, payload_len, &len);
    GS_AUTO(gs_freep) char *hex = gs_alloc(2 * len + 3);
    hex[0] = '\\';
    hex[1] = 'x';
    gs_hex_encode(events, len, hex + 2);
    return gw_exec(c, outbox_sql, GS_WITH(hex));
}
