/* Bump allocation for one request: a few hundred bytes in many pieces, all gone together. */
#include "common/arena.h"

#include <string.h>

#include "common/mem.h"

#define CHUNK 4096
#define ALIGN 16

struct gs_arena_chunk {
    struct gs_arena_chunk *next;
    char data[] __attribute__((aligned(ALIGN)));
};

void gs_arena_init(struct gs_arena *a, void *memory, size_t size)
{
    *a = (struct gs_arena){.at = memory, .left = size & ~(size_t)(ALIGN - 1)};
}

void gs_arena_done(struct gs_arena *a)
{
    while (a->chunks) {
        struct gs_arena_chunk *c = a->chunks;

        a->chunks = c->next;
        gs_freep(&c);
    }
}

void *gs_arena_alloc(struct gs_arena *a, size_t size)
{
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size > a->left) {
        size_t room = size > CHUNK ? size : CHUNK;
        struct gs_arena_chunk *c = gs_alloc(sizeof *c + room);

        c->next = a->chunks;
        a->chunks = c;
        a->at = c->data;
        a->left = room;
    }
    void *p = a->at;

    a->at += size;
    a->left -= size;
    return p;
}

char *gs_arena_strndup(struct gs_arena *a, const char *s, size_t len)
{
    char *p = gs_arena_alloc(a, len + 1);

    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

void *gs_arena_piece(void *arena, size_t size)
{
    return gs_arena_alloc(arena, size);
}

void gs_arena_keep(void *arena, void *piece)
{
    (void)arena;
    (void)piece;
}
