/* Breaks the answers of cases in every way that a bad network, proxy or vendor would. */
#include "tests/cases/case.h"

#include "common/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum demand {
    NO_VALUE,       /* nothing may come out */
    NO_OTHER_VALUE, /* the case's own value may: what was broken need not matter to the connector */
};

struct mutation {
    const struct test_case *original;
    const struct fetch_connector *connector;
    const struct case_settings *settings;
    struct test_case c; /* shares everything with the original but the exchange */
    struct case_exchange *x;
    int tried, taken;
};

static bool emits_wrongly(const struct mutation *m, const struct fetch_task *t, size_t i, enum demand demand)
{
    const struct case_outcome *want = &m->original->outcomes[m->original->n_outcomes == 1 ? 0 : i];
    struct fetch_result got;

    fetch_task_result(t, i, &got);
    return got.outcome == FETCH_OUTCOME_OK && (demand == NO_VALUE || gs_dec_cmp(got.value, want->value) != 0);
}

/* Plays the case with the broken exchange in it. */
static void try_it(struct mutation *m, const char *what, enum demand demand)
{
    struct fetch_task *t = case_play(&m->c, m->connector, m->settings, NULL, NULL);
    bool wrong = false;

    m->tried++;
    for (size_t i = 0; t && fetch_task_outcome(t) == FETCH_OUTCOME_OK && i < m->settings->n; i++)
        wrong |= emits_wrongly(m, t, i, demand);
    if (t && fetch_task_outcome(t) != FETCH_OUTCOME_OK && !fetch_task_error(t)[0])
        wrong = true; /* a refusal without a reason helps nobody */
    if (wrong) {
        m->taken++;
        fprintf(stderr, "%s: exchange %d, %s: a wrong value or no reason came out of\n  %.300s\n", m->original->path,
                (int)(m->x - m->c.exchanges) + 1, what, m->x->body ? m->x->body : "(rows)");
    }
    fetch_task_free(t);
}

static void try_body(struct mutation *m, const char *what, const char *body, size_t len, enum demand demand)
{
    /* In memory of its own size, so that a sanitizer sees a read beyond it. */
    char *copy = gs_strndup(body, len);

    m->x->body = copy;
    m->x->body_len = len;
    try_it(m, what, demand);
    free(copy);
}

/* ---- HTTP ---- */

static void cut_everywhere(struct mutation *m, const char *body, size_t len)
{
    while (len > 0 && isspace((unsigned char)body[len - 1]))
        len--;
    for (size_t n = 0; n < len; n++)
        try_body(m, "cut", body, n, NO_VALUE);
}

static void whole_bodies(struct mutation *m)
{
    static const char *const bodies[] = {
        "",
        " \n",
        "null",
        "true",
        "[]",
        "{}",
        "[{}]",
        "7",
        "\"7\"",
        "NaN",
        "{",
        "}{",
        "\xff\xfe\x00",
        "\xef\xbb\xbf",
        "{\"message\":\"Not Found\"}",
        "<!DOCTYPE html><html><body>Sign in</body></html>",
        "<html><head><title>502 Bad Gateway</title></head></html>",
    };

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        try_body(m, "another body", bodies[i], strlen(bodies[i]), NO_VALUE);
}

static void replaced(struct mutation *m, const char *body, size_t at, size_t n, const char *by)
{
    size_t len = strlen(body), by_len = strlen(by);
    char *text = gs_alloc(len + by_len + 1);

    memcpy(text, body, at);
    memcpy(text + at, by, by_len);
    memcpy(text + at + by_len, body + at + n, len - at - n);
    try_body(m, "one token replaced", text, len - n + by_len, NO_OTHER_VALUE);
    free(text);
}

/* Numbers and names outside of strings become what they must not be. */
static void wrong_tokens(struct mutation *m, const char *body)
{
    static const char *const others[] = {
        "null",
        "true",
        "false",
        "\"7\"",
        "\"\"",
        "[]",
        "[7]",
        "{}",
        "1e400",
        "-1e400",
        "NaN",
        "Infinity",
        "99999999999999999999999999999999999999999",
        "0x7",
        "07",
        "",
    };
    static const char *const no_counts[] = {"-1", "0.5", "1e-30", "9223372036854775808"};
    bool in_string = false;

    for (size_t i = 0; body[i]; i++) {
        size_t n = 0;

        if (body[i] == '\\' && in_string) {
            i++;
            continue;
        }
        if (body[i] == '"')
            in_string = !in_string;
        while (!in_string && (isalnum((unsigned char)body[i + n]) || (body[i + n] && strchr("+-.", body[i + n]))))
            n++;
        if (n == 0)
            continue;
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
            replaced(m, body, i, n, others[k]);
        for (size_t k = 0; !m->original->any_number && k < sizeof(no_counts) / sizeof(no_counts[0]); k++)
            replaced(m, body, i, n, no_counts[k]);
        i += n - 1;
    }
}

/* A second member of a name: whichever of the two counts, it must be decided, not read by halves. */
static void doubled_keys(struct mutation *m, const char *body)
{
    for (size_t i = 0; body[i]; i++) {
        const char *end = body[i] == '"' ? strchr(body + i + 1, '"') : NULL;
        const char *close = strrchr(body, '}');
        char member[128];

        if (!end || end[1] != ':' || !close)
            continue;
        snprintf(member, sizeof(member), ",%.*s:-7}", (int)(end + 1 - (body + i)), body + i);
        replaced(m, body, (size_t)(close - body), 1, member);
        i = (size_t)(end - body);
    }
}

static void other_statuses(struct mutation *m)
{
    static const long statuses[] = {301, 302, 304, 400, 401, 402, 403, 404, 407, 409,
                                    410, 418, 422, 429, 451, 500, 502, 503, 504};
    long status = m->x->status;

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i] == status)
            continue;
        m->x->status = statuses[i];
        /* Which of its error statuses a source means the same by is the connector's. */
        try_it(m, "another status", status >= 400 ? NO_OTHER_VALUE : NO_VALUE);
    }
    m->x->status = status;
}

static void mutate_http(struct mutation *m)
{
    const char *body = m->x->body;
    size_t len = m->x->body_len;

    other_statuses(m);
    cut_everywhere(m, body, len);
    whole_bodies(m);
    wrong_tokens(m, body);
    doubled_keys(m, body);
}

/* ---- SQL ---- */

static void mutate_cells(struct mutation *m)
{
    static const char *const cells[] = {
        NULL,
        "",
        " ",
        "NaN",
        "-NaN",
        "Infinity",
        "-Infinity",
        "inf",
        "abc",
        "7 ",
        " 7",
        "7;7",
        "0x7",
        "1,5",
        "1.2.3",
        "--7",
        "1e",
        "1e999",
        "-1e999",
        "1e99999999999999999999",
        "999999999999999999999999999999999999999999",
        "t",
        "\xff",
    };

    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        m->x->values[0] = cells[i];
        try_it(m, "another cell", NO_VALUE);
    }
}

static void mutate_sql(struct mutation *m)
{
    static const char *const types[] = {"text", "bool",   "money",   "date",     "bytea",
                                        "json", "int4[]", "unknown", "oid 4711", ""};
    const struct case_exchange x = *m->x;

    mutate_cells(m);
    *m->x = x;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        m->x->types[0] = types[i];
        try_it(m, "another type", NO_VALUE);
    }
    *m->x = x;
    m->x->rows = 0;
    try_it(m, "no row", NO_VALUE);
    m->x->rows = 2;
    m->x->values[1] = x.values[0];
    try_it(m, "two rows", NO_VALUE);
    *m->x = x;
    m->x->cols = 2;
    m->x->types[1] = x.types[0];
    m->x->values[1] = x.values[0];
    try_it(m, "two columns", NO_VALUE);
    *m->x = x;
    m->x->cols = m->x->rows = 0;
    try_it(m, "no columns", NO_VALUE);
}

int case_mutate(const struct test_case *c, const struct fetch_connector *connector, int *ret_tried)
{
    struct mutation m = {.original = c, .connector = connector};
    struct case_settings settings;
    struct gs_err err;

    *ret_tried = 0;
    for (size_t i = 0; i < c->n_outcomes; i++) {
        if (c->outcomes[i].outcome != FETCH_OUTCOME_OK)
            return 0;
    }
    if (c->refused || case_settings_read(c, connector, &settings, &err) != GS_OK)
        return 0;
    m.settings = &settings;
    for (size_t i = 0; i < c->n_exchanges; i++) {
        m.c = *c;
        m.x = &m.c.exchanges[i];
        if (connector->wire == FETCH_HTTP)
            mutate_http(&m);
        else
            mutate_sql(&m);
    }
    case_settings_done(&settings);
    *ret_tried = m.tried;
    return m.taken;
}
