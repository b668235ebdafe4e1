/* Log lines: the filter, the layout, and that no line can hold a line break. */
#include "common/log.h"

#include "common/clock.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINE   4096
#define MAX_TOPICS 16
#define MAX_TOPIC  32

struct topic_level {
    char topic[MAX_TOPIC];
    enum gs_log_level level;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static struct {
    const char *service;
    enum gs_log_level level;
    struct topic_level topics[MAX_TOPICS];
    size_t n_topics;
    void (*capture)(const char *line, void *arg);
    void *capture_arg;
} logger = {.service = "goalsync", .level = GS_LOG_INFO};

static bool parse_level(const char *s, size_t len, enum gs_log_level *ret)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++) {
        if (strlen(level_names[i]) == len && memcmp(level_names[i], s, len) == 0) {
            *ret = (enum gs_log_level)i;
            return true;
        }
    }
    return false;
}

/* One part of the filter: "info" or "kafka=debug". store: keep it; else only say whether it is right. */
static bool parse_part(const char *s, size_t len, bool store)
{
    const char *eq = memchr(s, '=', len);
    enum gs_log_level level;
    if (!eq) {
        if (!parse_level(s, len, &level))
            return false;
        if (store)
            logger.level = level;
        return true;
    }
    size_t name = (size_t)(eq - s);
    if (name == 0 || name >= MAX_TOPIC || !parse_level(eq + 1, len - name - 1, &level))
        return false;
    if (store && logger.n_topics < MAX_TOPICS) {
        struct topic_level *t = &logger.topics[logger.n_topics++];
        memcpy(t->topic, s, name);
        t->topic[name] = 0;
        t->level = level;
    }
    return true;
}

static bool parse_filter(const char *filter, bool store)
{
    bool ok = true;
    size_t parts = 0;
    while (*filter) {
        size_t len = strcspn(filter, ",");
        ok &= parse_part(filter, len, store) && ++parts <= MAX_TOPICS;
        filter += len + (filter[len] == ',');
    }
    return ok;
}

bool gs_log_filter_valid(const char *filter)
{
    return parse_filter(filter, false);
}

void gs_log_init(const char *service, const char *filter)
{
    logger.service = service;
    logger.level = GS_LOG_INFO;
    logger.n_topics = 0;
    if (filter)
        parse_filter(filter, true);
}

bool gs_log_on(const struct gs_log_ctx *ctx, enum gs_log_level level)
{
    if (ctx && ctx->topic) {
        for (size_t i = 0; i < logger.n_topics; i++) {
            if (strcmp(logger.topics[i].topic, ctx->topic) == 0)
                return level <= logger.topics[i].level;
        }
    }
    return level <= logger.level;
}

void gs_log_capture(void (*fn)(const char *line, void *arg), void *arg)
{
    logger.capture = fn;
    logger.capture_arg = arg;
}

/* A line under construction; what does not fit is dropped. */
struct line {
    char text[MAX_LINE];
    size_t len;
};

static void GS_PRINTF(2, 0) put_args(struct line *l, const char *fmt, va_list ap)
{
    int n = vsnprintf(l->text + l->len, sizeof(l->text) - l->len, fmt, ap);
    if (n > 0)
        l->len += (size_t)n < sizeof(l->text) - l->len ? (size_t)n : sizeof(l->text) - l->len - 1;
}

static void GS_PRINTF(2, 3) put(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_args(l, fmt, ap);
    va_end(ap);
}

static void put_ctx(struct line *l, const struct gs_log_ctx *ctx)
{
    if (ctx->org_id)
        put(l, " org=%" PRId64, ctx->org_id);
    if (ctx->connection_id)
        put(l, " connection=%" PRId64, ctx->connection_id);
    if (ctx->link_id)
        put(l, " link=%" PRId64, ctx->link_id);
    if (ctx->goal_id)
        put(l, " goal=%" PRId64, ctx->goal_id);
    if (ctx->trace)
        put(l, " trace=%s", ctx->trace);
}

static void emit(const struct line *l)
{
    /* Cleaned as a whole, so that no caller can forget it. One byte more for the line break. */
    char clean[MAX_LINE + 1];
    gs_str_clean(clean, MAX_LINE, l->text, l->len);
    if (logger.capture) {
        logger.capture(clean, logger.capture_arg);
        return;
    }
    size_t len = strlen(clean);
    clean[len++] = '\n';
    /* One write a line: lines of several threads or processes do not mix. Nothing can be done about a failure. */
    ssize_t written = write(STDERR_FILENO, clean, len);
    (void)written;
}

void gs_log_write(const struct gs_log_ctx *ctx, enum gs_log_level level, const char *event, const char *fmt, ...)
{
    struct line l = {.len = 0};
    char now[GS_TIME_TEXT];
    l.text[0] = 0;
    put(&l, "%s %s %s \"%s\"", gs_time_format(gs_now_us(), now), level_names[level], logger.service, event);
    if (ctx)
        put_ctx(&l, ctx);
    if (fmt && *fmt) {
        va_list ap;
        put(&l, " ");
        va_start(ap, fmt);
        put_args(&l, fmt, ap);
        va_end(ap);
    }
    emit(&l);
}
