/* A preview: one request straight to the fetch workers, whose answer is shown and forgotten. For whoever asks (the
 * command line, the gateway); the workers know requests of this kind like any other. */
#ifndef FETCH_PREVIEW_H
#define FETCH_PREVIEW_H

#include "common/buf.h"
#include "services/fetch/catalogue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_ANSWERS   "fetch.answered" /* the topic of answers; a message's key is its request's id */
#define FETCH_TOPIC_MAX 200

struct fetch_question {
    const char *id; /* also the CloudEvents id */
    int64_t org_id, connection_id;
    int32_t connection_version;
    const char *settings; /* of the link; canonical JSON */
    int64_t now_us, wait_us;
};

/* Where a question to this source goes. */
void fetch_question_topic(const struct fetch_entry *e, char dst[FETCH_TOPIC_MAX]);
/* The message; owned by the caller. */
void *fetch_question_pack(const struct fetch_question *q, size_t *ret_len);

/* What came back; strings are borrowed from the message it was read from. */
struct fetch_answer {
    bool ok;             /* there is a value */
    const char *outcome; /* "ok", "retry", "denied" ...; static */
    const char *value;   /* "" without one */
    const char *unit, *error;
    int64_t rows_seen, source_at_us, fetched_at_us, retry_at_us; /* instants: 0 unknown */
    int32_t requests_used, elapsed_ms;
};
struct fetch_answer_message;
/* Null: no answer to the question `id` (null: to any). */
struct fetch_answer_message *fetch_answer_read(const void *data, size_t len, const char *id, struct fetch_answer *ret);
struct fetch_answer_message *fetch_answer_free(struct fetch_answer_message *m); /* returns null */
/* "outcome":"ok","value":"12.5", ...: the members of an object, without its braces. */
void fetch_answer_put_json(const struct fetch_answer *a, struct gs_buf *b);

#endif
