/* goalsync-cases: runs the cases of a connector, or prints what the connector asks in them. */
#include "tests/cases/case.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/catalogue.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct run {
    const struct fetch_entry *entry;
    const struct fetch_connector *connector;
    const struct test_case *c; /* under way */
    bool print, json;
    const char *base_url; /* with print: in place of the case's */
    int cases, failed, mutations, batched;
    bool asked_wrongly;
};

/* ---- what was asked ---- */

static void complain(struct run *r, size_t i, const char *what, const char *want, const char *got)
{
    fprintf(stderr, "%s: exchange %zu: %s\n  wanted %s\n  asked  %s\n", r->c->path, i + 1, what, want, got);
    r->asked_wrongly = true;
}

/* Decodes percent-encoding in place. */
static void decode(char *s)
{
    char *to = s;

    for (; *s; s++) {
        unsigned byte;

        if (*s == '%' && sscanf(s + 1, "%2x", &byte) == 1) {
            *to++ = (char)byte;
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

static void compare_queries(struct run *r, const struct case_exchange *want, char *got, size_t i)
{
    char pair[4096];
    size_t n = 0;

    while (got) {
        char *next = strchr(got, '&');

        if (next)
            *next++ = '\0';
        decode(got);
        if (n < want->queries.n)
            snprintf(pair, sizeof(pair), "%s=%s", want->queries.at[n].name, want->queries.at[n].value);
        if (n >= want->queries.n || strcmp(pair, got) != 0)
            complain(r, i, "query", n < want->queries.n ? pair : "no more", got);
        n++;
        got = next;
    }
    if (n < want->queries.n)
        complain(r, i, "query", want->queries.at[n].name, "no more");
}

static void compare_headers(struct run *r, const struct case_exchange *want, const struct fetch_exchange *got, size_t i)
{
    for (size_t k = 0; k < want->headers.n; k++) {
        const char *value = NULL;

        for (size_t h = 0; h < got->n_headers; h++) {
            if (strcasecmp(got->headers[h].name, want->headers.at[k].name) == 0)
                value = got->headers[h].value;
        }
        if (!value || strcmp(value, want->headers.at[k].value) != 0)
            complain(r, i, want->headers.at[k].name, want->headers.at[k].value, value ? value : "nothing");
    }
}

static void compare_body(struct run *r, const struct case_exchange *want, const struct fetch_exchange *got, size_t i)
{
    const char *body = got->body_len ? got->body : "";

    if (want->sent && !gs_str_eq(want->sent, body))
        complain(r, i, "body", want->sent, body);
}

static void compare_http(struct run *r, const struct case_exchange *want, const struct fetch_exchange *got, size_t i)
{
    char *url = gs_strdup(got->url), *query = strchr(url, '?');

    if (query)
        *query++ = '\0';
    if (!gs_str_eq(want->method, got->method))
        complain(r, i, "method", want->method ? want->method : "SQL", got->method);
    if (!gs_str_eq(want->url, url))
        complain(r, i, "address", want->url ? want->url : "SQL", url);
    compare_queries(r, want, query, i);
    compare_headers(r, want, got, i);
    compare_body(r, want, got, i);
    free(url);
}

static void print_word(const char *word)
{
    putchar('\'');
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    }
    fputs("' ", stdout);
}

static void print_curl(const struct fetch_exchange *x)
{
    fputs("curl -X ", stdout);
    print_word(x->method);
    for (size_t i = 0; i < x->n_headers; i++) {
        char header[1024];

        snprintf(header, sizeof(header), "%s: %s", x->headers[i].name, x->headers[i].value);
        fputs("-H ", stdout);
        print_word(header);
    }
    if (x->body_len) {
        fputs("--data-binary ", stdout);
        print_word(x->body);
    }
    print_word(x->url);
    putchar('\0'); /* a body may have lines of its own */
}

/* What a connector says of budgets counts for every source; whether the case does is its own matter. */
static void compare_budget(struct run *r, const struct case_exchange *want, const struct fetch_exchange *got, size_t i)
{
    const char *budget = got->budget ? got->budget : "none";

    if (want->spends && !gs_str_eq(want->spends, budget))
        complain(r, i, "budget", want->spends, budget);
}

static bool watch(void *arg, const struct fetch_exchange *asked, size_t i)
{
    struct run *r = arg;
    const struct case_exchange *want = &r->c->exchanges[i];

    if (r->print) {
        if (asked->wire == FETCH_HTTP)
            print_curl(asked);
        return true;
    }
    if (i == r->c->n_exchanges)
        complain(r, i, "one exchange more than the case has", "nothing",
                 asked->wire == FETCH_HTTP ? asked->url : asked->statement);
    else if (asked->wire == FETCH_HTTP)
        compare_http(r, want, asked, i);
    else if (!gs_str_eq(want->sql, asked->statement))
        complain(r, i, "statement", want->sql ? want->sql : "HTTP", asked->statement);
    if (i < r->c->n_exchanges)
        compare_budget(r, want, asked, i);
    return i < r->c->n_exchanges;
}

/* ---- cases ---- */

static bool run_refused(struct run *r, enum gs_rc rc, const struct gs_err *err)
{
    if (r->c->refused && rc != GS_OK && strstr(err->text, r->c->refused))
        return true;
    fprintf(stderr, "%s: settings\n  wanted %s\n  got    %s\n", r->c->path,
            r->c->refused ? r->c->refused : "no refusal", rc == GS_OK ? "no refusal" : err->text);
    return false;
}

static bool run_task(struct run *r, const struct case_settings *settings)
{
    struct fetch_task *t = case_play(r->c, r->connector, settings, watch, r);
    bool good = t && !r->asked_wrongly;

    if (!r->print) {
        for (size_t i = 0; t && i < settings->n; i++)
            good &= case_outcome_matches(r->c, t, i);
        if (t && (size_t)fetch_task_exchanges(t) < r->c->n_exchanges) {
            fprintf(stderr, "%s: only %d exchanges were asked for\n", r->c->path, fetch_task_exchanges(t));
            good = false;
        }
    }
    fetch_task_free(t);
    return good;
}

static bool run_case(struct run *r)
{
    struct case_settings settings;
    struct gs_err err = {0};
    enum gs_rc rc = case_settings_read(r->c, r->connector, &settings, &err);
    bool good = true;
    int tried;

    r->asked_wrongly = false;
    if (r->print && rc != GS_OK && !r->c->refused)
        good = run_refused(r, rc, &err);
    else if (rc != GS_OK || r->c->refused)
        good = r->print || run_refused(r, rc, &err);
    else
        good = run_task(r, &settings);
    case_settings_done(&settings);
    if (good && !r->print) {
        good = case_mutate(r->c, r->connector, &tried) == 0;
        r->mutations += tried;
        good = case_batch(r->c, r->connector, &tried) == 0 && good;
        r->batched += tried;
    }
    return good;
}

static void set_base_url(struct test_case *c, const char *url)
{
    size_t i = 0;

    while (i < c->connection.n && strcmp(c->connection.at[i].name, "base_url") != 0)
        i++;
    if (i == CASE_PAIRS_MAX)
        return;
    c->connection.at[i] = (struct case_pair){"base_url", url};
    if (i == c->connection.n)
        c->connection.n++;
}

/* Of the case, or where there is none of the connector. */
static void print_json(const struct fetch_entry *e, const struct test_case *c)
{
    struct gs_buf b;

    gs_buf_init(&b, 2 * CASE_FILE_MAX);
    if (c)
        case_put_json(c, e->connector, &b);
    else
        case_put_connector(e, &b);
    puts(gs_buf_str(&b));
    gs_buf_done(&b);
}

static void run_file(struct run *r, const char *path)
{
    struct test_case *c = case_read(path);

    r->cases++;
    r->c = c;
    if (c && r->base_url)
        set_base_url(c, r->base_url);
    if (c && r->json)
        print_json(r->entry, c);
    else if (!c || (!run_case(r) && !r->print))
        r->failed++;
    case_free(c);
}

static int run_folder(struct run *r, const char *folder)
{
    char pattern[4096];
    glob_t files;

    snprintf(pattern, sizeof(pattern), "%s/*.case", folder);
    if (glob(pattern, 0, NULL, &files) != 0) {
        fprintf(stderr, "%s: no cases; a connector needs them\n", folder);
        return 1;
    }
    for (size_t i = 0; i < files.gl_pathc; i++)
        run_file(r, files.gl_pathv[i]);
    globfree(&files);
    if (!r->print && !r->json)
        printf("%d cases, %d failed; %d broken answers, each refused or harmless; %d pairs of links asked together\n",
               r->cases, r->failed, r->mutations, r->batched);
    return r->failed > 0;
}

/* Returns how many arguments were taken. */
static int take_options(struct run *r, int argc, char **argv)
{
    r->json = argc > 1 && strcmp(argv[1], "--json") == 0;
    r->print = argc > 2 && strcmp(argv[1], "--requests") == 0;
    if (r->print)
        r->base_url = strcmp(argv[2], "-") == 0 ? NULL : argv[2];
    return r->print ? 2 : r->json;
}

int main(int argc, char **argv)
{
    const struct fetch_entry *entry;
    struct run r = {0};
    int taken = take_options(&r, argc, argv);

    argv += taken;
    argc -= taken;
    if (argc != 3) {
        fputs("usage: goalsync-cases [--requests BASE_URL|- | --json] CONNECTOR FOLDER\n", stderr);
        return 2;
    }
    entry = fetch_catalogue_find(argv[1]);
    if (!entry) {
        fprintf(stderr, "there is no connector %s\n", argv[1]);
        return 2;
    }
    r.entry = entry;
    r.connector = entry->connector;
    if (r.json)
        print_json(entry, NULL);
    if (!r.json && !r.print)
        r.failed += case_connector(entry);
    return run_folder(&r, argv[2]);
}
