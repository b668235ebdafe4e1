/* The skeleton's life in a process of its own, watched through its log: settings, readiness, signals, drain, exit
 * codes. */
#include "common/service.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_LINE      4096
#define CHILD_SECONDS 30 /* a child that a failed test left behind ends by itself */

static char folder[] = "/tmp/service-test-XXXXXX";
static char ready_file[64];

/* ---- in the child ---- */

static struct {
    bool drain_ends, fails_in_callback, takes_args, asks_twice;
    enum gs_rc start_rc;
} script;

static int64_t number;
static const struct gs_env own_env[] = {
    {"GST_NUMBER", GS_ENV_INT, &number, "7", 1, 10, "a number"},
    GS_ENV_END,
};

struct app {
    struct gs_service *svc;
    struct gs_timer *timer;
    int asked;
};

static void fail_later(void *arg)
{
    struct app *app = arg;
    struct gs_err err;
    gs_fail(&err, GS_FATAL, "it broke");
    gs_service_fail(app->svc, &err);
    gs_service_fail(app->svc, &err); /* reported once */
}

static void *start(struct gs_service *svc, struct gs_err *err)
{
    static struct app app;
    char **args;
    if (script.start_rc != GS_OK) {
        gs_fail(err, script.start_rc, "cannot start");
        return NULL;
    }
    app.svc = svc;
    app.timer = gs_timer_new(gs_service_loop(svc), fail_later, &app);
    if (script.fails_in_callback)
        gs_timer_start(app.timer, 0, 0);
    int n = script.takes_args ? gs_service_args(svc, &args) : 0;
    gs_log_info(NULL, "start", "number=%d args=%d dumpable=%d instance=%s", (int)number, n, prctl(PR_GET_DUMPABLE),
                gs_service_instance(svc));
    kill(getpid(), SIGPIPE); /* ignored */
    return &app;
}

static void ready(void *arg, struct gs_buf *reasons)
{
    struct app *app = arg;
    if (script.asks_twice && app->asked++ == 0)
        gs_buf_puts(reasons, "not yet\n");
}

static void drain(void *arg)
{
    struct app *app = arg;
    gs_log_info(NULL, "drain called", NULL);
    if (script.drain_ends)
        gs_service_drained(app->svc);
}

static void stop(void *arg)
{
    struct app *app = arg;
    gs_log_info(NULL, "stop called", NULL);
    app->timer = gs_timer_free(app->timer);
}

static const struct gs_env *const tables[] = {own_env, NULL};
static const struct gs_service_spec spec = {.name = "tester",
                                            .help = "tests the skeleton",
                                            .env = tables,
                                            .start = start,
                                            .ready = ready,
                                            .drain = drain,
                                            .stop = stop};

/* ---- in the parent ---- */

struct child {
    pid_t pid;
    FILE *log; /* its stdout and stderr */
    char line[MAX_LINE];
};

static void launch(struct child *c, const char *arg)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        char name[] = "goalsync-tester", copy[64];
        char *argv[] = {name, NULL, NULL};
        snprintf(copy, sizeof(copy), "%s", arg ? arg : "");
        argv[1] = arg ? copy : NULL;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(CHILD_SECONDS);
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        int code = gs_service_main(&spec, arg ? 2 : 1, argv);
        fflush(NULL);
        _exit(code);
    }
    close(fds[1]);
    c->log = fdopen(fds[0], "r");
}

/* Reads on until a line holds this. False: the process ended without it. */
static bool wait_for(struct child *c, const char *what)
{
    while (fgets(c->line, sizeof(c->line), c->log)) {
        if (strstr(c->line, what))
            return true;
    }
    return false;
}

static int end_of(struct child *c)
{
    int status;
    while (fgets(c->line, sizeof(c->line), c->log))
        ;
    fclose(c->log);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int reset(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    setenv("GOALSYNC_READY_FILE", ready_file, 1);
    unsetenv("GOALSYNC_DRAIN_SECONDS");
    unsetenv("GOALSYNC_HEALTH_ADDRESS");
    unsetenv("GOALSYNC_LOG");
    unsetenv("GST_NUMBER");
    return 0;
}

static void drains(void **state)
{
    struct child c;
    char line[64];
    (void)state;
    script.drain_ends = script.asks_twice = true;
    launch(&c, NULL);
    assert_true(wait_for(&c, "\"start\" number=7 args=0 dumpable=0 instance="));
    snprintf(line, sizeof(line), ":%d\n", (int)c.pid);
    assert_non_null(strstr(c.line, line));
    assert_true(wait_for(&c, "\"ready\" health=127.0.0.1:"));
    kill(c.pid, SIGTERM);
    assert_true(wait_for(&c, "\"drain called\""));
    assert_true(wait_for(&c, "\"stop called\""));
    assert_true(wait_for(&c, "\"stopped\" exit=0"));
    assert_int_equal(end_of(&c), 0);
    assert_int_equal(access(ready_file, F_OK), -1); /* removed at exit */
}

static void ready_file_holds_the_address(void **state)
{
    struct child c;
    char address[64], content[64] = "";
    (void)state;
    launch(&c, NULL);
    assert_true(wait_for(&c, "\"ready\" health="));
    snprintf(address, sizeof(address), "%s", strstr(c.line, "127.0.0.1:"));
    FILE *file = fopen(ready_file, "r");
    assert_non_null(file);
    assert_non_null(fgets(content, sizeof(content), file));
    fclose(file);
    assert_string_equal(content, address);
    kill(c.pid, SIGINT);
    assert_true(wait_for(&c, "\"drain called\""));
    kill(c.pid, SIGINT);
    assert_int_equal(end_of(&c), 2);
}

static void second_signal_ends_the_drain(void **state)
{
    struct child c;
    (void)state;
    setenv("GOALSYNC_HEALTH_ADDRESS", "", 1);
    launch(&c, NULL);
    assert_true(wait_for(&c, "\"ready\" health=off"));
    kill(c.pid, SIGTERM);
    assert_true(wait_for(&c, "\"drain called\""));
    kill(c.pid, SIGTERM);
    assert_true(wait_for(&c, "second signal"));
    assert_true(wait_for(&c, "\"stop called\""));
    assert_int_equal(end_of(&c), 2);
}

static void drain_has_a_deadline(void **state)
{
    struct child c;
    (void)state;
    setenv("GOALSYNC_DRAIN_SECONDS", "20ms", 1);
    launch(&c, NULL);
    assert_true(wait_for(&c, "\"ready\""));
    kill(c.pid, SIGTERM);
    assert_true(wait_for(&c, "\"drain deadline passed\""));
    assert_true(wait_for(&c, "\"stop called\""));
    assert_int_equal(end_of(&c), 2);
}

static void bad_settings(void **state)
{
    struct child c;
    (void)state;
    setenv("GST_NUMBER", "11", 1);
    setenv("GOALSYNC_DRAIN_SECONDS", "soon", 1);
    setenv("GOALSYNC_LOG", "loud", 1);
    launch(&c, NULL);
    assert_true(wait_for(&c, "GOALSYNC_DRAIN_SECONDS is 'soon'"));
    assert_true(wait_for(&c, "GST_NUMBER is '11'"));
    assert_true(wait_for(&c, "GOALSYNC_LOG is not a list of levels"));
    assert_int_equal(end_of(&c), 1);
}

static void bad_starts(void **state)
{
    struct child c;
    (void)state;
    script.start_rc = GS_REJECT;
    launch(&c, NULL);
    assert_true(wait_for(&c, "\"start failed\" error=\"cannot start\""));
    assert_false(wait_for(&c, "\"stop called\""));
    assert_int_equal(end_of(&c), 1);
    script.start_rc = GS_FATAL;
    launch(&c, NULL);
    assert_int_equal(end_of(&c), 2);
    script.start_rc = GS_OK;
    setenv("GOALSYNC_HEALTH_ADDRESS", "nowhere", 1);
    launch(&c, NULL);
    assert_true(wait_for(&c, "'nowhere' is not an address"));
    assert_int_equal(end_of(&c), 1);
}

static void fails_in_a_callback(void **state)
{
    struct child c;
    (void)state;
    script.fails_in_callback = true;
    launch(&c, NULL);
    assert_true(wait_for(&c, "error tester \"fatal\" error=\"it broke\""));
    assert_true(wait_for(&c, "\"stop called\"")); /* and no second report before it */
    assert_int_equal(end_of(&c), 2);
}

static void arguments(void **state)
{
    struct child c;
    (void)state;
    launch(&c, "--version");
    assert_true(wait_for(&c, "goalsync-tester " GOALSYNC_VERSION "\n"));
    assert_int_equal(end_of(&c), 0);
    launch(&c, "--help");
    assert_true(wait_for(&c, "tests the skeleton"));
    assert_int_equal(end_of(&c), 0);
    launch(&c, "--env");
    assert_true(wait_for(&c, "GOALSYNC_DRAIN_SECONDS"));
    assert_true(wait_for(&c, "GST_NUMBER"));
    assert_int_equal(end_of(&c), 0);
    launch(&c, "--nonsense");
    assert_true(wait_for(&c, "unknown argument"));
    assert_int_equal(end_of(&c), 1);
    script.takes_args = script.drain_ends = true;
    launch(&c, "--own");
    assert_true(wait_for(&c, "args=1"));
    assert_true(wait_for(&c, "\"ready\""));
    kill(c.pid, SIGTERM);
    assert_int_equal(end_of(&c), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(ready_file, sizeof(ready_file), "%s/ready", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails when anything was left in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(drains, reset),
        cmocka_unit_test_setup(ready_file_holds_the_address, reset),
        cmocka_unit_test_setup(second_signal_ends_the_drain, reset),
        cmocka_unit_test_setup(drain_has_a_deadline, reset),
        cmocka_unit_test_setup(bad_settings, reset),
        cmocka_unit_test_setup(bad_starts, reset),
        cmocka_unit_test_setup(fails_in_a_callback, reset),
        cmocka_unit_test_setup(arguments, reset),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
