/* What the gateway wants of the rest of the fleet, by Kafka: answers of fetch workers, shown and forgotten, and that
 * pushed values are taken. Operations hand their call over; it is answered on the loop thread.
 *
 * Every gateway reads all answers and picks those to its own questions. Without Kafka, or without an acknowledgement in
 * time, a call is answered 503; without a worker's answer 504. */
#ifndef GATEWAY_ASK_H
#define GATEWAY_ASK_H

#include "common/goals/goal.h"
#include "services/gateway/call.h"
#include "services/gateway/source.h"

#include <uv.h>

extern const struct gs_env gw_ask_env[]; /* GOALSYNC_GATEWAY_PREVIEW_TIMEOUT; beside gs_kafka_env */

/* Once at start, on the main thread, before any request; Kafka need not be there yet. */
enum gs_rc gw_ask_start(uv_loop_t *loop, struct gs_err *err) GS_MUST_CHECK;
void gw_ask_drain(void); /* what is open is answered within seconds */
void gw_ask_stop(void);  /* what is open is answered 503; on the loop thread, before the loop ends */

/* A goal, for telling what a number would make of it. */
struct gw_guess {
    struct gs_goal goal; /* its unit is below */
    struct gs_goal_rules rules;
    char unit[84]; /* 20 characters of UTF-8 */
};

/* Each for `return gw_ask_…` with everything checked. The call is answered 200 with schema Preview (guess may be null),
 * or with schema ConnectionTest. */
int gw_ask_preview(struct gw_call *c, const struct gw_source *s, const struct gw_guess *guess);
int gw_ask_test(struct gw_call *c, const struct gw_source *s);

/* A number on its way to the progress writer. */
struct gw_value {
    int64_t org_id, connection_id, batch_id, link_id;
    int32_t revision;
    int64_t slot_us, source_at_us; /* 0: unknown */
    struct gs_dec value;
    const char *note;        /* null: none */
    const char *link_public; /* for the answer */
};
/* Answered 202 with schema PushedValue once the brokers have it. */
int gw_ask_push(struct gw_call *c, const struct gw_value *v);

#endif
