/* A ring of organisations, and a ring of waiters for each. */
#include "services/fetch/queue.h"

#include <assert.h>

static struct fetch_turn *first_of(const struct fetch_queue *q, int64_t org_id)
{
    struct fetch_turn *t = q->first;

    for (size_t i = 0; i < q->orgs; i++, t = t->next_org) {
        if (t->org_id == org_id)
            return t;
    }
    return NULL;
}

/* A new organisation is served after all others. */
static void add_org(struct fetch_queue *q, struct fetch_turn *t)
{
    struct fetch_turn *first = q->first;

    t->next_org = first ? first : t;
    t->prev_org = first ? first->prev_org : t;
    t->prev_org->next_org = t;
    t->next_org->prev_org = t;
    q->first = first ? first : t;
    q->orgs++;
}

void fetch_queue_put(struct fetch_queue *q, struct fetch_turn *t, int64_t org_id)
{
    struct fetch_turn *head = first_of(q, org_id);

    assert(!t->queue);
    *t = (struct fetch_turn){.queue = q, .org_id = org_id, .next = t, .prev = t};
    q->n++;
    if (!head) {
        t->n = 1;
        add_org(q, t);
        return;
    }
    t->next = head;
    t->prev = head->prev;
    t->prev->next = t;
    head->prev = t;
    head->n++;
}

struct fetch_turn *fetch_queue_next(const struct fetch_queue *q)
{
    return q->first;
}

static void replace_head(struct fetch_queue *q, struct fetch_turn *t, struct fetch_turn *by)
{
    by->n = t->n;
    by->next_org = t->next_org == t ? by : t->next_org;
    by->prev_org = t->prev_org == t ? by : t->prev_org;
    by->next_org->prev_org = by;
    by->prev_org->next_org = by;
    if (q->first == t)
        q->first = by;
}

static void remove_org(struct fetch_queue *q, struct fetch_turn *t)
{
    t->prev_org->next_org = t->next_org;
    t->next_org->prev_org = t->prev_org;
    if (q->first == t)
        q->first = t->next_org == t ? NULL : t->next_org;
    q->orgs--;
}

void fetch_queue_drop(struct fetch_turn *t)
{
    struct fetch_queue *q = t->queue;

    if (!q)
        return;
    struct fetch_turn *head = t->next_org ? t : first_of(q, t->org_id);
    bool next = q->first == t;

    q->n--;
    head->n--;
    t->prev->next = t->next;
    t->next->prev = t->prev;
    if (t == head && t->next != t) {
        replace_head(q, t, t->next);
        if (next)
            q->first = t->next->next_org;
    } else if (t == head) {
        remove_org(q, t);
    }
    *t = (struct fetch_turn){.org_id = t->org_id};
}

struct fetch_turn *fetch_queue_last(const struct fetch_queue *q)
{
    struct fetch_turn *most = q->first, *t = q->first;

    for (size_t i = 0; i < q->orgs; i++, t = t->next_org) {
        if (t->n > most->n)
            most = t;
    }
    return most ? most->prev : NULL;
}
