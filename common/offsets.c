/* Low-water marks of partitions whose work ends out of order. */
#include "common/offsets.h"

#include "common/mem.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64 /* powers of two */
#define FIRST_RING  64

struct entry {
    int64_t offset;
    bool done;
};

/* Begun offsets in rising order: a ring whose head is the oldest one not done. */
struct part {
    char *topic;
    int32_t partition;
    uint32_t generation;
    bool assigned;
    struct entry *ring;
    size_t head, len, cap;
    size_t open;
    int64_t last; /* offset begun last */
};

/* Partitions by (topic, partition), open addressing. They are never removed, only emptied: a consumer meets few. */
struct gs_offsets {
    struct part **slots;
    size_t n_slots, n_parts;
    size_t open;
    uint32_t generation; /* given last, of all partitions */
};

struct gs_offsets *gs_offsets_new(void)
{
    struct gs_offsets *o = gs_alloc(sizeof(*o));
    o->n_slots = FIRST_SLOTS;
    o->slots = gs_alloc_n(o->n_slots, sizeof(struct part *));
    return o;
}

struct gs_offsets *gs_offsets_free(struct gs_offsets *o)
{
    if (!o)
        return NULL;
    for (size_t i = 0; i < o->n_slots; i++) {
        if (!o->slots[i])
            continue;
        free(o->slots[i]->topic);
        free(o->slots[i]->ring);
        free(o->slots[i]);
    }
    free(o->slots);
    free(o);
    return NULL;
}

/* Where the partition is, or the empty slot where it belongs. */
static struct part **find_slot(struct part **slots, size_t n_slots, const char *topic, int32_t partition)
{
    size_t i = gs_hash64(topic, strlen(topic), (uint32_t)partition) & (n_slots - 1);
    while (slots[i] && (slots[i]->partition != partition || strcmp(slots[i]->topic, topic) != 0))
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static void grow_slots(struct gs_offsets *o)
{
    size_t n_slots = o->n_slots * 2;
    struct part **slots = gs_alloc_n(n_slots, sizeof(struct part *));
    for (size_t i = 0; i < o->n_slots; i++) {
        if (o->slots[i])
            *find_slot(slots, n_slots, o->slots[i]->topic, o->slots[i]->partition) = o->slots[i];
    }
    free(o->slots);
    o->slots = slots;
    o->n_slots = n_slots;
}

static struct part *find_or_add(struct gs_offsets *o, const char *topic, int32_t partition)
{
    struct part **slot = find_slot(o->slots, o->n_slots, topic, partition);
    if (*slot)
        return *slot;
    if (o->n_parts * 2 >= o->n_slots) {
        grow_slots(o);
        slot = find_slot(o->slots, o->n_slots, topic, partition);
    }
    struct part *p = gs_alloc(sizeof(*p));
    p->topic = gs_strdup(topic);
    p->partition = partition;
    o->n_parts++;
    return *slot = p;
}

static struct entry *at(const struct part *p, size_t i)
{
    return &p->ring[(p->head + i) & (p->cap - 1)];
}

static void push(struct part *p, int64_t offset)
{
    if (p->len == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : FIRST_RING;
        struct entry *ring = gs_alloc_n(cap, sizeof(*ring));
        for (size_t i = 0; i < p->len; i++)
            ring[i] = *at(p, i);
        free(p->ring);
        p->ring = ring;
        p->head = 0;
        p->cap = cap;
    }
    *at(p, p->len++) = (struct entry){.offset = offset};
    p->last = offset;
}

static void clear(struct gs_offsets *o, struct part *p)
{
    o->open -= p->open;
    free(p->ring);
    p->ring = NULL;
    p->head = p->len = p->cap = p->open = 0;
    p->assigned = false;
}

uint32_t gs_offsets_begin(struct gs_offsets *o, const char *topic, int32_t partition, int64_t offset)
{
    struct part *p = find_or_add(o, topic, partition);
    /* A broker that lost its tail makes the consumer start again further back: what was begun before no longer counts.
     */
    if (p->assigned && offset <= p->last)
        clear(o, p);
    if (!p->assigned) {
        p->assigned = true;
        p->generation = ++o->generation;
    }
    push(p, offset);
    p->open++;
    o->open++;
    return p->generation;
}

static struct entry *find_entry(const struct part *p, int64_t offset)
{
    if (p->len == 0 || offset < at(p, 0)->offset || offset > p->last)
        return NULL;
    /* Without gaps the place is known; gaps can only move it to the front. */
    uint64_t guess = (uint64_t)(offset - at(p, 0)->offset);
    size_t low = 0, high = guess < p->len ? (size_t)guess : p->len - 1;
    if (at(p, high)->offset == offset)
        return at(p, high);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (at(p, mid)->offset < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return at(p, low)->offset == offset ? at(p, low) : NULL;
}

bool gs_offsets_end(struct gs_offsets *o, const char *topic, int32_t partition, int64_t offset, uint32_t generation,
                    int64_t *ret_next)
{
    struct part *p = *find_slot(o->slots, o->n_slots, topic, partition);
    if (!p || !p->assigned || p->generation != generation)
        return false;
    struct entry *entry = find_entry(p, offset);
    if (!entry || entry->done)
        return false;
    entry->done = true;
    p->open--;
    o->open--;
    bool moved = false;
    while (p->len && at(p, 0)->done) {
        *ret_next = at(p, 0)->offset + 1;
        p->head = (p->head + 1) & (p->cap - 1);
        p->len--;
        moved = true;
    }
    return moved;
}

void gs_offsets_forget(struct gs_offsets *o, const char *topic, int32_t partition)
{
    struct part *p = *find_slot(o->slots, o->n_slots, topic, partition);
    if (p)
        clear(o, p);
}

size_t gs_offsets_open(const struct gs_offsets *o)
{
    return o->open;
}
