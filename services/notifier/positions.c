/* Raises the epochs of partitions and remembers them. */
#include "services/notifier/positions.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/notifier/notifier.h"

#include <inttypes.h>
#include <stdlib.h>

#define RETRY_US  INT64_C(500000)
#define FENCED_US INT64_C(15000000) /* longer than Kafka takes to say that a partition went: its session time-out */

static const struct gs_log_ctx log_ctx = {.topic = "kafka"};

struct position {
    int64_t epoch; /* 0: not held */
    bool fenced;   /* to be asked for again */
};

struct notifier_positions {
    struct gs_pg *pg;
    struct gs_pg_params *params;
    struct position *items[NOTIFIER_TOPICS]; /* by partition */
    size_t n[NOTIFIER_TOPICS];
    struct ask *waiting; /* for another try */
    struct gs_timer *retry, *fenced;
    void (*seek)(void *arg, const char *topic, int32_t partition, int64_t next);
    void *arg;
    size_t asking;
    bool stopped;
};

struct ask {
    struct ask *next; /* among those waiting */
    struct notifier_positions *s;
    struct gs_assignment *a; /* null: one partition that is being read already */
    enum notifier_topic topic;
    int32_t partition;
};

static struct position *position_of(const struct notifier_positions *s, enum notifier_topic topic, int32_t partition)
{
    bool known = topic < NOTIFIER_TOPICS && partition >= 0 && (size_t)partition < s->n[topic];

    return known ? &s->items[topic][partition] : NULL;
}

static void hold(struct notifier_positions *s, enum notifier_topic topic, int32_t partition, int64_t epoch)
{
    if (topic == NOTIFIER_TOPICS || partition < 0 || partition >= NOTIFIER_PARTITIONS_MAX)
        return;
    for (; s->n[topic] <= (size_t)partition; s->n[topic]++) {
        s->items[topic] = gs_realloc_n(s->items[topic], s->n[topic] + 1, sizeof *s->items[topic]);
        s->items[topic][s->n[topic]] = (struct position){0};
    }
    s->items[topic][partition] = (struct position){.epoch = epoch};
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
    enum notifier_topic topic = notifier_topic_of(gs_pg_get_text(r, row, 0));
    int32_t partition = gs_pg_get_int4(r, row, 1);
    int64_t next = gs_pg_get_int8(r, row, 2);

    hold(k->s, topic, partition, gs_pg_get_int8(r, row, 3));
    for (size_t i = 0; k->a && i < gs_assignment_count(k->a); i++)
        if (gs_assignment_partition(k->a, i) == partition && notifier_topic_of(gs_assignment_topic(k->a, i)) == topic)
            gs_assignment_start_at(k->a, i, next);
    if (!k->a)
        k->s->seek(k->s->arg, notifier_topics[topic], partition, next);
}

static void on_asked(void *arg, const struct gs_pg_result *r)
{
    struct ask *k = arg;
    struct notifier_positions *s = k->s;

    if (gs_pg_rc(r) != GS_OK && !s->stopped) {
        gs_log_warn(&log_ctx, "reading the offsets failed", "error=\"%s\"", gs_pg_result_error(r));
        k->next = s->waiting;
        s->waiting = k;
        gs_timer_start(s->retry, RETRY_US, 0);
        return;
    }
    for (int i = 0; gs_pg_rc(r) == GS_OK && i < gs_pg_rows(r); i++)
        start_one(k, r, i);
    end_ask(k);
}

static size_t count_of(const struct ask *k)
{
    return k->a ? gs_assignment_count(k->a) : 1;
}

/* Waits for the batch of the consumer before, if one still holds the row; it cannot begin another. */
static void ask(struct ask *k)
{
    static const struct gs_pg_stmt stmt = {
        "assign", "INSERT INTO consumer_offset AS o (consumer_group, topic, partition, next_offset, epoch)"
                  " SELECT '" NOTIFIER_GROUP "', t, p, 0, 1 FROM unnest($1::text[], $2::int[]) AS u(t, p) ORDER BY t, p"
                  " ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET epoch = o.epoch + 1"
                  " RETURNING topic, partition, next_offset, epoch"};
    struct gs_pg_params *p = k->s->params;

    gs_pg_params_clear(p);
    gs_pg_array_begin(p, GS_PG_TEXT);
    for (size_t i = 0; i < count_of(k); i++)
        gs_pg_item_text(p, k->a ? gs_assignment_topic(k->a, i) : notifier_topics[k->topic]);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_INT4);
    for (size_t i = 0; i < count_of(k); i++)
        gs_pg_item_int4(p, k->a ? gs_assignment_partition(k->a, i) : k->partition);
    gs_pg_array_end(p);
    gs_pg_query(k->s->pg, &stmt, p, on_asked, k);
}

static void ask_first(struct notifier_positions *s, const struct ask *what)
{
    struct ask *k = gs_alloc(sizeof *k);

    *k = *what;
    k->s = s;
    s->asking++;
    ask(k);
}

static void ask_again(void *arg)
{
    struct notifier_positions *s = arg;
    struct ask *k = s->waiting;

    s->waiting = NULL;
    while (k) {
        struct ask *next = k->next;

        ask(k);
        k = next;
    }
}

static void ask_for_fenced(void *arg)
{
    struct notifier_positions *s = arg;

    for (enum notifier_topic t = 0; t < NOTIFIER_TOPICS; t++) {
        for (size_t i = 0; i < s->n[t]; i++) {
            if (!s->items[t][i].fenced)
                continue;
            s->items[t][i].fenced = false;
            gs_log_warn(&log_ctx, "taking a partition back", "topic=%s partition=%zu", notifier_topics[t], i);
            ask_first(s, &(struct ask){.topic = t, .partition = (int32_t)i});
        }
    }
}

void notifier_positions_assign(struct notifier_positions *s, struct gs_assignment *a)
{
    ask_first(s, &(struct ask){.a = a});
}

void notifier_positions_revoke(struct notifier_positions *s, enum notifier_topic topic, int32_t partition)
{
    struct position *p = position_of(s, topic, partition);

    if (p)
        *p = (struct position){0};
}

void notifier_positions_fenced(struct notifier_positions *s, enum notifier_topic topic, int32_t partition)
{
    struct position *p = position_of(s, topic, partition);

    if (!p || !p->epoch || s->stopped)
        return;
    gs_log_warn(&log_ctx, "a partition was taken over", "topic=%s partition=%" PRId32, notifier_topics[topic],
                partition);
    *p = (struct position){.fenced = true};
    gs_timer_start(s->fenced, FENCED_US, 0);
}

int64_t notifier_positions_epoch(const struct notifier_positions *s, enum notifier_topic topic, int32_t partition)
{
    const struct position *p = position_of(s, topic, partition);

    return p ? p->epoch : 0;
}

bool notifier_positions_settled(const struct notifier_positions *s)
{
    return s->asking == 0;
}

struct notifier_positions *
notifier_positions_new(uv_loop_t *loop, struct gs_pg *pg,
                       void (*seek)(void *arg, const char *topic, int32_t partition, int64_t next), void *arg)
{
    struct notifier_positions *s = gs_alloc(sizeof *s);

    s->pg = pg;
    s->seek = seek;
    s->arg = arg;
    s->params = gs_pg_params_new();
    s->retry = gs_timer_new(loop, ask_again, s);
    s->fenced = gs_timer_new(loop, ask_for_fenced, s);
    return s;
}

void notifier_positions_stop(struct notifier_positions *s)
{
    s->stopped = true;
    s->retry = gs_timer_free(s->retry);
    s->fenced = gs_timer_free(s->fenced);
    while (s->waiting) {
        struct ask *k = s->waiting;

        s->waiting = k->next;
        end_ask(k);
    }
}

struct notifier_positions *notifier_positions_free(struct notifier_positions *s)
{
    if (!s)
        return NULL;
    for (int t = 0; t < NOTIFIER_TOPICS; t++)
        free(s->items[t]);
    gs_pg_params_free(s->params);
    free(s);
    return NULL;
}
