/* goalsync topics: the topics of the catalogue's connectors and of the services. */
#include "services/cli/broker.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 256, PARTITIONS_MAX = 1000, REPLICATION_MAX = 9, CREATE_WAIT_MS = 30000, URGENT_PARTITIONS = 2 };

struct topic {
    char name[200];
    int partitions;
    const char *retention_ms;
    bool created;
};

struct topics {
    struct topic items[TOPICS_MAX];
    size_t n;
};

/* How long messages are kept, in milliseconds: requests until they have expired many times over; results and events
 * for a replay; answers to previews until the one who asked has read them; dead letters until a person has looked. */
static const char keep_requests[] = "86400000", keep_urgent[] = "3600000", keep_results[] = "604800000",
                  keep_answers[] = "600000", keep_dead[] = "2592000000";

static void add(struct topics *t, const char *retention_ms, int partitions, const char *prefix, const char *rest)
{
    struct topic *topic = &t->items[t->n];

    if (t->n == TOPICS_MAX)
        return; /* the catalogue is ours; it has some thirty entries */
    t->n++;
    snprintf(topic->name, sizeof(topic->name), "%s%s", prefix, rest);
    topic->partitions = partitions;
    topic->retention_ms = retention_ms;
}

static void all_topics(struct topics *t, int partitions)
{
    char lane[120];

    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++) {
        if (e->connector->pushed)
            continue;
        snprintf(lane, sizeof(lane), "%s.%s", gs_category_dashed(e->category), e->name);
        add(t, keep_requests, partitions, "fetch.requested.", lane);
        add(t, keep_urgent, partitions < URGENT_PARTITIONS ? partitions : URGENT_PARTITIONS, "fetch.urgent.", lane);
    }
    add(t, keep_results, partitions, "fetch.completed", "");
    add(t, keep_answers, 1, "fetch.answered", "");
    add(t, keep_results, partitions, "goal.changed", "");
    add(t, keep_results, partitions, "goal.noted", "");
    for (const char *const *group = cli_groups_of_consumers; *group; group++)
        add(t, keep_dead, 1, "dlq.", *group);
}

static rd_kafka_NewTopic_t *new_topic(const struct topic *t, int replication)
{
    char text[512];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(t->name, t->partitions, replication, text, sizeof(text));

    if (topic) {
        rd_kafka_NewTopic_set_config(topic, "retention.ms", t->retention_ms);
        rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "delete");
    }
    return topic;
}

static struct topic *find_topic(struct topics *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (gs_str_eq(t->items[i].name, name))
            return &t->items[i];
    return NULL;
}

static enum cli_exit read_answers(struct cli *c, rd_kafka_event_t *event, struct topics *t)
{
    const rd_kafka_CreateTopics_result_t *result = event ? rd_kafka_event_CreateTopics_result(event) : NULL;
    const rd_kafka_topic_result_t **answers;
    size_t n = 0;

    if (!event)
        return cli_fail(c, CLI_TIMEOUT, "Kafka did not answer in time; run `goalsync topics create` again");
    if (rd_kafka_event_error(event))
        return cli_fail(c, CLI_UNREACHABLE, "the topics could not be created: %s", rd_kafka_event_error_string(event));
    answers = rd_kafka_CreateTopics_result_topics(result, &n);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(answers[i]);
        struct topic *topic = find_topic(t, rd_kafka_topic_result_name(answers[i]));
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            return cli_fail(c, CLI_REFUSED, "topic %s could not be created: %s", rd_kafka_topic_result_name(answers[i]),
                            rd_kafka_topic_result_error_string(answers[i]));
        if (topic)
            topic->created = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return CLI_OK;
}

static enum cli_exit create_all(struct cli *c, struct topics *t, int replication)
{
    rd_kafka_NewTopic_t *wanted[TOPICS_MAX];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c->kafka);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(c->kafka, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_event_t *event;
    char text[256];
    size_t n = 0;
    enum cli_exit rc;

    for (size_t i = 0; i < t->n; i++) {
        wanted[n] = new_topic(&t->items[i], replication);
        n += wanted[n] != NULL;
    }
    /* Waits until the new topics are known on all brokers, so that services started next find them. */
    rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_WAIT_MS / 2, text, sizeof(text));
    rd_kafka_AdminOptions_set_request_timeout(options, CREATE_WAIT_MS, text, sizeof(text));
    rd_kafka_CreateTopics(c->kafka, wanted, n, options, queue);
    event = rd_kafka_queue_poll(queue, CREATE_WAIT_MS + 5000);
    rc = read_answers(c, event, t);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(wanted, n);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return rc;
}

/* "name:partitions,..." as goalsync-devbroker takes them; asks no broker. */
static void print_wanted(const struct topics *t)
{
    for (size_t i = 0; i < t->n; i++)
        printf("%s%s:%d", i ? "," : "", t->items[i].name, t->items[i].partitions);
    printf("\n");
}

static enum cli_exit run_create(struct cli *c)
{
    static struct topics t; /* large */
    int64_t partitions, replication;
    enum cli_exit rc = cli_opt_int(c, "partitions", (struct cli_range){4, 1, PARTITIONS_MAX}, &partitions);

    if (rc == CLI_OK)
        rc = cli_opt_int(c, "replication", (struct cli_range){-1, 1, REPLICATION_MAX}, &replication);
    if (rc != CLI_OK)
        return rc;
    all_topics(&t, (int)partitions);
    if (cli_has(c, "print")) {
        print_wanted(&t);
        return CLI_OK;
    }
    rc = cli_broker_open(c);
    if (rc == CLI_OK)
        rc = create_all(c, &t, (int)replication);
    if (rc != CLI_OK)
        return rc;
    for (size_t i = 0; i < t.n; i++) {
        if (c->json)
            printf("%s{\"topic\":\"%s\",\"created\":%s}", i ? ",\n " : "{\"topics\":[", t.items[i].name,
                   t.items[i].created ? "true" : "false");
        else
            printf("%-8s %s\n", t.items[i].created ? "created" : "exists", t.items[i].name);
    }
    if (c->json)
        printf("]}\n");
    return CLI_OK;
}

static int compare_topics(const void *a, const void *b)
{
    const struct rd_kafka_metadata_topic *const *x = a, *const *y = b;

    return strcmp((*x)->topic, (*y)->topic);
}

static void list_line(const struct cli *c, const struct rd_kafka_metadata_topic *topic, bool ours, bool first)
{
    int replication = topic->partition_cnt ? topic->partitions[0].replica_cnt : 0;

    if (c->json)
        printf("%s{\"topic\":\"%s\",\"partitions\":%d,\"replication\":%d,\"ours\":%s}", first ? "" : ",\n ",
               topic->topic, topic->partition_cnt, replication, ours ? "true" : "false");
    else
        printf("%-52s %10d %11d%s\n", topic->topic, topic->partition_cnt, replication,
               ours ? "" : "   (not goalsync's)");
}

static enum cli_exit run_list(struct cli *c)
{
    static struct topics t; /* large */
    const struct rd_kafka_metadata *m;
    const struct rd_kafka_metadata_topic **sorted;
    bool first = true;
    enum cli_exit rc = cli_broker_open(c);

    m = rc == CLI_OK ? cli_broker_metadata(c) : NULL;
    if (!m)
        return c->code;
    all_topics(&t, 1);
    sorted = gs_alloc_n((size_t)m->topic_cnt + 1, sizeof(const struct rd_kafka_metadata_topic *));
    for (int i = 0; i < m->topic_cnt; i++)
        sorted[i] = &m->topics[i];
    qsort(sorted, (size_t)m->topic_cnt, sizeof(const struct rd_kafka_metadata_topic *), compare_topics);
    printf(c->json ? "{\"topics\":[" : "TOPIC                                                PARTITIONS REPLICATION\n");
    for (int i = 0; i < m->topic_cnt; i++) {
        if (gs_str_starts(sorted[i]->topic, "__"))
            continue; /* Kafka's own */
        list_line(c, sorted[i], find_topic(&t, sorted[i]->topic) != NULL, first);
        first = false;
    }
    printf("%s", c->json ? "]}\n" : "");
    free((void *)sorted);
    rd_kafka_metadata_destroy(m);
    return CLI_OK;
}

static const struct cli_option create_options[] = {
    {"partitions", "N", "of the busy topics; default 4. At least as many as replicas of a service", 0},
    {"replication", "R", "copies of each partition; default: the brokers'", 0},
    {"print", NULL, "only print what would be made, as name:partitions,...", 0},
    {0},
};

const struct cli_command cli_topics_commands[] = {
    {"create", "", "Creates the topics that are missing; those that exist stay as they are", create_options,
     "  goalsync topics create --partitions 12 --replication 3\n", run_create},
    {"list", "", "Lists the topics", NULL, NULL, run_list},
    {0},
};
