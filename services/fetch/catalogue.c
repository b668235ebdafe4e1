/* Looking up connectors by name, and what people are shown of them; compiled into each catalogue library beside its
 * generated table. */
#include "services/fetch/catalogue.h"
#include "services/fetch/secret.h"
#include "services/fetch/systems.h"

#include <string.h>

#define TERMS_FIRST "1"

const struct fetch_entry *fetch_catalogue_find(const char *name)
{
    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++) {
        if (!strcmp(e->name, name))
            return e;
    }
    return NULL;
}

const char *fetch_terms_version(const struct fetch_connector *c)
{
    return c->terms_version ? c->terms_version : TERMS_FIRST;
}

/* ---- as JSON ---- */

static void put(struct gs_buf *b, const char *name, const char *text)
{
    gs_buf_printf(b, "%s\"%s\":", b->data[b->len - 1] == '{' ? "" : ",", name);
    if (text)
        gs_buf_put_json(b, text, strlen(text));
    else
        gs_buf_puts(b, "null");
}

static void put_choices(struct gs_buf *b, const char *choices)
{
    gs_buf_puts(b, ",\"choices\":[");
    while (choices && *choices) {
        size_t len = strcspn(choices, ",");
        gs_buf_put_json(b, choices, len);
        choices += len + (choices[len] == ',');
        gs_buf_puts(b, *choices ? "," : "");
    }
    gs_buf_putc(b, ']');
}

static void put_field(struct gs_buf *b, const struct fetch_field *f)
{
    static const char *const types[] = {[FETCH_TEXT] = "text",       [FETCH_LONG_TEXT] = "long_text",
                                        [FETCH_INTEGER] = "integer", [FETCH_CHOICE] = "choice",
                                        [FETCH_URL] = "url",         [FETCH_HOST] = "host"};

    gs_buf_putc(b, '{');
    put(b, "name", f->name);
    put(b, "label", f->label);
    put(b, "help", f->help);
    put(b, "type", types[f->type]);
    gs_buf_printf(b, ",\"required\":%s", f->required ? "true" : "false");
    put(b, "default", f->def);
    put_choices(b, f->choices);
    if (f->type == FETCH_INTEGER && (f->min || f->max))
        gs_buf_printf(b, ",\"minimum\":%lld,\"maximum\":%lld}", (long long)f->min, (long long)f->max);
    else
        gs_buf_puts(b, ",\"minimum\":null,\"maximum\":null}");
}

static void put_form(struct gs_buf *b, const char *name, const struct fetch_field *fields)
{
    gs_buf_printf(b, ",\"%s\":[", name);
    for (const struct fetch_field *f = fields; f && f->name; f++) {
        gs_buf_puts(b, f == fields ? "" : ",");
        put_field(b, f);
    }
    gs_buf_putc(b, ']');
}

/* What a person enters is called as the source calls it. */
static const char *secret_label(const struct fetch_auth *a, const char *field)
{
    static const char *const labels[][2] = {
        {"token", "Token"},
        {"user", "User"},
        {"password", "Password"},
        {"client_id", "Client ID"},
        {"client_secret", "Client secret"},
        {"key", "Key file (JSON)"},
        {"private_key", "Private key (PEM)"},
        {"access_key_id", "Access key ID"},
        {"secret_access_key", "Secret access key"},
    };

    if (strcmp(field, "user") == 0 && a->user_label)
        return a->user_label;
    if (strcmp(field, "user") != 0 && a->secret_label)
        return a->secret_label;
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strcmp(labels[i][0], field) == 0)
            return labels[i][1];
    return field;
}

static void put_auth(struct gs_buf *b, const struct fetch_auth *a)
{
    static const char *const kinds[] = {
        [FETCH_NO_SECRET] = "none",
        [FETCH_BEARER] = "token",
        [FETCH_KEY] = "token",
        [FETCH_BASIC] = "user_password",
        [FETCH_USER_PASSWORD] = "user_password",
        [FETCH_OAUTH] = "oauth",
        [FETCH_OAUTH_CLIENT] = "client_credentials",
        [FETCH_OAUTH_JWT] = "service_account",
        [FETCH_KEY_PAIR] = "key_pair",
        [FETCH_AWS] = "aws",
    };
    const char *const *fields = fetch_secret_fields(a->kind);

    gs_buf_putc(b, '{');
    put(b, "name", a->name);
    put(b, "label", a->label);
    put(b, "help", a->help);
    put(b, "kind", kinds[a->kind]);
    put(b, "scope", a->scope);
    gs_buf_puts(b, ",\"fields\":[");
    for (const char *const *f = fields; *f; f++) {
        gs_buf_puts(b, f == fields ? "{" : ",{");
        put(b, "name", *f);
        put(b, "label", secret_label(a, *f));
        gs_buf_putc(b, '}');
    }
    gs_buf_puts(b, "]}");
}

static void put_auths(struct gs_buf *b, const struct fetch_connector *c)
{
    const struct fetch_auth *auths = c ? c->auths : NULL;

    gs_buf_puts(b, ",\"auth\":[");
    for (const struct fetch_auth *a = auths; a && a->name; a++) {
        gs_buf_puts(b, a == auths ? "" : ",");
        put_auth(b, a);
    }
    gs_buf_putc(b, ']');
}

static void put_connector(struct gs_buf *b, const struct fetch_connector *c)
{
    static const struct fetch_field none[] = {{0}};
    unsigned outcomes = c ? c->outcomes : 0;

    put_auths(b, c);
    gs_buf_printf(b, ",\"pushed\":%s", c && c->pushed ? "true" : "false");
    gs_buf_printf(b, ",\"outcomes\":[%s%s%s]", outcomes & FETCH_NUMBER ? "\"number\"" : "",
                  outcomes == (FETCH_NUMBER | FETCH_PERCENT) ? "," : "", outcomes & FETCH_PERCENT ? "\"percent\"" : "");
    put_form(b, "connection_fields", c ? c->connection_fields : none);
    put_form(b, "link_fields", c ? c->link_fields : none);
}

/* Either may be null: a connector that nobody listed, a system without a connector. */
static void put_entry(struct gs_buf *b, const struct fetch_entry *e, const struct fetch_system *s)
{
    static const char *const sharing[] = {
        [FETCH_SHARE_CHOICE] = "choice", [FETCH_SHARE_NEVER] = "never", [FETCH_SHARE_ALWAYS] = "always"};
    const struct fetch_connector *c = e ? e->connector : NULL;

    gs_buf_putc(b, '{');
    put(b, "name", e ? e->name : s->name);
    put(b, "label", c ? c->label : s->label);
    put(b, "category", gs_category_name(e ? e->category : s->category));
    put(b, "type", s && s->chat ? "collaboration" : "data");
    put(b, "direction", s && s->chat ? "both" : "in");
    gs_buf_printf(b, ",\"available\":%s", c ? "true" : "false");
    put(b, "terms_url", c && c->terms_url ? c->terms_url : s ? s->terms_url : "");
    put(b, "terms_version", c ? fetch_terms_version(c) : TERMS_FIRST);
    put(b, "sharing", sharing[s ? s->sharing : FETCH_SHARE_CHOICE]);
    put_connector(b, c);
    gs_buf_putc(b, '}');
}

bool fetch_catalogue_print(const char *name, struct gs_buf *b)
{
    const struct fetch_entry *e = fetch_catalogue_find(name);
    const struct fetch_system *s = fetch_systems_find(name);

    if (e || s)
        put_entry(b, e, s);
    return e || s;
}

void fetch_catalogue_print_all(struct gs_buf *b)
{
    const char *between = "";

    gs_buf_putc(b, '[');
    for (const struct fetch_system *s = fetch_systems; s->name; s++) {
        gs_buf_puts(b, between);
        put_entry(b, fetch_catalogue_find(s->name), s);
        between = ",";
    }
    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++) {
        if (fetch_systems_find(e->name))
            continue;
        gs_buf_puts(b, between);
        put_entry(b, e, NULL);
        between = ",";
    }
    gs_buf_putc(b, ']');
}
