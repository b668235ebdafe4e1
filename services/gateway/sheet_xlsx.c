/* XLSX: a ZIP archive (libzip) of XML parts (expat). Read as text, written with what Excel needs to open it. */
#include "services/gateway/sheet.h"

#include "common/auto.h"
#include "common/goals/goal.h"
#include "common/mem.h"
#include "common/str.h"

#include <expat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum {
    PARTS_MAX = 2000,     /* entries of the archive */
    PART_MAX = 48 << 20,  /* bytes of one of them, unpacked */
    ALL_MAX = 96 << 20,   /* of all that are read */
    STRINGS_MAX = 600000, /* shared strings */
    FORMATS_MAX = 70000,  /* cell formats */
    CELLS_MAX = 1000000,  /* cells that are looked at, empty ones included */
    PATH_MAX_BYTES = 300,
    CHUNK = 1 << 16,
};

enum format { PLAIN, DAY, PERCENT };

struct xlsx {
    struct gw_sheet *sheet;
    struct gs_err *err;
    enum gs_rc rc;
    zip_t *zip;
    XML_Parser parser;
    size_t unpacked;
    bool since_1904;

    const char *wanted; /* name of the sheet; null: the first */
    char relation[PATH_MAX_BYTES], sheet_path[PATH_MAX_BYTES], strings_path[PATH_MAX_BYTES],
        styles_path[PATH_MAX_BYTES];

    struct gs_buf strings; /* shared ones, each ended by a zero byte */
    uint32_t *string_at;
    size_t n_strings, strings_room;

    uint8_t *formats; /* of cellXfs: enum format */
    size_t n_formats;
    uint8_t *custom; /* of number formats by id: enum format */
    bool in_formats;

    struct gs_buf value; /* characters of the element that is read */
    bool collect, phonetic;
    uint32_t row, col;
    size_t cells;
    char type;
    enum format format;
};

static void GS_PRINTF(2, 3) stop(struct xlsx *x, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    if (x->rc != GS_OK)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    x->rc = gs_fail(x->err, GS_REJECT, "%s", text);
    if (x->parser)
        XML_StopParser(x->parser, XML_FALSE);
}

/* ---- names ---- */

/* Behind the namespace. */
static const char *local(const char *name)
{
    const char *mark = strrchr(name, '|');

    return mark ? mark + 1 : name;
}

static bool is(const char *name, const char *word)
{
    return strcmp(local(name), word) == 0;
}

static const char *attribute(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (is(attributes[0], name))
            return attributes[1];
    return NULL;
}

static int64_t number_of(const char **attributes, const char *name, int64_t most, int64_t otherwise)
{
    const char *text = attribute(attributes, name);
    int64_t n;

    return text && gs_parse_int(text, 0, most, &n) ? n : otherwise;
}

static bool is_yes(const char *text)
{
    return text && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}

/* ---- one part ---- */

/* Entities blow up small files, and no spreadsheet needs any. */
static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system, const XML_Char *public, int subset)
{
    (void)name, (void)system, (void)public, (void)subset;
    stop(arg, "the file declares XML entities or a document type, which spreadsheets do not need");
}

static void on_text(void *arg, const XML_Char *text, int len)
{
    struct xlsx *x = arg;

    if (x->collect && !x->phonetic)
        gs_buf_append(&x->value, text, (size_t)len);
    if (x->value.overflow)
        stop(x, "row %u: a cell of more than %d bytes", x->row, GW_SHEET_CELL_MAX);
}

static void feed(struct xlsx *x, zip_file_t *file, const char *path)
{
    zip_int64_t n = 1;
    size_t part = 0;

    while (x->rc == GS_OK && n > 0) {
        void *room = XML_GetBuffer(x->parser, CHUNK);
        if (!room || (n = zip_fread(file, room, CHUNK)) < 0) {
            stop(x, "the part %s of the file is damaged", path);
            return;
        }
        part += (size_t)n;
        x->unpacked += (size_t)n;
        if (part > PART_MAX || x->unpacked > ALL_MAX) {
            stop(x, "the part %s unpacks to more than %d bytes", path, PART_MAX);
            return;
        }
        if (XML_ParseBuffer(x->parser, (int)n, n == 0) == XML_STATUS_ERROR && x->rc == GS_OK)
            stop(x, "the part %s is no XML in line %lu: %s", path, XML_GetCurrentLineNumber(x->parser),
                 XML_ErrorString(XML_GetErrorCode(x->parser)));
    }
}

/* False: there is none, or reading it failed (rc). */
static bool read_part(struct xlsx *x, const char *path, XML_StartElementHandler begin, XML_EndElementHandler end)
{
    zip_file_t *file = x->rc == GS_OK ? zip_fopen(x->zip, path, 0) : NULL;

    if (!file)
        return false;
    x->parser = XML_ParserCreateNS(NULL, '|');
    if (!x->parser)
        abort();
    XML_SetUserData(x->parser, x);
    XML_SetElementHandler(x->parser, begin, end);
    XML_SetCharacterDataHandler(x->parser, on_text);
    XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
    x->collect = x->phonetic = false;
    feed(x, file, path);
    XML_ParserFree(x->parser);
    x->parser = NULL;
    zip_fclose(file);
    return x->rc == GS_OK;
}

static void ignore_end(void *arg, const XML_Char *name)
{
    (void)arg, (void)name;
}

/* ---- workbook and relations ---- */

static void on_workbook(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = arg;
    const char *called = attribute(attributes, "name"), *id = attribute(attributes, "id");

    if (is(name, "workbookPr"))
        x->since_1904 = is_yes(attribute(attributes, "date1904"));
    if (!is(name, "sheet") || *x->relation || !called || !id)
        return;
    if (!x->wanted || strcasecmp(x->wanted, called) == 0)
        snprintf(x->relation, sizeof(x->relation), "%s", id);
}

static void take_path(char dst[PATH_MAX_BYTES], const char *target)
{
    if (*target == '/')
        snprintf(dst, PATH_MAX_BYTES, "%s", target + 1);
    else
        snprintf(dst, PATH_MAX_BYTES, "xl/%s", target);
}

static void on_relation(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = arg;
    const char *id = attribute(attributes, "Id"), *target = attribute(attributes, "Target");
    const char *type = attribute(attributes, "Type");

    if (!is(name, "Relationship") || !id || !target || !type || !(type = strrchr(type, '/')))
        return;
    if (strcmp(id, x->relation) == 0 && strcmp(type, "/worksheet") == 0)
        take_path(x->sheet_path, target);
    else if (strcmp(type, "/sharedStrings") == 0)
        take_path(x->strings_path, target);
    else if (strcmp(type, "/styles") == 0)
        take_path(x->styles_path, target);
}

/* ---- shared strings ---- */

static void on_string(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = arg;

    (void)attributes;
    if (is(name, "si"))
        gs_buf_clear(&x->value);
    else if (is(name, "t"))
        x->collect = true;
    else if (is(name, "rPh"))
        x->phonetic = true;
}

static void on_string_end(void *arg, const XML_Char *name)
{
    struct xlsx *x = arg;

    if (is(name, "t"))
        x->collect = false;
    if (is(name, "rPh"))
        x->phonetic = false;
    if (!is(name, "si"))
        return;
    if (x->n_strings == x->strings_room) {
        x->strings_room = x->strings_room ? 2 * x->strings_room : 256;
        x->string_at = gs_realloc_n(x->string_at, x->strings_room, sizeof(*x->string_at));
    }
    x->string_at[x->n_strings++] = (uint32_t)x->strings.len;
    gs_buf_append(&x->strings, gs_buf_str(&x->value), x->value.len);
    gs_buf_append(&x->strings, "", 1);
    if (x->n_strings == STRINGS_MAX || x->strings.overflow)
        stop(x, "the file holds too many texts; import it in parts");
}

/* ---- styles ---- */

/* What a format shows: letters of days and hours, or a percent sign, outside of quotes, brackets and escapes. */
static enum format judge_format(const char *code)
{
    bool day = false, percent = false;
    char until = '\0';

    for (; *code; code++) {
        if (until) {
            until = *code == until ? '\0' : until;
        } else if (*code == '"') {
            until = '"';
        } else if (*code == '[') {
            until = ']';
        } else if ((*code == '\\' || *code == '_' || *code == '*') && code[1]) {
            code++;
        } else {
            day |= strchr("dDmMyYhHsS", *code) != NULL;
            percent |= *code == '%';
        }
    }
    return day ? DAY : percent ? PERCENT : PLAIN;
}

static enum format format_of(const struct xlsx *x, int64_t id)
{
    if ((id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 45 && id <= 47) || (id >= 50 && id <= 58))
        return DAY;
    if (id == 9 || id == 10)
        return PERCENT;
    return (enum format)x->custom[id];
}

static void on_style(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = arg;
    const char *code = attribute(attributes, "formatCode");

    if (is(name, "cellXfs"))
        x->in_formats = true;
    else if (is(name, "numFmt") && code)
        x->custom[number_of(attributes, "numFmtId", FORMATS_MAX - 1, FORMATS_MAX - 1)] = (uint8_t)judge_format(code);
    else if (is(name, "xf") && x->in_formats && x->n_formats < FORMATS_MAX)
        x->formats[x->n_formats++] = (uint8_t)format_of(x, number_of(attributes, "numFmtId", FORMATS_MAX - 1, 0));
}

static void on_style_end(void *arg, const XML_Char *name)
{
    struct xlsx *x = arg;

    if (is(name, "cellXfs"))
        x->in_formats = false;
}

/* ---- cells ---- */

/* "AB12": column 27 of row 12. */
static bool read_place(const char *text, uint32_t *ret_row, uint32_t *ret_col)
{
    uint32_t col = 0;
    int64_t row;

    for (; *text >= 'A' && *text <= 'Z' && col < 100000; text++)
        col = 26 * col + (uint32_t)(*text - 'A' + 1);
    if (col == 0 || !gs_parse_int(text, 1, 1048576, &row))
        return false;
    *ret_row = (uint32_t)row;
    *ret_col = col - 1;
    return true;
}

static void on_cell(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = arg;
    const char *place = attribute(attributes, "r"), *type = attribute(attributes, "t");

    if (is(name, "row")) {
        x->row = (uint32_t)number_of(attributes, "r", 1048576, x->row + 1);
        x->col = UINT32_MAX;
    } else if (is(name, "c")) {
        if (++x->cells > CELLS_MAX)
            stop(x, "the sheet has more than %d cells", CELLS_MAX);
        x->col++;
        if (place && !read_place(place, &x->row, &x->col))
            stop(x, "a cell in row %u has no place that there is", x->row);
        x->type = !type ? 'n' : strcmp(type, "str") == 0 ? 'f' : *type;
        int64_t style = number_of(attributes, "s", FORMATS_MAX, 0);
        x->format = style < (int64_t)x->n_formats ? (enum format)x->formats[style] : PLAIN;
        gs_buf_clear(&x->value);
    } else if (is(name, "v") || is(name, "t")) {
        x->collect = true;
    } else if (is(name, "rPh")) {
        x->phonetic = true;
    }
}

/* Days since the file's first one. Excel takes 1900 for a leap year, so its day 60 never was. */
static bool day_text(const struct xlsx *x, double serial, char dst[40])
{
    int64_t day = (int64_t)floor(serial), era, year, of_era, of_year, month;

    if (!(serial >= 0) || serial > 2958465)
        return false;
    day += x->since_1904 ? -24107 : day > 59 ? -25569 : -25568; /* since 1970-01-01 */
    /* by civil years that begin in March */
    day += 719468;
    era = day / 146097;
    of_era = day - era * 146097;
    year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year + year / 4 - year / 100);
    month = (5 * of_year + 2) / 153;
    day = of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    year += era * 400 + (month <= 2);
    snprintf(dst, 40, "%04d-%02d-%02d", (int)year, (int)month, (int)day);
    return true;
}

/* As Excel shows it: 15 digits, no exponent. False: beyond what any goal's number can be. */
static bool plain_text(double value, char dst[40])
{
    char digits[40];
    int places = 15;

    if (!(fabs(value) < 1e20))
        return false;
    if (value == 0) {
        snprintf(dst, 40, "0");
        return true;
    }
    places -= (int)floor(log10(fabs(value))) + 1;
    places = places < 0 ? 0 : places > 18 ? 18 : places;
    snprintf(digits, sizeof(digits), "%.15g", value);
    if (strchr(digits, 'e'))
        snprintf(digits, sizeof(digits), "%.*f", places, value);
    if (strchr(digits, '.'))
        for (size_t len = strlen(digits); digits[len - 1] == '0' || digits[len - 1] == '.'; len--) {
            bool point = digits[len - 1] == '.';
            digits[len - 1] = '\0';
            if (point)
                break;
        }
    snprintf(dst, 40, "%s", strcmp(digits, "-0") == 0 ? "0" : digits);
    return true;
}

static bool percent_text(double value, char dst[GS_DEC_TEXT + 1])
{
    struct gs_dec cell, percent;
    size_t len;

    if (!plain_text(value, dst) || gs_dec_parse(dst, strlen(dst), &cell, NULL) != GS_OK ||
        !gs_percent_cell(cell, &percent))
        return false;
    len = gs_dec_format(percent, dst);
    snprintf(dst + len, 2, "%%");
    return true;
}

static void put_text(struct xlsx *x, const char *text, size_t len)
{
    enum gs_rc rc = gw_sheet_put(x->sheet, x->row, x->col, text, len, x->err);

    if (rc != GS_OK && x->rc == GS_OK) {
        x->rc = rc;
        XML_StopParser(x->parser, XML_FALSE);
    }
}

static void put_number(struct xlsx *x)
{
    const char *text = gs_buf_str(&x->value);
    char shown[GS_DEC_TEXT + 1], *end;
    double value = strtod(text, &end);
    bool fits;

    if (*end || end == text || strpbrk(text, "xXnN")) {
        put_text(x, text, x->value.len);
        return;
    }
    fits = x->format == DAY       ? day_text(x, value, shown)
           : x->format == PERCENT ? percent_text(value, shown)
                                  : plain_text(value, shown);
    put_text(x, fits ? shown : text, fits ? strlen(shown) : x->value.len);
}

static void put_shared(struct xlsx *x)
{
    int64_t i;

    if (!gs_parse_int(gs_buf_str(&x->value), 0, (int64_t)x->n_strings - 1, &i))
        stop(x, "row %u: a cell names a text that the file does not have", x->row);
    else
        put_text(x, x->strings.data + x->string_at[i], strlen(x->strings.data + x->string_at[i]));
}

static void on_cell_end(void *arg, const XML_Char *name)
{
    struct xlsx *x = arg;

    if (is(name, "v") || is(name, "t"))
        x->collect = false;
    if (is(name, "rPh"))
        x->phonetic = false;
    if (!is(name, "c") || x->value.len == 0 || x->row == 0 || x->rc != GS_OK)
        return;
    if (x->type == 's')
        put_shared(x);
    else if (x->type == 'n')
        put_number(x);
    else if (x->type == 'b')
        put_text(x, is_yes(gs_buf_str(&x->value)) ? "true" : "false", is_yes(gs_buf_str(&x->value)) ? 4 : 5);
    else
        put_text(x, gs_buf_str(&x->value), x->value.len);
}

/* ---- the file ---- */

static void read_book(struct xlsx *x)
{
    if (zip_get_num_entries(x->zip, 0) > PARTS_MAX) {
        stop(x, "the file has more than %d parts", PARTS_MAX);
        return;
    }
    if (!read_part(x, "xl/workbook.xml", on_workbook, ignore_end)) {
        stop(x, "the file is no XLSX workbook: it has no part xl/workbook.xml");
        return;
    }
    if (!*x->relation) {
        if (x->wanted)
            stop(x, "the workbook has no sheet called \"%.80s\"", x->wanted);
        stop(x, "the workbook has no sheet");
        return;
    }
    if (!read_part(x, "xl/_rels/workbook.xml.rels", on_relation, ignore_end) || !*x->sheet_path) {
        stop(x, "the file does not say where its sheet is");
        return;
    }
    if (*x->styles_path)
        (void)read_part(x, x->styles_path, on_style, on_style_end);
    if (*x->strings_path)
        (void)read_part(x, x->strings_path, on_string, on_string_end);
    if (!read_part(x, x->sheet_path, on_cell, on_cell_end))
        stop(x, "the file has no part %s", x->sheet_path);
}

enum gs_rc gw_sheet_read_xlsx(struct gw_sheet *s, const char *name, const void *data, size_t len, struct gs_err *err)
{
    struct xlsx x = {.sheet = s, .err = err, .rc = GS_OK, .wanted = name};
    zip_source_t *source;
    zip_error_t failed;

    if (len > GW_SHEET_FILE_MAX)
        return gs_fail(err, GS_REJECT, "the file has %zu bytes; the most are %d", len, GW_SHEET_FILE_MAX);
    zip_error_init(&failed);
    source = zip_source_buffer_create(data, len, 0, &failed);
    x.zip = source ? zip_open_from_source(source, ZIP_RDONLY, &failed) : NULL;
    if (!x.zip) {
        zip_source_free(source);
        zip_error_fini(&failed);
        return gs_fail(err, GS_REJECT, "the file is no XLSX: it cannot be unpacked");
    }
    zip_error_fini(&failed);
    gs_buf_init(&x.strings, GW_SHEET_TEXT_MAX);
    gs_buf_init(&x.value, GW_SHEET_CELL_MAX);
    x.formats = gs_alloc_n(FORMATS_MAX, 1);
    x.custom = gs_alloc_n(FORMATS_MAX, 1);
    read_book(&x);
    gs_buf_done(&x.strings);
    gs_buf_done(&x.value);
    free(x.string_at);
    free(x.formats);
    free(x.custom);
    zip_discard(x.zip);
    return x.rc;
}

/* ---- writing ---- */

static const char main_space[] = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

void gw_xlsx_begin(struct gw_xlsx *x, size_t ceiling)
{
    *x = (struct gw_xlsx){.row = 1};
    gs_buf_init(&x->xml, ceiling);
    gs_buf_printf(&x->xml,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><worksheet xmlns=\"%s\"><sheetData>",
                  main_space);
}

/* XML 1.0 knows no other control characters, escaped or not. */
static void put_escaped(struct gs_buf *b, const char *text)
{
    for (; *text; text++) {
        unsigned char ch = (unsigned char)*text;
        if (ch == '&')
            gs_buf_puts(b, "&amp;");
        else if (ch == '<')
            gs_buf_puts(b, "&lt;");
        else if (ch == '>')
            gs_buf_puts(b, "&gt;");
        else if (ch == '"')
            gs_buf_puts(b, "&quot;");
        else if (ch == '\r')
            gs_buf_puts(b, "&#13;");
        else if (ch >= 0x20 || ch == '\n' || ch == '\t')
            gs_buf_putc(b, (char)ch);
    }
}

static bool fits_excel(const char *text)
{
    size_t digits = 0;

    for (const char *s = text; *s; s++)
        digits += *s >= '0' && *s <= '9';
    return *text && digits <= 15 && text[strspn(text, "0123456789.-")] == '\0';
}

void gw_xlsx_put(struct gw_xlsx *x, const char *text, bool number)
{
    char place[16];
    uint32_t col = x->col++;

    if (col == 0)
        gs_buf_printf(&x->xml, "<row r=\"%u\">", x->row);
    if (!*text)
        return;
    if (col < 26)
        snprintf(place, sizeof(place), "%c%u", 'A' + (int)col, x->row);
    else
        snprintf(place, sizeof(place), "%c%c%u", 'A' + (int)(col / 26 - 1) % 26, 'A' + (int)(col % 26), x->row);
    if (number && fits_excel(text)) {
        gs_buf_printf(&x->xml, "<c r=\"%s\"><v>%s</v></c>", place, text);
        return;
    }
    gs_buf_printf(&x->xml, "<c r=\"%s\" t=\"inlineStr\"><is><t xml:space=\"preserve\">", place);
    put_escaped(&x->xml, text);
    gs_buf_puts(&x->xml, "</t></is></c>");
}

void gw_xlsx_end_row(struct gw_xlsx *x)
{
    gs_buf_puts(&x->xml, "</row>");
    x->row++;
    x->col = 0;
}

static bool add_part(zip_t *zip, const char *path, const void *data, size_t len)
{
    zip_source_t *source = zip_source_buffer(zip, data, len, 0);

    if (source && zip_file_add(zip, path, source, ZIP_FL_ENC_UTF_8) >= 0)
        return true;
    zip_source_free(source);
    return false;
}

static const char types_xml[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>"
    "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"rels\" "
    "ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Override PartName=\"/xl/workbook.xml\" "
    "ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/><Override "
    "PartName=\"/xl/worksheets/sheet1.xml\" "
    "ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/></Types>";
#define RELATIONS(type, target)                                                                                        \
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>"                                                    \
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" " \
    "Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/" type "\" Target=\"" target           \
    "\"/></Relationships>"
static const char root_xml[] = RELATIONS("officeDocument", "xl/workbook.xml");
static const char book_relations_xml[] = RELATIONS("worksheet", "worksheets/sheet1.xml");

static bool write_zip(zip_source_t *source, const struct gw_xlsx *x, const struct gs_buf *book)
{
    zip_error_t failed;
    zip_t *zip;
    bool ok;

    zip_error_init(&failed);
    zip = zip_open_from_source(source, ZIP_TRUNCATE, &failed);
    zip_error_fini(&failed);
    if (!zip)
        return false;
    zip_source_keep(source);
    ok = add_part(zip, "[Content_Types].xml", types_xml, strlen(types_xml)) &&
         add_part(zip, "_rels/.rels", root_xml, strlen(root_xml)) &&
         add_part(zip, "xl/workbook.xml", gs_buf_str(book), book->len) &&
         add_part(zip, "xl/_rels/workbook.xml.rels", book_relations_xml, strlen(book_relations_xml)) &&
         add_part(zip, "xl/worksheets/sheet1.xml", gs_buf_str(&x->xml), x->xml.len);
    if (ok && zip_close(zip) == 0)
        return true;
    zip_discard(zip);
    return false;
}

/* All that was written, from the source's own memory. */
static bool take_zip(zip_source_t *source, struct gs_buf *ret)
{
    zip_int64_t n = 0;
    char chunk[8192];

    if (zip_source_open(source) != 0)
        return false;
    while ((n = zip_source_read(source, chunk, sizeof(chunk))) > 0)
        gs_buf_append(ret, chunk, (size_t)n);
    zip_source_close(source);
    return n == 0 && !ret->overflow;
}

enum gs_rc gw_xlsx_finish(struct gw_xlsx *x, const char *sheet, struct gs_buf *ret, struct gs_err *err)
{
    GS_AUTO(gs_buf_done) struct gs_buf book;
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, NULL);
    bool ok;

    gs_buf_init(&book, 10000);
    gs_buf_printf(
        &book,
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><workbook xmlns=\"%s\" "
        "xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"",
        main_space);
    put_escaped(&book, sheet);
    gs_buf_puts(&book, "\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>");
    gs_buf_puts(&x->xml, "</sheetData></worksheet>");
    ok = source && !x->xml.overflow && write_zip(source, x, &book) && take_zip(source, ret);
    zip_source_free(source);
    gs_buf_done(&x->xml);
    return ok ? GS_OK : gs_fail(err, GS_REJECT, "the file would be too large; export a part of the goals");
}
