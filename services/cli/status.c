/* goalsync status: what an operator looks at first. It goes on when a server is away: that is what it is asked for. */
#include "services/cli/broker.h"
#include "services/cli/db.h"
#include "services/cli/groups.h"
#include "services/cli/link.h"
#include "services/cli/out.h"

#include "common/mem.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ATTENTION_MAX = 64, /* sentences */
    ATTENTION_TEXT = 600,
    LANES_MAX = 512,     /* pairs of group and topic */
    LAG_MAX = 10000,     /* messages that a group may be behind in one topic */
    OUTBOX_SECONDS = 60, /* age of an event that was not published */
    TROUBLES_SHOWN = 20, /* links that are named */
};

struct lane {
    const char *group;
    char topic[200];
    int64_t lag;
};

struct status {
    char attention[ATTENTION_MAX][ATTENTION_TEXT];
    int n_attention;
    struct lane lanes[LANES_MAX];
    int n_lanes;
    int64_t dead[8]; /* as cli_groups_of_consumers */
    int brokers;
    bool database, kafka, misconfigured;
    PGresult *slots, *outbox, *offsets, *troubles;
};

GS_PRINTF(2, 3) static void attend(struct status *s, const char *fmt, ...)
{
    va_list args;

    if (s->n_attention == ATTENTION_MAX)
        return;
    va_start(args, fmt);
    vsnprintf(s->attention[s->n_attention++], ATTENTION_TEXT, fmt, args);
    va_end(args);
}

/* A server that fails is a finding, not the end. */
static void attend_failure(struct cli *c, struct status *s)
{
    attend(s, "%.590s", c->error);
    s->misconfigured |= c->code == CLI_USAGE;
    c->code = CLI_OK;
    c->error[0] = '\0';
}

/* ---- PostgreSQL ---- */

static const char slots_sql[] =
    "SELECT (SELECT count(*) FROM link) AS links, (SELECT count(*) FROM link k JOIN connection c ON c.id = "
    "k.connection_id WHERE "
    "k.state = 'active' AND c.paused_reason IS NULL) AS asked, (SELECT count(*) FROM link k JOIN connection c ON c.id "
    "= "
    "k.connection_id WHERE k.state <> 'active' OR c.paused_reason IS NOT NULL) AS paused, (SELECT count(*) FROM link "
    "WHERE failures "
    "> 0) AS failing, (SELECT count(*) FROM link WHERE outcome = 'waiting') AS waiting, "
    "count(*) FILTER (WHERE b.next_due_at < now() - interval '1 minute') AS late_1_min, "
    "count(*) FILTER (WHERE b.next_due_at < now() - interval '5 minutes') AS late_5_min, "
    "coalesce(extract(epoch FROM now() - min(b.next_due_at) FILTER (WHERE b.next_due_at < now())), 0)::bigint AS "
    "oldest_due_seconds, "
    "(SELECT coalesce(extract(epoch FROM now() - min(requested_at)), 0)::bigint FROM sync_request) AS "
    "oldest_sync_seconds "
    "FROM link_batch b JOIN connection c ON c.id = b.connection_id WHERE c.paused_reason IS NULL";

static const char outbox_sql[] =
    "SELECT count(*) AS rows, coalesce(extract(epoch FROM now() - min(created_at)), 0)::bigint AS "
    "oldest_seconds FROM outbox";

static void judge_database(struct status *s)
{
    if (cli_get_int(s->slots, 0, "late_5_min") > 0)
        attend(s, "%s slot%s more than 5 minutes late, the oldest by %s s; does goalsync-scheduler run?",
               cli_get(s->slots, 0, "late_5_min"), cli_get_int(s->slots, 0, "late_5_min") == 1 ? " is" : "s are",
               cli_get(s->slots, 0, "oldest_due_seconds"));
    if (cli_get_int(s->slots, 0, "oldest_sync_seconds") > 60)
        attend(s, "Sync now waits for %s s; does goalsync-scheduler run?", cli_get(s->slots, 0, "oldest_sync_seconds"));
    if (cli_get_int(s->slots, 0, "failing") > 0)
        attend(s, "%s link%s failing; each says what to do", cli_get(s->slots, 0, "failing"),
               cli_get_int(s->slots, 0, "failing") == 1 ? " is" : "s are");
    if (cli_get_int(s->outbox, 0, "oldest_seconds") > OUTBOX_SECONDS)
        attend(s, "events wait in the outbox for %s s; does goalsync-progress-writer run?",
               cli_get(s->outbox, 0, "oldest_seconds"));
}

static void look_at_database(struct cli *c, struct status *s)
{
    if (cli_db_open(c) == CLI_OK)
        s->slots = cli_query(c, slots_sql, CLI_NO_PARAMS);
    s->outbox = s->slots ? cli_query(c, outbox_sql, CLI_NO_PARAMS) : NULL;
    s->offsets = s->outbox ? cli_query(c, "SELECT consumer_group, topic, partition, next_offset FROM consumer_offset",
                                       CLI_NO_PARAMS)
                           : NULL;
    s->troubles =
        s->offsets
            ? cli_link_load(c,
                            "$1::text IS NULL AND (k.failures > 0 OR k.outcome = 'waiting' OR k.state <> 'active' "
                            "OR c.paused_reason IS NOT NULL)",
                            NULL)
            : NULL;
    s->database = s->troubles != NULL;
    if (s->database)
        judge_database(s);
    else
        attend_failure(c, s);
}

/* ---- Kafka ---- */

/* One lane for each topic, its partitions added up. */
static void add_lag(struct status *s, const char *group, const char *topic, int64_t lag)
{
    struct lane *lane = s->n_lanes ? &s->lanes[s->n_lanes - 1] : NULL;

    if (!lane || lane->group != group || !gs_str_eq(lane->topic, topic)) {
        if (s->n_lanes == LANES_MAX)
            return;
        lane = &s->lanes[s->n_lanes++];
        lane->group = group;
        snprintf(lane->topic, sizeof(lane->topic), "%s", topic);
    }
    lane->lag += lag;
}

/* Where a group's offsets are in the database, in the same transactions as its effects. */
static void committed_in_database(const struct status *s, const char *group, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
        for (int row = 0; s->offsets && row < PQntuples(s->offsets); row++)
            if (gs_str_eq(cli_get(s->offsets, row, "consumer_group"), group) &&
                gs_str_eq(cli_get(s->offsets, row, "topic"), list->elems[i].topic) &&
                cli_get_int(s->offsets, row, "partition") == list->elems[i].partition)
                list->elems[i].offset = cli_get_int(s->offsets, row, "next_offset");
    }
}

static void look_at_lag(struct cli *c, struct status *s, const struct rd_kafka_metadata *m, const char *group,
                        const char *prefix)
{
    bool in_database = !gs_str_starts(group, "goalsync-fetch-");
    rd_kafka_topic_partition_list_t *ends = cli_broker_partitions(m, prefix), *done;
    enum cli_exit rc = CLI_OK;

    rd_kafka_topic_partition_list_sort(ends, NULL, NULL);
    done = rd_kafka_topic_partition_list_copy(ends);
    if (ends->cnt > 0)
        rc = cli_broker_ends(c, ends);
    if (rc == CLI_OK && in_database)
        committed_in_database(s, group, done);
    else if (rc == CLI_OK && ends->cnt > 0)
        rc = cli_broker_committed(c, group, done);
    for (int i = 0; i < ends->cnt && rc == CLI_OK; i++) {
        int64_t end = ends->elems[i].offset, at = done->elems[i].offset;
        add_lag(s, group, ends->elems[i].topic, end < 0 ? 0 : at < 0 ? end : at < end ? end - at : 0);
    }
    if (rc != CLI_OK)
        attend_failure(c, s);
    rd_kafka_topic_partition_list_destroy(ends);
    rd_kafka_topic_partition_list_destroy(done);
}

/* Messages wait and nobody takes them: told at once, however few they are. */
static void look_at_members(struct cli *c, struct status *s, const char *group)
{
    int64_t waiting = 0;

    for (int i = 0; i < s->n_lanes; i++)
        if (gs_str_eq(s->lanes[i].group, group))
            waiting += s->lanes[i].lag;
    if (waiting > 0 && cli_broker_members(c, group) == 0)
        attend(s, "%" PRId64 " messages wait for %s, and none of it runs; start it", waiting, group);
}

static void look_at_group(struct cli *c, struct status *s, const struct rd_kafka_metadata *m, int group)
{
    const char *name = cli_groups_of_consumers[group];
    char topic[200];
    int64_t low = 0, high = 0;

    if (gs_str_starts(name, "goalsync-fetch-")) {
        snprintf(topic, sizeof(topic), "fetch.requested.%s.", name + strlen("goalsync-fetch-"));
        look_at_lag(c, s, m, name, topic);
        snprintf(topic, sizeof(topic), "fetch.urgent.%s.", name + strlen("goalsync-fetch-"));
        look_at_lag(c, s, m, name, topic);
    } else {
        look_at_lag(c, s, m, name, gs_str_eq(name, "goalsync-notifier") ? "goal." : "fetch.completed");
    }
    look_at_members(c, s, name);
    snprintf(topic, sizeof(topic), "dlq.%s", name);
    for (int i = 0; i < m->topic_cnt; i++)
        for (int p = 0; gs_str_eq(m->topics[i].topic, topic) && p < m->topics[i].partition_cnt; p++)
            if (rd_kafka_query_watermark_offsets(c->kafka, topic, m->topics[i].partitions[p].id, &low, &high,
                                                 CLI_BROKER_WAIT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
                s->dead[group] += high - low;
    if (s->dead[group] > 0)
        attend(s, "%" PRId64 " dead letters in %s; each says in its headers why", s->dead[group], topic);
}

static void look_at_kafka(struct cli *c, struct status *s)
{
    const struct rd_kafka_metadata *m = cli_broker_open(c) == CLI_OK ? cli_broker_metadata(c) : NULL;

    if (!m) {
        attend_failure(c, s);
        return;
    }
    s->kafka = true;
    s->brokers = m->broker_cnt;
    for (int group = 0; cli_groups_of_consumers[group]; group++)
        look_at_group(c, s, m, group);
    for (int i = 0; i < s->n_lanes; i++)
        if (s->lanes[i].lag > LAG_MAX)
            attend(s, "%s is %" PRId64 " messages behind in %s; does it run, and are there enough of it?",
                   s->lanes[i].group, s->lanes[i].lag, s->lanes[i].topic);
    rd_kafka_metadata_destroy(m);
}

/* ---- showing ---- */

static void put_row(struct gs_buf *b, const char *name, const PGresult *r)
{
    gs_buf_printf(b, ",\n \"%s\":", name);
    if (r)
        cli_json_row(b, r, 0);
    else
        gs_buf_puts(b, "null");
}

static void print_json(const struct status *s)
{
    struct gs_buf b;

    gs_buf_init(&b, CLI_OUT_MAX);
    gs_buf_printf(&b, "{\"healthy\":%s,\n \"attention\":[", s->n_attention ? "false" : "true");
    for (int i = 0; i < s->n_attention; i++) {
        gs_buf_puts(&b, i ? "," : "");
        gs_buf_put_json(&b, s->attention[i], strlen(s->attention[i]));
    }
    gs_buf_printf(&b, "],\n \"servers\":{\"postgresql\":%s,\"kafka\":%s,\"brokers\":%d}",
                  s->database ? "true" : "false", s->kafka ? "true" : "false", s->brokers);
    gs_buf_puts(&b, ",\n \"lag\":[");
    for (int i = 0; i < s->n_lanes; i++)
        gs_buf_printf(&b, "%s{\"group\":\"%s\",\"topic\":\"%s\",\"lag\":%" PRId64 "}", i ? ",\n  " : "",
                      s->lanes[i].group, s->lanes[i].topic, s->lanes[i].lag);
    gs_buf_puts(&b, "],\n \"dead_letters\":{");
    for (int i = 0; s->kafka && cli_groups_of_consumers[i]; i++)
        gs_buf_printf(&b, "%s\"%s\":%" PRId64, i ? "," : "", cli_groups_of_consumers[i], s->dead[i]);
    gs_buf_puts(&b, "}");
    put_row(&b, "slots", s->slots);
    put_row(&b, "outbox", s->outbox);
    gs_buf_puts(&b, ",\n \"troubles\":");
    if (s->troubles)
        cli_json_rows(&b, s->troubles);
    else
        gs_buf_puts(&b, "[]");
    gs_buf_puts(&b, "}\n");
    cli_print_buf(&b);
}

static void put_line(struct gs_buf *b, const char *label, bool good, const char *text)
{
    struct gs_buf cell;

    gs_buf_init(&cell, 256);
    cli_put_cell(&cell, label, 14, false);
    gs_buf_puts(b, gs_buf_str(&cell));
    gs_buf_done(&cell);
    cli_put_colour(b, good ? CLI_GREEN : CLI_RED, good ? "ok   " : "LOOK ");
    gs_buf_printf(b, " %s\n", text);
}

static void put_slots(struct gs_buf *b, const struct status *s)
{
    char text[300];

    snprintf(text, sizeof(text), "%s links asked, %s paused, %s failing, %s waiting", cli_get(s->slots, 0, "asked"),
             cli_get(s->slots, 0, "paused"), cli_get(s->slots, 0, "failing"), cli_get(s->slots, 0, "waiting"));
    put_line(b, "links", cli_get_int(s->slots, 0, "failing") == 0, text);
    snprintf(text, sizeof(text), "%s late by more than a minute, %s by more than five",
             cli_get(s->slots, 0, "late_1_min"), cli_get(s->slots, 0, "late_5_min"));
    put_line(b, "slots", cli_get_int(s->slots, 0, "late_5_min") == 0, text);
    snprintf(text, sizeof(text), "%s rows, the oldest %s s old", cli_get(s->outbox, 0, "rows"),
             cli_get(s->outbox, 0, "oldest_seconds"));
    put_line(b, "outbox", cli_get_int(s->outbox, 0, "oldest_seconds") <= OUTBOX_SECONDS, text);
}

static void put_lag(struct gs_buf *b, const struct status *s)
{
    char text[300];
    int64_t dead = 0;

    for (int i = 0; cli_groups_of_consumers[i]; i++)
        dead += s->dead[i];
    for (int i = 0; i < s->n_lanes; i++) {
        snprintf(text, sizeof(text), "%6" PRId64 " behind  %-28s %s", s->lanes[i].lag, s->lanes[i].group,
                 s->lanes[i].topic);
        put_line(b, i ? "" : "lag", s->lanes[i].lag <= LAG_MAX, text);
    }
    snprintf(text, sizeof(text), "%" PRId64 " kept", dead);
    put_line(b, "dead letters", dead == 0, text);
}

static void put_troubles(struct gs_buf *b, const PGresult *r)
{
    char advice[400];

    if (PQntuples(r))
        gs_buf_puts(b, "\nlinks that give no number now:\n");
    for (int i = 0; i < PQntuples(r) && i < TROUBLES_SHOWN; i++) {
        const char *paused = cli_get(r, i, "paused_reason");
        gs_buf_printf(b, "  %-8s link %s, ", cli_link_word(r, i), cli_get(r, i, "id"));
        cli_put_colour(b, CLI_BOLD, cli_get(r, i, "goal"));
        gs_buf_printf(b, ": %s\n           %s\n", paused[0] ? paused : cli_get(r, i, "error"),
                      cli_link_advice(r, i, advice, sizeof(advice)));
    }
    if (PQntuples(r) > TROUBLES_SHOWN)
        gs_buf_printf(b, "  and %d more\n", PQntuples(r) - TROUBLES_SHOWN);
}

static void print_people(const struct status *s)
{
    struct gs_buf b;
    char text[100];

    cli_terminal_init();
    gs_buf_init(&b, CLI_OUT_MAX);
    put_line(&b, "PostgreSQL", s->database, s->database ? "reached" : "see below");
    snprintf(text, sizeof(text), "%d broker%s", s->brokers, s->brokers == 1 ? "" : "s");
    put_line(&b, "Kafka", s->kafka, s->kafka ? text : "see below");
    if (s->database)
        put_slots(&b, s);
    if (s->kafka)
        put_lag(&b, s);
    if (s->database)
        put_troubles(&b, s->troubles);
    gs_buf_puts(&b, s->n_attention ? "\nNeeds attention:\n" : "\nAll is well.\n");
    for (int i = 0; i < s->n_attention; i++)
        gs_buf_printf(&b, "  - %s\n", s->attention[i]);
    cli_print_buf(&b);
}

static enum cli_exit run_status(struct cli *c)
{
    static struct status s; /* large */

    look_at_database(c, &s);
    look_at_kafka(c, &s);
    if (c->json)
        print_json(&s);
    else
        print_people(&s);
    PQclear(s.slots);
    PQclear(s.outbox);
    PQclear(s.offsets);
    PQclear(s.troubles);
    if (s.misconfigured)
        return CLI_USAGE;
    return s.n_attention ? CLI_ATTENTION : CLI_OK;
}

const struct cli_command cli_status_commands[] = {
    {"", "", "Looks at servers, lag, late slots, failing links, outbox and dead letters; 0: healthy, 6: look", NULL,
     "  goalsync status\n  goalsync status --json | jq .attention\n", run_status},
    {0},
};
