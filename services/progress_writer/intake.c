/* Takes messages and judges their bytes; what cannot be read becomes a dead letter at once. */
#include "services/progress_writer/intake.h"

#include "common/clock.h"
#include "services/progress_writer/wire.h"

#define TAKE_MAX 256 /* at a time */

static void add(struct writer_intake *in, rd_kafka_message_t *m, int64_t now_us)
{
    struct gs_err err;
    int64_t epoch = writer_positions_epoch(in->positions, m->partition);
    if (epoch == 0) { /* of a partition that is gone */
        rd_kafka_message_destroy(m);
        return;
    }
    writer_positions_seen(in->positions, m->partition, m->offset);
    struct writer_message *item = writer_pending_add(in->pending, m, epoch);
    /* Headers are left alone: only a change that is published has use for the trace. */
    if (writer_wire_read(m->payload, m->len, m, now_us, &item->results, &err) != GS_OK)
        writer_letters_bury(in->letters, item, "unreadable", err.text);
}

void writer_intake_take(struct writer_intake *in, size_t room)
{
    rd_kafka_message_t *taken[TAKE_MAX];
    while (in->lane && in->more && room > 0) {
        size_t max = room < TAKE_MAX ? room : TAKE_MAX;
        size_t n = gs_lane_take(in->lane, taken, max);
        int64_t now_us = gs_now_us();
        for (size_t i = 0; i < n; i++)
            add(in, taken[i], now_us);
        in->more = n == max;
        room -= n;
    }
}
