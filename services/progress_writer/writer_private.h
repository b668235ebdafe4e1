/* The parts of the process and how they are joined; for writer.c and service.c only. */
#ifndef WRITER_PRIVATE_H
#define WRITER_PRIVATE_H

#include "common/backoff.h"
#include "common/kafka.h"
#include "common/loop.h"
#include "common/pg.h"
#include "services/progress_writer/assign.h"
#include "services/progress_writer/day.h"
#include "services/progress_writer/intake.h"
#include "services/progress_writer/relay.h"
#include "services/progress_writer/writer.h"

#define WRITER_BATCH_MAX 10000

struct writer {
    struct gs_service *svc;
    uv_loop_t *loop;
    struct gs_pg *pg, *relay_pg, *day_pg;
    struct gs_producer *producer;
    struct gs_consumer *consumer;
    struct writer_positions *positions;
    struct writer_assign *assign;
    struct writer_pending pending;
    struct writer_letters *letters;
    struct writer_intake intake;
    struct writer_txn *txn;
    struct writer_work work;
    struct writer_relay *relay;
    struct writer_day *day;
    struct gs_timer *timer; /* the batch's wait, or the pause after a failure */
    struct gs_backoff backoff;
    int64_t begun_us, pause_until_us;
    bool draining, stopping;
    char broken[400]; /* why the last transaction failed for good; "" when it did not */
};

/* Something may have changed that lets messages be taken or a transaction begin. */
void writer_proceed(void *arg);
/* The transaction's spec, but for `arg`. */
extern const struct writer_txn_spec writer_batch_spec;
/* Leaves the group, then tells the service that it is drained. Not during a transaction. */
void writer_leave(struct writer *w);

#endif
