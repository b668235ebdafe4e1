/* Asking schemas about values. Says everything that is wrong, each at its place. */
#include "services/gateway/schema_private.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX   128 /* of schemas that are asked about one value and its parts */
#define POINTER_MAX 512
#define NAMES_SHOWN 200

const char *const gw_format_names[GW_FORMATS] = {
    [GW_NO_FORMAT] = "",        [GW_F_UUID] = "uuid",         [GW_F_DATE] = "date",     [GW_F_DATE_TIME] = "date-time",
    [GW_F_DECIMAL] = "decimal", [GW_F_EMAIL] = "email",       [GW_F_URI] = "uri",       [GW_F_INT32] = "int32",
    [GW_F_INT64] = "int64",     [GW_F_PASSWORD] = "password", [GW_F_BINARY] = "binary",
};

/* A value: of a document, or the text of a parameter. */
struct value {
    enum gs_json_type type;
    const char *text; /* of a string or number */
    size_t len;
    bool truth;
    uint32_t at; /* of an array or object */
};

struct check {
    const struct gs_json *j;
    gw_fault_fn *fault; /* null: only whether it is right */
    void *arg;
    char pointer[POINTER_MAX];
    size_t pointer_len;
    unsigned depth;
};

static bool check(struct check *c, const struct gw_schema *s, const struct value *v);

/* ---- faults ---- */

static bool GS_PRINTF(2, 3) wrong(struct check *c, const char *fmt, ...)
{
    char detail[400];
    va_list ap;

    if (c->fault) {
        va_start(ap, fmt);
        vsnprintf(detail, sizeof(detail), fmt, ap);
        va_end(ap);
        c->fault(c->arg, c->pointer, detail);
    }
    return false;
}

/* Steps into a member or element; returns where one was. What does not fit is left out. */
static size_t step(struct check *c, const char *part, size_t len)
{
    size_t before = c->pointer_len;
    char clean[128], escaped[2 * sizeof(clean)];
    size_t n = 0;

    gs_str_clean(clean, sizeof(clean), part, len);
    for (const char *s = clean; *s; s++) {
        if (*s == '~' || *s == '/') {
            escaped[n++] = '~';
            escaped[n++] = *s == '~' ? '0' : '1';
        } else {
            escaped[n++] = *s;
        }
    }
    if (before + n + 2 < sizeof(c->pointer)) {
        c->pointer[before] = '/';
        memcpy(c->pointer + before + 1, escaped, n);
        c->pointer_len = before + 1 + n;
        c->pointer[c->pointer_len] = '\0';
    }
    return before;
}

static void step_back(struct check *c, size_t before)
{
    c->pointer_len = before;
    c->pointer[before] = '\0';
}

/* ---- formats ---- */

static bool all_of_class(const char *s, size_t len, const char *class)
{
    for (size_t i = 0; i < len; i++)
        if (!s[i] || !strchr(class, s[i]))
            return false;
    return true;
}

#define DIGITS "0123456789"
#define HEX    DIGITS "abcdefABCDEF"

static bool is_uuid(const char *s, size_t len)
{
    return len == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && all_of_class(s, 8, HEX) &&
           all_of_class(s + 9, 4, HEX) && all_of_class(s + 14, 4, HEX) && all_of_class(s + 19, 4, HEX) &&
           all_of_class(s + 24, 12, HEX);
}

/* The reader of times knows the calendar. */
static bool is_date(const char *s, size_t len)
{
    char whole[32];
    int64_t us;

    if (len != 10 || !all_of_class(s, 4, DIGITS) || !all_of_class(s + 5, 2, DIGITS) || !all_of_class(s + 8, 2, DIGITS))
        return false;
    snprintf(whole, sizeof(whole), "%.10sT00:00:00Z", s);
    return gs_time_parse(whole, &us);
}

static bool is_date_time(const char *s, size_t len)
{
    int64_t us;

    return len <= 40 && gs_time_parse(s, &us);
}

static bool is_decimal(const char *s, size_t len)
{
    size_t sign = len > 0 && s[0] == '-', whole = strspn(s + sign, DIGITS);
    const char *point = s + sign + whole;
    struct gs_dec d;

    if (whole == 0 || (*point == '.' && strspn(point + 1, DIGITS) == 0))
        return false;
    if (*point == '.')
        point += 1 + strspn(point + 1, DIGITS);
    return point == s + len && gs_dec_parse(s, len, &d, NULL) == GS_OK;
}

static bool is_email(const char *s, size_t len)
{
    const char *at = memchr(s, '@', len);
    size_t before = at ? (size_t)(at - s) : 0;

    if (!at || before == 0 || before + 1 == len || len > 254 || memchr(at + 1, '@', len - before - 1))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f)
            return false;
    return true;
}

static bool is_uri(const char *s, size_t len)
{
    size_t scheme = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    if (scheme == 0 || scheme + 1 >= len || s[scheme] != ':' || strchr(DIGITS "+.-", s[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f || strchr("\"<>\\^`{|}", s[i]))
            return false;
    return true;
}

static bool is_int32(const char *s, size_t len)
{
    int64_t n;

    return len < GS_INT_TEXT && gs_parse_int(s, INT32_MIN, INT32_MAX, &n);
}

static bool check_format(struct check *c, enum gw_format format, const struct value *v)
{
    static const struct {
        bool (*is)(const char *s, size_t len);
        const char *words;
    } formats[GW_FORMATS] = {
        [GW_F_UUID] = {is_uuid, "must be a UUID, like 0189f7ea-ae2c-7809-8aeb-b819cf5e9e7f"},
        [GW_F_DATE] = {is_date, "must be a day that exists, like 2026-11-23"},
        [GW_F_DATE_TIME] = {is_date_time, "must be a moment that exists, like 2026-11-23T16:02:03Z"},
        [GW_F_DECIMAL] = {is_decimal,
                          "must be a decimal number as text, like \"-12.50\", with at most 20 digits before the point "
                          "and 18 behind it"},
        [GW_F_EMAIL] = {is_email, "must be an e-mail address"},
        [GW_F_URI] = {is_uri, "must be a URI, like https://example.org/terms"},
    };

    if (v->type != GS_JSON_STRING || !formats[format].is || formats[format].is(v->text, v->len))
        return true;
    return wrong(c, "%s", formats[format].words);
}

/* ---- strings and numbers ---- */

static int64_t characters(const char *s, size_t len)
{
    int64_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

static bool check_string(struct check *c, const struct gw_schema *s, const struct value *v)
{
    int64_t n = characters(v->text, v->len);

    if (n < s->min_length)
        return n == 0 ? wrong(c, "must not be empty")
                      : wrong(c, "must have at least %lld characters", (long long)s->min_length);
    if (n > s->max_length)
        return wrong(c, "has %lld characters, and %lld are the most", (long long)n, (long long)s->max_length);
    if (!check_format(c, s->format, v)) /* before the pattern: it has a sentence */
        return false;
    if (s->pattern && regexec(s->pattern, v->text, 0, NULL, 0) != 0)
        return wrong(c, "does not look as it must: %s", s->pattern_text);
    return true;
}

static bool is_whole(const struct value *v)
{
    char text[GS_INT_TEXT];
    int64_t n;

    if (v->len >= sizeof(text))
        return false;
    memcpy(text, v->text, v->len);
    text[v->len] = '\0';
    return gs_parse_int(text, INT64_MIN, INT64_MAX, &n);
}

static bool check_number(struct check *c, const struct gw_schema *s, const struct value *v)
{
    struct gs_dec d;
    char bound[GS_DEC_TEXT];
    int order;

    if (gs_dec_parse(v->text, v->len, &d, NULL) != GS_OK)
        return wrong(c, "has more digits than are kept: at most 20 before the point and 18 behind it");
    order = s->minimum.set ? gs_dec_cmp(d, s->minimum.value) : 1;
    if (order < 0 || (order == 0 && s->minimum.exclusive)) {
        gs_dec_format(s->minimum.value, bound);
        return wrong(c, "must be %s%s", s->minimum.exclusive ? "more than " : "at least ", bound);
    }
    order = s->maximum.set ? gs_dec_cmp(d, s->maximum.value) : -1;
    if (order > 0 || (order == 0 && s->maximum.exclusive)) {
        gs_dec_format(s->maximum.value, bound);
        return wrong(c, "must be %s%s", s->maximum.exclusive ? "less than " : "at most ", bound);
    }
    if (s->format == GW_F_INT32 && !is_int32(v->text, v->len))
        return wrong(c, "does not fit 32 bits");
    return true;
}

/* ---- types ---- */

static bool has_type(unsigned types, const struct value *v)
{
    switch (v->type) {
    case GS_JSON_NULL:
        return types & GW_T_NULL;
    case GS_JSON_BOOL:
        return types & GW_T_BOOL;
    case GS_JSON_NUMBER:
        return (types & GW_T_NUMBER) || ((types & GW_T_INTEGER) && is_whole(v));
    case GS_JSON_STRING:
        return types & GW_T_STRING;
    case GS_JSON_ARRAY:
        return types & GW_T_ARRAY;
    case GS_JSON_OBJECT:
        return types & GW_T_OBJECT;
    default:
        return false;
    }
}

static bool check_type(struct check *c, unsigned types, const struct value *v)
{
    static const char *const words[] = {"null",     "true or false", "a whole number", "a number",
                                        "a string", "an array",      "an object"};
    char list[NAMES_SHOWN] = "";
    size_t len = 0;

    if (types == 0 || has_type(types, v))
        return true;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (types & (1u << i))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? " or " : "", words[i]);
    return wrong(c, "must be %s", list);
}

static struct value value_at(const struct gs_json *j, uint32_t at)
{
    struct value v = {.type = gs_json_at_type(j, at), .at = at};

    if (v.type == GS_JSON_STRING || v.type == GS_JSON_NUMBER)
        v.text = gs_json_at_text(j, at, &v.len);
    v.truth = gs_json_at_bool(j, at);
    return v;
}

/* Of plain values; arrays and objects are never equal here. */
static bool is_same(const struct value *a, const struct value *b)
{
    struct gs_dec x, y;

    if (a->type != b->type)
        return false;
    if (a->type == GS_JSON_NUMBER)
        return gs_dec_parse(a->text, a->len, &x, NULL) == GS_OK && gs_dec_parse(b->text, b->len, &y, NULL) == GS_OK &&
               gs_dec_cmp(x, y) == 0;
    if (a->type == GS_JSON_STRING)
        return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
    return a->type == GS_JSON_NULL || (a->type == GS_JSON_BOOL && a->truth == b->truth);
}

static bool check_enum(struct check *c, const struct gw_schema *s, const struct value *v)
{
    const struct gs_json *d = s->document;
    char list[NAMES_SHOWN] = "";
    size_t len = 0;

    for (uint32_t at = gs_json_first(d, s->enum_at); at != GS_JSON_NONE; at = gs_json_next(d, s->enum_at, at)) {
        struct value allowed = value_at(d, at);
        if (is_same(&allowed, v))
            return true;
        if (allowed.text && len < sizeof(list))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%.*s", len ? ", " : "", (int)allowed.len,
                                    allowed.text);
    }
    return wrong(c, "must be one of: %s", list);
}

static bool check_const(struct check *c, const struct gw_schema *s, const struct value *v)
{
    struct value only = value_at(s->document, s->const_at);

    if (is_same(&only, v))
        return true;
    return only.text ? wrong(c, "must be %.*s", (int)only.len, only.text)
                     : wrong(c, "is not the only value that is taken");
}

/* ---- arrays and objects ---- */

static int by_text(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len ? memcmp(x->text, y->text, len) : 0;

    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static bool check_unique(struct check *c, const struct value *array)
{
    uint32_t n = gs_json_at_count(c->j, array->at), k = 0;
    GS_AUTO(gs_freep) struct value *all = gs_alloc_n(n + 1, sizeof(*all));

    for (uint32_t at = gs_json_first(c->j, array->at); at != GS_JSON_NONE; at = gs_json_next(c->j, array->at, at)) {
        all[k] = value_at(c->j, at);
        k += all[k].text != NULL;
    }
    qsort(all, k, sizeof(*all), by_text);
    for (uint32_t i = 1; i < k; i++)
        if (is_same(&all[i - 1], &all[i]))
            return wrong(c, "holds the same value twice");
    return true;
}

static bool check_array(struct check *c, const struct gw_schema *s, const struct value *v)
{
    int64_t n = gs_json_at_count(c->j, v->at);
    bool ok = true;
    size_t i = 0;

    if (n < s->min_items)
        return wrong(c, "must hold at least %lld", (long long)s->min_items);
    if (n > s->max_items)
        return wrong(c, "holds %lld, and %lld are the most", (long long)n, (long long)s->max_items);
    for (uint32_t at = gs_json_first(c->j, v->at); s->items && at != GS_JSON_NONE; at = gs_json_next(c->j, v->at, at)) {
        struct value item = value_at(c->j, at);
        char index[GS_INT_TEXT];
        size_t before = step(c, index, gs_int_format((int64_t)i++, index));
        ok &= check(c, s->items, &item);
        step_back(c, before);
    }
    return (!s->unique || check_unique(c, v)) && ok;
}

/* Of the first, for people who mistyped. */
static bool unknown_member(struct check *c, const struct gw_schema *s)
{
    char list[NAMES_SHOWN] = "";
    size_t len = 0;

    for (size_t i = 0; i < s->n_members && len < sizeof(list); i++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", s->members[i].name);
    return wrong(c, "is not a member that is known here; known are: %s", list);
}

static bool check_member(struct check *c, const struct gw_schema *s, uint32_t at, uint64_t *seen)
{
    size_t len, before;
    const char *name = gs_json_key(c->j, at, &len);
    struct value v = value_at(c->j, at);
    bool ok = true, found = false;

    before = step(c, name, len);
    for (size_t i = 0; i < s->n_members && !found; i++) {
        const struct gw_member *m = &s->members[i];
        if (m->len != len || memcmp(m->name, name, len) != 0)
            continue;
        found = true;
        *seen |= UINT64_C(1) << i;
        ok = !m->schema || check(c, m->schema, &v);
    }
    if (!found && s->closed)
        ok = unknown_member(c, s);
    else if (!found && s->additional)
        ok = check(c, s->additional, &v);
    step_back(c, before);
    return ok;
}

static bool check_object(struct check *c, const struct gw_schema *s, const struct value *v)
{
    int64_t n = gs_json_at_count(c->j, v->at);
    uint64_t seen = 0;
    bool ok = true;

    if (n < s->min_members)
        return wrong(c, "must have at least %lld member%s", (long long)s->min_members, s->min_members == 1 ? "" : "s");
    if (n > s->max_members)
        return wrong(c, "has %lld members, and %lld are the most", (long long)n, (long long)s->max_members);
    for (uint32_t at = gs_json_first(c->j, v->at); at != GS_JSON_NONE; at = gs_json_next(c->j, v->at, at))
        ok &= check_member(c, s, at, &seen);
    for (size_t i = 0; i < s->n_members; i++) {
        if (s->members[i].required && !(seen >> i & 1)) {
            size_t before = step(c, s->members[i].name, s->members[i].len);
            ok = wrong(c, "is missing");
            step_back(c, before);
        }
    }
    return ok;
}

/* ---- schemas of schemas ---- */

static bool is_null_only(const struct gw_schema *s)
{
    return s->types == GW_T_NULL;
}

/* Of several forms: nobody can tell which was meant, but for "this or null". */
static bool check_alternatives(struct check *c, const struct gw_parts *p, bool exactly_one, const struct value *v)
{
    gw_fault_fn *fault = c->fault;
    const struct gw_schema *meant = NULL;
    size_t right = 0, real = 0;

    c->fault = NULL;
    for (size_t i = 0; i < p->n; i++) {
        right += check(c, p->list[i], v);
        if (!is_null_only(p->list[i])) {
            meant = p->list[i];
            real++;
        }
    }
    c->fault = fault;
    if (right == 1 || (right > 0 && !exactly_one))
        return true;
    if (right > 1)
        return wrong(c, "fits several of the forms it can have; it must fit one");
    return real == 1 ? check(c, meant, v) : wrong(c, "fits none of the forms it can have");
}

static bool check_parts(struct check *c, const struct gw_schema *s, const struct value *v)
{
    bool ok = true;

    for (size_t i = 0; i < s->parts[GW_ALL_OF].n; i++)
        ok &= check(c, s->parts[GW_ALL_OF].list[i], v);
    if (s->parts[GW_ANY_OF].n)
        ok &= check_alternatives(c, &s->parts[GW_ANY_OF], false, v);
    if (s->parts[GW_ONE_OF].n)
        ok &= check_alternatives(c, &s->parts[GW_ONE_OF], true, v);
    return ok;
}

static bool check_value(struct check *c, const struct gw_schema *s, const struct value *v)
{
    bool ok = true;

    if (s->ref)
        ok = check(c, s->ref, v);
    if (!check_type(c, s->types, v))
        return false;
    if (s->enum_at && !check_enum(c, s, v))
        return false;
    if (s->const_at && !check_const(c, s, v))
        return false;
    if (v->type == GS_JSON_STRING)
        ok &= check_string(c, s, v);
    else if (v->type == GS_JSON_NUMBER)
        ok &= check_number(c, s, v);
    else if (v->type == GS_JSON_ARRAY && c->j)
        ok &= check_array(c, s, v);
    else if (v->type == GS_JSON_OBJECT)
        ok &= check_object(c, s, v);
    return check_parts(c, s, v) && ok;
}

static bool check(struct check *c, const struct gw_schema *s, const struct value *v)
{
    bool ok;

    if (c->depth == DEPTH_MAX)
        return wrong(c, "is nested too deeply");
    c->depth++;
    ok = check_value(c, s, v);
    c->depth--;
    return ok;
}

/* ---- what no schema allows ---- */

struct name {
    const char *text;
    size_t len;
};

static int by_name(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, len);

    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* A reader that takes the first of two equal members and one that takes the last see two different requests. */
static bool check_names(struct check *c, uint32_t object)
{
    uint32_t n = gs_json_at_count(c->j, object), k = 0;
    GS_AUTO(gs_freep) struct name *names = gs_alloc_n(n + 1, sizeof(*names));
    bool ok = true;

    for (uint32_t at = gs_json_first(c->j, object); at != GS_JSON_NONE; at = gs_json_next(c->j, object, at)) {
        names[k].text = gs_json_key(c->j, at, &names[k].len);
        ok &= !memchr(names[k].text, '\0', names[k].len);
        k++;
    }
    if (!ok)
        return wrong(c, "has a member whose name holds a zero character");
    qsort(names, n, sizeof(*names), by_name);
    for (uint32_t i = 1; i < n; i++) {
        if (by_name(&names[i - 1], &names[i]) == 0) {
            size_t before = step(c, names[i].text, names[i].len);
            ok = wrong(c, "is given twice");
            step_back(c, before);
        }
    }
    return ok;
}

/* Documents are as deep as the parser let them be. */
static bool check_clean(struct check *c, uint32_t at)
{
    enum gs_json_type type = gs_json_at_type(c->j, at);
    bool ok = true;
    int64_t i = 0;
    size_t len;
    const char *text;

    if (type == GS_JSON_STRING) {
        text = gs_json_at_text(c->j, at, &len);
        return !memchr(text, '\0', len) || wrong(c, "holds a zero character");
    }
    if (type == GS_JSON_OBJECT)
        ok = check_names(c, at);
    for (uint32_t in = gs_json_first(c->j, at); in != GS_JSON_NONE; in = gs_json_next(c->j, at, in)) {
        char index[GS_INT_TEXT];
        size_t before;
        if (type == GS_JSON_OBJECT) {
            text = gs_json_key(c->j, in, &len);
            before = step(c, text, len);
        } else {
            before = step(c, index, gs_int_format(i++, index));
        }
        ok &= check_clean(c, in);
        step_back(c, before);
    }
    return ok;
}

bool gw_schema_clean(const struct gs_json *j, gw_fault_fn *fault, void *arg)
{
    struct check c = {.j = j, .fault = fault, .arg = arg};

    return check_clean(&c, gs_json_root(j));
}

bool gw_schema_check(const struct gw_schema *s, const struct gs_json *j, gw_fault_fn *fault, void *arg)
{
    struct check c = {.j = j, .fault = fault, .arg = arg};
    struct value v = value_at(j, gs_json_root(j));

    return check(&c, s, &v);
}

/* ---- parameters ---- */

static unsigned types_of(const struct gw_schema *s)
{
    return s->ref && !s->types ? types_of(s->ref) : s->types;
}

static bool is_number_text(const char *s)
{
    size_t sign = *s == '-', whole = strspn(s + sign, DIGITS);
    const char *p = s + sign + whole;

    if (whole == 0 || (s[sign] == '0' && whole > 1))
        return false;
    if (*p == '.')
        p += 1 + strspn(p + 1, DIGITS);
    return !*p && p[-1] != '.';
}

static struct value value_of_text(unsigned types, const char *text, size_t len)
{
    struct value v = {.type = GS_JSON_STRING, .text = text, .len = len};

    if (types & GW_T_STRING)
        return v;
    if ((types & GW_T_BOOL) && (gs_str_eq(text, "true") || gs_str_eq(text, "false"))) {
        v.type = GS_JSON_BOOL;
        v.truth = text[0] == 't';
    } else if ((types & (GW_T_INTEGER | GW_T_NUMBER)) && is_number_text(text)) {
        v.type = GS_JSON_NUMBER;
    }
    return v;
}

/* A list with commas between its items. */
static bool check_list_text(struct check *c, const struct gw_schema *s, const char *text)
{
    int64_t n = 0;
    bool ok = true;

    while (ok && *text) {
        size_t len = strcspn(text, ",");
        GS_AUTO(gs_freep) char *item = gs_strndup(text, len);
        struct value v = value_of_text(s->items ? types_of(s->items) : GW_T_STRING, item, len);
        ok = !s->items || check(c, s->items, &v);
        text += len + (text[len] == ',');
        n++;
    }
    if (ok && (n < s->min_items || n > s->max_items))
        return wrong(c, "holds %lld; from %lld to %lld are taken", (long long)n, (long long)s->min_items,
                     (long long)s->max_items);
    return ok;
}

bool gw_schema_check_text(const struct gw_schema *s, const char *text, gw_fault_fn *fault, void *arg)
{
    struct check c = {.fault = fault, .arg = arg};
    unsigned types = types_of(s);
    struct value v = value_of_text(types, text, strlen(text));

    while (s->ref && !s->types)
        s = s->ref;
    return types == GW_T_ARRAY ? check_list_text(&c, s, text) : check(&c, s, &v);
}
