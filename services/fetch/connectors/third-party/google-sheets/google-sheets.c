/* Google Sheets: the number in one cell. All links of a spreadsheet are answered by one request.
 *
 * spreadsheets.get rather than values.batchGet (Sheets API v4): it tells numbers, texts, errors and dates apart, and
 * whether a number is shown as a percentage. */
#include "services/fetch/connectors/third-party/google-sheets/range.h"

#include "common/str.h"

#include <stdio.h>
#include <string.h>

#define EXCHANGES_MAX 60   /* pieces of the list of cells, and one more for each cell that Google does not find */
#define ASKED_MAX     2000 /* bytes of ranges in one request, so that even encoded they fit into an address */
#define TEXT_SHOWN    60   /* bytes of a cell's text that are repeated */

static const char fields_wanted[] =
    "sheets(properties(sheetId,title),data(startRow,startColumn,rowData(values(effectiveValue,"
    "effectiveFormat(numberFormat(type)))))),namedRanges(name,range)";

static const struct fetch_field connection_fields[] = {{0}};

static const struct fetch_field link_fields[] = {
    {.name = "spreadsheet",
     .label = "Spreadsheet",
     .help = "Its address in the browser, or the id in it",
     .type = FETCH_TEXT,
     .required = true},
    {.name = "name",
     .label = "Named range",
     .help = "Of one cell. Better than a cell's address: it moves along when rows and columns are inserted",
     .type = FETCH_TEXT},
    {.name = "sheet", .label = "Sheet", .help = "Its title, for a cell", .type = FETCH_TEXT},
    {.name = "cell", .label = "Cell", .help = "Column and row: B7", .type = FETCH_TEXT},
    {0},
};

enum asked { NOT_YET, NOW, DONE };

struct progress {
    unsigned char asked[FETCH_TARGETS_MAX]; /* enum asked, of each target */
    bool singly; /* Google refused a list without saying which of its ranges: from now on one at a time */
};

/* ---- settings ---- */

static enum gs_rc check(const struct fetch_settings *connection, const struct fetch_settings *link, struct gs_err *err)
{
    struct sheets_range range;

    (void)connection;
    return link ? sheets_range_read(link, &range, err) : GS_OK;
}

static void batch_key(const struct fetch_settings *link, struct gs_buf *ret_key)
{
    char id[SHEETS_ID_MAX + 1];

    if (sheets_id(fetch_setting(link, "spreadsheet"), id))
        gs_buf_puts(ret_key, id);
}

/* ---- asking ---- */

static enum gs_rc ask(struct fetch_task *t)
{
    struct progress *p = fetch_scratch(t);
    char id[SHEETS_ID_MAX + 1];
    struct sheets_range range;
    size_t room = ASKED_MAX;
    enum gs_rc rc;

    if (!sheets_id(fetch_arg(t, "spreadsheet"), id))
        return gs_fail(fetch_err(t), GS_REJECT, "spreadsheet is no address and no id of a spreadsheet");
    fetch_base(t, fetch_host(t, "api"));
    rc = fetch_get(t, "/v4/spreadsheets/%s", id);
    fetch_query(t, "fields", fields_wanted);
    for (size_t i = 0; rc == GS_AGAIN && i < fetch_targets(t); i++) {
        if (p->asked[i] != NOT_YET)
            continue;
        rc = sheets_range_read(fetch_target(t, i), &range, fetch_err(t)) == GS_OK ? GS_AGAIN : fetch_err(t)->rc;
        if (rc != GS_AGAIN || strlen(range.text) > room || (p->singly && room < ASKED_MAX))
            break;
        fetch_query(t, "ranges", range.text);
        room -= strlen(range.text) + 1;
        p->asked[i] = NOW;
    }
    return rc;
}

/* The next piece, or the end. */
static enum gs_rc go_on(struct fetch_task *t)
{
    const struct progress *p = fetch_scratch(t);

    return memchr(p->asked, NOT_YET, fetch_targets(t)) ? ask(t) : GS_OK;
}

/* ---- the answer ---- */

static bool text_is(const struct gs_json *json, uint32_t at, const char *text)
{
    size_t len;
    const char *s = at == GS_JSON_NONE ? NULL : gs_json_at_text(json, at, &len);

    return s && len == strlen(text) && memcmp(s, text, len) == 0;
}

/* A count that Google leaves out when it is 0. */
static int64_t count_of(const struct gs_json *json, uint32_t object, const char *key)
{
    uint32_t at = gs_json_member(json, object, key);
    size_t len = 0;
    const char *s = at == GS_JSON_NONE ? NULL : gs_json_at_text(json, at, &len);
    char text[24];
    int64_t n = 0;

    if (!s)
        return 0;
    snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1), s);
    return gs_parse_int(text, 0, SHEETS_CELLS_MAX, &n) ? n : -1;
}

/* The sheet that a range is on: by its title, or by its id (-1: by its title). */
static uint32_t find_sheet(const struct gs_json *json, uint32_t root, const char *title, int64_t id)
{
    uint32_t sheets = gs_json_member(json, root, "sheets");

    for (uint32_t at = gs_json_first(json, sheets); at != GS_JSON_NONE; at = gs_json_next(json, sheets, at)) {
        uint32_t properties = gs_json_member(json, at, "properties");
        if (id >= 0 ? count_of(json, properties, "sheetId") == id
                    : text_is(json, gs_json_member(json, properties, "title"), title))
            return at;
    }
    return GS_JSON_NONE;
}

/* The piece of a sheet that begins at this cell; Google gives one for each range that was asked for. */
static uint32_t find_piece(const struct gs_json *json, uint32_t sheet, int64_t row, int64_t column)
{
    uint32_t data = gs_json_member(json, sheet, "data");

    for (uint32_t at = gs_json_first(json, data); at != GS_JSON_NONE; at = gs_json_next(json, data, at))
        if (count_of(json, at, "startRow") == row && count_of(json, at, "startColumn") == column)
            return at;
    return GS_JSON_NONE;
}

/* The piece's one cell; none: it is empty. False: there are more. */
static bool only_cell(const struct gs_json *json, uint32_t piece, uint32_t *ret)
{
    uint32_t rows = gs_json_member(json, piece, "rowData"), values;

    *ret = GS_JSON_NONE;
    if (rows == GS_JSON_NONE)
        return true;
    values = gs_json_member(json, gs_json_first(json, rows), "values");
    if (gs_json_at_count(json, rows) > 1 || (values != GS_JSON_NONE && gs_json_at_count(json, values) > 1))
        return false;
    *ret = values == GS_JSON_NONE ? GS_JSON_NONE : gs_json_first(json, values);
    return true;
}

/* Where a named range lies now. */
static enum gs_rc find_named(const struct gs_json *json, uint32_t root, struct sheets_range *r, int64_t *ret_sheet,
                             struct gs_err *err)
{
    uint32_t all = gs_json_member(json, root, "namedRanges");

    for (uint32_t at = gs_json_first(json, all); at != GS_JSON_NONE; at = gs_json_next(json, all, at)) {
        if (!text_is(json, gs_json_member(json, at, "name"), r->name))
            continue;
        uint32_t range = gs_json_member(json, at, "range");
        r->row = count_of(json, range, "startRowIndex");
        r->column = count_of(json, range, "startColumnIndex");
        *ret_sheet = count_of(json, range, "sheetId");
        if (r->row < 0 || r->column < 0 || *ret_sheet < 0)
            return gs_fail(err, GS_REJECT, "Google's answer has no place of the named range");
        if (count_of(json, range, "endRowIndex") == r->row + 1 &&
            count_of(json, range, "endColumnIndex") == r->column + 1)
            return GS_OK;
        return gs_fail(err, GS_REJECT, "the named range %s covers more than one cell; name a single one", r->name);
    }
    return gs_fail(err, GS_GONE, "the spreadsheet has no named range %s any more", r->name);
}

static enum gs_rc refuse_text(const struct gs_json *json, uint32_t at, const char *what, struct gs_err *err)
{
    char shown[TEXT_SHOWN + 1] = "";
    size_t len;
    const char *s = at == GS_JSON_NONE ? NULL : gs_json_at_text(json, at, &len);

    if (s)
        gs_str_clean(shown, sizeof(shown), s, len);
    return gs_fail(err, GS_REJECT, "the cell holds %s (%s); it must hold one number", what, shown);
}

/* effectiveValue is exactly one of numberValue, stringValue, boolValue and errorValue. */
static enum gs_rc read_number(const struct gs_json *json, uint32_t value, struct gs_dec *ret, struct gs_err *err)
{
    uint32_t number = gs_json_member(json, value, "numberValue"), text = gs_json_member(json, value, "stringValue"),
             error = gs_json_member(json, value, "errorValue");
    const char *digits;
    size_t len;

    if (gs_json_at_count(json, value) > 1)
        return gs_fail(err, GS_REJECT, "Google's answer has more than one value for the cell");
    if (text != GS_JSON_NONE)
        return refuse_text(json, text, "a text", err);
    if (error != GS_JSON_NONE)
        return refuse_text(json, gs_json_member(json, error, "type"), "an error", err);
    if (gs_json_member(json, value, "boolValue") != GS_JSON_NONE)
        return gs_fail(err, GS_REJECT, "the cell holds TRUE or FALSE; it must hold one number");
    if (number == GS_JSON_NONE || gs_json_at_type(json, number) != GS_JSON_NUMBER)
        return gs_fail(err, GS_REJECT, "Google's answer has no number for the cell");
    digits = gs_json_at_text(json, number, &len);
    return gs_dec_parse_float(digits, len, ret, err);
}

/* A share is kept as 0.4 and shown as 40 %: people mean 40. */
static enum gs_rc apply_format(const struct gs_json *json, uint32_t cell, struct gs_dec *value, struct gs_err *err)
{
    uint32_t format = gs_json_member(json, gs_json_member(json, cell, "effectiveFormat"), "numberFormat");
    uint32_t type = gs_json_member(json, format, "type");

    if (type == GS_JSON_NONE || text_is(json, type, "NUMBER") || text_is(json, type, "CURRENCY") ||
        text_is(json, type, "SCIENTIFIC") || text_is(json, type, "TEXT"))
        return GS_OK;
    if (text_is(json, type, "DATE") || text_is(json, type, "TIME") || text_is(json, type, "DATE_TIME"))
        return gs_fail(err, GS_REJECT, "the cell holds a date or a time; it must hold one number");
    if (!text_is(json, type, "PERCENT"))
        return gs_fail(err, GS_REJECT, "Google's answer shows the cell in a way that is not known");
    return gs_dec_mul_div(*value, gs_dec_int(100), gs_dec_int(1), value)
               ? GS_OK
               : gs_fail(err, GS_REJECT, "the cell's percentage has too many digits");
}

static enum gs_rc read_cell(const struct gs_json *json, const struct fetch_settings *link, struct gs_dec *ret,
                            struct gs_err *err)
{
    uint32_t root = gs_json_root(json), sheet, piece, cell, value;
    struct sheets_range r;
    int64_t id = -1;
    enum gs_rc rc = sheets_range_read(link, &r, err);

    if (rc == GS_OK && r.name[0])
        rc = find_named(json, root, &r, &id, err);
    if (rc != GS_OK)
        return rc;
    sheet = find_sheet(json, root, r.sheet, id);
    piece = sheet == GS_JSON_NONE ? GS_JSON_NONE : find_piece(json, sheet, r.row, r.column);
    if (piece == GS_JSON_NONE)
        return gs_fail(err, GS_REJECT, "Google's answer does not have the cell %s that was asked for", r.text);
    if (!only_cell(json, piece, &cell))
        return gs_fail(err, GS_REJECT, "Google's answer has more than one cell for %s", r.text);
    value = cell == GS_JSON_NONE ? GS_JSON_NONE : gs_json_member(json, cell, "effectiveValue");
    if (value == GS_JSON_NONE)
        return gs_fail(err, GS_REJECT, "the cell is empty, which is no number, not even 0");
    rc = read_number(json, value, ret, err);
    return rc == GS_OK ? apply_format(json, cell, ret, err) : rc;
}

static enum gs_rc read_all(struct fetch_task *t, const struct gs_json *json)
{
    struct progress *p = fetch_scratch(t);
    struct gs_dec value;
    struct gs_err err;

    for (size_t i = 0; i < fetch_targets(t); i++) {
        if (p->asked[i] != NOW)
            continue;
        p->asked[i] = DONE;
        if (read_cell(json, fetch_target(t, i), &value, &err) != GS_OK) {
            fetch_emit_failure(t, i, err.rc, "%s", err.text);
            continue;
        }
        fetch_emit(t, i, value);
        fetch_rows_seen(t, i, 1);
    }
    return go_on(t);
}

/* ---- refusals ---- */

/* Google refuses a whole list because of one range, and names it. The others are asked again without it. */
static enum gs_rc drop_range(struct fetch_task *t, const char *message)
{
    static const char words[] = "Unable to parse range: ";
    struct progress *p = fetch_scratch(t);
    const char *named = strstr(message, words);
    size_t asked = 0, dropped = 0;
    struct sheets_range r;

    for (size_t i = 0; i < fetch_targets(t); i++) {
        if (p->asked[i] != NOW)
            continue;
        asked++;
        p->asked[i] = NOT_YET;
        if (!named || sheets_range_read(fetch_target(t, i), &r, NULL) != GS_OK ||
            !gs_str_eq(named + strlen(words), r.text))
            continue;
        fetch_emit_failure(t, i, GS_GONE, "the spreadsheet has no %s %s", r.name[0] ? "named range" : "cell", r.text);
        p->asked[i] = DONE;
        dropped++;
    }
    if (!dropped && asked == 1)
        return gs_fail(fetch_err(t), GS_REJECT, "Google refuses the request: %s", message);
    p->singly = p->singly || !dropped;
    return go_on(t);
}

static enum gs_rc reply(struct fetch_task *t, const struct fetch_reply *r)
{
    struct gs_json *json = fetch_json(t, r);
    char message[200];
    const char *text;
    size_t len;

    if (!json)
        return fetch_err(t)->rc;
    if (r->status != 400)
        return gs_json_type(json, "/sheets") == GS_JSON_ARRAY
                   ? read_all(t, json)
                   : gs_fail(fetch_err(t), GS_REJECT, "Google's answer has no sheets");
    if (!gs_json_string(json, "/error/message", &text, &len))
        return fetch_judge(t, r);
    gs_str_clean(message, sizeof(message), text, len);
    return drop_range(t, message);
}

static enum gs_rc judge(struct fetch_task *t, const struct fetch_reply *r)
{
    switch (r->status) {
    case 400:
        return GS_OK; /* reply() finds out which range is meant */
    case 403:
        if (fetch_judge(t, r) == GS_DENIED)
            return gs_fail(
                fetch_err(t), GS_DENIED,
                "Google lets the connection's account not read this spreadsheet: share it with that account, or "
                "switch the Sheets API on in its project");
        return fetch_err(t)->rc;
    case 404:
        return gs_fail(fetch_err(t), GS_GONE,
                       "Google has no such spreadsheet, or it is not shared with the connection's account");
    default:
        return fetch_judge(t, r);
    }
}

static const struct fetch_auth auths[] = {
    {.name = "oauth",
     .label = "Sign in with Google",
     .help = "The account that may see the spreadsheets; nothing is ever written",
     .kind = FETCH_OAUTH,
     .authorize_url = "{accounts}/o/oauth2/v2/auth",
     .token_url = "{oauth}/token",
     .revoke_url = "{oauth}/revoke",
     .scope = "https://www.googleapis.com/auth/spreadsheets.readonly",
     .extra = "access_type=offline&prompt=consent"},
    {.name = "service_account",
     .label = "Service account",
     .help = "Its key as JSON; share each spreadsheet with the account's e-mail address as a reader",
     .kind = FETCH_OAUTH_JWT,
     .token_url = "{oauth}/token",
     .scope = "https://www.googleapis.com/auth/spreadsheets.readonly"},
    {0},
};

static const struct fetch_host hosts[] = {
    {"api", "https://sheets.googleapis.com"},
    {"accounts", "https://accounts.google.com"},
    {"oauth", "https://oauth2.googleapis.com"},
    {0},
};

/* Reads: 300 a minute for the operator's Google project, 60 of them for one user. */
static const struct fetch_budget budgets[] = {
    {.of = FETCH_OF_CLIENT, .requests = 300, .seconds = 60}, {.requests = 60, .seconds = 60}, {0}};

const struct fetch_connector fetch_connector_google_sheets = {
    .label = "Google Sheets",
    .terms_url = "https://cloud.google.com/product-terms/",
    .wire = FETCH_HTTP,
    .auths = auths,
    .hosts = hosts,
    .budgets = budgets,
    .outcomes = FETCH_NUMBER,
    .connection_fields = connection_fields,
    .link_fields = link_fields,
    .scratch = sizeof(struct progress),
    .max_exchanges = EXCHANGES_MAX,
    .check = check,
    .batch_key = batch_key,
    .start = ask,
    .reply = reply,
    .judge = judge,
};
