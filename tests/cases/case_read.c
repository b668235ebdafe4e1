/* Reads case files. Every mistake in one is told with its line. */
#include "tests/cases/case.h"

#include "common/mem.h"
#include "common/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW_DEFAULT "2026-11-23T16:00:00Z"

struct reader {
    struct test_case *c;
    struct case_exchange *exchange; /* the latest */
    bool replied;                   /* "header" belongs to the answer */
    int line;
    bool failed;
};

static void mistake(struct reader *r, const char *fmt, ...) GS_PRINTF(2, 3);

static void mistake(struct reader *r, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s:%d: ", r->c->path, r->line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    r->failed = true;
}

static int64_t read_time(struct reader *r, const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

    if (!end || *end)
        mistake(r, "\"%s\" is no time like " NOW_DEFAULT, text);
    return (int64_t)timegm(&tm) * 1000000;
}

/* Cuts text at the first separator; the value follows it. */
static void add_pair(struct reader *r, struct case_pairs *pairs, char *text, const char *separator)
{
    char *at = strstr(text, separator);

    if (!at) {
        mistake(r, "\"%s\" has no \"%s\"", text, separator);
        return;
    }
    if (pairs->n == CASE_PAIRS_MAX) {
        mistake(r, "more than %d of these", CASE_PAIRS_MAX);
        return;
    }
    *at = '\0';
    pairs->at[pairs->n++] = (struct case_pair){text, at + strlen(separator)};
}

/* ---- lines ---- */

static void on_now(struct reader *r, char *text)
{
    r->c->now_us = read_time(r, text);
}

static void on_connection(struct reader *r, char *text)
{
    add_pair(r, &r->c->connection, text, "=");
}

static void on_link(struct reader *r, char *text)
{
    add_pair(r, &r->c->links[r->c->n_links - 1], text, "=");
}

static void on_another(struct reader *r, char *text)
{
    (void)text;
    if (r->c->n_links == CASE_TARGETS_MAX)
        mistake(r, "more than %d links", CASE_TARGETS_MAX);
    else
        r->c->n_links++;
}

static void on_refuse(struct reader *r, char *text)
{
    r->c->refused = text;
}

static struct case_exchange *begin_exchange(struct reader *r)
{
    if (r->c->n_exchanges == CASE_EXCHANGES_MAX) {
        mistake(r, "more than %d exchanges", CASE_EXCHANGES_MAX);
        return r->exchange;
    }
    r->exchange = &r->c->exchanges[r->c->n_exchanges++];
    r->replied = false;
    return r->exchange;
}

static void on_expect(struct reader *r, char *text)
{
    char *space = strchr(text, ' ');

    begin_exchange(r);
    if (!space || r->failed) {
        mistake(r, "\"%s\" is no method and address", text);
        return;
    }
    *space = '\0';
    r->exchange->method = text;
    r->exchange->url = space + 1;
}

static void on_sql(struct reader *r, char *text)
{
    if (begin_exchange(r))
        r->exchange->sql = text;
}

static void on_query(struct reader *r, char *text)
{
    add_pair(r, &r->exchange->queries, text, "=");
}

static void on_header(struct reader *r, char *text)
{
    add_pair(r, r->replied ? &r->exchange->reply_headers : &r->exchange->headers, text, ": ");
}

static void on_reply(struct reader *r, char *text)
{
    int64_t status;

    r->replied = true;
    r->exchange->body = "";
    if (!gs_parse_int(text, 100, 599, &status))
        mistake(r, "\"%s\" is no status", text);
    else
        r->exchange->status = (long)status;
}

static void on_body(struct reader *r, char *text)
{
    r->exchange->body = text;
    r->exchange->body_len = strlen(text);
}

/* Splits at " | ". */
static int split(struct reader *r, char *text, const char **dst)
{
    int n = 0;

    while (text && n < CASE_COLUMNS_MAX) {
        char *bar = strstr(text, " | ");

        if (bar)
            *bar = '\0';
        dst[n++] = text;
        text = bar ? bar + 3 : NULL;
    }
    if (text)
        mistake(r, "more than %d columns", CASE_COLUMNS_MAX);
    return n;
}

static void on_columns(struct reader *r, char *text)
{
    r->exchange->cols = text[0] ? split(r, text, r->exchange->types) : 0;
}

static void on_row(struct reader *r, char *text)
{
    struct case_exchange *x = r->exchange;
    const char *cells[CASE_COLUMNS_MAX];
    int n = split(r, text, cells);

    if (n != x->cols || x->rows == CASE_ROWS_MAX) {
        mistake(r, "a row of %d cells for %d columns, or more than %d rows", n, x->cols, CASE_ROWS_MAX);
        return;
    }
    for (int i = 0; i < n; i++)
        x->values[x->rows * n + i] = strcmp(cells[i], "NULL") == 0 ? NULL : cells[i];
    x->rows++;
}

static void on_lost(struct reader *r, char *text)
{
    r->exchange->failure = GS_RETRY;
    r->exchange->failure_text = text;
}

static struct case_outcome *add_outcome(struct reader *r, enum fetch_outcome outcome, const char *text)
{
    struct case_outcome *o = &r->c->outcomes[r->c->n_outcomes];

    if (r->c->n_outcomes == CASE_TARGETS_MAX) {
        mistake(r, "more than %d outcomes", CASE_TARGETS_MAX);
        return &r->c->outcomes[0];
    }
    r->c->n_outcomes++;
    *o = (struct case_outcome){.outcome = outcome, .text = text, .seen = -1};
    return o;
}

static void on_emit(struct reader *r, char *text)
{
    struct case_outcome *o = add_outcome(r, FETCH_OUTCOME_OK, "");
    size_t len = strcspn(text, " ");
    struct gs_err err;

    o->percent = strcmp(text + len, " %") == 0;
    if ((text[len] && !o->percent) || gs_dec_parse(text, len, &o->value, &err) != GS_OK)
        mistake(r, "\"%s\" is no number", text);
}

static void on_any_number(struct reader *r, char *text)
{
    (void)text;
    r->c->any_number = true;
}

static void on_pages(struct reader *r, char *text)
{
    (void)text;
    r->c->pages = true;
}

static void on_spends(struct reader *r, char *text)
{
    r->exchange->spends = text;
}

static void on_sent(struct reader *r, char *text)
{
    r->exchange->sent = text;
}

static void on_wait(struct reader *r, char *text)
{
    char *space = strchr(text, ' ');
    struct case_outcome *o = add_outcome(r, FETCH_OUTCOME_WAITING, space ? space + 1 : "");

    if (space)
        *space = '\0';
    o->until_us = read_time(r, text);
}

static void on_seen(struct reader *r, char *text)
{
    if (r->c->n_outcomes == 0 || !gs_parse_int(text, 0, INT64_MAX, &r->c->outcomes[r->c->n_outcomes - 1].seen))
        mistake(r, "\"seen\" is a number of rows after an outcome");
}

static const struct {
    const char *word;
    void (*fn)(struct reader *r, char *text);
    bool in_exchange;
    enum fetch_outcome outcome; /* when there is no fn */
} words[] = {
    {"now", on_now, false, 0},
    {"connection", on_connection, false, 0},
    {"link", on_link, false, 0},
    {"another", on_another, false, 0},
    {"refuse", on_refuse, false, 0},
    {"expect", on_expect, false, 0},
    {"sql", on_sql, false, 0},
    {"query", on_query, true, 0},
    {"header", on_header, true, 0},
    {"spends", on_spends, true, 0},
    {"sent", on_sent, true, 0},
    {"reply", on_reply, true, 0},
    {"body", on_body, true, 0},
    {"columns", on_columns, true, 0},
    {"row", on_row, true, 0},
    {"lost", on_lost, true, 0},
    {"emit", on_emit, false, 0},
    {"any-number", on_any_number, false, 0},
    {"pages", on_pages, false, 0},
    {"wait-until", on_wait, false, 0},
    {"seen", on_seen, false, 0},
    {"reject", NULL, false, FETCH_OUTCOME_REJECTED},
    {"denied", NULL, false, FETCH_OUTCOME_DENIED},
    {"gone", NULL, false, FETCH_OUTCOME_GONE},
    {"retry", NULL, false, FETCH_OUTCOME_RETRY},
};

static void take_line(struct reader *r, char *line)
{
    size_t len = strcspn(line, " \n"), i = 0, n = sizeof(words) / sizeof(words[0]);
    char *text = line[len] ? line + len + 1 : line + len;

    line[len] = '\0';
    while (i < n && strcmp(words[i].word, line) != 0)
        i++;
    if (i == n)
        mistake(r, "there is no \"%s\"", line);
    else if (words[i].in_exchange && !r->exchange)
        mistake(r, "\"%s\" comes after \"expect\" or \"sql\"", line);
    else if (words[i].fn)
        words[i].fn(r, text);
    else
        add_outcome(r, words[i].outcome, text);
}

/* ---- files ---- */

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = gs_alloc(CASE_FILE_MAX + 1);
    size_t n = f ? fread(text, 1, CASE_FILE_MAX + 1, f) : 0;

    if (f)
        fclose(f);
    if (n == 0 || n > CASE_FILE_MAX || memchr(text, '\0', n)) {
        fprintf(stderr, "%s: cannot be read, is empty, too long or not text\n", path);
        free(text);
        return NULL;
    }
    text[n] = '\0';
    return text;
}

/* Ends a statement in place: lines that begin with a space belong to it, without that space. Returns what follows. */
static char *end_statement(char *line, int *lines)
{
    char *to = line, *from = line;

    while (*from) {
        if (*from == '\n') {
            ++*lines;
            if (from[1] != ' ')
                break;
            *to++ = '\n';
            from += 2;
        } else {
            *to++ = *from++;
        }
    }
    char *next = *from ? from + 1 : from;
    *to = '\0';
    return next;
}

static void read_lines(struct reader *r)
{
    int line = 1;

    for (char *at = r->c->text; *at;) {
        char *start = at;

        r->line = line;
        at = end_statement(start, &line);
        if (*start && *start != '#')
            take_line(r, start);
    }
}

struct test_case *case_read(const char *path)
{
    struct test_case *c = gs_alloc(sizeof(*c));
    struct reader r = {.c = c};

    c->path = gs_strdup(path);
    c->text = read_file(path);
    c->n_links = 1;
    c->now_us = read_time(&r, NOW_DEFAULT);
    if (!c->text)
        return case_free(c);
    read_lines(&r);
    if (!r.failed && !c->refused && c->n_outcomes != c->n_links && c->n_outcomes != 1)
        mistake(&r, "%zu outcomes for %zu links", c->n_outcomes, c->n_links);
    return r.failed ? case_free(c) : c;
}

struct test_case *case_free(struct test_case *c)
{
    if (!c)
        return NULL;
    free(c->path);
    free(c->text);
    free(c);
    return NULL;
}
