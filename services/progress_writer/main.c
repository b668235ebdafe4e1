/* goalsync-progress-writer: the process. */
#include "common/kafka.h"
#include "common/pg.h"
#include "services/progress_writer/writer.h"

int main(int argc, char **argv)
{
    static const struct gs_env *const env[] = {writer_env, gs_kafka_env, gs_pg_env, NULL};
    static const struct gs_service_spec spec = {
        .name = "progress-writer",
        .help = "Applies what the sources answered to goals, rolls it up, and publishes what changed.",
        .env = env,
        .start = writer_start,
        .ready = writer_ready,
        .drain = writer_drain,
        .stop = writer_stop,
    };
    return gs_service_main(&spec, argc, argv);
}
