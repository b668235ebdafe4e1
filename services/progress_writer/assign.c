/* Raises the epochs of new partitions and reads where they go on; tries until the database answers. */
#include "services/progress_writer/assign.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/progress_writer/writer.h"

#include <inttypes.h>
#include <stdlib.h>

#define ASSIGN_RETRY_US INT64_C(500000)
#define FENCED_US       INT64_C(15000000) /* longer than Kafka takes to say that a partition went: its session time-out */

static const struct gs_log_ctx log_ctx = {.topic = "kafka"};

struct writer_assign {
    struct gs_pg *pg;
    struct writer_positions *positions;
    const char *group;
    struct gs_pg_params *params;
    struct ask *waiting;     /* for another try */
    struct gs_timer *timer;  /* of those */
    struct gs_timer *fenced; /* until partitions taken over are asked for again */
    void (*seek)(void *arg, int32_t partition, int64_t next);
    void *arg;
    size_t asking;
    bool stopped;
};

struct ask {
    struct ask *next; /* in the list of those that wait for another try */
    struct writer_assign *s;
    struct gs_assignment *a; /* null: one partition that is being read already */
    int32_t partition;
};

static void ask(struct ask *k);

static void ask_again(void *arg)
{
    struct writer_assign *s = arg;
    struct ask *k = s->waiting;
    s->waiting = NULL;
    while (k) {
        struct ask *next = k->next;
        ask(k);
        k = next;
    }
}

static void end_ask(struct ask *k)
{
    k->s->asking--;
    if (k->a)
        gs_assignment_done(k->a);
    free(k);
}

static void start_one(const struct ask *k, const struct gs_pg_result *r, int row)
{
    int32_t partition = gs_pg_get_int4(r, row, 0);
    int64_t next = gs_pg_get_int8(r, row, 1);
    writer_positions_hold(k->s->positions, partition, next, gs_pg_get_int8(r, row, 2));
    for (size_t i = 0; k->a && i < gs_assignment_count(k->a); i++)
        if (gs_assignment_partition(k->a, i) == partition)
            gs_assignment_start_at(k->a, i, next);
    if (!k->a)
        k->s->seek(k->s->arg, partition, next);
}

static void on_asked(void *arg, const struct gs_pg_result *r)
{
    struct ask *k = arg;
    struct writer_assign *s = k->s;
    if (gs_pg_rc(r) != GS_OK && !s->stopped) {
        gs_log_warn(&log_ctx, "reading the offsets failed", "error=\"%s\"", gs_pg_result_error(r));
        k->next = s->waiting;
        s->waiting = k;
        gs_timer_start(s->timer, ASSIGN_RETRY_US, 0);
        return;
    }
    for (int i = 0; gs_pg_rc(r) == GS_OK && i < gs_pg_rows(r); i++)
        start_one(k, r, i);
    end_ask(k);
}

/* Waits for a transaction of the consumer before, if one still holds the row; it cannot begin another. */
static void ask(struct ask *k)
{
    static const struct gs_pg_stmt stmt = {
        "assign", "INSERT INTO consumer_offset AS o (consumer_group, topic, partition, next_offset, epoch)"
                  " SELECT $1::text, $2::text, p, 0, 1 FROM unnest($3::int[]) AS u(p) ORDER BY p"
                  " ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET epoch = o.epoch + 1"
                  " RETURNING partition, next_offset, epoch"};
    struct gs_pg_params *p = k->s->params;
    gs_pg_params_clear(p);
    gs_pg_add_text(p, k->s->group);
    gs_pg_add_text(p, WRITER_TOPIC);
    gs_pg_array_begin(p, GS_PG_INT4);
    for (size_t i = 0; k->a && i < gs_assignment_count(k->a); i++)
        gs_pg_item_int4(p, gs_assignment_partition(k->a, i));
    if (!k->a)
        gs_pg_item_int4(p, k->partition);
    gs_pg_array_end(p);
    gs_pg_query(k->s->pg, &stmt, p, on_asked, k);
}

static void ask_first(struct writer_assign *s, struct gs_assignment *a, int32_t partition)
{
    struct ask *k = gs_alloc(sizeof *k);
    k->s = s;
    k->a = a;
    k->partition = partition;
    s->asking++;
    ask(k);
}

void writer_assign_ask(struct writer_assign *s, struct gs_assignment *a)
{
    ask_first(s, a, -1);
}

static void ask_for_fenced(void *arg)
{
    struct writer_assign *s = arg;
    for (int32_t p; (p = writer_positions_next_fenced(s->positions)) >= 0;) {
        gs_log_warn(&log_ctx, "taking a partition back", "partition=%" PRId32, p);
        ask_first(s, NULL, p);
    }
}

void writer_assign_fenced(struct writer_assign *s, void (*seek)(void *arg, int32_t partition, int64_t next), void *arg)
{
    s->seek = seek;
    s->arg = arg;
    gs_timer_start(s->fenced, FENCED_US, 0);
}

bool writer_assign_settled(const struct writer_assign *s)
{
    return s->asking == 0;
}

struct writer_assign *writer_assign_new(uv_loop_t *loop, struct gs_pg *pg, struct writer_positions *positions,
                                        const char *group)
{
    struct writer_assign *s = gs_alloc(sizeof *s);
    s->pg = pg;
    s->positions = positions;
    s->group = group;
    s->params = gs_pg_params_new();
    s->timer = gs_timer_new(loop, ask_again, s);
    s->fenced = gs_timer_new(loop, ask_for_fenced, s);
    return s;
}

void writer_assign_stop(struct writer_assign *s)
{
    s->stopped = true;
    s->timer = gs_timer_free(s->timer);
    s->fenced = gs_timer_free(s->fenced);
    while (s->waiting) {
        struct ask *k = s->waiting;
        s->waiting = k->next;
        end_ask(k);
    }
}

struct writer_assign *writer_assign_free(struct writer_assign *s)
{
    if (!s)
        return NULL;
    gs_pg_params_free(s->params);
    free(s);
    return NULL;
}
