/* Files, cells and number formats. */
#include "services/fetch/connectors/in-boundary/excel-online/cell.h"

#include "common/jose.h"
#include "common/str.h"

#include <ctype.h>
#include <string.h>

#define COLUMN_LEN 3 /* XFD */
#define ROW_MAX    1048576
#define NAME_MAX   255
#define TEXT_SHOWN 60 /* bytes of a cell's text that are repeated */

/* ---- settings ---- */

bool excel_id_ok(const char *id)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_!.";
    size_t len = strspn(id, alphabet);

    return len > 0 && len <= EXCEL_ID_MAX && id[len] == '\0';
}

static bool read_pair(const char *file, struct excel_file *ret)
{
    const char *slash = strchr(file, '/');
    size_t len = slash ? (size_t)(slash - file) : 0;

    if (!slash || len > EXCEL_ID_MAX || strlen(slash + 1) > EXCEL_ID_MAX)
        return false;
    memcpy(ret->drive, file, len);
    memcpy(ret->item, slash + 1, strlen(slash + 1));
    return excel_id_ok(ret->drive) && excel_id_ok(ret->item);
}

enum gs_rc excel_file_read(const struct fetch_settings *link, struct excel_file *ret, struct gs_err *err)
{
    const char *file = fetch_setting(link, "file");

    *ret = (struct excel_file){.share = "u!"};
    if (gs_str_starts(file, "https://") && strlen(file) <= EXCEL_ADDRESS_MAX) {
        gs_base64url_encode(file, strlen(file), ret->share + 2);
        return GS_OK;
    }
    if (read_pair(file, ret))
        return GS_OK;
    return gs_fail(err, GS_REJECT,
                   "file must be its address in the browser (https://...sharepoint.com/...), or DRIVE-ID/ITEM-ID");
}

static bool cell_ok(const char *cell)
{
    size_t letters = 0;
    int64_t row;

    while (isalpha((unsigned char)cell[letters]))
        letters++;
    return letters > 0 && letters <= COLUMN_LEN && isdigit((unsigned char)cell[letters]) && cell[letters] != '0' &&
           gs_parse_int(cell + letters, 1, ROW_MAX, &row);
}

/* Excel's own rule for names, as far as it keeps them apart from anything else in an address. */
static bool name_ok(const char *name)
{
    if (strlen(name) > NAME_MAX || isdigit((unsigned char)name[0]))
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_.\\?", *p) && (unsigned char)*p < 0x80)
            return false;
    return true;
}

enum gs_rc excel_cell_check(const struct fetch_settings *link, struct gs_err *err)
{
    const char *name = fetch_setting(link, "name"), *sheet = fetch_setting(link, "sheet"),
               *cell = fetch_setting(link, "cell");

    if (name[0] ? cell[0] || sheet[0] : !cell[0] || !sheet[0])
        return gs_fail(err, GS_REJECT, "give either the name of a range, or a sheet's title and a cell such as B7");
    if (name[0])
        return name_ok(name)
                   ? GS_OK
                   : gs_fail(err, GS_REJECT,
                             "name must be of letters, digits, dots and underscores, and not begin with a digit");
    return cell_ok(cell) ? GS_OK : gs_fail(err, GS_REJECT, "cell must be one cell by column and row, such as B7");
}

/* ---- the answer ---- */

/* What a number format shows, found by what stands outside of quotes, brackets and escapes. */
enum shown { PLAIN, PERCENT, TIME };

static enum shown shown_as(const char *format)
{
    enum shown found = PLAIN;

    if (gs_str_eq(format, "General") || gs_str_eq(format, "@"))
        return PLAIN;
    for (const char *p = format; *p; p++) {
        if (*p == '"' || *p == '[') {
            const char *end = strchr(p + 1, *p == '"' ? '"' : ']');
            p = end ? end : p + strlen(p) - 1;
        } else if (*p == '\\' || *p == '_' || *p == '*') {
            p += p[1] != '\0';
        } else if (*p == '%') {
            found = PERCENT;
        } else if (strchr("dmyhsDMYHS", *p)) {
            return TIME;
        }
    }
    return found;
}

static enum gs_rc refuse(struct gs_json *json, const char *type, struct gs_err *err)
{
    char shown[TEXT_SHOWN + 1] = "";
    const char *text;
    size_t len;

    if (gs_str_eq(type, "Empty"))
        return gs_fail(err, GS_REJECT, "the cell is empty, which is no number, not even 0");
    if (gs_json_string(json, "/values/0/0", &text, &len))
        gs_str_clean(shown, sizeof(shown), text, len);
    if (gs_str_eq(type, "Error"))
        return gs_fail(err, GS_REJECT, "the cell holds an error (%s); it must hold one number", shown);
    if (gs_str_eq(type, "Boolean"))
        return gs_fail(err, GS_REJECT, "the cell holds TRUE or FALSE; it must hold one number");
    return gs_fail(err, GS_REJECT, "the cell holds a text (%s); it must hold one number", shown);
}

static bool is_single(struct gs_json *json, const char *rows, const char *cells)
{
    return gs_json_count(json, rows) == 1 && gs_json_count(json, cells) == 1;
}

/* "Sheet1!B7", also with dollar signs. */
static bool is_of(const char *address, const char *cell)
{
    const char *at = strrchr(address, '!');

    for (at = at ? at + 1 : address; *at; at++) {
        if (*at == '$')
            continue;
        if (toupper((unsigned char)*at) != toupper((unsigned char)*cell))
            return false;
        cell++;
    }
    return !*cell;
}

enum gs_rc excel_range_check(struct gs_json *json, struct gs_err *err)
{
    if (gs_json_type(json, "/values/0/0") == GS_JSON_MISSING || gs_json_type(json, "/address") != GS_JSON_STRING)
        return gs_fail(err, GS_REJECT, "Graph's answer has no values");
    if (gs_json_type(json, "/valueTypes/0/0") != GS_JSON_STRING ||
        gs_json_type(json, "/numberFormat/0/0") != GS_JSON_STRING)
        return gs_fail(err, GS_REJECT, "Graph's answer does not say what the cell holds");
    return GS_OK;
}

enum gs_rc excel_cell_value(struct gs_json *json, const char *cell, struct gs_dec *ret, struct gs_err *err)
{
    uint32_t at = gs_json_at(json, "/values/0/0");
    const char *type, *format, *digits, *address;
    size_t len;

    if (!gs_json_string(json, "/address", &address, &len) || (*cell && !is_of(address, cell)))
        return gs_fail(err, GS_REJECT, "Graph's answer is not of the range that was asked for");
    if (!is_single(json, "/values", "/values/0"))
        return gs_fail(err, GS_REJECT, "the range covers more than one cell; name a single one");
    if (!gs_json_string(json, "/valueTypes/0/0", &type, &len) ||
        !gs_json_string(json, "/numberFormat/0/0", &format, &len))
        return gs_fail(err, GS_REJECT, "Graph's answer does not say what the cell holds");
    if (!gs_str_eq(type, "Double") && !gs_str_eq(type, "Integer"))
        return refuse(json, type, err);
    if (gs_json_at_type(json, at) != GS_JSON_NUMBER)
        return gs_fail(err, GS_REJECT, "Graph's answer has no number for the cell");
    digits = gs_json_at_text(json, at, &len);
    if (gs_dec_parse_float(digits, len, ret, err) != GS_OK)
        return GS_REJECT;
    switch (shown_as(format)) {
    case TIME:
        return gs_fail(err, GS_REJECT, "the cell holds a date or a time; it must hold one number");
    case PERCENT:
        if (gs_dec_mul_div(*ret, gs_dec_int(100), gs_dec_int(1), ret))
            return GS_OK;
        return gs_fail(err, GS_REJECT, "the cell's percentage has too many digits");
    case PLAIN:
        break;
    }
    return GS_OK;
}
