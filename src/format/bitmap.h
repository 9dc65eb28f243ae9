/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bitmap of mode B (docs/format.md section 7): one bit per region of blocks, in the journal
 * area.
 */
#ifndef INTACT_FORMAT_BITMAP_H
#define INTACT_FORMAT_BITMAP_H

#include "format/geometry.h"

#define BITMAP_BLOCK_BYTES	4096
#define SECTORS_PER_BIT_DEFAULT 32768u

struct bitmap_shape {
	uint8_t log2_blocks_per_bit;
	uint64_t region_sectors;
	uint64_t regions; /* bits in use */
	uint64_t bytes;	  /* of the area, whole BITMAP_BLOCK_BYTES */
};

enum bitmap_verdict {
	BITMAP_GOOD,
	BITMAP_TOO_FINE,   /* the volume has more regions than the area has bits */
	BITMAP_TOO_COARSE, /* no shift by log2_blocks_per_bit means anything */
	BITMAP_VERDICTS
};

/* The stored granularity over `sectors` logical sectors. Unless it is good, what is stored cannot
 * be right: every region has to be taken for dirty. *ret is written only for BITMAP_GOOD.
 */
enum bitmap_verdict bitmap_shape_stored(const struct geometry *g, uint8_t log2_blocks_per_bit,
					uint64_t sectors, struct bitmap_shape *ret);

/* The granularity that activation chooses for sectors_per_bit (0: the default). There must be a
 * journal area.
 */
void bitmap_shape_choose(const struct geometry *g, uint32_t sectors_per_bit, uint64_t sectors,
			 struct bitmap_shape *ret);

uint64_t bitmap_region_of(const struct bitmap_shape *shape, uint64_t logical_sector);
bool bitmap_test(const uint8_t *bits, uint64_t region);
void bitmap_set(uint8_t *bits, uint64_t first_region, uint64_t regions);
void bitmap_clear(uint8_t *bits, uint64_t first_region, uint64_t regions);
uint64_t bitmap_count(const uint8_t *bits, uint64_t regions);

/* First region >= from whose bit is set (or clear), or `regions`. */
uint64_t bitmap_next_set(const uint8_t *bits, uint64_t from, uint64_t regions);
uint64_t bitmap_next_clear(const uint8_t *bits, uint64_t from, uint64_t regions);

#endif
