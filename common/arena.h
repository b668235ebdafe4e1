/* Memory that is freed all at once: what belongs to one request or one message. */
#ifndef GS_ARENA_H
#define GS_ARENA_H

#include <stddef.h>

struct gs_arena_chunk;

struct gs_arena {
    char *at;
    size_t left;
    struct gs_arena_chunk *chunks; /* beyond the memory given at first */
};

void gs_arena_init(struct gs_arena *a, void *memory, size_t size);
void gs_arena_done(struct gs_arena *a);
/* Aligned for anything; not zeroed. Sizes are bounded by the caller. */
void *gs_arena_alloc(struct gs_arena *a, size_t size) __attribute__((malloc, returns_nonnull));
char *gs_arena_strndup(struct gs_arena *a, const char *s, size_t len);
/* The same for a ProtobufCAllocator: what it unpacks lives as long as the arena. */
void *gs_arena_piece(void *arena, size_t size);
void gs_arena_keep(void *arena, void *piece);

#endif
