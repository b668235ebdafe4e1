/* From the lane of fetch.completed to the list of pending messages. */
#ifndef WRITER_INTAKE_H
#define WRITER_INTAKE_H

#include "services/progress_writer/letters.h"

struct writer_intake {
    struct writer_pending *pending;
    struct writer_positions *positions;
    struct writer_letters *letters;
    struct gs_lane *lane; /* null: none is open */
    bool more;            /* the lane may hold messages that were not asked for */
};

/* Takes what there is room for: two batches, so that one fills while the other is in its transaction. */
void writer_intake_take(struct writer_intake *in, size_t room);

#endif
