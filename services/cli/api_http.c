/* Requests to the gateway: one at a time, bounded in time and size, sent again only where that cannot do a thing twice.
 */
#include "common/backoff.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/cli/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CONNECT_MS = 5000,
    REQUEST_MS = 120000, /* previews ask a source meanwhile */
    ATTEMPTS = 4,
    PAUSE_MIN_MS = 200,
    PAUSE_MAX_S = 30, /* a server that wants more is not waited for */
    TOKEN_MAX = 16 << 10,
};

static char *server, *token, *ca_file;

const struct gs_env cli_api_env[] = {
    {"GOALSYNC_SERVER", GS_ENV_STRING, &server, "", 0, 0, "address of the gateway: https://goalsync.example"},
    {"GOALSYNC_TOKEN", GS_ENV_SECRET, &token, "", 0, 0,
     "API token for it; better in a file that only you can read (mode 0600): GOALSYNC_TOKEN_FILE"},
    {"GOALSYNC_CA_FILE", GS_ENV_STRING, &ca_file, "/etc/ssl/certs/ca-certificates.crt", 0, 0,
     "certificates (PEM) that servers are checked against"},
    GS_ENV_END,
};

GS_AUTO_DEFINE(CURLU, url_free, curl_url_cleanup)

static bool is_this_machine(const char *host)
{
    return gs_str_eq(host, "localhost") || gs_str_eq(host, "[::1]") || gs_str_starts(host, "127.");
}

/* A token is worth what its person may do: it travels sealed, or not beyond this machine. */
static enum cli_exit check_server(struct api *a)
{
    GS_AUTO(url_freep) CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *part = NULL;
    enum cli_exit rc = CLI_OK;

    if (!*server)
        return cli_fail(a->c, CLI_USAGE,
                        "no server is named; give --server https://HOST, or set GOALSYNC_SERVER to its address");
    if (!url || curl_url_set(url, CURLUPART_URL, server, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        (!gs_str_eq(scheme, "http") && !gs_str_eq(scheme, "https")))
        rc = cli_fail(a->c, CLI_USAGE, "the server's address is no https:// address; it must be like %s",
                      "https://goalsync.example");
    else if (curl_url_get(url, CURLUPART_USER, &part, 0) == CURLUE_OK ||
             curl_url_get(url, CURLUPART_QUERY, &part, 0) == CURLUE_OK ||
             curl_url_get(url, CURLUPART_FRAGMENT, &part, 0) == CURLUE_OK)
        rc = cli_fail(a->c, CLI_USAGE, "the server's address has a login, query or fragment in it; leave it out");
    else if (*token && gs_str_eq(scheme, "http") && !is_this_machine(host))
        rc = cli_fail(a->c, CLI_USAGE,
                      "http://%s is not on this machine, and a token must not travel unencrypted; use https://", host);
    curl_free(scheme);
    curl_free(host);
    curl_free(part);
    for (size_t len = strlen(server); rc == CLI_OK && len && server[len - 1] == '/'; len--)
        server[len - 1] = '\0';
    return rc;
}

/* A header's value must not end its line early. */
static enum cli_exit check_token(struct api *a)
{
    if (strlen(token) > TOKEN_MAX)
        return cli_fail(a->c, CLI_USAGE, "the token has more than %d bytes; that is another file", TOKEN_MAX);
    for (const char *p = token; *p; p++)
        if (*p <= 0x20 || *p == 0x7f)
            return cli_fail(a->c, CLI_USAGE,
                            "the token has spaces or control characters in it; the file must hold "
                            "the token alone");
    return CLI_OK;
}

enum cli_exit api_open(struct api *a, struct cli *c)
{
    const struct gs_env *const tables[] = {cli_api_env, NULL};
    enum cli_exit rc;

    *a = (struct api){.c = c};
    /* What is said on the command line goes before the environment, in any of its forms. */
    if (c->server) {
        (void)unsetenv("GOALSYNC_SERVER_FILE");
        (void)setenv("GOALSYNC_SERVER", c->server, 1);
    }
    if (c->token_file) {
        (void)unsetenv("GOALSYNC_TOKEN");
        (void)setenv("GOALSYNC_TOKEN_FILE", c->token_file, 1);
    }
    rc = cli_settings(c, tables);
    if (rc == CLI_OK)
        rc = check_server(a);
    if (rc == CLI_OK)
        rc = check_token(a);
    if (rc != CLI_OK)
        return rc;
    a->server = server;
    a->token = token;
    a->ca_file = ca_file;
    a->easy = curl_easy_init();
    return a->easy ? CLI_OK : cli_fail(c, CLI_FAILED, "libcurl cannot be started");
}

void api_close(struct api *a)
{
    if (a->easy)
        curl_easy_cleanup(a->easy);
    a->doc = gs_json_free(a->doc);
    if (token)
        gs_wipe(token, strlen(token));
}

void api_answer_init(struct api_answer *n)
{
    *n = (struct api_answer){0};
    gs_buf_init(&n->body, API_ANSWER_MAX);
}

void api_answer_done(struct api_answer *n)
{
    gs_buf_done(&n->body);
}

/* ---- one attempt ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct gs_buf *b = arg;

    gs_buf_append(b, data, size * n);
    return b->overflow ? 0 : size * n;
}

#define SET(option, value) (void)curl_easy_setopt(easy, CURLOPT_##option, value)

static void bound(const struct api *a, CURL *easy)
{
    SET(NOSIGNAL, 1L);
    SET(PROTOCOLS_STR, "http,https");
    SET(PROXY, "");
    SET(FOLLOWLOCATION, 0L);
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CAPATH, NULL);
    SET(CAINFO, a->ca_file);
    SET(CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(TIMEOUT_MS, (long)REQUEST_MS);
    SET(ACCEPT_ENCODING, "gzip, deflate");
    SET(USERAGENT, "goalsync/" GOALSYNC_VERSION);
    SET(PATH_AS_IS, 1L);
}

static void fill(const struct api *a, const struct api_request *q, struct gs_buf *body)
{
    CURL *easy = a->easy;

    curl_easy_reset(easy); /* keeps the connection */
    bound(a, easy);
    SET(URL, q->url);
    SET(HTTPHEADER, q->headers);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, body);
    if (*a->token) {
        SET(HTTPAUTH, CURLAUTH_BEARER);
        SET(XOAUTH2_BEARER, a->token);
    }
    if (q->body || gs_str_eq(q->method, "POST") || gs_str_eq(q->method, "PUT") || gs_str_eq(q->method, "PATCH")) {
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
        SET(POSTFIELDS, q->body ? q->body : "");
    }
    SET(CUSTOMREQUEST, q->method);
    /* libcurl sends again by itself when a connection that was used before turns out dead. */
    SET(FRESH_CONNECT, q->safe ? 0L : 1L);
}

static void take_header(CURL *easy, const char *name, char *dst, size_t size)
{
    struct curl_header *h;

    dst[0] = '\0';
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK)
        gs_str_clean(dst, size, h->value, strlen(h->value));
}

static CURLcode attempt(const struct api *a, const struct api_request *q, struct api_answer *n)
{
    CURLcode code;

    gs_buf_clear(&n->body);
    n->status = 0;
    fill(a, q, &n->body);
    code = curl_easy_perform(a->easy);
    if (code != CURLE_OK)
        return code;
    curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &n->status);
    take_header(a->easy, "Content-Type", n->type, sizeof(n->type));
    take_header(a->easy, "ETag", n->etag, sizeof(n->etag));
    take_header(a->easy, "Location", n->location, sizeof(n->location));
    return CURLE_OK;
}

/* ---- again ---- */

/* Nothing was sent: it cannot have been done. */
static bool is_unsent(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
}

static bool is_lost(CURLcode code)
{
    return is_unsent(code) || code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
           code == CURLE_PARTIAL_FILE;
}

/* Too many requests are refused before anything is done. */
static bool may_again(const struct api_request *q, CURLcode code, long status)
{
    if (code != CURLE_OK)
        return is_lost(code) && (q->safe || is_unsent(code));
    return status == 429 || (status == 503 && q->safe);
}

static void pause_for(int64_t us)
{
    struct timespec t = {us / 1000000, (us % 1000000) * 1000};

    (void)nanosleep(&t, NULL);
}

/* Microseconds until the next attempt; -1: none. */
static int64_t pause_before_next(const struct api *a, struct gs_backoff *backoff)
{
    curl_off_t seconds = 0;

    (void)curl_easy_getinfo(a->easy, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds > PAUSE_MAX_S)
        return -1;
    return seconds > 0 ? (int64_t)seconds * 1000000 : gs_backoff_next(backoff);
}

static enum cli_exit fail_curl(struct api *a, CURLcode code, const struct api_answer *n)
{
    curl_off_t connected = 0;

    if (n->body.overflow)
        return cli_fail(a->c, CLI_FAILED, "the answer has more than %zu bytes", n->body.ceiling);
    (void)curl_easy_getinfo(a->easy, CURLINFO_CONNECT_TIME_T, &connected);
    if (code == CURLE_OPERATION_TIMEDOUT && connected > 0)
        return cli_fail(a->c, CLI_TIMEOUT, "%s did not answer within %d s; what was begun may still happen", a->server,
                        REQUEST_MS / 1000);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return cli_fail(a->c, CLI_UNREACHABLE,
                        "the certificate of %s is not trusted: %s; GOALSYNC_CA_FILE names those that are", a->server,
                        curl_easy_strerror(code));
    return cli_fail(a->c, CLI_UNREACHABLE, "%s cannot be reached: %s; check --server and that the gateway runs",
                    a->server, curl_easy_strerror(code));
}

enum cli_exit api_send(struct api *a, const struct api_request *q, struct api_answer *ret)
{
    struct gs_backoff backoff = {PAUSE_MIN_MS * INT64_C(1000), 5000000, 0};
    CURLcode code = CURLE_OK;

    for (int i = 1;; i++) {
        int64_t us;
        code = attempt(a, q, ret);
        if (i == ATTEMPTS || !may_again(q, code, ret->status))
            break;
        us = pause_before_next(a, &backoff);
        if (us < 0)
            break;
        pause_for(us);
    }
    if (code != CURLE_OK)
        return fail_curl(a, code, ret);
    return ret->status >= 400 ? api_fail_problem(a->c, ret) : CLI_OK;
}

/* ---- problems ---- */

static enum cli_exit exit_of(long status)
{
    switch (status) {
    case 400:
    case 405:
    case 406:
    case 411:
    case 413:
    case 414:
    case 415:
        return CLI_USAGE;
    case 404:
    case 410:
        return CLI_NOT_FOUND;
    case 502:
    case 503:
        return CLI_UNREACHABLE;
    case 408:
    case 504:
        return CLI_TIMEOUT;
    default:
        return status < 500 ? CLI_REFUSED : CLI_FAILED;
    }
}

static void put_clean(struct gs_buf *b, const char *text)
{
    char line[2048];

    gs_buf_puts(b, gs_str_clean(line, sizeof(line), text, strlen(text)));
}

/* "detail; /title: is missing; #query/limit: must be ..." */
static void put_problem(struct gs_buf *b, struct gs_json *j)
{
    uint32_t root = gs_json_root(j), errors = gs_json_member(j, root, "errors");
    uint32_t first = gs_json_at_type(j, errors) == GS_JSON_ARRAY ? gs_json_first(j, errors) : GS_JSON_NONE;
    const char *detail = api_text(j, root, "detail");

    /* A detail that begins with the first error's place says nothing more. */
    if (first == GS_JSON_NONE || !*api_text(j, first, "pointer") ||
        !gs_str_starts(detail, api_text(j, first, "pointer")))
        put_clean(b, *detail ? detail : api_text(j, root, "title"));
    for (uint32_t at = first; at != GS_JSON_NONE; at = gs_json_next(j, errors, at)) {
        gs_buf_puts(b, b->len ? "; " : "");
        put_clean(b, *api_text(j, at, "pointer") ? api_text(j, at, "pointer") : "body");
        gs_buf_puts(b, ": ");
        put_clean(b, api_text(j, at, "detail"));
    }
}

enum cli_exit api_fail_problem(struct cli *c, const struct api_answer *n)
{
    struct gs_json *j = gs_json_new(API_ANSWER_MAX, API_DEPTH_MAX);
    enum cli_exit code = exit_of(n->status);
    struct gs_buf b;

    gs_buf_init(&b, CLI_ERROR_MAX);
    if (gs_str_starts(n->type, "application/problem+json") &&
        gs_json_parse(j, gs_buf_str(&n->body), n->body.len, NULL) == GS_OK)
        put_problem(&b, j);
    if (b.len)
        (void)cli_fail(c, code, "%s%s", gs_buf_str(&b),
                       n->status == 401 ? " (the token comes from --token-file or GOALSYNC_TOKEN_FILE)" : "");
    else
        (void)cli_fail(c, code, "the server answered %ld without saying why; is it goalsync's?", n->status);
    gs_buf_done(&b);
    gs_json_free(j);
    return code;
}

enum cli_exit api_get(struct api *a, const char *path, size_t max, struct gs_json **ret)
{
    struct api_answer n;
    struct gs_buf url;
    struct gs_err err;
    enum cli_exit rc;

    api_answer_init(&n);
    n.body.ceiling = max;
    gs_buf_init(&url, API_URL_MAX);
    gs_buf_printf(&url, "%s%s", a->server, path);
    rc = api_send(a, &(struct api_request){.method = "GET", .url = gs_buf_str(&url), .safe = true}, &n);
    *ret = gs_json_new(max, API_DEPTH_MAX);
    if (rc == CLI_OK && gs_json_parse(*ret, gs_buf_str(&n.body), n.body.len, &err) != GS_OK)
        rc = cli_fail(a->c, CLI_FAILED, "%s%s is not what goalsync answers: %s", a->server, path, err.text);
    gs_buf_done(&url);
    api_answer_done(&n);
    return rc;
}
