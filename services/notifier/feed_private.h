/* Shared by the feed*.c files; nobody else includes it. */
#ifndef NOTIFIER_FEED_PRIVATE_H
#define NOTIFIER_FEED_PRIVATE_H

#include "common/backoff.h"
#include "common/loop.h"
#include "common/str.h"
#include "services/notifier/count.h"
#include "services/notifier/feed.h"
#include "services/notifier/notifier.h"
#include "services/notifier/positions.h"

enum notifier_letter {
    NOTIFIER_NO_LETTER,
    NOTIFIER_LETTER_DUE,     /* to be sent; nothing is stored before Kafka has it */
    NOTIFIER_LETTER_SENDING, /* the producer has it */
    NOTIFIER_LETTER_SENT,    /* only the offset counts */
};

struct notifier_item {
    struct notifier_feed *feed; /* with a letter */
    rd_kafka_message_t *m;      /* owned */
    enum notifier_topic topic;
    int64_t epoch; /* of its partition when it was taken */
    char id[NOTIFIER_ID_MAX + 1];
    struct notifier_event ev; /* empty with a letter */
    enum notifier_letter letter;
    int tries;          /* of sending the letter */
    const char *reason; /* of the letter; static */
    char error[400];
};

/* A partition that the batch moves. */
struct notifier_move {
    enum notifier_topic topic;
    int32_t partition;
    int64_t epoch, next;
};

struct notifier_lane {
    struct gs_lane *lane; /* null: none is open */
    bool more;            /* it may hold messages that were not asked for */
};

struct notifier_feed {
    struct notifier_feed_spec spec;
    struct gs_pg *pg;
    struct gs_producer *producer;
    struct gs_consumer *consumer;
    struct notifier_positions *positions;
    struct gs_pg_params *params;
    struct gs_timer *timer, *letter_timer;
    struct notifier_lane lanes[NOTIFIER_TOPICS];
    struct notifier_item items[NOTIFIER_BATCH_MAX];
    size_t n, taken; /* taken: the first ones, in the statement under way */
    size_t ceiling;  /* of taken: less while a bad message is looked for */
    struct notifier_move moves[NOTIFIER_BATCH_MAX];
    size_t n_moves, letters; /* letters: not yet with Kafka */
    struct gs_backoff backoff;
    int64_t pause_until_us;
    bool storing, draining, leaving, stopped, freed;
    char broken[400]; /* why the database refuses; "" when it does not */
};

/* feed.c */
void notifier_feed_settled(struct notifier_feed *f); /* the last letter is with Kafka */
void notifier_feed_leave(struct notifier_feed *f);

/* feed_letters.c */
void notifier_feed_bury(struct notifier_feed *f, struct notifier_item *item, const char *reason, const char *error);
void notifier_feed_resend(void *feed);

/* feed_store.c: the first n items in one statement. Its rows: a move's number from 1, and how many deliveries there are
 * new in all; a move without a row lost its partition. */
void notifier_feed_store(struct notifier_feed *f, size_t n, gs_pg_fn fn);

#endif
