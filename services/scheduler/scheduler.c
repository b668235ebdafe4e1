/* Wires the scheduler: a producer, the hourly lane, the Sync now lane. */
#include "services/scheduler/scheduler.h"

#include "common/kafka.h"
#include "common/mem.h"
#include "services/scheduler/claim.h"
#include "services/scheduler/sync_now.h"

#include <stdlib.h>

struct sched {
    struct gs_service *svc;
    struct gs_producer *producer;
    struct sched_claim *claim;
    struct sched_sync *sync;
    int draining; /* lanes that have not ended yet */
};

struct sched *sched_new(struct gs_service *svc, const struct sched_conf *conf, struct gs_err *err)
{
    struct sched *s = gs_alloc(sizeof *s);
    uv_loop_t *loop = gs_service_loop(svc);

    s->svc = svc;
    s->producer = gs_producer_new(loop, gs_service_name(svc), err);
    if (s->producer)
        s->claim = sched_claim_new(loop, conf, s->producer, err);
    if (s->claim)
        s->sync = sched_sync_new(loop, conf, s->producer, err);
    return s->sync ? s : sched_free(s);
}

void sched_ready(struct sched *s, struct gs_buf *reasons)
{
    if (!sched_claim_up(s->claim) || !sched_sync_up(s->sync))
        gs_buf_printf(reasons, "database: %s\n", sched_claim_error(s->claim));
    if (!gs_producer_connected(s->producer))
        gs_buf_puts(reasons, "Kafka: no broker has answered\n");
}

static void lane_idle(void *arg)
{
    struct sched *s = arg;

    if (--s->draining == 0)
        gs_service_drained(s->svc);
}

void sched_drain(struct sched *s)
{
    s->draining = 2;
    sched_claim_drain(s->claim, lane_idle, s);
    sched_sync_drain(s->sync, lane_idle, s);
}

/* The producer goes last: what it still holds is reported to rounds that are gone. */
struct sched *sched_free(struct sched *s)
{
    if (!s)
        return NULL;
    s->claim = sched_claim_free(s->claim);
    s->sync = sched_sync_free(s->sync);
    s->producer = gs_producer_free(s->producer);
    free(s);
    return NULL;
}
