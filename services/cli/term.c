/* The terminal: colours, widths, bars, and how numbers and times read to people. */
#include "services/cli/out.h"

#include "common/decimal.h"
#include "common/str.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { COLUMNS_DEFAULT = 100, ROWS_DEFAULT = 24, DECIMALS_SHOWN = 4 };

static struct {
    bool known, tty, colours, unicode;
} terminal;

/* These variables belong to the terminal, not to goalsync: they are no settings. */
static bool variable_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value;
}

void cli_terminal_init(void)
{
    const char *term = getenv("TERM");

    if (terminal.known)
        return;
    terminal.known = true;
    terminal.tty = isatty(STDOUT_FILENO) && term && !gs_str_eq(term, "dumb");
    terminal.colours = terminal.tty && !variable_set("NO_COLOR");
    /* Where nothing is said, today's terminals speak UTF-8. */
    if (!variable_set("LC_ALL") && !variable_set("LC_CTYPE") && !variable_set("LANG"))
        setlocale(LC_CTYPE, "C.UTF-8");
    else
        setlocale(LC_CTYPE, "");
    terminal.unicode = gs_str_eq(nl_langinfo(CODESET), "UTF-8");
}

bool cli_terminal(void)
{
    return terminal.tty;
}

bool cli_unicode(void)
{
    return terminal.unicode;
}

void cli_terminal_size(int *ret_columns, int *ret_rows)
{
    struct winsize size;
    bool known = terminal.tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;

    *ret_columns = known ? size.ws_col : COLUMNS_DEFAULT;
    *ret_rows = known ? size.ws_row : ROWS_DEFAULT;
}

void cli_put_colour(struct gs_buf *b, enum cli_colour colour, const char *text)
{
    static const char *const codes[] = {
        [CLI_PLAIN] = "",          [CLI_DIM] = "\033[2m",  [CLI_BOLD] = "\033[1m", [CLI_GREEN] = "\033[32m",
        [CLI_YELLOW] = "\033[33m", [CLI_RED] = "\033[31m", [CLI_BLUE] = "\033[34m"};

    if (!terminal.colours || colour == CLI_PLAIN)
        gs_buf_puts(b, text);
    else
        gs_buf_printf(b, "%s%s\033[0m", codes[colour], text);
}

/* The next character: its bytes and columns. What is no character of this locale, or controls, counts one byte, one
 * column and is shown as '?'. */
static size_t next_char(const char *s, int *ret_columns, bool *ret_shown)
{
    wchar_t wide;
    mbstate_t state = {0};
    size_t len = mbrtowc(&wide, s, strlen(s), &state);
    int columns = len == 0 || len > 8 ? -1 : wcwidth(wide);

    *ret_shown = columns >= 0;
    *ret_columns = columns >= 0 ? columns : 1;
    return columns >= 0 || (len > 0 && len <= 8) ? len : 1;
}

int cli_width(const char *text)
{
    int width = 0, columns;
    bool shown;

    while (*text) {
        text += next_char(text, &columns, &shown);
        width += columns;
    }
    return width;
}

static void put_spaces(struct gs_buf *b, int n)
{
    while (n-- > 0)
        gs_buf_putc(b, ' ');
}

void cli_put_cell(struct gs_buf *b, const char *text, int width, bool right)
{
    int full = cli_width(text), used = 0, columns;
    bool shown, cut = full > width;
    int room = cut ? width - (terminal.unicode ? 1 : 2) : width;

    if (right && !cut)
        put_spaces(b, width - full);
    while (*text) {
        size_t len = next_char(text, &columns, &shown);
        if (used + columns > room)
            break;
        if (shown)
            gs_buf_append(b, text, len);
        else
            gs_buf_putc(b, '?');
        used += columns;
        text += len;
    }
    if (cut && room >= 0) {
        gs_buf_puts(b, terminal.unicode ? "\xe2\x80\xa6" : "..");
        used += terminal.unicode ? 1 : 2;
    }
    if (!right || cut)
        put_spaces(b, width - used);
}

void cli_put_bar(struct gs_buf *b, double percent, int width, enum cli_colour colour)
{
    /* Eighths of a column: U+258F (one eighth) down to U+2588 (full). */
    static const char *const eighths[] = {"",
                                          "\xe2\x96\x8f",
                                          "\xe2\x96\x8e",
                                          "\xe2\x96\x8d",
                                          "\xe2\x96\x8c",
                                          "\xe2\x96\x8b",
                                          "\xe2\x96\x8a",
                                          "\xe2\x96\x89",
                                          "\xe2\x96\x88"};
    double clamped = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    int units = (int)(clamped * width * 8 / 100 + 0.5), used = 0;
    struct gs_buf full, rest;

    gs_buf_init(&full, 1024);
    gs_buf_init(&rest, 1024);
    for (; used < width && (used + 1) * 8 <= units; used++)
        gs_buf_puts(&full, terminal.unicode ? eighths[8] : "#");
    if (used < width && units % 8 && terminal.unicode) {
        gs_buf_puts(&full, eighths[units % 8]);
        used++;
    }
    for (; used < width; used++)
        gs_buf_puts(&rest, terminal.unicode ? "\xc2\xb7" : ".");
    cli_put_colour(b, colour, gs_buf_str(&full));
    cli_put_colour(b, CLI_DIM, gs_buf_str(&rest));
    gs_buf_done(&full);
    gs_buf_done(&rest);
}

/* In the largest unit of which there are two. */
static int64_t in_units(int64_t seconds, int *ret_unit)
{
    static const int64_t sizes[] = {1, 60, 3600, 86400};

    seconds = seconds < 0 ? 0 : seconds;
    *ret_unit = 0;
    while (*ret_unit < 3 && seconds >= 2 * sizes[*ret_unit + 1])
        ++*ret_unit;
    return seconds / sizes[*ret_unit];
}

char *cli_age(int64_t seconds, char dst[CLI_AGE_TEXT])
{
    static const char *const names[] = {"s", "min", "h", "days"};
    int unit;
    int64_t n = in_units(seconds, &unit);

    snprintf(dst, CLI_AGE_TEXT, "%lld %s", (long long)n, names[unit]);
    return dst;
}

char *cli_age_short(int64_t seconds, char dst[CLI_AGE_TEXT])
{
    int unit;
    int64_t n = in_units(seconds, &unit);

    snprintf(dst, CLI_AGE_TEXT, "%lld%c", (long long)n, "smhd"[unit]);
    return dst;
}

char *cli_in_or_ago(int64_t seconds, char dst[CLI_AGE_TEXT])
{
    char age[CLI_AGE_TEXT];

    if (seconds >= 0)
        snprintf(dst, CLI_AGE_TEXT, "%.20s ago", cli_age(seconds, age));
    else
        snprintf(dst, CLI_AGE_TEXT, "in %.20s", cli_age(-seconds, age));
    return dst;
}

char *cli_number(const char *decimal, char dst[CLI_NUMBER_TEXT])
{
    char text[GS_DEC_TEXT];
    struct gs_dec d;
    struct gs_err err;
    size_t len, whole, out = 0;

    dst[0] = '\0';
    if (gs_dec_parse(decimal, strlen(decimal), &d, &err) != GS_OK)
        return dst;
    len = gs_dec_format_fixed(d, DECIMALS_SHOWN, text);
    while (text[len - 1] == '0')
        len--;
    len -= text[len - 1] == '.';
    text[len] = '\0';
    whole = strcspn(text, ".");
    for (size_t i = 0; i < len; i++) {
        bool digit_before = i > 0 && text[i - 1] >= '0' && text[i - 1] <= '9';
        if (i < whole && digit_before && (whole - i) % 3 == 0)
            dst[out++] = ',';
        dst[out++] = text[i];
    }
    dst[out] = '\0';
    return dst;
}

enum cli_colour cli_status_colour(const char *status)
{
    static const struct {
        const char *status;
        enum cli_colour colour;
    } colours[] = {{"on_track", CLI_GREEN}, {"behind", CLI_YELLOW}, {"at_risk", CLI_RED},    {"in_progress", CLI_BLUE},
                   {"closed", CLI_BLUE},    {"postponed", CLI_DIM}, {"not_started", CLI_DIM}};

    for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
        if (gs_str_eq(colours[i].status, status))
            return colours[i].colour;
    return CLI_PLAIN;
}

const char *cli_words(const char *name, char dst[40])
{
    snprintf(dst, 40, "%s", name);
    for (char *p = dst; *p; p++)
        *p = *p == '_' ? ' ' : *p;
    return dst;
}
