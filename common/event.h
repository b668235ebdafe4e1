/* CloudEvents 1.0 in Kafka's binary mode (cloudevents/spec kafka-protocol-binding.md, section 3.2: headers
 * ce_specversion, ce_id, ce_source, ce_type, ce_time, content-type) and W3C Trace Context (traceparent, version 00). */
#ifndef GS_EVENT_H
#define GS_EVENT_H

#include "common/rc.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#define GS_ID_TEXT          33 /* 128 random bits as hex, and a zero */
#define GS_TRACEPARENT_TEXT 56 /* "00-<32 hex>-<16 hex>-01" and a zero */

struct gs_event {
    const char *id;      /* unique per event; the same for a copy of it */
    const char *type;    /* "goalsync.fetch.requested.v1" */
    const char *source;  /* "/goalsync/scheduler" */
    const char *subject; /* may be null */
    int64_t time_us;
    const char *traceparent; /* may be null */
};

#define GS_EVENT_CONTENT_TYPE "application/protobuf"

void gs_id_new(char dst[GS_ID_TEXT]);                                         /* from the CSPRNG */
void gs_traceparent_new(char dst[GS_TRACEPARENT_TEXT]);                       /* a new trace */
void gs_traceparent_child(const char *parent, char dst[GS_TRACEPARENT_TEXT]); /* same trace, new span; new trace when
                                                                                 parent is null or malformed */
bool gs_traceparent_valid(const char *s);

/* Headers for a produced message; owned by the caller until produced. */
rd_kafka_headers_t *gs_event_headers(const struct gs_event *ev);
/* Reads them back. Strings are borrowed from the message. Missing or oversized ones are null; false when the message
 * carries no CloudEvents headers at all. */
bool gs_event_read(const rd_kafka_message_t *m, struct gs_event *ret);
/* The traceparent alone, valid or not; null: none. Borrowed from m. */
const char *gs_event_trace(const rd_kafka_message_t *m);

#endif
