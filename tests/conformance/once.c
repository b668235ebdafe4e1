/* goalsync-fetch-once CONNECTOR: plays fetches as a worker does, without Kafka and the database around it. What carries
 * exchanges out is the worker's own (drive.c and below): sockets, TLS, decompression, ceilings, deadlines, wires.
 *
 * A line of its input is one fetch, a JSON object of texts:
 *     id, connection, link (or link.0, link.1 ...: of one batch), auth, user, password, now_us, deadline_ms, origin
 * origin takes the place of the scheme, host and port that the connector asks, so that a server of ours may answer for
 * any source. All of them are under way at once; each ends in a line of JSON. */
#include "services/fetch/request.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)1024 * 1024)
#define OVERDUE_US     INT64_C(15000000)   /* beyond the deadline; a wire may take a second more */
#define TOKEN          "conformance-token" /* the server asks for it */

GS_AUTO_DEFINE(struct gs_json, json_free, gs_json_free)

struct play {
    struct fetch_request *q;
    struct fetch_conn conn;
    struct fetch_settings *links[FETCH_TARGETS_MAX];
    size_t n;
    char *id, *origin;          /* origin: "" leaves addresses alone */
    struct gs_buf url, budgets; /* budgets: JSON of what each exchange is taken from */
    struct gs_timer *overdue;
};

static struct {
    struct fetch_worker worker;
    struct fetch_lane lane; /* which all requests came by */
    const struct fetch_entry *entry;
    size_t under_way;
} once;

/* ---- what came out ---- */

static void put_text(struct gs_buf *b, const char *name, const char *text)
{
    gs_buf_printf(b, ",\"%s\":", name);
    gs_buf_put_json(b, text, strlen(text));
}

static void put_result(struct gs_buf *b, const struct fetch_task *t, size_t i)
{
    struct fetch_result r;
    char value[GS_DEC_TEXT];

    fetch_task_result(t, i, &r);
    gs_dec_format(r.value, value);
    gs_buf_printf(b, "%s{\"outcome\":\"%s\"", i ? "," : "", fetch_outcome_name(r.outcome));
    put_text(b, "value", value);
    put_text(b, "error", r.error);
    gs_buf_printf(b, ",\"percent\":%s,\"seen\":%lld}", r.percent ? "true" : "false", (long long)r.rows_seen);
}

static void print_outcome(const struct play *p, enum fetch_outcome outcome, const char *error)
{
    const struct fetch_task *t = p->q ? p->q->task : NULL;
    struct gs_buf b;

    gs_buf_init(&b, LINE_MAX_BYTES);
    gs_buf_puts(&b, "{\"id\":");
    gs_buf_put_json(&b, p->id, strlen(p->id));
    gs_buf_printf(&b, ",\"outcome\":\"%s\",\"retry_at_us\":%lld,\"exchanges\":%d", fetch_outcome_name(outcome),
                  t ? (long long)fetch_task_retry_at_us(t) : 0LL, t ? fetch_task_exchanges(t) : 0);
    put_text(&b, "error", error);
    gs_buf_printf(&b, ",\"budgets\":[%s],\"results\":[", gs_buf_str(&p->budgets));
    for (size_t i = 0; t && outcome == FETCH_OUTCOME_OK && i < p->n; i++)
        put_result(&b, t, i);
    gs_buf_puts(&b, "]}");
    puts(gs_buf_str(&b));
    fflush(stdout);
    gs_buf_done(&b);
}

static void free_play(struct play *p)
{
    if (p->q)
        fetch_task_free(p->q->task);
    gs_freep(&p->q);
    for (size_t i = 0; i < p->n; i++)
        fetch_settings_free(p->links[i]);
    fetch_settings_free(p->conn.settings);
    fetch_secrets_free(p->conn.secrets);
    gs_timer_free(p->overdue);
    gs_buf_done(&p->url);
    gs_buf_done(&p->budgets);
    gs_freep(&p->id);
    gs_freep(&p->origin);
    gs_freep(&p);
    if (--once.under_way == 0)
        uv_stop(once.worker.loop);
}

static void end(struct play *p, enum fetch_outcome outcome, const char *error)
{
    print_outcome(p, outcome, error);
    free_play(p);
}

/* ---- exchanges ---- */

static void go_on(struct play *p, bool asks)
{
    struct fetch_task *t = p->q->task;

    if (!asks) {
        end(p, fetch_task_outcome(t), fetch_task_error(t));
        return;
    }
    struct fetch_exchange x = *fetch_task_exchange(t);

    gs_buf_puts(&p->budgets, p->budgets.len ? "," : "");
    if (x.budget)
        gs_buf_put_json(&p->budgets, x.budget, strlen(x.budget));
    else
        gs_buf_puts(&p->budgets, "null");

    if (x.wire == FETCH_HTTP && p->origin[0]) {
        const char *host = strstr(x.url, "://") + 3;

        gs_buf_clear(&p->url);
        gs_buf_puts(&p->url, p->origin);
        gs_buf_puts(&p->url, host + strcspn(host, "/?#"));
        x.url = gs_buf_str(&p->url);
    }
    fetch_drive(p->q, &x);
}

void fetch_request_replied(struct fetch_request *q, const struct fetch_reply *r)
{
    q->http = NULL;
    q->sql = NULL;
    go_on(q->wait.arg, fetch_task_reply(q->task, r));
}

void fetch_request_unanswered(struct fetch_request *q, enum gs_rc rc, const char *why)
{
    q->http = NULL;
    q->sql = NULL;
    fetch_task_fail(q->task, rc, why);
    go_on(q->wait.arg, false);
}

/* The wires keep the deadline by themselves; this is none of their outcomes. */
static void on_overdue(void *arg)
{
    struct play *p = arg;

    if (p->q->http)
        gs_http_cancel(p->q->http);
    if (p->q->sql)
        fetch_pg_cancel(p->q->sql);
    end(p, FETCH_OUTCOME_NONE, "the wire did not keep the deadline");
}

/* ---- beginning ---- */

static const char *member(struct gs_json *json, const char *pointer, const char *otherwise)
{
    const char *text;
    size_t len;

    return gs_json_string(json, pointer, &text, &len) ? text : otherwise;
}

static int64_t member_int(struct gs_json *json, const char *pointer, int64_t otherwise)
{
    int64_t n;

    return gs_parse_int(member(json, pointer, ""), 0, INT64_MAX, &n) ? n : otherwise;
}

static bool is_given_as_it_is_sent(enum fetch_auth_kind kind)
{
    return kind == FETCH_BEARER || kind == FETCH_KEY || kind == FETCH_BASIC || kind == FETCH_USER_PASSWORD;
}

/* Consents, exchanges of keys and refreshing are not what is played here: with those ways to sign in the connection
 * has a token already. */
static struct fetch_secrets *make_token(struct gs_err *err)
{
    static const char text[] = "{\"token\":\"" TOKEN "\"}";
    static const struct fetch_auth token[] = {{.name = "token", .label = "Token", .kind = FETCH_BEARER}, {0}};
    struct fetch_connector c = *once.entry->connector;

    c.auths = token;
    struct fetch_secrets *s = fetch_secrets_parse(&c, text, sizeof text - 1, err);

    if (s)
        s->auth = token;
    return s;
}

static void put_member(struct gs_buf *b, const char *name, const char *text)
{
    gs_buf_printf(b, "%s\"%s\":", b->len ? "," : "{", name);
    gs_buf_put_json(b, text, strlen(text));
}

static struct fetch_secrets *make_secrets(struct gs_json *json, struct gs_err *err)
{
    const struct fetch_auth *a = fetch_auth_find(once.entry->connector, member(json, "/auth", ""));
    struct fetch_secrets *s;
    struct gs_buf b;

    if (!a || !is_given_as_it_is_sent(a->kind))
        return make_token(err);
    gs_buf_init(&b, LINE_MAX_BYTES);
    put_member(&b, "auth", a->name);
    if (a->kind == FETCH_BASIC || a->kind == FETCH_USER_PASSWORD) {
        put_member(&b, "user", member(json, "/user", "conformance"));
        put_member(&b, "password", member(json, "/password", TOKEN));
    } else {
        put_member(&b, "token", TOKEN);
    }
    gs_buf_putc(&b, '}');
    s = fetch_secrets_parse(once.entry->connector, gs_buf_str(&b), b.len, err);
    gs_buf_done(&b);
    return s;
}

static enum gs_rc read_link(struct play *p, const char *text, struct gs_err *err)
{
    struct fetch_settings *s = fetch_settings_parse(once.entry->connector->link_fields, text, strlen(text), err);

    if (!s)
        return err->rc;
    p->links[p->n++] = s;
    return fetch_settings_check(once.entry->connector, p->conn.settings, s, err);
}

static enum gs_rc read_settings(struct play *p, struct gs_json *json, struct gs_err *err)
{
    const char *text = member(json, "/connection", "{}"), *link = member(json, "/link", NULL);
    char pointer[32];

    p->conn.settings = fetch_settings_parse(once.entry->connector->connection_fields, text, strlen(text), err);
    if (!p->conn.settings)
        return err->rc;
    if (link && read_link(p, link, err) != GS_OK)
        return err->rc;
    for (size_t i = 0; !link && i < FETCH_TARGETS_MAX; i++) {
        snprintf(pointer, sizeof pointer, "/link.%zu", i);
        text = member(json, pointer, NULL);
        if (!text)
            break;
        if (read_link(p, text, err) != GS_OK)
            return err->rc;
    }
    if (!p->n)
        return gs_fail(err, GS_REJECT, "the line names no link");
    if (once.entry->connector->auths)
        p->conn.secrets = make_secrets(json, err);
    return p->conn.secrets || !once.entry->connector->auths ? GS_OK : err->rc;
}

static void start(struct play *p, struct gs_json *json)
{
    int64_t deadline_us = member_int(json, "/deadline_ms", 10000) * 1000;
    const struct fetch_task_spec spec = {
        .connector = once.entry->connector,
        .connection = p->conn.settings,
        .targets = (const struct fetch_settings *const *)p->links,
        .n_targets = p->n,
        .max_exchanges = (int)fetch_config.exchanges,
        .now_us = member_int(json, "/now_us", gs_now_us()),
    };

    p->conn.id = 1;
    p->conn.entry = once.entry;
    p->conn.outcome = FETCH_OUTCOME_OK;
    p->q = gs_alloc(sizeof *p->q);
    p->q->w = &once.worker;
    p->q->lane = &once.lane;
    p->q->conn = &p->conn;
    p->q->begun_us = gs_mono_us();
    p->q->deadline_us = p->q->begun_us + deadline_us;
    p->q->wait.arg = p;
    p->q->task = fetch_task_new(&spec);
    p->overdue = gs_timer_new(once.worker.loop, on_overdue, p);
    gs_timer_start(p->overdue, deadline_us + OVERDUE_US, 0);
    go_on(p, fetch_task_start(p->q->task));
}

static void take_line(struct gs_json *json, const char *line, size_t len)
{
    struct play *p = gs_alloc(sizeof *p);
    struct gs_err err = {0};

    once.under_way++;
    gs_buf_init(&p->url, GS_HTTP_URL_MAX);
    gs_buf_init(&p->budgets, LINE_MAX_BYTES);
    if (gs_json_parse(json, line, len, &err) != GS_OK) {
        fprintf(stderr, "goalsync-fetch-once: %s\n", err.text);
        exit(2);
    }
    p->id = gs_strdup(member(json, "/id", ""));
    p->origin = gs_strdup(member(json, "/origin", ""));
    if (read_settings(p, json, &err) == GS_OK)
        start(p, json);
    else
        end(p, FETCH_OUTCOME_REJECTED, err.text);
}

static void take_lines(void)
{
    GS_AUTO(json_freep) struct gs_json *json = gs_json_new(LINE_MAX_BYTES, 4);
    char *line = NULL;
    size_t room = 0;
    ssize_t len;

    while ((len = getline(&line, &room, stdin)) > 0)
        take_line(json, line, (size_t)len);
    free(line);
}

int main(int argc, char **argv)
{
    const struct gs_env *const tables[] = {fetch_env, gs_http_env, NULL};
    struct gs_buf mistakes;
    struct gs_err err;
    uv_loop_t loop;

    gs_buf_init(&mistakes, 4096);
    gs_log_init("fetch-once", "warn");
    once.entry = argc == 2 ? fetch_catalogue_find(argv[1]) : NULL;
    if (!once.entry || gs_env_read(tables, &mistakes) != GS_OK) {
        fprintf(stderr, "usage: goalsync-fetch-once CONNECTOR\n%s", gs_buf_str(&mistakes));
        return 2;
    }
    once.lane.entry = once.entry;
    uv_loop_init(&loop);
    once.worker.loop = &loop;
    if (fetch_drives_start(&once.worker, &err) != GS_OK) {
        fprintf(stderr, "goalsync-fetch-once: %s\n", err.text);
        return 2;
    }
    take_lines();
    while (once.under_way)
        uv_run(&loop, UV_RUN_DEFAULT);
    fetch_drives_stop(&once.worker);
    while (uv_run(&loop, UV_RUN_NOWAIT))
        continue;
    uv_loop_close(&loop);
    gs_buf_done(&mistakes);
    return 0;
}
