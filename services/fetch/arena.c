/* Bump allocation for one request: a few hundred bytes in many pieces, all gone together. */
#include "services/fetch/arena.h"

#include <string.h>

#include "common/mem.h"

#define CHUNK 4096
#define ALIGN 16

struct fetch_arena_chunk {
    struct fetch_arena_chunk *next;
    char data[] __attribute__((aligned(ALIGN)));
};

void fetch_arena_init(struct fetch_arena *a, void *memory, size_t size)
{
    *a = (struct fetch_arena){.at = memory, .left = size & ~(size_t)(ALIGN - 1)};
}

void fetch_arena_done(struct fetch_arena *a)
{
    while (a->chunks) {
        struct fetch_arena_chunk *c = a->chunks;

        a->chunks = c->next;
        gs_freep(&c);
    }
}

void *fetch_arena_alloc(struct fetch_arena *a, size_t size)
{
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size > a->left) {
        size_t room = size > CHUNK ? size : CHUNK;
        struct fetch_arena_chunk *c = gs_alloc(sizeof *c + room);

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

char *fetch_arena_strndup(struct fetch_arena *a, const char *s, size_t len)
{
    char *p = fetch_arena_alloc(a, len + 1);

    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}
