/* The list of messages between Kafka and the transaction. */
#include "services/progress_writer/pending.h"

#include "common/clock.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#define SPARE_RESULTS 8 /* a message with room for more is not kept */

void writer_pending_init(struct writer_pending *p)
{
    *p = (struct writer_pending){.ceiling = SIZE_MAX};
}

void writer_message_free(struct writer_message *m)
{
    if (m->m)
        rd_kafka_message_destroy(m->m);
    writer_results_done(&m->results);
    free(m->error);
    free(m);
}

/* A thousand messages go at once and come again: malloc would sweep them together each time. */
static void recycle(struct writer_pending *p, struct writer_message *m)
{
    if (m->results.cap > SPARE_RESULTS) {
        writer_message_free(m);
        return;
    }
    rd_kafka_message_destroy(m->m);
    writer_results_cut(&m->results, 0);
    free(m->error);
    *m = (struct writer_message){.next = p->spare, .results = m->results};
    p->spare = m;
}

static void drop(struct writer_message *m)
{
    if (m->letter != WRITER_LETTER_SENDING) {
        writer_message_free(m);
        return;
    }
    m->dropped = true; /* the producer still holds its address, but not the message */
    rd_kafka_message_destroy(m->m);
    m->m = NULL;
}

void writer_pending_done(struct writer_pending *p)
{
    for (size_t i = 0; i < p->n; i++)
        drop(p->items[i]);
    free(p->items);
    while (p->spare) {
        struct writer_message *m = p->spare;
        p->spare = m->next;
        writer_message_free(m);
    }
    writer_pending_init(p);
}

struct writer_message *writer_pending_add(struct writer_pending *p, rd_kafka_message_t *m, int64_t epoch)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 256;
        p->items = gs_realloc_n(p->items, p->cap, sizeof(struct writer_message *));
    }
    struct writer_message *item = p->spare ? p->spare : gs_alloc(sizeof *item);
    p->spare = item->next;
    item->next = NULL;
    item->m = m;
    item->taken_us = gs_mono_us();
    item->epoch = epoch;
    p->bytes += m->len;
    return p->items[p->n++] = item;
}

void writer_pending_sift(struct writer_pending *p, const struct writer_positions *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct writer_message *m = p->items[i];
        if (m->epoch == writer_positions_epoch(s, m->m->partition) &&
            m->m->offset >= writer_positions_next(s, m->m->partition)) {
            p->items[kept++] = m;
            continue;
        }
        p->bytes -= m->m->len;
        drop(m);
    }
    p->n = kept;
}

static int compare_results(const void *x, const void *y)
{
    const struct writer_result *a = *(const struct writer_result *const *)x,
                               *b = *(const struct writer_result *const *)y;
    if (a->link_id != b->link_id)
        return a->link_id < b->link_id ? -1 : 1;
    return (a->arrival > b->arrival) - (a->arrival < b->arrival);
}

/* A link's results are applied in the order of the log, however they fall into batches: a replay gives the same
 * history. */
static void add_results(struct writer_work *w, size_t *cap, struct writer_results *r)
{
    if (w->n_results + r->n > *cap) {
        *cap = 2 * (w->n_results + r->n);
        w->results = gs_realloc_n(w->results, *cap, sizeof *w->results);
    }
    for (size_t i = 0; i < r->n; i++) {
        r->items[i].arrival = w->n_results;
        w->results[w->n_results++] = &r->items[i];
    }
}

size_t writer_pending_take(struct writer_pending *p, size_t max, struct writer_work *w, struct writer_positions *s)
{
    size_t cap = w->n_results = 0;
    if (max > p->ceiling)
        max = p->ceiling;
    writer_positions_clear(s);
    for (p->taken = 0; p->taken < p->n && p->taken < max; p->taken++) {
        struct writer_message *m = p->items[p->taken];
        if (m->letter == WRITER_LETTER_DUE || m->letter == WRITER_LETTER_SENDING)
            break;
        if (w->n_results > 0 && w->n_results + m->results.n > WRITER_RESULTS_MAX)
            break;
        if (m->letter == WRITER_LETTER_NONE)
            add_results(w, &cap, &m->results);
        writer_positions_add(s, m->m->partition, m->m->offset + 1);
    }
    if (w->n_results > 0)
        qsort(w->results, w->n_results, sizeof *w->results, compare_results);
    return p->taken;
}

void writer_pending_end(struct writer_pending *p, bool committed)
{
    if (committed) {
        for (size_t i = 0; i < p->taken; i++) {
            p->bytes -= p->items[i]->m->len;
            recycle(p, p->items[i]);
        }
        p->n -= p->taken;
        memmove(p->items, p->items + p->taken, p->n * sizeof(struct writer_message *));
    }
    p->taken = 0;
}
