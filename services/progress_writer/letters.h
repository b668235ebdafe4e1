/* Dead letters of this consumer: sent until Kafka has them. */
#ifndef WRITER_LETTERS_H
#define WRITER_LETTERS_H

#include "services/progress_writer/pending.h"

struct writer_letters;

/* settled: a letter was acknowledged, the messages behind it may go on. */
struct writer_letters *writer_letters_new(uv_loop_t *loop, struct gs_producer *producer, struct writer_pending *pending,
                                          void (*settled)(void *arg), void *arg);
struct writer_letters *writer_letters_free(struct writer_letters *l); /* after its producer */
void writer_letters_bury(struct writer_letters *l, struct writer_message *m, const char *reason, const char *error);

#endif
