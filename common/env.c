/* Settings: reads the tables from the environment, and prints them. The only file that calls getenv(). */
#include "common/env.h"

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_NAME 128

static const char *accepted_text(enum gs_env_type type)
{
    switch (type) {
    case GS_ENV_STRING:
    case GS_ENV_SECRET:
        return "text";
    case GS_ENV_INT:
        return "a whole number";
    case GS_ENV_SECONDS:
        return "seconds, or like 250ms, 5m, 1h";
    case GS_ENV_BYTES:
        return "bytes, or like 64k, 10M, 1G";
    case GS_ENV_BOOL:
        return "yes or no";
    }
    return "";
}

static bool is_text(const struct gs_env *e)
{
    return e->type == GS_ENV_STRING || e->type == GS_ENV_SECRET;
}

static int64_t upper(const struct gs_env *e)
{
    return e->max ? e->max : INT64_MAX;
}

/* "a whole number, 1 to 10" */
static void put_accepted(struct gs_buf *b, const struct gs_env *e)
{
    gs_buf_puts(b, accepted_text(e->type));
    if (is_text(e) || e->type == GS_ENV_BOOL)
        return;
    const char *unit = e->type == GS_ENV_SECONDS ? " s" : "";
    if (e->max)
        gs_buf_printf(b, ", %" PRId64 " to %" PRId64 "%s", e->min, e->max, unit);
    else
        gs_buf_printf(b, ", at least %" PRId64 "%s", e->min, unit);
}

static void put_mistake(struct gs_buf *mistakes, const struct gs_env *e, const char *what)
{
    gs_buf_printf(mistakes, "%s %s; accepted: ", e->name, what);
    put_accepted(mistakes, e);
    gs_buf_putc(mistakes, '\n');
}

/* Whole part, optional fraction: value = number * unit. Fraction digits beyond the sixth are dropped. */
static bool parse_scaled(const char *s, size_t digits, int64_t unit, int64_t *ret)
{
    int64_t whole = 0, fraction = 0, scale = 1;
    size_t i = 0;
    if (digits == 0 || s[0] == '.' || s[digits - 1] == '.')
        return false;
    for (; i < digits && s[i] != '.'; i++) {
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, s[i] - '0', &whole))
            return false;
    }
    for (i++; i < digits; i++) {
        if (s[i] == '.')
            return false;
        if (scale < 1000000) {
            fraction = fraction * 10 + (s[i] - '0');
            scale *= 10;
        }
    }
    /* A day is 2^37 microseconds, a million 2^20: the product below fits. */
    return !__builtin_mul_overflow(whole, unit, &whole) && !__builtin_add_overflow(whole, fraction * unit / scale, ret);
}

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit seconds_units[] = {{"", 1000000},
                                            {"s", 1000000},
                                            {"ms", 1000},
                                            {"m", 60000000},
                                            {"min", 60000000},
                                            {"h", INT64_C(3600000000)},
                                            {"d", INT64_C(86400000000)},
                                            {NULL, 0}};
static const struct unit bytes_units[] = {{"", 1},         {"b", 1},        {"k", 1 << 10},
                                          {"kb", 1 << 10}, {"m", 1 << 20},  {"mb", 1 << 20},
                                          {"g", 1 << 30},  {"gb", 1 << 30}, {NULL, 0}};

static bool parse_units(const char *s, const struct unit *units, int64_t *ret)
{
    size_t digits = strspn(s, "0123456789.");
    for (; units->suffix; units++) {
        if (strcasecmp(s + digits, units->suffix) == 0)
            return parse_scaled(s, digits, units->factor, ret);
    }
    return false;
}

static bool parse_bool(const char *s, bool *ret)
{
    *ret = gs_str_eq(s, "yes") || gs_str_eq(s, "true") || gs_str_eq(s, "1");
    return *ret || gs_str_eq(s, "no") || gs_str_eq(s, "false") || gs_str_eq(s, "0");
}

static bool store_number(const struct gs_env *e, const char *value)
{
    int64_t v, min = e->min, max = upper(e);
    if (e->type == GS_ENV_INT)
        return gs_parse_int(value, min, max, e->target);
    if (!parse_units(value, e->type == GS_ENV_SECONDS ? seconds_units : bytes_units, &v))
        return false;
    if (e->type == GS_ENV_SECONDS) {
        min = min * 1000000;
        max = max > INT64_MAX / 1000000 ? INT64_MAX : max * 1000000;
    }
    if (v < min || v > max)
        return false;
    *(int64_t *)e->target = v;
    return true;
}

static bool store(const struct gs_env *e, const char *value)
{
    if (e->type == GS_ENV_BOOL)
        return parse_bool(value, e->target);
    if (!is_text(e))
        return store_number(e, value);
    *(char **)e->target = gs_strdup(value);
    return true;
}

/* The contents of the file, one final line end dropped; null when it cannot be used, and then the mistake is noted. */
static char *read_value_file(const struct gs_env *e, const char *path, struct gs_buf *mistakes)
{
    char what[MAX_NAME + 256], shown[160];
    FILE *file = fopen(path, "rbe");
    if (!file) {
        snprintf(what, sizeof(what), "cannot be read from %s (%s_FILE): %s",
                 gs_str_clean(shown, sizeof(shown), path, strlen(path)), e->name, strerror(errno));
        put_mistake(mistakes, e, what);
        return NULL;
    }
    char *value = gs_alloc(GS_ENV_MAX_VALUE + 2);
    setvbuf(file, NULL, _IONBF, 0); /* no copy of a secret stays behind in stdio's buffer */
    size_t len = fread(value, 1, GS_ENV_MAX_VALUE + 1, file);
    bool failed = ferror(file);
    fclose(file);
    if (!failed && len <= GS_ENV_MAX_VALUE && !memchr(value, 0, len)) {
        if (len && value[len - 1] == '\n')
            value[--len] = 0;
        if (len && value[len - 1] == '\r')
            value[--len] = 0;
        return value;
    }
    snprintf(what, sizeof(what), "cannot be read from %s (%s_FILE): it %s",
             gs_str_clean(shown, sizeof(shown), path, strlen(path)), e->name,
             failed                   ? "is not a readable file"
             : len > GS_ENV_MAX_VALUE ? "is larger than 64 KB"
                                      : "holds zero bytes");
    put_mistake(mistakes, e, what);
    gs_free_secret(value, GS_ENV_MAX_VALUE + 2);
    return NULL;
}

/* A value that was given and did not fit the type. Only what stood in the environment itself is shown: a file may be
 * the wrong one. */
static void put_wrong_value(struct gs_buf *mistakes, const struct gs_env *e, const char *value, bool from_file)
{
    char shown[64], what[160];
    if (e->type == GS_ENV_SECRET || from_file)
        snprintf(what, sizeof(what), "has a value that is not accepted");
    else
        snprintf(what, sizeof(what), "is '%s'", gs_str_clean(shown, sizeof(shown), value, strlen(value)));
    put_mistake(mistakes, e, what);
}

static void read_default(const struct gs_env *e, struct gs_buf *mistakes)
{
    if (e->def == GS_ENV_REQUIRED) {
        put_mistake(mistakes, e, "is required and not set");
        return;
    }
    if (!store(e, e->def)) /* a mistake of the table */
        put_wrong_value(mistakes, e, e->def, false);
}

static bool can_be_emptied(const struct gs_env *e)
{
    return e->type == GS_ENV_STRING && e->def && *e->def;
}

static void take_value(const struct gs_env *e, const char *value, bool from_file, struct gs_buf *mistakes)
{
    if (!*value && !can_be_emptied(e))
        read_default(e, mistakes);
    else if (strlen(value) > GS_ENV_MAX_VALUE)
        put_mistake(mistakes, e, "is too long");
    else if (!store(e, value))
        put_wrong_value(mistakes, e, value, from_file);
}

static void read_one(const struct gs_env *e, struct gs_buf *mistakes)
{
    char file_name[MAX_NAME];
    snprintf(file_name, sizeof(file_name), "%s_FILE", e->name);
    char *value = getenv(e->name);
    const char *path = getenv(file_name);
    bool has_file = path && *path;
    if (has_file && value && *value) {
        put_mistake(mistakes, e, "is set twice, by itself and as a file; set one of them");
    } else if (has_file) {
        char *content = read_value_file(e, path, mistakes);
        if (content)
            take_value(e, content, true, mistakes);
        gs_free_secret(content, content ? strlen(content) : 0);
    } else if (value) {
        take_value(e, value, false, mistakes);
    } else {
        read_default(e, mistakes);
    }
    if (value && e->type == GS_ENV_SECRET) {
        gs_wipe(value, strlen(value)); /* /proc/<pid>/environ shows this very memory */
        unsetenv(e->name);
    }
}

/* Was the same setting met before (*stop)[e]? Then it has been read, and a secret is no longer in the environment. */
static bool seen_before(const struct gs_env *const *tables, const struct gs_env *const *stop, const struct gs_env *e)
{
    for (; tables <= stop; tables++) {
        for (const struct gs_env *other = *tables; other->name && (tables < stop || other < e); other++) {
            if (strcmp(other->name, e->name) == 0 && other->target == e->target)
                return true;
        }
    }
    return false;
}

enum gs_rc gs_env_read(const struct gs_env *const *tables, struct gs_buf *ret_mistakes)
{
    size_t before = ret_mistakes->len;
    for (const struct gs_env *const *table = tables; *table; table++) {
        for (const struct gs_env *e = *table; e->name; e++) {
            if (!seen_before(tables, table, e))
                read_one(e, ret_mistakes);
        }
    }
    return ret_mistakes->len == before && !ret_mistakes->overflow ? GS_OK : GS_REJECT;
}

static void print_one(const struct gs_env *e, FILE *out)
{
    struct gs_buf accepted;
    gs_buf_init(&accepted, 256);
    put_accepted(&accepted, e);
    const char *def = !e->def ? "required" : *e->def ? e->def : "none";
    if (e->type == GS_ENV_SECRET)
        gs_buf_puts(&accepted, ", secret");
    fprintf(out, "%-40s %-16s %s; %s\n", e->name, def, e->help ? e->help : "", gs_buf_str(&accepted));
    gs_buf_done(&accepted);
}

void gs_env_print(const struct gs_env *const *tables, FILE *out)
{
    fprintf(out, "%-40s %-16s %s\n", "setting", "default", "meaning; accepted");
    for (const struct gs_env *const *table = tables; *table; table++) {
        for (const struct gs_env *e = *table; e->name; e++) {
            if (!seen_before(tables, table, e))
                print_one(e, out);
        }
    }
    fputs("Each may be given as NAME_FILE instead: the path of a file that holds the value.\n", out);
}
