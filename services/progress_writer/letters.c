/* What cannot be read or applied goes to the dead letters, and only then does its offset count as done. */
#include "services/progress_writer/letters.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/progress_writer/count.h"
#include "services/progress_writer/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_US INT64_C(500000)
/* A letter that Kafka refuses for good (no such topic, too large with its headers) must not hold up the rest: the log
 * then says where the message lies. */
#define REFUSED_MAX 5

struct writer_letters {
    struct gs_producer *producer;
    struct writer_pending *pending;
    struct gs_timer *timer;
    void (*settled)(void *arg);
    void *arg;
};

static void settle(struct writer_letters *l, struct writer_message *m)
{
    m->letter = WRITER_LETTER_SENT;
    l->settled(l->arg);
}

static void not_sent(struct writer_letters *l, struct writer_message *m, enum gs_rc rc, const char *err)
{
    m->letter = WRITER_LETTER_DUE;
    if (rc == GS_REJECT && ++m->tries >= REFUSED_MAX) {
        gs_log_error(NULL, "dead letter refused", "partition=%" PRId32 " offset=%" PRId64 " reason=%s error=\"%s\"",
                     m->m->partition, m->m->offset, m->reason, err);
        settle(l, m);
        return;
    }
    gs_timer_start(l->timer, RETRY_US, 0);
}

static void on_delivered(void *arg, enum gs_rc rc, const char *err)
{
    struct writer_message *m = arg;
    if (m->dropped)
        writer_message_free(m);
    else if (rc == GS_OK)
        settle(m->owner, m);
    else
        not_sent(m->owner, m, rc, err);
}

static void send_letter(struct writer_letters *l, struct writer_message *m)
{
    struct gs_err err = {0};
    m->letter = WRITER_LETTER_SENDING;
    enum gs_rc rc =
        gs_dead_letter_send(l->producer, WRITER_GROUP, m->m, m->reason, m->error, m->tries + 1, on_delivered, m, &err);
    if (rc != GS_OK)
        not_sent(l, m, rc, err.text);
}

static void on_timer(void *arg)
{
    struct writer_letters *l = arg;
    for (size_t i = 0; i < l->pending->n; i++)
        if (l->pending->items[i]->letter == WRITER_LETTER_DUE)
            send_letter(l, l->pending->items[i]);
}

void writer_letters_bury(struct writer_letters *l, struct writer_message *m, const char *reason, const char *error)
{
    gs_log_warn(NULL, "dead letter", "partition=%" PRId32 " offset=%" PRId64 " reason=%s error=\"%s\"", m->m->partition,
                m->m->offset, reason, error);
    writer_count_letter(reason);
    m->reason = reason;
    free(m->error);
    m->error = gs_strdup(error);
    writer_results_done(&m->results);
    m->owner = l;
    send_letter(l, m);
}

struct writer_letters *writer_letters_new(uv_loop_t *loop, struct gs_producer *producer, struct writer_pending *pending,
                                          void (*settled)(void *arg), void *arg)
{
    struct writer_letters *l = gs_alloc(sizeof *l);
    l->producer = producer;
    l->pending = pending;
    l->settled = settled;
    l->arg = arg;
    l->timer = gs_timer_new(loop, on_timer, l);
    return l;
}

struct writer_letters *writer_letters_free(struct writer_letters *l)
{
    if (!l)
        return NULL;
    gs_timer_free(l->timer);
    free(l);
    return NULL;
}
