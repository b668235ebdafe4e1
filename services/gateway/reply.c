/* Answers as they go out: status, headers, body, and the line in the log. */
#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "services/gateway/cors.h"
#include "services/gateway/http_private.h"
#include "services/gateway/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_ANSWER 65536 /* bytes that never fill the memory */

static void add(struct MHD_Response *r, const char *name, const char *value)
{
    if (value && *value)
        (void)MHD_add_response_header(r, name, value); /* refuses line breaks */
}

static void add_security(struct MHD_Response *r)
{
    add(r, "X-Content-Type-Options", "nosniff");
    add(r, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    add(r, "Referrer-Policy", "no-referrer");
    add(r, "Cross-Origin-Resource-Policy", "same-origin");
    if (gs_str_starts(gw_settings.public_url, "https://"))
        add(r, "Strict-Transport-Security", "max-age=31536000");
}

static bool has_answered(const struct gw_call *c, const char *name)
{
    for (int i = 0; i < c->n_answer; i++)
        if (strcasecmp(c->answer[i].name, name) == 0)
            return true;
    return false;
}

static void add_headers(struct gw_call *c, struct MHD_Response *r)
{
    for (int i = 0; i < c->n_answer; i++)
        add(r, c->answer[i].name, c->answer[i].value);
    add(r, "X-Request-Id", c->request_id);
    if (c->status < 400)
        add(r, "ETag", c->etag);
    if (c->status == MHD_HTTP_SERVICE_UNAVAILABLE && !has_answered(c, "Retry-After"))
        add(r, "Retry-After", "1");
    if (!has_answered(c, "Cache-Control"))
        add(r, "Cache-Control", c->etag && c->status < 400 ? "private, no-cache" : "no-store");
    add_security(r);
    gw_cors_add(r, gw_call_header(c, "Origin"), c->allow);
    if (atomic_load(&c->server->draining))
        add(r, "Connection", "close");
}

/* Clients that take their answers slowly must not fill the memory with them. What was done is answered all the same,
 * and so is what is small, or alone. */
static void count_answer(struct gw_call *c)
{
    size_t before;

    c->counted = c->out.len;
    before = atomic_fetch_add(&c->server->answer_bytes, c->counted);
    if (c->counted < SMALL_ANSWER || before == 0 || before + c->counted <= (size_t)gw_settings.answers ||
        !gs_str_eq(c->op ? c->op->method : NULL, "GET") || c->status >= 400)
        return;
    atomic_fetch_sub(&c->server->answer_bytes, c->counted);
    c->counted = 0;
    c->answer_type = c->etag = NULL;
    c->status = gw_fail(c, 503, "busy", "Too many large answers are on their way already; try again");
}

/* The body's memory goes over to the answer. */
static struct MHD_Response *make_response(struct gw_call *c, const char **ret_type)
{
    count_answer(c);
    struct gs_buf body = c->out;
    gs_buf_init(&c->out, GW_ANSWER_MAX);
    if (c->status >= 400 && !c->written) {
        gs_buf_done(&body);
        gs_buf_init(&body, GW_ANSWER_MAX);
        gw_problem_write(c, &body);
        *ret_type = "application/problem+json";
    } else {
        const char *usual = c->written ? "application/problem+json" : "application/json";
        *ret_type = body.len == 0 ? NULL : c->answer_type ? c->answer_type : usual;
    }
    c->sent = body.len;
    if (body.len == 0) {
        gs_buf_done(&body);
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    }
    char *bytes = gs_buf_steal(&body);
    return MHD_create_response_from_buffer(c->sent, bytes, MHD_RESPMEM_MUST_FREE);
}

static void note(const struct gw_call *c, int status)
{
    const struct gs_log_ctx ctx = {.topic = "access"};
    double seconds = (double)(gs_mono_us() - c->began_us) / 1e6;
    char method[16];

    gs_str_clean(method, sizeof(method), c->method, strlen(c->method));
    gs_log_info(&ctx, "request",
                "method=\"%s\" operation=%s status=%d ms=%.1f bytes=%zu request=%s account=%s address=%s", method,
                c->op ? c->op->id : "-", status, seconds * 1e3, c->sent, c->request_id,
                *c->who.account ? c->who.account : "-", *c->address ? c->address : "-");
    gw_count(c, status, seconds);
}

/* Whoever was to finish the call may still write into it, so nothing of its answer is looked at. */
static enum MHD_Result reply_late(struct gw_call *c)
{
    static const char text[] = "{\"type\":\"https://goalsync.invalid/problems/timeout\",\"title\":\"Gateway Timeout\","
                               "\"status\":504,\"detail\":\"Whom this request asked did not answer in time; try "
                               "again\",\"instance\":\"%s\"}";
    char *body = NULL;
    int len = asprintf(&body, text, c->request_id);
    struct MHD_Response *r = len < 0 ? NULL : MHD_create_response_from_buffer((size_t)len, body, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result rc;

    if (!r)
        return MHD_NO;
    add(r, "Content-Type", "application/problem+json");
    add(r, "Cache-Control", "no-store");
    add(r, "X-Request-Id", c->request_id);
    add_security(r);
    rc = MHD_queue_response(c->conn, MHD_HTTP_GATEWAY_TIMEOUT, r);
    MHD_destroy_response(r);
    note(c, MHD_HTTP_GATEWAY_TIMEOUT);
    return rc;
}

enum MHD_Result gw_reply(struct gw_call *c)
{
    const char *type = NULL;
    struct MHD_Response *r;
    enum MHD_Result rc;

    if (atomic_load(&c->stage) == GW_TIMED_OUT)
        return reply_late(c);
    r = make_response(c, &type);
    if (!r)
        return MHD_NO;
    add(r, "Content-Type", type);
    add_headers(c, r);
    rc = MHD_queue_response(c->conn, (unsigned)c->status, r);
    MHD_destroy_response(r);
    note(c, c->status);
    return rc;
}
