/* librdkafka: settings, configurations, and how its queues wake the loop. */
#include "common/kafka_private.h"

#include "common/auto.h"
#include "common/backoff.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

const struct gs_log_ctx gs_kafka_log = {.topic = "kafka"};

static struct {
    char *brokers, *security, *mechanism, *user, *password, *ca_file, *cert_file, *key_file, *instance, *properties;
    int64_t linger_us;
} settings;

const struct gs_env gs_kafka_env[] = {
    {"GOALSYNC_KAFKA_BROKERS", GS_ENV_STRING, &settings.brokers, GS_ENV_REQUIRED, 0, 0,
     "brokers to begin with, host:port,..."},
    {"GOALSYNC_KAFKA_SECURITY", GS_ENV_STRING, &settings.security, "plaintext", 0, 0,
     "plaintext, ssl, sasl_plaintext or sasl_ssl"},
    {"GOALSYNC_KAFKA_SASL_MECHANISM", GS_ENV_STRING, &settings.mechanism, "", 0, 0,
     "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
    {"GOALSYNC_KAFKA_USER", GS_ENV_STRING, &settings.user, "", 0, 0, "SASL user"},
    {"GOALSYNC_KAFKA_PASSWORD", GS_ENV_SECRET, &settings.password, "", 0, 0, "SASL password"},
    {"GOALSYNC_KAFKA_CA_FILE", GS_ENV_STRING, &settings.ca_file, "", 0, 0,
     "certificates the brokers' must lead to, PEM"},
    {"GOALSYNC_KAFKA_CERT_FILE", GS_ENV_STRING, &settings.cert_file, "", 0, 0, "our certificate, PEM"},
    {"GOALSYNC_KAFKA_KEY_FILE", GS_ENV_STRING, &settings.key_file, "", 0, 0, "our private key, PEM"},
    {"GOALSYNC_KAFKA_GROUP_INSTANCE", GS_ENV_STRING, &settings.instance, "", 0, 0,
     "static group membership: a name that stays over restarts and differs between replicas"},
    {"GOALSYNC_KAFKA_LINGER", GS_ENV_SECONDS, &settings.linger_us, "5ms", 0, 60,
     "how long messages are gathered into a batch"},
    {"GOALSYNC_KAFKA_PROPERTIES", GS_ENV_SECRET, &settings.properties, "", 0, 0,
     "further librdkafka properties, name=value;name=value"},
    GS_ENV_END,
};

/* Which setting a property comes from, to name it in errors. */
static const struct {
    const char *property, *setting;
    char **value;
} plain[] = {
    {"bootstrap.servers", "GOALSYNC_KAFKA_BROKERS", &settings.brokers},
    {"security.protocol", "GOALSYNC_KAFKA_SECURITY", &settings.security},
    {"sasl.mechanism", "GOALSYNC_KAFKA_SASL_MECHANISM", &settings.mechanism},
    {"sasl.username", "GOALSYNC_KAFKA_USER", &settings.user},
    {"sasl.password", "GOALSYNC_KAFKA_PASSWORD", &settings.password},
    {"ssl.ca.location", "GOALSYNC_KAFKA_CA_FILE", &settings.ca_file},
    {"ssl.certificate.location", "GOALSYNC_KAFKA_CERT_FILE", &settings.cert_file},
    {"ssl.key.location", "GOALSYNC_KAFKA_KEY_FILE", &settings.key_file},
};

struct property {
    const char *name, *value;
};

/* Ours; GOALSYNC_KAFKA_PROPERTIES may change them. */
static const struct property common_defaults[] = {
    {"topic.metadata.refresh.interval.ms", "5000"}, /* how soon a new topic or partition is seen */
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "1000"},
    {"socket.nagle.disable", "true"},
    {"log.connection.close", "false"},
    {0},
};

static const struct property producer_defaults[] = {
    {"enable.idempotence", "true"},    /* implies acks=all */
    {"partitioner", "murmur2_random"}, /* a key's partition is the same as from the Java client */
    {"message.timeout.ms", "120000"},
    {"topic.metadata.propagation.max.ms", "5000"}, /* a topic that does not exist is told soon */
    {"queue.buffering.max.messages", "100000"},
    {"queue.buffering.max.kbytes", "131072"},
    {0},
};

static const struct property consumer_defaults[] = {
    {"partition.assignment.strategy", "cooperative-sticky"},
    {"auto.offset.reset", "earliest"},
    {"enable.auto.offset.store", "false"},
    {"enable.auto.commit", "true"},
    {"auto.commit.interval.ms", "2000"},
    {"session.timeout.ms", "10000"},
    {"heartbeat.interval.ms", "2000"},
    {"fetch.wait.max.ms", "100"},
    {"fetch.error.backoff.ms", "100"},
    {"queued.min.messages", "100000"}, /* for each lane; when it is reached the fetcher rests for a whole second */
    {"queued.max.messages.kbytes", "32768"},
    {0},
};

const char *gs_kafka_group_instance(void)
{
    return settings.instance;
}

void gs_kafka_conf_must(rd_kafka_conf_t *conf, const char *property, const char *value)
{
    char text[GS_KAFKA_ERR_TEXT];
    rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, property, value, text, sizeof text);

    if (res != RD_KAFKA_CONF_OK)
        gs_log_error(&gs_kafka_log, "bad property", "property=%s error=\"%s\"", property, text);
    assert(res == RD_KAFKA_CONF_OK);
}

static void set_defaults(rd_kafka_conf_t *conf, const struct property *p)
{
    for (; p->name; p++)
        gs_kafka_conf_must(conf, p->name, p->value);
}

static enum gs_rc set_plain(rd_kafka_conf_t *conf, struct gs_err *err)
{
    char text[GS_KAFKA_ERR_TEXT];

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        const char *value = *plain[i].value;
        if (!value || !*value)
            continue;
        if (rd_kafka_conf_set(conf, plain[i].property, value, text, sizeof text) != RD_KAFKA_CONF_OK)
            return gs_fail(err, GS_REJECT, "%s: %s", plain[i].setting, text);
    }
    return GS_OK;
}

static enum gs_rc set_further(rd_kafka_conf_t *conf, struct gs_err *err)
{
    GS_AUTO(gs_freep) char *all = gs_strdup(settings.properties ? settings.properties : "");
    enum gs_rc rc = GS_OK;
    char *save = NULL;

    for (char *one = strtok_r(all, ";", &save); one && rc == GS_OK; one = strtok_r(NULL, ";", &save)) {
        char text[GS_KAFKA_ERR_TEXT];
        one += strspn(one, " \t\n");
        if (!*one)
            continue;
        char *value = strchr(one, '=');
        if (!value) {
            rc = gs_fail(err, GS_REJECT,
                         "GOALSYNC_KAFKA_PROPERTIES: a property without \"=\"; write name=value;name=value");
            break;
        }
        *value++ = '\0';
        if (rd_kafka_conf_set(conf, one, value, text, sizeof text) != RD_KAFKA_CONF_OK)
            rc = gs_fail(err, GS_REJECT, "GOALSYNC_KAFKA_PROPERTIES: %s", text);
    }
    gs_wipe(all, settings.properties ? strlen(settings.properties) : 0);
    return rc;
}

/* Unique over all processes: librdkafka's group code tells members apart by it. */
static void set_client_id(rd_kafka_conf_t *conf, const char *client_id)
{
    char id[200];

    snprintf(id, sizeof id, "goalsync-%.150s-%08" PRIx32, client_id, (uint32_t)gs_random64());
    gs_kafka_conf_must(conf, "client.id", id);
}

rd_kafka_conf_t *gs_kafka_conf_of(enum gs_kafka_kind kind, const char *client_id, struct gs_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char linger[32];

    set_client_id(conf, client_id);
    set_defaults(conf, common_defaults);
    if (kind == GS_KAFKA_PRODUCER) {
        set_defaults(conf, producer_defaults);
        snprintf(linger, sizeof linger, "%.3f", (double)settings.linger_us / 1000);
        gs_kafka_conf_must(conf, "linger.ms", linger);
    } else if (kind == GS_KAFKA_CONSUMER) {
        set_defaults(conf, consumer_defaults);
    }
    if (set_plain(conf, err) == GS_OK && set_further(conf, err) == GS_OK)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_conf_t *gs_kafka_conf_new(const char *client_id, struct gs_err *err)
{
    return gs_kafka_conf_of(GS_KAFKA_ADMIN, client_id, err);
}

static const char *setting_blamed(const char *text)
{
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strstr(text, plain[i].property))
            return plain[i].setting;
    return strstr(text, "sasl") ? "GOALSYNC_KAFKA_SASL_MECHANISM" : "GOALSYNC_KAFKA_...";
}

/* librdkafka 2.0.2 has freed parts of a configuration with interceptors when it fails late, so destroying it would free
 * them twice. The pointer is kept for leak checkers; the process is about to end in most cases. */
static rd_kafka_conf_t *volatile abandoned;

rd_kafka_t *gs_kafka_client_new(enum gs_kafka_kind kind, rd_kafka_conf_t *conf, struct gs_err *err)
{
    char text[GS_KAFKA_ERR_TEXT], clean[GS_KAFKA_ERR_TEXT];
    rd_kafka_type_t type = kind == GS_KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;

    gs_kafka_conf_must(conf, "log.queue", "true");
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    if (rk)
        return rk;
    abandoned = conf;
    gs_str_clean(clean, sizeof clean, text, strlen(text));
    gs_fail(err, GS_REJECT, "%s: %s", setting_blamed(text), clean);
    return NULL;
}

/* ---- queues and the loop ---- */

struct gs_kafka_wake {
    rd_kafka_queue_t *queue;
    struct gs_watch *watch;
    void (*fn)(void *arg);
    void *arg;
    int fd;
};

static const uint64_t one = 1;

static void on_wake(void *arg, int events)
{
    struct gs_kafka_wake *w = arg;
    uint64_t n;

    (void)events;
    if (read(w->fd, &n, sizeof n) == sizeof n)
        w->fn(w->arg);
}

struct gs_kafka_wake *gs_kafka_wake_new(uv_loop_t *loop, rd_kafka_queue_t *queue, void (*fn)(void *arg), void *arg)
{
    struct gs_kafka_wake *w = gs_alloc(sizeof *w);

    *w = (struct gs_kafka_wake){.queue = queue, .fn = fn, .arg = arg, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (w->fd < 0) {
        perror("eventfd"); /* out of descriptors: nothing can go on */
        abort();
    }
    w->watch = gs_watch_new(loop, w->fd, on_wake, w);
    gs_watch_set(w->watch, UV_READABLE);
    rd_kafka_queue_io_event_enable(queue, w->fd, &one, sizeof one);
    gs_kafka_wake_again(w); /* for what was in the queue before */
    return w;
}

void gs_kafka_wake_again(struct gs_kafka_wake *w)
{
    /* Fails only when the counter is full: then it is signalled anyway. */
    if (write(w->fd, &one, sizeof one) < 0)
        return;
}

struct gs_kafka_wake *gs_kafka_wake_free(struct gs_kafka_wake *w)
{
    if (!w)
        return NULL;
    rd_kafka_queue_io_event_enable(w->queue, -1, NULL, 0);
    gs_watch_free(w->watch);
    close(w->fd);
    free(w);
    return NULL;
}

static void write_log(rd_kafka_event_t *ev)
{
    const char *facility, *line;
    char clean[GS_KAFKA_ERR_TEXT];
    int severity; /* as in syslog */

    if (rd_kafka_event_log(ev, &facility, &line, &severity) != 0)
        return;
    gs_str_clean(clean, sizeof clean, line, strlen(line));
    /* GOALSYNC_KAFKA_PROPERTIES serve producers and consumers; that some do not fit is no news. */
    if (strcmp(facility, "CONFWARN") == 0)
        severity = 7;
    enum gs_log_level level = severity <= 4 ? GS_LOG_WARN : severity <= 6 ? GS_LOG_INFO : GS_LOG_DEBUG;
    GS_LOG_AT(&gs_kafka_log, level, "librdkafka", "facility=%s text=\"%s\"", facility, clean);
}

void gs_kafka_events(rd_kafka_queue_t *queue, struct gs_kafka_wake *w, void (*fn)(void *arg, rd_kafka_event_t *ev),
                     void *arg)
{
    for (int i = 0; i < GS_KAFKA_EVENTS_PER_TURN; i++) {
        rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, 0);
        if (!ev)
            return;
        if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_LOG)
            write_log(ev);
        else
            fn(arg, ev);
        rd_kafka_event_destroy(ev);
    }
    gs_kafka_wake_again(w);
}
