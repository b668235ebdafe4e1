/* goalsync-gateway: the process. */
#include "common/kafka.h"
#include "common/pg.h"
#include "common/vault.h"
#include "services/fetch/hosts.h"
#include "services/gateway/ask.h"
#include "services/gateway/private.h"
#include "services/gateway/settings.h"
#include "services/gateway/webhook.h"

int main(int argc, char **argv)
{
    const struct gs_env *const env[] = {gw_env,
                                        gw_auth_env,
                                        gw_ask_env,
                                        gw_webhook_env,
                                        fetch_hosts_env,
                                        gs_pg_env,
                                        gs_kafka_env,
                                        gs_vault_env[GS_IN_BOUNDARY],
                                        gs_vault_env[GS_CROSS_BOUNDARY],
                                        gs_vault_env[GS_THIRD_PARTY],
                                        NULL};
    const struct gs_service_spec spec = {
        .name = "gateway",
        .help = "Serves the API: people, programs and administrators come in here.",
        .env = env,
        .start = gw_server_start,
        .ready = gw_server_ready,
        .drain = gw_server_drain,
        .stop = gw_server_stop,
    };
    return gs_service_main(&spec, argc, argv);
}
