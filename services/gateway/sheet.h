/* Tables of text, as spreadsheets write them: CSV (RFC 4180) and XLSX (Office Open XML), in and out. Without a
 * database, and without trust: every size has a ceiling. */
#ifndef GATEWAY_SHEET_H
#define GATEWAY_SHEET_H

#include "common/buf.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_SHEET_ROWS_MAX 5100       /* rows that hold anything */
#define GW_SHEET_COLS_MAX 100        /* beyond it nothing is read */
#define GW_SHEET_CELL_MAX 40000      /* bytes of a cell */
#define GW_SHEET_TEXT_MAX (16 << 20) /* bytes of all cells */
#define GW_SHEET_FILE_MAX (5 << 20)  /* bytes of a file */

struct gw_sheet {
    struct gs_buf text; /* the cells' texts, each ended by a zero byte; the first one is "" */
    uint32_t *cells;    /* GW_SHEET_COLS_MAX of a row: where each text begins */
    uint32_t *numbers;  /* of the rows, as the spreadsheet counts them, from 1 */
    uint32_t n_rows, room;
};

void gw_sheet_init(struct gw_sheet *s);
void gw_sheet_done(struct gw_sheet *s);
/* "" where there is nothing. Borrowed, until the sheet grows. */
const char *gw_sheet_at(const struct gw_sheet *s, uint32_t row, uint32_t col);
/* A row's next cell; rows grow downwards. Empty texts and columns beyond the last one are dropped. */
enum gs_rc gw_sheet_put(struct gw_sheet *s, uint32_t number, uint32_t col, const char *text, size_t len,
                        struct gs_err *err) GS_MUST_CHECK;

/* UTF-8, with or without its mark; separated by comma, semicolon or tab, whichever the first row has most of, or as a
 * first line "sep=;" says. GS_REJECT says what is wrong in which line. */
enum gs_rc gw_sheet_read_csv(struct gw_sheet *s, const char *text, size_t len, struct gs_err *err) GS_MUST_CHECK;
/* name: of the sheet; null: the first one. Cells as text: decimals without an exponent, at most 15 digits, as Excel
 * counts; percentages "12.5%"; days "2026-10-01"; formulas by the value that was kept with them. */
enum gs_rc gw_sheet_read_xlsx(struct gw_sheet *s, const char *name, const void *data, size_t len,
                              struct gs_err *err) GS_MUST_CHECK;

/* A cell of CSV text. What a spreadsheet could take for a formula gets an apostrophe before it, which reading takes
 * away again: texts that begin with = + - @, tab or carriage return (behind apostrophes, too), but for numbers. */
void gw_csv_put(struct gs_buf *b, bool first, const char *text);
void gw_csv_end(struct gs_buf *b); /* of the row */

/* An XLSX file with one sheet; cells are added row by row. */
struct gw_xlsx {
    struct gs_buf xml;
    uint32_t row, col;
};
void gw_xlsx_begin(struct gw_xlsx *x, size_t ceiling);
void gw_xlsx_put(struct gw_xlsx *x, const char *text, bool number); /* number: is one where it fits 15 digits */
void gw_xlsx_end_row(struct gw_xlsx *x);
/* Appends the file to ret and frees x. */
enum gs_rc gw_xlsx_finish(struct gw_xlsx *x, const char *sheet, struct gs_buf *ret, struct gs_err *err) GS_MUST_CHECK;

#endif
