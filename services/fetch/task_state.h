/* What a task is made of; for the files task*.c only. */
#ifndef FETCH_TASK_STATE_H
#define FETCH_TASK_STATE_H

#include "common/buf.h"
#include "services/fetch/task.h"

struct target {
    const struct fetch_settings *settings;
    enum fetch_outcome outcome; /* NONE: nothing emitted yet */
    bool percent;
    struct gs_dec value;
    char *error; /* null when there is a value */
    int64_t source_at_us, rows_seen;
};

/* A header's texts as places in `text`, which may move while the exchange is put together. */
struct header_place {
    size_t name, value;
};

struct fetch_task {
    const struct fetch_connector *connector;
    const struct fetch_settings *connection;
    void *scratch;
    int64_t now_us;
    int max_exchanges, exchanges;

    /* the exchange asked for */
    struct gs_buf base, url, text; /* text: headers, then body or statement */
    struct header_place headers[FETCH_HEADERS_MAX];
    struct gs_http_header header_list[FETCH_HEADERS_MAX];
    size_t n_headers, body, origin; /* origin: length of "https://host:port", set by the first exchange */
    char *origin_text;
    bool asked;
    enum gs_rc ask_rc; /* the first thing that was wrong with it */
    struct fetch_exchange exchange;

    /* how it ends */
    struct gs_err err;
    enum fetch_outcome outcome;
    bool waiting;
    const char *budget, *used_up; /* of the last exchange; the one the source's limit is of */
    int64_t retry_at_us;
    size_t n_targets;
    struct target targets[]; /* followed by the scratch */
};

/* Puts together what fetch_get & co said. GS_REJECT when it cannot be asked. */
enum gs_rc fetch_task_ask(struct fetch_task *t);
void fetch_task_ask_clear(struct fetch_task *t);

#endif
