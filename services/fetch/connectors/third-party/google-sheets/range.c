/* Reads a link's cell, strictly: what is sent to Google in a range must not mean anything else there. */
#include "services/fetch/connectors/third-party/google-sheets/range.h"

#include "common/str.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ID_MIN     10
#define COLUMN_MAX 18278 /* ZZZ */
#define COLUMN_LEN 3
#define ROW_MAX    10000000

bool sheets_id(const char *spreadsheet, char ret[SHEETS_ID_MAX + 1])
{
    static const char address[] = "https://docs.google.com/spreadsheets/d/";
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    bool is_address = gs_str_starts(spreadsheet, address);
    const char *id = spreadsheet + (is_address ? strlen(address) : 0);
    size_t len = strspn(id, alphabet);

    if (len < ID_MIN || len > SHEETS_ID_MAX || (id[len] && !(is_address && strchr("/?#", id[len]))))
        return false;
    memcpy(ret, id, len);
    ret[len] = '\0';
    return true;
}

static bool read_name(const char *name, char ret[SHEETS_NAME_MAX + 1])
{
    size_t len = strlen(name);

    if (len > SHEETS_NAME_MAX || isdigit((unsigned char)name[0]))
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && (unsigned char)*p < 0x80)
            return false;
    memcpy(ret, name, len + 1);
    return true;
}

static bool read_cell(const char *cell, struct sheets_range *ret)
{
    size_t letters = 0;
    int64_t row;

    ret->column = 0;
    for (; isalpha((unsigned char)cell[letters]) && letters <= COLUMN_LEN; letters++)
        ret->column = ret->column * 26 + (toupper((unsigned char)cell[letters]) - 'A' + 1);
    if (letters == 0 || letters > COLUMN_LEN || ret->column > COLUMN_MAX || cell[letters] == '0' ||
        !isdigit((unsigned char)cell[letters]) || !gs_parse_int(cell + letters, 1, ROW_MAX, &row))
        return false;
    ret->column--;
    ret->row = row - 1;
    return true;
}

/* 'It''s a title'!B7 */
static void put_text(struct sheets_range *r, const char *cell)
{
    char *at = r->text;

    *at++ = '\'';
    for (const char *p = r->sheet; *p; p++) {
        if (*p == '\'')
            *at++ = '\'';
        *at++ = *p;
    }
    *at++ = '\'';
    *at++ = '!';
    for (const char *p = cell; *p; p++)
        *at++ = (char)toupper((unsigned char)*p);
    *at = '\0';
}

enum gs_rc sheets_range_read(const struct fetch_settings *link, struct sheets_range *ret, struct gs_err *err)
{
    const char *name = fetch_setting(link, "name"), *sheet = fetch_setting(link, "sheet"),
               *cell = fetch_setting(link, "cell");
    char id[SHEETS_ID_MAX + 1];

    *ret = (struct sheets_range){0};
    if (!sheets_id(fetch_setting(link, "spreadsheet"), id))
        return gs_fail(err, GS_REJECT,
                       "spreadsheet must be its address (https://docs.google.com/spreadsheets/d/...) or the id in it");
    if (name[0] ? cell[0] || sheet[0] : !cell[0] || !sheet[0])
        return gs_fail(err, GS_REJECT, "give either the name of a range, or a sheet's title and a cell such as B7");
    if (name[0] && !read_name(name, ret->name))
        return gs_fail(err, GS_REJECT, "name must be of letters, digits and underscores, and not begin with a digit");
    if (name[0]) {
        snprintf(ret->text, sizeof(ret->text), "%s", ret->name);
        return GS_OK;
    }
    if (strlen(sheet) > SHEETS_TITLE_MAX)
        return gs_fail(err, GS_REJECT, "sheet is longer than %d bytes", SHEETS_TITLE_MAX);
    if (!read_cell(cell, ret))
        return gs_fail(err, GS_REJECT, "cell must be one cell by column and row, such as B7");
    snprintf(ret->sheet, sizeof(ret->sheet), "%s", sheet);
    put_text(ret, cell);
    return GS_OK;
}
