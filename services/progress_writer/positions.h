/* Where this process stands in each partition it holds: kept in the database, in the transaction of the effect.
 *
 * Each assignment raises the partition's epoch. A transaction locks the rows of its partitions first and goes on only
 * if they still have the epoch it knows: whoever lost a partition without noticing cannot commit, and a commit whose
 * answer was lost shows by where the row stands. */
#ifndef WRITER_POSITIONS_H
#define WRITER_POSITIONS_H

#include "services/progress_writer/txn.h"

#define WRITER_PARTITIONS_MAX 100000

struct writer_positions;

struct writer_positions *writer_positions_new(const char *group);
struct writer_positions *writer_positions_free(struct writer_positions *s);

/* As the database said at the assignment; see assign.h. */
void writer_positions_hold(struct writer_positions *s, int32_t partition, int64_t next, int64_t epoch);
void writer_positions_revoke(struct writer_positions *s, int32_t partition);
/* A partition that somebody took over while Kafka lets us read it, each told once; -1: none (any more). */
int32_t writer_positions_next_fenced(struct writer_positions *s);
/* 0: not held. */
int64_t writer_positions_epoch(const struct writer_positions *s, int32_t partition);
/* What is before is applied already: a commit whose answer was lost turned out to be done. */
int64_t writer_positions_next(const struct writer_positions *s, int32_t partition);
/* To be told of every message taken. One from before the stored offset means that the topic was made anew and begins
 * again: from there on, then; results that were applied already are recognised by their slots. */
void writer_positions_seen(struct writer_positions *s, int32_t partition, int64_t offset);

/* One transaction: the partitions it moves, and how far. */
void writer_positions_clear(struct writer_positions *s);
void writer_positions_add(struct writer_positions *s, int32_t partition, int64_t next);
void writer_positions_lock(struct writer_positions *s, struct writer_txn *t);
/* False: somebody else took a partition over, or stood further already; the positions know by now. */
bool writer_positions_check(struct writer_positions *s);
void writer_positions_store(struct writer_positions *s, struct writer_txn *t);
/* Committed: calls fn for each partition moved. */
void writer_positions_moved(struct writer_positions *s, void (*fn)(void *arg, int32_t partition, int64_t next),
                            void *arg);

#endif
