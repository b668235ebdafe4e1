/* What a connector says of itself, before anybody plays it: its data must hold together. */
#include "tests/cases/case.h"

#include "common/str.h"
#include "services/fetch/hosts.h"
#include "services/fetch/systems.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct looking {
    const struct fetch_entry *e;
    int wrong;
};

static void wrong(struct looking *l, const char *fmt, ...) GS_PRINTF(2, 3);

static void wrong(struct looking *l, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "fetch_connector of %s: ", l->e->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    l->wrong++;
}

static bool is_text(const char *s)
{
    return s && *s;
}

static void look_at_itself(struct looking *l)
{
    const struct fetch_connector *c = l->e->connector;
    const struct fetch_system *s = fetch_systems_find(l->e->name);

    if (!is_text(c->label))
        wrong(l, "it has no label");
    if (!c->terms_url || !gs_str_starts(c->terms_url, "https://"))
        wrong(l, "its terms have no address at https://");
    if (!c->outcomes)
        wrong(l, "it gives neither numbers nor percentages");
    if (!c->start || !c->reply || !c->connection_fields || !c->link_fields)
        wrong(l, "start, reply, connection_fields and link_fields must be there");
    if (c->max_exchanges < 0 || c->max_exchanges > FETCH_EXCHANGES_MAX)
        wrong(l, "max_exchanges is %d; at most %d are allowed", c->max_exchanges, FETCH_EXCHANGES_MAX);
    if (s && s->category != l->e->category)
        wrong(l, "its folder is in another category than %s, which services/fetch/systems.c names",
              gs_category_dashed(s->category));
}

static bool has_choice(const struct fetch_field *f, const char *value)
{
    size_t len = strlen(value);

    for (const char *p = f->choices; p && *p; p += strcspn(p, ","), p += *p == ',') {
        if (strcspn(p, ",") == len && strncmp(p, value, len) == 0)
            return true;
    }
    return false;
}

static void look_at_fields(struct looking *l, const struct fetch_field *fields)
{
    for (const struct fetch_field *f = fields; f && f->name; f++) {
        if (!is_text(f->label))
            wrong(l, "field %s has no label", f->name);
        if (f->required && is_text(f->def))
            wrong(l, "field %s is required and has a default", f->name);
        if (f->type == FETCH_CHOICE && (!is_text(f->choices) || (is_text(f->def) && !has_choice(f, f->def))))
            wrong(l, "field %s has no choices, or its default is none of them", f->name);
        for (const struct fetch_field *other = fields; other < f; other++) {
            if (gs_str_eq(other->name, f->name))
                wrong(l, "two fields are called %s", f->name);
        }
    }
}

static void look_at_auths(struct looking *l)
{
    for (const struct fetch_auth *a = l->e->connector->auths; a && a->name; a++) {
        if (!is_text(a->label))
            wrong(l, "the way to sign in %s has no label", a->name);
        if (a->kind == FETCH_KEY && !is_text(a->header))
            wrong(l, "the way to sign in %s names no header", a->name);
        if (a->kind == FETCH_OAUTH && (!is_text(a->authorize_url) || !is_text(a->token_url)))
            wrong(l, "the way to sign in %s needs authorize_url and token_url", a->name);
        if ((a->kind == FETCH_OAUTH_CLIENT || a->kind == FETCH_OAUTH_JWT) && !is_text(a->token_url))
            wrong(l, "the way to sign in %s needs token_url", a->name);
    }
}

static void look_at_hosts(struct looking *l)
{
    int n = 0;

    for (const struct fetch_host *h = l->e->connector->hosts; h && h->name; h++, n++) {
        size_t len = h->url ? strlen(h->url) : 0;

        if (!len || !gs_str_starts(h->url, "https://") || h->url[len - 1] == '/')
            wrong(l, "the host %s is not like https://host, without a slash at its end", h->name);
    }
    if (n > FETCH_HOSTS_MAX)
        wrong(l, "more than %d hosts", FETCH_HOSTS_MAX);
}

static void look_at_budgets(struct looking *l)
{
    const struct fetch_budget *b = l->e->connector->budgets;
    int n = 0;

    for (; b && (b->name || b->requests); b++, n++) {
        const char *name = b->name ? b->name : "of every request";

        if (b->requests <= 0 || b->seconds <= 0)
            wrong(l, "the budget %s needs a number of requests and of seconds", name);
        if (b->burst < 0 || b->burst > b->requests)
            wrong(l, "the budget %s allows more at once than in all", name);
    }
    if (n > FETCH_BUDGETS_MAX)
        wrong(l, "more than %d budgets", FETCH_BUDGETS_MAX);
}

static void look_at_trial(struct looking *l)
{
    const char *trial = l->e->connector->trial;
    struct fetch_settings *s;
    struct gs_err err;

    if (!trial)
        return;
    s = fetch_settings_parse(l->e->connector->link_fields, trial, strlen(trial), &err);
    if (!s)
        wrong(l, "trial: %s", err.text);
    fetch_settings_free(s);
}

int case_connector(const struct fetch_entry *e)
{
    struct looking l = {.e = e};

    look_at_itself(&l);
    look_at_fields(&l, e->connector->connection_fields);
    look_at_fields(&l, e->connector->link_fields);
    look_at_auths(&l);
    look_at_hosts(&l);
    look_at_budgets(&l);
    look_at_trial(&l);
    return l.wrong;
}
