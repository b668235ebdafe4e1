/* One Redis connection on the loop: keeps itself up, pipelines commands, answers at once when it is away. */
#include "common/redis.h"

#include "common/backoff.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/redis_internal.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *url, *ca_file, *cert_file, *key_file;

const struct gs_env gs_redis_env[] = {
    {"GOALSYNC_REDIS_URL", GS_ENV_SECRET, &url, GS_ENV_REQUIRED, 0, 0,
     "Redis: redis://[user:password@]host:port[/db], or rediss:// for TLS"},
    {"GOALSYNC_REDIS_CA_FILE", GS_ENV_STRING, &ca_file, "", 0, 0, "certificates (PEM) that Redis is checked against"},
    {"GOALSYNC_REDIS_CERT_FILE", GS_ENV_STRING, &cert_file, "", 0, 0, "our certificate (PEM) for Redis"},
    {"GOALSYNC_REDIS_KEY_FILE", GS_ENV_STRING, &key_file, "", 0, 0, "its key (PEM)"},
    GS_ENV_END,
};

enum state {
    DOWN, /* waiting for the next attempt */
    RESOLVING,
    CONNECTING,
    SIGNING_IN,
    UP,
};

struct item {
    struct item *next;
    gs_redis_fn fn;
    void *arg;
    const char *why; /* it was never sent; lives longer than the item */
};

struct queue {
    struct item *first, **last;
    size_t n;
};

struct lookup {
    uv_getaddrinfo_t req;
    struct gs_redis *r; /* null once it is gone */
};

struct gs_redis {
    uv_loop_t *loop;
    struct gs_redis_url url;
    SSL_CTX *tls;
    enum state state;
    struct gs_redis_stream stream;
    struct gs_watch *watch;
    struct gs_timer *life; /* back-off between attempts, and the limit of one */
    struct gs_timer *soon; /* ends what must not end inside its owner's call, and sends what a turn has gathered */
    struct gs_timer *tick;
    struct gs_backoff backoff;
    struct lookup *lookup;
    unsigned attempt;
    redisReader *reader;
    redisReplyObjectFunctions reader_fns;
    size_t reply_bytes; /* of the reply that is coming */
    struct gs_buf out;
    size_t out_at;
    struct queue sent, ending;
    int64_t head_since_us; /* since when sent's first is the first */
    bool overdue;          /* seen once; the loop itself may have been late */
    int signing;           /* answers to the sign-in still to come */
    int depth;             /* of calls into us; memory is freed at 0 */
    bool freed;
    char error[400];
};

static const struct gs_log_ctx log_ctx = {.topic = "redis"};

static void queue_init(struct queue *q)
{
    *q = (struct queue){.last = &q->first};
}

static void push(struct queue *q, struct item *it)
{
    it->next = NULL;
    *q->last = it;
    q->last = &it->next;
    q->n++;
}

static struct item *pop(struct queue *q)
{
    struct item *it = q->first;

    if (!it)
        return NULL;
    q->first = it->next;
    if (!q->first)
        q->last = &q->first;
    q->n--;
    return it;
}

static void enter(struct gs_redis *r)
{
    r->depth++;
}

static void leave(struct gs_redis *r)
{
    if (--r->depth == 0 && r->freed)
        free(r);
}

/* Calls the owner, who may do anything, gs_redis_free() included: callers have entered. */
static void answer(struct item *it, enum gs_rc rc, const redisReply *reply, const char *err)
{
    if (it->fn)
        it->fn(it->arg, rc, reply, err);
    free(it);
}

static void end_later(struct gs_redis *r, struct item *it, const char *why)
{
    it->why = why;
    push(&r->ending, it);
    gs_timer_start(r->soon, 0, 0);
}

/* ---- replies ---- */

/* A count from outside is not memory yet: far fewer elements fit into a reply of the size allowed. */
static void *create_array(const redisReadTask *task, int elements)
{
    static void *(*create)(const redisReadTask *, int);

    if (!create) {
        redisReader *model = redisReaderCreate();

        create = model->fn->createArray;
        redisReaderFree(model);
    }
    return elements < 0 || elements > (int)(GS_REDIS_REPLY_MAX / 4) ? NULL : create(task, elements);
}

static void open_reader(struct gs_redis *r)
{
    r->reader = redisReaderCreate();
    if (!r->reader)
        abort();
    r->reader_fns = *r->reader->fn;
    r->reader_fns.createArray = create_array;
    r->reader->fn = &r->reader_fns;
    r->reader->maxbuf = GS_REDIS_IDLE_BUFFER;
    r->reply_bytes = 0;
}

/* ---- the connection's life ---- */

static void on_io(void *arg, int events);

static void disconnect(struct gs_redis *r)
{
    r->watch = gs_watch_free(r->watch);
    gs_redis_stream_close(&r->stream);
    if (r->reader)
        redisReaderFree(r->reader);
    r->reader = NULL;
    gs_buf_done(&r->out);
    r->out_at = 0;
    r->state = DOWN;
    r->overdue = false;
}

/* The connection is over, or was never made; there will be another try. */
static void lose(struct gs_redis *r, const char *cause)
{
    char clean[200];

    gs_str_clean(clean, sizeof(clean), cause, strlen(cause));
    snprintf(r->error, sizeof(r->error), "%s is away: %s", r->url.label, clean);
    gs_log_debug(&log_ctx, "connection failed", "error=\"%s\"", r->error);
    disconnect(r);
    for (struct item *it; (it = pop(&r->sent));)
        end_later(r, it, r->error);
    gs_timer_start(r->life, gs_backoff_next(&r->backoff), 0);
}

static void update_watch(struct gs_redis *r)
{
    bool ready = r->state >= SIGNING_IN;

    gs_watch_set(r->watch, ready ? UV_READABLE | (r->out.len > r->out_at ? UV_WRITABLE : 0) : r->stream.wants);
}

static void flush(struct gs_redis *r)
{
    while (r->state >= SIGNING_IN && r->out_at < r->out.len) {
        ssize_t n = gs_redis_stream_write(&r->stream, r->out.data + r->out_at, r->out.len - r->out_at);

        if (n < 0) {
            lose(r, r->stream.error);
            return;
        }
        if (n == 0)
            break;
        r->out_at += (size_t)n;
    }
    if (r->out_at == r->out.len) {
        gs_buf_clear(&r->out);
        r->out_at = 0;
    }
    if (r->watch)
        update_watch(r);
}

static void queue_command(struct gs_redis *r, struct item *it, int argc, const char *const *argv, const size_t *lens)
{
    char *text = NULL;
    int len = redisFormatCommandArgv(&text, argc, (const char **)(uintptr_t)argv, lens);

    if (len < 0)
        abort();
    gs_buf_append(&r->out, text, (size_t)len);
    gs_free_secret(text, (size_t)len);
    if (!r->sent.first)
        r->head_since_us = (int64_t)uv_now(r->loop) * 1000;
    push(&r->sent, it);
}

static void on_sign_in(void *arg, enum gs_rc rc, const redisReply *reply, const char *err)
{
    struct gs_redis *r = arg;
    char text[240];

    (void)reply;
    if (r->state != SIGNING_IN)
        return;
    if (rc != GS_OK) {
        snprintf(text, sizeof(text), "sign-in refused: %s", err);
        lose(r, text);
    } else if (--r->signing == 0) {
        gs_timer_stop(r->life);
        gs_backoff_reset(&r->backoff);
        r->error[0] = '\0';
        r->state = UP;
    }
}

static void sign_in_command(struct gs_redis *r, int argc, const char *const *argv)
{
    struct item *it = gs_alloc(sizeof(*it));
    size_t lens[4];

    for (int i = 0; i < argc; i++)
        lens[i] = strlen(argv[i]);
    it->fn = on_sign_in;
    it->arg = r;
    r->signing++;
    queue_command(r, it, argc, argv, lens);
}

static void sign_in(struct gs_redis *r)
{
    const char *const auth[] = {"AUTH", r->url.user, r->url.password}, *const auth_old[] = {"AUTH", r->url.password};
    const char *const name[] = {"CLIENT", "SETNAME", "goalsync"};
    char db[24];
    const char *const select[] = {"SELECT", db};

    snprintf(db, sizeof(db), "%" PRId64, r->url.db);
    r->state = SIGNING_IN;
    r->signing = 0;
    open_reader(r);
    if (r->url.user)
        sign_in_command(r, 3, auth);
    else if (r->url.password)
        sign_in_command(r, 2, auth_old);
    if (r->url.db != 0)
        sign_in_command(r, 2, select);
    sign_in_command(r, 3, name);
    flush(r);
}

static void connect_step(struct gs_redis *r)
{
    switch (gs_redis_stream_step(&r->stream)) {
    case GS_OK:
        sign_in(r);
        break;
    case GS_AGAIN:
        update_watch(r);
        break;
    default:
        lose(r, r->stream.error);
        break;
    }
}

static void connect_to(struct gs_redis *r, const struct sockaddr *address)
{
    r->state = CONNECTING;
    gs_timer_start(r->life, GS_REDIS_CONNECT_US, 0);
    if (gs_redis_stream_open(&r->stream, address, r->tls, r->url.host) != GS_AGAIN) {
        lose(r, r->stream.error);
        return;
    }
    r->watch = gs_watch_new(r->loop, r->stream.fd, on_io, r);
    update_watch(r);
}

static const struct addrinfo *choose(const struct addrinfo *found, unsigned attempt)
{
    unsigned n = 0;

    for (const struct addrinfo *a = found; a && n < GS_REDIS_ADDRESSES; a = a->ai_next)
        n++;
    for (attempt %= n; attempt > 0; attempt--)
        found = found->ai_next;
    return found;
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct lookup *l = req->data;
    struct gs_redis *r = l->r;

    if (r) {
        enter(r);
        r->lookup = NULL;
        if (status != 0 || !found)
            lose(r, "its name was not found");
        else /* each attempt takes the next of its addresses */
            connect_to(r, choose(found, r->attempt++)->ai_addr);
        leave(r);
    }
    uv_freeaddrinfo(found);
    free(l);
}

static void try_connect(struct gs_redis *r)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct lookup *l = gs_alloc(sizeof(*l));

    l->r = r;
    l->req.data = l;
    r->state = RESOLVING;
    /* A look-up cannot be stopped; it ends by itself. */
    gs_timer_stop(r->life);
    if (uv_getaddrinfo(r->loop, &l->req, on_lookup, r->url.host, r->url.port, &hints) != 0) {
        free(l);
        lose(r, "its name was not found");
        return;
    }
    r->lookup = l;
}

static void on_life(void *arg)
{
    struct gs_redis *r = arg;

    if (r->state == DOWN)
        try_connect(r);
    else if (r->state == CONNECTING || r->state == SIGNING_IN)
        lose(r, "no answer within the time-out for connecting");
}

/* ---- replies and waits ---- */

static void answer_first(struct gs_redis *r, const redisReply *reply)
{
    struct item *it = pop(&r->sent);
    char text[300];

    r->head_since_us = (int64_t)uv_now(r->loop) * 1000;
    r->overdue = false;
    if (reply->type == REDIS_REPLY_ERROR) {
        gs_str_clean(text, sizeof(text), reply->str, reply->len);
        answer(it, GS_REJECT, NULL, text);
    } else {
        answer(it, GS_OK, reply, "");
    }
}

/* Returns whether the connection still stands. */
static bool take_replies(struct gs_redis *r, size_t fed)
{
    r->reply_bytes += fed;
    while (r->state >= SIGNING_IN) {
        void *reply = NULL;

        if (redisReaderGetReply(r->reader, &reply) != REDIS_OK) {
            lose(r, r->reader->errstr);
            break;
        }
        if (!reply)
            break;
        r->reply_bytes = fed;
        if (r->sent.first)
            answer_first(r, reply);
        else
            lose(r, "it said something that nobody asked");
        freeReplyObject(reply);
    }
    if (r->state >= SIGNING_IN && r->reply_bytes > GS_REDIS_REPLY_MAX)
        lose(r, "a reply was larger than 1 MiB");
    return r->state >= SIGNING_IN;
}

static void read_all(struct gs_redis *r)
{
    char chunk[GS_REDIS_READ];

    for (;;) {
        ssize_t n = gs_redis_stream_read(&r->stream, chunk, sizeof(chunk));

        if (n < 0)
            lose(r, r->stream.error);
        if (n <= 0)
            return;
        if (redisReaderFeed(r->reader, chunk, (size_t)n) != REDIS_OK) {
            lose(r, r->reader->errstr);
            return;
        }
        /* A chunk not filled: the socket is empty, and if not, the loop says so. TLS may hold back bytes of its own. */
        if (!take_replies(r, (size_t)n) || (!r->stream.ssl && n < (ssize_t)sizeof(chunk)))
            return;
    }
}

static void on_io(void *arg, int events)
{
    struct gs_redis *r = arg;

    enter(r);
    if (r->state == CONNECTING) {
        connect_step(r);
    } else {
        if (events & UV_WRITABLE)
            flush(r);
        if (r->state >= SIGNING_IN && (events & UV_READABLE))
            read_all(r);
    }
    leave(r);
}

static void on_soon(void *arg)
{
    struct gs_redis *r = arg;

    enter(r);
    /* Those that come in meanwhile have their own turn. */
    for (size_t n = r->ending.n; n > 0 && !r->freed && r->ending.first; n--) {
        struct item *it = pop(&r->ending);

        answer(it, GS_RETRY, NULL, it->why);
    }
    if (!r->freed && r->state >= SIGNING_IN)
        flush(r);
    leave(r);
}

static void on_tick(void *arg)
{
    struct gs_redis *r = arg;

    if (!r->sent.first) {
        gs_timer_stop(r->tick);
        return;
    }
    if ((int64_t)uv_now(r->loop) * 1000 - r->head_since_us <= GS_REDIS_ANSWER_US)
        return;
    if (r->overdue)
        lose(r, "no answer to a command within 2 s");
    else
        r->overdue = true;
}

/* ---- the owner's side ---- */

void gs_redis_command(struct gs_redis *r, gs_redis_fn fn, void *arg, int argc, const char *const *argv,
                      const size_t *lens)
{
    struct item *it;

    /* Only callbacks of a free can come here; they have been told that it is over. */
    if (r->freed)
        return;
    it = gs_alloc(sizeof(*it));
    it->fn = fn;
    it->arg = arg;
    if (r->state != UP) {
        end_later(r, it, r->error);
    } else if (r->sent.n >= GS_REDIS_PENDING || r->out.len > GS_REDIS_OUT_MAX / 2) {
        end_later(r, it, "too many commands wait for Redis");
    } else {
        if (!r->sent.first)
            gs_timer_start(r->tick, GS_REDIS_TICK_US, GS_REDIS_TICK_US);
        /* Sent together with others of this turn of the loop. */
        if (r->out.len == 0)
            gs_timer_start(r->soon, 0, 0);
        queue_command(r, it, argc, argv, lens);
        if (r->out.overflow)
            lose(r, "a command was too large");
    }
}

struct gs_redis *gs_redis_new(uv_loop_t *loop, struct gs_err *err)
{
    struct gs_redis_url parsed = {0};
    struct gs_redis *r;
    SSL_CTX *tls = NULL;

    if (gs_redis_url_parse(url, &parsed, err) != GS_OK)
        return NULL;
    if (parsed.tls && !(tls = gs_redis_tls_new(ca_file, cert_file, key_file, err))) {
        gs_redis_url_done(&parsed);
        return NULL;
    }
    r = gs_alloc(sizeof(*r));
    r->loop = loop;
    r->url = parsed;
    r->tls = tls;
    r->stream.fd = -1;
    r->backoff = (struct gs_backoff){.min_us = GS_REDIS_BACKOFF_MIN_US, .max_us = GS_REDIS_BACKOFF_MAX_US};
    gs_buf_init(&r->out, GS_REDIS_OUT_MAX);
    queue_init(&r->sent);
    queue_init(&r->ending);
    r->life = gs_timer_new(loop, on_life, r);
    r->soon = gs_timer_new(loop, on_soon, r);
    r->tick = gs_timer_new(loop, on_tick, r);
    snprintf(r->error, sizeof(r->error), "%s is away: not connected yet", r->url.label);
    try_connect(r);
    return r;
}

static void end_all(struct queue *q)
{
    for (struct item *it; (it = pop(q));)
        answer(it, GS_RETRY, NULL, "the Redis client was closed");
}

struct gs_redis *gs_redis_free(struct gs_redis *r)
{
    if (!r || r->freed)
        return NULL;
    enter(r);
    r->freed = true;
    if (r->lookup) {
        r->lookup->r = NULL;
        uv_cancel((uv_req_t *)&r->lookup->req);
    }
    disconnect(r);
    r->life = gs_timer_free(r->life);
    r->soon = gs_timer_free(r->soon);
    r->tick = gs_timer_free(r->tick);
    SSL_CTX_free(r->tls);
    end_all(&r->ending);
    end_all(&r->sent);
    gs_redis_url_done(&r->url);
    leave(r);
    return NULL;
}

bool gs_redis_up(const struct gs_redis *r)
{
    return r->state == UP;
}
