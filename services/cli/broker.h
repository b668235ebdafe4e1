/* Kafka for the command line: waiting calls on one client. */
#ifndef CLI_BROKER_H
#define CLI_BROKER_H

#include "services/cli/cli.h"

#include <librdkafka/rdkafka.h>

enum { CLI_BROKER_WAIT_MS = 5000 };

/* The groups whose lag and dead letters count, ended by null. */
extern const char *const cli_groups_of_consumers[];

/* Reads the settings and makes sure that a broker answers; c->kafka is set. */
enum cli_exit cli_broker_open(struct cli *c) GS_MUST_CHECK;
/* Everything the cluster has; null: failed. The caller destroys (rd_kafka_metadata_destroy). */
const struct rd_kafka_metadata *cli_broker_metadata(struct cli *c);
/* All partitions of the topics that begin with prefix; offsets not set. The caller destroys. */
rd_kafka_topic_partition_list_t *cli_broker_partitions(const struct rd_kafka_metadata *m, const char *prefix);
/* Sets the offsets to the partitions' ends. */
enum cli_exit cli_broker_ends(struct cli *c, rd_kafka_topic_partition_list_t *list) GS_MUST_CHECK;
/* How many members the group has; -1: the broker does not tell. */
int cli_broker_members(struct cli *c, const char *group);
/* Sets the offsets to what the group committed; negative: nothing. */
enum cli_exit cli_broker_committed(struct cli *c, const char *group,
                                   rd_kafka_topic_partition_list_t *list) GS_MUST_CHECK;

#endif
