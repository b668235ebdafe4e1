/* Rows as JSON, as tables and as records. */
#include "services/cli/out.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/cli/db.h"

#include <stdio.h>
#include <string.h>

/* Types by their stable numbers in pg_type. */
enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_JSON = 114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_JSONB = 3802
};
enum { COLUMNS_MAX = 24, CELL_MAX = 60, LABEL_WIDTH = 18 };

static size_t numeric_len(const char *text)
{
    size_t len = strlen(text);

    if (!strchr(text, '.'))
        return len;
    while (text[len - 1] == '0')
        len--;
    return text[len - 1] == '.' ? len - 1 : len;
}

/* "2026-11-23 16:02:03.12+00" becomes "2026-11-23T16:02:03.12Z"; the session's zone is UTC. */
static void put_instant(struct gs_buf *b, const char *text)
{
    const char *space = strchr(text, ' '), *zone = strrchr(text, '+');

    if (!space || !zone) {
        gs_buf_put_json(b, text, strlen(text));
        return;
    }
    gs_buf_printf(b, "\"%.*sT%.*sZ\"", (int)(space - text), text, (int)(zone - space - 1), space + 1);
}

void cli_json_value(struct gs_buf *b, const PGresult *r, int row, int col)
{
    const char *text = cli_value(r, row, col);

    if (!text) {
        gs_buf_puts(b, "null");
        return;
    }
    switch (PQftype(r, col)) {
    case OID_BOOL:
        gs_buf_puts(b, text[0] == 't' ? "true" : "false");
        break;
    case OID_INT8:
    case OID_INT2:
    case OID_INT4:
    case OID_JSON:
    case OID_JSONB:
        gs_buf_puts(b, text);
        break;
    case OID_NUMERIC:
        gs_buf_put_json(b, text, numeric_len(text));
        break;
    case OID_TIMESTAMPTZ:
        put_instant(b, text);
        break;
    default:
        gs_buf_put_json(b, text, strlen(text));
    }
}

void cli_json_row(struct gs_buf *b, const PGresult *r, int row)
{
    gs_buf_putc(b, '{');
    for (int col = 0; col < PQnfields(r); col++) {
        const char *name = PQfname(r, col);
        gs_buf_puts(b, col ? "," : "");
        gs_buf_put_json(b, name, strlen(name));
        gs_buf_putc(b, ':');
        cli_json_value(b, r, row, col);
    }
    gs_buf_putc(b, '}');
}

void cli_json_rows(struct gs_buf *b, const PGresult *r)
{
    gs_buf_putc(b, '[');
    for (int row = 0; row < PQntuples(r); row++) {
        gs_buf_puts(b, row ? ",\n " : "");
        cli_json_row(b, r, row);
    }
    gs_buf_putc(b, ']');
}

void cli_print_buf(struct gs_buf *b)
{
    fwrite(gs_buf_str(b), 1, b->len, stdout);
    gs_buf_done(b);
}

/* A value for people; dst has CELL_MAX * 4 bytes at least. */
static const char *cell(const PGresult *r, int row, int col, char *dst, size_t size)
{
    const char *text = cli_value(r, row, col);

    if (!text)
        return "-";
    switch (PQftype(r, col)) {
    case OID_BOOL:
        return text[0] == 't' ? "yes" : "no";
    case OID_NUMERIC:
        snprintf(dst, size, "%.*s", (int)numeric_len(text), text);
        return dst;
    case OID_TIMESTAMPTZ:
        snprintf(dst, size, "%.19sZ", text);
        return dst;
    default:
        return text;
    }
}

static bool is_number(const PGresult *r, int col)
{
    Oid type = PQftype(r, col);

    return type == OID_INT8 || type == OID_INT2 || type == OID_INT4 || type == OID_NUMERIC;
}

static void put_heading(struct gs_buf *line, const char *name, int width, bool right)
{
    char head[CELL_MAX + 1];

    snprintf(head, sizeof(head), "%s", name);
    for (char *p = head; *p; p++)
        *p = *p == '_' ? ' ' : *p;
    cli_put_cell(line, head, width, right);
}

static void print_table(const PGresult *r)
{
    int columns = PQnfields(r) < COLUMNS_MAX ? PQnfields(r) : COLUMNS_MAX, widths[COLUMNS_MAX];
    char text[CELL_MAX * 4 + 64];
    struct gs_buf b;

    for (int col = 0; col < columns; col++) {
        widths[col] = cli_width(PQfname(r, col));
        for (int row = 0; row < PQntuples(r); row++) {
            int w = cli_width(cell(r, row, col, text, sizeof(text)));
            w = w > CELL_MAX && col < columns - 1 ? CELL_MAX : w;
            widths[col] = w > widths[col] ? w : widths[col];
        }
    }
    gs_buf_init(&b, CLI_OUT_MAX);
    for (int row = -1; row < PQntuples(r); row++) {
        struct gs_buf line;
        gs_buf_init(&line, CLI_OUT_MAX);
        for (int col = 0; col < columns; col++) {
            gs_buf_puts(&line, col ? "  " : "");
            if (row < 0)
                put_heading(&line, PQfname(r, col), widths[col], is_number(r, col));
            else
                cli_put_cell(&line, cell(r, row, col, text, sizeof(text)), widths[col], is_number(r, col));
        }
        while (line.len && line.data[line.len - 1] == ' ')
            line.data[--line.len] = '\0';
        cli_put_colour(&b, row < 0 ? CLI_DIM : CLI_PLAIN, gs_buf_str(&line));
        gs_buf_putc(&b, '\n');
        gs_buf_done(&line);
    }
    cli_print_buf(&b);
}

enum cli_exit cli_print_rows(struct cli *c, const char *key, const PGresult *r, const char *empty)
{
    struct gs_buf b;

    cli_terminal_init();
    if (c->json) {
        gs_buf_init(&b, CLI_OUT_MAX);
        gs_buf_printf(&b, "{\"%s\":", key);
        cli_json_rows(&b, r);
        gs_buf_puts(&b, "}\n");
        cli_print_buf(&b);
    } else if (PQntuples(r) == 0) {
        printf("%s\n", empty);
    } else {
        print_table(r);
    }
    return CLI_OK;
}

enum cli_exit cli_print_row(struct cli *c, const PGresult *r)
{
    struct gs_buf b;
    char text[256];

    cli_terminal_init();
    gs_buf_init(&b, CLI_OUT_MAX);
    if (c->json) {
        cli_json_row(&b, r, 0);
        gs_buf_putc(&b, '\n');
    }
    for (int col = 0; !c->json && col < PQnfields(r); col++) {
        if (PQgetisnull(r, 0, col))
            continue;
        put_heading(&b, PQfname(r, col), LABEL_WIDTH, false);
        gs_buf_printf(&b, " %s\n", cell(r, 0, col, text, sizeof(text)));
    }
    cli_print_buf(&b);
    return CLI_OK;
}

enum cli_exit cli_show(struct cli *c, const char *what, const char *sql, const char *id)
{
    CLI_AUTO_RESULT r = cli_query(c, sql, CLI_WITH(id));

    if (!r)
        return c->code;
    if (PQntuples(r) == 0)
        return cli_fail(c, CLI_NOT_FOUND, "there is no %s %s (any more)", what, id);
    return cli_print_row(c, r);
}
