/* The API's description: read at start, held against the operations that were built in, and turned into the router. */
#include "services/gateway/document.h"

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/auth.h"
#include "services/gateway/document_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_MAX   (16 << 20)
#define DOCUMENT_DEPTH 64

const char *const gw_methods[GW_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

/* The operation that is read, for messages. */
struct reader {
    struct gw_document *d;
    const struct gs_json *j;
    struct gs_err *err;
    const struct gw_op *const *ops;
    const char *path;
    struct gw_operation *op;
};

/* ---- small things ---- */

static bool GS_PRINTF(2, 3) refuse(struct reader *r, const char *fmt, ...)
{
    char what[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    gs_fail(r->err, GS_REJECT, "the API's description: %s%s%s: %s", r->path ? r->path : "",
            r->op && r->op->id ? " " : "", r->op && r->op->id ? r->op->id : "", what);
    return false;
}

/* A member's text, owned; null when it is missing or no string. */
static char *text_of(const struct gs_json *j, uint32_t object, const char *name)
{
    uint32_t at = gs_json_member(j, object, name);
    size_t len;
    const char *text;

    if (gs_json_at_type(j, at) != GS_JSON_STRING)
        return NULL;
    text = gs_json_at_text(j, at, &len);
    return gs_strndup(text, len);
}

static bool text_is(const struct gs_json *j, uint32_t at, const char *text)
{
    size_t len;
    const char *s = gs_json_at_type(j, at) == GS_JSON_STRING ? gs_json_at_text(j, at, &len) : NULL;

    return s && len == strlen(text) && memcmp(s, text, len) == 0;
}

static char *key_of(const struct gs_json *j, uint32_t at)
{
    size_t len;
    const char *key = gs_json_key(j, at, &len);

    return gs_strndup(key, len);
}

/* Follows "$ref". */
static uint32_t resolve(struct reader *r, uint32_t at)
{
    GS_AUTO(gs_freep) char *ref = text_of(r->j, at, "$ref");

    if (!ref)
        return at;
    return ref[0] == '#' ? gs_json_at(r->d->json, ref + 1) : GS_JSON_NONE;
}

/* ---- parameters ---- */

static bool read_where(struct reader *r, struct gw_param_spec *p, uint32_t at)
{
    static const char *const places[] = {"path", "query", "header"};
    uint32_t in = gs_json_member(r->j, at, "in");

    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        if (text_is(r->j, in, places[i])) {
            p->in = (enum gw_param_in)i;
            return true;
        }
    }
    return refuse(r, "a parameter is neither in the path nor in the query nor in a header");
}

static char *default_of(const struct gs_json *j, uint32_t schema)
{
    uint32_t at = gs_json_member(j, schema, "default");
    size_t len;
    const char *text;

    switch (gs_json_at_type(j, at)) {
    case GS_JSON_STRING:
    case GS_JSON_NUMBER:
        text = gs_json_at_text(j, at, &len);
        return gs_strndup(text, len);
    case GS_JSON_BOOL:
        return gs_strdup(gs_json_at_bool(j, at) ? "true" : "false");
    default:
        return NULL;
    }
}

static bool read_param(struct reader *r, uint32_t given)
{
    uint32_t at = resolve(r, given), schema = gs_json_member(r->j, at, "schema");
    struct gw_param_spec *p = &r->op->params[r->op->n_params];
    struct gs_err cause;

    if (r->op->n_params == GW_PARAMS_MAX)
        return refuse(r, "more than %d parameters", GW_PARAMS_MAX);
    r->op->n_params++;
    p->name = text_of(r->j, at, "name");
    if (!p->name || schema == GS_JSON_NONE)
        return refuse(r, "a parameter without name or schema");
    p->required = gs_json_at_bool(r->j, gs_json_member(r->j, at, "required"));
    p->schema = gw_schema_compile(r->d->schemas, schema, &cause);
    if (!p->schema)
        return refuse(r, "parameter %s: %s", p->name, cause.text);
    p->def = default_of(r->j, schema);
    return read_where(r, p, at);
}

static bool read_params(struct reader *r, uint32_t list)
{
    for (uint32_t at = gs_json_first(r->j, list); at != GS_JSON_NONE; at = gs_json_next(r->j, list, at))
        if (!read_param(r, at))
            return false;
    return true;
}

/* The path's parameters come in the order in which they stand there; each {name} has one. */
static bool order_path_params(struct reader *r)
{
    const char *at = r->op->path;
    int n = 0;

    while ((at = strchr(at, '{'))) {
        size_t len = strcspn(++at, "}");
        int i = n;
        while (i < r->op->n_params && (r->op->params[i].in != GW_IN_PATH || strlen(r->op->params[i].name) != len ||
                                       memcmp(r->op->params[i].name, at, len) != 0))
            i++;
        if (i == r->op->n_params)
            return refuse(r, "the path's {%.*s} is not among its parameters", (int)len, at);
        struct gw_param_spec moved = r->op->params[i];
        r->op->params[i] = r->op->params[n];
        r->op->params[n++] = moved;
    }
    for (int i = n; i < r->op->n_params; i++)
        if (r->op->params[i].in == GW_IN_PATH)
            return refuse(r, "the parameter %s is not in the path", r->op->params[i].name);
    r->op->kind = n > 0 ? r->op->params[0].name : NULL;
    return true;
}

/* ---- bodies ---- */

static bool read_media(struct reader *r, uint32_t content)
{
    uint32_t n = gs_json_at_type(r->j, content) == GS_JSON_OBJECT ? gs_json_at_count(r->j, content) : 0, i = 0;

    if (n == 0)
        return refuse(r, "a request body without content");
    r->op->media = gs_alloc_n(n + 1, sizeof(*r->op->media));
    for (uint32_t at = gs_json_first(r->j, content); at != GS_JSON_NONE; at = gs_json_next(r->j, content, at)) {
        struct gs_err cause;
        uint32_t schema = gs_json_member(r->j, at, "schema");
        r->op->media[i] = key_of(r->j, at);
        if (gs_str_eq(r->op->media[i++], "application/json")) {
            r->op->body_schema = schema ? gw_schema_compile(r->d->schemas, schema, &cause) : NULL;
            if (!r->op->body_schema)
                return refuse(r, "body: %s", schema ? cause.text : "no schema");
        }
    }
    return true;
}

static bool read_body(struct reader *r, uint32_t operation)
{
    uint32_t given = gs_json_member(r->j, operation, "requestBody"), at = resolve(r, given);

    if (given == GS_JSON_NONE)
        return true;
    r->op->body = true;
    r->op->body_required = gs_json_at_bool(r->j, gs_json_member(r->j, at, "required"));
    return read_media(r, gs_json_member(r->j, at, "content"));
}

/* ---- access ---- */

static bool read_access(struct reader *r, uint32_t operation)
{
    static const struct {
        const char *name;
        unsigned bits; /* who has more may do what who has less may */
    } words[] = {{"public", GW_PUBLIC},
                 {"signed-in", GW_SIGNED_IN},
                 {"member", GW_ANY_MEMBER | GW_ANY_ADMIN | GW_ANY_OWNER},
                 {"admin", GW_ANY_ADMIN | GW_ANY_OWNER},
                 {"owner", GW_ANY_OWNER},
                 {"tenant-admin", GW_TENANT_ADMIN}};
    uint32_t list = gs_json_member(r->j, operation, "x-goalsync-access");
    const size_t n = sizeof(words) / sizeof(*words);

    for (uint32_t at = gs_json_first(r->j, list); at != GS_JSON_NONE; at = gs_json_next(r->j, list, at)) {
        size_t i = 0;
        while (i < n && !text_is(r->j, at, words[i].name))
            i++;
        if (i == n)
            return refuse(r, "x-goalsync-access names somebody unknown");
        r->op->access |= words[i].bits;
    }
    if (!r->op->access)
        return refuse(r, "x-goalsync-access is missing");
    if ((r->op->access & (GW_ANY_MEMBER | GW_ANY_ADMIN | GW_ANY_OWNER)) && !r->op->kind)
        return refuse(r, "members of what? The path names no thing of an organisation");
    return true;
}

static bool read_scope(struct reader *r, uint32_t operation)
{
    uint32_t at = gs_json_member(r->j, operation, "x-goalsync-scope");

    if (at == GS_JSON_NONE && (r->op->access & GW_PUBLIC)) {
        r->op->scope = gs_strdup("");
        return true;
    }
    r->op->scope = text_of(r->j, operation, "x-goalsync-scope");
    if (r->op->scope && gw_scope(r->op->scope))
        return true;
    return refuse(r, "x-goalsync-scope is missing or unknown");
}

/* ---- operations ---- */

static bool find_function(struct reader *r)
{
    for (const struct gw_op *const *table = r->ops; *table; table++) {
        for (const struct gw_op *op = *table; op->id; op++) {
            if (gs_str_eq(op->id, r->op->id)) {
                r->op->run = op->run;
                return true;
            }
        }
    }
    return refuse(r, "no function carries this operation out");
}

/* Their schemas bind nobody here, but what is said of answers must be sound as well. */
static void add_produced(struct gw_operation *op, size_t *n, const char *type)
{
    for (size_t i = 0; i < *n; i++)
        if (gs_str_eq(op->produces[i], type))
            return;
    op->produces = gs_realloc_n(op->produces, *n + 2, sizeof(*op->produces));
    op->produces[(*n)++] = gs_strdup(type);
    op->produces[*n] = NULL;
}

static bool read_responses(struct reader *r, uint32_t operation)
{
    uint32_t list = gs_json_member(r->j, operation, "responses");
    size_t n = 0, len;

    for (uint32_t given = gs_json_first(r->j, list); given != GS_JSON_NONE; given = gs_json_next(r->j, list, given)) {
        uint32_t at = resolve(r, given), content = gs_json_member(r->j, at, "content");
        if (at == GS_JSON_NONE)
            return refuse(r, "a response refers to what is not there");
        for (uint32_t m = gs_json_first(r->j, content); m != GS_JSON_NONE; m = gs_json_next(r->j, content, m)) {
            uint32_t schema = gs_json_member(r->j, m, "schema");
            struct gs_err cause;
            if (*gs_json_key(r->j, given, &len) == '2')
                add_produced(r->op, &n, gs_json_key(r->j, m, &len));
            if (schema != GS_JSON_NONE && !gw_schema_compile(r->d->schemas, schema, &cause))
                return refuse(r, "a response: %s", cause.text);
        }
    }
    if (n == 0)
        add_produced(r->op, &n, "application/json");
    return gs_json_first(r->j, list) != GS_JSON_NONE || refuse(r, "no responses");
}

static bool read_operation(struct reader *r, uint32_t item, uint32_t at)
{
    struct gw_operation *op = r->op;

    op->id = text_of(r->j, at, "operationId");
    if (!op->id || !*op->id)
        return refuse(r, "an operation without operationId");
    op->large = gs_json_at_bool(r->j, gs_json_member(r->j, at, "x-goalsync-large"));
    op->any_query = gs_json_at_bool(r->j, gs_json_member(r->j, at, "x-goalsync-any-query"));
    return read_params(r, gs_json_member(r->j, item, "parameters")) &&
           read_params(r, gs_json_member(r->j, at, "parameters")) && order_path_params(r) && read_body(r, at) &&
           read_access(r, at) && read_scope(r, at) && read_responses(r, at) && find_function(r);
}

static bool read_path(struct reader *r, uint32_t item)
{
    static const char *const others[] = {"parameters", "summary", "description"};

    for (uint32_t at = gs_json_first(r->j, item); at != GS_JSON_NONE; at = gs_json_next(r->j, item, at)) {
        size_t len, m = 0, k = 0;
        const char *key = gs_json_key(r->j, at, &len);
        while (k < sizeof(others) / sizeof(*others) && !gs_str_eq(key, others[k]))
            k++;
        if (k < sizeof(others) / sizeof(*others))
            continue;
        while (m < GW_METHODS && strcasecmp(gw_methods[m], key) != 0)
            m++;
        if (m == GW_METHODS)
            return refuse(r, "\"%.40s\" is neither a method that is served nor anything else that is known", key);
        r->op = gs_alloc(sizeof(*r->op));
        r->op->next = r->d->first;
        r->d->first = r->op;
        r->op->path = gs_strdup(r->path);
        r->op->method = gw_methods[m];
        if (!read_operation(r, item, at) || !gw_routes_add(r->d, r->op, m, r->err))
            return false;
        r->op = NULL;
    }
    return true;
}

static bool read_paths(struct reader *r)
{
    uint32_t paths = gs_json_member(r->j, gs_json_at(r->d->json, ""), "paths");

    for (uint32_t at = gs_json_first(r->j, paths); at != GS_JSON_NONE; at = gs_json_next(r->j, paths, at)) {
        GS_AUTO(gs_freep) char *path = key_of(r->j, at);
        r->path = path;
        if (!read_path(r, at))
            return false;
        r->path = NULL;
    }
    return true;
}

static const struct gw_operation *operation_of(const struct gw_document *d, const char *id,
                                               const struct gw_operation *but)
{
    for (const struct gw_operation *op = d->first; op; op = op->next)
        if (op != but && gs_str_eq(op->id, id))
            return op;
    return NULL;
}

/* Every function is an operation, and every operation has a name of its own. */
static bool check_ids(struct reader *r)
{
    for (const struct gw_operation *op = r->d->first; op; op = op->next)
        if (operation_of(r->d, op->id, op))
            return refuse(r, "two operations are called %s", op->id);
    for (const struct gw_op *const *table = r->ops; *table; table++)
        for (const struct gw_op *op = *table; op->id; op++)
            if (!operation_of(r->d, op->id, NULL))
                return refuse(r, "the function %s is no operation of it", op->id);
    return true;
}

static bool check_members(struct reader *r)
{
    GS_AUTO(gs_freep) char *version = text_of(r->j, gs_json_at(r->d->json, ""), "openapi");

    if (!version || !gs_str_starts(version, "3.1."))
        return refuse(r, "it is no OpenAPI 3.1 document");
    return true;
}

static void note_fault(void *arg, const char *pointer, const char *detail)
{
    gs_fail(arg, GS_REJECT, "the API's description: %s %s", pointer, detail);
}

static bool read_document(struct gw_document *d, const char *text, size_t len, const struct gw_op *const *ops,
                          struct gs_err *err)
{
    struct reader r = {.d = d, .j = d->json, .err = err, .ops = ops};

    if (gs_json_parse(d->json, text, len, err) != GS_OK)
        return false;
    if (!gw_schema_clean(d->json, note_fault, err))
        return false;
    d->schemas = gw_schemas_new(d->json);
    if (!check_members(&r) || !read_paths(&r) || !check_ids(&r))
        return false;
    gw_document_write_served(d);
    return true;
}

struct gw_document *gw_document_new(const char *text, size_t len, const struct gw_op *const *ops, struct gs_err *err)
{
    struct gw_document *d = gs_alloc(sizeof(*d));

    d->json = gs_json_new(DOCUMENT_MAX, DOCUMENT_DEPTH);
    gs_buf_init(&d->served, 2 * (size_t)DOCUMENT_MAX);
    return read_document(d, text, len, ops, err) ? d : gw_document_free(d);
}

static void free_operation(struct gw_operation *op)
{
    for (int i = 0; i < op->n_params; i++) {
        free(op->params[i].name);
        free(op->params[i].def);
    }
    for (size_t i = 0; op->media && op->media[i]; i++)
        free(op->media[i]);
    free(op->media);
    for (size_t i = 0; op->produces && op->produces[i]; i++)
        free(op->produces[i]);
    free(op->produces);
    free(op->id);
    free(op->path);
    free(op->scope);
    free(op);
}

struct gw_document *gw_document_free(struct gw_document *d)
{
    if (!d)
        return NULL;
    gw_routes_free(d);
    while (d->first) {
        struct gw_operation *op = d->first;
        d->first = op->next;
        free_operation(op);
    }
    gw_schemas_free(d->schemas);
    gs_json_free(d->json);
    gs_buf_done(&d->served);
    free(d);
    return NULL;
}

const char *gw_document_served(const struct gw_document *d, size_t *ret_len)
{
    *ret_len = d->served.len;
    return gs_buf_str(&d->served);
}

struct gw_operation *gw_document_operations(const struct gw_document *d)
{
    return d->first;
}
