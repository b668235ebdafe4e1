/* common/pg.h against a real server (tests/unit/with-servers); without one only what needs none.
 * links: */
#include "common/loop.h"
#include "common/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_US 20000000

struct fixture {
    uv_loop_t loop;
    struct gs_pg *pg;
    struct gs_timer *patience;
    const char *url;
    char *long_text;
    int ups, downs, notes, ok, retry, reject;
    int order; /* number of the last answer */
    bool in_order;
    int wanted; /* answers to wait for */
    char sqlstate[6], error[400], note[64];
    int64_t number;
    struct gs_pg_params *params;
};

static void on_patience(void *arg)
{
    (void)arg;
    fail_msg("nothing happened for %d s", PATIENCE_US / 1000000);
}

static void on_state(void *arg, bool up)
{
    struct fixture *f = arg;

    uv_stop(&f->loop);
    if (up)
        f->ups++;
    else
        f->downs++;
}

static void on_note(void *arg, const char *channel, const char *payload)
{
    struct fixture *f = arg;

    f->notes++;
    snprintf(f->note, sizeof(f->note), "%s:%s", channel, payload);
}

static struct gs_pg *make_pg(struct fixture *f, const char *url, int64_t timeout_us)
{
    const struct gs_pg_conf conf = {.url = url,
                                    .application_name = "pg_test",
                                    .timeout_us = timeout_us,
                                    .state = on_state,
                                    .notified = on_note,
                                    .arg = f};
    struct gs_err err;
    struct gs_pg *pg = gs_pg_new(&f->loop, &conf, &err);

    if (!pg)
        fail_msg("%s", err.text);
    return pg;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    uv_loop_init(&f->loop);
    f->url = getenv("GOALSYNC_TEST_PG_URL");
    f->params = gs_pg_params_new();
    f->in_order = true;
    f->patience = gs_timer_new(&f->loop, on_patience, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    f->pg = gs_pg_free(f->pg);
    f->patience = gs_timer_free(f->patience);
    gs_pg_params_free(f->params);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) != 0)
        ; /* a uv_stop() may be left over */
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f->long_text);
    free(f);
    return 0;
}

#define NEED_SERVER(f)                                                                                                 \
    do {                                                                                                               \
        if (!(f)->url) {                                                                                               \
            print_message("SKIPPED: GOALSYNC_TEST_PG_URL is not set; run tests/unit/with-servers\n");                  \
            skip();                                                                                                    \
        }                                                                                                              \
        (f)->pg = make_pg((f), (f)->url, 5000000);                                                                     \
    } while (0)

/* A loop turn runs timers before it waits, so what a callback did must stop the wait: uv_stop(). */
#define RUN_UNTIL(f, condition)                                                                                        \
    do {                                                                                                               \
        gs_timer_start((f)->patience, PATIENCE_US, 0);                                                                 \
        while (!(condition))                                                                                           \
            uv_run(&(f)->loop, UV_RUN_ONCE);                                                                           \
        gs_timer_stop((f)->patience);                                                                                  \
    } while (0)

static int answers(const struct fixture *f)
{
    return f->ok + f->retry + f->reject;
}

static void count(struct fixture *f, const struct gs_pg_result *r)
{
    uv_stop(&f->loop);
    switch (gs_pg_rc(r)) {
    case GS_OK:
        f->ok++;
        break;
    case GS_RETRY:
        f->retry++;
        break;
    default:
        f->reject++;
        break;
    }
    snprintf(f->sqlstate, sizeof(f->sqlstate), "%s", gs_pg_sqlstate(r));
    snprintf(f->error, sizeof(f->error), "%s", gs_pg_result_error(r));
}

static void on_answer(void *arg, const struct gs_pg_result *r)
{
    struct fixture *f = arg;

    count(f, r);
}

static void on_number(void *arg, const struct gs_pg_result *r)
{
    struct fixture *f = arg;

    count(f, r);
    if (gs_pg_rc(r) == GS_OK && gs_pg_rows(r) > 0)
        f->number = gs_pg_get_int8(r, 0, 0);
}

static void run(struct fixture *f, const char *sql)
{
    const struct gs_pg_stmt stmt = {NULL, sql};

    gs_pg_query(f->pg, &stmt, NULL, on_answer, f);
}

static void control(const char *server, const char *verb)
{
    const char *program = getenv("GOALSYNC_TEST_SERVERS");
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execl(program, program, server, verb, (char *)NULL);
        _exit(127);
    }
    assert_true(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- values ---- */

static void on_values(void *arg, const struct gs_pg_result *r)
{
    struct fixture *f = arg;
    struct gs_dec d;
    char text[GS_DEC_TEXT];
    size_t len;

    count(f, r);
    assert_int_equal(gs_pg_rc(r), GS_OK);
    assert_int_equal(gs_pg_rows(r), 1);
    assert_true(gs_pg_get_bool(r, 0, 0));
    assert_int_equal(gs_pg_get_int4(r, 0, 1), INT32_MIN);
    assert_true(gs_pg_get_int8(r, 0, 2) == INT64_MAX);
    assert_true(gs_pg_get_time(r, 0, 3) == INT64_C(1763900000123456));
    assert_true(gs_pg_get_dec(r, 0, 4, &d));
    gs_dec_format(d, text);
    assert_string_equal(text, "-99999999999999999999.999999999999999999");
    assert_string_equal(gs_pg_get_text(r, 0, 5), "žluť 'quoted'");
    assert_memory_equal(gs_pg_get_bytes(r, 0, 6, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_true(gs_pg_is_null(r, 0, 7));
    assert_string_equal(gs_pg_get_text(r, 0, 8), "{\"a\": 1}");
    assert_int_equal(gs_pg_get_date(r, 0, 9), 20780);
    assert_string_equal(gs_pg_get_text(r, 0, 10), "sad");
    assert_int_equal(gs_pg_get_time(r, 0, 11), 0);
    assert_false(gs_pg_get_dec(r, 0, 12, &d));
}

static struct gs_dec dec(const char *text)
{
    struct gs_dec d;

    assert_int_equal(gs_dec_parse(text, strlen(text), &d, NULL), GS_OK);
    return d;
}

static void test_values(void **state)
{
    struct fixture *f = *state;
    const struct gs_pg_stmt stmt = {
        "values",
        "select $1 and true, $2 + 0, $3 + 0, $4 + interval '0', $5 + 0, $6::text, $7::bytea, $8::int, $9::jsonb, "
        "date '2026-11-23', $10::pg_temp.mood, $11::timestamptz, 'NaN'::numeric"};

    NEED_SERVER(f);
    run(f, "create type pg_temp.mood as enum ('sad', 'happy')");
    gs_pg_add_bool(f->params, true);
    gs_pg_add_int4(f->params, INT32_MIN);
    gs_pg_add_int8(f->params, INT64_MAX);
    gs_pg_add_time(f->params, INT64_C(1763900000123456));
    gs_pg_add_dec(f->params, dec("-99999999999999999999.999999999999999999"));
    gs_pg_add_text(f->params, "žluť 'quoted'");
    gs_pg_add_bytes(f->params, "a\0b", 3);
    gs_pg_add_null(f->params);
    gs_pg_add_text(f->params, "{\"a\":1}");
    gs_pg_add_text(f->params, "sad");
    gs_pg_add_time(f->params, 0);
    gs_pg_query(f->pg, &stmt, f->params, on_values, f);
    gs_pg_params_clear(f->params); /* copied */
    RUN_UNTIL(f, answers(f) == 2);
}

/* Each numeric makes the trip there as binary, is compared by the server with its text, and comes back the same. */
static void on_numeric(void *arg, const struct gs_pg_result *r)
{
    struct fixture *f = arg;
    struct gs_dec d;

    count(f, r);
    assert_int_equal(gs_pg_rc(r), GS_OK);
    assert_true(gs_pg_get_bool(r, 0, 0));
    assert_true(gs_pg_get_dec(r, 0, 1, &d));
    assert_true(gs_pg_get_bool(r, 0, 2));
}

static void test_numerics(void **state)
{
    static const char *const texts[] = {"0",
                                        "1",
                                        "-1",
                                        "0.1",
                                        "10000",
                                        "9999.9999",
                                        "0.0001",
                                        "0.00001",
                                        "123456",
                                        "-0.5",
                                        "100000000",
                                        "12345678901234567890.123456789012345678",
                                        "0.000000000000000001",
                                        "99999999999999999999.999999999999999999"};
    struct fixture *f = *state;
    const struct gs_pg_stmt stmt = {"numerics", "select $1 = $2::text::numeric, $1, $1::text = $2 or scale($1) > 0"};

    NEED_SERVER(f);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        gs_pg_params_clear(f->params);
        gs_pg_add_dec(f->params, dec(texts[i]));
        gs_pg_add_text(f->params, texts[i]);
        gs_pg_query(f->pg, &stmt, f->params, on_numeric, f);
    }
    RUN_UNTIL(f, f->ok == (int)(sizeof(texts) / sizeof(texts[0])));
}

#define PLACE ((INT64_C(4294967294) << 16) + 513)

static void on_arrays(void *arg, const struct gs_pg_result *r)
{
    struct fixture *f = arg;
    size_t len;

    count(f, r);
    assert_int_equal(gs_pg_rc(r), GS_OK);
    assert_int_equal(gs_pg_rows(r), 3);
    assert_int_equal(gs_pg_array_len(r, 0, 0), 3);
    assert_true(gs_pg_array_int8(r, 0, 0, 2) == 3000000000);
    assert_int_equal(gs_pg_array_len(r, 0, 1), 2);
    assert_memory_equal(gs_pg_array_text(r, 0, 1, 1, &len), "bb", 2);
    assert_int_equal(len, 2);
    assert_int_equal(gs_pg_array_len(r, 0, 2), 0);
    assert_int_equal(gs_pg_array_int4(r, 0, 3, 1), -7);
    assert_string_equal(gs_pg_get_text(r, 0, 4), "{a,NULL,\"\"}");
    assert_string_equal(gs_pg_get_text(r, 0, 5), "{t,f,NULL}");
    assert_string_equal(gs_pg_get_text(r, 0, 6), "{1.5,NULL}");
    assert_string_equal(gs_pg_get_text(r, 0, 7), "{\"2000-01-01 00:00:00+00\",NULL}");
    assert_string_equal(gs_pg_get_text(r, 0, 8), "{\"\\\\x0001\"}");
    assert_string_equal(gs_pg_get_text(r, 0, 9), "{\"(4294967294,513)\"}");
    assert_true(gs_pg_get_tid(r, 0, 10) == PLACE);
}

static void add_arrays(struct gs_pg_params *p)
{
    gs_pg_array_begin(p, GS_PG_TEXT);
    gs_pg_item_text(p, "a");
    gs_pg_item_text(p, NULL);
    gs_pg_item_text(p, "");
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_BOOL);
    gs_pg_item_bool(p, true);
    gs_pg_item_bool(p, false);
    gs_pg_item_null(p);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_DEC);
    gs_pg_item_dec(p, dec("1.5"));
    gs_pg_item_null(p);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_TIME);
    gs_pg_item_time(p, INT64_C(946684800000000));
    gs_pg_item_time(p, 0);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_BYTES);
    gs_pg_item_bytes(p, "\0\1", 2);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_INT8);
    gs_pg_item_int8(p, 1);
    gs_pg_item_int8(p, 2);
    gs_pg_item_int8(p, 3000000000);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_INT4);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_INT4);
    gs_pg_item_int4(p, 4);
    gs_pg_item_int4(p, -7);
    gs_pg_array_end(p);
    gs_pg_array_begin(p, GS_PG_TID);
    gs_pg_item_tid(p, PLACE);
    gs_pg_array_end(p);
}

static void test_arrays(void **state)
{
    struct fixture *f = *state;
    const struct gs_pg_stmt stmt = {
        "arrays",
        "select $6, array['a', 'bb'], $7, $8, $1::text, $2::text, $3::text, $4::text, $5::text, $9::text, $9[1]"
        " from unnest($6)"};

    NEED_SERVER(f);
    run(f, "set timezone = 'UTC'");
    add_arrays(f->params);
    gs_pg_query(f->pg, &stmt, f->params, on_arrays, f);
    RUN_UNTIL(f, answers(f) == 2);
}

/* ---- the pipeline ---- */

struct step {
    struct fixture *f;
    int number;
};

static void on_step(void *arg, const struct gs_pg_result *r)
{
    struct step *s = arg;

    count(s->f, r);
    if (gs_pg_rc(r) == GS_OK && gs_pg_get_int8(r, 0, 0) != s->number)
        s->f->in_order = false;
    if (s->f->order != s->number - 1)
        s->f->in_order = false;
    s->f->order = s->number;
    free(s);
}

static void queue_step(struct fixture *f, int number)
{
    static const struct gs_pg_stmt stmt = {"step", "select $1::bigint"};
    struct step *s = malloc(sizeof(*s));

    *s = (struct step){f, number};
    gs_pg_params_clear(f->params);
    gs_pg_add_int8(f->params, number);
    gs_pg_query(f->pg, &stmt, f->params, on_step, s);
}

/* Half of them before the connection is up, half after. */
static void test_ten_thousand_in_order(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    for (int i = 1; i <= 5000; i++)
        queue_step(f, i);
    assert_int_equal(gs_pg_pending(f->pg), 5000);
    RUN_UNTIL(f, f->ok > 0);
    for (int i = 5001; i <= 10000; i++)
        queue_step(f, i);
    RUN_UNTIL(f, answers(f) == 10000);
    assert_int_equal(f->ok, 10000);
    assert_true(f->in_order);
    assert_int_equal(f->ups, 1);
}

static void test_large_both_ways(void **state)
{
    struct fixture *f = *state;
    const struct gs_pg_stmt stmt = {"large", "select length($1::text)::bigint, repeat($1::text, 2)"};

    NEED_SERVER(f);
    f->long_text = malloc(3000001);
    memset(f->long_text, 'x', 3000000);
    f->long_text[3000000] = '\0';
    for (int i = 0; i < 8; i++) {
        gs_pg_params_clear(f->params);
        gs_pg_add_text(f->params, f->long_text);
        gs_pg_query(f->pg, &stmt, f->params, on_number, f);
    }
    RUN_UNTIL(f, answers(f) == 8);
    assert_int_equal(f->ok, 8);
    assert_int_equal(f->number, 3000000);
}

/* A statement whose PREPARE fell into a failed transaction works again afterwards. */
static void test_failures(void **state)
{
    struct fixture *f = *state;
    static const struct gs_pg_stmt prepared = {"after", "select 7::bigint"};

    NEED_SERVER(f);
    run(f, "begin");
    run(f, "select 1 / 0");
    gs_pg_query(f->pg, &prepared, NULL, on_answer, f);
    run(f, "rollback");
    gs_pg_query(f->pg, &prepared, NULL, on_answer, f); /* sent when the first one's fate is not known yet */
    RUN_UNTIL(f, answers(f) == 5);
    assert_int_equal(f->ok, 2);
    assert_int_equal(f->reject, 2);
    assert_int_equal(f->retry, 1);
    assert_string_equal(f->sqlstate, "26000");
    gs_pg_query(f->pg, &prepared, NULL, on_number, f);
    gs_pg_query(f->pg, &prepared, NULL, on_number, f);
    RUN_UNTIL(f, answers(f) == 7);
    assert_int_equal(f->ok, 4);
    assert_int_equal(f->number, 7);
    run(f, "selec 1");
    RUN_UNTIL(f, answers(f) == 8);
    assert_string_equal(f->sqlstate, "42601");
    assert_non_null(strstr(f->error, "syntax error"));
    assert_int_equal(f->reject, 3);
}

static void test_deadlock(void **state)
{
    struct fixture *f = *state;
    struct gs_pg *one, *two;

    NEED_SERVER(f);
    one = f->pg;
    two = make_pg(f, f->url, 5000000);
    run(f, "drop table if exists deadlock; ");
    run(f, "create table deadlock as select g as id, 0 as n from generate_series(1, 2) g");
    RUN_UNTIL(f, answers(f) == 2 && gs_pg_up(two));
    run(f, "begin");
    run(f, "update deadlock set n = n + 1 where id = 1");
    f->pg = two;
    run(f, "begin");
    run(f, "update deadlock set n = n + 1 where id = 2");
    RUN_UNTIL(f, answers(f) == 6);
    run(f, "update deadlock set n = n + 1 where id = 1");
    f->pg = one;
    run(f, "update deadlock set n = n + 1 where id = 2");
    RUN_UNTIL(f, answers(f) == 8);
    assert_int_equal(f->retry, 1);
    assert_int_equal(f->reject, 0);
    gs_pg_free(two);
    run(f, "rollback");
    run(f, "drop table deadlock");
    RUN_UNTIL(f, answers(f) == 10);
}

static void test_listen(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    run(f, "listen goalsync_sync");
    run(f, "notify goalsync_sync, 'batch 7'");
    RUN_UNTIL(f, f->notes == 1 && answers(f) == 2);
    assert_string_equal(f->note, "goalsync_sync:batch 7");
}

/* ---- trouble ---- */

static void on_pid(void *arg, const struct gs_pg_result *r)
{
    struct fixture *f = arg;

    f->number = gs_pg_get_int4(r, 0, 0);
}

/* Every statement gets exactly one answer, in order, and later ones use a new connection. */
static void test_killed_in_the_middle(void **state)
{
    struct fixture *f = *state;
    static const struct gs_pg_stmt pid = {NULL, "select pg_backend_pid()"},
                                   kill = {NULL, "select pg_terminate_backend($1)"};
    struct gs_pg *other;

    NEED_SERVER(f);
    other = make_pg(f, f->url, 5000000);
    gs_pg_query(f->pg, &pid, NULL, on_pid, f);
    RUN_UNTIL(f, f->number != 0);
    run(f, "select pg_sleep(60)");
    for (int i = 1; i <= 100; i++)
        queue_step(f, i);
    gs_pg_params_clear(f->params);
    gs_pg_add_int4(f->params, (int32_t)f->number);
    gs_pg_query(other, &kill, f->params, NULL, NULL);
    RUN_UNTIL(f, answers(f) == 101);
    assert_int_equal(f->retry, 101);
    assert_true(f->in_order);
    assert_int_equal(f->downs, 1);
    f->order = 0;
    queue_step(f, 1);
    RUN_UNTIL(f, answers(f) == 102);
    assert_int_equal(f->ok, 1);
    assert_int_equal(f->ups, 3);
    gs_pg_free(other);
}

static void test_server_restarted(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    RUN_UNTIL(f, f->ups == 1);
    control("pg", "stop");
    RUN_UNTIL(f, f->downs == 1);
    assert_false(gs_pg_up(f->pg));
    queue_step(f, 1); /* waits for the server to come back */
    RUN_UNTIL(f, strstr(gs_pg_error(f->pg), "refused"));
    control("pg", "start");
    RUN_UNTIL(f, answers(f) == 1);
    assert_int_equal(f->ok, 1);
    assert_string_equal(gs_pg_error(f->pg), "");
}

static void test_frozen_server(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    gs_pg_free(f->pg);
    f->pg = make_pg(f, f->url, 1000000);
    RUN_UNTIL(f, f->ups == 1);
    control("pg", "freeze");
    queue_step(f, 1);
    RUN_UNTIL(f, answers(f) == 1);
    control("pg", "thaw");
    assert_int_equal(f->retry, 1);
    assert_non_null(strstr(f->error, "no answer within its time-out"));
    f->order = 0;
    queue_step(f, 1);
    RUN_UNTIL(f, answers(f) == 2);
    assert_int_equal(f->ok, 1);
}

static void test_statement_timeout_of_the_server(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    gs_pg_free(f->pg);
    f->pg = make_pg(f, f->url, 300000);
    run(f, "select pg_sleep(60)");
    RUN_UNTIL(f, answers(f) == 1);
    assert_int_equal(f->retry, 1);
}

static void test_wait_for_connection_ends(void **state)
{
    struct fixture *f = *state;

    /* Nobody listens at port 1. */
    f->pg = make_pg(f, "postgresql://me:canary@127.0.0.1:1/db", 300000);
    run(f, "select 1");
    assert_int_equal(answers(f), 0);
    RUN_UNTIL(f, answers(f) == 1);
    assert_int_equal(f->retry, 1);
    assert_non_null(strstr(gs_pg_error(f->pg), "database db at 127.0.0.1 port 1 as user me"));
    assert_null(strstr(gs_pg_error(f->pg), "canary"));
}

/* The url with a part replaced; the fixture frees it. */
static const char *altered(struct fixture *f, const char *from, const char *to)
{
    const char *at = strstr(f->url, from);
    size_t size = strlen(f->url) + strlen(to) + 1;

    assert_non_null(at);
    free(f->long_text);
    f->long_text = malloc(size);
    snprintf(f->long_text, size, "%.*s%s%s", (int)(at - f->url), f->url, to, at + strlen(from));
    return f->long_text;
}

static void expect_refused(struct fixture *f, const char *from, const char *to, const char *error)
{
    gs_pg_free(f->pg);
    f->pg = make_pg(f, altered(f, from, to), 1000000);
    RUN_UNTIL(f, strstr(gs_pg_error(f->pg), error));
    assert_false(gs_pg_up(f->pg));
    assert_null(strstr(gs_pg_error(f->pg), "canary"));
}

static void test_refused_connections(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    expect_refused(f, "test%20secret", "canary", "password authentication failed");
    expect_refused(f, getenv("GOALSYNC_TEST_CA_FILE"), getenv("GOALSYNC_TEST_WRONG_CA_FILE"),
                   "certificate verify failed");
    expect_refused(f, "localhost", "127.0.0.1", "does not match host name");
    expect_refused(f, "/postgres?", "/nodatabase?", "does not exist");
    expect_refused(f, "localhost", "no-such-host.invalid", "was not found");
}

/* The first host refuses, the second one answers. */
static void test_several_hosts(void **state)
{
    struct fixture *f = *state;
    char both[64];

    NEED_SERVER(f);
    snprintf(both, sizeof(both), "localhost:1,localhost:");
    gs_pg_free(f->pg);
    f->pg = make_pg(f, altered(f, "localhost:", both), 5000000);
    queue_step(f, 1);
    RUN_UNTIL(f, answers(f) == 1);
    assert_int_equal(f->ok, 1);
}

static void test_bad_urls(void **state)
{
    static const char *const urls[] = {"", "postgresql://canary@[", "host=a,b hostaddr=1.1.1.1 password=canary",
                                       "canary"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        const struct gs_pg_conf conf = {.url = urls[i]};
        struct gs_err err;

        assert_null(gs_pg_new(&f->loop, &conf, &err));
        assert_int_equal(err.rc, GS_REJECT);
        assert_null(strstr(err.text, "canary"));
    }
}

/* ---- owners that act inside callbacks ---- */

static void on_answer_then_free(void *arg, const struct gs_pg_result *r)
{
    struct fixture *f = arg;

    count(f, r);
    f->pg = gs_pg_free(f->pg);
}

static void test_free_in_callback(void **state)
{
    struct fixture *f = *state;
    static const struct gs_pg_stmt stmt = {"one", "select 1"};

    NEED_SERVER(f);
    run(f, "select 1");
    gs_pg_query(f->pg, &stmt, NULL, on_answer_then_free, f);
    run(f, "select 1");
    run(f, "select 1");
    RUN_UNTIL(f, answers(f) == 4);
    assert_int_equal(f->ok, 2);
    assert_int_equal(f->retry, 2);
}

static void on_answer_then_reset(void *arg, const struct gs_pg_result *r)
{
    struct fixture *f = arg;

    count(f, r);
    gs_pg_reset(f->pg);
    run(f, "select 1"); /* for the session that is gone */
    assert_int_equal(answers(f), 1);
}

static void test_reset(void **state)
{
    struct fixture *f = *state;
    static const struct gs_pg_stmt stmt = {"one", "select 1"};

    NEED_SERVER(f);
    gs_pg_query(f->pg, &stmt, NULL, on_answer_then_reset, f);
    run(f, "select 1");
    RUN_UNTIL(f, answers(f) == 3);
    assert_int_equal(f->retry, 2);
    assert_int_equal(f->downs, 1);
    run(f, "select 1");
    RUN_UNTIL(f, answers(f) == 4);
    assert_int_equal(f->ok, 2);
    assert_int_equal(f->ups, 2);
}

static void test_ceilings(void **state)
{
    struct fixture *f = *state;
    static const struct gs_pg_stmt stmt = {NULL, "select 1"};
    char *chunk = calloc(1, 1 << 20);

    f->pg = make_pg(f, "postgresql://127.0.0.1:1/db", 60000000);
    for (int i = 0; i < 65536; i++)
        gs_pg_query(f->pg, &stmt, NULL, on_answer, f);
    gs_pg_query(f->pg, &stmt, NULL, on_answer, f);
    assert_int_equal(answers(f), 0);
    RUN_UNTIL(f, answers(f) == 1);
    assert_int_equal(f->retry, 1);
    assert_non_null(strstr(f->error, "too many"));
    for (int i = 0; i < 64; i++)
        gs_pg_add_bytes(f->params, chunk, 1 << 20);
    gs_pg_query(f->pg, &stmt, f->params, on_answer, f);
    free(chunk);
    gs_pg_params_clear(f->params);
    chunk = calloc(1, (64u << 20) + 1);
    gs_pg_add_bytes(f->params, chunk, (64u << 20) + 1);
    gs_pg_query(f->pg, &stmt, f->params, on_answer, f);
    free(chunk);
    RUN_UNTIL(f, f->reject == 1);
    f->pg = gs_pg_free(f->pg);
    assert_int_equal(answers(f), 65536 + 3);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_urls),
        TEST(test_wait_for_connection_ends),
        TEST(test_ceilings),
        TEST(test_values),
        TEST(test_numerics),
        TEST(test_arrays),
        TEST(test_ten_thousand_in_order),
        TEST(test_large_both_ways),
        TEST(test_failures),
        TEST(test_deadlock),
        TEST(test_listen),
        TEST(test_killed_in_the_middle),
        TEST(test_refused_connections),
        TEST(test_several_hosts),
        TEST(test_statement_timeout_of_the_server),
        TEST(test_free_in_callback),
        TEST(test_reset),
        TEST(test_server_restarted),
        TEST(test_frozen_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
