/* Decides when a transaction begins and what follows its end. */
#include "services/progress_writer/writer_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "services/progress_writer/count.h"

#include <stdio.h>

#define GATHER_US 10000 /* what a source answers together comes together */

/* ---- when a transaction begins ---- */

/* Messages may be a megabyte each: once that much is pending the rest waits in Kafka. */
#define PENDING_BYTES_MAX (64 << 20)

static size_t room(const struct writer *w)
{
    size_t ceiling = 2 * (size_t)writer_settings.batch;
    if (w->pending.bytes >= PENDING_BYTES_MAX)
        return 0;
    return w->pending.n < ceiling ? ceiling - w->pending.n : 0;
}

/* Microseconds until it may begin; 0: now. Something is pending. A transaction costs as much as a hundred messages, so
 * in a stream of them it waits for its turn; a message that comes alone waits but for the others of its batch. */
static int64_t wait_left(const struct writer *w)
{
    int64_t now = gs_mono_us(), wait = writer_settings.wait_us;
    if (now < w->pause_until_us)
        return w->pause_until_us - now;
    if (w->pending.n >= (size_t)writer_settings.batch)
        return 0;
    int64_t gathered = w->pending.items[0]->taken_us + (wait < GATHER_US ? wait : GATHER_US);
    int64_t turn = w->begun_us + wait, at = gathered > turn ? gathered : turn;
    return at > now ? at - now : 0;
}

static void begin(struct writer *w)
{
    writer_pending_sift(&w->pending, w->positions);
    if (writer_pending_take(&w->pending, (size_t)writer_settings.batch, &w->work, w->positions) == 0)
        return; /* a dead letter comes first; its answer calls again */
    w->begun_us = gs_mono_us();
    writer_txn_begin(w->txn, &w->work);
}

void writer_proceed(void *arg)
{
    struct writer *w = arg;
    if (w->draining)
        return;
    writer_intake_take(&w->intake, room(w));
    if (writer_txn_running(w->txn) || !gs_pg_up(w->pg) || w->pending.n == 0)
        return;
    int64_t left = wait_left(w);
    if (left > 0)
        gs_timer_start(w->timer, left, 0);
    else
        begin(w);
}

/* ---- how one ends ---- */

static void store_offset(void *arg, int32_t partition, int64_t next)
{
    struct writer *w = arg;
    if (w->consumer)
        gs_consumer_store(w->consumer, WRITER_TOPIC, partition, next);
}

static void committed(struct writer *w)
{
    writer_count_work(&w->work, w->pending.taken, gs_mono_us() - w->begun_us, gs_now_us());
    writer_positions_moved(w->positions, store_offset, w);
    if (w->work.events.len > 0)
        writer_relay_kick(w->relay);
    writer_pending_end(&w->pending, true);
    w->pending.ceiling = w->pending.ceiling > WRITER_BATCH_MAX ? SIZE_MAX : 2 * w->pending.ceiling;
    gs_backoff_reset(&w->backoff);
    w->broken[0] = '\0';
}

/* Halves what is tried until one message stands alone. */
static void isolate(struct writer *w, const char *err)
{
    size_t n = w->pending.taken;
    writer_pending_end(&w->pending, false);
    if (n > 1)
        w->pending.ceiling = n / 2;
    else
        writer_letters_bury(w->letters, w->pending.items[0], "apply_failed", err);
}

static void seek(void *arg, int32_t partition, int64_t next)
{
    struct writer *w = arg;
    if (w->consumer)
        gs_consumer_seek(w->consumer, WRITER_TOPIC, partition, next);
}

static void not_committed(struct writer *w, enum writer_end end, const char *err)
{
    size_t n = w->pending.taken;
    writer_pending_end(&w->pending, false);
    if (end == WRITER_END_STALE) {
        writer_assign_fenced(w->assign, seek, w);
        return;
    }
    w->pause_until_us = gs_mono_us() + gs_backoff_next(&w->backoff);
    if (end == WRITER_END_BROKEN) {
        if (w->broken[0] == '\0')
            gs_log_error(NULL, "the database refuses the writer", "error=\"%s\"", err);
        snprintf(w->broken, sizeof w->broken, "%s", err);
    } else {
        if (n > 1)
            w->pending.ceiling = n / 2; /* perhaps it is too much for the time that a statement has */
        gs_log_warn(NULL, "transaction repeated", "messages=%zu error=\"%s\"", w->pending.n, err);
    }
}

static void on_closed(void *arg)
{
    struct writer *w = arg;
    gs_service_drained(w->svc);
}

void writer_leave(struct writer *w)
{
    writer_pending_done(&w->pending); /* a consumer does not close while messages of it are held */
    if (w->consumer)
        gs_consumer_close(w->consumer, on_closed, w);
    else
        gs_service_drained(w->svc);
    w->consumer = NULL;
    w->intake.lane = NULL;
}

static void on_end(void *arg, enum writer_end end, const char *err)
{
    struct writer *w = arg;
    if (w->stopping)
        return;
    writer_count_end(end);
    if (end == WRITER_END_DONE)
        committed(w);
    else if (end == WRITER_END_POISON)
        isolate(w, err);
    else
        not_committed(w, end, err);
    if (w->draining)
        writer_leave(w);
    else
        writer_proceed(w);
}

static void open_positions(void *arg, struct writer_txn *t)
{
    writer_positions_lock(((struct writer *)arg)->positions, t);
}

static bool check_positions(void *arg)
{
    return writer_positions_check(((struct writer *)arg)->positions);
}

static void store_positions(void *arg, struct writer_txn *t)
{
    writer_positions_store(((struct writer *)arg)->positions, t);
}

const struct writer_txn_spec writer_batch_spec = {
    .open = open_positions, .opened = check_positions, .close = store_positions, .done = on_end};
