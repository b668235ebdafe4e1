/* goalsync-notifier: the process. */
#include "common/http.h"
#include "common/kafka.h"
#include "common/pg.h"
#include "common/vault.h"
#include "services/notifier/notifier.h"

int main(int argc, char **argv)
{
    const struct gs_env *const env[] = {
        notifier_env, gs_kafka_env, gs_pg_env, gs_http_env, gs_vault_env[GS_THIRD_PARTY], NULL};
    const struct gs_service_spec spec = {
        .name = "notifier",
        .help = "Tells webhooks what happened to goals, and keeps the hourly record of credentials used.",
        .env = env,
        .start = notifier_start,
        .ready = notifier_ready,
        .drain = notifier_drain,
        .stop = notifier_stop,
    };
    return gs_service_main(&spec, argc, argv);
}
