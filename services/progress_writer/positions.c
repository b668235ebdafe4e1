/* Positions in fetch.completed, fenced by the epoch of the assignment. */
#include "services/progress_writer/positions.h"

#include "common/log.h"
#include "common/mem.h"
#include "services/progress_writer/writer.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct gs_log_ctx log_ctx = {.topic = "kafka"};

struct position {
    int64_t epoch; /* 0: not held */
    int64_t next;
    int64_t moving_to;    /* in the transaction under way */
    int64_t epoch_in_txn; /* as it was when the transaction was made up */
    bool seen;            /* its row was there, with the epoch we know */
    bool fenced;          /* taken over, and Kafka has not said that it went */
    bool rewound;         /* the topic began again; the row says more until our first commit */
};

struct writer_positions {
    const char *group;
    struct gs_pg_params *params;
    struct position *items; /* by partition */
    size_t n;
    int32_t *moving; /* partitions of the transaction, sorted */
    size_t n_moving, cap_moving;
    bool stale;
};

static struct position *position_of(const struct writer_positions *s, int32_t partition)
{
    return partition >= 0 && (size_t)partition < s->n ? &s->items[partition] : NULL;
}

static struct position *need_position(struct writer_positions *s, int32_t partition)
{
    if (partition < 0 || partition >= WRITER_PARTITIONS_MAX)
        return NULL;
    for (; s->n <= (size_t)partition; s->n++) {
        s->items = gs_realloc_n(s->items, s->n + 1, sizeof *s->items);
        s->items[s->n] = (struct position){0};
    }
    return &s->items[partition];
}

/* ---- what is held ---- */

void writer_positions_hold(struct writer_positions *s, int32_t partition, int64_t next, int64_t epoch)
{
    struct position *p = need_position(s, partition);
    if (!p)
        return;
    p->epoch = epoch;
    p->fenced = false;
    p->next = next;
    p->rewound = false;
}

void writer_positions_revoke(struct writer_positions *s, int32_t partition)
{
    struct position *p = position_of(s, partition);
    if (!p)
        return;
    p->epoch = 0;
    p->fenced = false;
}

static void fence(struct position *p)
{
    p->epoch = 0;
    p->fenced = true;
}

int32_t writer_positions_next_fenced(struct writer_positions *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!s->items[i].fenced)
            continue;
        s->items[i].fenced = false;
        return (int32_t)i;
    }
    return -1;
}

int64_t writer_positions_epoch(const struct writer_positions *s, int32_t partition)
{
    const struct position *p = position_of(s, partition);
    return p ? p->epoch : 0;
}

int64_t writer_positions_next(const struct writer_positions *s, int32_t partition)
{
    const struct position *p = position_of(s, partition);
    return p ? p->next : 0;
}

void writer_positions_seen(struct writer_positions *s, int32_t partition, int64_t offset)
{
    struct position *p = position_of(s, partition);
    if (!p || !p->epoch || offset >= p->next || p->rewound)
        return;
    gs_log_warn(&log_ctx, "the topic begins again", "partition=%" PRId32 " offset=%" PRId64 " stored=%" PRId64,
                partition, offset, p->next);
    p->next = offset;
    p->rewound = true;
}

/* ---- one transaction ---- */

void writer_positions_clear(struct writer_positions *s)
{
    s->n_moving = 0;
}

void writer_positions_add(struct writer_positions *s, int32_t partition, int64_t next)
{
    struct position *p = position_of(s, partition);
    p->moving_to = next;
    for (size_t i = 0; i < s->n_moving; i++)
        if (s->moving[i] == partition)
            return;
    if (s->n_moving == s->cap_moving) {
        s->cap_moving = s->cap_moving ? s->cap_moving * 2 : 16;
        s->moving = gs_realloc_n(s->moving, s->cap_moving, sizeof *s->moving);
    }
    p->epoch_in_txn = p->epoch;
    s->moving[s->n_moving++] = partition;
}

static void add_moving(struct writer_positions *s)
{
    gs_pg_params_clear(s->params);
    gs_pg_add_text(s->params, s->group);
    gs_pg_add_text(s->params, WRITER_TOPIC);
    gs_pg_array_begin(s->params, GS_PG_INT4);
    for (size_t i = 0; i < s->n_moving; i++)
        gs_pg_item_int4(s->params, s->moving[i]);
    gs_pg_array_end(s->params);
}

/* The position's partition was taken over by another process; ours hears of it from Kafka later. */
static void read_row(struct writer_positions *s, int32_t partition, int64_t next, int64_t epoch)
{
    struct position *p = position_of(s, partition);
    if (!p)
        return;
    p->seen = p->epoch_in_txn == epoch;
    if (!p->seen && p->epoch == p->epoch_in_txn)
        fence(p);
    if (p->seen && next > p->next && !p->rewound) { /* a commit of ours whose answer was lost */
        p->next = next;
        s->stale = true;
    }
}

static void read_rows(void *arg, const struct gs_pg_result *r)
{
    for (int i = 0; i < gs_pg_rows(r); i++)
        read_row(arg, gs_pg_get_int4(r, i, 0), gs_pg_get_int8(r, i, 1), gs_pg_get_int8(r, i, 2));
}

void writer_positions_lock(struct writer_positions *s, struct writer_txn *t)
{
    static const struct gs_pg_stmt stmt = {
        "lock_positions",
        "SELECT partition, next_offset, epoch FROM consumer_offset WHERE consumer_group = $1::text AND topic = $2::text"
        " AND partition = ANY ($3::int[]) ORDER BY partition FOR NO KEY UPDATE"};
    s->stale = false;
    for (size_t i = 0; i < s->n_moving; i++)
        s->items[s->moving[i]].seen = false;
    add_moving(s);
    writer_txn_query(t, &stmt, s->params, read_rows, s);
}

bool writer_positions_check(struct writer_positions *s)
{
    bool all = !s->stale;
    for (size_t i = 0; i < s->n_moving; i++) {
        struct position *p = &s->items[s->moving[i]];
        if (p->seen)
            continue;
        gs_log_warn(&log_ctx, "a partition was taken over", "partition=%" PRId32, s->moving[i]);
        if (p->epoch == p->epoch_in_txn)
            fence(p); /* its row is gone */
        all = false;
    }
    return all;
}

void writer_positions_store(struct writer_positions *s, struct writer_txn *t)
{
    static const struct gs_pg_stmt stmt = {
        "store_positions", "UPDATE consumer_offset o SET next_offset = u.next, updated_at = now()"
                           " FROM unnest($3::int[], $4::bigint[]) AS u(partition, next)"
                           " WHERE o.consumer_group = $1::text AND o.topic = $2::text AND o.partition = u.partition"};
    add_moving(s);
    gs_pg_array_begin(s->params, GS_PG_INT8);
    for (size_t i = 0; i < s->n_moving; i++)
        gs_pg_item_int8(s->params, s->items[s->moving[i]].moving_to);
    gs_pg_array_end(s->params);
    writer_txn_query(t, &stmt, s->params, NULL, NULL);
}

void writer_positions_moved(struct writer_positions *s, void (*fn)(void *arg, int32_t partition, int64_t next),
                            void *arg)
{
    for (size_t i = 0; i < s->n_moving; i++) {
        struct position *p = &s->items[s->moving[i]];
        if (p->epoch != p->epoch_in_txn)
            continue; /* revoked meanwhile, perhaps assigned anew: the new one read the row after our commit */
        p->next = p->moving_to;
        p->rewound = false;
        fn(arg, s->moving[i], p->moving_to);
    }
}

struct writer_positions *writer_positions_new(const char *group)
{
    struct writer_positions *s = gs_alloc(sizeof *s);
    s->group = group;
    s->params = gs_pg_params_new();
    return s;
}

struct writer_positions *writer_positions_free(struct writer_positions *s)
{
    if (!s)
        return NULL;
    gs_pg_params_free(s->params);
    free(s->items);
    free(s->moving);
    free(s);
    return NULL;
}
