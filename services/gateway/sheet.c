/* Tables of text: their memory, and CSV. */
#include "services/gateway/sheet.h"

#include "common/mem.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

void gw_sheet_init(struct gw_sheet *s)
{
    *s = (struct gw_sheet){0};
    gs_buf_init(&s->text, GW_SHEET_TEXT_MAX);
    gs_buf_append(&s->text, "", 1);
}

void gw_sheet_done(struct gw_sheet *s)
{
    gs_buf_done(&s->text);
    free(s->cells);
    free(s->numbers);
    s->cells = s->numbers = NULL;
    s->n_rows = s->room = 0;
}

const char *gw_sheet_at(const struct gw_sheet *s, uint32_t row, uint32_t col)
{
    if (row >= s->n_rows || col >= GW_SHEET_COLS_MAX)
        return "";
    return s->text.data + s->cells[(size_t)row * GW_SHEET_COLS_MAX + col];
}

static enum gs_rc add_row(struct gw_sheet *s, uint32_t number, struct gs_err *err)
{
    if (s->n_rows == GW_SHEET_ROWS_MAX)
        return gs_fail(err, GS_REJECT, "there are more than %d rows; import them in parts", GW_SHEET_ROWS_MAX);
    if (s->n_rows == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->cells = gs_realloc_n(s->cells, s->room, GW_SHEET_COLS_MAX * sizeof(*s->cells));
        s->numbers = gs_realloc_n(s->numbers, s->room, sizeof(*s->numbers));
    }
    memset(s->cells + (size_t)s->n_rows * GW_SHEET_COLS_MAX, 0, GW_SHEET_COLS_MAX * sizeof(*s->cells));
    s->numbers[s->n_rows++] = number;
    return GS_OK;
}

enum gs_rc gw_sheet_put(struct gw_sheet *s, uint32_t number, uint32_t col, const char *text, size_t len,
                        struct gs_err *err)
{
    enum gs_rc rc;

    if (len == 0 || col >= GW_SHEET_COLS_MAX)
        return GS_OK;
    if (s->n_rows && s->numbers[s->n_rows - 1] > number)
        return gs_fail(err, GS_REJECT, "row %u comes after row %u", number, s->numbers[s->n_rows - 1]);
    if (len > GW_SHEET_CELL_MAX)
        return gs_fail(err, GS_REJECT, "row %u, column %u: a cell of %zu bytes; the most are %d", number, col + 1, len,
                       GW_SHEET_CELL_MAX);
    for (size_t i = 0, n; i < len; i += n) {
        n = text[i] ? gs_utf8_char(text + i, len - i) : 0;
        if (n == 0)
            return gs_fail(err, GS_REJECT, "row %u, column %u: text that is not UTF-8; save the file as UTF-8", number,
                           col + 1);
    }
    if (s->n_rows == 0 || s->numbers[s->n_rows - 1] != number)
        if ((rc = add_row(s, number, err)) != GS_OK)
            return rc;
    s->cells[(size_t)(s->n_rows - 1) * GW_SHEET_COLS_MAX + col] = (uint32_t)s->text.len;
    gs_buf_append(&s->text, text, len);
    gs_buf_append(&s->text, "", 1);
    if (s->text.overflow)
        return gs_fail(err, GS_REJECT, "the cells hold more than %d bytes; import them in parts", GW_SHEET_TEXT_MAX);
    return GS_OK;
}

/* ---- formulas that are none ---- */

static bool is_number(const char *s, size_t len)
{
    size_t i = len && *s == '-', digits = 0, points = 0;

    for (; i < len; i++) {
        digits += s[i] >= '0' && s[i] <= '9';
        points += s[i] == '.';
    }
    return digits > 0 && points <= 1 && digits + points + (*s == '-') == len;
}

/* Apostrophes, then what begins a formula somewhere, and is no number. */
static bool looks_like_formula(const char *s, size_t len)
{
    size_t quotes = 0;

    while (quotes < len && s[quotes] == '\'')
        quotes++;
    return quotes < len && strchr("=+-@\t\r", s[quotes]) && !(quotes == 0 && is_number(s, len));
}

void gw_csv_put(struct gs_buf *b, bool first, const char *text)
{
    bool harmful = looks_like_formula(text, strlen(text));

    if (!first)
        gs_buf_putc(b, ',');
    if (!harmful && !text[strcspn(text, ",;\t\"\r\n")]) {
        gs_buf_puts(b, text);
        return;
    }
    gs_buf_puts(b, harmful ? "\"'" : "\"");
    for (; *text; text++) {
        if (*text == '"')
            gs_buf_putc(b, '"');
        gs_buf_putc(b, *text);
    }
    gs_buf_putc(b, '"');
}

void gw_csv_end(struct gs_buf *b)
{
    gs_buf_puts(b, "\r\n");
}

/* ---- CSV ---- */

struct csv {
    struct gw_sheet *sheet;
    const char *at, *end;
    struct gs_buf cell; /* of a quoted one, without its quotes */
    char separator;
    uint32_t row, col;
    struct gs_err *err;
};

static char find_separator(const char *at, const char *end)
{
    static const char marks[] = ",;\t";
    size_t counts[3] = {0};
    bool quoted = false;

    for (; at < end && (quoted || (*at != '\n' && *at != '\r')); at++) {
        const char *mark = memchr(marks, *at, 3);
        if (*at == '"')
            quoted = !quoted;
        else if (mark && !quoted)
            counts[mark - marks]++;
    }
    return counts[1] > counts[0] && counts[1] >= counts[2] ? ';' : counts[2] > counts[0] ? '\t' : ',';
}

static enum gs_rc put_cell(struct csv *c, const char *text, size_t len)
{
    size_t quoted = len > 1 && *text == '\'' && looks_like_formula(text, len);

    return gw_sheet_put(c->sheet, c->row, c->col++, text + quoted, len - quoted, c->err);
}

static enum gs_rc read_quoted(struct csv *c)
{
    gs_buf_clear(&c->cell);
    for (c->at++; c->at < c->end; c->at++) {
        if (*c->at == '"' && (c->at + 1 == c->end || c->at[1] != '"'))
            break;
        c->at += *c->at == '"';
        gs_buf_putc(&c->cell, *c->at);
    }
    if (c->at == c->end)
        return gs_fail(c->err, GS_REJECT, "row %u: a cell begins with a quotation mark and none ends it", c->row);
    c->at++;
    if (c->at < c->end && *c->at != c->separator && *c->at != '\r' && *c->at != '\n')
        return gs_fail(c->err, GS_REJECT,
                       "row %u, column %u: text behind the closing quotation mark; within a cell it is written twice",
                       c->row, c->col + 1);
    return put_cell(c, gs_buf_str(&c->cell), c->cell.len);
}

static enum gs_rc read_plain(struct csv *c)
{
    const char *begin = c->at;

    while (c->at < c->end && *c->at != c->separator && *c->at != '\r' && *c->at != '\n')
        c->at++;
    return put_cell(c, begin, (size_t)(c->at - begin));
}

static enum gs_rc read_row(struct csv *c)
{
    enum gs_rc rc = GS_OK;

    c->col = 0;
    for (;;) {
        rc = c->at < c->end && *c->at == '"' ? read_quoted(c) : read_plain(c);
        if (rc != GS_OK || c->at == c->end || *c->at != c->separator)
            break;
        c->at++;
    }
    if (c->at < c->end && *c->at == '\r')
        c->at += 1 + (c->at + 1 < c->end && c->at[1] == '\n');
    else if (c->at < c->end && *c->at == '\n')
        c->at++;
    return rc;
}

enum gs_rc gw_sheet_read_csv(struct gw_sheet *s, const char *text, size_t len, struct gs_err *err)
{
    struct csv c = {.sheet = s, .at = text, .end = text + len, .row = 1, .err = err};
    enum gs_rc rc = GS_OK;

    if (len > GW_SHEET_FILE_MAX)
        return gs_fail(err, GS_REJECT, "the file has %zu bytes; the most are %d", len, GW_SHEET_FILE_MAX);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        c.at += 3;
    c.separator = find_separator(c.at, c.end);
    if (c.end - c.at > 5 && memcmp(c.at, "sep=", 4) == 0 && memchr("\r\n", c.at[5], 2)) {
        c.separator = c.at[4];
        c.at += 5;
        c.at += 1 + (*c.at == '\r' && c.at + 1 < c.end && c.at[1] == '\n');
        c.row++;
    }
    if (!memchr(",;\t|", c.separator, 4))
        return gs_fail(err, GS_REJECT, "row 1: cells are separated by comma, semicolon, tab or |");
    gs_buf_init(&c.cell, GW_SHEET_FILE_MAX);
    for (; c.at < c.end && rc == GS_OK; c.row++)
        rc = read_row(&c);
    gs_buf_done(&c.cell);
    return rc;
}
