/* Dead letters: a message nobody could use, kept as it came, with where it was and why. */
#include "common/kafka_private.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_NAME_MAX 249 /* Kafka's */
#define ERROR_MAX      1000
#define HEADERS_MAX    64 /* of the original; what is more is cut */

static void add(rd_kafka_headers_t *h, const char *name, const char *value)
{
    rd_kafka_header_add(h, name, -1, value, -1);
}

static void add_int(rd_kafka_headers_t *h, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    add(h, name, text);
}

/* The original's own. A dead letter that died again keeps the newest gs- headers only. */
static rd_kafka_headers_t *headers_of(const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *from, *to = rd_kafka_headers_new(HEADERS_MAX + 8);
    const char *name;
    const void *value;
    size_t size;

    if (rd_kafka_message_headers(m, &from) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return to;
    for (size_t i = 0; i < HEADERS_MAX; i++) {
        if (rd_kafka_header_get_all(from, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        if (!gs_str_starts(name, "gs-"))
            rd_kafka_header_add(to, name, -1, value, value ? (ssize_t)size : 0);
    }
    return to;
}

enum gs_rc gs_dead_letter_send(struct gs_producer *p, const char *group, const rd_kafka_message_t *m,
                               const char *reason, const char *error, int attempt, gs_delivered_fn delivered, void *arg,
                               struct gs_err *err)
{
    char topic[TOPIC_NAME_MAX + 1], time[GS_TIME_TEXT], clean[ERROR_MAX];
    rd_kafka_timestamp_type_t type;
    int64_t made_ms = rd_kafka_message_timestamp(m, &type);
    rd_kafka_headers_t *h = headers_of(m);

    snprintf(topic, sizeof topic, "dlq.%s", group);
    add(h, "gs-origin-topic", rd_kafka_topic_name(m->rkt));
    add_int(h, "gs-origin-partition", m->partition);
    add_int(h, "gs-origin-offset", m->offset);
    add(h, "gs-origin-time", made_ms > 0 ? gs_time_format(made_ms * 1000, time) : "");
    add(h, "gs-reason", reason);
    add(h, "gs-error", gs_str_clean(clean, sizeof clean, error, strlen(error)));
    add_int(h, "gs-attempt", attempt);
    add(h, "gs-version", GOALSYNC_VERSION);
    const struct gs_kafka_out out = {
        .topic = topic, .key = m->key, .key_len = m->key_len, .value = m->payload, .len = m->len, .headers = h};
    return gs_producer_send_raw(p, &out, delivered, arg, err);
}
