/* The progress writer: applies what was fetched, publishes what changed, passes over days. */
#ifndef WRITER_WRITER_H
#define WRITER_WRITER_H

#include "common/env.h"
#include "common/service.h"

#define WRITER_GROUP "goalsync-progress-writer"
#define WRITER_TOPIC "fetch.completed"

/* GOALSYNC_WRITER_BATCH, GOALSYNC_WRITER_WAIT, GOALSYNC_PERIOD. */
extern const struct gs_env writer_env[];

struct writer_settings {
    int64_t batch;     /* messages of one transaction */
    int64_t wait_us;   /* between the beginnings of two transactions that are not full */
    int64_t period_us; /* of the schedule */
};
extern struct writer_settings writer_settings;

void *writer_start(struct gs_service *svc, struct gs_err *err);
void writer_ready(void *app, struct gs_buf *reasons);
void writer_drain(void *app);
void writer_stop(void *app);

#endif
