/* Readers of text from outside: numbers, times, base64, cleaning and JSON quoting. */
#include "common/buf.h"
#include "common/clock.h"
#include "common/event.h"
#include "common/log.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void base64(const char *text, size_t len)
{
    unsigned char raw[4096];
    char again[4 * 4096 / 3 + 8];
    size_t n;
    if (!gs_base64_decode(text, len, raw, sizeof(raw), &n))
        return;
    gs_base64_encode(raw, n, again);
    MUST(strlen(again) == len && memcmp(again, text, len) == 0); /* one value, one text */
}

static void cleaned(const char *text, size_t len)
{
    char small[16], large[4096], again[4096];
    gs_str_clean(small, sizeof(small), text, len);
    gs_str_clean(large, sizeof(large), text, len);
    for (const char *s = large; *s; s++)
        MUST((unsigned char)*s >= 0x20 && *s != 0x7f);
    MUST(strcmp(gs_str_clean(again, sizeof(again), large, strlen(large)), large) == 0);
}

static void quoted(const char *text, size_t len)
{
    struct gs_buf b;
    gs_buf_init(&b, len * 6 + 2);
    gs_buf_put_json(&b, text, len);
    MUST(!b.overflow && b.len >= 2 && b.data[b.len - 1] == '"');
    for (size_t i = 0; i < b.len; i += gs_utf8_char(b.data + i, b.len - i)) {
        MUST(gs_utf8_char(b.data + i, b.len - i) > 0);
        MUST((unsigned char)b.data[i] >= 0x20);
    }
    gs_buf_done(&b);
}

static void parsed(const char *text)
{
    int64_t v;
    char again[GS_TIME_TEXT], child[GS_TRACEPARENT_TEXT];
    if (gs_parse_int(text, -1000, 1000, &v))
        MUST(v >= -1000 && v <= 1000);
    if (gs_time_parse(text, &v)) {
        int64_t same;
        /* A zone may take the first hours of year 1 into year 0, which is not read back. */
        MUST(v < INT64_C(-62135596800000000) || (gs_time_parse(gs_time_format(v, again), &same) && same == v));
    }
    gs_traceparent_child(text, child);
    MUST(gs_traceparent_valid(child));
    (void)gs_log_filter_valid(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096];
    if (size >= sizeof(text))
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    base64((const char *)data, size);
    cleaned((const char *)data, size);
    quoted((const char *)data, size);
    parsed(text);
    return 0;
}
