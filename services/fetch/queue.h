/* Who waits for a turn, by organisation: they are served one each in a circle, however many of one of them wait. No
 * memory of its own. */
#ifndef FETCH_QUEUE_H
#define FETCH_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch_queue;

/* Embedded in who waits. */
struct fetch_turn {
    struct fetch_queue *queue; /* null: not waiting */
    int64_t org_id;
    struct fetch_turn *next, *prev; /* of the same organisation, a ring */
    /* Of an organisation's first: */
    struct fetch_turn *next_org, *prev_org; /* a ring of the first ones; null: not the first */
    size_t n;                               /* of the organisation */
};

struct fetch_queue {
    struct fetch_turn *first; /* whose organisation is next */
    size_t n, orgs;
};

void fetch_queue_put(struct fetch_queue *q, struct fetch_turn *t, int64_t org_id);
struct fetch_turn *fetch_queue_next(const struct fetch_queue *q); /* who is next; null: nobody */
/* Out of the queue; when it was next, the next organisation is. Harmless when not waiting. */
void fetch_queue_drop(struct fetch_turn *t);
/* The last one of the organisation with the most: whom to send away. */
struct fetch_turn *fetch_queue_last(const struct fetch_queue *q);

#endif
