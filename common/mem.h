/* Allocation that ends the process when memory is out: offsets are committed after the work, so a restart loses
 * nothing. Sizes that come from outside are checked against a ceiling before these are called. */
#ifndef GS_MEM_H
#define GS_MEM_H

#include <stddef.h>

void *gs_alloc(size_t size) __attribute__((malloc, returns_nonnull));             /* zeroed */
void *gs_alloc_n(size_t n, size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed, n * size checked */
void *gs_realloc_n(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *gs_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *gs_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
/* Frees a buffer that held a secret after overwriting it; null is fine. */
void gs_free_secret(void *p, size_t size);
/* Overwrites; not optimised away. */
void gs_wipe(void *p, size_t size);

/* For GS_AUTO(gs_freep) char *s */
void gs_freep(void *pp);

#endif
