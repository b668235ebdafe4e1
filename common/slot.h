/* Where in the period a batch of links is due. Pure; the scheduler's SQL computes the same with the database's clock.
 */
#ifndef GS_SLOT_H
#define GS_SLOT_H

#include <stdint.h>

#define GS_SLOT_HASHES (INT64_C(1) << 31) /* hashes are 0 .. GS_SLOT_HASHES - 1 */

/* Place in the period: even over batches, and the same for ever. What link_batch.slot_hash holds. */
int32_t gs_slot_hash(int64_t connection_id, const char *batch_key);

/* floor(hash * period / 2^31): microseconds from a multiple of the period to the slot. */
int64_t gs_slot_offset(int32_t hash, int64_t period_us);

/* The nominal slot: the latest instant at or before now that lies on the batch's grid. */
int64_t gs_slot_latest(int32_t hash, int64_t period_us, int64_t now_us);

#endif
