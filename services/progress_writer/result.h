/* What one target of a fetch came to, free of protobuf and Kafka: the writer's own view of FetchCompleted. */
#ifndef WRITER_RESULT_H
#define WRITER_RESULT_H

#include "common/decimal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_ERROR_MAX     500                 /* bytes of a source's error that are kept */
#define WRITER_NOTE_MAX      40000               /* of a note: 10000 characters */
#define WRITER_TARGETS_MAX   10000               /* observations in one message */
#define WRITER_MESSAGE_MAX   (4 << 20)           /* bytes of one message */
#define WRITER_CLOCK_SKEW_US INT64_C(3600000000) /* how far ahead of this machine's clock an instant may be */

enum writer_outcome {
    WRITER_OK,
    WRITER_RETRY,
    WRITER_WAITING,
    WRITER_DENIED,
    WRITER_GONE,
    WRITER_REJECTED,
    WRITER_EXPIRED,
    WRITER_OUTCOMES,
};

/* The label of fetch_outcome in the schema, of metrics and of logs; static. */
const char *writer_outcome_name(enum writer_outcome o);

struct writer_result {
    int64_t link_id, batch_id, org_id;
    int64_t slot_us;
    int64_t fetched_at_us;
    int64_t source_at_us; /* 0: unknown */
    int64_t retry_at_us;  /* 0: none */
    int32_t revision, attempt, rows_seen;
    size_t arrival; /* place in its batch, in the order of the log; set when the batch is taken */
    enum writer_outcome outcome;
    struct gs_dec value;                      /* when OK */
    char *error;                              /* owned; null when OK */
    char *note;                               /* owned; null: none, and when not OK */
    const struct rd_kafka_message_s *message; /* borrowed; holds the trace. May be null */
};

struct writer_results {
    struct writer_result *items;
    size_t n, cap;
};

void writer_results_add(struct writer_results *r, const struct writer_result *item);
/* Forgets the last results down to n. */
void writer_results_cut(struct writer_results *r, size_t n);
void writer_results_done(struct writer_results *r);

#endif
