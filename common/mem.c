/* Allocation that cannot fail, and wiping. */
#include "common/mem.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRESH 65536 /* bytes from which on memory may be new */

static _Noreturn void out_of_memory(void)
{
    static const char text[] = "goalsync: out of memory\n";
    /* No log: it formats, and the heap is gone. */
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written;
    abort();
}

/* glibc's calloc takes nothing from the thread's cache, into which free puts: both would go the long way each time. A
 * large piece is often fresh from the kernel, and calloc knows that it is zero already. */
void *gs_alloc(size_t size)
{
    void *p = size < FRESH ? malloc(size ? size : 1) : calloc(1, size);
    if (!p)
        out_of_memory();
    return size < FRESH ? memset(p, 0, size) : p;
}

void *gs_alloc_n(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1); /* checks the product */
    if (!p)
        out_of_memory();
    return p;
}

void *gs_realloc_n(void *p, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        out_of_memory();
    p = realloc(p, total ? total : 1);
    if (!p)
        out_of_memory();
    return p;
}

char *gs_strdup(const char *s)
{
    return gs_strndup(s, strlen(s));
}

char *gs_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = malloc(len + 1);
    if (!copy)
        out_of_memory();
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

void gs_free_secret(void *p, size_t size)
{
    if (!p)
        return;
    gs_wipe(p, size);
    free(p);
}

void gs_wipe(void *p, size_t size)
{
    OPENSSL_cleanse(p, size);
}

void gs_freep(void *pp)
{
    void *p;
    /* pp is the address of a pointer of any type; reading it as void * directly would break aliasing rules. */
    memcpy(&p, pp, sizeof(p));
    free(p);
    p = NULL;
    memcpy(pp, &p, sizeof(p));
}
