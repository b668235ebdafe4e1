/* Operations as the description tells them: what they take, of which types, in words for people. */
#include "common/str.h"
#include "services/cli/api.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *api_text(const struct gs_json *j, uint32_t object, const char *key)
{
    uint32_t at = gs_json_member(j, object, key);
    size_t len;

    return gs_json_at_type(j, at) == GS_JSON_STRING ? gs_json_at_text(j, at, &len) : "";
}

/* A reference stands for what it names in the same document; any other, and a circle, for nothing. */
static uint32_t resolve(struct api *a, uint32_t at)
{
    for (int i = 0; i < API_DEPTH_MAX; i++) {
        const char *ref = api_text(a->doc, at, "$ref");
        if (!*ref)
            return at;
        if (ref[0] != '#')
            return GS_JSON_NONE;
        at = gs_json_at(a->doc, ref + 1);
    }
    return GS_JSON_NONE;
}

static const char *const choices[] = {"anyOf", "oneOf", "allOf"};
enum { N_CHOICES = sizeof(choices) / sizeof(choices[0]) };

static unsigned type_bit(const char *name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } types[] = {{"string", API_STRING}, {"integer", API_INTEGER}, {"number", API_NUMBER}, {"boolean", API_BOOLEAN},
                 {"array", API_ARRAY},   {"object", API_OBJECT},   {"null", API_NULL}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (gs_str_eq(types[i].name, name))
            return types[i].bit;
    return 0;
}

static unsigned type_of_value(enum gs_json_type type)
{
    static const unsigned bits[] = {
        [GS_JSON_NULL] = API_NULL,     [GS_JSON_BOOL] = API_BOOLEAN, [GS_JSON_NUMBER] = API_NUMBER,
        [GS_JSON_STRING] = API_STRING, [GS_JSON_ARRAY] = API_ARRAY,  [GS_JSON_OBJECT] = API_OBJECT};

    return bits[type];
}

static unsigned own_types(struct api *a, uint32_t schema)
{
    const struct gs_json *j = a->doc;
    uint32_t type = gs_json_member(j, schema, "type"), list = gs_json_member(j, schema, "enum");
    unsigned bits = type_bit(api_text(j, schema, "type"));
    size_t len;

    if (gs_json_at_type(j, type) == GS_JSON_ARRAY)
        for (uint32_t at = gs_json_first(j, type); at != GS_JSON_NONE; at = gs_json_next(j, type, at))
            bits |= gs_json_at_type(j, at) == GS_JSON_STRING ? type_bit(gs_json_at_text(j, at, &len)) : 0;
    if (type == GS_JSON_NONE && gs_json_at_type(j, list) == GS_JSON_ARRAY)
        for (uint32_t at = gs_json_first(j, list); at != GS_JSON_NONE; at = gs_json_next(j, list, at))
            bits |= type_of_value(gs_json_at_type(j, at));
    return bits | type_of_value(gs_json_at_type(j, gs_json_member(j, schema, "const")));
}

static unsigned types_within(struct api *a, uint32_t schema, int depth)
{
    unsigned bits;

    schema = resolve(a, schema);
    if (schema == GS_JSON_NONE || depth == 0)
        return 0;
    bits = own_types(a, schema);
    for (int i = 0; i < N_CHOICES; i++) {
        uint32_t list = gs_json_member(a->doc, schema, choices[i]);
        if (list == GS_JSON_NONE)
            continue;
        for (uint32_t at = gs_json_first(a->doc, list); at != GS_JSON_NONE; at = gs_json_next(a->doc, list, at))
            bits |= types_within(a, at, depth - 1);
    }
    return bits;
}

enum { SCHEMA_DEPTH = 8 };

unsigned api_types(struct api *a, uint32_t schema)
{
    return types_within(a, schema, SCHEMA_DEPTH);
}

static uint32_t keyword_within(struct api *a, uint32_t schema, const char *keyword, int depth)
{
    uint32_t found;

    schema = resolve(a, schema);
    if (schema == GS_JSON_NONE || depth == 0)
        return GS_JSON_NONE;
    found = gs_json_member(a->doc, schema, keyword);
    for (int i = 0; i < N_CHOICES && found == GS_JSON_NONE; i++) {
        uint32_t list = gs_json_member(a->doc, schema, choices[i]);
        if (list == GS_JSON_NONE)
            continue;
        for (uint32_t at = gs_json_first(a->doc, list); at != GS_JSON_NONE && found == GS_JSON_NONE;
             at = gs_json_next(a->doc, list, at))
            found = keyword_within(a, at, keyword, depth - 1);
    }
    return found;
}

uint32_t api_keyword(struct api *a, uint32_t schema, const char *keyword)
{
    return keyword_within(a, schema, keyword, SCHEMA_DEPTH);
}

static const char *keyword_text(struct api *a, uint32_t schema, const char *keyword)
{
    uint32_t at = api_keyword(a, schema, keyword);
    size_t len;

    return gs_json_at_type(a->doc, at) == GS_JSON_STRING ? gs_json_at_text(a->doc, at, &len) : "";
}

bool api_is_secret(struct api *a, uint32_t schema)
{
    uint32_t members = api_keyword(a, schema, "properties");

    if (gs_str_eq(keyword_text(a, schema, "format"), "password"))
        return true;
    if (gs_json_at_type(a->doc, members) != GS_JSON_OBJECT)
        return false;
    for (uint32_t at = gs_json_first(a->doc, members); at != GS_JSON_NONE; at = gs_json_next(a->doc, members, at))
        if (gs_str_eq(keyword_text(a, at, "format"), "password"))
            return true;
    return false;
}

uint32_t api_map_values(struct api *a, uint32_t schema)
{
    uint32_t values = api_keyword(a, schema, "additionalProperties");

    return gs_json_at_type(a->doc, values) == GS_JSON_OBJECT ? values : GS_JSON_NONE;
}

/* ---- operations ---- */

bool api_names_equal(const char *given, const char *name)
{
    for (; *given && *name; given++, name++) {
        int a = *given == '-' ? '_' : tolower((unsigned char)*given);
        int b = *name == '-' ? '_' : tolower((unsigned char)*name);
        if (a != b)
            return false;
    }
    return !*given && !*name;
}

static const char *method_of(const char *key)
{
    static const char *const methods[][2] = {{"get", "GET"},       {"post", "POST"}, {"put", "PUT"},
                                             {"delete", "DELETE"}, {"head", "HEAD"}, {"patch", "PATCH"}};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (gs_str_eq(methods[i][0], key))
            return methods[i][1];
    return NULL;
}

static void read_operation(struct api *a, struct api_operation *o)
{
    uint32_t tags = gs_json_member(a->doc, o->at, "tags");
    uint32_t tag = gs_json_at_type(a->doc, tags) == GS_JSON_ARRAY ? gs_json_first(a->doc, tags) : GS_JSON_NONE;
    size_t len;

    o->id = api_text(a->doc, o->at, "operationId");
    o->summary = api_text(a->doc, o->at, "summary");
    o->text = api_text(a->doc, o->at, "description");
    o->tag = gs_json_at_type(a->doc, tag) == GS_JSON_STRING ? gs_json_at_text(a->doc, tag, &len) : "";
}

/* A path's parameters are its operations' too. */
struct visit {
    bool (*fn)(void *arg, const struct api_operation *o);
    void *arg;
};

static bool each_of_path(struct api *a, uint32_t item, const char *path, const struct visit *v)
{
    struct api_operation o;
    size_t len;

    for (uint32_t at = gs_json_first(a->doc, item); at != GS_JSON_NONE; at = gs_json_next(a->doc, item, at)) {
        const char *method = method_of(gs_json_key(a->doc, at, &len));
        if (!method || gs_json_at_type(a->doc, at) != GS_JSON_OBJECT)
            continue;
        o = (struct api_operation){.at = at, .method = method, .path = path};
        read_operation(a, &o);
        if (*o.id && !v->fn(v->arg, &o))
            return false;
    }
    return true;
}

void api_each_operation(struct api *a, bool (*fn)(void *arg, const struct api_operation *o), void *arg)
{
    uint32_t paths = gs_json_at(a->doc, "/paths");
    struct visit v = {fn, arg};
    size_t len;

    if (gs_json_at_type(a->doc, paths) != GS_JSON_OBJECT)
        return;
    for (uint32_t at = gs_json_first(a->doc, paths); at != GS_JSON_NONE; at = gs_json_next(a->doc, paths, at))
        if (gs_json_at_type(a->doc, at) == GS_JSON_OBJECT && !each_of_path(a, at, gs_json_key(a->doc, at, &len), &v))
            return;
}

static void add_option(struct api_operation *o, const struct api_option *option)
{
    /* What comes first wins: an operation's own parameter before its path's. */
    if (*option->name && !api_find_option(o, option->name) && o->n_options < API_OPTIONS_MAX)
        o->options[o->n_options++] = *option;
}

static void add_parameter(struct api *a, struct api_operation *o, uint32_t at)
{
    static const char *const places[] = {[API_PATH] = "path", [API_QUERY] = "query", [API_HEADER] = "header"};
    struct api_option option = {0};
    const char *in;

    at = resolve(a, at);
    in = api_text(a->doc, at, "in");
    for (enum api_place place = API_PATH; place <= API_HEADER; place++) {
        if (!gs_str_eq(places[place], in))
            continue;
        option.place = place;
        option.name = api_text(a->doc, at, "name");
        option.schema = gs_json_member(a->doc, at, "schema");
        option.help = api_text(a->doc, at, "description");
        if (!*option.help)
            option.help = keyword_text(a, option.schema, "description");
        option.required = gs_json_at_bool(a->doc, gs_json_member(a->doc, at, "required"));
        o->takes_key |= place == API_HEADER && api_names_equal(option.name, "Idempotency-Key");
        add_option(o, &option);
    }
}

static void add_parameters(struct api *a, struct api_operation *o, uint32_t list)
{
    if (gs_json_at_type(a->doc, list) != GS_JSON_ARRAY)
        return;
    for (uint32_t at = gs_json_first(a->doc, list); at != GS_JSON_NONE; at = gs_json_next(a->doc, list, at))
        add_parameter(a, o, at);
}

static bool is_listed(const struct gs_json *j, uint32_t list, const char *name)
{
    size_t len;

    if (gs_json_at_type(j, list) != GS_JSON_ARRAY)
        return false;
    for (uint32_t at = gs_json_first(j, list); at != GS_JSON_NONE; at = gs_json_next(j, list, at))
        if (gs_json_at_type(j, at) == GS_JSON_STRING && gs_str_eq(gs_json_at_text(j, at, &len), name))
            return true;
    return false;
}

static void add_members(struct api *a, struct api_operation *o, uint32_t schema)
{
    uint32_t list = api_keyword(a, schema, "properties"), required = api_keyword(a, schema, "required");
    size_t len;

    if (gs_json_at_type(a->doc, list) != GS_JSON_OBJECT)
        return;
    for (uint32_t at = gs_json_first(a->doc, list); at != GS_JSON_NONE; at = gs_json_next(a->doc, list, at)) {
        const char *name = gs_json_key(a->doc, at, &len);
        add_option(o, &(struct api_option){.name = name,
                                           .help = keyword_text(a, at, "description"),
                                           .place = API_MEMBER,
                                           .required = is_listed(a->doc, required, name),
                                           .schema = at});
    }
}

static void add_body(struct api *a, struct api_operation *o)
{
    uint32_t body = resolve(a, gs_json_member(a->doc, o->at, "requestBody")), first;
    size_t len;

    o->body_types = gs_json_member(a->doc, body, "content");
    if (gs_json_at_type(a->doc, o->body_types) != GS_JSON_OBJECT)
        return;
    first = gs_json_first(a->doc, o->body_types);
    if (first == GS_JSON_NONE)
        return;
    o->takes_body = true;
    o->body_required = gs_json_at_bool(a->doc, gs_json_member(a->doc, body, "required"));
    o->body_type = gs_json_key(a->doc, first, &len);
    add_members(a, o, gs_json_member(a->doc, gs_json_member(a->doc, o->body_types, "application/json"), "schema"));
}

struct search {
    const char *id;
    struct api_operation *ret;
    bool found;
};

static bool is_wanted(void *arg, const struct api_operation *o)
{
    struct search *s = arg;

    s->found = api_names_equal(s->id, o->id);
    if (s->found)
        *s->ret = *o;
    return !s->found;
}

enum cli_exit api_find_operation(struct api *a, const char *id, struct api_operation *ret)
{
    struct search s = {id, ret, false};
    uint32_t paths = gs_json_at(a->doc, "/paths");

    api_each_operation(a, is_wanted, &s);
    if (!s.found)
        return cli_fail(a->c, CLI_USAGE, "%s has no operation \"%s\"; `goalsync api` lists those it has", a->server,
                        id);
    add_parameters(a, ret, gs_json_member(a->doc, ret->at, "parameters"));
    add_parameters(a, ret, gs_json_member(a->doc, gs_json_member(a->doc, paths, ret->path), "parameters"));
    add_body(a, ret);
    return CLI_OK;
}

const struct api_option *api_find_option(const struct api_operation *o, const char *name)
{
    for (int i = 0; i < o->n_options; i++)
        if (api_names_equal(name, o->options[i].name))
            return &o->options[i];
    return NULL;
}

/* ---- words ---- */

/* "if-match": as it is written on the command line. */
static void put_name(struct gs_buf *b, const char *name)
{
    for (; *name; name++)
        gs_buf_putc(b, *name == '_' ? '-' : (char)tolower((unsigned char)*name));
}

static void put_words(struct api *a, struct gs_buf *b, uint32_t list)
{
    size_t len;

    for (uint32_t at = gs_json_first(a->doc, list); at != GS_JSON_NONE; at = gs_json_next(a->doc, list, at)) {
        const char *text = gs_json_at_type(a->doc, at) == GS_JSON_STRING ? gs_json_at_text(a->doc, at, &len) : "";
        gs_buf_puts(b, *text && b->len ? "|" : "");
        gs_buf_puts(b, text);
    }
}

static const char *placeholder(struct api *a, uint32_t schema)
{
    static const char *const formats[][2] = {{"uuid", "ID"},        {"date", "YYYY-MM-DD"}, {"date-time", "INSTANT"},
                                             {"decimal", "NUMBER"}, {"uri", "URL"},         {"email", "EMAIL"}};
    const char *format = keyword_text(a, schema, "format");
    unsigned types = api_types(a, schema);

    if (api_is_secret(a, schema))
        return "FILE";

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (gs_str_eq(formats[i][0], format) && !(types & API_ARRAY))
            return formats[i][1];
    if (types & API_ARRAY)
        return api_types(a, api_keyword(a, schema, "items")) & (API_OBJECT | API_ARRAY) ? "JSON" : "VALUE";
    return api_map_values(a, schema) != GS_JSON_NONE ? "NAME=VALUE"
           : types & API_OBJECT                      ? "JSON"
           : types & API_BOOLEAN                     ? "true|false"
           : types & (API_INTEGER | API_NUMBER)      ? "NUMBER"
                                                     : "TEXT";
}

void api_usage(struct api *a, const struct api_option *o, char *dst, size_t size)
{
    enum { WORDS_MAX = 60 };
    uint32_t list = api_keyword(a, o->schema, "enum");
    struct gs_buf name, words;

    gs_buf_init(&name, CLI_ERROR_MAX);
    gs_buf_init(&words, CLI_ERROR_MAX);
    put_name(&name, o->name);
    if (gs_json_at_type(a->doc, list) == GS_JSON_ARRAY && !(api_types(a, o->schema) & API_ARRAY))
        put_words(a, &words, list);
    snprintf(dst, size, "--%s %s", gs_buf_str(&name),
             words.len && words.len <= WORDS_MAX ? gs_buf_str(&words) : placeholder(a, o->schema));
    gs_buf_done(&name);
    gs_buf_done(&words);
}

static void help_line(const char *usage, const char *text, const char *more)
{
    if (strlen(usage) > 30)
        printf("  %s\n  %-30s %s%s\n", usage, "", text, more);
    else
        printf("  %-30s %s%s\n", usage, text, more);
}

static bool is_organisation(const struct api_option *o)
{
    return o->place == API_PATH && gs_str_eq(o->name, "organisation");
}

static void help_option(struct api *a, const struct api_option *o)
{
    unsigned types = api_types(a, o->schema);
    bool many = types & API_ARRAY || api_map_values(a, o->schema) != GS_JSON_NONE;
    char usage[256], more[256];

    api_usage(a, o, usage, sizeof(usage));
    snprintf(more, sizeof(more), "%s%s%s%s",
             is_organisation(o) ? " (--org NAME does as well; may be left out by who is in only one)"
             : o->required      ? " (required)"
                                : "",
             !api_is_secret(a, o->schema) ? ""
             : types & API_OBJECT         ? " (a file with its JSON, \"-\" for standard input)"
                                          : " (a file that holds it, \"-\" for standard input)",
             many ? " (may be repeated)" : "", types & API_NULL ? " (null: none)" : "");
    help_line(usage, o->help, *o->help ? more : *more ? more + 1 : "");
}

static void help_access(struct api *a, const struct api_operation *o)
{
    uint32_t list = gs_json_member(a->doc, o->at, "x-goalsync-access");
    const char *scope = api_text(a->doc, o->at, "x-goalsync-scope");
    struct gs_buf who;

    gs_buf_init(&who, CLI_ERROR_MAX);
    if (gs_json_at_type(a->doc, list) == GS_JSON_ARRAY)
        put_words(a, &who, list);
    if (who.len)
        printf("For: %s%s%s\n", gs_buf_str(&who), *scope ? "; the token's scope: " : "", scope);
    gs_buf_done(&who);
}

/* What the path names may stand without its option, in the path's order. */
static void help_arguments(const struct api_operation *o)
{
    const char *p = o->path;
    char name[128];

    while ((p = strchr(p, '{')) != NULL) {
        size_t len = strcspn(++p, "}");
        snprintf(name, sizeof(name), "%.*s", (int)len, p);
        for (char *c = name; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        if (!gs_str_eq(name, "ORGANISATION"))
            printf(" %s", name);
    }
}

void api_help(struct api *a, const struct api_operation *o)
{
    bool file = o->takes_body, pages = api_find_option(o, "cursor") != NULL;

    printf("%s.\n\n%s%s%s %s\n", o->summary, o->text, *o->text ? "\n\n" : "", o->method, o->path);
    help_access(a, o);
    printf("\nUsage: goalsync api %s", o->id);
    help_arguments(o);
    printf(" [options]\n\nOptions:\n");
    for (enum api_place place = API_PATH; place <= API_MEMBER; place++)
        for (int i = 0; i < o->n_options; i++)
            if (o->options[i].place == place)
                help_option(a, &o->options[i]);
    if (file)
        help_line(api_find_option(o, "body") ? "--body-file FILE" : "--body FILE",
                  "the whole body from a file, \"-\" for standard input", "");
    if (pages)
        help_line("--all", "every page of the list", "");
    help_line("--json", "print JSON", "");
}

enum cli_exit api_fail_unknown(struct api *a, const struct api_operation *o, const char *name)
{
    enum cli_exit rc;
    struct gs_buf b;

    gs_buf_init(&b, CLI_ERROR_MAX / 2);
    for (int i = 0; i < o->n_options; i++) {
        gs_buf_puts(&b, i ? ", --" : "--");
        put_name(&b, o->options[i].name);
    }
    rc = cli_fail(a->c, CLI_USAGE, "%s has no option --%s; it takes %s", o->id, name,
                  b.len ? gs_buf_str(&b) : "none but --json");
    gs_buf_done(&b);
    return rc;
}
