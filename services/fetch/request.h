/* One request from Kafka: from the message that was taken to the acknowledged result. */
#ifndef FETCH_REQUEST_H
#define FETCH_REQUEST_H

#include "common/event.h"
#include "services/fetch/wire.h"
#include "services/fetch/worker.h"

struct fetch_request {
    struct fetch_worker *w;
    struct fetch_lane *lane;
    struct fetch_request *next, *prev;
    struct fetch_list *list;
    /* the message */
    int32_t partition;
    int64_t offset;
    uint32_t generation;
    char traceparent[GS_TRACEPARENT_TEXT];
    struct fetch_order order;
    /* the work */
    int64_t begun_us, deadline_us; /* monotonic */
    struct fetch_conn_wait wait;
    struct fetch_conn *conn;          /* held; null before it is loaded */
    struct fetch_settings **settings; /* of each target; null: its settings are wrong */
    struct fetch_result *results;     /* of each target */
    struct fetch_task *task;
    struct gs_http_call *http; /* at most one exchange is under way */
    struct fetch_pg_call *sql;
    int64_t fetched_at_us; /* when the source last answered */
    /* its way to the source: pass.c */
    struct fetch_purse *purse; /* null: its exchange is not counted */
    struct fetch_site *site;   /* null: no exchange */
    struct fetch_turn turn;    /* in the lane's queue, the purse's or the site's */
    bool paid, inside, probe;  /* a token is spent; the site has counted it in; to see whether the site lives */
    /* the answer, or the dead letter */
    rd_kafka_message_t *dead;
    const char *dead_error;
    void *packed;
    size_t packed_len;
    char batch_key[24]; /* Kafka's key: the batch's id in decimal */
    struct gs_arena arena;
    char room[] __attribute__((aligned(16))); /* the arena's first memory */
};

/* ---- request.c ---- */
/* Takes m. Null: it is no request, and put aside; else it waits to be begun. */
struct fetch_request *fetch_request_take(struct fetch_worker *w, struct fetch_lane *lane, rd_kafka_message_t *m);
void fetch_request_begin(struct fetch_request *q); /* its time runs from now on */
void fetch_request_deadlines(void *worker);        /* of the deadline timer */
void fetch_request_finish(struct fetch_request *q, enum fetch_outcome outcome, const char *error, int64_t retry_at_us);
void fetch_requests_abandon(struct fetch_worker *w); /* when the process ends: others will do them again */
/* From the drivers: the exchange under way is over. */
void fetch_request_replied(struct fetch_request *q, const struct fetch_reply *r);
void fetch_request_unanswered(struct fetch_request *q, enum gs_rc rc, const char *why);

/* ---- send.c: until Kafka has the answer ---- */
void fetch_send(struct fetch_request *q, const struct fetch_answer *answer);
void fetch_send_held(void *worker);   /* their turn has come */
void fetch_send_unsent(void *worker); /* there may be room in Kafka's queue */
void fetch_send_dead_letter(struct fetch_request *q, rd_kafka_message_t *m, const char *error); /* takes m */

/* ---- pass.c: whether and when an exchange may go to its source ---- */
void fetch_pass(struct fetch_request *q); /* carries it out, waits with it, or finishes the request */
void fetch_pass_over(struct fetch_request *q, enum fetch_site_end end, const char *why); /* it came back */
void fetch_pass_leave(struct fetch_request *q);                                          /* waits for nothing more */
const char *fetch_pass_waits_for(const struct fetch_request *q);                         /* null: for nothing */
void fetch_pass_paid(struct fetch_turn *t, int64_t retry_at_us);                         /* from purses */
void fetch_pass_called(struct fetch_turn *t, enum fetch_site_call why);                  /* from sites */
int64_t fetch_pass_deadline(const struct fetch_turn *t);

/* ---- drive.c, drive_http.c, drive_postgres.c ---- */
enum gs_rc fetch_drives_start(struct fetch_worker *w, struct gs_err *err) GS_MUST_CHECK; /* needs w->loop alone */
void fetch_drives_stop(struct fetch_worker *w); /* what is under way ends unanswered */
void fetch_drive(struct fetch_request *q, const struct fetch_exchange *x);
void fetch_drive_http(struct fetch_request *q, const struct fetch_exchange *x);
void fetch_drive_postgres(struct fetch_request *q, const struct fetch_exchange *x);

/* ---- lists ---- */
void fetch_list_move(struct fetch_request *q, struct fetch_list *to); /* to its end; null: out of all */
void fetch_request_free(struct fetch_request *q);                     /* out of its list, and gone */

#endif
