/* Scheduler: finds the batches of links that are due, and asks a fetch worker for each of them. */
#include "common/kafka.h"
#include "common/pg.h"
#include "common/service.h"
#include "services/scheduler/scheduler.h"

static struct sched_conf conf;

static const struct gs_env env[] = {
    {"GOALSYNC_PERIOD", GS_ENV_SECONDS, &conf.period_us, "1h", 1, 7 * 86400, "time between two syncs of a link"},
    {"GOALSYNC_CLAIM_BATCH", GS_ENV_INT, &conf.batch, "1000", 1, SCHED_BATCH_MAX,
     "due batches taken in one transaction"},
    GS_ENV_END,
};

static const struct gs_env *const tables[] = {env, gs_pg_env, gs_kafka_env, NULL};

static void *start(struct gs_service *svc, struct gs_err *err)
{
    return sched_new(svc, &conf, err);
}

static void ready(void *app, struct gs_buf *reasons)
{
    sched_ready(app, reasons);
}

static void drain(void *app)
{
    sched_drain(app);
}

static void stop(void *app)
{
    sched_free(app);
}

int main(int argc, char **argv)
{
    const struct gs_service_spec spec = {.name = "scheduler",
                                         .help = "Asks the fetch workers for every link once in each period.",
                                         .env = tables,
                                         .start = start,
                                         .ready = ready,
                                         .drain = drain,
                                         .stop = stop};

    return gs_service_main(&spec, argc, argv);
}
