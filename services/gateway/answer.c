/* Answers: bodies, headers, pages, revisions, and problems (RFC 9457). */
#include "common/str.h"
#include "services/gateway/private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEM_TYPES "https://goalsync.invalid/problems/"

int gw_answer_text(struct gw_call *c, int status, const char *content_type, const char *text, size_t len)
{
    gs_buf_clear(&c->out);
    gs_buf_append(&c->out, text, len);
    c->answer_type = gs_arena_strndup(&c->arena, content_type, strlen(content_type));
    return gw_answer_out(c, status);
}

struct gs_buf *gw_out(struct gw_call *c)
{
    return &c->out;
}

int gw_answer_out(struct gw_call *c, int status)
{
    if (c->out.overflow)
        return gw_fail(c, 413, "answer-too-large", "The answer has more than %d bytes; ask for less at once",
                       GW_ANSWER_MAX);
    return status;
}

int gw_answer(struct gw_call *c, int status, PGresult *r)
{
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0) {
        PQclear(r);
        return gw_not_found(c, c->op->kind ? c->op->kind : "thing");
    }
    gs_buf_clear(&c->out);
    gs_buf_append(&c->out, PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0));
    PQclear(r);
    return gw_answer_out(c, status);
}

int gw_no_content(struct gw_call *c)
{
    gs_buf_clear(&c->out);
    return 204;
}

void gw_header_set(struct gw_call *c, const char *name, const char *value)
{
    assert(c->n_answer < GW_ANSWERED_MAX);
    c->answer[c->n_answer++] = (struct gw_header){gs_arena_strndup(&c->arena, name, strlen(name)),
                                                  gs_arena_strndup(&c->arena, value, strlen(value))};
}

/* ---- problems ---- */

int gw_fail(struct gw_call *c, int status, const char *code, const char *fmt, ...)
{
    char text[1500];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    c->code = gs_arena_strndup(&c->arena, code, strlen(code));
    c->detail = gs_arena_strndup(&c->arena, text, strlen(text));
    return status;
}

int gw_invalid(struct gw_call *c, const char *pointer, const char *fmt, ...)
{
    char text[1000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    gw_call_fault(c, pointer, text);
    return gw_fail(c, 422, "invalid", "%s %s", pointer, text);
}

int gw_not_found(struct gw_call *c, const char *what)
{
    return gw_fail(c, 404, "not-found", "There is no such %s, or you have nothing to do with it", what);
}

int gw_forbidden(struct gw_call *c, const char *fmt, ...)
{
    char text[1000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return gw_fail(c, 403, "forbidden", "%s", text);
}

const char *gw_reason(int status)
{
    const char *words = MHD_get_reason_phrase_for((unsigned)status);

    return words ? words : "Error";
}

static void put_text(struct gs_buf *b, const char *text)
{
    gs_buf_put_json(b, text, strlen(text));
}

void gw_problem_write(struct gw_call *c, struct gs_buf *b)
{
    gs_buf_clear(b);
    gs_buf_puts(b, "{\"type\":\"" PROBLEM_TYPES);
    gs_buf_puts(b, c->code ? c->code : "error");
    gs_buf_puts(b, "\",\"title\":");
    put_text(b, gw_reason(c->status));
    gs_buf_printf(b, ",\"status\":%d,\"detail\":", c->status);
    put_text(b, c->detail ? c->detail : gw_reason(c->status));
    gs_buf_puts(b, ",\"instance\":");
    put_text(b, c->request_id);
    if (c->n_faults) {
        gs_buf_puts(b, ",\"errors\":[");
        for (int i = 0; i < c->n_faults; i++) {
            gs_buf_puts(b, i ? ",{\"pointer\":" : "{\"pointer\":");
            put_text(b, c->faults[i].pointer);
            gs_buf_puts(b, ",\"detail\":");
            put_text(b, c->faults[i].detail);
            gs_buf_putc(b, '}');
        }
        gs_buf_putc(b, ']');
    }
    gs_buf_putc(b, '}');
}

/* ---- revisions ---- */

void gw_etag(struct gw_call *c, const char *revision)
{
    c->etag = gw_call_printf(c, "\"%s\"", revision);
}

int gw_match(struct gw_call *c, const char *revision)
{
    const char *given = gw_call_header(c, "If-Match");
    const char *tag = gw_call_printf(c, "\"%s\"", revision);

    if (!given || gw_etag_listed(given, tag, false))
        return 0;
    return gw_fail(c, 412, "changed",
                   "Somebody else changed it meanwhile: it is revision %s now; read it again, then decide", revision);
}

const char *gw_take_back(struct gw_call *c)
{
    c->n_faults = 0;
    c->failure = 0;
    return c->detail ? c->detail : "";
}
