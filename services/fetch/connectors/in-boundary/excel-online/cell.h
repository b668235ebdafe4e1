/* How links name a file and a cell of Excel Online, and what Graph says of the cell. */
#ifndef EXCEL_ONLINE_CELL_H
#define EXCEL_ONLINE_CELL_H

#include "services/fetch/connector.h"

#define EXCEL_ID_MAX      200  /* of a drive or an item */
#define EXCEL_ADDRESS_MAX 2000 /* of a file in the browser */
#define EXCEL_SHARE_MAX   (4 * EXCEL_ADDRESS_MAX / 3 + 8)

struct excel_file {
    char drive[EXCEL_ID_MAX + 1], item[EXCEL_ID_MAX + 1]; /* "": still to be found by share */
    char share[EXCEL_SHARE_MAX]; /* "u!" and the address in base64url, as Graph wants it (driveItem: shares) */
};

/* file of a link: an address in the browser, or DRIVE/ITEM. */
enum gs_rc excel_file_read(const struct fetch_settings *link, struct excel_file *ret, struct gs_err *err);
bool excel_id_ok(const char *id); /* as Graph makes them */
/* name, or sheet and cell. */
enum gs_rc excel_cell_check(const struct fetch_settings *link, struct gs_err *err);
/* Whether it is a workbookRange at all. */
enum gs_rc excel_range_check(struct gs_json *json, struct gs_err *err);
/* The number in a workbookRange of this one cell ("": a named one); a cell shown as a percentage counts times 100 (goal
 * rules: Numbers). */
enum gs_rc excel_cell_value(struct gs_json *json, const char *cell, struct gs_dec *ret, struct gs_err *err);

#endif
