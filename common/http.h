/* libcurl multi on the loop: HTTP out, for talking to sources.
 *
 * Fixed for every request: protocols pinned to https (http only where the request allows it), no redirects followed, no
 * cookies, no netrc, no proxy from the environment, TLS verified against the CA bundle with CAPATH null (with Debian's
 * default CAPATH every new connection parses the whole bundle, 26 times the cost), HTTP/2 when offered, bodies capped
 * after decompression, header values checked for control characters. */
#ifndef GS_HTTP_H
#define GS_HTTP_H

#include "common/env.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* GOALSYNC_CA_FILE (default /etc/ssl/certs/ca-certificates.crt), GOALSYNC_HTTP_CONNECTIONS (pool size). */
extern const struct gs_env gs_http_env[];

#define GS_HTTP_HEADERS_MAX 16
#define GS_HTTP_URL_MAX     8192

struct gs_http;
struct gs_http_call; /* one request under way */

struct gs_http_header {
    const char *name, *value;
};

struct gs_http_request {
    const char *method; /* "GET", "POST" */
    const char *url;
    const struct gs_http_header *headers;
    size_t n_headers;
    const void *body;
    size_t body_len;
    int64_t timeout_us; /* the whole exchange */
    int64_t connect_timeout_us;
    size_t max_body;     /* bytes after decompression */
    bool cut_body;       /* a longer answer is no error: what is beyond max_body is not waited for */
    bool allow_plain;    /* http:// is allowed, for hosts the operator configured so */
    const char *ca_file; /* of this host; null: GOALSYNC_CA_FILE */
};

struct gs_http_reply {
    enum gs_rc rc;     /* GS_OK: a whole answer came, whatever its status; GS_RETRY: none came (connect, TLS, time-out,
                          cut off); GS_REJECT: too large, bad URL, bad header, protocol not allowed */
    const char *error; /* a sentence without secrets; "" when GS_OK */
    long status;
    const char *body; /* zero-terminated */
    size_t len;
    int64_t elapsed_us;
    const struct gs_http_call *call; /* for gs_http_reply_header() */
};

/* Value of a header (case does not matter; the last one wins), or null. Borrowed. */
const char *gs_http_reply_header(const struct gs_http_reply *r, const char *name);

struct gs_http *gs_http_new(uv_loop_t *loop, struct gs_err *err);
/* Which addresses a host may have, looked at after its name was resolved; without this, all. A request to a host that
 * has none allowed ends with GS_REJECT. */
void gs_http_allow_addresses(struct gs_http *h, bool (*allowed)(void *arg, const struct sockaddr *address), void *arg);
struct gs_http *gs_http_free(struct gs_http *h); /* calls under way end with GS_RETRY */
/* Everything in req is copied. fn is called exactly once, never from inside this call; the reply is borrowed. Null when
 * the request itself is refused (err says why); then fn is not called. */
struct gs_http_call *gs_http_send(struct gs_http *h, const struct gs_http_request *req,
                                  void (*fn)(void *arg, const struct gs_http_reply *r), void *arg, struct gs_err *err);
void gs_http_cancel(struct gs_http_call *c); /* fn is not called any more */
size_t gs_http_in_flight(const struct gs_http *h);

#endif
