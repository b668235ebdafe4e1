/* What commands print: tables and records for people, JSON for machines, from the same rows.
 *
 * JSON: one object. A list command's has one member, an array of objects; other commands print the thing itself.
 * Members are the columns; ids and counts are numbers, decimals exact text, instants "2026-11-23T16:02:03Z", absent
 * null. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include "services/cli/cli.h"

#include <stddef.h>

/* {"key":[...]}, or a table with the columns' names as its head; `empty` is printed when there is no row. */
enum cli_exit cli_print_rows(struct cli *c, const char *key, const PGresult *r, const char *empty) GS_MUST_CHECK;
/* The first row: {...}, or a line for each column. */
enum cli_exit cli_print_row(struct cli *c, const PGresult *r) GS_MUST_CHECK;
/* A query by id that gives one row, printed; none: there is no such `what`. */
enum cli_exit cli_show(struct cli *c, const char *what, const char *sql, const char *id) GS_MUST_CHECK;

void cli_json_row(struct gs_buf *b, const PGresult *r, int row); /* {...} */
void cli_json_rows(struct gs_buf *b, const PGresult *r);         /* [{...},...] */
void cli_json_value(struct gs_buf *b, const PGresult *r, int row, int col);
void cli_print_buf(struct gs_buf *b); /* and frees it */

/* ---- for people ---- */

enum cli_colour { CLI_PLAIN, CLI_DIM, CLI_BOLD, CLI_GREEN, CLI_YELLOW, CLI_RED, CLI_BLUE };

void cli_terminal_init(void); /* before any of the following */
bool cli_terminal(void);      /* standard output is one that redraws */
void cli_terminal_size(int *ret_columns, int *ret_rows);
bool cli_unicode(void);
void cli_put_colour(struct gs_buf *b, enum cli_colour colour, const char *text); /* colour only where it shows */
int cli_width(const char *text);                                                 /* columns it takes */
/* Text cut or padded to exactly `width` columns; numbers to the right. Control characters become '?'. */
void cli_put_cell(struct gs_buf *b, const char *text, int width, bool right);
void cli_put_bar(struct gs_buf *b, double percent, int width, enum cli_colour colour);

enum { CLI_AGE_TEXT = 32 };
char *cli_age(int64_t seconds, char dst[CLI_AGE_TEXT]);       /* "12 s", "3 min", "2 h", "5 days" */
char *cli_in_or_ago(int64_t seconds, char dst[CLI_AGE_TEXT]); /* "3 min ago", "in 12 s" */
char *cli_age_short(int64_t seconds, char dst[CLI_AGE_TEXT]); /* "12s", "3m", "2h", "5d" */
enum { CLI_NUMBER_TEXT = 80 };
/* "1234567.50" becomes "1,234,567.5"; at most 4 decimals. "" for what is no decimal. */
char *cli_number(const char *decimal, char dst[CLI_NUMBER_TEXT]);
enum cli_colour cli_status_colour(const char *status);
const char *cli_words(const char *name, char dst[40]); /* "on_track" becomes "on track" */

#endif
