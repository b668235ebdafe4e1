/* Turns FetchRequested into an order and an answer into FetchCompleted; the only file that knows protobuf. */
#include "services/fetch/wire.h"

#include <string.h>

#include "common/str.h"
#include "proto/goalsync/v1/fetch.pb-c.h"
#include "services/fetch/catalogue.h"

#define ERROR_MAX 400 /* bytes of a sentence in a message */

typedef Goalsync__V1__FetchRequested request_pb;
typedef Goalsync__V1__FetchCompleted completed_pb;
typedef Goalsync__V1__Observation observation_pb;

_Static_assert((int)FETCH_OUTCOME_EXPIRED == (int)GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_EXPIRED, "fetch.proto");
_Static_assert((int)FETCH_OUTCOME_WAITING == (int)GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_WAITING, "fetch.proto");
_Static_assert((int)FETCH_OUTCOME_REJECTED == (int)GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_REJECTED, "fetch.proto");
_Static_assert((int)FETCH_PREVIEW == (int)GOALSYNC__V1__FETCH_KIND__FETCH_KIND_PREVIEW, "fetch.proto");

static bool id_safe(const char *id)
{
    size_t len = strlen(id);

    if (!len || len > FETCH_ID_MAX)
        return false;
    for (const char *p = id; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');

        if (!letter && !strchr("-_.:", *p))
            return false;
    }
    return true;
}

static enum gs_rc check(const request_pb *m, struct gs_err *err)
{
    if (!id_safe(m->request_id))
        return gs_fail(err, GS_REJECT,
                       "request_id is empty, too long or holds characters beyond letters, digits and -_.:");
    if (m->kind != (int)FETCH_SCHEDULED && m->kind != (int)FETCH_SYNC_NOW && m->kind != (int)FETCH_PREVIEW)
        return gs_fail(err, GS_REJECT, "kind %d is not known", (int)m->kind);
    if (m->org_id <= 0 || m->connection_id <= 0)
        return gs_fail(err, GS_REJECT, "org_id or connection_id is missing");
    if (m->kind != (int)FETCH_PREVIEW && (m->batch_id <= 0 || m->slot_us <= 0))
        return gs_fail(err, GS_REJECT, "batch_id or slot_us is missing");
    if (m->n_targets < 1 || m->n_targets > FETCH_TARGETS_MAX)
        return gs_fail(err, GS_REJECT, "there are %zu targets, 1 to %d are accepted", m->n_targets, FETCH_TARGETS_MAX);
    return GS_OK;
}

static void take(struct gs_arena *a, const request_pb *m, struct fetch_order *ret)
{
    struct fetch_order_target *targets = gs_arena_alloc(a, m->n_targets * sizeof *targets);

    for (size_t i = 0; i < m->n_targets; i++) {
        targets[i].link_id = m->targets[i]->link_id;
        targets[i].revision = m->targets[i]->revision;
        targets[i].settings = m->targets[i]->settings;
    }
    *ret = (struct fetch_order){
        .request_id = m->request_id,
        .org_id = m->org_id,
        .connection_id = m->connection_id,
        .batch_id = m->batch_id,
        .connection_version = m->connection_version,
        .attempt = m->attempt,
        .kind = (enum fetch_kind)m->kind,
        .slot_us = m->slot_us,
        .expires_at_us = m->expires_at_us,
        .n_targets = m->n_targets,
        .targets = targets,
    };
}

enum gs_rc fetch_wire_decode(struct gs_arena *a, const void *data, size_t len, struct fetch_order *ret,
                             struct gs_err *err)
{
    ProtobufCAllocator allocator = {.alloc = gs_arena_piece, .free = gs_arena_keep, .allocator_data = a};

    if (!len || len > FETCH_MESSAGE_MAX)
        return gs_fail(err, GS_REJECT, "the message has %zu bytes, 1 to %d are accepted", len, FETCH_MESSAGE_MAX);
    const request_pb *m = goalsync__v1__fetch_requested__unpack(&allocator, len, data);

    if (!m)
        return gs_fail(err, GS_REJECT, "the message is no FetchRequested");
    if (check(m, err) != GS_OK)
        return GS_REJECT;
    take(a, m, ret);
    return GS_OK;
}

/* Sentences repeat words of sources: what leaves here is valid UTF-8 on one line. */
static char *clean(struct gs_arena *a, const char *s)
{
    if (!s || !*s)
        return (char *)protobuf_c_empty_string;
    return gs_str_clean(gs_arena_alloc(a, ERROR_MAX), ERROR_MAX, s, strlen(s));
}

static void put_observation(struct gs_arena *a, const struct fetch_order_target *target,
                            const struct fetch_result *result, observation_pb *o)
{
    goalsync__v1__observation__init(o);
    o->link_id = target->link_id;
    o->revision = target->revision;
    o->outcome = (Goalsync__V1__FetchOutcome)result->outcome;
    o->source_at_us = result->source_at_us;
    o->rows_seen = result->rows_seen;
    if (result->outcome == FETCH_OUTCOME_OK) {
        o->value = gs_arena_alloc(a, GS_DEC_TEXT);
        gs_dec_format(result->value, o->value);
        if (result->percent)
            o->unit = gs_arena_strndup(a, "%", 1);
    } else {
        o->error = clean(a, result->error);
    }
}

/* A target that shares the fate of the whole request says so itself, so that readers look in one place only. */
static void put_observations(struct gs_arena *a, const struct fetch_answer *answer, completed_pb *m)
{
    const struct fetch_order *order = answer->order;
    const struct fetch_result fate = {.outcome = answer->outcome, .error = answer->error};
    observation_pb *o = gs_arena_alloc(a, order->n_targets * sizeof *o);

    m->n_observations = order->n_targets;
    m->observations = gs_arena_alloc(a, order->n_targets * sizeof *m->observations);
    for (size_t i = 0; i < order->n_targets; i++) {
        put_observation(a, &order->targets[i], answer->results ? &answer->results[i] : &fate, &o[i]);
        m->observations[i] = &o[i];
    }
}

void *fetch_wire_encode(struct gs_arena *a, const struct fetch_answer *answer, size_t *ret_len)
{
    const struct fetch_order *order = answer->order;
    completed_pb m;

    goalsync__v1__fetch_completed__init(&m);
    m.request_id = (char *)order->request_id;
    m.org_id = order->org_id;
    m.connection_id = order->connection_id;
    m.batch_id = order->batch_id;
    m.kind = (Goalsync__V1__FetchKind)order->kind;
    m.slot_us = order->slot_us;
    m.attempt = order->attempt;
    m.outcome = (Goalsync__V1__FetchOutcome)answer->outcome;
    m.error = clean(a, answer->error);
    m.retry_at_us = answer->retry_at_us;
    m.fetched_at_us = answer->fetched_at_us;
    m.requests_used = answer->requests_used;
    m.elapsed_ms = answer->elapsed_ms;
    put_observations(a, answer, &m);

    size_t len = goalsync__v1__fetch_completed__get_packed_size(&m);
    void *packed = gs_arena_alloc(a, len);

    *ret_len = goalsync__v1__fetch_completed__pack(&m, packed);
    return packed;
}
