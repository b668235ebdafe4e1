/* What links share by their batch key: links of equal keys are asked together, so whatever one of them needs must be
 * asked for both. */
#include "tests/cases/case.h"

#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 1024
#define ASKED_MAX CASE_EXCHANGES_MAX

struct asked {
    char *texts[ASKED_MAX];
    size_t n;
};

struct batching {
    struct test_case c; /* with its last answer again and again: together more may be asked */
    const struct fetch_connector *connector;
    struct case_settings s;
    int tried, wrong;
};

/* ---- what is asked ---- */

static bool note(void *arg, const struct fetch_exchange *x, size_t i)
{
    struct asked *a = arg;
    struct gs_buf b;

    (void)i;
    if (a->n == ASKED_MAX)
        return false;
    gs_buf_init(&b, FETCH_TEXT_MAX * 2);
    if (x->wire == FETCH_HTTP)
        gs_buf_printf(&b, "%s %s %s", x->method, x->url, x->body_len ? x->body : "");
    else
        gs_buf_puts(&b, x->statement);
    a->texts[a->n++] = gs_buf_steal(&b);
    return true;
}

static void forget(struct asked *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->texts[i]);
    a->n = 0;
}

static void ask(const struct batching *b, struct fetch_settings *first, struct fetch_settings *second,
                struct asked *ret)
{
    struct case_settings s = {.connection = b->s.connection, .links = {first, second}, .n = second ? 2 : 1};

    *ret = (struct asked){0};
    fetch_task_free(case_play(&b->c, b->connector, &s, note, ret));
}

static bool holds(const struct asked *a, const char *text)
{
    for (size_t i = 0; i < a->n; i++) {
        if (gs_str_eq(a->texts[i], text))
            return true;
    }
    return false;
}

static bool holds_all(const struct asked *a, const struct asked *these)
{
    for (size_t i = 0; i < these->n; i++) {
        if (!holds(a, these->texts[i]))
            return false;
    }
    return true;
}

/* Wrong: the second needs what the first alone does not ask, and together nothing more is asked than for the first. */
static void compare(struct batching *b, struct fetch_settings *first, struct fetch_settings *second, const char *field,
                    const char *value)
{
    struct asked one, other, both;

    ask(b, first, NULL, &one);
    ask(b, second, NULL, &other);
    ask(b, first, second, &both);
    b->tried++;
    if (!holds_all(&one, &other) && holds_all(&one, &both)) {
        b->wrong++;
        fprintf(stderr,
                "%s: links that differ in %s (\"%s\") have one batch key, but together only this is asked:\n  %.300s\n"
                "and not what the other needs:\n  %.300s\n",
                b->c.path, field, value, both.n ? both.texts[0] : "nothing", other.n ? other.texts[0] : "nothing");
    }
    forget(&one);
    forget(&other);
    forget(&both);
}

/* ---- links that differ in one field ---- */

static struct fetch_settings *with_field(const struct batching *b, const char *name, const char *value)
{
    struct case_pairs pairs = b->c.links[0];
    struct fetch_settings *s;
    struct gs_err err;
    size_t i = 0;

    while (i < pairs.n && !gs_str_eq(pairs.at[i].name, name))
        i++;
    if (i == CASE_PAIRS_MAX)
        return NULL;
    pairs.at[i] = (struct case_pair){name, value};
    pairs.n += i == pairs.n;
    s = case_settings_pairs(b->connector->link_fields, &pairs, &err);
    if (s && fetch_settings_check(b->connector, b->s.connection, s, &err) != GS_OK)
        s = fetch_settings_free(s);
    return s;
}

static void try_value(struct batching *b, const char *name, const char *value)
{
    struct fetch_settings *s = with_field(b, name, value), *own = b->s.links[0];
    char key[65], own_key[65];

    if (!s)
        return;
    fetch_batch_key(b->connector, s, key);
    fetch_batch_key(b->connector, own, own_key);
    if (gs_str_eq(key, own_key) && !gs_str_eq(fetch_setting(s, name), fetch_setting(own, name))) {
        compare(b, own, s, name, value);
        compare(b, s, own, name, value);
    }
    fetch_settings_free(s);
}

static void try_choices(struct batching *b, const struct fetch_field *f)
{
    const char *p = f->choices;

    while (p && *p) {
        size_t len = strcspn(p, ",");
        char *value = gs_strndup(p, len);

        try_value(b, f->name, value);
        free(value);
        p += len + (p[len] == ',');
    }
}

static void try_field(struct batching *b, const struct fetch_field *f)
{
    static const char *const more[] = {"9", "zz9", " AND 1 = 1"};
    const char *own = fetch_setting(b->s.links[0], f->name);
    char value[VALUE_MAX];

    if (f->type == FETCH_CHOICE) {
        try_choices(b, f);
        return;
    }
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        snprintf(value, sizeof(value), "%s%s", own, more[i]);
        try_value(b, f->name, value);
        try_value(b, f->name, more[i]);
    }
}

static void same_keys(struct batching *b)
{
    char key[65], first[65];

    for (size_t i = 1; i < b->s.n; i++) {
        fetch_batch_key(b->connector, b->s.links[0], first);
        fetch_batch_key(b->connector, b->s.links[i], key);
        if (gs_str_eq(key, first))
            continue;
        fprintf(stderr, "%s: link %zu has another batch key than the first, so they are never asked together\n",
                b->c.path, i + 1);
        b->wrong++;
    }
}

int case_batch(const struct test_case *c, const struct fetch_connector *connector, int *ret_tried)
{
    struct batching b = {.c = *c, .connector = connector};
    struct gs_err err;

    *ret_tried = 0;
    for (size_t i = 0; i < c->n_outcomes; i++) {
        if (c->outcomes[i].outcome != FETCH_OUTCOME_OK)
            return 0;
    }
    for (; c->n_exchanges && b.c.n_exchanges < CASE_EXCHANGES_MAX; b.c.n_exchanges++)
        b.c.exchanges[b.c.n_exchanges] = c->exchanges[c->n_exchanges - 1];
    if (c->refused || case_settings_read(c, connector, &b.s, &err) != GS_OK)
        return 0;
    same_keys(&b);
    for (const struct fetch_field *f = connector->link_fields; connector->batch_key && f->name; f++)
        try_field(&b, f);
    case_settings_done(&b.s);
    *ret_tried = b.tried;
    return b.wrong;
}
