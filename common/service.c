/* The skeleton of every process: from the settings to the exit code. */
#include "common/service.h"

#include "common/health.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_TABLES       16
#define MAX_MISTAKES     (64 * 1024)
#define MAX_REASONS      4096
#define MAX_INSTANCE     128
#define READY_EVERY_US   20000   /* between two looks at ready(), until it first holds */
#define CLOSE_CEILING_MS 5000    /* for handles to close after stop() */
#define MAX_OPEN_FILES   1048576 /* asked for; the hard limit decides */

enum exit_code { EXIT_DRAINED = 0, EXIT_CONFIG = 1, EXIT_FATAL = 2 };
enum phase { STARTING, RUNNING, DRAINING, STOPPING };

struct gs_service {
    const struct gs_service_spec *spec;
    void *app;
    uv_loop_t loop;
    uv_signal_t term, intr;
    struct gs_timer *drain_timer, *ready_timer;
    struct gs_health *health;
    enum phase phase;
    int exit_code;
    char **args;
    int n_args;
    bool args_taken, ready_file_written;
    char instance[MAX_INSTANCE];
};

static struct {
    char *log, *health_address, *ready_file;
    int64_t drain_us;
    bool debuggable;
} settings;

static const struct gs_env service_env[] = {
    {"GOALSYNC_LOG", GS_ENV_STRING, &settings.log, "info", 0, 0,
     "what is logged: error, warn, info or debug, and per topic, like info,kafka=debug"},
    {"GOALSYNC_HEALTH_ADDRESS", GS_ENV_STRING, &settings.health_address, "127.0.0.1:0", 0, 0,
     "where /healthz, /readyz and /metrics are served; port 0: any free one; empty: nowhere"},
    {"GOALSYNC_READY_FILE", GS_ENV_STRING, &settings.ready_file, "", 0, 0,
     "file written with the health address once ready, removed at exit"},
    {"GOALSYNC_DRAIN_SECONDS", GS_ENV_SECONDS, &settings.drain_us, "20", 0, 3600,
     "how long work under way may take to end after SIGTERM"},
    {"GOALSYNC_DEBUGGABLE", GS_ENV_BOOL, &settings.debuggable, "no", 0, 0,
     "allow debuggers and core dumps, which hold secrets"},
    GS_ENV_END,
};

uv_loop_t *gs_service_loop(struct gs_service *svc)
{
    return &svc->loop;
}

const char *gs_service_name(const struct gs_service *svc)
{
    return svc->spec->name;
}

const char *gs_service_instance(const struct gs_service *svc)
{
    return svc->instance;
}

int gs_service_args(const struct gs_service *svc, char ***ret_argv)
{
    ((struct gs_service *)svc)->args_taken = true;
    *ret_argv = svc->args;
    return svc->n_args;
}

/* ---- before the loop ---- */

static void collect_tables(const struct gs_service_spec *spec, const struct gs_env *ret[MAX_TABLES + 1])
{
    size_t n = 0;
    ret[n++] = service_env;
    for (size_t i = 0; spec->env && spec->env[i]; i++) {
        assert(n < MAX_TABLES);
        ret[n++] = spec->env[i];
    }
    ret[n] = NULL;
}

/* Answers --env, --version and --help; keeps all other arguments. True when the process is done. */
static bool take_args(struct gs_service *svc, int argc, char **argv)
{
    const struct gs_env *tables[MAX_TABLES + 1];
    svc->args = gs_alloc_n((size_t)argc + 1, sizeof(*svc->args));
    for (int i = 1; i < argc; i++) {
        if (gs_str_eq(argv[i], "--env")) {
            collect_tables(svc->spec, tables);
            gs_env_print(tables, stdout);
            return true;
        }
        if (gs_str_eq(argv[i], "--version")) {
            printf("goalsync-%s %s\n", svc->spec->name, GOALSYNC_VERSION);
            return true;
        }
        if (gs_str_eq(argv[i], "--help")) {
            printf("goalsync-%s: %s\nIt is set by environment variables; --env lists them.\n", svc->spec->name,
                   svc->spec->help);
            return true;
        }
        svc->args[svc->n_args++] = argv[i];
    }
    return false;
}

/* Reads the settings; logs every mistake. */
static bool read_settings(const struct gs_service *svc)
{
    const struct gs_env *tables[MAX_TABLES + 1];
    struct gs_buf mistakes;
    gs_buf_init(&mistakes, MAX_MISTAKES);
    collect_tables(svc->spec, tables);
    bool ok = gs_env_read(tables, &mistakes) == GS_OK;
    if (settings.log && !gs_log_filter_valid(settings.log)) {
        gs_buf_puts(&mistakes, "GOALSYNC_LOG is not a list of levels; accepted: like info,kafka=debug\n");
        ok = false;
    }
    const char *line = gs_buf_str(&mistakes);
    while (*line) {
        size_t len = strcspn(line, "\n");
        gs_log_error(NULL, "bad setting", "error=\"%.*s\"", (int)len, line);
        line += len + (line[len] == '\n');
    }
    gs_buf_done(&mistakes);
    return ok;
}

/* Secrets are in this memory: no core dumps, no debugger of the same user. */
static void harden(void)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    if (!settings.debuggable)
        prctl(PR_SET_DUMPABLE, 0);
    /* The soft limit is low for programs that use select(); none here does. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max < MAX_OPEN_FILES ? files.rlim_max : MAX_OPEN_FILES;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void name_instance(struct gs_service *svc)
{
    char host[MAX_INSTANCE - 16] = "localhost";
    gethostname(host, sizeof(host) - 1);
    snprintf(svc->instance, sizeof(svc->instance), "%s:%d", host, (int)getpid());
}

/* ---- readiness ---- */

static void collect_reasons(void *arg, struct gs_buf *reasons)
{
    struct gs_service *svc = arg;
    if (svc->phase == STARTING)
        gs_buf_puts(reasons, "starting\n");
    else if (svc->phase != RUNNING)
        gs_buf_puts(reasons, "draining\n");
    else if (svc->spec->ready)
        svc->spec->ready(svc->app, reasons);
}

static bool write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return false;
    bool ok = fputs(text, file) >= 0;
    return fclose(file) == 0 && ok;
}

/* Written aside and renamed: whoever waits for the file never reads half of it. */
static bool write_ready_file(const char *address)
{
    char *aside = NULL, text[256];
    snprintf(text, sizeof(text), "%s\n", address);
    if (asprintf(&aside, "%s.%d", settings.ready_file, (int)getpid()) < 0)
        return false;
    bool ok = write_whole(aside, text) && rename(aside, settings.ready_file) == 0;
    if (!ok) {
        gs_log_warn(NULL, "ready file not written", "error=\"%s\"", strerror(errno));
        unlink(aside);
    }
    free(aside);
    return ok;
}

static void look_if_ready(void *arg)
{
    struct gs_service *svc = arg;
    struct gs_buf reasons;
    gs_buf_init(&reasons, MAX_REASONS);
    collect_reasons(svc, &reasons);
    bool ready = reasons.len == 0;
    gs_buf_done(&reasons);
    if (!ready)
        return;
    gs_timer_stop(svc->ready_timer);
    const char *address = svc->health ? gs_health_address(svc->health) : "";
    if (*settings.ready_file)
        svc->ready_file_written = write_ready_file(address);
    gs_log_info(NULL, "ready", "health=%s", *address ? address : "off");
}

/* ---- the end ---- */

static void end(struct gs_service *svc, int exit_code)
{
    if (svc->phase == STOPPING)
        return;
    svc->phase = STOPPING;
    svc->exit_code = exit_code;
    uv_stop(&svc->loop);
}

void gs_service_drained(struct gs_service *svc)
{
    if (svc->phase == DRAINING)
        end(svc, EXIT_DRAINED);
}

void gs_service_fail(struct gs_service *svc, const struct gs_err *err)
{
    if (svc->phase == STOPPING)
        return;
    gs_log_error(NULL, "fatal", "error=\"%s\"", err->text);
    end(svc, EXIT_FATAL);
}

static void on_drain_deadline(void *arg)
{
    struct gs_service *svc = arg;
    gs_log_warn(NULL, "drain deadline passed", "seconds=%.3g", (double)settings.drain_us / 1e6);
    end(svc, EXIT_FATAL);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct gs_service *svc = handle->data;
    if (svc->phase == DRAINING) {
        gs_log_warn(NULL, "drain ended by a second signal", "signal=%d", signum);
        end(svc, EXIT_FATAL);
    }
    if (svc->phase != RUNNING)
        return;
    gs_log_info(NULL, "draining", "signal=%d", signum);
    svc->phase = DRAINING;
    gs_timer_start(svc->drain_timer, settings.drain_us, 0);
    if (svc->spec->drain)
        svc->spec->drain(svc->app);
    else
        gs_service_drained(svc);
}

/* ---- the life ---- */

static void on_close_ceiling(uv_timer_t *handle)
{
    uv_stop(handle->loop);
}

static void report_leak(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        gs_log_debug(NULL, "handle not closed", "type=%s", uv_handle_type_name(handle->type));
}

/* Turns the loop until everything that was closed has said so. */
static void close_loop(uv_loop_t *loop)
{
    uv_timer_t ceiling;
    uv_timer_init(loop, &ceiling);
    uv_timer_start(&ceiling, on_close_ceiling, CLOSE_CEILING_MS, 0);
    uv_unref((uv_handle_t *)&ceiling);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&ceiling, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    if (uv_loop_close(loop) != 0)
        uv_walk(loop, report_leak, NULL);
}

static void open_signal(struct gs_service *svc, uv_signal_t *handle, int signum)
{
    uv_signal_init(&svc->loop, handle);
    handle->data = svc;
    uv_signal_start(handle, on_signal, signum);
}

static int report_start_error(const struct gs_err *err)
{
    gs_log_error(NULL, "start failed", "error=\"%s\"", err->text);
    return err->rc == GS_REJECT ? EXIT_CONFIG : EXIT_FATAL;
}

static void start_app(struct gs_service *svc)
{
    struct gs_err err = {.rc = GS_FATAL, .text = "no reason given"};
    if (*settings.health_address) {
        svc->health = gs_health_new(&svc->loop, settings.health_address, collect_reasons, svc, &err);
        if (!svc->health) {
            end(svc, report_start_error(&err));
            return;
        }
    }
    svc->app = svc->spec->start(svc, &err);
    if (!svc->app) {
        if (svc->phase != STOPPING)
            end(svc, report_start_error(&err));
    } else if (svc->n_args > 0 && !svc->args_taken) {
        gs_log_error(NULL, "unknown argument", "accepted=\"--env --version --help\"");
        end(svc, EXIT_CONFIG);
    } else if (svc->phase == STARTING) {
        svc->phase = RUNNING;
    }
}

static int run(struct gs_service *svc)
{
    uv_loop_init(&svc->loop);
    open_signal(svc, &svc->term, SIGTERM);
    open_signal(svc, &svc->intr, SIGINT);
    svc->drain_timer = gs_timer_new(&svc->loop, on_drain_deadline, svc);
    svc->ready_timer = gs_timer_new(&svc->loop, look_if_ready, svc);
    if (*settings.ready_file)
        unlink(settings.ready_file); /* of a process that died */
    start_app(svc);
    if (svc->phase == RUNNING) {
        gs_log_info(NULL, "started", "version=%s instance=%s", GOALSYNC_VERSION, svc->instance);
        gs_timer_start(svc->ready_timer, 0, READY_EVERY_US);
    }
    /* Also when the start failed: it takes back the request to stop, so that the closing below turns. */
    uv_run(&svc->loop, UV_RUN_DEFAULT);
    if (svc->ready_file_written)
        unlink(settings.ready_file);
    if (svc->app && svc->spec->stop)
        svc->spec->stop(svc->app);
    svc->health = gs_health_free(svc->health);
    svc->drain_timer = gs_timer_free(svc->drain_timer);
    svc->ready_timer = gs_timer_free(svc->ready_timer);
    uv_close((uv_handle_t *)&svc->term, NULL);
    uv_close((uv_handle_t *)&svc->intr, NULL);
    close_loop(&svc->loop);
    gs_log_info(NULL, "stopped", "exit=%d", svc->exit_code);
    return svc->exit_code;
}

int gs_service_main(const struct gs_service_spec *spec, int argc, char **argv)
{
    struct gs_service svc = {.spec = spec, .exit_code = EXIT_FATAL};
    int exit_code = EXIT_CONFIG;
    /* libuv looks names up on these threads: four dead name servers must not hold up everybody's look-ups. */
    setenv("UV_THREADPOOL_SIZE", "32", 0);
    gs_log_init(spec->name, "info");
    name_instance(&svc);
    if (take_args(&svc, argc, argv)) {
        exit_code = EXIT_DRAINED;
    } else if (read_settings(&svc)) {
        gs_log_init(spec->name, settings.log);
        harden();
        exit_code = run(&svc);
    }
    free(svc.args);
    return exit_code;
}
