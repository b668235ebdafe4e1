/* What an HTTP answer means when a connector has nothing particular to say about it. Pure. */
#ifndef FETCH_HTTP_RC_H
#define FETCH_HTTP_RC_H

#include "services/fetch/connector.h"
#include "services/fetch/task.h"

struct fetch_judgement {
    enum fetch_outcome outcome; /* OK: the reply is for the connector */
    int64_t retry_at_us;        /* WAITING: always; RETRY: when the source says so */
    bool of_budget; /* WAITING: a budget's headers say that nothing is left of it, which says nothing of others */
};

/* err says what happened unless the outcome is OK. */
struct fetch_judgement fetch_http_rc(const struct fetch_reply *r, int64_t now_us, struct gs_err *err);

#endif
