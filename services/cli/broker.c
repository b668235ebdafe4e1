/* Kafka for the command line: connecting, metadata, offsets. */
#include "services/cli/broker.h"

#include "common/clock.h"
#include "common/kafka.h"
#include "common/str.h"

#include <string.h>
#include <time.h>

enum { AGAIN_MS = 200 };

const char *const cli_groups_of_consumers[] = {"goalsync-fetch-in-boundary", "goalsync-fetch-cross-boundary",
                                               "goalsync-fetch-third-party", "goalsync-progress-writer",
                                               "goalsync-notifier",          NULL};

/* What librdkafka would write to stderr ends up in our own sentence instead. */
static void ignore_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

enum cli_exit cli_broker_open(struct cli *c)
{
    const struct gs_env *const tables[] = {gs_kafka_env, NULL};
    const struct rd_kafka_metadata *m;
    rd_kafka_conf_t *conf;
    struct gs_err err;
    char text[512];
    enum cli_exit rc = cli_settings(c, tables);

    if (rc != CLI_OK)
        return rc;
    conf = gs_kafka_conf_new("cli", &err);
    if (!conf)
        return cli_fail(c, CLI_USAGE, "%s", err.text);
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    c->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!c->kafka) {
        rd_kafka_conf_destroy(conf);
        return cli_fail(c, CLI_USAGE, "the Kafka settings are wrong: %s", text);
    }
    m = cli_broker_metadata(c);
    if (!m)
        return c->code;
    rd_kafka_metadata_destroy(m);
    return CLI_OK;
}

const struct rd_kafka_metadata *cli_broker_metadata(struct cli *c)
{
    const struct rd_kafka_metadata *m;
    rd_kafka_resp_err_t err = rd_kafka_metadata(c->kafka, 1, NULL, &m, CLI_BROKER_WAIT_MS);

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return m;
    (void)cli_fail(c, CLI_UNREACHABLE,
                   "Kafka does not answer: %s; check GOALSYNC_KAFKA_BROKERS and that the brokers run",
                   rd_kafka_err2str(err));
    return NULL;
}

rd_kafka_topic_partition_list_t *cli_broker_partitions(const struct rd_kafka_metadata *m, const char *prefix)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

    for (int i = 0; i < m->topic_cnt; i++)
        for (int k = 0; gs_str_starts(m->topics[i].topic, prefix) && k < m->topics[i].partition_cnt; k++)
            rd_kafka_topic_partition_list_add(list, m->topics[i].topic, m->topics[i].partitions[k].id);
    return list;
}

/* Right after a start leaders and coordinators move; such answers are asked for again. False: time is up, or worth no
 * other. */
static bool try_again(rd_kafka_resp_err_t err, int64_t until_us)
{
    const struct timespec pause = {0, AGAIN_MS * 1000000L};
    bool passing = err == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
                   err == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS || err == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
                   err == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;

    if (!passing || gs_mono_us() > until_us)
        return false;
    nanosleep(&pause, NULL);
    return true;
}

enum cli_exit cli_broker_ends(struct cli *c, rd_kafka_topic_partition_list_t *list)
{
    int64_t until_us = gs_mono_us() + CLI_BROKER_WAIT_MS * INT64_C(1000);
    rd_kafka_resp_err_t err;

    if (list->cnt == 0)
        return CLI_OK;
    do {
        /* Asking for the offsets at the time "end" gives the ends, with one request to each broker. */
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = RD_KAFKA_OFFSET_END;
        err = rd_kafka_offsets_for_times(c->kafka, list, CLI_BROKER_WAIT_MS);
    } while (try_again(err, until_us));
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return cli_fail(c, CLI_UNREACHABLE, "Kafka did not tell the ends of its topics: %s", rd_kafka_err2str(err));
    return CLI_OK;
}

/* By a consumer of that group that joins nothing. The admin API's call for this crashes librdkafka 2.0.2 when the
 * group's coordinator is not yet up. */
static rd_kafka_resp_err_t ask_committed(const char *group, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_conf_t *conf = gs_kafka_conf_new("cli", NULL);
    char text[512];
    rd_kafka_resp_err_t err;
    rd_kafka_t *rk;

    if (!conf)
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    rd_kafka_conf_set(conf, "group.id", group, text, sizeof(text));
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    }
    err = rd_kafka_committed(rk, list, CLI_BROKER_WAIT_MS);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return err;
}

enum cli_exit cli_broker_committed(struct cli *c, const char *group, rd_kafka_topic_partition_list_t *list)
{
    int64_t until_us = gs_mono_us() + CLI_BROKER_WAIT_MS * INT64_C(1000);
    rd_kafka_resp_err_t err;

    do
        err = ask_committed(group, list);
    while (try_again(err, until_us));
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return cli_fail(c, CLI_UNREACHABLE, "Kafka did not tell the offsets of group %s: %s", group,
                        rd_kafka_err2str(err));
    return CLI_OK;
}

int cli_broker_members(struct cli *c, const char *group)
{
    const struct rd_kafka_group_list *groups = NULL;
    int members = -1;

    if (rd_kafka_list_groups(c->kafka, group, &groups, CLI_BROKER_WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR || !groups)
        return -1;
    if (groups->group_cnt == 1 && groups->groups[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
        members = groups->groups[0].member_cnt;
    rd_kafka_group_list_destroy(groups);
    return members;
}
