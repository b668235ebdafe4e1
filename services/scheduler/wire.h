/* Rows of claimed batches as FetchRequested messages. */
#ifndef SCHED_WIRE_H
#define SCHED_WIRE_H

#include "common/buf.h"
#include "common/pg.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stdint.h>

enum sched_kind { SCHED_DUE, SCHED_SYNC_NOW };

/* What every claim statement returns; the numbers are the columns. */
enum sched_column {
    SCHED_BATCH_ID,
    SCHED_ORG_ID,
    SCHED_CONNECTION_ID,
    SCHED_VERSION,
    SCHED_CONNECTOR,
    SCHED_CATEGORY,
    SCHED_ATTEMPT,
    SCHED_PAUSED,
    SCHED_LINK_IDS,
    SCHED_REVISIONS,
    SCHED_SETTINGS,
    SCHED_NOW,
    SCHED_AT, /* the next slot of a due batch; the slot of a Sync now */
};
#define SCHED_COLUMNS                                                                                                  \
    "b.id, b.org_id, b.connection_id, c.version, c.connector, c.category, b.attempt, c.paused_reason IS NOT NULL, "    \
    "b.link_ids, b.revisions, b.settings, now()"

#define SCHED_SYNC_EXPIRES_US INT64_C(600000000) /* nobody waits longer for a Sync now */

struct sched_wire; /* memory used again and again */
struct sched_wire *sched_wire_new(enum sched_kind kind, int64_t period_us);
struct sched_wire *sched_wire_free(struct sched_wire *w);

struct sched_message {
    const char *topic, *key, *id; /* all borrowed until the next call */
    const void *value;
    size_t len;
    int64_t slot_us, now_us;
};

/* GS_GONE: there is nothing to ask (paused, or no link left). GS_REJECT: the row makes no message. */
enum gs_rc sched_wire_pack(struct sched_wire *w, const struct gs_pg_result *r, int row, struct sched_message *ret,
                           struct gs_err *err) GS_MUST_CHECK;

#endif
