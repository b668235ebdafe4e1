/* One line per event on stderr: time level service "event" key=value ...
 *
 * gs_log_info(ctx, "fetch done", "ms=%d items=%d", ms, n);
 *
 * Secrets and fetched values are never logged; text from outside passes gs_str_clean() first and is written with
 * "%s" between double quotes by the caller's format (error=\"%s\"). GOALSYNC_LOG=info,kafka=debug sets levels. Any
 * thread may write, once gs_log_init() is done. */
#ifndef GS_LOG_H
#define GS_LOG_H

#include "common/rc.h"

#include <stdbool.h>
#include <stdint.h>

enum gs_log_level {
    GS_LOG_ERROR, /* someone must look */
    GS_LOG_WARN,  /* we coped */
    GS_LOG_INFO,  /* state change */
    GS_LOG_DEBUG,
};

/* Adds who it was about to every line; zero fields are left out. Pass null for process-wide events. */
struct gs_log_ctx {
    const char *topic; /* part of the program, for the level filter: "kafka", "pg", "fetch" ... */
    int64_t org_id, connection_id, link_id, goal_id;
    const char *trace; /* trace id, 32 hex digits, or null */
};

/* service is kept, not copied. filter: "info" or "warn,kafka=debug". */
void gs_log_init(const char *service, const char *filter);
bool gs_log_filter_valid(const char *filter);
bool gs_log_on(const struct gs_log_ctx *ctx, enum gs_log_level level);
void gs_log_write(const struct gs_log_ctx *ctx, enum gs_log_level level, const char *event, const char *fmt, ...)
    GS_PRINTF(4, 5);
/* For tests: lines go here instead of stderr; null undoes. */
void gs_log_capture(void (*fn)(const char *line, void *arg), void *arg);

#define GS_LOG_AT(ctx, level, ...)                                                                                     \
    do {                                                                                                               \
        if (gs_log_on((ctx), (level)))                                                                                 \
            gs_log_write((ctx), (level), __VA_ARGS__);                                                                 \
    } while (0)
#define gs_log_error(ctx, ...) GS_LOG_AT(ctx, GS_LOG_ERROR, __VA_ARGS__)
#define gs_log_warn(ctx, ...)  GS_LOG_AT(ctx, GS_LOG_WARN, __VA_ARGS__)
#define gs_log_info(ctx, ...)  GS_LOG_AT(ctx, GS_LOG_INFO, __VA_ARGS__)
#define gs_log_debug(ctx, ...) GS_LOG_AT(ctx, GS_LOG_DEBUG, __VA_ARGS__)

#endif
