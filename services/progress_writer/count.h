/* The writer's metrics. */
#ifndef WRITER_COUNT_H
#define WRITER_COUNT_H

#include "services/progress_writer/txn.h"

void writer_count_init(void);
void writer_count_work(const struct writer_work *w, size_t messages, int64_t elapsed_us, int64_t now_us);
void writer_count_end(enum writer_end end);
void writer_count_letter(const char *reason); /* a word */
void writer_count_backlog(int64_t rows);      /* of the outbox */
void writer_count_published(size_t events);

#endif
