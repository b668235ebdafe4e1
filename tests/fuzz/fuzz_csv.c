/* Sheets as CSV, and their rows as goals: what is read is written and read again as the same.
 * links: goalsync_gateway */
#include "common/auto.h"
#include "common/json.h"
#include "services/gateway/sheet_goal.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void written_and_read_again(const struct gw_sheet *s)
{
    GS_AUTO(gw_sheet_done) struct gw_sheet again;
    GS_AUTO(gs_buf_done) struct gs_buf b;
    struct gs_err err;

    gs_buf_init(&b, 64 << 20);
    gs_buf_puts(&b, "sep=,\r\n");
    for (uint32_t row = 0; row < s->n_rows; row++) {
        for (uint32_t col = 0; col < GW_SHEET_COLS_MAX; col++)
            gw_csv_put(&b, col == 0, gw_sheet_at(s, row, col));
        gw_csv_end(&b);
    }
    if (b.len > GW_SHEET_FILE_MAX)
        return;
    gw_sheet_init(&again);
    MUST(gw_sheet_read_csv(&again, gs_buf_str(&b), b.len, &err) == GS_OK);
    MUST(again.n_rows == s->n_rows);
    for (uint32_t row = 0; row < s->n_rows; row++)
        for (uint32_t col = 0; col < GW_SHEET_COLS_MAX; col++)
            MUST(strcmp(gw_sheet_at(&again, row, col), gw_sheet_at(s, row, col)) == 0);
}

static void rows_as_json(const struct gw_sheet *s)
{
    struct gw_columns columns;
    struct gs_err err;
    struct gs_json *j;

    if (gw_columns_find(s, &columns, &err) != GS_OK)
        return;
    j = gs_json_new(1 << 22, 8);
    for (uint32_t row = columns.header + 1; row < s->n_rows; row++) {
        GS_AUTO(gs_buf_done) struct gs_buf b;
        gs_buf_init(&b, 1 << 22);
        if (gw_row_read(s, &columns, row, &b, &err) == GS_OK)
            MUST(gs_json_parse(j, gs_buf_str(&b), b.len, &err) == GS_OK && gs_json_type(j, "") == GS_JSON_OBJECT);
    }
    gs_json_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    GS_AUTO(gw_sheet_done) struct gw_sheet s;
    struct gs_err err;

    gw_sheet_init(&s);
    if (gw_sheet_read_csv(&s, (const char *)data, size, &err) != GS_OK)
        return 0;
    written_and_read_again(&s);
    rows_as_json(&s);
    return 0;
}
