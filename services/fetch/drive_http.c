/* Carries out a task's HTTP exchanges: adds the secret and who we are, hands back what came. */
#include <stdint.h>
#include <string.h>

#include "common/clock.h"
#include "services/fetch/hosts.h"
#include "services/fetch/request.h"

#define CONNECT_TIMEOUT_US INT64_C(10000000)
#define SLACK_US           INT64_C(1000000) /* the request's own deadline speaks first */

static const char *header(const struct fetch_reply *r, const char *name)
{
    return gs_http_reply_header(r->data, name);
}

/* A source, or a proxy before it, may repeat what it was sent, and its words end up in messages and on screens. */
static void blacken(const struct fetch_secrets *secrets, const struct gs_http_reply *reply)
{
    const char *value = secrets && secrets->authorization ? secrets->authorization : "";
    const char *token = strrchr(value, ' ') ? strrchr(value, ' ') + 1 : value;
    size_t len = strlen(token), left = reply->len;
    char *at = (char *)(uintptr_t)reply->body; /* the call's own buffer */

    while (len && (at = memmem(at, left, token, len))) {
        memset(at, '*', len);
        left = reply->len - (size_t)(at - reply->body);
    }
}

static void on_reply(void *arg, const struct gs_http_reply *reply)
{
    struct fetch_request *q = arg;
    const struct fetch_reply r = {
        .status = reply->status, .body = reply->body, .len = reply->len, .header = header, .data = reply};

    blacken(q->conn->secrets, reply);
    if (reply->rc == GS_OK)
        fetch_request_replied(q, &r);
    else
        fetch_request_unanswered(q, reply->rc, reply->error);
}

void fetch_drive_http(struct fetch_request *q, const struct fetch_exchange *x)
{
    struct gs_http_header headers[GS_HTTP_HEADERS_MAX];
    const struct fetch_secrets *secrets = q->conn->secrets;
    size_t n = 0;
    struct gs_err err;

    for (; n < x->n_headers; n++)
        headers[n] = x->headers[n];
    headers[n++] = (struct gs_http_header){"User-Agent", FETCH_USER_AGENT};
    if (secrets && secrets->authorization)
        headers[n++] = (struct gs_http_header){secrets->header, secrets->authorization};
    const struct gs_http_request req = {
        .method = x->method,
        .url = x->url,
        .headers = headers,
        .n_headers = n,
        .body = x->body,
        .body_len = x->body_len,
        .timeout_us = q->deadline_us - gs_mono_us() + SLACK_US,
        .connect_timeout_us = CONNECT_TIMEOUT_US,
        .max_body = (size_t)fetch_config.body_max,
        .allow_plain = fetch_config.allow_plain,
        .ca_file = fetch_host_ca_file(q->lane->entry->connector),
    };

    q->http = gs_http_send(q->w->http, &req, on_reply, q, &err);
    if (!q->http)
        fetch_request_unanswered(q, err.rc, err.text);
}
