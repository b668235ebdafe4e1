/* Kafka for the command line: connecting, metadata, offsets. */
#include "services/cli/broker.h"

#include "common/kafka.h"
#include "common/str.h"

#include <string.h>

const char *const cli_groups_of_consumers[] = {"goalsync-fetch-in-boundary", "goalsync-fetch-cross-boundary",
                                               "goalsync-fetch-third-party", "goalsync-progress-writer", NULL};

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

enum cli_exit cli_broker_ends(struct cli *c, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t err;

    if (list->cnt == 0)
        return CLI_OK;
    /* Asking for the offsets at the time "end" gives the ends, with one request to each broker. */
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = RD_KAFKA_OFFSET_END;
    err = rd_kafka_offsets_for_times(c->kafka, list, CLI_BROKER_WAIT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return cli_fail(c, CLI_UNREACHABLE, "Kafka did not tell the ends of its topics: %s", rd_kafka_err2str(err));
    return CLI_OK;
}

/* Copies the answered offsets into the list, which the answer has in its own order. */
static void take_offsets(const rd_kafka_topic_partition_list_t *from, rd_kafka_topic_partition_list_t *to)
{
    for (int i = 0; i < to->cnt; i++) {
        rd_kafka_topic_partition_t *found = rd_kafka_topic_partition_list_find(
            (rd_kafka_topic_partition_list_t *)(uintptr_t)from, to->elems[i].topic, to->elems[i].partition);
        to->elems[i].offset = found ? found->offset : RD_KAFKA_OFFSET_INVALID;
    }
}

enum cli_exit cli_broker_committed(struct cli *c, const char *group, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_ListConsumerGroupOffsets_t *ask = rd_kafka_ListConsumerGroupOffsets_new(group, list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c->kafka);
    rd_kafka_event_t *event;
    const rd_kafka_group_result_t **groups;
    size_t n = 0;
    enum cli_exit rc = CLI_OK;

    rd_kafka_ListConsumerGroupOffsets(c->kafka, &ask, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, CLI_BROKER_WAIT_MS);
    groups =
        event && !rd_kafka_event_error(event)
            ? rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event), &n)
            : NULL;
    if (n == 1 && !rd_kafka_group_result_error(groups[0]))
        take_offsets(rd_kafka_group_result_partitions(groups[0]), list);
    else
        rc = cli_fail(c, CLI_UNREACHABLE, "Kafka did not tell the offsets of group %s: %s", group,
                      event && rd_kafka_event_error(event) ? rd_kafka_event_error_string(event) : "no answer");
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(ask);
    return rc;
}
