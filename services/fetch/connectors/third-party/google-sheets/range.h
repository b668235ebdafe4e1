/* How links name a cell of a Google spreadsheet. */
#ifndef GOOGLE_SHEETS_RANGE_H
#define GOOGLE_SHEETS_RANGE_H

#include "services/fetch/connector.h"

#define SHEETS_ID_MAX    128
#define SHEETS_NAME_MAX  250 /* characters of a named range (Google's limit) */
#define SHEETS_TITLE_MAX 400 /* bytes of a sheet's title; Google allows 100 characters */
#define SHEETS_CELLS_MAX INT64_C(100000000000)

struct sheets_range {
    char text[2 * SHEETS_TITLE_MAX + 16]; /* as Google is asked: A1 notation, or the name */
    char name[SHEETS_NAME_MAX + 1];       /* "": by sheet and cell */
    char sheet[SHEETS_TITLE_MAX + 1];     /* its title, of a cell */
    int64_t row, column;                  /* from 0 */
};

/* The id in an address of the browser, or the id itself. */
bool sheets_id(const char *spreadsheet, char ret[SHEETS_ID_MAX + 1]);
enum gs_rc sheets_range_read(const struct fetch_settings *link, struct sheets_range *ret, struct gs_err *err);

#endif
