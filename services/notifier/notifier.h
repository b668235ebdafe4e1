/* The notifier: from events about goals to signed requests at webhooks. */
#ifndef NOTIFIER_NOTIFIER_H
#define NOTIFIER_NOTIFIER_H

#include "common/env.h"
#include "common/service.h"

#define NOTIFIER_GROUP "goalsync-notifier"

#define NOTIFIER_BATCH_MAX      1000        /* messages of one transaction */
#define NOTIFIER_MESSAGE_MAX    (64 << 10)  /* bytes of a message that is read */
#define NOTIFIER_TITLE_MAX      2000        /* bytes of a goal's title: 500 characters */
#define NOTIFIER_ID_MAX         200         /* bytes of an event's id */
#define NOTIFIER_PARTITIONS_MAX 100000      /* of a topic */
#define NOTIFIER_IN_FLIGHT      1024        /* deliveries at once */
#define NOTIFIER_WINDOW_MAX     16          /* of one webhook */
#define NOTIFIER_BODY_MAX       (256 << 10) /* bytes of a delivery's body: a title and a sentence, each escaped */
#define NOTIFIER_ANSWER_MAX     1024        /* bytes of an answer's body that are read; they are ignored */
#define NOTIFIER_SECRETS_MAX    4           /* that sign at the same time */
#define NOTIFIER_ATTEMPTS       10          /* of one delivery */
#define NOTIFIER_ERROR_MAX      300         /* bytes of a failure as it is kept */

extern const struct gs_env notifier_env[];

struct notifier_settings {
    int64_t timeout_us; /* of one delivery */
    int64_t give_up_us; /* from the first attempt to the last */
    int64_t keep_us;    /* deliveries in the list */
    bool allow_private, allow_plain;
};
extern struct notifier_settings notifier_settings;

void *notifier_start(struct gs_service *svc, struct gs_err *err);
void notifier_ready(void *app, struct gs_buf *reasons);
void notifier_drain(void *app);
void notifier_stop(void *app);

#endif
