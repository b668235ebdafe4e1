/* Messages as the worker's own structs. */
#ifndef FETCH_WIRE_H
#define FETCH_WIRE_H

#include "common/arena.h"
#include "services/fetch/task.h"

#define FETCH_MESSAGE_MAX (1024 * 1024) /* bytes of a request; longer ones are not decoded */
#define FETCH_ID_MAX      64            /* bytes of a request id */

/* The numbers are those of FetchKind in fetch.proto. */
enum fetch_kind { FETCH_SCHEDULED = 1, FETCH_SYNC_NOW = 2, FETCH_PREVIEW = 3 };

struct fetch_order_target {
    int64_t link_id;
    int32_t revision;
    const char *settings; /* JSON, unchecked */
};

/* A request; everything lies in the arena it was decoded into. */
struct fetch_order {
    const char *request_id;
    int64_t org_id, connection_id, batch_id;
    int32_t connection_version, attempt;
    enum fetch_kind kind;
    int64_t slot_us, expires_at_us; /* expires: 0: never */
    size_t n_targets;
    const struct fetch_order_target *targets;
};

enum gs_rc fetch_wire_decode(struct gs_arena *a, const void *data, size_t len, struct fetch_order *ret,
                             struct gs_err *err) GS_MUST_CHECK;

struct fetch_answer {
    const struct fetch_order *order;
    enum fetch_outcome outcome;
    const char *error; /* "" when OK */
    int64_t retry_at_us, fetched_at_us;
    int32_t requests_used, elapsed_ms;
    const struct fetch_result *results; /* one for each target of the order; null unless OK */
};

/* The message's bytes, in the arena. */
void *fetch_wire_encode(struct gs_arena *a, const struct fetch_answer *answer, size_t *ret_len);

#endif
