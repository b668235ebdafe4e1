/* common/redis.h against a real server with TLS (tests/unit/with-servers); without one only what needs none.
 * links: */
#include "common/loop.h"
#include "common/redis.h"

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
    struct gs_redis *redis;
    struct gs_timer *patience;
    int ok, retry, reject, answers;
    int64_t number;
    bool in_order;
    char text[64], error[400];
};

static void on_patience(void *arg)
{
    (void)arg;
    fail_msg("nothing happened for %d s", PATIENCE_US / 1000000);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    uv_loop_init(&f->loop);
    f->patience = gs_timer_new(&f->loop, on_patience, NULL);
    f->in_order = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    f->redis = gs_redis_free(f->redis);
    f->patience = gs_timer_free(f->patience);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) != 0)
        ; /* a uv_stop() may be left over */
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

/* Settings live as long as the process, and a process reads them once; a test reads them often. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* The settings are read as a service would; text of the environment is the only way in. */
static struct gs_redis *make_redis(struct fixture *f, const char *url, const char *ca_file, struct gs_err *err)
{
    const struct gs_env *tables[] = {gs_redis_env, NULL};
    struct gs_buf mistakes;

    gs_buf_init(&mistakes, 1000);
    setenv("GOALSYNC_REDIS_URL", url, 1);
    setenv("GOALSYNC_REDIS_CA_FILE", ca_file ? ca_file : "", 1);
    if (__lsan_disable)
        __lsan_disable();
    if (gs_env_read(tables, &mistakes) != GS_OK)
        fail_msg("%s", gs_buf_str(&mistakes));
    if (__lsan_enable)
        __lsan_enable();
    gs_buf_done(&mistakes);
    return gs_redis_new(&f->loop, err);
}

#define NEED_SERVER(f)                                                                                                 \
    do {                                                                                                               \
        struct gs_err why;                                                                                             \
        if (!getenv("GOALSYNC_TEST_REDIS_URL")) {                                                                      \
            print_message("SKIPPED: GOALSYNC_TEST_REDIS_URL is not set; run tests/unit/with-servers\n");               \
            skip();                                                                                                    \
        }                                                                                                              \
        (f)->redis = make_redis((f), getenv("GOALSYNC_TEST_REDIS_URL"), getenv("GOALSYNC_TEST_CA_FILE"), &why);        \
        if (!(f)->redis)                                                                                               \
            fail_msg("%s", why.text);                                                                                  \
    } while (0)

/* A loop turn runs timers before it waits; the tick keeps waits short where nobody calls back. */
static void on_nothing(void *arg)
{
    (void)arg;
}

#define RUN_UNTIL(f, condition)                                                                                        \
    do {                                                                                                               \
        struct gs_timer *ticker = gs_timer_new(&(f)->loop, on_nothing, NULL);                                          \
        gs_timer_start(ticker, 10000, 10000);                                                                          \
        gs_timer_start((f)->patience, PATIENCE_US, 0);                                                                 \
        while (!(condition))                                                                                           \
            uv_run(&(f)->loop, UV_RUN_ONCE);                                                                           \
        gs_timer_stop((f)->patience);                                                                                  \
        gs_timer_free(ticker);                                                                                         \
    } while (0)

static void on_reply(void *arg, enum gs_rc rc, const redisReply *reply, const char *err)
{
    struct fixture *f = arg;

    f->answers++;
    f->ok += rc == GS_OK;
    f->retry += rc == GS_RETRY;
    f->reject += rc == GS_REJECT;
    assert_int_equal(reply != NULL, rc == GS_OK);
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        f->in_order = f->in_order && reply->integer == f->number + 1;
        f->number = reply->integer;
    }
    if (reply && reply->str)
        snprintf(f->text, sizeof(f->text), "%s", reply->str);
    snprintf(f->error, sizeof(f->error), "%s", err);
}

static void command_with(struct fixture *f, gs_redis_fn fn, const char *const *argv)
{
    size_t lens[4];
    int argc = 0;

    for (; argv[argc]; argc++)
        lens[argc] = strlen(argv[argc]);
    gs_redis_command(f->redis, fn, f, argc, argv, lens);
}

#define COMMAND(f, ...) command_with((f), on_reply, (const char *const[]){__VA_ARGS__, NULL})

static void control(const char *verb)
{
    const char *program = getenv("GOALSYNC_TEST_SERVERS");
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execl(program, program, "redis", verb, (char *)NULL);
        _exit(127);
    }
    assert_true(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_bad_urls(void **state)
{
    static const char *const urls[] = {"http://canary",         "redis://",           "redis://:canary@:1",
                                       "redis://h:0",           "redis://h:65536",    "redis://canary@h:1",
                                       "redis://u:%zzcanary@h", "redis://u:canary%4", "redis://h:1/canary",
                                       "redis://u:canary%00@h", "redis://[::1",       "redis://h:1?canary"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct gs_err err;

        if (make_redis(f, urls[i], NULL, &err))
            fail_msg("%s is taken", urls[i]);
        assert_int_equal(err.rc, GS_REJECT);
        assert_null(strstr(err.text, "canary"));
    }
}

static void test_away(void **state)
{
    struct fixture *f = *state;
    struct gs_err err;

    f->redis = make_redis(f, "redis://u:canary@127.0.0.1:1", NULL, &err);
    assert_non_null(f->redis);
    COMMAND(f, "PING");
    assert_int_equal(f->answers, 0); /* never from inside */
    RUN_UNTIL(f, f->answers == 1);
    assert_int_equal(f->retry, 1);
    RUN_UNTIL(f, (COMMAND(f, "PING"), strstr(f->error, "refused")));
    assert_non_null(strstr(f->error, "Redis at 127.0.0.1:1 is away"));
    assert_null(strstr(f->error, "canary"));
    assert_false(gs_redis_up(f->redis));
}

static void test_commands(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    RUN_UNTIL(f, gs_redis_up(f->redis));
    COMMAND(f, "SET", "k", "value");
    COMMAND(f, "GET", "k");
    RUN_UNTIL(f, f->answers == 2);
    assert_string_equal(f->text, "value");
    COMMAND(f, "INCR", "k");
    RUN_UNTIL(f, f->answers == 3);
    assert_int_equal(f->reject, 1);
    assert_non_null(strstr(f->error, "not an integer"));
    COMMAND(f, "CLIENT", "GETNAME");
    RUN_UNTIL(f, f->answers == 4);
    assert_string_equal(f->text, "goalsync");
    COMMAND(f, "DEL", "n");
    RUN_UNTIL(f, f->answers == 5);
    f->number = 0;
    f->in_order = true;
    for (int i = 0; i < 10000; i++)
        COMMAND(f, "INCR", "n");
    RUN_UNTIL(f, f->answers == 10005);
    assert_true(f->in_order && f->number == 10000);
}

static void test_ceilings(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    RUN_UNTIL(f, gs_redis_up(f->redis));
    COMMAND(f, "SETRANGE", "large", "1000000", "x");
    COMMAND(f, "GET", "large");
    RUN_UNTIL(f, f->answers == 2);
    assert_int_equal(f->ok, 2);
    COMMAND(f, "SETRANGE", "large", "1100000", "x");
    COMMAND(f, "GET", "large");
    RUN_UNTIL(f, f->answers == 4);
    assert_int_equal(f->retry, 1);
    assert_non_null(strstr(f->error, "larger than 1 MiB"));
    RUN_UNTIL(f, gs_redis_up(f->redis));
    COMMAND(f, "DEL", "large");
    for (int i = 0; i < GS_REDIS_PENDING; i++)
        COMMAND(f, "PING");
    RUN_UNTIL(f, f->answers == 5 + GS_REDIS_PENDING);
    assert_int_equal(f->retry, 2);
}

static void test_restart(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    RUN_UNTIL(f, gs_redis_up(f->redis));
    COMMAND(f, "CLIENT", "PAUSE", "60000");
    RUN_UNTIL(f, f->answers == 1);
    for (int i = 0; i < 100; i++)
        COMMAND(f, "SET", "a", "b"); /* writes wait while paused */
    uv_run(&f->loop, UV_RUN_NOWAIT);
    control("stop");
    RUN_UNTIL(f, f->answers == 101);
    assert_int_equal(f->retry, 100);
    assert_false(gs_redis_up(f->redis));
    control("start");
    RUN_UNTIL(f, gs_redis_up(f->redis));
    COMMAND(f, "PING");
    RUN_UNTIL(f, f->answers == 102);
    assert_int_equal(f->ok, 2);
}

static void test_frozen(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    RUN_UNTIL(f, gs_redis_up(f->redis));
    control("freeze");
    COMMAND(f, "PING");
    RUN_UNTIL(f, f->answers == 1);
    assert_int_equal(f->retry, 1);
    assert_non_null(strstr(f->error, "no answer to a command"));
    control("thaw");
    RUN_UNTIL(f, gs_redis_up(f->redis));
}

static void expect_refused(struct fixture *f, const char *url, const char *ca, const char *words)
{
    struct gs_err err;

    gs_redis_free(f->redis);
    f->redis = make_redis(f, url, ca, &err);
    assert_non_null(f->redis);
    RUN_UNTIL(f, (COMMAND(f, "PING"), strstr(f->error, words)));
    assert_null(strstr(f->error, "canary"));
    assert_int_equal(f->ok, 0);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    const char *ca = getenv("GOALSYNC_TEST_CA_FILE"), *port;
    char url[100];
    struct gs_err err;

    NEED_SERVER(f);
    port = strrchr(getenv("GOALSYNC_TEST_REDIS_URL"), ':');
    snprintf(url, sizeof(url), "rediss://:canary@localhost%s", port);
    expect_refused(f, url, ca, "sign-in refused");
    snprintf(url, sizeof(url), "rediss://:secret@localhost%.*s/99", (int)strcspn(port, "/"), port);
    expect_refused(f, url, ca, "sign-in refused");
    snprintf(url, sizeof(url), "rediss://:secret@127.0.0.1%s", port);
    expect_refused(f, url, ca, "IP address mismatch");
    expect_refused(f, getenv("GOALSYNC_TEST_REDIS_URL"), getenv("GOALSYNC_TEST_WRONG_CA_FILE"), "no TLS");
    snprintf(url, sizeof(url), "redis://:canary@localhost%s", port);
    expect_refused(f, url, ca, "connection was lost");
    expect_refused(f, "redis://no-such-host.invalid", ca, "was not found");
    assert_null(make_redis(f, "rediss://h", "/nonexistent", &err));
    assert_non_null(strstr(err.text, "GOALSYNC_REDIS_CA_FILE"));
}

static void on_reply_then_free(void *arg, enum gs_rc rc, const redisReply *reply, const char *err)
{
    struct fixture *f = arg;

    on_reply(arg, rc, reply, err);
    f->redis = gs_redis_free(f->redis);
}

static void test_free_in_callback(void **state)
{
    struct fixture *f = *state;

    NEED_SERVER(f);
    RUN_UNTIL(f, gs_redis_up(f->redis));
    COMMAND(f, "PING");
    command_with(f, on_reply_then_free, (const char *const[]){"PING", NULL});
    COMMAND(f, "PING");
    RUN_UNTIL(f, f->answers == 3);
    assert_int_equal(f->ok, 2);
    assert_int_equal(f->retry, 1);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_urls), TEST(test_away),    TEST(test_commands), TEST(test_ceilings),
        TEST(test_restart),  TEST(test_refused), TEST(test_frozen),   TEST(test_free_in_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
