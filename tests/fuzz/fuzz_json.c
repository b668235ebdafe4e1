/* JSON from outside: whatever the bytes, reading stays within them, and what is accepted holds together. */
#include "common/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

#define DEPTH 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_member(void *arg, const char *key, const char *value)
{
    *(size_t *)arg += strlen(key) + strlen(value);
}

/* Visits the first elements of arrays; keys come from the input itself, so a few fixed ones do. */
static void visit(struct gs_json *j, const char *pointer, int depth)
{
    static const char *const parts[] = {"0", "1", "7", "a", "b", "", "~1", "~0", "~", "-", "00"};
    struct gs_dec d;
    struct gs_err err;
    const char *s;
    int64_t n;
    size_t len, sum = 0;
    bool b;

    if (gs_json_string(j, pointer, &s, &len))
        MUST(s[len] == '\0' && gs_json_type(j, pointer) == GS_JSON_STRING);
    if (gs_json_int(j, pointer, &n))
        MUST(gs_json_decimal(j, pointer, &d, &err) == GS_OK && gs_dec_cmp(d, gs_dec_int(n)) == 0);
    if (gs_json_decimal(j, pointer, &d, &err) == GS_OK)
        MUST(gs_json_type(j, pointer) == GS_JSON_NUMBER);
    if (gs_json_bool(j, pointer, &b))
        MUST(gs_json_type(j, pointer) == GS_JSON_BOOL);
    if (gs_json_each_string(j, pointer, on_member, &sum, &err) == GS_OK)
        MUST(gs_json_type(j, pointer) == GS_JSON_OBJECT);
    if (gs_json_count(j, pointer) < 0 || depth == DEPTH)
        return;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char next[DEPTH * 4 + 8];

        snprintf(next, sizeof(next), "%s/%s", pointer, parts[i]);
        if (gs_json_type(j, next) != GS_JSON_MISSING)
            visit(j, next, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gs_json *j; /* reused, as in the workers; only bytes of this input may show */
    struct gs_err err;

    if (!j)
        j = gs_json_new(1 << 16, 16);
    if (gs_json_parse(j, (const char *)data, size, &err) == GS_OK)
        visit(j, "", 0);
    else
        MUST(err.rc == GS_REJECT && err.text[0] && gs_json_type(j, "") == GS_JSON_MISSING);
    return 0;
}
