/* Growing bytes with a ceiling. Appending beyond the ceiling keeps what fits and sets `overflow`; callers check once.
 */
#ifndef GS_BUF_H
#define GS_BUF_H

#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gs_buf {
    char *data; /* always followed by a zero byte once anything was appended; null before */
    size_t len, cap, ceiling;
    bool overflow;
};

void gs_buf_init(struct gs_buf *b, size_t ceiling);
void gs_buf_done(struct gs_buf *b);  /* frees; the buffer may be used again */
void gs_buf_clear(struct gs_buf *b); /* keeps the memory */
void gs_buf_append(struct gs_buf *b, const void *data, size_t len);
void gs_buf_puts(struct gs_buf *b, const char *s);
void gs_buf_putc(struct gs_buf *b, char c);
void gs_buf_printf(struct gs_buf *b, const char *fmt, ...) GS_PRINTF(2, 3);
/* Room for len more bytes to be written in place at data + len; null when over the ceiling. */
char *gs_buf_room(struct gs_buf *b, size_t len);
/* Hands the bytes over (zero-terminated); the buffer is empty afterwards. */
char *gs_buf_steal(struct gs_buf *b);
/* Contents as a C string; "" when empty. Borrowed. */
const char *gs_buf_str(const struct gs_buf *b);

/* JSON text of a string, quotes included; invalid UTF-8 becomes U+FFFD. */
void gs_buf_put_json(struct gs_buf *b, const char *s, size_t len);

#endif
