/* Bytes of goal.changed and goal.noted to what webhooks are told. */
#ifndef NOTIFIER_WIRE_H
#define NOTIFIER_WIRE_H

#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct notifier_state {
    const char *value, *progress, *status; /* value, progress: decimals; null: none */
};

/* Texts are borrowed from `unpacked`. */
struct notifier_event {
    const char *event; /* "goal.progressed"; static. Null: nobody is told */
    int64_t org_id, goal_id, at_us;
    struct notifier_state now;
    bool hidden; /* a private goal */

    /* What moved a goal; null cause: a person did something to it. */
    const char *cause;
    struct notifier_state before;
    int64_t link_id, source_at_us, fetched_at_us; /* 0: none */

    /* What a person did. The goal as it was then; null: as it stands in the database. */
    int64_t person_id; /* 0: nobody of the organisation */
    const char *public_id, *kind, *title;
    const char *thing; /* public id of the check-in or comment; null: none */

    void *unpacked;
    bool noted; /* which message that is */
};

enum notifier_topic { NOTIFIER_CHANGED, NOTIFIER_NOTED, NOTIFIER_TOPICS };
extern const char *const notifier_topics[NOTIFIER_TOPICS + 1]; /* ended by null */
/* NOTIFIER_TOPICS: none of ours. */
enum notifier_topic notifier_topic_of(const char *name);

/* GS_REJECT: err says what is wrong with it, and ret is empty. */
enum gs_rc notifier_wire_read(enum notifier_topic topic, const void *data, size_t len, struct notifier_event *ret,
                              struct gs_err *err) GS_MUST_CHECK;
void notifier_event_done(struct notifier_event *ev);

#endif
