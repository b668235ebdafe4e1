/* Requests as they come in: what of them is taken over, and what no operation ever sees. */
#include "common/address.h"
#include "common/event.h"
#include "common/str.h"
#include "services/gateway/accept.h"
#include "services/gateway/http_private.h"
#include "services/gateway/limit.h"
#include "services/gateway/settings.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_ID_MAX 64
#define ADDRESS_MAX    sizeof(((struct gw_call *)0)->address)
#define OVERRUN_MAX    (1 << 20) /* of a body beyond its limit that is still read, to tell so in peace */

void gw_refuse(struct gw_call *c, int status, const char *code, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    c->status = gw_fail(c, status, code, "%s", text);
    c->refused = true;
}

/* ---- headers ---- */

struct reading {
    struct gw_call *c;
    bool too_many, bad;
};

/* Whoever stands before us may have read another one of two than we do. */
static bool is_single(const char *name)
{
    static const char *const names[] = {"Host",          "Content-Length", "Content-Type",  "Transfer-Encoding",
                                        "Authorization", "If-Match",       "If-None-Match", "Idempotency-Key",
                                        "Cookie",        "Origin",         "Expect"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_clean(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
            return false;
    return true;
}

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
    struct reading *r = arg;
    struct gw_call *c = r->c;

    (void)kind;
    value = value ? value : "";
    if (c->n_headers == GW_HEADERS_MAX) {
        r->too_many = true;
        return MHD_NO;
    }
    r->bad |= !is_clean(name, name_len) || !is_clean(value, value_len) || (is_single(name) && gw_call_header(c, name));
    c->headers[c->n_headers++] =
        (struct gw_header){gs_arena_strndup(&c->arena, name, name_len), gs_arena_strndup(&c->arena, value, value_len)};
    return MHD_YES;
}

static bool is_id(const char *s)
{
    size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return len > 0 && len <= REQUEST_ID_MAX && !s[len];
}

/* The caller's own, where it has a harmless one: it is given back and stands in logs. */
static void name_request(struct gw_call *c)
{
    const char *given = gw_call_header(c, "X-Request-Id");
    unsigned char random[16];
    char text[2 * sizeof(random) + 1];

    if (given && is_id(given)) {
        c->request_id = given;
    } else {
        if (RAND_bytes(random, sizeof(random)) != 1)
            abort();
        gs_hex_encode(random, sizeof(random), text);
        c->request_id = gs_arena_strndup(&c->arena, text, strlen(text));
    }
    given = gw_call_header(c, "traceparent");
    gs_traceparent_child(given && gs_traceparent_valid(given) ? given : NULL, c->traceparent);
}

/* ---- the client's address ---- */

static bool is_listed(const char *list, const char *address)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        const char *begin = list;
        list += len + (list[len] == ',');
        while (len && *begin == ' ') {
            begin++;
            len--;
        }
        if (strlen(address) == len && memcmp(begin, address, len) == 0)
            return true;
    }
    return false;
}

/* All lines of X-Forwarded-For as one list, in their order: a proxy may have added its own line to the client's. */
static const char *forwarded_for(struct gw_call *c)
{
    const char *list = NULL;

    for (int i = 0; i < c->n_headers; i++) {
        size_t len = list ? strlen(list) : 0, more = strlen(c->headers[i].value);
        if (strcasecmp(c->headers[i].name, "X-Forwarded-For") != 0)
            continue;
        char *both = gs_arena_alloc(&c->arena, len + more + 2);
        snprintf(both, len + more + 2, "%s%s%s", list ? list : "", list ? "," : "", c->headers[i].value);
        list = both;
    }
    return list;
}

/* Some proxies add the port: "192.0.2.1:4711", "[2001:db8::1]:4711". False: it is no address. */
static bool read_forwarded(const char *word, char dst[ADDRESS_MAX])
{
    size_t len = strcspn(word, " \t,"), colon = strcspn(word, ":");
    unsigned char bytes[16];

    if (*word == '[')
        len = strcspn(++word, "], \t");
    else if (colon < len && !memchr(word + colon + 1, ':', len - colon - 1))
        len = colon;
    snprintf(dst, ADDRESS_MAX, "%.*s", (int)len, word);
    return inet_pton(AF_INET, dst, bytes) == 1 || inet_pton(AF_INET6, dst, bytes) == 1;
}

/* Behind proxies: the last address that a proxy of ours wrote down and that is none of ours. */
static void find_address(struct gw_call *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const char *list = forwarded_for(c), *end = list ? list + strlen(list) : NULL;
    char said[ADDRESS_MAX];

    if (info)
        gs_address_host(info->client_addr, c->address, sizeof(c->address));
    while (list && end > list && is_listed(gw_settings.proxies, c->address)) {
        const char *begin = end;
        while (begin > list && begin[-1] != ',')
            begin--;
        if (!read_forwarded(begin + strspn(begin, " \t"), said))
            return;
        memcpy(c->address, said, sizeof(said));
        end = begin > list ? begin - 1 : list;
    }
}

/* ---- query ---- */

static int param_index(const struct gw_operation *op, enum gw_param_in in, const char *name)
{
    for (int i = 0; i < op->n_params; i++) {
        const struct gw_param_spec *p = &op->params[i];
        if (p->in == in && (in == GW_IN_HEADER ? strcasecmp(p->name, name) == 0 : gs_str_eq(p->name, name)))
            return i;
    }
    return -1;
}

static bool read_pair(struct gw_call *c, const char *pair, size_t len)
{
    const char *equals = memchr(pair, '=', len);
    size_t name_len = equals ? (size_t)(equals - pair) : len, n;
    char *name = gs_arena_alloc(&c->arena, len + 2), *value;
    int i;

    if (!gw_percent_decode(pair, name_len, true, name, &n)) {
        gw_refuse(c, 400, "malformed",
                  "The query holds a broken escape, a control character or text that is not UTF-8");
        return false;
    }
    value = name + n + 1;
    if (!gw_percent_decode(equals ? equals + 1 : "", equals ? len - name_len - 1 : 0, true, value, &n)) {
        gw_refuse(c, 400, "malformed",
                  "The query holds a broken escape, a control character or text that is not UTF-8");
        return false;
    }
    i = param_index(c->op, GW_IN_QUERY, name);
    if (i < 0 && c->op->any_query)
        return true;
    if (i < 0 || c->params[i]) {
        char shown[64];
        gs_str_clean(shown, sizeof(shown), name, strlen(name));
        gw_call_fault(c, gw_call_printf(c, "#query/%s", shown),
                      i < 0 ? "is not a parameter of this" : "is given twice");
        gw_refuse(c, 400, "invalid", "The query's parameter \"%s\" %s", shown,
                  i < 0 ? "is not known here" : "is given twice");
        return false;
    }
    c->params[i] = value;
    return true;
}

static void read_query(struct gw_call *c, const char *query)
{
    while (*query) {
        size_t len = strcspn(query, "&");
        if (len > 0 && !read_pair(c, query, len))
            return;
        query += len + (query[len] == '&');
    }
}

static void read_header_params(struct gw_call *c)
{
    for (int i = 0; i < c->op->n_params; i++)
        if (c->op->params[i].in == GW_IN_HEADER)
            c->params[i] = gw_call_header(c, c->op->params[i].name);
}

/* ---- finding the operation ---- */

static void allow(struct gw_call *c, const struct gw_match *m)
{
    char list[80] = "";
    size_t len = 0;

    for (size_t i = 0; i < GW_METHODS; i++)
        if (m->by_method[i])
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i == 0 ? "GET, HEAD" : gw_methods[i], ", ");
    snprintf(list + len, sizeof(list) - len, "OPTIONS");
    gw_header_set(c, "Allow", list);
    if (gs_str_eq(c->method, "OPTIONS"))
        c->allow = gs_arena_strndup(&c->arena, list, strlen(list));
}

/* http://host/path, as for a proxy, is the same as /path (RFC 9112, section 3.2.2). */
static const char *origin_form(const char *target)
{
    const char *rest = strncasecmp(target, "http://", 7) == 0    ? target + 7
                       : strncasecmp(target, "https://", 8) == 0 ? target + 8
                                                                 : NULL;

    if (!rest)
        return target;
    rest += strcspn(rest, "/?#");
    return *rest == '/' ? rest : "/";
}

static void take_params(struct gw_call *c, const struct gw_match *m, const char *query)
{
    c->op = m->op;
    c->params = gs_arena_alloc(&c->arena, GW_PARAMS_MAX * sizeof(*c->params));
    memset(c->params, 0, GW_PARAMS_MAX * sizeof(*c->params));
    for (int i = 0; i < c->op->n_params && c->op->params[i].in == GW_IN_PATH; i++)
        c->params[i] = m->values[i];
    read_header_params(c);
    read_query(c, query);
}

static void route(struct gw_call *c)
{
    const char *path = origin_form(c->target), *query = path + strcspn(path, "?");
    size_t len = (size_t)(query - path);
    char *buf = gs_arena_alloc(&c->arena, len + GW_SEGMENTS_MAX + 1);
    struct gw_match m;
    enum gw_route found = gw_document_route(c->server->document, c->head ? "GET" : c->method, path, len, buf, &m);

    if (found == GW_BAD_PATH) {
        gw_refuse(c, 400, "malformed",
                  "The path holds what no path of this API has: a broken escape, an escaped slash, "
                  "a control character, text that is not UTF-8, or too many segments");
    } else if (found == GW_NO_PATH) {
        gw_refuse(c, 404, "no-such-path", "There is nothing at this path; /openapi.json says what there is");
    } else if (found == GW_NO_METHOD && gs_str_eq(c->method, "OPTIONS")) {
        allow(c, &m);
        c->status = 204;
        c->refused = true;
    } else if (found == GW_NO_METHOD) {
        allow(c, &m);
        gw_refuse(c, 405, "no-such-method", "This path does not take that method; see the header Allow");
    } else {
        take_params(c, &m, *query ? query + 1 : query);
    }
}

/* ---- bodies ---- */

static void read_content_type(struct gw_call *c)
{
    const char *given = gw_call_header(c, "Content-Type");
    size_t len = given ? strcspn(given, "; \t") : 0;
    char *type = gs_arena_strndup(&c->arena, given ? given : "", len);

    for (char *s = type; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s | 0x20);
    c->content_type = type;
}

static bool takes(const struct gw_operation *op, const char *type)
{
    for (size_t i = 0; op->media && op->media[i]; i++)
        if (gs_str_eq(op->media[i], type))
            return true;
    return gs_str_eq(type, "application/merge-patch+json") && gs_str_eq(op->method, "PATCH") && op->body_schema;
}

static void judge_length(struct gw_call *c)
{
    const char *text = gw_call_header(c, "Content-Length");
    int64_t length = 0;

    if (text && (strspn(text, "0123456789") != strlen(text) || !gs_parse_int(text, 0, INT64_MAX, &length)))
        gw_refuse(c, 400, "malformed", "Content-Length is no number of bytes");
    else if (length > (int64_t)c->body_max)
        gw_refuse(c, 413, "too-large", "The body has %lld bytes, and %zu are the most this takes", (long long)length,
                  c->body_max);
    else if (length > 0 && !c->op->body)
        gw_refuse(c, 400, "malformed", "This request takes no body");
    else if (length > 0 && !takes(c->op, c->content_type))
        gw_refuse(c, 415, "media-type", "The body's media type is not taken; send %s", c->op->media[0]);
}

static void judge_body(struct gw_call *c)
{
    const char *coding = gw_call_header(c, "Transfer-Encoding"), *expect = gw_call_header(c, "Expect");
    const char *packed = gw_call_header(c, "Content-Encoding");

    c->body_max = c->op->large ? GW_IMPORT_MAX : GW_BODY_MAX;
    c->body.ceiling = c->body_max;
    read_content_type(c);
    if (coding && (strcasecmp(coding, "chunked") != 0 || gw_call_header(c, "Content-Length")))
        gw_refuse(c, 400, "malformed",
                  "Of Transfer-Encoding only \"chunked\" is taken, and not together with Content-Length");
    else if (coding && !(c->op->body && takes(c->op, c->content_type)))
        gw_refuse(c, c->op->body ? 415 : 400, c->op->body ? "media-type" : "malformed",
                  c->op->body ? "The body's media type is not taken" : "This request takes no body");
    else if (packed && strcasecmp(packed, "identity") != 0)
        gw_refuse(c, 415, "media-type", "Bodies are taken as they are, without Content-Encoding");
    else if (expect && strcasecmp(expect, "100-continue") != 0)
        gw_refuse(c, 417, "expectation", "Of Expect only \"100-continue\" is known");
    else
        judge_length(c);
}

bool gw_request_body(struct gw_call *c, const char *data, size_t len)
{
    size_t before = c->body.len;

    c->body_seen += len;
    if (c->body_seen > c->body_max + OVERRUN_MAX)
        return false;
    if (c->refused || c->body.overflow)
        return true; /* the rest is thrown away */
    gs_buf_append(&c->body, data, len);
    if (atomic_fetch_add(&c->server->body_bytes, c->body.len - before) > (size_t)gw_settings.bodies)
        gw_refuse(c, 503, "busy", "Too many large requests are under way already; try again");
    return true;
}

static void judge_accept(struct gw_call *c)
{
    const char *accept = gw_call_header(c, "Accept");

    if (accept && !gw_accepts(accept, (const char *const *)c->op->produces))
        gw_refuse(c, 406, "not-acceptable", "The answer is in %s, which Accept leaves out", c->op->produces[0]);
}

void gw_request_read(struct gw_call *c, const char *method, const char *version)
{
    struct reading r = {.c = c};

    c->method = gs_arena_strndup(&c->arena, method, strlen(method));
    c->head = gs_str_eq(method, "HEAD");
    MHD_get_connection_values_n(c->conn, MHD_HEADER_KIND, on_header, &r);
    name_request(c);
    find_address(c);
    if (r.too_many)
        gw_refuse(c, 431, "too-many-headers", "More than %d headers", GW_HEADERS_MAX);
    else if (r.bad)
        gw_refuse(c, 400, "malformed", "A header holds control characters, or is there twice and must not be");
    else if (strlen(c->target) > GW_TARGET_MAX)
        gw_refuse(c, 414, "too-long", "The address has more than %d bytes", GW_TARGET_MAX);
    else if (!gs_str_eq(version, "HTTP/1.1") && !gs_str_eq(version, "HTTP/1.0"))
        gw_refuse(c, 505, "version", "HTTP/1.1 is what is spoken here");
    else
        route(c);
    if (c->op && !c->refused)
        judge_body(c);
    if (c->op && !c->refused)
        judge_accept(c);
}

void gw_request_whole(struct gw_call *c)
{
    if (c->refused)
        return;
    if (c->body.overflow) {
        gw_refuse(c, 413, "too-large", "The body has more than the %zu bytes that this takes", c->body_max);
    } else if (!gw_limit_take(c)) {
        gw_refuse(c, 429, "too-many", "Too many requests; wait as long as Retry-After says");
    }
    c->n_limit = c->n_answer;
}
