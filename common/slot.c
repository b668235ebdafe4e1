/* Slots: the even, deterministic spread of batches over the period. */
#include "common/slot.h"

#include "common/str.h"

#include <assert.h>
#include <string.h>

#define SLOT_SEED UINT64_C(0x676f616c73796e63) /* never change it: every batch would move */

int32_t gs_slot_hash(int64_t connection_id, const char *batch_key)
{
    unsigned char id[8];

    /* Bytes in a fixed order, so that every machine agrees. */
    for (int i = 0; i < 8; i++)
        id[i] = (unsigned char)((uint64_t)connection_id >> (8 * i));
    uint64_t hash = gs_hash64(batch_key, strlen(batch_key), gs_hash64(id, sizeof id, SLOT_SEED));
    return (int32_t)(hash >> 33);
}

int64_t gs_slot_offset(int32_t hash, int64_t period_us)
{
    assert(hash >= 0 && period_us > 0);
    /* In two halves: the product of hash and a period beyond 71 minutes has more than 63 bits. */
    return hash * (period_us >> 31) + ((hash * (period_us & (GS_SLOT_HASHES - 1))) >> 31);
}

int64_t gs_slot_latest(int32_t hash, int64_t period_us, int64_t now_us)
{
    int64_t since = (now_us - gs_slot_offset(hash, period_us)) % period_us;

    return now_us - (since < 0 ? since + period_us : since);
}
