/* Takes messages, judges them, stores them batch by batch. */
#include "services/notifier/feed_private.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/event.h"
#include "common/log.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gs_log_ctx log_ctx = {.topic = "feed"};

static void proceed(void *arg);

/* ---- the list ---- */

static void drop_items(struct notifier_feed *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        notifier_event_done(&f->items[i].ev);
        rd_kafka_message_destroy(f->items[i].m);
    }
    f->n -= n;
    memmove(f->items, f->items + n, f->n * sizeof *f->items);
}

static enum gs_rc read_item(struct notifier_item *item, struct gs_err *err)
{
    struct gs_event ce = {0};

    if (!gs_event_read(item->m, &ce) || !ce.id || !*ce.id || strlen(ce.id) > NOTIFIER_ID_MAX)
        return gs_fail(err, GS_REJECT, "it has no CloudEvents id of 1 to %d bytes", NOTIFIER_ID_MAX);
    gs_str_clean(item->id, sizeof item->id, ce.id, strlen(ce.id));
    return notifier_wire_read(item->topic, item->m->payload, item->m->len, &item->ev, err);
}

static void take_one(struct notifier_feed *f, rd_kafka_message_t *m, enum notifier_topic topic)
{
    int64_t epoch = notifier_positions_epoch(f->positions, topic, m->partition);
    struct gs_err err;

    if (epoch == 0) { /* of a partition that is gone */
        rd_kafka_message_destroy(m);
        return;
    }
    struct notifier_item *item = &f->items[f->n++];
    *item = (struct notifier_item){.m = m, .topic = topic, .epoch = epoch};
    if (read_item(item, &err) != GS_OK)
        notifier_feed_bury(f, item, "unreadable", err.text);
}

/* Only when the last batch is stored: items do not move while one of them waits for its dead letter. */
static void take(struct notifier_feed *f)
{
    rd_kafka_message_t *taken[NOTIFIER_BATCH_MAX];

    for (enum notifier_topic t = 0; t < NOTIFIER_TOPICS; t++) {
        size_t room = NOTIFIER_BATCH_MAX - f->n;
        if (!f->lanes[t].lane || !f->lanes[t].more || room == 0)
            continue;
        size_t n = gs_lane_take(f->lanes[t].lane, taken, room);
        f->lanes[t].more = n == room;
        for (size_t i = 0; i < n; i++)
            take_one(f, taken[i], t);
    }
}

/* ---- one batch ---- */

static void stored(struct notifier_feed *f, const struct gs_pg_result *r)
{
    int64_t told = 0;
    bool moved[NOTIFIER_BATCH_MAX] = {false};

    for (int i = 0; i < gs_pg_rows(r); i++) {
        size_t k = (size_t)gs_pg_get_int8(r, i, 0) - 1;
        told = gs_pg_get_int8(r, i, 1);
        moved[k] = true;
        const struct notifier_move *move = &f->moves[k];
        if (f->consumer && notifier_positions_epoch(f->positions, move->topic, move->partition) == move->epoch)
            gs_consumer_store(f->consumer, notifier_topics[move->topic], move->partition, move->next);
    }
    for (size_t k = 0; k < f->n_moves; k++)
        if (!moved[k] &&
            notifier_positions_epoch(f->positions, f->moves[k].topic, f->moves[k].partition) == f->moves[k].epoch)
            notifier_positions_fenced(f->positions, f->moves[k].topic, f->moves[k].partition);
    notifier_count_events(f->taken, told);
    drop_items(f, f->taken);
    f->ceiling = f->ceiling > NOTIFIER_BATCH_MAX ? SIZE_MAX : 2 * f->ceiling;
    gs_backoff_reset(&f->backoff);
    f->broken[0] = '\0';
    if (told > 0)
        f->spec.told(f->spec.arg);
}

static void pause_after(struct notifier_feed *f, const char *what, const char *error)
{
    gs_log_warn(&log_ctx, what, "messages=%zu error=\"%s\"", f->taken, error);
    f->pause_until_us = gs_mono_us() + gs_backoff_next(&f->backoff);
}

/* The data's fault: halves what is tried until one message stands alone. */
static void isolate(struct notifier_feed *f, const char *error)
{
    if (f->taken > 1)
        f->ceiling = f->taken / 2;
    else
        notifier_feed_bury(f, &f->items[0], "apply_failed", error);
}

static void not_stored(struct notifier_feed *f, const struct gs_pg_result *r)
{
    const char *state = gs_pg_sqlstate(r), *error = gs_pg_result_error(r);
    bool data = gs_str_starts(state, "22") || gs_str_starts(state, "23");

    if (gs_pg_rc(r) == GS_RETRY) {
        pause_after(f, "batch repeated", error); /* if it was carried out after all, doing it again changes nothing */
    } else if (data) {
        isolate(f, error);
    } else {
        snprintf(f->broken, sizeof f->broken, "%s", error);
        pause_after(f, "the database refuses the notifier", error);
    }
}

static void on_stored(void *arg, const struct gs_pg_result *r)
{
    struct notifier_feed *f = arg;

    f->storing = false;
    if (f->stopped)
        return;
    if (gs_pg_rc(r) == GS_OK)
        stored(f, r);
    else
        not_stored(f, r);
    if (f->draining)
        notifier_feed_leave(f);
    else
        proceed(f);
}

static void proceed(void *arg)
{
    struct notifier_feed *f = arg;

    if (f->draining || f->stopped || f->storing || f->letters > 0 || !gs_pg_up(f->pg))
        return;
    int64_t left = f->pause_until_us - gs_mono_us();
    if (left > 0) {
        gs_timer_start(f->timer, left, 0);
        return;
    }
    if (f->n == 0)
        take(f);
    if (f->n == 0 || f->letters > 0)
        return;
    f->taken = f->n < f->ceiling ? f->n : f->ceiling;
    f->storing = true;
    notifier_feed_store(f, f->taken, on_stored);
}

void notifier_feed_settled(struct notifier_feed *f)
{
    proceed(f);
}

void notifier_feed_state(struct notifier_feed *f, bool up)
{
    if (up)
        gs_timer_start(f->timer, 0, 0);
}

/* ---- Kafka ---- */

static void on_lane(void *arg, struct gs_lane *lane)
{
    struct notifier_feed *f = arg;
    enum notifier_topic t = notifier_topic_of(gs_lane_topic(lane));

    if (t == NOTIFIER_TOPICS)
        return;
    f->lanes[t] = (struct notifier_lane){.lane = lane, .more = true};
    proceed(f);
}

static void on_lane_closed(void *arg, struct gs_lane *lane)
{
    struct notifier_feed *f = arg;

    for (int t = 0; t < NOTIFIER_TOPICS; t++)
        if (f->lanes[t].lane == lane)
            f->lanes[t] = (struct notifier_lane){0};
}

static void on_assigned(void *arg, struct gs_assignment *a)
{
    notifier_positions_assign(((struct notifier_feed *)arg)->positions, a);
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    (void)lost;
    notifier_positions_revoke(((struct notifier_feed *)arg)->positions, notifier_topic_of(topic), partition);
}

static void on_failed(void *arg, const struct gs_err *err)
{
    struct notifier_feed *f = arg;

    f->spec.failed(f->spec.arg, err);
}

static void seek(void *arg, const char *topic, int32_t partition, int64_t next)
{
    struct notifier_feed *f = arg;

    if (f->consumer)
        gs_consumer_seek(f->consumer, topic, partition, next);
}

/* ---- in and out ---- */

struct notifier_feed *notifier_feed_new(uv_loop_t *loop, struct gs_pg *pg, struct gs_producer *producer,
                                        const struct notifier_feed_spec *spec, struct gs_err *err)
{
    struct notifier_feed *f = gs_alloc(sizeof *f);
    const struct gs_consumer_spec consumer = {
        .group = NOTIFIER_GROUP,
        .client_id = spec->client_id,
        .topics = notifier_topics,
        .lane_ready = on_lane,
        .lane_closed = on_lane_closed,
        .assigned = on_assigned,
        .revoked = on_revoked,
        .failed = on_failed,
        .arg = f,
    };

    f->spec = *spec;
    f->pg = pg;
    f->producer = producer;
    f->ceiling = SIZE_MAX;
    f->backoff = (struct gs_backoff){.min_us = 10000, .max_us = 2000000};
    f->params = gs_pg_params_new();
    f->timer = gs_timer_new(loop, proceed, f);
    f->letter_timer = gs_timer_new(loop, notifier_feed_resend, f);
    f->positions = notifier_positions_new(loop, pg, seek, f);
    f->consumer = gs_consumer_new(loop, &consumer, err);
    if (f->consumer)
        return f;
    notifier_feed_stop(f);
    notifier_feed_free(f);
    return NULL;
}

void notifier_feed_ready(const struct notifier_feed *f, struct gs_buf *reasons)
{
    if (f->broken[0])
        gs_buf_printf(reasons, "the database refuses the notifier: %s\n", f->broken);
    if (!f->consumer || !gs_consumer_assigned(f->consumer))
        gs_buf_puts(reasons, "not yet a member of the group " NOTIFIER_GROUP "\n");
    else if (!notifier_positions_settled(f->positions))
        gs_buf_puts(reasons, "the offsets of newly assigned partitions are not read yet\n");
}

static void dispose(void *arg)
{
    struct notifier_feed *f = arg;

    notifier_positions_free(f->positions);
    gs_pg_params_free(f->params);
    free(f);
}

static void on_left(void *arg)
{
    struct notifier_feed *f = arg;

    f->leaving = false;
    if (f->freed)
        dispose(f);
    else
        f->spec.drained(f->spec.arg);
}

void notifier_feed_leave(struct notifier_feed *f)
{
    if (f->letters > 0)
        return;          /* their answers come back here */
    drop_items(f, f->n); /* a consumer does not close while messages of it are held */
    for (int t = 0; t < NOTIFIER_TOPICS; t++)
        f->lanes[t] = (struct notifier_lane){0};
    f->leaving = true;
    gs_consumer_close(gs_take(&f->consumer), on_left, f);
}

void notifier_feed_drain(struct notifier_feed *f)
{
    f->draining = true;
    gs_consumer_stop(f->consumer);
    if (!f->storing)
        notifier_feed_leave(f);
}

void notifier_feed_stop(struct notifier_feed *f)
{
    f->stopped = true;
    notifier_positions_stop(f->positions);
    f->timer = gs_timer_free(f->timer);
    f->letter_timer = gs_timer_free(f->letter_timer);
}

/* A consumer tells of revocations until it is gone. */
void notifier_feed_free(struct notifier_feed *f)
{
    f->freed = true;
    drop_items(f, f->n);
    if (f->consumer)
        gs_consumer_close(f->consumer, dispose, f);
    else if (!f->leaving)
        dispose(f);
}
