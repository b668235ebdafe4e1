/* Packs FetchRequested; the only file here that knows the generated message. */
#include "services/scheduler/wire.h"

#include "common/event.h"
#include "common/mem.h"
#include "common/vault.h"
#include "proto/goalsync/v1/fetch.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS_MAX 1000               /* as many as a worker takes in one request */
#define TEXTS_MAX   (16 * 1024 * 1024) /* settings of one batch */
#define MESSAGE_MAX (32 * 1024 * 1024) /* the brokers refuse far smaller ones */

struct sched_wire {
    enum sched_kind kind;
    int64_t period_us;
    char topic[160], key[24], id[GS_ID_TEXT];
    struct gs_buf texts, message;
    Goalsync__V1__Target *targets;
    Goalsync__V1__Target **pointers;
    size_t room;
};

struct sched_wire *sched_wire_new(enum sched_kind kind, int64_t period_us)
{
    struct sched_wire *w = gs_alloc(sizeof *w);

    w->kind = kind;
    w->period_us = period_us;
    gs_buf_init(&w->texts, TEXTS_MAX);
    gs_buf_init(&w->message, MESSAGE_MAX);
    return w;
}

struct sched_wire *sched_wire_free(struct sched_wire *w)
{
    if (!w)
        return NULL;
    gs_buf_done(&w->texts);
    gs_buf_done(&w->message);
    free(w->targets);
    free(w->pointers);
    free(w);
    return NULL;
}

static void need_room(struct sched_wire *w, size_t n)
{
    if (n <= w->room)
        return;
    w->room = n < 16 ? 16 : n;
    w->targets = gs_realloc_n(w->targets, w->room, sizeof *w->targets);
    w->pointers = gs_realloc_n(w->pointers, w->room, sizeof(Goalsync__V1__Target *));
}

/* The texts first: the buffer may move while it grows. */
static void pack_targets(struct sched_wire *w, const struct gs_pg_result *r, int row, size_t n)
{
    need_room(w, n);
    gs_buf_clear(&w->texts);
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *text = gs_pg_array_text(r, row, SCHED_SETTINGS, (int)i, &len);
        gs_buf_append(&w->texts, text, len);
        gs_buf_putc(&w->texts, '\0');
    }
    const char *at = gs_buf_str(&w->texts);
    for (size_t i = 0; i < n && !w->texts.overflow; i++) {
        Goalsync__V1__Target *target = &w->targets[i];
        goalsync__v1__target__init(target);
        target->link_id = gs_pg_array_int8(r, row, SCHED_LINK_IDS, (int)i);
        target->revision = gs_pg_array_int4(r, row, SCHED_REVISIONS, (int)i);
        target->settings = (char *)(uintptr_t)at; /* packed, never written to */
        at += strlen(at) + 1;
        w->pointers[i] = target;
    }
}

static void set_times(const struct sched_wire *w, const struct gs_pg_result *r, int row,
                      Goalsync__V1__FetchRequested *q)
{
    int64_t at = gs_pg_get_time(r, row, SCHED_AT);

    q->requested_at_us = gs_pg_get_time(r, row, SCHED_NOW);
    if (w->kind == SCHED_SYNC_NOW) {
        q->kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_SYNC_NOW;
        q->slot_us = at;
        q->expires_at_us = at + SCHED_SYNC_EXPIRES_US;
    } else {
        /* When the next slot comes, this one is no use any more. */
        q->kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_SCHEDULED;
        /* A retry has a slot of its own: the batch's may be applied by now, when it was a Sync now that failed. */
        q->slot_us = q->attempt > 1 ? q->requested_at_us : at - w->period_us;
        q->expires_at_us = at;
    }
}

static enum gs_rc set_topic(struct sched_wire *w, const struct gs_pg_result *r, int row, struct gs_err *err)
{
    enum gs_category category;
    const char *connector = gs_pg_get_text(r, row, SCHED_CONNECTOR);

    if (!gs_category_parse(gs_pg_get_text(r, row, SCHED_CATEGORY), &category))
        return gs_fail(err, GS_REJECT, "batch %s: unknown category", w->key);
    int len = snprintf(w->topic, sizeof w->topic, "fetch.%s.%s.%s", w->kind == SCHED_SYNC_NOW ? "urgent" : "requested",
                       gs_category_dashed(category), connector);
    if (len >= (int)sizeof w->topic)
        return gs_fail(err, GS_REJECT, "batch %s: the connector's name is too long for a topic", w->key);
    return GS_OK;
}

enum gs_rc sched_wire_pack(struct sched_wire *w, const struct gs_pg_result *r, int row, struct sched_message *ret,
                           struct gs_err *err)
{
    Goalsync__V1__FetchRequested q = GOALSYNC__V1__FETCH_REQUESTED__INIT;
    int n = gs_pg_array_len(r, row, SCHED_LINK_IDS);

    snprintf(w->key, sizeof w->key, "%" PRId64, gs_pg_get_int8(r, row, SCHED_BATCH_ID));
    if (n == 0 || gs_pg_get_bool(r, row, SCHED_PAUSED))
        return GS_GONE;
    if (n > TARGETS_MAX || n != gs_pg_array_len(r, row, SCHED_REVISIONS) ||
        n != gs_pg_array_len(r, row, SCHED_SETTINGS))
        return gs_fail(err, GS_REJECT, "batch %s: more than %d links, or its arrays differ in length", w->key,
                       TARGETS_MAX);
    if (set_topic(w, r, row, err) != GS_OK)
        return GS_REJECT;
    pack_targets(w, r, row, (size_t)n);
    gs_id_new(w->id);
    q.request_id = w->id;
    q.org_id = gs_pg_get_int8(r, row, SCHED_ORG_ID);
    q.connection_id = gs_pg_get_int8(r, row, SCHED_CONNECTION_ID);
    q.connection_version = gs_pg_get_int4(r, row, SCHED_VERSION);
    q.batch_id = gs_pg_get_int8(r, row, SCHED_BATCH_ID);
    q.attempt = gs_pg_get_int4(r, row, SCHED_ATTEMPT) + 1;
    set_times(w, r, row, &q);
    q.n_targets = (size_t)n;
    q.targets = w->pointers;
    gs_buf_clear(&w->message);
    char *room =
        w->texts.overflow ? NULL : gs_buf_room(&w->message, goalsync__v1__fetch_requested__get_packed_size(&q));
    if (!room)
        return gs_fail(err, GS_REJECT, "batch %s: its settings are too large for a message", w->key);
    size_t len = goalsync__v1__fetch_requested__pack(&q, (uint8_t *)room);
    *ret = (struct sched_message){w->topic, w->key, w->id, room, len, q.slot_us, q.requested_at_us};
    return GS_OK;
}
