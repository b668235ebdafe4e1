/* One page of outbox rows at a time: read, publish all, wait for all, delete. */
#include "services/progress_writer/relay.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/progress_writer/count.h"
#include "services/progress_writer/wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 16
#define TICK_US   INT64_C(200000)

static const struct gs_log_ctx log_ctx = {.topic = "relay"};

struct row {
    int64_t id, created_us;
    struct writer_outbox *events; /* null: could not be read */
};

struct writer_relay {
    struct gs_pg *pg;
    struct gs_producer *producer;
    struct gs_timer *timer;
    struct gs_pg_params *params;
    struct row page[PAGE_ROWS];
    size_t rows, row, event; /* the page; the next event to hand over */
    size_t unacked, acked;
    bool active, busy; /* a statement or a page is under way */
    bool kicked;       /* look again when the page is done */
    bool failed;       /* Kafka did not take all of the page */
    bool stopped;
};

static void look(struct writer_relay *r);

static void drop_page(struct writer_relay *r)
{
    for (size_t i = 0; i < r->rows; i++)
        r->page[i].events = writer_outbox_free(r->page[i].events);
    r->rows = r->row = r->event = 0;
    r->failed = false;
}

/* ---- publishing ---- */

static void page_done(struct writer_relay *r);

static void check_page(struct writer_relay *r)
{
    if (r->busy && r->rows > 0 && r->unacked == 0 && (r->failed || r->row == r->rows))
        page_done(r);
}

static void on_delivered(void *arg, enum gs_rc rc, const char *err)
{
    struct writer_relay *r = arg;
    r->unacked--;
    if (rc == GS_OK) {
        r->acked++;
    } else if (!r->failed) {
        r->failed = true;
        if (!r->stopped)
            gs_log_warn(&log_ctx, "publishing failed", "error=\"%s\"", err);
    }
    check_page(r);
}

static enum gs_rc publish_one(struct writer_relay *r, const struct row *row, size_t i)
{
    const struct writer_outbox_event e = writer_outbox_get(row->events, i);
    const struct gs_record record = {
        .topic = e.topic,
        .key = e.key,
        .key_len = strlen(e.key),
        .value = e.payload,
        .len = e.len,
        .event =
            {.id = e.id, .type = e.type, .source = e.source, .time_us = row->created_us, .traceparent = e.traceparent},
    };
    struct gs_err err = {0};
    enum gs_rc rc = gs_producer_send(r->producer, &record, on_delivered, r, &err);
    if (rc == GS_OK)
        r->unacked++;
    else if (rc != GS_AGAIN)
        gs_log_error(&log_ctx, "an event cannot be published", "row=%" PRId64 " error=\"%s\"", row->id, err.text);
    return rc;
}

/* Hands over as much as the producer takes; goes on when it has room. */
static void publish(void *arg)
{
    struct writer_relay *r = arg;
    while (r->busy && !r->failed && r->row < r->rows) {
        const struct row *row = &r->page[r->row];
        if (!row->events || r->event == writer_outbox_count(row->events)) {
            r->row++;
            r->event = 0;
            continue;
        }
        enum gs_rc rc = publish_one(r, row, r->event);
        if (rc == GS_AGAIN)
            return;
        if (rc == GS_OK)
            r->event++;
        else
            r->failed = true;
    }
    check_page(r);
}

/* ---- the table ---- */

static void on_deleted(void *arg, const struct gs_pg_result *res)
{
    struct writer_relay *r = arg;
    if (gs_pg_rc(res) != GS_OK && !r->stopped)
        gs_log_warn(&log_ctx, "deleting published rows failed; they will be published again", "error=\"%s\"",
                    gs_pg_result_error(res));
    r->busy = false;
    if (gs_pg_rc(res) == GS_OK && r->kicked)
        look(r);
}

static void page_done(struct writer_relay *r)
{
    static const struct gs_pg_stmt stmt = {"outbox_delete", "DELETE FROM outbox WHERE id = ANY ($1::bigint[])"};
    bool failed = r->failed || r->stopped;
    writer_count_published(r->acked);
    r->acked = 0;
    if (!failed) {
        r->kicked = r->kicked || r->rows == PAGE_ROWS;
        gs_pg_params_clear(r->params);
        gs_pg_array_begin(r->params, GS_PG_INT8);
        for (size_t i = 0; i < r->rows; i++)
            gs_pg_item_int8(r->params, r->page[i].id);
        gs_pg_array_end(r->params);
    }
    drop_page(r);
    if (failed)
        r->busy = false; /* the timer begins again with the oldest row */
    else
        gs_pg_query(r->pg, &stmt, r->params, on_deleted, r);
}

static void read_row(struct writer_relay *r, const struct gs_pg_result *res, int i)
{
    size_t len;
    const void *data = gs_pg_get_bytes(res, i, 1, &len);
    struct row *row = &r->page[r->rows++];
    row->id = gs_pg_get_int8(res, i, 0);
    row->created_us = gs_pg_get_time(res, i, 2);
    row->events = writer_outbox_read(data, len);
    if (!row->events)
        gs_log_error(&log_ctx, "an outbox row cannot be read and is dropped", "row=%" PRId64 " bytes=%zu", row->id,
                     len);
}

static void on_page(void *arg, const struct gs_pg_result *res)
{
    struct writer_relay *r = arg;
    if (gs_pg_rc(res) != GS_OK || r->stopped || gs_pg_rows(res) == 0) {
        if (gs_pg_rc(res) == GS_OK)
            writer_count_backlog(0);
        r->busy = false;
        if (gs_pg_rc(res) == GS_OK && r->kicked && !r->stopped)
            look(r);
        return;
    }
    writer_count_backlog(gs_pg_rows(res));
    for (int i = 0; i < gs_pg_rows(res) && i < PAGE_ROWS; i++)
        read_row(r, res, i);
    publish(r);
}

static void look(struct writer_relay *r)
{
    static const struct gs_pg_stmt stmt = {"outbox_page",
                                           "SELECT id, events, created_at FROM outbox ORDER BY id LIMIT 16"};
    _Static_assert(PAGE_ROWS == 16, "the statement says so too");
    if (!r->active || r->busy || r->stopped)
        return;
    r->busy = true;
    r->kicked = false;
    gs_pg_query(r->pg, &stmt, NULL, on_page, r);
}

/* ---- who is active ---- */

static void on_lock(void *arg, const struct gs_pg_result *res)
{
    struct writer_relay *r = arg;
    static const struct gs_pg_stmt listen = {"outbox_listen", "LISTEN goalsync_outbox"};
    r->busy = false;
    if (gs_pg_rc(res) != GS_OK || r->stopped || !gs_pg_get_bool(res, 0, 0))
        return;
    r->active = true;
    gs_log_info(&log_ctx, "this relay is the active one", "lock=held");
    gs_pg_query(r->pg, &listen, NULL, NULL, NULL);
    look(r);
}

static void try_lock(struct writer_relay *r)
{
    static const struct gs_pg_stmt stmt = {"relay_lock",
                                           "SELECT pg_try_advisory_lock(hashtextextended('goalsync outbox relay', 0))"};
    r->busy = true;
    gs_pg_query(r->pg, &stmt, NULL, on_lock, r);
}

static void on_timer(void *arg)
{
    struct writer_relay *r = arg;
    if (r->stopped || r->busy || !gs_pg_up(r->pg))
        return;
    if (r->active)
        look(r);
    else
        try_lock(r);
}

void writer_relay_state(struct writer_relay *r, bool up)
{
    (void)up;
    r->active = false; /* the lock went with the session */
}

void writer_relay_kick(struct writer_relay *r)
{
    r->kicked = true;
    look(r);
}

bool writer_relay_active(const struct writer_relay *r)
{
    return r->active;
}

struct writer_relay *writer_relay_new(uv_loop_t *loop, struct gs_producer *producer)
{
    struct writer_relay *r = gs_alloc(sizeof *r);
    r->producer = producer;
    r->params = gs_pg_params_new();
    r->timer = gs_timer_new(loop, on_timer, r);
    gs_producer_on_writable(producer, publish, r);
    return r;
}

void writer_relay_connect(struct writer_relay *r, struct gs_pg *pg)
{
    r->pg = pg;
    gs_timer_start(r->timer, 0, TICK_US);
}

void writer_relay_stop(struct writer_relay *r)
{
    r->stopped = true;
    r->timer = gs_timer_free(r->timer);
}

struct writer_relay *writer_relay_free(struct writer_relay *r)
{
    if (!r)
        return NULL;
    drop_page(r);
    gs_pg_params_free(r->params);
    free(r);
    return NULL;
}
