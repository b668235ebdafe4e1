/* Putting together an exchange: addresses, percent-encoding, headers, statements, and their ceilings. */
#include <assert.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/hosts.h"
#include "services/fetch/task.h"
#include "services/fetch/task_state.h"

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

static void put_encoded(struct gs_buf *b, const char *s)
{
    static const char hex[] = "0123456789ABCDEF";

    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (unreserved(*s)) {
            gs_buf_putc(b, *s);
        } else {
            gs_buf_putc(b, '%');
            gs_buf_putc(b, hex[c >> 4]);
            gs_buf_putc(b, hex[c & 15]);
        }
    }
}

/* Keeps the first mistake; the exchange is refused when it is put together. */
static enum gs_rc refuse(struct fetch_task *t, const char *what)
{
    if (t->ask_rc == GS_OK)
        t->ask_rc = gs_fail(&t->err, GS_REJECT, "%s", what);
    return GS_REJECT;
}

void fetch_task_ask_clear(struct fetch_task *t)
{
    gs_buf_clear(&t->url);
    gs_buf_clear(&t->text);
    t->n_headers = 0;
    t->ask_rc = GS_OK;
    t->asked = false;
    t->exchange = (struct fetch_exchange){.wire = t->connector->wire};
    for (const struct fetch_budget *b = t->connector->budgets; b && b->requests && !t->exchange.budget; b++)
        t->exchange.budget = b->name;
}

/* Counts before anything is put together, so that a paging loop without end meets the ceiling. */
static enum gs_rc begin(struct fetch_task *t, enum fetch_wire wire)
{
    fetch_task_ask_clear(t);
    t->asked = true;
    if (wire != t->connector->wire)
        return refuse(t, "the connector asks for an exchange of another wire than its own");
    if (t->exchanges >= t->max_exchanges) {
        t->ask_rc = gs_fail(&t->err, GS_REJECT, "the source's answer needs more than %d requests; narrow the link down",
                            t->max_exchanges);
        return GS_REJECT;
    }
    return GS_AGAIN;
}

/* An argument is one segment: "." and ".." would be resolved on the way and leave the path. */
static enum gs_rc put_segment(struct fetch_task *t, const char *arg)
{
    if (!*arg || !strcmp(arg, ".") || !strcmp(arg, ".."))
        return refuse(t, "a part of the source's address is empty or only dots; correct the link's settings");
    put_encoded(&t->url, arg);
    return GS_AGAIN;
}

static enum gs_rc put_path(struct fetch_task *t, const char *path, va_list ap)
{
    size_t base = t->base.len;
    enum gs_rc rc = GS_AGAIN;

    while (*path == '/' && base && t->base.data[base - 1] == '/')
        base--;
    gs_buf_append(&t->url, gs_buf_str(&t->base), base);
    for (; *path && rc == GS_AGAIN; path++) {
        if (path[0] == '%') {
            assert(path[1] == 's');
            rc = put_segment(t, va_arg(ap, const char *));
            path++;
        } else {
            gs_buf_putc(&t->url, *path);
        }
    }
    return rc;
}

enum gs_rc fetch_get(struct fetch_task *t, const char *path, ...)
{
    enum gs_rc rc = begin(t, FETCH_HTTP);
    va_list ap;

    if (rc != GS_AGAIN)
        return rc;
    t->exchange.method = "GET";
    va_start(ap, path);
    rc = put_path(t, path, ap);
    va_end(ap);
    return rc;
}

enum gs_rc fetch_follow(struct fetch_task *t, const char *url)
{
    enum gs_rc rc = begin(t, FETCH_HTTP);

    if (rc != GS_AGAIN)
        return rc;
    t->exchange.method = "GET";
    gs_buf_puts(&t->url, url);
    return GS_AGAIN;
}

/* Texts lie one after the other in `text`, each with its zero byte. */
static size_t put_text(struct fetch_task *t, const char *s, size_t len)
{
    size_t at = t->text.len;

    gs_buf_append(&t->text, s, len);
    gs_buf_putc(&t->text, '\0');
    return at;
}

enum gs_rc fetch_post(struct fetch_task *t, const char *content_type, const char *body, size_t len, const char *path,
                      ...)
{
    enum gs_rc rc = begin(t, FETCH_HTTP);
    va_list ap;

    if (rc != GS_AGAIN)
        return rc;
    t->exchange.method = "POST";
    t->body = put_text(t, body, len);
    t->exchange.body_len = len;
    va_start(ap, path);
    rc = put_path(t, path, ap);
    va_end(ap);
    fetch_header(t, "Content-Type", content_type);
    return rc;
}

const char *fetch_host(const struct fetch_task *t, const char *name)
{
    const char *url = fetch_host_url(t->connector, name);

    return url ? url : ""; /* refused when the exchange is put together: it is no address */
}

void fetch_base(struct fetch_task *t, const char *base_url)
{
    gs_buf_clear(&t->base);
    gs_buf_puts(&t->base, base_url);
}

void fetch_query(struct fetch_task *t, const char *name, const char *value)
{
    gs_buf_putc(&t->url, t->url.len && strchr(t->url.data, '?') ? '&' : '?');
    put_encoded(&t->url, name);
    gs_buf_putc(&t->url, '=');
    put_encoded(&t->url, value);
}

static bool header_safe(const char *name, const char *value)
{
    for (const char *p = name; *p; p++) {
        if (!unreserved(*p))
            return false;
    }
    for (const char *p = value; *p; p++) {
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return false;
    }
    /* These are the driver's. */
    return *name && strcasecmp(name, "Authorization") && strcasecmp(name, "Host") && strcasecmp(name, "User-Agent") &&
           strcasecmp(name, "Content-Length") && strcasecmp(name, "Transfer-Encoding");
}

void fetch_header(struct fetch_task *t, const char *name, const char *value)
{
    if (t->n_headers == FETCH_HEADERS_MAX || !header_safe(name, value)) {
        refuse(t, "a header of the request is not allowed; correct the link's settings");
        return;
    }
    t->headers[t->n_headers].name = put_text(t, name, strlen(name));
    t->headers[t->n_headers].value = put_text(t, value, strlen(value));
    t->n_headers++;
}

void fetch_spend(struct fetch_task *t, const char *budget)
{
    for (const struct fetch_budget *b = t->connector->budgets; b && b->requests; b++) {
        if (b->name && !strcmp(b->name, budget)) {
            t->exchange.budget = b->name;
            return;
        }
    }
    refuse(t, "the connector spends a budget that it does not have");
}

enum gs_rc fetch_sql(struct fetch_task *t, const char *statement)
{
    enum gs_rc rc = begin(t, FETCH_POSTGRES);

    if (rc == GS_AGAIN)
        t->body = put_text(t, statement, strlen(statement));
    return rc;
}

/* Length of "scheme://host:port"; 0 when it is no such address. */
static size_t origin_of(const char *url)
{
    const char *p = strstr(url, "://");

    if (!p || (strncmp(url, "https:", 6) && strncmp(url, "http:", 5)) ||
        strcspn(url, "/?#") + 1 != (size_t)(p - url) + 2)
        return 0;
    p += 3;
    size_t host = strcspn(p, "/?#");

    return host && !memchr(p, '@', host) ? (size_t)(p - url) + host : 0;
}

/* A source may name the next page, but not send the connection's secret somewhere else. */
static enum gs_rc check_origin(struct fetch_task *t)
{
    const char *url = gs_buf_str(&t->url);
    size_t len = origin_of(url);

    for (const char *p = url; *p; p++) {
        /* A backslash ends the host for some readers of addresses and not for others. */
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || *p == '\\')
            return gs_fail(&t->err, GS_REJECT, "the source's address holds a character that addresses cannot hold");
    }
    if (!len)
        return gs_fail(&t->err, GS_REJECT, "the source's address is not like https://host/path");
    if (!t->origin_text) {
        t->origin_text = gs_strndup(url, len);
        t->origin = len;
    }
    if (len != t->origin || memcmp(t->origin_text, url, len) != 0)
        return gs_fail(&t->err, GS_REJECT, "the source's answer points to another host than %s; it is not followed",
                       t->origin_text);
    return GS_OK;
}

static void resolve(struct fetch_task *t)
{
    struct fetch_exchange *x = &t->exchange;
    const char *text = gs_buf_str(&t->text);

    if (x->wire == FETCH_POSTGRES) {
        x->statement = text + t->body;
        return;
    }
    for (size_t i = 0; i < t->n_headers; i++)
        t->header_list[i] = (struct gs_http_header){text + t->headers[i].name, text + t->headers[i].value};
    x->url = gs_buf_str(&t->url);
    x->headers = t->header_list;
    x->n_headers = t->n_headers;
    x->body = !strcmp(x->method, "POST") ? text + t->body : NULL;
}

enum gs_rc fetch_task_ask(struct fetch_task *t)
{
    if (!t->asked)
        return gs_fail(&t->err, GS_REJECT, "the connector %s neither asked nor answered", t->connector->label);
    if (t->ask_rc != GS_OK)
        return t->ask_rc;
    if (t->base.overflow || t->url.overflow)
        return gs_fail(&t->err, GS_REJECT, "the source's address is longer than %d bytes", GS_HTTP_URL_MAX);
    if (t->text.overflow)
        return gs_fail(&t->err, GS_REJECT, "the request is larger than %d bytes", FETCH_TEXT_MAX);
    if (t->connector->wire == FETCH_HTTP && check_origin(t) != GS_OK)
        return GS_REJECT;
    resolve(t);
    t->budget = t->exchange.budget;
    t->exchanges++;
    return GS_OK;
}
