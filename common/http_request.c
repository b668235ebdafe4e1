/* HTTP requests: checks what goes out, and sets an easy handle up with as few calls as possible. */
#include "common/http_internal.h"
#include "common/mem.h"
#include "common/str.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define USER_AGENT      "User-Agent: goalsync/" GOALSYNC_VERSION
#define ENCODINGS       "gzip, deflate"
#define ACCEPT_ENCODING "Accept-Encoding: " ENCODINGS

/* ---- checks ---- */

/* Control characters would end a line early and let a value add headers of its own. */
static bool is_value(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

/* RFC 9110 section 5.6.2: a token. */
static bool is_token(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
            return false;
    return true;
}

static enum gs_rc check_url(const struct gs_http_request *req, struct gs_err *err)
{
    const char *url = req->url;
    size_t len = strnlen(url, GS_HTTP_URL_MAX + 1);
    bool plain = strncasecmp(url, "http://", 7) == 0;

    if (len > GS_HTTP_URL_MAX)
        return gs_fail(err, GS_REJECT, "the address is longer than %d bytes", GS_HTTP_URL_MAX);
    if (plain && !req->allow_plain)
        return gs_fail(err, GS_REJECT, "the address begins with http://, and only https:// is allowed here");
    if (!plain && strncasecmp(url, "https://", 8) != 0)
        return gs_fail(err, GS_REJECT, "the address does not begin with https://");
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return gs_fail(err, GS_REJECT, "the address has a space or control character in it");
    if (url[gs_http_origin_len(url) - 1] == '/')
        return gs_fail(err, GS_REJECT, "the address names no host");
    return GS_OK;
}

static enum gs_rc check_headers(const struct gs_http_request *req, struct gs_err *err)
{
    size_t size = 0;

    if (req->n_headers > GS_HTTP_HEADERS_MAX)
        return gs_fail(err, GS_REJECT, "more than %d headers", GS_HTTP_HEADERS_MAX);
    for (size_t i = 0; i < req->n_headers; i++) {
        char name[64];

        gs_str_clean(name, sizeof(name), req->headers[i].name, strlen(req->headers[i].name));
        if (!is_token(req->headers[i].name))
            return gs_fail(err, GS_REJECT, "header name \"%s\" has characters that names must not have", name);
        if (!is_value(req->headers[i].value))
            return gs_fail(err, GS_REJECT, "the value of header %s has a control character in it", name);
        size += strlen(req->headers[i].name) + strlen(req->headers[i].value) + 3;
    }
    if (size > GS_HTTP_HEAD_MAX - sizeof(USER_AGENT) - sizeof(ACCEPT_ENCODING) - 64)
        return gs_fail(err, GS_REJECT, "headers of more than 64 KiB");
    return GS_OK;
}

enum gs_rc gs_http_check(const struct gs_http_request *req, struct gs_err *err)
{
    enum gs_rc rc = check_url(req, err);

    if (rc != GS_OK)
        return rc;
    if (!is_token(req->method) || strlen(req->method) > 16)
        return gs_fail(err, GS_REJECT, "the request's method is not a word");
    if (req->body_len > GS_HTTP_REQUEST_MAX)
        return gs_fail(err, GS_REJECT, "the request's body is larger than 16 MiB");
    return check_headers(req, err);
}

size_t gs_http_origin_len(const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + 3 : url;
    return (size_t)(host - url) + strcspn(host, "/?#");
}

/* ---- what comes back, while it comes ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct gs_http_call *c = arg;

    gs_buf_append(&c->body, data, size * n);
    return c->body.overflow ? 0 : size * n;
}

/* Keeps the last block of header lines: that of the answer, not of "100 Continue" or of trailers. */
static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct gs_http_call *c = arg;
    size_t len = size * n;

    if (c->head_done) {
        if (len < 5 || memcmp(data, "HTTP/", 5) != 0)
            return len;
        gs_buf_clear(&c->head);
        c->head_done = false;
    }
    while (len > 0 && isspace((unsigned char)data[len - 1]))
        len--;
    c->head_done = len == 0;
    gs_buf_append(&c->head, data, len);
    gs_buf_putc(&c->head, '\0');
    return c->head.overflow ? 0 : size * n;
}

/* ---- easy handles ---- */

#define SET(c, option, value) curl_easy_setopt((c)->easy, CURLOPT_##option, value)

struct gs_http_call *gs_http_call_new(struct gs_http *h, const char *ca_file)
{
    struct gs_http_call *c = gs_alloc(sizeof(*c));

    c->h = h;
    c->easy = curl_easy_init();
    if (!c->easy)
        abort();
    c->method = "GET";
    gs_buf_init(&c->sent_head, GS_HTTP_HEAD_MAX);
    gs_buf_init(&c->sent_body, GS_HTTP_REQUEST_MAX);
    gs_buf_init(&c->head, GS_HTTP_HEAD_MAX);
    gs_buf_init(&c->body, 0);
    gs_buf_init(&c->origin, GS_HTTP_URL_MAX);
    gs_buf_init(&c->path, GS_HTTP_URL_MAX);
    c->address = curl_url();
    if (!c->address)
        abort();
    SET(c, PRIVATE, c);
    SET(c, WRITEFUNCTION, on_body);
    SET(c, WRITEDATA, c);
    SET(c, HEADERFUNCTION, on_header);
    SET(c, HEADERDATA, c);
    SET(c, ERRORBUFFER, c->error);
    SET(c, HTTPHEADER, c->lines);
    SET(c, NOSIGNAL, 1L);
    SET(c, PROTOCOLS_STR, "https");
    SET(c, PROXY, "");
    SET(c, DISALLOW_USERNAME_IN_URL, 1L);
    SET(c, ACCEPT_ENCODING, ENCODINGS);
    SET(c, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(c, CAPATH, NULL);
    SET(c, CAINFO, ca_file);
    SET(c, TCP_KEEPALIVE, 1L);
    return c;
}

struct gs_http_call *gs_http_call_free(struct gs_http_call *c)
{
    if (!c)
        return NULL;
    curl_easy_cleanup(c->easy);
    curl_url_cleanup(c->address);
    gs_buf_done(&c->origin);
    gs_buf_done(&c->path);
    gs_buf_done(&c->sent_head);
    gs_buf_done(&c->sent_body);
    gs_buf_done(&c->head);
    gs_buf_done(&c->body);
    free(c->ca_file);
    free(c->custom_method);
    free(c);
    return NULL;
}

/* Requests carry tokens; what is kept for reuse does not. */
static void wipe(struct gs_buf *b)
{
    if (b->len > 0)
        gs_wipe(b->data, b->len);
    gs_buf_clear(b);
}

void gs_http_call_clear(struct gs_http_call *c)
{
    wipe(&c->sent_head);
    wipe(&c->sent_body);
    gs_buf_clear(&c->head);
    gs_buf_clear(&c->body);
    if (c->body.cap > GS_HTTP_KEEP_BODY)
        gs_buf_done(&c->body);
    c->head_done = false;
    c->address_refused = false;
    c->error[0] = '\0';
}

/* ---- the address ---- */

/* True for what libcurl sends as it stands. A whole URL has dots resolved and bytes beyond ASCII encoded, a path that
 * is set by itself has neither, and the case of its %2F changed. */
static bool is_plain_path(const char *path)
{
    if (*path != '/' || strstr(path, "/."))
        return false;
    for (; *path; path++)
        if ((unsigned char)*path > 0x7e || strchr("%#\\", *path))
            return false;
    return true;
}

static bool set_path(struct gs_http_call *c, const char *path)
{
    size_t len = strcspn(path, "?");

    gs_buf_clear(&c->path);
    gs_buf_append(&c->path, path, len);
    return curl_url_set(c->address, CURLUPART_PATH, gs_buf_str(&c->path), 0) == CURLUE_OK &&
           curl_url_set(c->address, CURLUPART_QUERY, path[len] ? path + len + 1 : NULL, 0) == CURLUE_OK;
}

static bool set_address(struct gs_http_call *c, const char *url)
{
    size_t len = gs_http_origin_len(url);

    if (c->origin.len == len && memcmp(c->origin.data, url, len) == 0 && is_plain_path(url + len))
        return set_path(c, url + len);
    gs_buf_clear(&c->origin);
    if (curl_url_set(c->address, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK)
        return false;
    gs_buf_append(&c->origin, url, len);
    return true;
}

/* libcurl takes a URL apart, prints it anew and looks at that, for each request; with parts that are there already it
 * only copies them. What it cannot take apart it gets whole, to say what is wrong. */
static void prepare_address(struct gs_http_call *c, const struct gs_http_request *req)
{
    SET(c, URL, req->url);
    SET(c, CURLU, set_address(c, req->url) ? c->address : NULL);
}

/* ---- the rest ---- */

static bool has_header(const struct gs_http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_headers; i++)
        if (strcasecmp(req->headers[i].name, name) == 0)
            return true;
    return false;
}

/* All lines go into one buffer, then the list is laid over it: it must not move any more. */
static void prepare_headers(struct gs_http_call *c, const struct gs_http_request *req)
{
    struct gs_buf *b = &c->sent_head;
    size_t at[GS_HTTP_LINES], n = 0;

    if (!has_header(req, "User-Agent")) {
        at[n++] = b->len;
        gs_buf_append(b, USER_AGENT, sizeof(USER_AGENT));
    }
    /* libcurl would print its own line twice, byte by byte. */
    if (!has_header(req, "Accept-Encoding")) {
        at[n++] = b->len;
        gs_buf_append(b, ACCEPT_ENCODING, sizeof(ACCEPT_ENCODING));
    }
    for (size_t i = 0; i < req->n_headers; i++) {
        const char *value = req->headers[i].value;

        at[n++] = b->len;
        gs_buf_puts(b, req->headers[i].name);
        /* libcurl takes "Name:" as "leave it out", and sends "Name:" for "Name;". */
        gs_buf_puts(b, *value ? ": " : ";");
        gs_buf_append(b, value, strlen(value) + 1);
    }
    if (req->body_len > 0) {
        /* No round trip before the body, and no type that libcurl makes up. */
        at[n++] = b->len;
        gs_buf_append(b, "Expect:", sizeof("Expect:"));
        if (!has_header(req, "Content-Type")) {
            at[n++] = b->len;
            gs_buf_append(b, "Content-Type:", sizeof("Content-Type:"));
        }
    }
    for (size_t i = 0; i < n; i++) {
        c->lines[i].data = b->data + at[i];
        c->lines[i].next = i + 1 < n ? &c->lines[i + 1] : NULL;
    }
}

static void prepare_method(struct gs_http_call *c, const struct gs_http_request *req)
{
    const char *now = c->custom_method ? c->custom_method : c->method;
    bool with_body = req->body_len > 0 || strcmp(req->method, "POST") == 0;

    if (with_body) {
        gs_buf_append(&c->sent_body, req->body, req->body_len);
        SET(c, POSTFIELDS, gs_buf_str(&c->sent_body));
        SET(c, POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
    }
    if (strcmp(now, req->method) == 0 && with_body == c->with_body)
        return;
    free(c->custom_method);
    c->custom_method = NULL;
    c->with_body = with_body;
    c->method = with_body ? "POST" : "GET";
    SET(c, NOBODY, 0L);
    if (with_body)
        SET(c, POST, 1L);
    else
        SET(c, HTTPGET, 1L);
    if (strcmp(req->method, c->method) != 0)
        c->custom_method = gs_strdup(req->method);
    if (strcmp(req->method, "HEAD") == 0)
        SET(c, NOBODY, 1L);
    else
        SET(c, CUSTOMREQUEST, c->custom_method);
}

static long to_ms(int64_t us)
{
    int64_t ms = (us + 999) / 1000;

    return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (long)ms;
}

static void prepare_limits(struct gs_http_call *c, const struct gs_http_request *req)
{
    long timeout_ms = to_ms(req->timeout_us), connect_ms = to_ms(req->connect_timeout_us);

    c->timeout_us = req->timeout_us;
    c->body.ceiling = req->max_body;
    c->cut_body = req->cut_body;
    if (timeout_ms != c->timeout_ms) {
        bool slow = timeout_ms > GS_HTTP_SLOW_S * 1000;

        SET(c, TIMEOUT_MS, timeout_ms);
        /* Watching the speed costs a timer a second and transfer; within its time-out a call ends anyway. */
        SET(c, LOW_SPEED_LIMIT, slow ? 1L : 0L);
        SET(c, LOW_SPEED_TIME, slow ? GS_HTTP_SLOW_S : 0L);
        c->timeout_ms = timeout_ms;
    }
    if (connect_ms != c->connect_ms) {
        SET(c, CONNECTTIMEOUT_MS, connect_ms);
        c->connect_ms = connect_ms;
    }
}

static void prepare_trust(struct gs_http_call *c, const struct gs_http_request *req, const char *common_ca_file)
{
    if (req->allow_plain != c->plain) {
        SET(c, PROTOCOLS_STR, req->allow_plain ? "http,https" : "https");
        c->plain = req->allow_plain;
    }
    if (!gs_str_eq(req->ca_file, c->ca_file)) {
        SET(c, CAINFO, req->ca_file ? req->ca_file : common_ca_file);
        free(c->ca_file);
        c->ca_file = req->ca_file ? gs_strdup(req->ca_file) : NULL;
    }
}

void gs_http_call_prepare(struct gs_http_call *c, const struct gs_http_request *req, const char *common_ca_file)
{
    prepare_address(c, req);
    prepare_headers(c, req);
    prepare_method(c, req);
    prepare_limits(c, req);
    prepare_trust(c, req, common_ca_file);
}
