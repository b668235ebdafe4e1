/* One transaction of the scheduler: claim rows, produce a request for each, commit once Kafka has all of them.
 *
 * Whatever fails, the transaction is undone and the rows are claimed again later: a request may be produced twice with
 * the same (link, slot), never lost. */
#ifndef SCHED_ROUND_H
#define SCHED_ROUND_H

#include "common/kafka.h"
#include "common/pg.h"
#include "services/scheduler/wire.h"

#include <stdbool.h>
#include <stddef.h>

struct sched_round;

struct sched_round_spec {
    uv_loop_t *loop;
    struct gs_pg *pg; /* for this round alone while it runs */
    struct gs_producer *producer;
    enum sched_kind kind;
    int64_t period_us;
    const struct gs_pg_stmt *claim; /* returns SCHED_COLUMNS; reads params */
    const struct gs_pg_params *params;
    /* The transaction ended; rows: claimed and committed, -1: undone. May start the next. */
    void (*done)(void *arg, int rows);
    void *arg;
};

/* Before anything else on a new connection. Statements are planned once, perhaps while their tables are nearly empty,
 * and such a plan would read whole tables when they are not. */
void sched_round_prepare(struct gs_pg *pg);

struct sched_round *sched_round_new(const struct sched_round_spec *spec);
void sched_round_start(struct sched_round *r); /* not while it runs */
bool sched_round_runs(const struct sched_round *r);
/* The connection is gone and the transaction with it. */
void sched_round_lost(struct sched_round *r);
struct sched_round *sched_round_free(struct sched_round *r);

#endif
