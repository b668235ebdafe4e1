/* CloudEvents headers of Kafka messages, trace contexts, and random ids. */
#include "common/event.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MAX_HEADERS      64 /* read of one message; more are not looked at */
#define MAX_HEADER_VALUE 256
#define RANDOM_POOL      512
#define SPAN_AT          36 /* in a traceparent */

/* Ids come out of a pool: a system call for each would cost as much as all else about an event. Bytes are used once. */
static void random_bytes(unsigned char *dst, size_t n)
{
    static _Thread_local unsigned char pool[RANDOM_POOL];
    static _Thread_local size_t left;
    if (left < n) {
        left = 0;
        while (left < sizeof(pool)) {
            ssize_t got = getrandom(pool + left, sizeof(pool) - left, 0);
            if (got > 0)
                left += (size_t)got;
        }
    }
    left -= n;
    memcpy(dst, pool + left, n);
    memset(pool + left, 0, n);
}

static void put_random_hex(char *dst, size_t bytes)
{
    unsigned char raw[16];
    random_bytes(raw, bytes);
    gs_hex_encode(raw, bytes, dst);
}

void gs_id_new(char dst[GS_ID_TEXT])
{
    put_random_hex(dst, 16);
}

void gs_traceparent_new(char dst[GS_TRACEPARENT_TEXT])
{
    memcpy(dst, "00-", 3);
    put_random_hex(dst + 3, 16);
    dst[SPAN_AT - 1] = '-';
    put_random_hex(dst + SPAN_AT, 8);
    memcpy(dst + SPAN_AT + 16, "-01", 4);
}

void gs_traceparent_child(const char *parent, char dst[GS_TRACEPARENT_TEXT])
{
    if (!gs_traceparent_valid(parent)) {
        gs_traceparent_new(dst);
        return;
    }
    memmove(dst, parent, GS_TRACEPARENT_TEXT);
    put_random_hex(dst + SPAN_AT, 8);
    dst[SPAN_AT + 16] = '-'; /* the hex ended in a zero byte */
}

static bool hex_field(const char *s, size_t len, bool may_be_zero)
{
    bool zero = true;
    for (size_t i = 0; i < len; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
        zero &= s[i] == '0';
    }
    return may_be_zero || !zero;
}

bool gs_traceparent_valid(const char *s)
{
    return s && strnlen(s, GS_TRACEPARENT_TEXT) == GS_TRACEPARENT_TEXT - 1 && gs_str_starts(s, "00-") &&
           hex_field(s + 3, 32, false) && s[SPAN_AT - 1] == '-' && hex_field(s + SPAN_AT, 16, false) &&
           s[SPAN_AT + 16] == '-' && hex_field(s + SPAN_AT + 17, 2, true);
}

static void add(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    if (value)
        rd_kafka_header_add(headers, name, -1, value, -1);
}

rd_kafka_headers_t *gs_event_headers(const struct gs_event *ev)
{
    char when[GS_TIME_TEXT];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    add(headers, "ce_specversion", "1.0");
    add(headers, "ce_id", ev->id);
    add(headers, "ce_source", ev->source);
    add(headers, "ce_type", ev->type);
    add(headers, "ce_time", gs_time_format(ev->time_us, when));
    add(headers, "ce_subject", ev->subject);
    add(headers, "content-type", GS_EVENT_CONTENT_TYPE);
    add(headers, "traceparent", ev->traceparent);
    return headers;
}

/* Puts a header's value where it belongs; true when it is one of CloudEvents. */
static bool take_header(struct gs_event *ev, const char *name, const char *value)
{
    if (strcmp(name, "ce_id") == 0)
        ev->id = value;
    else if (strcmp(name, "ce_source") == 0)
        ev->source = value;
    else if (strcmp(name, "ce_type") == 0)
        ev->type = value;
    else if (strcmp(name, "ce_subject") == 0)
        ev->subject = value;
    else if (strcmp(name, "ce_time") == 0)
        (void)(value && gs_time_parse(value, &ev->time_us));
    else if (strcmp(name, "traceparent") == 0)
        ev->traceparent = gs_traceparent_valid(value) ? value : NULL;
    return gs_str_starts(name, "ce_");
}

bool gs_event_read(const rd_kafka_message_t *m, struct gs_event *ret)
{
    rd_kafka_headers_t *headers;
    bool found = false;
    *ret = (struct gs_event){0};
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    for (size_t i = 0; i < MAX_HEADERS; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        /* librdkafka adds a zero byte that size does not count. */
        bool usable = value && size <= MAX_HEADER_VALUE && strlen(value) == size;
        found |= take_header(ret, name, usable ? value : NULL);
    }
    return found;
}

const char *gs_event_trace(const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "traceparent", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return NULL;
    return value && strnlen(value, size) == size ? value : NULL;
}
