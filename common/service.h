/* The skeleton of every process: settings, log, loop, signals, health, drain, exit code.
 *
 * Life: read settings -> start() -> run -> SIGTERM or SIGINT -> drain() -> gs_service_drained() or the drain deadline
 * -> stop() -> exit. A second signal ends the drain at once. Exit codes: 0 drained, 1 bad configuration, 2 fatal error
 * or drain deadline passed.
 *
 * Arguments every service takes: --env prints the settings table, --version, --help.
 * Common settings: GOALSYNC_LOG, GOALSYNC_HEALTH_ADDRESS ("127.0.0.1:0"; "" = off), GOALSYNC_READY_FILE (written with
 * the health address once ready), GOALSYNC_DRAIN_SECONDS.
 * HTTP at the health address: /healthz (the loop turns), /readyz (200, or 503 with the reasons), /metrics. */
#ifndef GS_SERVICE_H
#define GS_SERVICE_H

#include "common/buf.h"
#include "common/env.h"
#include "common/rc.h"

#include <stdbool.h>
#include <uv.h>

struct gs_service;

struct gs_service_spec {
    const char *name;                /* "scheduler"; logs, client ids, application_name */
    const char *help;                /* one sentence for --help */
    const struct gs_env *const *env; /* tables, ended by null: the service's own and those of common clients */
    /* Wires everything; returns the application or null with *err filled (FATAL: exit 2, REJECT: exit 1). */
    void *(*start)(struct gs_service *svc, struct gs_err *err);
    /* Appends a line for each reason not to be ready; nothing appended = ready. May be null. */
    void (*ready)(void *app, struct gs_buf *reasons);
    /* Stop taking work; call gs_service_drained() when the rest is done (possibly at once). Null: nothing to drain. */
    void (*drain)(void *app);
    void (*stop)(void *app); /* frees everything; the loop still turns until all handles are closed */
};

int gs_service_main(const struct gs_service_spec *spec, int argc, char **argv);

uv_loop_t *gs_service_loop(struct gs_service *svc);
const char *gs_service_name(const struct gs_service *svc);
const char *gs_service_instance(const struct gs_service *svc); /* host:pid, unique among replicas */
/* Arguments behind the common ones, e.g. --connectors github,jira; owned by the service. */
int gs_service_args(const struct gs_service *svc, char ***ret_argv);
void gs_service_drained(struct gs_service *svc);
/* Logs once and ends the process with code 2 after stop(); for GS_FATAL met inside a callback. */
void gs_service_fail(struct gs_service *svc, const struct gs_err *err);

#endif
