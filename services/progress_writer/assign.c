/* Raises the epochs of new partitions and reads where they go on; tries until the database answers. */
#include "services/progress_writer/assign.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/progress_writer/writer.h"

#include <stdlib.h>

#define ASSIGN_RETRY_US INT64_C(500000)

static const struct gs_log_ctx log_ctx = {.topic = "kafka"};

struct writer_assign {
    struct gs_pg *pg;
    struct writer_positions *positions;
    const char *group;
    struct gs_pg_params *params;
    struct ask *waiting;    /* for another try */
    struct gs_timer *timer; /* of those */
    size_t asking;
    bool stopped;
};

struct ask {
    struct ask *next; /* in the list of those that wait for another try */
    struct writer_assign *s;
    struct gs_assignment *a;
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
    gs_assignment_done(k->a);
    free(k);
}

static void start_one(struct writer_assign *s, struct gs_assignment *a, const struct gs_pg_result *r, int row)
{
    int32_t partition = gs_pg_get_int4(r, row, 0);
    int64_t next = gs_pg_get_int8(r, row, 1);
    for (size_t i = 0; i < gs_assignment_count(a); i++) {
        if (gs_assignment_partition(a, i) != partition)
            continue;
        writer_positions_hold(s->positions, partition, next, gs_pg_get_int8(r, row, 2));
        gs_assignment_start_at(a, i, next);
    }
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
        start_one(s, k->a, r, i);
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
    for (size_t i = 0; i < gs_assignment_count(k->a); i++)
        gs_pg_item_int4(p, gs_assignment_partition(k->a, i));
    gs_pg_array_end(p);
    gs_pg_query(k->s->pg, &stmt, p, on_asked, k);
}

void writer_assign_ask(struct writer_assign *s, struct gs_assignment *a)
{
    struct ask *k = gs_alloc(sizeof *k);
    k->s = s;
    k->a = a;
    s->asking++;
    ask(k);
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
    return s;
}

void writer_assign_stop(struct writer_assign *s)
{
    s->stopped = true;
    s->timer = gs_timer_free(s->timer);
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
