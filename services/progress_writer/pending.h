/* Messages that were taken and are not applied yet, in the order they came. */
#ifndef WRITER_PENDING_H
#define WRITER_PENDING_H

#include "common/kafka.h"
#include "services/progress_writer/positions.h"
#include "services/progress_writer/result.h"
#include "services/progress_writer/work.h"

enum writer_letter {
    WRITER_LETTER_NONE,    /* to be applied */
    WRITER_LETTER_DUE,     /* a dead letter to be sent; nothing behind it is committed before Kafka has it */
    WRITER_LETTER_SENDING, /* the producer has it */
    WRITER_LETTER_SENT,    /* only its offset counts */
};

struct writer_message {
    struct writer_message *next; /* of the spare ones */
    void *owner;                 /* for the dead letter's answer */
    rd_kafka_message_t *m;       /* owned */
    int64_t taken_us;            /* monotonic */
    int64_t epoch;               /* of its partition when it was taken */
    struct writer_results results;
    enum writer_letter letter;
    int tries;          /* of sending the dead letter */
    bool dropped;       /* out of the list; freed by the answer it waits for */
    const char *reason; /* of the dead letter; static */
    char *error;        /* owned; null: none */
};

struct writer_pending {
    struct writer_message **items;
    size_t n, cap;
    size_t bytes;                 /* of all pending messages */
    struct writer_message *spare; /* used up, with room for results; as many as ever were pending at once */
    size_t taken;                 /* the first ones are in the transaction under way */
    size_t ceiling;               /* messages in one transaction now: less while a bad one is looked for */
};

#define WRITER_RESULTS_MAX 20000 /* in one transaction, but for a single message's own */

void writer_pending_init(struct writer_pending *p);
void writer_pending_done(struct writer_pending *p);
struct writer_message *writer_pending_add(struct writer_pending *p, rd_kafka_message_t *m, int64_t epoch);
/* Drops what belongs to lost partitions or turned out to be applied. Not during a transaction. */
void writer_pending_sift(struct writer_pending *p, const struct writer_positions *s);
/* Makes up the next transaction out of the first messages: its results, sorted, and the positions it moves. Returns the
 * number of messages; 0: there is nothing that may be committed now. */
size_t writer_pending_take(struct writer_pending *p, size_t max, struct writer_work *w, struct writer_positions *s);
/* The transaction is over; committed: its messages are gone. */
void writer_pending_end(struct writer_pending *p, bool committed);
void writer_message_free(struct writer_message *m);

#endif
