/* A command line as a request: each value goes where the description says, as the type it says. */
#include "common/mem.h"
#include "common/str.h"
#include "services/cli/api.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/rand.h>

/* ---- what was given ---- */

static const char *given(const struct cli *c, const struct api_option *o, int nth)
{
    for (int i = 0; i < c->n_given; i++)
        if (api_names_equal(c->given[i].name, o->name) && nth-- == 0)
            return c->given[i].value ? c->given[i].value : "";
    return NULL;
}

/* The option of a file that is the whole body; null: none is given. */
static const char *body_file(const struct cli *c, const struct api_operation *o)
{
    const char *path = NULL;

    for (int i = 0; i < c->n_given; i++)
        if (api_names_equal(c->given[i].name, "body-file") ||
            (api_names_equal(c->given[i].name, "body") && !api_find_option(o, "body")))
            path = c->given[i].value ? c->given[i].value : "";
    return path;
}

static bool is_ours(const char *name)
{
    return api_names_equal(name, "all") || api_names_equal(name, "body") || api_names_equal(name, "body-file");
}

enum { SECRET_MAX = 256 << 10 };

static enum cli_exit read_file(struct api *a, const char *path, struct gs_buf *body)
{
    FILE *file = gs_str_eq(path, "-") ? stdin : fopen(path, "rbe");
    char chunk[16384];
    bool failed;

    if (!file)
        return cli_fail(a->c, CLI_USAGE, "%s cannot be read: %s", path, strerror(errno));
    for (size_t n; !body->overflow && (n = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        gs_buf_append(body, chunk, n);
    failed = ferror(file);
    if (file != stdin)
        fclose(file);
    if (failed)
        return cli_fail(a->c, CLI_USAGE, "%s cannot be read", path);
    return body->overflow ? cli_fail(a->c, CLI_USAGE, "%s has more than %zu bytes", path, body->ceiling) : CLI_OK;
}

/* ---- values ---- */

static enum cli_exit fail_value(struct api *a, const struct api_option *o, const char *text)
{
    char usage[256], shown[128];

    api_usage(a, o, usage, sizeof(usage));
    return cli_fail(a->c, CLI_USAGE, "%s is \"%s\" in %s; it must be %s", o->name,
                    gs_str_clean(shown, sizeof(shown), text, strlen(text)), "the command line",
                    strchr(usage, ' ') ? strchr(usage, ' ') + 1 : usage);
}

/* Appends the JSON text when it is of one of the wanted types. */
static bool put_parsed(struct gs_buf *b, const char *text, unsigned wanted)
{
    struct gs_json *j = gs_json_new(API_BODY_MAX, API_DEPTH_MAX);
    bool fits = false;

    if (gs_json_parse(j, text, strlen(text), NULL) == GS_OK) {
        enum gs_json_type type = gs_json_at_type(j, gs_json_root(j));
        fits = (type == GS_JSON_OBJECT && (wanted & API_OBJECT)) || (type == GS_JSON_ARRAY && (wanted & API_ARRAY)) ||
               (type == GS_JSON_NUMBER && (wanted & API_NUMBER));
        if (fits)
            api_put_json(b, j, gs_json_root(j));
    }
    gs_json_free(j);
    return fits;
}

/* A word of the list as the description writes it: people write dashes. Null: it is none of them. */
static const char *listed(struct api *a, uint32_t list, const char *text)
{
    size_t len;

    for (uint32_t at = gs_json_first(a->doc, list); at != GS_JSON_NONE; at = gs_json_next(a->doc, list, at)) {
        const char *word = gs_json_at_type(a->doc, at) == GS_JSON_STRING ? gs_json_at_text(a->doc, at, &len) : NULL;
        if (word && gs_str_eq(word, text))
            return word;
    }
    for (uint32_t at = gs_json_first(a->doc, list); at != GS_JSON_NONE; at = gs_json_next(a->doc, list, at)) {
        const char *word = gs_json_at_type(a->doc, at) == GS_JSON_STRING ? gs_json_at_text(a->doc, at, &len) : NULL;
        if (word && api_names_equal(text, word))
            return word;
    }
    return NULL;
}

/* Valid UTF-8 only: a replacement character must not be stored silently. */
static bool is_utf8(const char *s)
{
    for (size_t n, left = strlen(s); left; s += n, left -= n) {
        n = gs_utf8_char(s, left);
        if (n == 0)
            return false;
    }
    return true;
}

static bool put_scalar(struct api *a, struct gs_buf *b, uint32_t schema, unsigned types, const char *text)
{
    uint32_t list = api_keyword(a, schema, "enum");
    int64_t n;

    if ((types & API_NULL) && gs_str_eq(text, "null"))
        gs_buf_puts(b, "null");
    else if ((types & API_BOOLEAN) && (gs_str_eq(text, "true") || gs_str_eq(text, "false")))
        gs_buf_puts(b, text);
    else if ((types & API_BOOLEAN) && !*text)
        gs_buf_puts(b, "true");
    else if ((types & API_INTEGER) && gs_parse_int(text, INT64_MIN, INT64_MAX, &n))
        gs_buf_printf(b, "%lld", (long long)n);
    else if ((types & API_NUMBER) && put_parsed(b, text, API_NUMBER))
        return true;
    else if (types & API_STRING) {
        const char *word = gs_json_at_type(a->doc, list) == GS_JSON_ARRAY ? listed(a, list, text) : text;
        if (!word || !is_utf8(word))
            return false;
        gs_buf_put_json(b, word, strlen(word));
    } else
        return (types & (API_OBJECT | API_ARRAY)) && put_parsed(b, text, types);
    return true;
}

static enum cli_exit put_array(struct api *a, struct gs_buf *b, const struct api_option *o)
{
    uint32_t items = api_keyword(a, o->schema, "items");
    unsigned types = api_types(a, items);
    const char *text = given(a->c, o, 0);

    if (!given(a->c, o, 1) && (text[0] == '[' || gs_str_eq(text, "null")))
        if (put_parsed(b, text, API_ARRAY) || ((api_types(a, o->schema) & API_NULL) && text[0] == 'n')) {
            gs_buf_puts(b, text[0] == 'n' ? "null" : "");
            return CLI_OK;
        }
    gs_buf_putc(b, '[');
    for (int i = 0; (text = given(a->c, o, i)); i++) {
        gs_buf_puts(b, i ? "," : "");
        if (!put_scalar(a, b, items, types ? types : API_STRING, text))
            return fail_value(a, o, text);
    }
    gs_buf_putc(b, ']');
    return CLI_OK;
}

/* Members of any name, one an option: --settings query='SELECT 1' needs no quotes within quotes. */
static enum cli_exit put_pairs(struct api *a, struct gs_buf *b, const struct api_option *o)
{
    uint32_t values = api_map_values(a, o->schema);
    unsigned types = api_types(a, values);
    const char *text;

    gs_buf_putc(b, '{');
    for (int i = 0; (text = given(a->c, o, i)); i++) {
        size_t len = strcspn(text, "=");
        if (len == 0 || !text[len])
            return fail_value(a, o, text);
        gs_buf_puts(b, i ? "," : "");
        gs_buf_put_json(b, text, len);
        gs_buf_putc(b, ':');
        if (!put_scalar(a, b, values, types ? types : API_STRING, text + len + 1))
            return fail_value(a, o, text);
    }
    gs_buf_putc(b, '}');
    return CLI_OK;
}

/* Command lines are seen by every process of the machine: a secret is in none, and in no error. */
static enum cli_exit put_secret(struct api *a, struct gs_buf *b, const struct api_option *o)
{
    const char *path = given(a->c, o, 0);
    enum cli_exit rc;
    struct gs_buf text;

    gs_buf_init(&text, SECRET_MAX);
    rc = read_file(a, path, &text);
    while (rc == CLI_OK && text.len && isspace((unsigned char)text.data[text.len - 1]))
        text.data[--text.len] = '\0';
    if (rc == CLI_OK && (text.len == 0 || memchr(text.data, 0, text.len) ||
                         !put_scalar(a, b, o->schema, api_types(a, o->schema) & (API_STRING | API_OBJECT), text.data)))
        rc = cli_fail(a->c, CLI_USAGE, "%s: what %s holds is not accepted; it must be %s", o->name, path,
                      api_types(a, o->schema) & API_OBJECT ? "a JSON object of its members" : "the secret alone");
    if (text.data)
        gs_wipe(text.data, text.cap);
    gs_buf_done(&text);
    return rc;
}

static enum cli_exit put_member(struct api *a, struct gs_buf *b, const struct api_option *o)
{
    unsigned types = api_types(a, o->schema);

    if (api_is_secret(a, o->schema) && !given(a->c, o, 1))
        return put_secret(a, b, o);
    if (types & API_ARRAY)
        return put_array(a, b, o);
    if (api_map_values(a, o->schema) != GS_JSON_NONE && given(a->c, o, 0)[0] != '{' &&
        !gs_str_eq(given(a->c, o, 0), "null"))
        return put_pairs(a, b, o);
    if (given(a->c, o, 1))
        return cli_fail(a->c, CLI_USAGE, "--%s is given twice", o->name);
    return put_scalar(a, b, o->schema, types ? types : API_STRING | API_NUMBER | API_OBJECT | API_ARRAY | API_NULL,
                      given(a->c, o, 0))
               ? CLI_OK
               : fail_value(a, o, given(a->c, o, 0));
}

/* The text of a parameter: a word as the description writes it, everything else as it was given. */
static enum cli_exit plain(struct api *a, const struct api_option *o, const char *text, const char **ret)
{
    uint32_t list = api_keyword(a, o->schema, "enum");
    unsigned types = api_types(a, o->schema);
    int64_t n;

    *ret = text;
    if (gs_json_at_type(a->doc, list) == GS_JSON_ARRAY && !(types & API_ARRAY))
        *ret = listed(a, list, text);
    else if (types == API_BOOLEAN)
        *ret = !*text ? "true" : gs_str_eq(text, "true") || gs_str_eq(text, "false") ? text : NULL;
    else if (types == API_INTEGER)
        *ret = gs_parse_int(text, INT64_MIN, INT64_MAX, &n) ? text : NULL;
    else if (!*text)
        return cli_fail(a->c, CLI_USAGE, "--%s needs a value", o->name);
    return *ret ? CLI_OK : fail_value(a, o, text);
}

/* ---- the address ---- */

static void put_escaped(struct gs_buf *b, const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, (int)strlen(text)); /* arguments are far below INT_MAX */

    gs_buf_puts(b, escaped ? escaped : "");
    curl_free(escaped);
}

static enum cli_exit put_path(struct api *a, const struct api_operation *o, struct gs_buf *url)
{
    const char *p = o->path, *text;
    char name[128];

    gs_buf_puts(url, a->server);
    while (*p) {
        const struct api_option *option;
        size_t len = strcspn(p, "{");
        gs_buf_append(url, p, len);
        p += len;
        if (!*p)
            break;
        len = strcspn(++p, "}");
        snprintf(name, sizeof(name), "%.*s", (int)len, p);
        option = api_find_option(o, name);
        if (!option || !given(a->c, option, 0))
            return cli_fail(a->c, CLI_FAILED, "the server's description of %s says nothing about {%s}", o->id, name);
        if (plain(a, option, given(a->c, option, 0), &text) != CLI_OK)
            return a->c->code;
        /* "." and ".." would name another path. */
        if (gs_str_eq(text, ".") || gs_str_eq(text, ".."))
            return fail_value(a, option, text);
        put_escaped(url, text);
        p += len + (p[len] == '}');
    }
    return CLI_OK;
}

static void put_query_pair(struct gs_buf *url, const char *name, const char *value, bool *first)
{
    gs_buf_putc(url, *first ? '?' : '&');
    put_escaped(url, name);
    gs_buf_putc(url, '=');
    put_escaped(url, value);
    *first = false;
}

/* Asking for every page, the pages are as large as they may be. */
static void put_paging(struct api *a, const struct api_operation *o, const char *cursor, struct gs_buf *url,
                       bool *first)
{
    const struct api_option *limit = api_find_option(o, "limit");
    char text[GS_INT_TEXT];
    size_t len;

    if (cursor)
        put_query_pair(url, "cursor", cursor, first);
    if (cli_has(a->c, "all") && limit && !given(a->c, limit, 0)) {
        uint32_t most = api_keyword(a, limit->schema, "maximum");
        if (gs_json_at_type(a->doc, most) != GS_JSON_NUMBER)
            return;
        const char *digits = gs_json_at_text(a->doc, most, &len);
        snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1), digits);
        put_query_pair(url, limit->name, text, first);
    }
}

static enum cli_exit put_query(struct api *a, const struct api_operation *o, const char *cursor, struct gs_buf *url)
{
    const char *text;
    bool first = true;

    for (int i = 0; i < o->n_options; i++) {
        const struct api_option *option = &o->options[i];
        bool many = api_types(a, option->schema) & API_ARRAY;
        if (option->place != API_QUERY || (cursor && gs_str_eq(option->name, "cursor")))
            continue;
        for (int n = 0; given(a->c, option, n); n++) {
            if (n > 0 && !many)
                return cli_fail(a->c, CLI_USAGE, "--%s is given twice", option->name);
            if (plain(a, option, given(a->c, option, n), &text) != CLI_OK)
                return a->c->code;
            put_query_pair(url, option->name, text, &first);
        }
    }
    put_paging(a, o, cursor, url, &first);
    return url->overflow ? cli_fail(a->c, CLI_USAGE, "the options are longer than %d bytes together", API_URL_MAX)
                         : CLI_OK;
}

/* ---- headers ---- */

static void add_header(struct api_filled *f, const char *name, const char *value)
{
    struct gs_buf line;

    gs_buf_init(&line, API_URL_MAX);
    gs_buf_printf(&line, "%s: %s", name, value);
    f->headers = curl_slist_append(f->headers, gs_buf_str(&line));
    gs_buf_done(&line);
}

static enum cli_exit add_key(struct api *a, struct api_filled *f)
{
    unsigned char bytes[16];
    char text[2 * sizeof(bytes) + 1];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return cli_fail(a->c, CLI_FAILED, "this machine has no random numbers");
    gs_hex_encode(bytes, sizeof(bytes), text);
    add_header(f, "Idempotency-Key", text);
    return CLI_OK;
}

static enum cli_exit add_headers(struct api *a, const struct api_operation *o, struct api_filled *f)
{
    const char *text;

    for (int i = 0; i < o->n_options; i++) {
        const struct api_option *option = &o->options[i];
        const char *value = option->place == API_HEADER ? given(a->c, option, 0) : NULL;
        if (!value) {
            if (option->place == API_HEADER && api_names_equal(option->name, "Idempotency-Key") &&
                add_key(a, f) != CLI_OK)
                return a->c->code;
            continue;
        }
        if (plain(a, option, value, &text) != CLI_OK)
            return a->c->code;
        for (const char *p = text; *p; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                return fail_value(a, option, text);
        add_header(f, option->name, text);
    }
    return CLI_OK;
}

/* ---- the body ---- */

static const char *type_by_name(struct api *a, const struct api_operation *o, const char *path)
{
    static const char *const types[][2] = {
        {".json", "application/json"},
        {".csv", "text/csv"},
        {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}};
    const char *end = strrchr(path, '.');

    for (size_t i = 0; end && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(end, types[i][0]) == 0 && gs_json_member(a->doc, o->body_types, types[i][1]) != GS_JSON_NONE)
            return types[i][1];
    return o->body_type;
}

static enum cli_exit put_members(struct api *a, const struct api_operation *o, struct api_filled *f)
{
    int n = 0;

    gs_buf_putc(&f->body, '{');
    for (int i = 0; i < o->n_options; i++) {
        const struct api_option *option = &o->options[i];
        if (option->place != API_MEMBER || !given(a->c, option, 0))
            continue;
        gs_buf_puts(&f->body, n++ ? "," : "");
        gs_buf_put_json(&f->body, option->name, strlen(option->name));
        gs_buf_putc(&f->body, ':');
        if (put_member(a, &f->body, option) != CLI_OK)
            return a->c->code;
    }
    gs_buf_putc(&f->body, '}');
    f->has_body = n > 0 || o->body_required;
    f->type = "application/json";
    return CLI_OK;
}

static enum cli_exit fill_body(struct api *a, const struct api_operation *o, struct api_filled *f)
{
    const char *path = body_file(a->c, o);

    if (path) {
        f->has_body = true;
        f->type = type_by_name(a, o, path);
        return read_file(a, path, &f->body);
    }
    return o->takes_body ? put_members(a, o, f) : CLI_OK;
}

/* ---- all of it ---- */

static enum cli_exit check_known(struct api *a, const struct api_operation *o)
{
    for (int i = 0; i < a->c->n_given; i++) {
        const char *name = a->c->given[i].name;
        const struct api_option *option = api_find_option(o, name);
        bool file = !option && (api_names_equal(name, "body") || api_names_equal(name, "body-file"));
        if (!option && (!is_ours(name) || (file && !o->takes_body)))
            return api_fail_unknown(a, o, name);
        if (!option && api_names_equal(name, "all") && !api_find_option(o, "cursor"))
            return cli_fail(a->c, CLI_USAGE, "%s has no pages; leave --all out", o->id);
        if (option && option->place == API_MEMBER && body_file(a->c, o))
            return cli_fail(a->c, CLI_USAGE, "--%s is given, and a file with the whole body; give one of them", name);
    }
    return CLI_OK;
}

static enum cli_exit check_complete(struct api *a, const struct api_operation *o)
{
    enum cli_exit rc = CLI_OK;
    struct gs_buf b;
    char usage[256];

    gs_buf_init(&b, CLI_ERROR_MAX / 2);
    for (int i = 0; i < o->n_options; i++) {
        const struct api_option *option = &o->options[i];
        if (!option->required || given(a->c, option, 0) || (option->place == API_MEMBER && body_file(a->c, o)))
            continue;
        api_usage(a, option, usage, sizeof(usage));
        gs_buf_puts(&b, b.len ? ", " : "");
        gs_buf_puts(&b, usage);
    }
    if (b.len)
        rc = cli_fail(a->c, CLI_USAGE, "%s needs %s; `goalsync api %s --help` explains", o->id, gs_buf_str(&b), o->id);
    else if (o->body_required && !body_file(a->c, o) &&
             gs_json_member(a->doc, o->body_types, "application/json") == GS_JSON_NONE)
        rc = cli_fail(a->c, CLI_USAGE, "%s needs --body FILE with %s", o->id, o->body_type);
    gs_buf_done(&b);
    return rc;
}

enum cli_exit api_fill(struct api *a, const struct api_operation *o, const char *cursor, struct api_filled *ret)
{
    enum cli_exit rc = check_known(a, o);

    *ret = (struct api_filled){0};
    gs_buf_init(&ret->url, API_URL_MAX);
    gs_buf_init(&ret->body, API_BODY_MAX);
    if (rc == CLI_OK)
        rc = check_complete(a, o);
    if (rc == CLI_OK)
        rc = put_path(a, o, &ret->url);
    if (rc == CLI_OK)
        rc = put_query(a, o, cursor, &ret->url);
    if (rc == CLI_OK)
        rc = add_headers(a, o, ret);
    if (rc == CLI_OK)
        rc = fill_body(a, o, ret);
    if (rc == CLI_OK && ret->has_body) {
        add_header(ret, "Content-Type", ret->type);
        add_header(ret, "Expect", "");
    }
    return rc;
}

void api_filled_done(struct api_filled *f)
{
    gs_buf_done(&f->url);
    gs_buf_done(&f->body);
    curl_slist_free_all(f->headers);
}
