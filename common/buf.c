/* Growing bytes with a ceiling. */
#include "common/buf.h"

#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

void gs_buf_init(struct gs_buf *b, size_t ceiling)
{
    *b = (struct gs_buf){.ceiling = ceiling};
}

void gs_buf_done(struct gs_buf *b)
{
    free(b->data);
    gs_buf_init(b, b->ceiling);
}

void gs_buf_clear(struct gs_buf *b)
{
    b->len = 0;
    b->overflow = false;
    if (b->data)
        b->data[0] = 0;
}

/* Makes room for len more bytes and a zero, as far as the ceiling allows; returns how many of them there is room for.
 */
static size_t grow(struct gs_buf *b, size_t len)
{
    size_t left = b->ceiling > b->len ? b->ceiling - b->len : 0;
    if (len > left) {
        b->overflow = true;
        len = left;
    }
    size_t need = b->len + len + 1;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap * 2 : FIRST_CAP;
        b->cap = cap > need ? cap : need;
        b->data = gs_realloc_n(b->data, b->cap, 1);
        b->data[b->len] = 0;
    }
    return len;
}

void gs_buf_append(struct gs_buf *b, const void *data, size_t len)
{
    len = grow(b, len);
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
}

void gs_buf_puts(struct gs_buf *b, const char *s)
{
    gs_buf_append(b, s, strlen(s));
}

void gs_buf_putc(struct gs_buf *b, char c)
{
    gs_buf_append(b, &c, 1);
}

void gs_buf_printf(struct gs_buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (len < 0)
        return;
    if ((size_t)len < sizeof(small)) {
        gs_buf_append(b, small, (size_t)len);
        return;
    }
    size_t room = grow(b, (size_t)len);
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, room + 1, fmt, ap);
    va_end(ap);
    b->len += room;
}

char *gs_buf_room(struct gs_buf *b, size_t len)
{
    if (b->len > b->ceiling || len > b->ceiling - b->len) {
        b->overflow = true;
        return NULL;
    }
    grow(b, len);
    return b->data + b->len;
}

char *gs_buf_steal(struct gs_buf *b)
{
    char *data = b->data ? b->data : gs_alloc(1);
    data[b->len] = 0;
    gs_buf_init(b, b->ceiling);
    return data;
}

const char *gs_buf_str(const struct gs_buf *b)
{
    if (!b->data)
        return "";
    b->data[b->len] = 0; /* bytes written into gs_buf_room() are not yet followed by a zero */
    return b->data;
}

static void put_escape(struct gs_buf *b, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = c ? strchr(from, c) : NULL;
    if (at)
        gs_buf_append(b, (const char[]){'\\', to[at - from]}, 2);
    else
        gs_buf_printf(b, "\\u%04x", c);
}

void gs_buf_put_json(struct gs_buf *b, const char *s, size_t len)
{
    gs_buf_putc(b, '"');
    size_t plain = 0; /* start of the run not yet copied */
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)s[i];
        size_t n = gs_utf8_char(s + i, len - i);
        if (n > 1 || (n == 1 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)) {
            i += n;
            continue;
        }
        gs_buf_append(b, s + plain, i - plain);
        if (n == 1)
            put_escape(b, c);
        else
            gs_buf_puts(b, "\xef\xbf\xbd");
        plain = ++i;
    }
    gs_buf_append(b, s + plain, len - plain);
    gs_buf_putc(b, '"');
}
