/* Shared by the http*.c files; nobody else includes it. */
#ifndef GS_HTTP_INTERNAL_H
#define GS_HTTP_INTERNAL_H

#include "common/buf.h"
#include "common/http.h"

#include <curl/curl.h>

#define GS_HTTP_POOLS       8   /* multi handles by host: libcurl's tables are small (97 buckets) */
#define GS_HTTP_CA_POOLS    8   /* more of them for hosts with a CA file of their own; each keeps one parsed CA store */
#define GS_HTTP_STREAMS     256 /* at once in one HTTP/2 connection */
#define GS_HTTP_IN_FLIGHT   65536       /* calls */
#define GS_HTTP_IDLE_CALLS  4096        /* kept for reuse */
#define GS_HTTP_HEAD_MAX    65536       /* bytes of a reply's header lines, and of a request's */
#define GS_HTTP_REQUEST_MAX (16u << 20) /* bytes of a request's body */
#define GS_HTTP_KEEP_BODY   262144      /* a reply buffer larger than this is not kept for reuse */
#define GS_HTTP_SLOW_S      60L         /* a transfer without a byte for so long ends, whatever its own time-out */
#define GS_HTTP_LINES       (GS_HTTP_HEADERS_MAX + 4)

struct gs_http_pool;

struct gs_http_call {
    struct gs_http *h;
    struct gs_http_pool *pool;
    struct gs_http_call *next, *prev; /* among those under way, or those kept for reuse (next only) */
    CURL *easy;
    void (*fn)(void *arg, const struct gs_http_reply *r);
    void *arg;
    int64_t started_us, timeout_us;

    struct gs_buf sent_head, sent_body;     /* the request's; libcurl reads them in place */
    struct curl_slist lines[GS_HTTP_LINES]; /* of sent_head */
    struct gs_buf head, body;               /* the reply's */
    bool head_done, address_refused, cut_body;
    char error[CURL_ERROR_SIZE];

    /* What the easy handle is set to: options are only set when they change. */
    char *ca_file; /* null: the common one */
    const char *method;
    char *custom_method;
    bool plain, with_body;
    long timeout_ms, connect_ms;
    CURLU *address;             /* the URL in parts */
    struct gs_buf origin, path; /* origin: of the address */
};

/* ---- http_request.c: from a request to options ---- */

/* GS_REJECT names what libcurl must not see. */
enum gs_rc gs_http_check(const struct gs_http_request *req, struct gs_err *err) GS_MUST_CHECK;
/* Scheme, host and port of the url, as they stand there. */
size_t gs_http_origin_len(const char *url);
struct gs_http_call *gs_http_call_new(struct gs_http *h, const char *ca_file);
struct gs_http_call *gs_http_call_free(struct gs_http_call *c);
/* Sets what differs from the call's last request. */
void gs_http_call_prepare(struct gs_http_call *c, const struct gs_http_request *req, const char *common_ca_file);
/* Forgets the exchange, keeps the memory. */
void gs_http_call_clear(struct gs_http_call *c);

/* ---- http_reply.c: judging what came ---- */

/* dst has at least 256 bytes. */
enum gs_rc gs_http_judge(const struct gs_http_call *c, CURLcode code, char *dst, size_t size);

#endif
