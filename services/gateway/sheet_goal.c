/* Columns and cells of sheets of goals. */
#include "services/gateway/sheet_goal.h"

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_ROWS = 20, WORD_MAX = 64 };

const char *const gw_column_titles[GW_COLUMNS_N] = {
    [GW_COL_ID] = "ID",
    [GW_COL_EXTERNAL_ID] = "External ID",
    [GW_COL_TYPE] = "Type",
    [GW_COL_TITLE] = "Title",
    [GW_COL_DESCRIPTION] = "Description",
    [GW_COL_OWNERS] = "Owners",
    [GW_COL_LEVEL] = "Level",
    [GW_COL_TEAMS] = "Teams",
    [GW_COL_PARENT] = "Parent",
    [GW_COL_WEIGHT] = "Weight",
    [GW_COL_CONTRIBUTES] = "Contributes",
    [GW_COL_PERIOD] = "Period",
    [GW_COL_STARTS_ON] = "Start date",
    [GW_COL_ENDS_ON] = "End date",
    [GW_COL_METRIC] = "Metric",
    [GW_COL_UNIT] = "Unit",
    [GW_COL_START] = "Start value",
    [GW_COL_TARGET] = "Target value",
    [GW_COL_RISK] = "Risk value",
    [GW_COL_VALUE] = "Current value",
    [GW_COL_PROGRESS] = "Progress",
    [GW_COL_STATUS] = "Status",
    [GW_COL_SCORE] = "Score",
    [GW_COL_MODE] = "Mode",
    [GW_COL_TAGS] = "Tags",
    [GW_COL_DELEGATE] = "Delegate",
    [GW_COL_CHECK_IN_OWNER] = "Check-in owner",
    [GW_COL_PRIVATE] = "Private",
    [GW_COL_ASPIRATIONAL] = "Aspirational",
    [GW_COL_PARENT_ROW] = "Parent row",
};

/* Further names, as words. */
static const struct {
    enum gw_column column;
    const char *name;
} synonyms[] = {
    {GW_COL_ID, "goal_id"},
    {GW_COL_EXTERNAL_ID, "original_id"},
    {GW_COL_EXTERNAL_ID, "objective_id"},
    {GW_COL_EXTERNAL_ID, "okr_id"},
    {GW_COL_TYPE, "goal_type"},
    {GW_COL_TYPE, "object_type"},
    {GW_COL_TYPE, "kind"},
    {GW_COL_TITLE, "name"},
    {GW_COL_TITLE, "goal_title"},
    {GW_COL_TITLE, "objective_title"},
    {GW_COL_TITLE, "okr_title"},
    {GW_COL_TITLE, "objective"},
    {GW_COL_TITLE, "goal"},
    {GW_COL_OWNERS, "owner"},
    {GW_COL_OWNERS, "owner_email"},
    {GW_COL_OWNERS, "owner_e_mail"},
    {GW_COL_OWNERS, "owner_emails"},
    {GW_COL_OWNERS, "owners_email"},
    {GW_COL_OWNERS, "owner_email_address"},
    {GW_COL_OWNERS, "assignee"},
    {GW_COL_LEVEL, "objective_type"},
    {GW_COL_LEVEL, "okr_type"},
    {GW_COL_LEVEL, "owner_type"},
    {GW_COL_TEAMS, "team"},
    {GW_COL_TEAMS, "team_name"},
    {GW_COL_PARENT, "parents"},
    {GW_COL_PARENT, "parent_id"},
    {GW_COL_PARENT, "parent_title"},
    {GW_COL_PARENT, "parent_goal"},
    {GW_COL_PARENT, "parent_objective"},
    {GW_COL_PARENT, "aligned_to"},
    {GW_COL_PARENT, "alignment"},
    {GW_COL_WEIGHT, "weights"},
    {GW_COL_WEIGHT, "contribution"},
    {GW_COL_WEIGHT, "contribution_weight"},
    {GW_COL_PERIOD, "time_period"},
    {GW_COL_STARTS_ON, "starts_on"},
    {GW_COL_STARTS_ON, "start_on"},
    {GW_COL_ENDS_ON, "ends_on"},
    {GW_COL_ENDS_ON, "due_date"},
    {GW_COL_ENDS_ON, "due_on"},
    {GW_COL_METRIC, "metric_kind"},
    {GW_COL_METRIC, "metric_type"},
    {GW_COL_METRIC, "target_type"},
    {GW_COL_METRIC, "key_result_type"},
    {GW_COL_METRIC, "kr_type"},
    {GW_COL_UNIT, "metric_unit"},
    {GW_COL_UNIT, "units"},
    {GW_COL_START, "start"},
    {GW_COL_START, "initial_value"},
    {GW_COL_START, "metric_start"},
    {GW_COL_TARGET, "target"},
    {GW_COL_TARGET, "metric_target"},
    {GW_COL_RISK, "risk"},
    {GW_COL_RISK, "risk_threshold"},
    {GW_COL_VALUE, "current"},
    {GW_COL_VALUE, "value"},
    {GW_COL_VALUE, "metric_value"},
    {GW_COL_VALUE, "metric_current"},
    {GW_COL_PROGRESS, "progress_percent"},
    {GW_COL_PROGRESS, "percent_complete"},
    {GW_COL_MODE, "progress_mode"},
    {GW_COL_TAGS, "tag"},
    {GW_COL_TAGS, "labels"},
    {GW_COL_DELEGATE, "delegate_email"},
    {GW_COL_CHECK_IN_OWNER, "check_in_owner_email"},
    {GW_COL_PARENT_ROW, "parent_row_reference"},
    {GW_COL_PARENT_ROW, "parent_reference"},
};

bool gw_column_is_number(enum gw_column column)
{
    return (column >= GW_COL_START && column <= GW_COL_PROGRESS) || column == GW_COL_SCORE;
}

/* ---- cells ---- */

void gw_cell_word(const char *text, char *dst, size_t size)
{
    size_t len = 0;

    for (; *text && len + 1 < size; text++) {
        char ch = *text >= 'A' && *text <= 'Z' ? (char)(*text | 0x20) : *text;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || (unsigned char)ch >= 0x80;
        if (plain)
            dst[len++] = ch;
        else if (len && dst[len - 1] != '_')
            dst[len++] = '_';
    }
    while (len && dst[len - 1] == '_')
        len--;
    dst[len] = '\0';
}

/* Of comma and point the one that comes last, and only once, is the decimal point; the other one, and apostrophes and
 * spaces, group digits. A single comma before exactly three digits could be either: it groups. */
bool gw_cell_number(const char *text, char dst[64])
{
    const char *comma = strrchr(text, ','), *point = strrchr(text, '.'), *mark = point;
    size_t len = strlen(text), n = 0, digits = 0;

    if (comma && (!point || comma > point)) {
        bool once = strchr(text, ',') == comma;
        mark = once && (point || strspn(comma + 1, "0123456789") != 3) ? comma : NULL;
    } else if (point && strchr(text, '.') != point) {
        mark = NULL;
    }
    if (len >= 60)
        return false;
    for (const char *s = text; *s; s++) {
        if (*s >= '0' && *s <= '9') {
            dst[n++] = *s;
            digits++;
        } else if (s == mark) {
            if (digits == 0)
                dst[n++] = '0';
            dst[n++] = '.';
        } else if (*s == '-' && s == text) {
            dst[n++] = '-';
        } else if (*s == '%' && !s[1]) {
            break;
        } else if (!strchr(",. '", *s) || (strchr(",.", *s) && !digits)) {
            return false;
        }
    }
    if (n && dst[n - 1] == '.')
        n--;
    dst[n] = '\0';
    return digits > 0;
}

static bool put_day(int year, int month, int day, char dst[16])
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (year < 1900 || year > 9999 || month < 1 || month > 12 || day < 1 || day > days[month - 1] ||
        (month == 2 && day == 29 && !leap))
        return false;
    snprintf(dst, 16, "%04u-%02u-%02u", (unsigned)year % 10000, (unsigned)month % 100, (unsigned)day % 100);
    return true;
}

bool gw_cell_day(const char *text, char dst[16])
{
    int a, b, c, used = 0;

    if (sscanf(text, "%4d-%2d-%2d%n", &a, &b, &c, &used) == 3 && used >= 8 && strchr(" T", text[used]))
        return put_day(a, b, c, dst);
    if (sscanf(text, "%4d/%2d/%2d%n", &a, &b, &c, &used) == 3 && used >= 8 && !text[used] && a > 99)
        return put_day(a, b, c, dst);
    if (sscanf(text, "%2d.%2d.%4d%n", &a, &b, &c, &used) == 3 && !text[used])
        return put_day(c, b, a, dst);
    if (sscanf(text, "%2d/%2d/%4d%n", &a, &b, &c, &used) != 3 || !strchr(" ", text[used]))
        return false;
    if (a > 12 || a == b)
        return put_day(c, b, a, dst);
    return b > 12 && put_day(c, a, b, dst);
}

static bool is_space(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

static char *trimmed(const char *text, size_t len)
{
    while (len && is_space(*text)) {
        text++;
        len--;
    }
    while (len && is_space(text[len - 1]))
        len--;
    return gs_strndup(text, len);
}

char *gw_column_text(const struct gw_sheet *s, const struct gw_columns *columns, uint32_t row, enum gw_column column)
{
    const char *text = columns->at[column] < 0 ? "" : gw_sheet_at(s, row, (uint32_t)columns->at[column]);

    return trimmed(text, strlen(text));
}

/* ---- columns ---- */

static int column_of(const char *word)
{
    char title[WORD_MAX];

    for (int i = 0; i < GW_COLUMNS_N; i++) {
        gw_cell_word(gw_column_titles[i], title, sizeof(title));
        if (strcmp(word, title) == 0)
            return i;
    }
    for (size_t i = 0; i < sizeof(synonyms) / sizeof(*synonyms); i++)
        if (strcmp(word, synonyms[i].name) == 0)
            return (int)synonyms[i].column;
    return -1;
}

enum gs_rc gw_columns_find(const struct gw_sheet *s, struct gw_columns *ret, struct gs_err *err)
{
    char word[WORD_MAX];

    for (uint32_t row = 0; row < s->n_rows && row < HEADER_ROWS; row++) {
        int known = 0;
        ret->header = row;
        for (int i = 0; i < GW_COLUMNS_N; i++)
            ret->at[i] = -1;
        for (uint32_t col = 0; col < GW_SHEET_COLS_MAX; col++) {
            gw_cell_word(gw_sheet_at(s, row, col), word, sizeof(word));
            int column = *word ? column_of(word) : -1;
            if (column < 0 || ret->at[column] >= 0)
                continue;
            ret->at[column] = (int)col;
            known++;
        }
        if (ret->at[GW_COL_TITLE] >= 0 && (known > 1 || row == 0))
            return GS_OK;
    }
    return gs_fail(err, GS_REJECT,
                   "none of the first rows names the columns; one of them must be called Title, others like Type, "
                   "Owners, Parent, Period, Start date, Target value");
}

/* ---- rows ---- */

struct row {
    const struct gw_sheet *sheet;
    const struct gw_columns *columns;
    uint32_t row;
    struct gs_buf *out;
    struct gs_err *err;
    enum gs_rc rc;
};

static char *cell(const struct row *r, enum gw_column column)
{
    return gw_column_text(r->sheet, r->columns, r->row, column);
}

static void put_member(struct row *r, const char *name, const char *text)
{
    gs_buf_printf(r->out, "%s\"%s\":", r->out->data[r->out->len - 1] == '{' ? "" : ",", name);
    if (strcmp(text, "\001true") == 0 || strcmp(text, "\001false") == 0)
        gs_buf_puts(r->out, text + 1);
    else
        gs_buf_put_json(r->out, text, strlen(text));
}

static void refuse(struct row *r, enum gw_column column, const char *text, const char *what)
{
    char shown[60];

    if (r->rc == GS_OK)
        r->rc = gs_fail(r->err, GS_REJECT, "%s: \"%s\" %s", gw_column_titles[column],
                        gs_str_clean(shown, sizeof(shown), text, strlen(text)), what);
}

static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void put_text(struct row *r, enum gw_column column, const char *name, size_t most)
{
    GS_AUTO(gs_freep) char *text = cell(r, column);

    if (characters(text) > most)
        refuse(r, column, text, "is too long");
    else if (*text)
        put_member(r, name, text);
}

/* As it stands there, with the spaces around it. */
static void put_words(struct row *r, enum gw_column column, const char *name, size_t most)
{
    int at = r->columns->at[column];
    const char *text = at < 0 ? "" : gw_sheet_at(r->sheet, r->row, (uint32_t)at);

    if (characters(text) > most)
        refuse(r, column, text, "is too long");
    else if (*text)
        put_member(r, name, text);
}

static void put_number(struct row *r, enum gw_column column, const char *name)
{
    GS_AUTO(gs_freep) char *text = cell(r, column);
    char number[64];

    if (!*text)
        return;
    if (gw_cell_number(text, number))
        put_member(r, name, number);
    else
        refuse(r, column, text, "is no number");
}

static void put_day_of(struct row *r, enum gw_column column, const char *name)
{
    GS_AUTO(gs_freep) char *text = cell(r, column);
    char day[16];

    if (!*text)
        return;
    if (gw_cell_day(text, day))
        put_member(r, name, day);
    else
        refuse(r, column, text, "is no day, or may be two; write 2026-10-31");
}

struct choice {
    const char *word, *means;
};

static void put_choice(struct row *r, enum gw_column column, const char *name, const struct choice *choices)
{
    GS_AUTO(gs_freep) char *text = cell(r, column);
    char word[WORD_MAX];

    if (!*text)
        return;
    gw_cell_word(text, word, sizeof(word));
    for (; choices->word; choices++)
        if (strcmp(choices->word, word) == 0) {
            put_member(r, name, choices->means);
            return;
        }
    refuse(r, column, text, "is none of the words of this column");
}

/* "a; b" and lines; of an address "Ada <ada@example.org>" what is in the angles. */
static void put_list(struct row *r, enum gw_column column, const char *name, size_t most, bool address, bool only_one)
{
    GS_AUTO(gs_freep) char *text = cell(r, column);
    const char *at = text;
    const char *marks = address ? ";,\n" : column == GW_COL_TAGS ? ";,\n" : ";\n";
    bool first = true;

    if (!*text)
        return;
    gs_buf_printf(r->out, "%s\"%s\":%s", r->out->data[r->out->len - 1] == '{' ? "" : ",", name, only_one ? "" : "[");
    while (*at) {
        size_t len = strcspn(at, marks);
        const char *open = address ? memchr(at, '<', len) : NULL;
        size_t skip = open ? (size_t)(open - at) + 1 : 0;
        GS_AUTO(gs_freep) char *one = trimmed(at + skip, strcspn(at + skip, open ? ">" : marks));
        at += len + (at[len] != '\0');
        if (!*one || (only_one && !first))
            continue;
        if (characters(one) > most)
            refuse(r, column, one, "is too long");
        gs_buf_puts(r->out, first ? "" : ",");
        gs_buf_put_json(r->out, one, strlen(one));
        first = false;
    }
    if (only_one && first)
        gs_buf_puts(r->out, "null");
    if (!only_one)
        gs_buf_putc(r->out, ']');
}

static const struct choice types[] = {
    {"objective", "objective"}, {"key_result", "key_result"}, {"kr", "key_result"}, {"keyresult", "key_result"},
    {"initiative", "project"},  {"project", "project"},       {NULL, NULL},
};
static const struct choice levels[] = {
    {"organisation", "organisation"}, {"organization", "organisation"},
    {"company", "organisation"},      {"team", "team"},
    {"individual", "individual"},     {NULL, NULL},
};
static const struct choice metrics[] = {
    {"percent", "percent"},
    {"percentage", "percent"},
    {"percent_complete", "percent"},
    {"reach", "reach"},
    {"increase", "increase"},
    {"increase_from", "increase"},
    {"decrease", "decrease"},
    {"decrease_from", "decrease"},
    {"stay_below", "stay_below"},
    {"stay_above", "stay_above"},
    {"baseline", "baseline"},
    {"find_a_baseline", "baseline"},
    {NULL, NULL},
};
static const struct choice modes[] = {
    {"manual", "manual"},           {"roll_up", "roll_up"}, {"rollup", "roll_up"}, {"roll_up_from_children", "roll_up"},
    {"data_source", "data_source"}, {NULL, NULL},
};
static const struct choice statuses[] = {
    {"not_started", "not_started"}, {"on_track", "on_track"},
    {"behind", "behind"},           {"at_risk", "at_risk"},
    {"in_progress", "in_progress"}, {"closed", "closed"},
    {"completed", "closed"},        {"postponed", "postponed"},
    {"reopened", "reopened"},       {NULL, NULL},
};
static const struct choice yes_no[] = {
    {"true", "\001true"}, {"yes", "\001true"}, {"1", "\001true"}, {"false", "\001false"},
    {"no", "\001false"},  {"0", "\001false"},  {NULL, NULL},
};

/* From 0 to 1. */
static void put_score(struct row *r)
{
    GS_AUTO(gs_freep) char *text = cell(r, GW_COL_SCORE);
    char number[64];

    if (!*text)
        return;
    if (gw_cell_number(text, number) && *number != '-' && strtod(number, NULL) <= 1)
        put_member(r, "score", number);
    else
        refuse(r, GW_COL_SCORE, text, "is no score from 0 to 1");
}

/* What is measured in percent may have its value as progress only. */
static void put_value(struct row *r)
{
    GS_AUTO(gs_freep) char *value = cell(r, GW_COL_VALUE);
    GS_AUTO(gs_freep) char *metric = cell(r, GW_COL_METRIC);
    GS_AUTO(gs_freep) char *target = cell(r, GW_COL_TARGET);
    char word[WORD_MAX];

    gw_cell_word(metric, word, sizeof(word));
    if (*value)
        put_number(r, GW_COL_VALUE, "value");
    else if ((!*word && !*target) || strncmp(word, "percent", 7) == 0)
        put_number(r, GW_COL_PROGRESS, "value");
}

/* Targets say how they are reached where no metric does. */
static void guess_metric(struct row *r)
{
    GS_AUTO(gs_freep) char *metric = cell(r, GW_COL_METRIC);
    GS_AUTO(gs_freep) char *target = cell(r, GW_COL_TARGET);
    GS_AUTO(gs_freep) char *start = cell(r, GW_COL_START);
    char from[64], to[64];

    if (*metric || !*target || !gw_cell_number(target, to))
        return;
    if (!gw_cell_number(start, from))
        put_member(r, "metric", "reach");
    else
        put_member(r, "metric", strtod(to, NULL) < strtod(from, NULL) ? "decrease" : "increase");
}

enum gs_rc gw_row_read(const struct gw_sheet *s, const struct gw_columns *columns, uint32_t row, struct gs_buf *ret,
                       struct gs_err *err)
{
    struct row r = {s, columns, row, ret, err, GS_OK};
    GS_AUTO(gs_freep) char *title = cell(&r, GW_COL_TITLE);

    gs_buf_putc(ret, '{');
    if (!*title)
        refuse(&r, GW_COL_TITLE, title, "is empty; a goal needs a title");
    put_words(&r, GW_COL_TITLE, "title", 500);
    put_text(&r, GW_COL_ID, "id", 200);
    put_text(&r, GW_COL_EXTERNAL_ID, "external_id", 200);
    put_words(&r, GW_COL_DESCRIPTION, "description", 10000);
    put_text(&r, GW_COL_PERIOD, "period", 100);
    put_text(&r, GW_COL_UNIT, "unit", 20);
    put_choice(&r, GW_COL_TYPE, "kind", types);
    put_choice(&r, GW_COL_LEVEL, "level", levels);
    put_choice(&r, GW_COL_METRIC, "metric", metrics);
    guess_metric(&r);
    put_choice(&r, GW_COL_MODE, "mode", modes);
    put_choice(&r, GW_COL_STATUS, "status", statuses);
    put_choice(&r, GW_COL_PRIVATE, "private", yes_no);
    put_choice(&r, GW_COL_ASPIRATIONAL, "aspirational", yes_no);
    put_list(&r, GW_COL_OWNERS, "owners", 254, true, false);
    put_list(&r, GW_COL_DELEGATE, "delegate", 254, true, true);
    put_list(&r, GW_COL_CHECK_IN_OWNER, "check_in_owner", 254, true, true);
    put_list(&r, GW_COL_TEAMS, "teams", 200, false, false);
    put_list(&r, GW_COL_TAGS, "tags", 50, false, false);
    put_day_of(&r, GW_COL_STARTS_ON, "starts_on");
    put_day_of(&r, GW_COL_ENDS_ON, "ends_on");
    put_number(&r, GW_COL_START, "start");
    put_number(&r, GW_COL_TARGET, "target");
    put_number(&r, GW_COL_RISK, "risk");
    put_value(&r);
    put_score(&r);
    gs_buf_putc(ret, '}');
    return r.rc;
}
