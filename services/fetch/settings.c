/* Settings of connections and links: reading them by a connector's fields, printing them in one canonical form. */
#include "services/fetch/catalogue.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/str.h"

#define TEXT_MAX      1000  /* bytes of one FETCH_TEXT without a max of its own */
#define LONG_TEXT_MAX 32768 /* of one FETCH_LONG_TEXT */
#define URL_MAX       2000
#define HOST_MAX      253
#define JSON_DEPTH    4
#define SHOWN_MAX     80 /* bytes of a wrong value that an error repeats */

/* One allocation: the values' pointers, then their bytes. */
struct fetch_settings {
    const struct fetch_field *fields;
    size_t n;
    const char *values[]; /* null: absent or empty */
};

struct reading {
    struct fetch_settings *s;
    char *room; /* decoded strings are never longer than their JSON */
    struct gs_err *err;
    bool failed;
};

static bool plain_allowed;

GS_AUTO_DEFINE(struct fetch_settings, settings_free, fetch_settings_free)

void fetch_settings_allow_plain(bool allowed)
{
    plain_allowed = allowed;
}

static size_t count_fields(const struct fetch_field *fields)
{
    size_t n = 0;

    while (fields && fields[n].name)
        n++;
    assert(n <= FETCH_FIELDS_MAX);
    return n;
}

static bool find_field(const struct fetch_settings *s, const char *name, size_t *ret)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!strcmp(s->fields[i].name, name)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static enum gs_rc unknown_field(const struct fetch_settings *s, const char *name, struct gs_err *err)
{
    GS_AUTO(gs_buf_done) struct gs_buf known;
    char shown[SHOWN_MAX];

    gs_buf_init(&known, sizeof err->text);
    for (size_t i = 0; i < s->n; i++)
        gs_buf_printf(&known, "%s%s", i ? ", " : "", s->fields[i].name);
    gs_str_clean(shown, sizeof shown, name, strlen(name));
    return gs_fail(err, GS_REJECT, "there is no field \"%s\"; the fields are: %s", shown,
                   s->n ? gs_buf_str(&known) : "none");
}

/* ---- values ---- */

static enum gs_rc wrong(const struct fetch_field *f, const char *value, const char *accepted, struct gs_err *err)
{
    char shown[SHOWN_MAX];

    gs_str_clean(shown, sizeof shown, value, strlen(value));
    return gs_fail(err, GS_REJECT, "field \"%s\" is \"%s\", but it takes %s", f->name, shown, accepted);
}

static enum gs_rc check_text(const struct fetch_field *f, const char *value, struct gs_err *err)
{
    size_t max = f->type == FETCH_LONG_TEXT ? LONG_TEXT_MAX : TEXT_MAX, len = strlen(value);

    if (f->max > 0)
        max = (size_t)f->max;
    if (len > max)
        return gs_fail(err, GS_REJECT, "field \"%s\" has %zu bytes, at most %zu are accepted", f->name, len, max);
    for (const char *p = value; *p; p++) {
        bool space = *p == '\n' || *p == '\r' || *p == '\t';

        if (*p == 0x7f || ((unsigned char)*p < 0x20 && !(space && f->type == FETCH_LONG_TEXT)))
            return wrong(f, value, "text without control characters", err);
    }
    return GS_OK;
}

static enum gs_rc check_integer(const struct fetch_field *f, const char *value, struct gs_err *err)
{
    bool limited = f->min || f->max;
    int64_t min = limited ? f->min : INT64_MIN, max = limited ? f->max : INT64_MAX, n;

    if (gs_parse_int(value, min, max, &n))
        return GS_OK;
    if (!limited)
        return wrong(f, value, "a whole number", err);
    char accepted[80];

    snprintf(accepted, sizeof accepted, "a whole number from %lld to %lld", (long long)min, (long long)max);
    return wrong(f, value, accepted, err);
}

static enum gs_rc check_choice(const struct fetch_field *f, const char *value, struct gs_err *err)
{
    size_t len = strlen(value);

    for (const char *p = f->choices; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (!strncmp(p, value, len) && (p[len] == ',' || !p[len]) && !strchr(value, ','))
            return GS_OK;
    }
    GS_AUTO(gs_buf_done) struct gs_buf accepted;

    gs_buf_init(&accepted, sizeof err->text);
    gs_buf_printf(&accepted, "one of: %s", f->choices ? f->choices : "");
    return wrong(f, value, gs_buf_str(&accepted), err);
}

static bool host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
}

/* A name, an IPv4 address, or an IPv6 address without brackets. */
static enum gs_rc check_host(const struct fetch_field *f, const char *value, struct gs_err *err)
{
    size_t n = 0;

    while (host_char(value[n]) || value[n] == ':')
        n++;
    if (value[n] || n > HOST_MAX || value[0] == '-' || value[0] == '.')
        return wrong(f, value, "a host name or an address, e.g. db.example.com", err);
    return GS_OK;
}

/* A base address: no user, no query, no fragment, so that what is appended to it stays what it seems. */
static enum gs_rc check_url(const struct fetch_field *f, const char *value, struct gs_err *err)
{
    const char *accepted =
        plain_allowed ? "an address like https://host/path (or http://)" : "an address like https://host/path";
    const char *p = value;

    if (gs_str_starts(p, "https://"))
        p += strlen("https://");
    else if (plain_allowed && gs_str_starts(p, "http://"))
        p += strlen("http://");
    else
        return wrong(f, value, accepted, err);
    if (strlen(value) > URL_MAX)
        return gs_fail(err, GS_REJECT, "field \"%s\" is longer than %d bytes", f->name, URL_MAX);
    if (!host_char(*p) && *p != '[')
        return wrong(f, value, accepted, err);
    for (; *p; p++) {
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("@?#\\\"<>^`{|}", *p))
            return wrong(f, value, accepted, err);
    }
    return GS_OK;
}

static enum gs_rc check_value(const struct fetch_field *f, const char *value, struct gs_err *err)
{
    switch (f->type) {
    case FETCH_TEXT:
    case FETCH_LONG_TEXT:
        return check_text(f, value, err);
    case FETCH_INTEGER:
        return check_integer(f, value, err);
    case FETCH_CHOICE:
        return check_choice(f, value, err);
    case FETCH_URL:
        return check_url(f, value, err);
    case FETCH_HOST:
        return check_host(f, value, err);
    }
    return gs_fail(err, GS_REJECT, "field \"%s\" is of no known type", f->name);
}

/* ---- reading ---- */

static void take_member(void *arg, const char *key, const char *value)
{
    struct reading *r = arg;
    size_t i, len = strlen(value);

    if (r->failed)
        return;
    if (!find_field(r->s, key, &i)) {
        unknown_field(r->s, key, r->err);
        r->failed = true;
    } else if (r->s->values[i]) {
        gs_fail(r->err, GS_REJECT, "field \"%s\" is given twice", r->s->fields[i].name);
        r->failed = true;
    } else if (len && check_value(&r->s->fields[i], value, r->err) != GS_OK) {
        r->failed = true;
    } else if (len) {
        memcpy(r->room, value, len + 1);
        r->s->values[i] = r->room;
        r->room += len + 1;
    }
}

static bool check_required(const struct fetch_settings *s, struct gs_err *err)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct fetch_field *f = &s->fields[i];

        if (f->required && !s->values[i] && !f->def) {
            gs_fail(err, GS_REJECT, "field \"%s\" (%s) is missing", f->name, f->label);
            return false;
        }
    }
    return true;
}

/* One parser for all: a worker reads settings with every request. Locked for the gateway, which has many threads. */
static pthread_mutex_t parser_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gs_json *parser;

static bool read_members(struct reading *r, const char *json, size_t len)
{
    bool good = false;

    pthread_mutex_lock(&parser_lock);
    if (!parser)
        parser = gs_json_new(FETCH_SETTINGS_MAX, JSON_DEPTH);
    if (gs_json_parse(parser, json, len, r->err) != GS_OK)
        r->failed = true;
    else if (gs_json_type(parser, "") != GS_JSON_OBJECT)
        gs_fail(r->err, GS_REJECT, "the settings are not a JSON object");
    else
        good = gs_json_each_string(parser, "", take_member, r, r->err) == GS_OK;
    pthread_mutex_unlock(&parser_lock);
    return good && !r->failed;
}

struct fetch_settings *fetch_settings_parse(const struct fetch_field *fields, const char *json, size_t len,
                                            struct gs_err *err)
{
    size_t n = count_fields(fields), head = sizeof(struct fetch_settings) + n * sizeof(char *);
    struct gs_err own;

    if (!err)
        err = &own;
    if (len > FETCH_SETTINGS_MAX) {
        gs_fail(err, GS_REJECT, "the settings have %zu bytes, at most %d are accepted", len, FETCH_SETTINGS_MAX);
        return NULL;
    }
    GS_AUTO(settings_freep) struct fetch_settings *s = gs_alloc(head + len + 1);
    struct reading r = {.s = s, .room = (char *)s + head, .err = err};

    s->fields = fields;
    s->n = n;
    if (!read_members(&r, json, len) || !check_required(s, err))
        return NULL;
    return gs_take(&s);
}

struct fetch_settings *fetch_settings_free(struct fetch_settings *s)
{
    gs_freep(&s);
    return NULL;
}

const char *fetch_setting(const struct fetch_settings *s, const char *name)
{
    size_t i;

    if (!find_field(s, name, &i))
        return "";
    if (s->values[i])
        return s->values[i];
    return s->fields[i].def ? s->fields[i].def : "";
}

/* ---- one form for equal settings ---- */

/* The place of the least name above `after`, so that the fields come out sorted; n when there is none. */
static size_t next_by_name(const struct fetch_settings *s, const char *after)
{
    size_t best = s->n;

    for (size_t i = 0; i < s->n; i++) {
        if (after && strcmp(s->fields[i].name, after) <= 0)
            continue;
        if (best == s->n || strcmp(s->fields[i].name, s->fields[best].name) < 0)
            best = i;
    }
    return best;
}

void fetch_settings_print(const struct fetch_settings *s, struct gs_buf *b)
{
    bool first = true;

    gs_buf_putc(b, '{');
    for (size_t i = next_by_name(s, NULL); i < s->n; i = next_by_name(s, s->fields[i].name)) {
        const struct fetch_field *f = &s->fields[i];

        if (!s->values[i] || gs_str_eq(s->values[i], f->def))
            continue;
        if (!first)
            gs_buf_putc(b, ',');
        first = false;
        gs_buf_put_json(b, f->name, strlen(f->name));
        gs_buf_putc(b, ':');
        gs_buf_put_json(b, s->values[i], strlen(s->values[i]));
    }
    gs_buf_putc(b, '}');
}

enum gs_rc fetch_settings_check(const struct fetch_connector *c, const struct fetch_settings *connection,
                                const struct fetch_settings *link, struct gs_err *err)
{
    return c->check ? c->check(connection, link, err) : GS_OK;
}

static bool key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.:/=,+", c));
}

void fetch_batch_key(const struct fetch_connector *c, const struct fetch_settings *link, char ret_key[65])
{
    enum { KEY_MAX = 64, HASH_HEX = 32 };
    GS_AUTO(gs_buf_done) struct gs_buf key;
    size_t readable = 0;
    uint64_t hash[2];

    gs_buf_init(&key, 2 * FETCH_SETTINGS_MAX);
    if (c->batch_key)
        c->batch_key(link, &key);
    else
        fetch_settings_print(link, &key);
    const char *text = gs_buf_str(&key);
    while (readable < key.len && key_char(text[readable]))
        readable++;
    if (key.len <= KEY_MAX && readable == key.len && key.len) {
        memcpy(ret_key, text, key.len + 1);
        return;
    }
    /* Two seeds: keys of one connection that collide would share an answer. '~' is no key_char: no text looks like
     * this. */
    if (readable > KEY_MAX - HASH_HEX - 1)
        readable = KEY_MAX - HASH_HEX - 1;
    memcpy(ret_key, text, readable);
    ret_key[readable] = '~';
    hash[0] = gs_hash64(text, key.len, 1);
    hash[1] = gs_hash64(text, key.len, 2);
    gs_hex_encode(hash, sizeof hash, ret_key + readable + 1);
}
