/* One transaction from BEGIN to COMMIT: load, apply, store, roll up. Knows neither Kafka nor why the goals change;
 * those who use it add their own statements at both ends. */
#ifndef WRITER_TXN_H
#define WRITER_TXN_H

#include "services/progress_writer/work.h"

enum writer_end {
    WRITER_END_DONE,   /* committed */
    WRITER_END_AGAIN,  /* not applied, or unknown; the same work may be tried again */
    WRITER_END_STALE,  /* opened() said no; not applied */
    WRITER_END_POISON, /* the database refuses this data; trying again is no use */
    WRITER_END_BROKEN, /* the database refuses the statement itself: rights, schema, read-only. Not the data's fault */
};

struct writer_txn;

struct writer_txn_spec {
    /* Sends statements behind BEGIN with writer_txn_query(). */
    void (*open)(void *arg, struct writer_txn *t);
    /* Their answers are in; false: roll back. May fill goals and seeds of the work. Null: true. */
    bool (*opened)(void *arg);
    /* Sends statements before COMMIT. Null: none. */
    void (*close)(void *arg, struct writer_txn *t);
    /* The end; another one may be begun inside. err is a sentence, "" when DONE. */
    void (*done)(void *arg, enum writer_end end, const char *err);
    void *arg;
};

struct writer_txn *writer_txn_new(struct gs_pg *pg, const struct writer_txn_spec *spec);
struct writer_txn *writer_txn_free(struct writer_txn *t); /* after its connection */
/* To be called from the connection's state(): a transaction does not outlive its session. */
void writer_txn_session_changed(struct writer_txn *t);
bool writer_txn_running(const struct writer_txn *t);
/* One at a time. The work is reset first, but for its results. */
void writer_txn_begin(struct writer_txn *t, struct writer_work *w);
/* For open() and close(): read (may be null) is called when the statement succeeded. */
void writer_txn_query(struct writer_txn *t, const struct gs_pg_stmt *stmt, const struct gs_pg_params *p,
                      void (*read)(void *arg, const struct gs_pg_result *r), void *arg);

#endif
