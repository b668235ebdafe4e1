/* Rows of a sheet as goals: which column is what, under which names, and what its cells may say. Without a database. */
#ifndef GATEWAY_SHEET_GOAL_H
#define GATEWAY_SHEET_GOAL_H

#include "services/gateway/sheet.h"

enum gw_column {
    GW_COL_ID, /* in the order in which they are exported */
    GW_COL_EXTERNAL_ID,
    GW_COL_TYPE,
    GW_COL_TITLE,
    GW_COL_DESCRIPTION,
    GW_COL_OWNERS,
    GW_COL_LEVEL,
    GW_COL_TEAMS,
    GW_COL_PARENT,
    GW_COL_WEIGHT,
    GW_COL_CONTRIBUTES,
    GW_COL_PERIOD,
    GW_COL_STARTS_ON,
    GW_COL_ENDS_ON,
    GW_COL_METRIC,
    GW_COL_UNIT,
    GW_COL_START,
    GW_COL_TARGET,
    GW_COL_RISK,
    GW_COL_VALUE,
    GW_COL_PROGRESS,
    GW_COL_STATUS,
    GW_COL_SCORE,
    GW_COL_MODE,
    GW_COL_TAGS,
    GW_COL_DELEGATE,
    GW_COL_CHECK_IN_OWNER,
    GW_COL_PRIVATE,
    GW_COL_ASPIRATIONAL,
    GW_COL_PARENT_ROW, /* is read only */
    GW_COLUMNS_N,
};
#define GW_COLUMNS_EXPORTED ((int)GW_COL_PARENT_ROW)
extern const char *const gw_column_titles[GW_COLUMNS_N];
bool gw_column_is_number(enum gw_column column);

struct gw_columns {
    uint32_t header;      /* the row that names the columns */
    int at[GW_COLUMNS_N]; /* -1: there is none */
};
/* GS_REJECT: none of the first rows names a column for the title. */
enum gs_rc gw_columns_find(const struct gw_sheet *s, struct gw_columns *ret, struct gs_err *err) GS_MUST_CHECK;
/* "" when the column or the cell is not there; without spaces around it. Owned. */
char *gw_column_text(const struct gw_sheet *s, const struct gw_columns *columns, uint32_t row, enum gw_column column);

/* A row as a JSON object of what its cells say, as gw_transfer_names() takes it; an empty cell says nothing. GS_REJECT:
 * a cell is not what its column takes. */
enum gs_rc gw_row_read(const struct gw_sheet *s, const struct gw_columns *columns, uint32_t row, struct gs_buf *ret,
                       struct gs_err *err) GS_MUST_CHECK;
/* "12.5", "1,234.5", "12,5", "25%" to a decimal's text. False: no number. */
bool gw_cell_number(const char *text, char dst[64]);
/* 2026-10-01, 01.10.2026, and 10/31/2026 or 31/10/2026 where only one of them is a day. */
bool gw_cell_day(const char *text, char dst[16]);
/* "on_track" for "On Track" */
void gw_cell_word(const char *text, char *dst, size_t size);

#endif
