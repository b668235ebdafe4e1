/* One fetch as a pure state machine: a connector asks for exchanges, whoever drives the task carries them out and feeds
 * the replies back, until the task has an outcome. No I/O, no secrets, no time but the one given. Loop thread only. */
#ifndef FETCH_TASK_H
#define FETCH_TASK_H

#include "common/http.h"
#include "services/fetch/connector.h"

#define FETCH_EXCHANGES_MAX 200                       /* of one task, whatever the connector says */
#define FETCH_TEXT_MAX      (256 * 1024)              /* bytes of headers, body or statement of one exchange */
#define FETCH_HEADERS_MAX   (GS_HTTP_HEADERS_MAX - 4) /* of one exchange; the driver adds its own */
#define FETCH_BODY_CEILING  (64 * 1024 * 1024)        /* no setting allows longer replies */
#define FETCH_JSON_DEPTH    64
#define FETCH_WAIT_MAX_US   (24 * 3600 * INT64_C(1000000)) /* a source that says more is asked again after this */

/* The numbers are those of FetchOutcome in fetch.proto. */
enum fetch_outcome {
    FETCH_OUTCOME_NONE,
    FETCH_OUTCOME_OK,
    FETCH_OUTCOME_RETRY,
    FETCH_OUTCOME_WAITING,
    FETCH_OUTCOME_DENIED,
    FETCH_OUTCOME_GONE,
    FETCH_OUTCOME_REJECTED,
    FETCH_OUTCOME_EXPIRED,
    FETCH_OUTCOMES,
};
const char *fetch_outcome_name(enum fetch_outcome o); /* "ok", "retry", ...: database, logs, metrics */
enum fetch_outcome fetch_outcome_of(enum gs_rc rc);   /* of a decision that is final */

/* What a task wants carried out next. Borrowed until the task is given its reply. The driver of HTTP adds the
 * connection's secret, the User-Agent and nothing else. */
struct fetch_exchange {
    enum fetch_wire wire;
    const char *budget; /* its name; null: the connector has none, or none with a name */
    /* FETCH_HTTP */
    const char *method; /* "GET", "POST" */
    const char *url;    /* complete; always of the same scheme, host and port within one task */
    const struct gs_http_header *headers;
    size_t n_headers;
    const char *body;
    size_t body_len;
    /* FETCH_POSTGRES */
    const char *statement;
};

struct fetch_result {
    enum fetch_outcome outcome; /* OK, or why this target has no value */
    struct gs_dec value;
    bool percent;
    const char *error; /* a sentence; "" when OK */
    int64_t source_at_us, rows_seen;
};

/* Settings are borrowed and outlive the task. */
struct fetch_task_spec {
    const struct fetch_connector *connector;
    const struct fetch_settings *connection;
    const struct fetch_settings *const *targets; /* the array is copied */
    size_t n_targets;                            /* 1 .. FETCH_TARGETS_MAX */
    int max_exchanges;                           /* of the operator; 0: the connector's */
    int64_t now_us;
};

struct fetch_task *fetch_task_new(const struct fetch_task_spec *spec);
struct fetch_task *fetch_task_free(struct fetch_task *t);

/* Each returns true when fetch_task_exchange() is to be carried out next, false when the task has its outcome. */
bool fetch_task_start(struct fetch_task *t);
bool fetch_task_reply(struct fetch_task *t, const struct fetch_reply *r); /* any status */
/* No reply came: rc and a sentence that say why. Ends the task. */
void fetch_task_fail(struct fetch_task *t, enum gs_rc rc, const char *why);

const struct fetch_exchange *fetch_task_exchange(const struct fetch_task *t);
int fetch_task_exchanges(const struct fetch_task *t); /* asked for so far */

/* OK: every target has its own result. Otherwise it holds for all of them. */
enum fetch_outcome fetch_task_outcome(const struct fetch_task *t);
const char *fetch_task_error(const struct fetch_task *t);
int64_t fetch_task_retry_at_us(const struct fetch_task *t); /* 0: not said */
/* WAITING: the budget that is used up; null: everything of the account has to wait. */
const char *fetch_task_used_up(const struct fetch_task *t);
void fetch_task_result(const struct fetch_task *t, size_t target, struct fetch_result *ret);

#endif
