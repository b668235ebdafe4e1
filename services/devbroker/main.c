/* Development broker: librdkafka's mock cluster in a process of its own, where no Kafka can be had. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOPICS_TEXT_MAX 65536
#define PARTITIONS_MAX  1024
#define BROKERS         1

static const char warning[] = "goalsync-devbroker keeps messages in memory only: they are gone when it ends, and each "
                              "partition keeps its newest\n"
                              "5 MiB. It has no transactions, no admin requests, no TLS, no sign-in. It is for trying "
                              "goalsync on a machine without\n"
                              "Java, not for production.\n";

static const char usage[] =
    "Usage: goalsync-devbroker [--topics NAME:PARTITIONS,...] [--bootstrap-file FILE]\n"
    "An in-memory stand-in for Kafka on 127.0.0.1; ports are chosen by the kernel.\n\n"
    "  --topics          topics to make at the start; others appear, with 4 partitions, when used\n"
    "  --bootstrap-file  where to write the address for GOALSYNC_KAFKA_BROKERS; it is printed, too\n\n"
    "Ends on SIGTERM or SIGINT. Exit codes: 0 ended so, 1 wrong arguments, 2 failed.\n\n";

struct arguments {
    const char *topics, *file;
};

static int refuse(const char *what, const char *which)
{
    fprintf(stderr, "goalsync-devbroker: %s: %s; see --help\n", what, which);
    return -1;
}

/* 0: go on; 1: help or the version was given; -1: refused. */
static int read_arguments(int argc, char **argv, struct arguments *ret)
{
    static const struct option options[] = {{"topics", required_argument, NULL, 't'},
                                            {"bootstrap-file", required_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 't') {
            ret->topics = optarg;
        } else if (option == 'f') {
            ret->file = optarg;
        } else if (option == 'h') {
            printf("%s%s", usage, warning);
            return 1;
        } else if (option == 'v') {
            printf("goalsync-devbroker %s\n", GOALSYNC_VERSION);
            return 1;
        } else {
            return -1; /* getopt has said why */
        }
    }
    return optind < argc ? refuse("unexpected argument", argv[optind]) : 0;
}

static int make_topic(rd_kafka_mock_cluster_t *cluster, char *text)
{
    char *colon = strrchr(text, ':'), *end = NULL;
    long partitions = colon ? strtol(colon + 1, &end, 10) : 0;

    if (!colon || colon == text || end == colon + 1 || *end || partitions < 1 || partitions > PARTITIONS_MAX)
        return refuse("a topic is NAME:PARTITIONS with 1 to 1024 partitions, not", text);
    *colon = '\0';
    rd_kafka_resp_err_t e = rd_kafka_mock_topic_create(cluster, text, (int)partitions, BROKERS);
    return e ? refuse(rd_kafka_err2str(e), text) : 0;
}

static int make_topics(rd_kafka_mock_cluster_t *cluster, const char *topics)
{
    char text[TOPICS_TEXT_MAX];
    char *save = NULL;

    if (!topics)
        return 0;
    if (strlen(topics) >= sizeof text)
        return refuse("--topics", "too long");
    memcpy(text, topics, strlen(topics) + 1);
    for (char *one = strtok_r(text, ",", &save); one; one = strtok_r(NULL, ",", &save))
        if (make_topic(cluster, one) != 0)
            return -1;
    return 0;
}

/* Whoever waits for the file must never see half of it. */
static int announce(const char *address, const char *file)
{
    char part[4096];

    printf("%s\n", address);
    fflush(stdout);
    if (!file)
        return 0;
    if (snprintf(part, sizeof part, "%s.part", file) >= (int)sizeof part)
        return refuse("path too long", file);
    FILE *f = fopen(part, "w");
    int failed = !f || fprintf(f, "%s\n", address) < 0;
    if (f && fclose(f) != 0)
        failed = 1;
    if (!failed && rename(part, file) == 0)
        return 0;
    perror(part);
    return -1;
}

static int serve(const struct arguments *args, const sigset_t *end)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int got, result = 2;

    /* The client that owns the cluster is never used: no word about its missing brokers. */
    rd_kafka_conf_set(conf, "log_level", "3", text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    rd_kafka_mock_cluster_t *cluster = rk ? rd_kafka_mock_cluster_new(rk, BROKERS) : NULL;
    if (!cluster)
        fprintf(stderr, "goalsync-devbroker: no cluster: %s\n", rk ? "out of ports or memory" : text);
    else if (make_topics(cluster, args->topics) != 0)
        result = 1;
    else if (announce(rd_kafka_mock_cluster_bootstraps(cluster), args->file) == 0 && sigwait(end, &got) == 0)
        result = 0;
    if (cluster)
        rd_kafka_mock_cluster_destroy(cluster);
    if (rk)
        rd_kafka_destroy(rk);
    return result;
}

int main(int argc, char **argv)
{
    struct arguments args = {0};
    sigset_t end;

    int read = read_arguments(argc, argv, &args);
    if (read != 0)
        return read > 0 ? 0 : 1;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    sigprocmask(SIG_BLOCK, &end, NULL); /* before any thread is made */
    fputs(warning, stderr);
    return serve(&args, &end);
}
