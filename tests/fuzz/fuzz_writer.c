/* What the progress writer reads: results of fetches, and its own events on their way out.
 * links: goalsync_writer */
#include "common/mem.h"
#include "services/progress_writer/wire.h"

#include <stdlib.h>
#include <string.h>

#define NOW_US INT64_C(1763913600000000)
#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void results(const uint8_t *data, size_t size)
{
    struct writer_results r = {0};
    struct gs_err err = {.text = ""};

    if (writer_wire_read(data, size, NULL, NOW_US, &r, &err) != GS_OK)
        MUST(err.text[0] && r.n == 0);
    for (size_t i = 0; i < r.n; i++) {
        const struct writer_result *one = &r.items[i];
        MUST(one->link_id > 0 && one->batch_id > 0 && one->revision > 0 && one->attempt > 0 && one->slot_us > 0);
        MUST(one->fetched_at_us > 0 && one->fetched_at_us <= NOW_US + WRITER_CLOCK_SKEW_US);
        MUST((one->outcome == WRITER_OK) == !one->error && *writer_outcome_name(one->outcome));
    }
    writer_results_done(&r);
}

static void outbox(const uint8_t *data, size_t size)
{
    struct writer_outbox *o = writer_outbox_read(data, size);

    for (size_t i = 0; o && i < writer_outbox_count(o); i++) {
        struct writer_outbox_event ev = writer_outbox_get(o, i);
        MUST(ev.topic && ev.key && ev.id && (ev.payload || ev.len == 0));
    }
    writer_outbox_free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    results(data, size);
    outbox(data, size);
    return 0;
}
