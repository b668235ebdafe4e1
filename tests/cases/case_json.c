/* A connector's cases as JSON, for servers that replay their conversations (tests/conformance). */
#include "tests/cases/case.h"

#include "common/clock.h"
#include "services/fetch/catalogue.h"

#include <stdio.h>
#include <string.h>

static void put_text(struct gs_buf *b, const char *text)
{
    if (text)
        gs_buf_put_json(b, text, strlen(text));
    else
        gs_buf_puts(b, "null");
}

static void put_member(struct gs_buf *b, const char *name, const char *text)
{
    gs_buf_printf(b, ",\"%s\":", name);
    put_text(b, text);
}

static void put_texts(struct gs_buf *b, const char *const *texts, int n)
{
    gs_buf_putc(b, '[');
    for (int i = 0; i < n; i++) {
        gs_buf_puts(b, i ? "," : "");
        put_text(b, texts[i]);
    }
    gs_buf_putc(b, ']');
}

/* Pairs keep their order, and a name may come twice. */
static void put_pairs(struct gs_buf *b, const char *name, const struct case_pairs *pairs)
{
    gs_buf_printf(b, ",\"%s\":[", name);
    for (size_t i = 0; i < pairs->n; i++) {
        gs_buf_puts(b, i ? "," : "");
        put_texts(b, (const char *const[]){pairs->at[i].name, pairs->at[i].value}, 2);
    }
    gs_buf_putc(b, ']');
}

static void put_exchange(struct gs_buf *b, const struct case_exchange *x)
{
    gs_buf_printf(b, "{\"status\":%ld", x->status);
    put_member(b, "method", x->method);
    put_member(b, "url", x->url);
    put_pairs(b, "queries", &x->queries);
    put_pairs(b, "headers", &x->headers);
    put_member(b, "sent", x->sent);
    put_member(b, "spends", x->spends);
    put_pairs(b, "reply_headers", &x->reply_headers);
    gs_buf_puts(b, ",\"body\":");
    gs_buf_put_json(b, x->body ? x->body : "", x->body_len);
    put_member(b, "sql", x->sql);
    gs_buf_puts(b, ",\"columns\":");
    put_texts(b, x->types, x->cols);
    gs_buf_puts(b, ",\"rows\":[");
    for (int i = 0; i < x->rows; i++) {
        gs_buf_puts(b, i ? "," : "");
        put_texts(b, x->values + i * x->cols, x->cols);
    }
    gs_buf_putc(b, ']');
    put_member(b, "lost", x->failure_text);
    gs_buf_putc(b, '}');
}

static void put_outcome(struct gs_buf *b, const struct case_outcome *o)
{
    char value[GS_DEC_TEXT];

    gs_dec_format(o->value, value);
    gs_buf_puts(b, "{\"outcome\":");
    put_text(b, fetch_outcome_name(o->outcome));
    put_member(b, "value", o->outcome == FETCH_OUTCOME_OK ? value : NULL);
    put_member(b, "text", o->text);
    gs_buf_printf(b, ",\"percent\":%s,\"until_us\":%lld,\"seen\":%lld}", o->percent ? "true" : "false",
                  (long long)o->until_us, (long long)o->seen);
}

static void put_settings(struct gs_buf *b, const struct case_pairs *pairs)
{
    gs_buf_putc(b, '{');
    for (size_t i = 0; i < pairs->n; i++) {
        gs_buf_puts(b, i ? "," : "");
        put_text(b, pairs->at[i].name);
        gs_buf_putc(b, ':');
        put_text(b, pairs->at[i].value);
    }
    gs_buf_putc(b, '}');
}

/* Of each link that its form takes. */
static void put_batch_keys(struct gs_buf *b, const struct test_case *c, const struct fetch_connector *connector)
{
    struct case_settings s;
    struct gs_err err;
    char key[65];

    gs_buf_puts(b, ",\"batch_keys\":[");
    if (case_settings_read(c, connector, &s, &err) == GS_OK) {
        for (size_t i = 0; i < s.n; i++) {
            fetch_batch_key(connector, s.links[i], key);
            gs_buf_puts(b, i ? "," : "");
            put_text(b, key);
        }
    }
    case_settings_done(&s);
    gs_buf_putc(b, ']');
}

void case_put_json(const struct test_case *c, const struct fetch_connector *connector, struct gs_buf *b)
{
    const char *name = strrchr(c->path, '/');

    gs_buf_puts(b, "{\"case\":");
    put_text(b, name ? name + 1 : c->path);
    gs_buf_printf(b, ",\"now_us\":%lld,\"any_number\":%s,\"pages\":%s", (long long)c->now_us,
                  c->any_number ? "true" : "false", c->pages ? "true" : "false");
    put_member(b, "refused", c->refused);
    gs_buf_puts(b, ",\"connection\":");
    put_settings(b, &c->connection);
    gs_buf_puts(b, ",\"links\":[");
    for (size_t i = 0; i < c->n_links; i++) {
        gs_buf_puts(b, i ? "," : "");
        put_settings(b, &c->links[i]);
    }
    gs_buf_putc(b, ']');
    put_batch_keys(b, c, connector);
    gs_buf_puts(b, ",\"exchanges\":[");
    for (size_t i = 0; i < c->n_exchanges; i++) {
        gs_buf_puts(b, i ? "," : "");
        put_exchange(b, &c->exchanges[i]);
    }
    gs_buf_puts(b, "],\"outcomes\":[");
    for (size_t i = 0; i < c->n_outcomes; i++) {
        gs_buf_puts(b, i ? "," : "");
        put_outcome(b, &c->outcomes[i]);
    }
    gs_buf_puts(b, "]}");
}

/* The field of the link form that takes a statement. */
static const char *query_field(const struct fetch_connector *c)
{
    for (const struct fetch_field *f = c->link_fields; f->name; f++) {
        if (f->type == FETCH_LONG_TEXT)
            return f->name;
    }
    return NULL;
}

static const char *wire_name(enum fetch_wire wire)
{
    switch (wire) {
    case FETCH_HTTP:
        return "http";
    case FETCH_POSTGRES:
        return "postgres";
    }
    return "unknown";
}

void case_put_connector(const struct fetch_entry *e, struct gs_buf *b)
{
    const struct fetch_connector *c = e->connector;

    gs_buf_puts(b, "{\"name\":");
    put_text(b, e->name);
    put_member(b, "category", gs_category_name(e->category));
    put_member(b, "wire", wire_name(c->wire));
    put_member(b, "query_field", query_field(c));
    gs_buf_printf(b, ",\"signs_in\":%s,\"auths\":[", c->auths ? "true" : "false");
    for (const struct fetch_auth *a = c->auths; a && a->name; a++) {
        gs_buf_puts(b, a == c->auths ? "{\"name\":" : ",{\"name\":");
        put_text(b, a->name);
        gs_buf_putc(b, '}');
    }
    gs_buf_putc(b, ']');
    gs_buf_puts(b, ",\"budgets\":[");
    for (const struct fetch_budget *k = c->budgets; k && k->requests; k++) {
        gs_buf_puts(b, k == c->budgets ? "{\"name\":" : ",{\"name\":");
        put_text(b, k->name);
        gs_buf_printf(b, ",\"requests\":%d,\"seconds\":%d}", k->requests, k->seconds);
    }
    gs_buf_putc(b, ']');
    gs_buf_printf(b, ",\"max_exchanges\":%d,\"pushed\":%s,\"batches\":%s}", c->max_exchanges > 0 ? c->max_exchanges : 1,
                  c->pushed ? "true" : "false", c->batch_key ? "true" : "false");
}
