/* Shared by the gateway's own files; operations see call.h only. */
#ifndef GATEWAY_PRIVATE_H
#define GATEWAY_PRIVATE_H

#include "common/arena.h"
#include "common/service.h"
#include "services/gateway/auth.h"
#include "services/gateway/call.h"
#include "services/gateway/document.h"
#include "services/gateway/etag.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define GW_TARGET_MAX   8192 /* bytes of a request's path and query as sent */
#define GW_HEADERS_MAX  64   /* of a request */
#define GW_ANSWERED_MAX 16   /* headers that an operation sets */
#define GW_FAULTS_MAX   16   /* told of one request */
#define GW_ATTEMPTS     3    /* of a transaction that lost a race or its connection */

struct gw_server;
struct gw_worker;

struct gw_header {
    const char *name, *value;
};

/* One thing that is wrong with a request: where, and what. */
struct gw_fault {
    const char *pointer, *detail;
};

/* Who writes next to a call's answer, and whether anybody does. */
enum gw_stage {
    GW_RUNNING,   /* the worker, or whoever gw_finish()es */
    GW_FINISHED,  /* nobody: it can be sent */
    GW_TIMED_OUT, /* gw_finish() came too late: the answer is another */
};

struct gw_later {
    void (*start)(void *arg, struct gw_call *c);
    void *arg;
    void (*free_arg)(void *arg);
};

struct gw_call {
    struct gw_server *server;
    struct gw_call *next;     /* in a queue */
    uint64_t caller_key;      /* of the bucket it counts for */
    struct gw_worker *worker; /* while one runs it */
    struct MHD_Connection *conn;
    atomic_int refs; /* the connection's; the one of whoever answers later */
    atomic_int stage;
    bool queued, refused, head;
    bool answered; /* it is queued again, for its answer to be kept */
    struct gs_arena arena;

    /* the request */
    const char *method, *target, *allow; /* allow: the methods of its path, of OPTIONS */
    struct gw_header headers[GW_HEADERS_MAX];
    int n_headers;
    char address[64]; /* the client's */
    const char *request_id;
    char traceparent[64];
    const struct gw_operation *op; /* null: answered without one */
    const char **params;           /* by op->params; null: not given */
    struct gs_buf body;
    size_t body_max;
    size_t body_seen;
    const char *content_type;
    struct gs_json *json; /* the parsed body; null: none */
    int64_t began_us;

    /* the caller */
    struct gw_proof proof;
    struct gw_caller who;
    char item[GW_ID_TEXT];

    /* the answer */
    struct gs_db *db;
    bool in_transaction, again; /* again: run it anew */
    int status, failure;        /* failure: of the newest statement */
    struct gs_buf out;
    const char *answer_type;
    struct gw_header answer[GW_ANSWERED_MAX];
    int n_answer, n_limit;     /* n_limit: of these, told before it ran */
    bool keep;                 /* of a status of 400 and up: what the transaction did all the same */
    bool keep_later;           /* the answer, once it is there, under its Idempotency-Key */
    bool written;              /* a problem is in the buffer already */
    size_t sent;               /* bytes of its body */
    size_t counted;            /* of these, among the server's answer_bytes */
    const char *code, *detail; /* of a problem */
    struct gw_fault faults[GW_FAULTS_MAX];
    int n_faults;
    const char *etag;
    char page_rows[GW_ID_TEXT];
    const char *cursor; /* of the page, opened; null: the start */
    struct gw_later later;
    struct gw_call *sibling; /* among those that are answered later */
    int64_t deadline_us;

    char first_chunk[4096];
};

/* ---- call.c ---- */
struct gw_call *gw_call_new(struct gw_server *server, const char *target);
void gw_call_unref(struct gw_call *c);
/* Forgets what an earlier attempt answered. */
void gw_call_reset(struct gw_call *c);
const char *gw_call_header(const struct gw_call *c, const char *name); /* null: none */
char *gw_call_printf(struct gw_call *c, const char *fmt, ...) GS_PRINTF(2, 3);
void gw_call_fault(struct gw_call *c, const char *pointer, const char *detail);

/* ---- run.c ---- */
/* Runs on a worker thread; afterwards the call is finished, or somebody answers later. */
void gw_run(struct gw_worker *w, struct gw_call *c);
/* Keeps an answer that came later, then sends it. */
void gw_run_answered(struct gw_worker *w, struct gw_call *c);

void gw_log_failure(const struct gw_call *c, const struct gs_db_error *e);

/* ---- answer.c ---- */
/* Writes a call's problem into its buffer. */
void gw_problem_write(struct gw_call *c, struct gs_buf *b);
const char *gw_reason(int status); /* "Not Found" */

/* ---- http.c ---- */
struct gw_http;
struct gw_http *gw_http_new(struct gw_server *server, struct gs_err *err);
const char *gw_http_address(const struct gw_http *h);
void gw_http_drain(struct gw_http *h); /* takes no connection any more */
/* Waits, a second at most, until what was answered is sent. No connection may sleep any more. */
struct gw_http *gw_http_free(struct gw_http *h);
/* The answer can be sent. Any thread. */
void gw_http_resume(struct gw_call *c);

/* ---- count.c ---- */
void gw_count_start(struct gw_server *s);
void gw_count(const struct gw_call *c, int status, double seconds);

/* ---- housekeeping.c ---- */
struct gw_housekeeping;
struct gw_housekeeping *gw_housekeeping_new(uv_loop_t *loop);
struct gw_housekeeping *gw_housekeeping_free(struct gw_housekeeping *h);

/* ---- pool.c ---- */
struct gw_pool;
struct gw_worker {
    struct gw_server *server;
    struct gw_pool *pool;
    struct gs_db *db;
    struct gs_json *json;
    pthread_t thread;
};
struct gw_pool *gw_pool_new(struct gw_server *server);
enum gw_room { GW_ROOM, GW_FULL, GW_CALLER_FULL }; /* the last: for this caller, who has its share already */
enum gw_room gw_pool_put(struct gw_pool *p, struct gw_call *c) GS_MUST_CHECK;
/* One that was answered later: its answer is to be kept. There are as many as connections, at most. */
bool gw_pool_put_answered(struct gw_pool *p, struct gw_call *c) GS_MUST_CHECK; /* false: it stops */
/* Calls that still wait are answered 503; returns when no worker runs. From then on there is room for none. */
void gw_pool_stop(struct gw_pool *p);
struct gw_pool *gw_pool_free(struct gw_pool *p);

/* ---- server.c ---- */
struct gw_server {
    struct gs_service *service;
    uv_loop_t *loop;
    struct gw_document *document;
    struct gw_pool *pool;
    struct gw_http *http;
    struct gw_housekeeping *housekeeping;
    uv_async_t *wake;
    struct gs_timer *drained;
    pthread_mutex_t mutex;       /* of later */
    struct gw_call *later;       /* committed; to be started on the loop */
    struct gw_call *outstanding; /* started; the loop's */
    struct gs_timer *deadline;
    atomic_int in_flight;
    pthread_mutex_t over_mutex;
    pthread_cond_t over;        /* whenever in_flight becomes 0 */
    atomic_size_t body_bytes;   /* of all requests */
    atomic_size_t answer_bytes; /* of all that are being sent */
    struct gs_metric *in_flight_gauge;
    atomic_bool draining;
};
void *gw_server_start(struct gs_service *service, struct gs_err *err);
void gw_server_ready(void *server, struct gs_buf *reasons);
void gw_server_drain(void *server);
void gw_server_stop(void *server);

/* ---- later.c ---- */
void gw_server_later(struct gw_call *c); /* any thread */
void gw_later_start(struct gw_server *s);
/* Nobody is waited for any more: everything outstanding is answered. */
void gw_later_stop(struct gw_server *s);

#endif
