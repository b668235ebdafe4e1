/* Memory that is freed all at once: what belongs to one request. */
#ifndef FETCH_ARENA_H
#define FETCH_ARENA_H

#include <stddef.h>

struct fetch_arena_chunk;

struct fetch_arena {
    char *at;
    size_t left;
    struct fetch_arena_chunk *chunks; /* beyond the memory given at first */
};

void fetch_arena_init(struct fetch_arena *a, void *memory, size_t size);
void fetch_arena_done(struct fetch_arena *a);
/* Aligned for anything; not zeroed. Sizes are bounded by the caller. */
void *fetch_arena_alloc(struct fetch_arena *a, size_t size) __attribute__((malloc, returns_nonnull));
char *fetch_arena_strndup(struct fetch_arena *a, const char *s, size_t len);

#endif
