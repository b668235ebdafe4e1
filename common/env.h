/* Settings from the environment, by table. All mistakes are reported at once. A default lives in the table only.
 *
 * Every setting NAME may also be given as NAME_FILE, the path of a file that holds the value (one final newline is
 * dropped); secrets should be. Giving both is a mistake. An empty value counts as not given, except that a string whose
 * default is not empty can be emptied by it. A target of a string is never null: "none" is "". */
#ifndef GS_ENV_H
#define GS_ENV_H

#include "common/buf.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum gs_env_type {
    GS_ENV_STRING,  /* char * */
    GS_ENV_SECRET,  /* char *, never printed; the variable is removed from the environment once read */
    GS_ENV_INT,     /* int64_t within [min, max] */
    GS_ENV_SECONDS, /* int64_t microseconds; text like "90", "1.5", "250ms", "5m", "1h"; [min, max] in seconds */
    GS_ENV_BYTES,   /* int64_t; text like "64k", "10M", "1G" */
    GS_ENV_BOOL,    /* bool; "yes", "no", "true", "false", "1", "0" */
};

#define GS_ENV_REQUIRED ((const char *)0)

struct gs_env {
    const char *name;
    enum gs_env_type type;
    void *target;
    const char *def;  /* GS_ENV_REQUIRED, or the default as text; "" for a string means: none */
    int64_t min, max; /* of INT, SECONDS (seconds) and BYTES; max 0: no limit but int64 */
    const char *help;
};

#define GS_ENV_END                                                                                                     \
    {                                                                                                                  \
        0                                                                                                              \
    }
#define GS_ENV_MAX_VALUE (64 * 1024)

/* Reads several tables (each ended by GS_ENV_END; the list ended by null). Strings are owned by the targets and live
 * as long as the process. Returns GS_REJECT with every mistake, a line each, in ret_mistakes. */
enum gs_rc gs_env_read(const struct gs_env *const *tables, struct gs_buf *ret_mistakes) GS_MUST_CHECK;

/* The table for people: name, default, range, help. Prints no values. */
void gs_env_print(const struct gs_env *const *tables, FILE *out);

#endif
