/* The only file of the writer that knows protobuf: judges what came, packs what leaves. */
#include "services/progress_writer/wire.h"

#include "common/arena.h"
#include "common/event.h"
#include "common/mem.h"
#include "common/str.h"
#include "proto/goalsync/v1/fetch.pb-c.h"
#include "proto/goalsync/v1/goal.pb-c.h"
#include "proto/goalsync/v1/outbox.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- in ---- */

#define UNPACKED_ROOM 2048 /* bytes of a message that need no memory of their own: with a few targets */

static bool outcome_of(Goalsync__V1__FetchOutcome o, enum writer_outcome *ret)
{
    switch (o) {
    case GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK:
        *ret = WRITER_OK;
        return true;
    case GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_RETRY:
        *ret = WRITER_RETRY;
        return true;
    case GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_WAITING:
        *ret = WRITER_WAITING;
        return true;
    case GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_DENIED:
        *ret = WRITER_DENIED;
        return true;
    case GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_GONE:
        *ret = WRITER_GONE;
        return true;
    case GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_REJECTED:
        *ret = WRITER_REJECTED;
        return true;
    case GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_EXPIRED:
        *ret = WRITER_EXPIRED;
        return true;
    default: /* unspecified, or of a newer version */
        return false;
    }
}

static enum gs_rc check_instant(const char *name, int64_t us, int64_t now_us, struct gs_err *err)
{
    if (us < 0 || us > now_us + WRITER_CLOCK_SKEW_US)
        return gs_fail(err, GS_REJECT, "%s is %" PRId64 " us, which is before 1970 or in the future", name, us);
    return GS_OK;
}

static enum gs_rc check_request(const Goalsync__V1__FetchCompleted *m, int64_t now_us, struct gs_err *err)
{
    if (m->kind != GOALSYNC__V1__FETCH_KIND__FETCH_KIND_SCHEDULED &&
        m->kind != GOALSYNC__V1__FETCH_KIND__FETCH_KIND_SYNC_NOW &&
        m->kind != GOALSYNC__V1__FETCH_KIND__FETCH_KIND_PUSHED)
        return gs_fail(err, GS_REJECT, "kind is %d; only a scheduled fetch, a Sync now or a pushed value is applied",
                       (int)m->kind);
    if (m->batch_id <= 0 || m->attempt < 0)
        return gs_fail(err, GS_REJECT,
                       "batch_id is %" PRId64 " and attempt %d; neither may be negative, nor the first 0", m->batch_id,
                       m->attempt);
    if (m->slot_us <= 0)
        return gs_fail(err, GS_REJECT, "slot_us is missing");
    if (m->n_observations > WRITER_TARGETS_MAX)
        return gs_fail(err, GS_REJECT, "%zu observations; at most %d are taken", m->n_observations, WRITER_TARGETS_MAX);
    enum gs_rc rc = check_instant("slot_us", m->slot_us, now_us, err);
    if (rc == GS_OK)
        rc = check_instant("fetched_at_us", m->fetched_at_us, now_us, err);
    return rc;
}

static char *error_text(const char *own, const char *request)
{
    char text[WRITER_ERROR_MAX];
    const char *s = own[0] ? own : request;
    gs_str_clean(text, sizeof text, s, strlen(s));
    return gs_strdup(text[0] ? text : "the source gave no reason");
}

static enum gs_rc read_observation(const Goalsync__V1__FetchCompleted *m, const Goalsync__V1__Observation *o,
                                   struct writer_result *r, struct gs_err *err)
{
    if (o->link_id <= 0 || o->revision <= 0)
        return gs_fail(err, GS_REJECT, "link_id is %" PRId64 " and revision %d; both start at 1", o->link_id,
                       o->revision);
    /* The request's outcome holds for all targets unless it is OK. */
    if (!outcome_of(r->outcome == WRITER_OK ? o->outcome : m->outcome, &r->outcome))
        return gs_fail(err, GS_REJECT, "outcome %d of link %" PRId64 " is unknown", (int)o->outcome, o->link_id);
    r->link_id = o->link_id;
    r->revision = o->revision;
    r->source_at_us = o->source_at_us > 0 ? o->source_at_us : 0;
    r->rows_seen = o->rows_seen < 0 ? 0 : o->rows_seen > INT32_MAX ? INT32_MAX : (int32_t)o->rows_seen;
    if (r->outcome != WRITER_OK) {
        r->error = error_text(o->error, m->error);
        return GS_OK;
    }
    if (strlen(o->note) > WRITER_NOTE_MAX)
        return gs_fail(err, GS_REJECT, "the note of link %" PRId64 " has %zu bytes; at most %d are taken", o->link_id,
                       strlen(o->note), WRITER_NOTE_MAX);
    enum gs_rc rc = gs_dec_parse(o->value, strlen(o->value), &r->value, err);
    if (rc == GS_OK && o->note[0])
        r->note = gs_strdup(o->note);
    return rc;
}

static enum gs_rc read_all(const Goalsync__V1__FetchCompleted *m, const struct rd_kafka_message_s *message,
                           int64_t now_us, struct writer_results *ret, struct gs_err *err)
{
    struct writer_result common = {
        .batch_id = m->batch_id,
        .org_id = m->org_id,
        .slot_us = m->slot_us,
        .fetched_at_us = m->fetched_at_us ? m->fetched_at_us : now_us,
        .retry_at_us = m->retry_at_us > 0 ? m->retry_at_us : 0,
        .attempt = m->attempt > 0 ? m->attempt : 1,
        .message = message,
    };
    enum gs_rc rc = check_request(m, now_us, err);
    if (rc == GS_OK && !outcome_of(m->outcome, &common.outcome))
        rc = gs_fail(err, GS_REJECT, "outcome %d is unknown", (int)m->outcome);
    size_t first = ret->n;
    for (size_t i = 0; rc == GS_OK && i < m->n_observations; i++) {
        struct writer_result r = common;
        rc = read_observation(m, m->observations[i], &r, err);
        if (rc == GS_OK)
            writer_results_add(ret, &r);
    }
    if (rc != GS_OK)
        writer_results_cut(ret, first);
    return rc;
}

enum gs_rc writer_wire_read(const void *data, size_t len, const struct rd_kafka_message_s *message, int64_t now_us,
                            struct writer_results *ret, struct gs_err *err)
{
    char room[UNPACKED_ROOM] __attribute__((aligned(16)));
    struct gs_arena arena;
    if (len > WRITER_MESSAGE_MAX)
        return gs_fail(err, GS_REJECT, "%zu bytes; at most %d are read", len, WRITER_MESSAGE_MAX);
    gs_arena_init(&arena, room, sizeof room);
    ProtobufCAllocator allocator = {.alloc = gs_arena_piece, .free = gs_arena_keep, .allocator_data = &arena};
    const Goalsync__V1__FetchCompleted *m = goalsync__v1__fetch_completed__unpack(&allocator, len, data);
    enum gs_rc rc = m ? read_all(m, message, now_us, ret, err)
                      : gs_fail(err, GS_REJECT, "the %zu bytes are not a FetchCompleted", len);
    gs_arena_done(&arena);
    return rc;
}

/* ---- out ---- */

struct state_text {
    char value[GS_DEC_TEXT], progress[GS_DEC_TEXT];
};

static void pack_state(const struct writer_state *s, struct state_text *text, Goalsync__V1__GoalState *ret)
{
    goalsync__v1__goal_state__init(ret);
    text->value[0] = text->progress[0] = '\0';
    if (s->has_value)
        gs_dec_format(s->value, text->value);
    if (s->has_progress)
        gs_dec_format(s->progress, text->progress);
    ret->value = text->value;
    ret->progress = text->progress;
    ret->status = (char *)(uintptr_t)s->status; /* packing only reads */
}

static size_t pack_changed(const struct writer_event *ev, uint8_t *dst, size_t size)
{
    Goalsync__V1__GoalState before, after;
    struct state_text before_text, after_text;
    pack_state(&ev->before, &before_text, &before);
    pack_state(&ev->after, &after_text, &after);
    Goalsync__V1__GoalChanged m = GOALSYNC__V1__GOAL_CHANGED__INIT;
    m.org_id = ev->org_id;
    m.goal_id = ev->goal_id;
    m.version = ev->version;
    m.changed_at_us = ev->changed_at_us;
    m.cause = (Goalsync__V1__GoalChangeCause)ev->cause;
    m.before = &before;
    m.after = &after;
    if (ev->result) {
        m.link_id = ev->result->link_id;
        m.slot_us = ev->result->slot_us;
        m.source_at_us = ev->result->source_at_us;
        m.fetched_at_us = ev->result->fetched_at_us;
    }
    size_t len = goalsync__v1__goal_changed__get_packed_size(&m);
    return len <= size ? goalsync__v1__goal_changed__pack(&m, dst) : 0;
}

/* Every field is bounded: four decimals, two statuses, nine integers. */
#define CHANGED_MAX 512

/* "g<goal>.v<version>" */
static void event_id(const struct writer_event *ev, char *dst)
{
    *dst++ = 'g';
    dst += gs_int_format(ev->goal_id, dst);
    memcpy(dst, ".v", 2);
    gs_int_format(ev->version, dst + 2);
}

void writer_wire_put_event(struct gs_buf *b, const struct writer_event *ev)
{
    uint8_t payload[CHANGED_MAX];
    char key[GS_INT_TEXT], id[2 * GS_INT_TEXT + 3], traceparent[GS_TRACEPARENT_TEXT];
    gs_int_format(ev->goal_id, key);
    event_id(ev, id);
    gs_traceparent_child(ev->traceparent, traceparent);
    Goalsync__V1__OutboxEvent e = GOALSYNC__V1__OUTBOX_EVENT__INIT;
    e.topic = (char *)(uintptr_t) "goal.changed";
    e.type = (char *)(uintptr_t) "goalsync.goal.changed.v1";
    e.key = key;
    e.id = id;
    e.traceparent = traceparent;
    e.payload.data = payload;
    e.payload.len = pack_changed(ev, payload, sizeof payload);
    Goalsync__V1__OutboxEvent *one = &e;
    Goalsync__V1__OutboxEvents list = GOALSYNC__V1__OUTBOX_EVENTS__INIT;
    list.n_events = 1;
    list.events = &one;
    size_t len = goalsync__v1__outbox_events__get_packed_size(&list);
    char *dst = gs_buf_room(b, len);
    if (!dst) {
        b->overflow = true;
        return;
    }
    b->len += goalsync__v1__outbox_events__pack(&list, (uint8_t *)dst);
}

/* ---- the outbox, back ---- */

/* Unpacked, a row takes about twice its bytes; the arena finds what it takes beyond. */
struct writer_outbox {
    Goalsync__V1__OutboxEvents *pb;
    struct gs_arena arena;
    char room[] __attribute__((aligned(16)));
};

struct writer_outbox *writer_outbox_read(const void *data, size_t len)
{
    struct writer_outbox *o = gs_alloc(sizeof *o + 2 * len);
    gs_arena_init(&o->arena, o->room, 2 * len);
    ProtobufCAllocator allocator = {.alloc = gs_arena_piece, .free = gs_arena_keep, .allocator_data = &o->arena};
    o->pb = goalsync__v1__outbox_events__unpack(&allocator, len, data);
    return o->pb ? o : writer_outbox_free(o);
}

size_t writer_outbox_count(const struct writer_outbox *o)
{
    return o->pb->n_events;
}

struct writer_outbox_event writer_outbox_get(const struct writer_outbox *o, size_t i)
{
    const Goalsync__V1__OutboxEvent *e = o->pb->events[i];
    return (struct writer_outbox_event){
        .topic = e->topic,
        .key = e->key,
        .id = e->id,
        .type = e->type,
        .source = e->source[0] ? e->source : "/goalsync/progress-writer",
        .traceparent = e->traceparent[0] ? e->traceparent : NULL,
        .payload = e->payload.data,
        .len = e->payload.len,
    };
}

struct writer_outbox *writer_outbox_free(struct writer_outbox *o)
{
    if (o)
        gs_arena_done(&o->arena);
    free(o);
    return NULL;
}
