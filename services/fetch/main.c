/* A fetch worker of one category (FETCH_CATEGORY): asks sources for the values of requests. */
#include "services/fetch/worker.h"

static void *start(struct gs_service *service, struct gs_err *err)
{
    return fetch_worker_start(service, FETCH_CATEGORY, err);
}

int main(int argc, char **argv)
{
    static const char *const names[GS_CATEGORIES] = {"fetch-in-boundary", "fetch-cross-boundary", "fetch-third-party"};
    const struct gs_service_spec spec = {
        .name = names[FETCH_CATEGORY],
        .help = "Asks sources for the numbers of linked goals. --connectors a,b: only these, e.g. for a worker of "
                "their own "
                "(let the common worker leave them alone by GOALSYNC_FETCH_EXCLUDE).",
        .env = fetch_worker_env(FETCH_CATEGORY),
        .start = start,
        .ready = fetch_worker_ready,
        .drain = fetch_worker_drain,
        .stop = fetch_worker_stop,
    };

    return gs_service_main(&spec, argc, argv);
}
