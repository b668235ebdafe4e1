/* For tests of services: makes topics, and seals what an operator would have sealed.
 *
 *     fetch-test-helper topics PARTITIONS NAME...     with GOALSYNC_KAFKA_BROKERS
 *     fetch-test-helper committed PARTITIONS GROUP TOPIC    likewise; an offset for each partition, a line each
 *     fetch-test-helper seal KEYRING DATA-KEY-ID CONNECTION-ID...     the secret from stdin
 *
 * seal prints the sealed data key and then a sealed credential for each connection, in hex, a line each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/kafka.h"
#include "common/str.h"
#include "common/vault.h"

enum { TOPICS_MAX = 64, SECRET_MAX = 4096, KAFKA_TIMEOUT_MS = 20000 };

static int broken(const char *what)
{
    fprintf(stderr, "fetch-test-helper: %s\n", what);
    return 1;
}

static int make_topics(rd_kafka_t *rk, int partitions, int n, char **names)
{
    rd_kafka_NewTopic_t *topics[TOPICS_MAX];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_event_t *event;
    char error[256];
    int failed = 0;

    for (int i = 0; i < n; i++)
        topics[i] = rd_kafka_NewTopic_new(names[i], partitions, 1, error, sizeof error);
    rd_kafka_CreateTopics(rk, topics, (size_t)n, NULL, queue);
    event = rd_kafka_queue_poll(queue, KAFKA_TIMEOUT_MS);
    if (!event || rd_kafka_event_error(event))
        failed = broken(event ? rd_kafka_event_error_string(event) : "no answer from Kafka");
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(topics, (size_t)n);
    rd_kafka_queue_destroy(queue);
    return failed;
}

static int print_committed(rd_kafka_t *rk, int partitions, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);

    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i);
    rd_kafka_resp_err_t e = rd_kafka_committed(rk, list, KAFKA_TIMEOUT_MS);
    for (int i = 0; i < list->cnt && !e; i++)
        printf("%lld\n", (long long)(list->elems[i].offset < 0 ? 0 : list->elems[i].offset));
    rd_kafka_topic_partition_list_destroy(list);
    return e ? broken(rd_kafka_err2str(e)) : 0;
}

/* argv: partitions, then names of topics, or a group and a topic. */
static int with_kafka(int argc, char **argv, const char *group)
{
    const struct gs_env *const tables[] = {gs_kafka_env, NULL};
    struct gs_buf mistakes;
    struct gs_err err;
    char error[256];

    gs_buf_init(&mistakes, 4096);
    if (argc < 2 || argc - 1 > TOPICS_MAX || gs_env_read(tables, &mistakes) != GS_OK)
        return broken(gs_buf_str(&mistakes));
    rd_kafka_conf_t *conf = gs_kafka_conf_new("fetch-test-helper", &err);
    if (conf && group)
        rd_kafka_conf_set(conf, "group.id", group, NULL, 0);
    rd_kafka_t *rk =
        conf ? rd_kafka_new(group ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, error, sizeof error) : NULL;
    if (!rk)
        return broken(conf ? error : err.text);
    int failed =
        group ? print_committed(rk, atoi(argv[0]), argv[2]) : make_topics(rk, atoi(argv[0]), argc - 1, argv + 1);

    rd_kafka_destroy(rk);
    return failed;
}

static void print_hex(const void *data, size_t len)
{
    char hex[2 * (SECRET_MAX + GS_SEAL_OVERHEAD) + 1];

    gs_hex_encode(data, len, hex);
    puts(hex);
}

static int seal(int argc, char **argv)
{
    unsigned char sealed[SECRET_MAX + GS_SEAL_OVERHEAD];
    char secret[SECRET_MAX], place[64];
    struct gs_data_key key;
    struct gs_err err;
    size_t len, secret_len = fread(secret, 1, sizeof secret, stdin);
    struct gs_keyring *ring = argc > 1 ? gs_keyring_parse(argv[0], &err) : NULL;

    if (!ring || gs_data_key_new(argv[1], &key, &err) != GS_OK ||
        gs_data_key_seal(ring, &key, sealed, &len, &err) != GS_OK)
        return broken(err.text);
    print_hex(sealed, len);
    for (int i = 2; i < argc; i++) {
        snprintf(place, sizeof place, "credential:%s:third_party", argv[i]);
        if (gs_secret_seal(&key, place, secret, secret_len, sealed, &len, &err) != GS_OK)
            return broken(err.text);
        print_hex(sealed, len);
    }
    gs_data_key_done(&key);
    gs_keyring_free(ring);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "topics"))
        return with_kafka(argc - 2, argv + 2, NULL);
    if (argc == 5 && !strcmp(argv[1], "committed"))
        return with_kafka(argc - 2, argv + 2, argv[3]);
    if (argc > 2 && !strcmp(argv[1], "seal"))
        return seal(argc - 2, argv + 2);
    return broken("usage: topics PARTITIONS NAME... | committed PARTITIONS GROUP TOPIC | seal KEYRING DATA-KEY-ID "
                  "CONNECTION-ID...");
}
