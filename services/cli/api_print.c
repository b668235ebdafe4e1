/* Answers of the API for people: lists as tables, things as records; and JSON text of what was read. */
#include "common/str.h"
#include "services/cli/api.h"
#include "services/cli/out.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 8, CELL_MAX = 48, LABEL_WIDTH = 10, LABEL_MAX = 30, ROWS_MEASURED = 1000, INDENT = 2 };

void api_put_json(struct gs_buf *b, const struct gs_json *j, uint32_t at)
{
    enum gs_json_type type = gs_json_at_type(j, at);
    const char *text;
    size_t len;
    bool first = true;

    switch (type) {
    case GS_JSON_MISSING:
    case GS_JSON_NULL:
        gs_buf_puts(b, "null");
        break;
    case GS_JSON_BOOL:
        gs_buf_puts(b, gs_json_at_bool(j, at) ? "true" : "false");
        break;
    case GS_JSON_NUMBER:
        text = gs_json_at_text(j, at, &len);
        gs_buf_append(b, text, len);
        break;
    case GS_JSON_STRING:
        text = gs_json_at_text(j, at, &len);
        gs_buf_put_json(b, text, len);
        break;
    case GS_JSON_ARRAY:
    case GS_JSON_OBJECT:
        gs_buf_putc(b, type == GS_JSON_ARRAY ? '[' : '{');
        for (uint32_t in = gs_json_first(j, at); in != GS_JSON_NONE; in = gs_json_next(j, at, in), first = false) {
            gs_buf_puts(b, first ? "" : ",");
            if (type == GS_JSON_OBJECT) {
                text = gs_json_key(j, in, &len);
                gs_buf_put_json(b, text, len);
                gs_buf_putc(b, ':');
            }
            api_put_json(b, j, in); /* as deep as the parser allows */
        }
        gs_buf_putc(b, type == GS_JSON_ARRAY ? ']' : '}');
        break;
    }
}

static bool is_nested(const struct gs_json *j, uint32_t at)
{
    enum gs_json_type type = gs_json_at_type(j, at);

    return type == GS_JSON_ARRAY || type == GS_JSON_OBJECT;
}

static bool is_flat_list(const struct gs_json *j, uint32_t at)
{
    if (gs_json_at_type(j, at) != GS_JSON_ARRAY)
        return false;
    for (uint32_t in = gs_json_first(j, at); in != GS_JSON_NONE; in = gs_json_next(j, at, in))
        if (is_nested(j, in))
            return false;
    return true;
}

static bool is_empty(const struct gs_json *j, uint32_t at)
{
    enum gs_json_type type = gs_json_at_type(j, at);
    size_t len = 1;

    if (type == GS_JSON_STRING)
        (void)gs_json_at_text(j, at, &len);
    return type == GS_JSON_MISSING || type == GS_JSON_NULL || len == 0 ||
           (is_nested(j, at) && gs_json_at_count(j, at) == 0);
}

/* What a thing is called: people are shown by name, not by everything that is known of them. */
static uint32_t name_of(const struct gs_json *j, uint32_t at)
{
    static const char *const names[] = {"name", "title", "email", "id"};
    uint32_t found = GS_JSON_NONE;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && found == GS_JSON_NONE; i++)
        found = gs_json_member(j, at, names[i]);
    return found;
}

static void put_value(struct gs_buf *b, const struct gs_json *j, uint32_t at)
{
    enum gs_json_type type = gs_json_at_type(j, at);
    size_t len;

    if (type == GS_JSON_STRING) {
        const char *text = gs_json_at_text(j, at, &len);
        gs_buf_puts(b, *text ? text : "-");
    } else if (type == GS_JSON_NULL || type == GS_JSON_MISSING) {
        gs_buf_puts(b, "-");
    } else if (type == GS_JSON_BOOL) {
        gs_buf_puts(b, gs_json_at_bool(j, at) ? "yes" : "no");
    } else if (type == GS_JSON_OBJECT && name_of(j, at) != GS_JSON_NONE) {
        put_value(b, j, name_of(j, at));
    } else if (is_flat_list(j, at)) {
        for (uint32_t in = gs_json_first(j, at); in != GS_JSON_NONE; in = gs_json_next(j, at, in)) {
            gs_buf_puts(b, in == gs_json_first(j, at) ? "" : ", ");
            put_value(b, j, in);
        }
    } else {
        api_put_json(b, j, at);
    }
}

/* ---- tables ---- */

struct table {
    const char *names[COLUMNS_MAX];
    int widths[COLUMNS_MAX], n;
};

static bool has_column(const struct table *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (gs_str_eq(t->names[i], name))
            return true;
    return false;
}

/* A column nothing stands in is no column. */
static bool is_told(const struct gs_json *j, uint32_t list, const char *name)
{
    int n = 0;

    for (uint32_t at = gs_json_first(j, list); at != GS_JSON_NONE && n++ < ROWS_MEASURED;
         at = gs_json_next(j, list, at)) {
        uint32_t value = gs_json_member(j, at, name);
        enum gs_json_type type = gs_json_at_type(j, value);
        bool shown = !is_nested(j, value) || is_flat_list(j, value) ||
                     (type == GS_JSON_OBJECT && name_of(j, value) != GS_JSON_NONE);
        if (shown && !is_empty(j, value))
            return true;
    }
    return false;
}

/* An organisation that all rows are of is known to who asked; what has a name beside it is shown by that. */
static bool is_needless(const struct gs_json *j, uint32_t list, const char *name)
{
    uint32_t row = gs_json_first(j, list);
    const char *first = api_text(j, row, name);
    char named[64];

    snprintf(named, sizeof(named), "%s_name", name);
    if (gs_json_member(j, row, named) != GS_JSON_NONE)
        return is_told(j, list, named);
    if (!gs_str_eq(name, "organisation_id") || gs_json_at_count(j, list) == 1)
        return false;
    while (row != GS_JSON_NONE && gs_str_eq(first, api_text(j, row, name)))
        row = gs_json_next(j, list, row);
    return row == GS_JSON_NONE;
}

static void add_column(struct table *t, const struct gs_json *j, uint32_t list, const char *name)
{
    if (t->n < COLUMNS_MAX && !has_column(t, name) && is_told(j, list, name) && !is_needless(j, list, name))
        t->names[t->n++] = name;
}

/* What people look for first, then the rest in the answer's order, as far as a line holds them. */
static void choose_columns(struct table *t, const struct gs_json *j, uint32_t list)
{
    static const char *const wanted[] = {"id",
                                         "organisation_id",
                                         "title",
                                         "name",
                                         "organisation_name",
                                         "email",
                                         "kind",
                                         "type",
                                         "status",
                                         "state",
                                         "progress",
                                         "value",
                                         "role",
                                         "action",
                                         "actor",
                                         "actor_name",
                                         "at"};
    uint32_t row = gs_json_first(j, list);
    size_t len;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        add_column(t, j, list, wanted[i]);
    for (uint32_t at = gs_json_first(j, row); at != GS_JSON_NONE; at = gs_json_next(j, row, at))
        add_column(t, j, list, gs_json_key(j, at, &len));
}

static void put_member_text(struct gs_buf *b, const struct gs_json *j, uint32_t row, const char *name)
{
    gs_buf_clear(b);
    put_value(b, j, gs_json_member(j, row, name));
}

static void measure(struct table *t, const struct gs_json *j, uint32_t list, struct gs_buf *text)
{
    for (int i = 0; i < t->n; i++) {
        t->widths[i] = cli_width(t->names[i]);
        for (uint32_t at = gs_json_first(j, list); at != GS_JSON_NONE; at = gs_json_next(j, list, at)) {
            put_member_text(text, j, at, t->names[i]);
            int width = cli_width(gs_buf_str(text));
            width = width > CELL_MAX ? CELL_MAX : width;
            t->widths[i] = width > t->widths[i] ? width : t->widths[i];
        }
    }
}

static void end_line(struct gs_buf *out, struct gs_buf *line, int indent, enum cli_colour colour)
{
    while (line->len && line->data[line->len - 1] == ' ')
        line->data[--line->len] = '\0';
    gs_buf_printf(out, "%*s", indent, "");
    cli_put_colour(out, colour, gs_buf_str(line));
    gs_buf_putc(out, '\n');
    gs_buf_clear(line);
}

static void put_table(struct gs_buf *out, const struct gs_json *j, uint32_t list, int indent)
{
    struct table t = {0};
    struct gs_buf line, text;

    gs_buf_init(&line, CLI_OUT_MAX);
    gs_buf_init(&text, CLI_OUT_MAX);
    choose_columns(&t, j, list);
    measure(&t, j, list, &text);
    for (int i = 0; i < t.n; i++) {
        gs_buf_clear(&text);
        for (const char *p = t.names[i]; *p; p++)
            gs_buf_putc(&text, *p == '_' ? ' ' : *p);
        gs_buf_puts(&line, i ? "  " : "");
        cli_put_cell(&line, gs_buf_str(&text), t.widths[i], false);
    }
    end_line(out, &line, indent, CLI_DIM);
    for (uint32_t at = gs_json_first(j, list); at != GS_JSON_NONE; at = gs_json_next(j, list, at)) {
        for (int i = 0; i < t.n; i++) {
            put_member_text(&text, j, at, t.names[i]);
            gs_buf_puts(&line, i ? "  " : "");
            cli_put_cell(&line, gs_buf_str(&text), t.widths[i], false);
        }
        end_line(out, &line, indent, CLI_PLAIN);
    }
    gs_buf_done(&line);
    gs_buf_done(&text);
}

/* ---- records ---- */

static bool is_table(const struct gs_json *j, uint32_t at)
{
    uint32_t first = gs_json_at_type(j, at) == GS_JSON_ARRAY ? gs_json_first(j, at) : GS_JSON_NONE;

    return first != GS_JSON_NONE && gs_json_at_type(j, first) == GS_JSON_OBJECT;
}

/* width 0: of the label alone. */
static void put_label(struct gs_buf *out, const char *key, int indent, int width)
{
    char label[64];

    snprintf(label, sizeof(label), "%s", key);
    for (char *p = label; *p; p++)
        *p = *p == '_' ? ' ' : *p;
    gs_buf_printf(out, "%*s", indent, "");
    cli_put_cell(out, label, width > cli_width(label) ? width : cli_width(label), false);
}

/* Of the labels that something stands beside. */
static int label_width(const struct gs_json *j, uint32_t record)
{
    int width = LABEL_WIDTH;
    size_t len;

    for (uint32_t at = gs_json_first(j, record); at != GS_JSON_NONE; at = gs_json_next(j, record, at))
        if (!is_empty(j, at) && cli_width(gs_json_key(j, at, &len)) > width)
            width = cli_width(gs_json_key(j, at, &len));
    return width < LABEL_MAX ? width : LABEL_MAX;
}

/* Text from outside may hold control characters, which may not draw on the terminal. Its lines stand below each other.
 */
static void put_text(struct gs_buf *out, const struct gs_json *j, uint32_t at, int indent)
{
    struct gs_buf text;

    gs_buf_init(&text, CLI_OUT_MAX);
    put_value(&text, j, at);
    for (char *line = text.len ? text.data : NULL, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        if (end && !*end)
            end = NULL;
        cli_put_cell(out, line, cli_width(line), false);
        if (end)
            gs_buf_printf(out, "\n%*s", indent, "");
    }
    gs_buf_done(&text);
}

static void put_record(struct gs_buf *out, const struct gs_json *j, uint32_t record, int indent)
{
    int width = label_width(j, record);
    size_t len;

    for (uint32_t at = gs_json_first(j, record); at != GS_JSON_NONE; at = gs_json_next(j, record, at)) {
        enum gs_json_type type = gs_json_at_type(j, at);
        if (is_empty(j, at))
            continue;
        put_label(out, gs_json_key(j, at, &len), indent, type == GS_JSON_OBJECT || is_table(j, at) ? 0 : width);
        if (is_table(j, at)) {
            gs_buf_putc(out, '\n');
            put_table(out, j, at, indent + INDENT);
        } else if (type == GS_JSON_OBJECT) {
            gs_buf_putc(out, '\n');
            put_record(out, j, at, indent + INDENT);
        } else {
            gs_buf_putc(out, ' ');
            put_text(out, j, at, indent + width + 1);
            gs_buf_putc(out, '\n');
        }
    }
}

static void put_list(struct gs_buf *out, const struct gs_json *j, uint32_t root, uint32_t items)
{
    uint32_t more = gs_json_member(j, root, "next_cursor");
    size_t len;

    if (gs_json_at_count(j, items) == 0)
        gs_buf_puts(out, "There is nothing.\n");
    else if (is_table(j, items))
        put_table(out, j, items, 0);
    else
        put_record(out, j, root, 0);
    if (gs_json_at_type(j, more) == GS_JSON_STRING)
        gs_buf_printf(out, "There is more: --all, or --cursor %s\n", gs_json_at_text(j, more, &len));
}

void api_print_people(const struct gs_json *j, uint32_t at, const char *etag)
{
    uint32_t items = gs_json_member(j, at, "items");
    struct gs_buf out;

    cli_terminal_init();
    gs_buf_init(&out, CLI_OUT_MAX);
    if (gs_json_at_type(j, items) == GS_JSON_ARRAY)
        put_list(&out, j, at, items);
    else if (gs_json_at_type(j, at) == GS_JSON_OBJECT)
        put_record(&out, j, at, 0);
    else if (is_table(j, at))
        put_table(&out, j, at, 0);
    else {
        put_text(&out, j, at, 0);
        gs_buf_putc(&out, '\n');
    }
    if (*etag) {
        put_label(&out, "etag", 0, gs_json_at_type(j, at) == GS_JSON_OBJECT ? label_width(j, at) : 0);
        gs_buf_printf(&out, " %s\n", etag);
    }
    cli_print_buf(&out);
}
