/* Pages of lists, and the cursors that lead from one to the next: sealed, so that clients can neither read nor make
 * one. */
#include "services/gateway/cursor.h"
#include "services/gateway/private.h"

#include "common/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t limit_of(const struct gw_call *c)
{
    const char *text = gw_param(c, "limit");
    int64_t n = GW_PAGE_DEFAULT;

    if (text)
        (void)gs_parse_int(text, 1, GW_PAGE_MAX, &n); /* the document has seen to it */
    return n;
}

const char *gw_page_rows(struct gw_call *c)
{
    snprintf(c->page_rows, sizeof(c->page_rows), "%lld", (long long)limit_of(c) + 1);
    return c->page_rows;
}

/* Decoded before the operation runs. */
const char *gw_page_cursor(struct gw_call *c)
{
    return c->cursor;
}

static void put_items(struct gs_buf *b, const PGresult *r, int n)
{
    gs_buf_clear(b);
    gs_buf_puts(b, "{\"items\":[");
    for (int i = 0; i < n; i++) {
        if (i)
            gs_buf_putc(b, ',');
        gs_buf_append(b, PQgetvalue(r, i, 0), (size_t)PQgetlength(r, i, 0));
    }
    gs_buf_puts(b, "],\"next_cursor\":");
}

int gw_answer_page(struct gw_call *c, PGresult *r)
{
    int64_t limit = limit_of(c);
    int n = r ? PQntuples(r) : 0;
    bool more = n > limit, sealed = true;

    if (!r)
        return gw_status(c);
    put_items(&c->out, r, more ? (int)limit : n);
    gs_buf_puts(&c->out, more ? "\"" : "null");
    if (more)
        sealed = gw_cursor_seal(PQgetvalue(r, (int)limit - 1, 1), c->op->id, &c->out);
    gs_buf_puts(&c->out, more ? "\"}" : "}");
    PQclear(r);
    assert(sealed); /* a list is sorted by what is short */
    return gw_answer_out(c, 200);
}
