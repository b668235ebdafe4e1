/* Sheets as XLSX: archives, and by the first byte 'x' one part's XML in an archive that is right.
 * links: goalsync_gateway */
#include "common/auto.h"
#include "services/gateway/sheet.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    GS_AUTO(gw_sheet_done) struct gw_sheet s;
    GS_AUTO(gs_buf_done) struct gs_buf file;
    struct gs_err err;

    gw_sheet_init(&s);
    gs_buf_init(&file, 1 << 22);
    if (size == 0 || size > 1 << 20 || *data != 'x') {
        (void)!gw_sheet_read_xlsx(&s, NULL, data, size, &err);
        return 0;
    }
    struct gw_xlsx x;
    gw_xlsx_begin(&x, 1 << 22);
    gs_buf_append(&x.xml, data + 1, size - 1);
    if (gw_xlsx_finish(&x, "S", &file, &err) == GS_OK)
        (void)!gw_sheet_read_xlsx(&s, NULL, gs_buf_str(&file), file.len, &err);
    return 0;
}
