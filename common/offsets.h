/* For work that ends out of order: up to which offset of a partition is everything done? Pure; no Kafka in it. */
#ifndef GS_OFFSETS_H
#define GS_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gs_offsets; /* of one consumer: all its partitions */

struct gs_offsets *gs_offsets_new(void);
struct gs_offsets *gs_offsets_free(struct gs_offsets *o);
/* Offsets of a partition begin in rising order, gaps allowed. The generation returned is handed back with end(), so
 * that work begun before a partition was forgotten and assigned again is not counted. */
uint32_t gs_offsets_begin(struct gs_offsets *o, const char *topic, int32_t partition, int64_t offset);
/* True when the low-water mark moved: *ret_next is the offset to commit. */
bool gs_offsets_end(struct gs_offsets *o, const char *topic, int32_t partition, int64_t offset, uint32_t generation,
                    int64_t *ret_next);
void gs_offsets_forget(struct gs_offsets *o, const char *topic, int32_t partition);
size_t gs_offsets_open(const struct gs_offsets *o); /* begun and not ended */

#endif
