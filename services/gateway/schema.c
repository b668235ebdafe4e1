/* Schemas: reading them, and refusing those that use what nobody here would check. The checking is schema_check.c. */
#include "services/gateway/schema_private.h"

#include "common/mem.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64 /* of schemas within schemas */

struct gw_schemas {
    struct gs_json *document;
    struct gw_schema *first;
};

/* What one is compiling, for messages and for the bound on depth. */
struct compiler {
    struct gw_schemas *set;
    const struct gs_json *j;
    struct gs_err *err;
    unsigned depth;
};

static struct gw_schema *compile(struct compiler *c, uint32_t at);

struct gw_schemas *gw_schemas_new(struct gs_json *document)
{
    struct gw_schemas *set = gs_alloc(sizeof(*set));

    set->document = document;
    return set;
}

static void free_schema(struct gw_schema *s)
{
    for (size_t i = 0; i < s->n_members; i++)
        free(s->members[i].name);
    free(s->members);
    for (size_t i = 0; i < GW_COMBINATIONS; i++)
        free(s->parts[i].list);
    if (s->pattern) {
        regfree(s->pattern);
        free(s->pattern);
    }
    free(s->pattern_text);
    free(s);
}

struct gw_schemas *gw_schemas_free(struct gw_schemas *set)
{
    if (!set)
        return NULL;
    while (set->first) {
        struct gw_schema *s = set->first;
        set->first = s->next;
        free_schema(s);
    }
    free(set);
    return NULL;
}

/* ---- keywords: each false with err filled ---- */

static bool refuse(struct compiler *c, const char *keyword, const char *why)
{
    gs_fail(c->err, GS_REJECT, "a schema's \"%s\" %s", keyword, why);
    return false;
}

static char *copy_text(const struct gs_json *j, uint32_t at)
{
    size_t len;
    const char *text = gs_json_at_text(j, at, &len);

    return gs_strndup(text, len);
}

static bool text_is(const struct gs_json *j, uint32_t at, const char *text)
{
    size_t len;
    const char *s = gs_json_at_text(j, at, &len);

    return len == strlen(text) && memcmp(s, text, len) == 0;
}

static bool add_type(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    static const struct {
        const char *name;
        unsigned bit;
    } types[] = {{"null", GW_T_NULL},     {"boolean", GW_T_BOOL}, {"integer", GW_T_INTEGER}, {"number", GW_T_NUMBER},
                 {"string", GW_T_STRING}, {"array", GW_T_ARRAY},  {"object", GW_T_OBJECT}};

    for (size_t i = 0; gs_json_at_type(c->j, at) == GS_JSON_STRING && i < sizeof(types) / sizeof(*types); i++) {
        if (text_is(c->j, at, types[i].name)) {
            s->types |= types[i].bit;
            return true;
        }
    }
    return refuse(c, "type", "is none that exists");
}

static bool read_type(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    if (gs_json_at_type(c->j, at) != GS_JSON_ARRAY)
        return add_type(c, s, at);
    for (uint32_t i = gs_json_first(c->j, at); i != GS_JSON_NONE; i = gs_json_next(c->j, at, i))
        if (!add_type(c, s, i))
            return false;
    return true;
}

static struct gw_member *find_or_add_member(struct gw_schema *s, const char *name, size_t len)
{
    for (size_t i = 0; i < s->n_members; i++)
        if (s->members[i].len == len && memcmp(s->members[i].name, name, len) == 0)
            return &s->members[i];
    s->members = gs_realloc_n(s->members, s->n_members + 1, sizeof(*s->members));
    s->members[s->n_members] = (struct gw_member){.name = gs_strndup(name, len), .len = len};
    return &s->members[s->n_members++];
}

static bool read_properties(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    if (gs_json_at_type(c->j, at) != GS_JSON_OBJECT)
        return refuse(c, "properties", "is no object");
    for (uint32_t i = gs_json_first(c->j, at); i != GS_JSON_NONE; i = gs_json_next(c->j, at, i)) {
        size_t len;
        const char *name = gs_json_key(c->j, i, &len);
        const struct gw_schema *inner = compile(c, i);
        if (!inner)
            return false;
        find_or_add_member(s, name, len)->schema = inner;
    }
    if (s->n_members > GW_MEMBERS_MAX)
        return refuse(c, "properties", "names too many members");
    return true;
}

static bool read_required(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    for (uint32_t i = gs_json_first(c->j, at); i != GS_JSON_NONE; i = gs_json_next(c->j, at, i)) {
        size_t len;
        const char *name = gs_json_at_text(c->j, i, &len);
        if (gs_json_at_type(c->j, i) != GS_JSON_STRING)
            return refuse(c, "required", "is no list of names");
        find_or_add_member(s, name, len)->required = true;
    }
    return gs_json_at_type(c->j, at) == GS_JSON_ARRAY || refuse(c, "required", "is no list of names");
}

static bool read_additional(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    if (gs_json_at_type(c->j, at) == GS_JSON_BOOL) {
        s->closed = !gs_json_at_bool(c->j, at);
        return true;
    }
    s->additional = compile(c, at);
    return s->additional;
}

static bool read_items(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    s->items = compile(c, at);
    return s->items;
}

static bool read_count(struct compiler *c, struct gw_schema *s, uint32_t at, const char *keyword)
{
    const struct {
        const char *name;
        int64_t *target;
    } counts[] = {{"minLength", &s->min_length},      {"maxLength", &s->max_length},
                  {"minItems", &s->min_items},        {"maxItems", &s->max_items},
                  {"minProperties", &s->min_members}, {"maxProperties", &s->max_members}};
    size_t len;
    const char *text = gs_json_at_text(c->j, at, &len);
    char digits[GS_INT_TEXT] = "";

    if (gs_json_at_type(c->j, at) == GS_JSON_NUMBER && len < sizeof(digits))
        memcpy(digits, text, len);
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        if (gs_str_eq(keyword, counts[i].name) && gs_parse_int(digits, 0, INT32_MAX, counts[i].target))
            return true;
    return refuse(c, keyword, "is no count");
}

static bool read_bound(struct compiler *c, struct gw_schema *s, uint32_t at, const char *keyword)
{
    bool lower = strstr(keyword, "inimum");
    struct gw_bound *b = lower ? &s->minimum : &s->maximum;
    size_t len;
    const char *text = gs_json_at_text(c->j, at, &len);

    if (gs_json_at_type(c->j, at) != GS_JSON_NUMBER || gs_dec_parse(text, len, &b->value, NULL) != GS_OK)
        return refuse(c, keyword, "is no number that fits");
    b->set = true;
    b->exclusive = gs_str_starts(keyword, "exclusive");
    return true;
}

static bool read_unique(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    s->unique = gs_json_at_bool(c->j, at);
    return true;
}

static bool read_enum(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    if (gs_json_at_type(c->j, at) != GS_JSON_ARRAY)
        return refuse(c, "enum", "is no list");
    s->enum_at = at;
    return true;
}

static bool read_const(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    (void)c;
    s->const_at = at;
    return true;
}

static bool read_format(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    for (int i = 1; i < GW_FORMATS; i++) {
        if (text_is(c->j, at, gw_format_names[i])) {
            s->format = (enum gw_format)i;
            return true;
        }
    }
    return refuse(c, "format", "is none that is checked here");
}

/* Only what POSIX and ECMAScript read alike. */
static bool is_common_pattern(const char *p)
{
    size_t len = strlen(p);

    if (len < 2 || p[0] != '^' || p[len - 1] != '$' || strstr(p, "(?") || strstr(p, "[:"))
        return false;
    for (const char *b = strchr(p, '\\'); b; b = strchr(b + 2, '\\'))
        if (!b[1] || strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", b[1]))
            return false;
    return true;
}

static bool read_pattern(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    char *text = copy_text(c->j, at);

    free(s->pattern_text);
    s->pattern_text = text;
    s->pattern = gs_alloc(sizeof(*s->pattern));
    if (is_common_pattern(text) && regcomp(s->pattern, text, REG_EXTENDED | REG_NOSUB) == 0)
        return true;
    free(s->pattern);
    s->pattern = NULL;
    return refuse(c, "pattern", "must be anchored, and use nothing but what POSIX and ECMAScript read alike");
}

static bool read_parts(struct compiler *c, struct gw_schema *s, uint32_t at, const char *keyword)
{
    enum gw_combination which = gs_str_eq(keyword, "allOf")   ? GW_ALL_OF
                                : gs_str_eq(keyword, "anyOf") ? GW_ANY_OF
                                                              : GW_ONE_OF;
    struct gw_parts *p = &s->parts[which];

    if (gs_json_at_type(c->j, at) != GS_JSON_ARRAY || gs_json_at_count(c->j, at) == 0)
        return refuse(c, keyword, "is no list of schemas");
    p->list = gs_alloc_n(gs_json_at_count(c->j, at), sizeof(*p->list));
    for (uint32_t i = gs_json_first(c->j, at); i != GS_JSON_NONE; i = gs_json_next(c->j, at, i)) {
        p->list[p->n] = compile(c, i);
        if (!p->list[p->n++])
            return false;
    }
    return true;
}

static bool read_ref(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    GS_AUTO(gs_freep) char *text = copy_text(c->j, at);
    uint32_t target = text[0] == '#' ? gs_json_at(c->set->document, text + 1) : GS_JSON_NONE;

    if (target == GS_JSON_NONE) {
        gs_fail(c->err, GS_REJECT, "a schema refers to \"%s\", which is not there", text);
        return false;
    }
    s->ref = compile(c, target);
    return s->ref;
}

/* What says nothing about which values are right. */
static bool is_annotation(const char *keyword)
{
    static const char *const words[] = {"title",      "description", "default",   "example",          "examples",
                                        "deprecated", "readOnly",    "writeOnly", "contentMediaType", "contentEncoding",
                                        "$comment"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (gs_str_eq(keyword, words[i]))
            return true;
    return gs_str_starts(keyword, "x-");
}

static bool read_keyword(struct compiler *c, struct gw_schema *s, const char *k, uint32_t at)
{
    static const struct {
        const char *name;
        bool (*read)(struct compiler *c, struct gw_schema *s, uint32_t at);
    } table[] = {{"type", read_type},   {"properties", read_properties}, {"required", read_required},
                 {"items", read_items}, {"uniqueItems", read_unique},    {"additionalProperties", read_additional},
                 {"enum", read_enum},   {"const", read_const},           {"format", read_format},
                 {"$ref", read_ref},    {"pattern", read_pattern}};

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (gs_str_eq(k, table[i].name))
            return table[i].read(c, s, at);
    if (gs_str_eq(k, "allOf") || gs_str_eq(k, "anyOf") || gs_str_eq(k, "oneOf"))
        return read_parts(c, s, at, k);
    if (gs_str_eq(k, "minimum") || gs_str_eq(k, "maximum") || gs_str_eq(k, "exclusiveMinimum") ||
        gs_str_eq(k, "exclusiveMaximum"))
        return read_bound(c, s, at, k);
    if ((gs_str_starts(k, "min") || gs_str_starts(k, "max")) && k[3] >= 'A' && k[3] <= 'Z')
        return read_count(c, s, at, k);
    return is_annotation(k) || refuse(c, k, "is not a keyword that is checked here");
}

static bool read_keywords(struct compiler *c, struct gw_schema *s, uint32_t at)
{
    if (gs_json_at_type(c->j, at) == GS_JSON_BOOL && gs_json_at_bool(c->j, at))
        return true; /* anything */
    if (gs_json_at_type(c->j, at) != GS_JSON_OBJECT) {
        gs_fail(c->err, GS_REJECT, "something that is no object stands where a schema was expected");
        return false;
    }
    for (uint32_t i = gs_json_first(c->j, at); i != GS_JSON_NONE; i = gs_json_next(c->j, at, i)) {
        size_t len;
        if (!read_keyword(c, s, gs_json_key(c->j, i, &len), i))
            return false;
    }
    return true;
}

static struct gw_schema *compile(struct compiler *c, uint32_t at)
{
    struct gw_schema *s;
    bool ok;

    for (s = c->set->first; s; s = s->next)
        if (s->at == at)
            return s; /* possibly not read to its end: schemas may hold themselves */
    if (c->depth == DEPTH_MAX) {
        gs_fail(c->err, GS_REJECT, "schemas are nested too deeply");
        return NULL;
    }
    s = gs_alloc(sizeof(*s));
    s->document = c->set->document;
    s->at = at;
    s->max_length = s->max_items = s->max_members = INT64_MAX;
    s->next = c->set->first;
    c->set->first = s;
    c->depth++;
    ok = read_keywords(c, s, at);
    c->depth--;
    return ok ? s : NULL;
}

const struct gw_schema *gw_schema_compile(struct gw_schemas *set, uint32_t at, struct gs_err *err)
{
    struct compiler c = {.set = set, .j = set->document, .err = err};

    return compile(&c, at);
}
