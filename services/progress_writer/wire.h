/* Bytes of topics to the writer's own structs and back. */
#ifndef WRITER_WIRE_H
#define WRITER_WIRE_H

#include "common/buf.h"
#include "common/rc.h"
#include "services/progress_writer/result.h"

#include <stddef.h>
#include <stdint.h>

/* Appends the results of one FetchCompleted; message (may be null) is where it came from. GS_REJECT: nothing was
 * appended, err says what is wrong with it. */
enum gs_rc writer_wire_read(const void *data, size_t len, const struct rd_kafka_message_s *message, int64_t now_us,
                            struct writer_results *ret, struct gs_err *err) GS_MUST_CHECK;

/* One goal's change, as published. */
enum writer_cause { WRITER_FETCHED = 1, WRITER_ROLLED_UP, WRITER_CHECKED_IN, WRITER_DAY_PASSED };

struct writer_state {
    struct gs_dec value, progress;
    bool has_value, has_progress;
    const char *status;
};

struct writer_event {
    int64_t org_id, goal_id, version, changed_at_us;
    enum writer_cause cause;
    struct writer_state before, after;
    const struct writer_result *result; /* with cause FETCHED; else null */
    const char *traceparent;            /* of what caused it; may be null */
};

#define WRITER_OUTBOX_MAX (64 << 20) /* bytes of one transaction's events; far above a full batch */

/* Appends one OutboxEvent to an OutboxEvents under construction: appended messages concatenate (protobuf encoding
 * guide). */
void writer_wire_put_event(struct gs_buf *b, const struct writer_event *ev);

/* Reading an outbox row back, for the relay. */
struct writer_outbox; /* unpacked */
struct writer_outbox_event {
    const char *topic, *key, *id, *type, *source, *traceparent; /* traceparent may be null */
    const void *payload;
    size_t len;
};
struct writer_outbox *writer_outbox_read(const void *data, size_t len);
size_t writer_outbox_count(const struct writer_outbox *o);
struct writer_outbox_event writer_outbox_get(const struct writer_outbox *o, size_t i);
struct writer_outbox *writer_outbox_free(struct writer_outbox *o);

#endif
