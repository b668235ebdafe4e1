/* The document as it is served: what was written, the answers that every operation shares, and what the router lets
 * into no path and no query. */
#include "common/str.h"
#include "services/gateway/document_private.h"

#include <string.h>

static void put(struct gw_document *d, uint32_t at);

static bool has_access(const struct gw_operation *op)
{
    return !(op->access & GW_PUBLIC);
}

static bool always(const struct gw_operation *op)
{
    (void)op;
    return true;
}

static bool has_input(const struct gw_operation *op)
{
    return op->n_params > 0 || op->body;
}

static bool has_path_params(const struct gw_operation *op)
{
    return op->kind;
}

static bool has_body(const struct gw_operation *op)
{
    return op->body;
}

static bool has_effect(const struct gw_operation *op)
{
    return !gs_str_eq(op->method, "GET");
}

static const struct {
    const char *status, *description;
    bool (*happens)(const struct gw_operation *op);
} shared[] = {
    {"400", "The request is malformed", always},
    {"401", "Nobody is signed in, or the token is not valid any more", has_access},
    {"403", "The caller may not do this", has_access},
    {"404", "There is no such thing, or the caller has nothing to do with it", has_path_params},
    {"406", "The caller takes no answer of the kind there is", always},
    {"409", "It conflicts with what there is", has_effect},
    {"412", "Somebody else was faster", has_effect},
    {"413", "The body is too large", has_body},
    {"414", "The address is too long", always},
    {"415", "The body is of a media type that is not taken", has_body},
    {"422", "The request is understood, but its content is not right", has_input},
    {"429", "Too many requests of this caller", always},
    {"431", "The headers are too many, or too long", always},
    {"500", "A mistake of goalsync's", always},
    {"503", "Try again later", always},
};

static bool text_is(const struct gw_document *d, uint32_t at, const char *text)
{
    size_t len;
    const char *s = gs_json_at_type(d->json, at) == GS_JSON_STRING ? gs_json_at_text(d->json, at, &len) : NULL;

    return s && gs_str_eq(s, text);
}

static const struct gw_operation *operation_at(const struct gw_document *d, uint32_t operation)
{
    uint32_t id = gs_json_member(d->json, operation, "operationId");
    size_t len;
    const char *text;

    if (gs_json_at_type(d->json, id) != GS_JSON_STRING)
        return NULL;
    text = gs_json_at_text(d->json, id, &len);
    for (const struct gw_operation *op = d->first; op; op = op->next)
        if (gs_str_eq(op->id, text))
            return op;
    return NULL;
}

static void put_key(struct gw_document *d, uint32_t at, bool first)
{
    size_t len;
    const char *key = gs_json_key(d->json, at, &len);

    if (!first)
        gs_buf_putc(&d->served, ',');
    gs_buf_put_json(&d->served, key, len);
    gs_buf_putc(&d->served, ':');
}

static void put_responses(struct gw_document *d, const struct gw_operation *op, uint32_t responses)
{
    bool first = true;

    gs_buf_putc(&d->served, '{');
    for (uint32_t at = gs_json_first(d->json, responses); at != GS_JSON_NONE;
         at = gs_json_next(d->json, responses, at)) {
        put_key(d, at, first);
        put(d, at);
        first = false;
    }
    for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++) {
        if (!shared[i].happens(op) || gs_json_member(d->json, responses, shared[i].status) != GS_JSON_NONE)
            continue;
        gs_buf_printf(&d->served,
                      "%s\"%s\":{\"description\":\"%s\",\"content\":{\"application/problem+json\":{\"schema\":"
                      "{\"$ref\":\"#/components/schemas/Problem\"}}}}",
                      first ? "" : ",", shared[i].status, shared[i].description);
        first = false;
    }
    gs_buf_putc(&d->served, '}');
}

/* What a parameter of any text may hold at all, for clients to know; null: it is no such parameter. Written here in the
 * way of ECMAScript, as no regular expression of POSIX can name the character zero. */
static const char *text_pattern(const struct gw_document *d, uint32_t parameter)
{
    static const char *const narrower[] = {"$ref", "pattern", "format", "enum", "const"};
    uint32_t schema = gs_json_member(d->json, parameter, "schema"), in = gs_json_member(d->json, parameter, "in");

    if (!text_is(d, gs_json_member(d->json, schema, "type"), "string"))
        return NULL;
    for (size_t i = 0; i < sizeof(narrower) / sizeof(*narrower); i++)
        if (gs_json_member(d->json, schema, narrower[i]) != GS_JSON_NONE)
            return NULL;
    return text_is(d, in, "path")    ? "^[^/\\\\x00-\\\\x1f\\\\x7f]*$"
           : text_is(d, in, "query") ? "^[^\\\\x00-\\\\x1f\\\\x7f]*$"
                                     : NULL;
}

static void put_members(struct gw_document *d, uint32_t object)
{
    for (uint32_t at = gs_json_first(d->json, object); at != GS_JSON_NONE; at = gs_json_next(d->json, object, at)) {
        put_key(d, at, at == gs_json_first(d->json, object));
        put(d, at);
    }
}

static void put_text_schema(struct gw_document *d, uint32_t schema, const char *pattern)
{
    gs_buf_putc(&d->served, '{');
    put_members(d, schema); /* at least its type */
    gs_buf_printf(&d->served, ",\"pattern\":\"%s\"}", pattern);
}

static void put_object(struct gw_document *d, uint32_t object)
{
    const struct gw_operation *op = operation_at(d, object);
    const char *pattern = text_pattern(d, object);
    bool first = true;

    gs_buf_putc(&d->served, '{');
    for (uint32_t at = gs_json_first(d->json, object); at != GS_JSON_NONE; at = gs_json_next(d->json, object, at)) {
        size_t len;
        put_key(d, at, first);
        first = false;
        if (op && gs_str_eq(gs_json_key(d->json, at, &len), "responses"))
            put_responses(d, op, at);
        else if (pattern && gs_str_eq(gs_json_key(d->json, at, &len), "schema"))
            put_text_schema(d, at, pattern);
        else
            put(d, at);
    }
    gs_buf_putc(&d->served, '}');
}

static void put_array(struct gw_document *d, uint32_t array)
{
    bool first = true;

    gs_buf_putc(&d->served, '[');
    for (uint32_t at = gs_json_first(d->json, array); at != GS_JSON_NONE; at = gs_json_next(d->json, array, at)) {
        if (!first)
            gs_buf_putc(&d->served, ',');
        put(d, at);
        first = false;
    }
    gs_buf_putc(&d->served, ']');
}

static void put(struct gw_document *d, uint32_t at)
{
    size_t len;
    const char *text;

    switch (gs_json_at_type(d->json, at)) {
    case GS_JSON_OBJECT:
        put_object(d, at);
        break;
    case GS_JSON_ARRAY:
        put_array(d, at);
        break;
    case GS_JSON_STRING:
        text = gs_json_at_text(d->json, at, &len);
        gs_buf_put_json(&d->served, text, len);
        break;
    case GS_JSON_NUMBER:
        text = gs_json_at_text(d->json, at, &len);
        gs_buf_append(&d->served, text, len);
        break;
    case GS_JSON_BOOL:
        gs_buf_puts(&d->served, gs_json_at_bool(d->json, at) ? "true" : "false");
        break;
    default:
        gs_buf_puts(&d->served, "null");
    }
}

void gw_document_write_served(struct gw_document *d)
{
    put(d, gs_json_root(d->json));
}
