/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bitmap of mode B: its granularity, and operations on ranges of bits. Bit r is bit r mod 8 of
 * byte r div 8.
 */
#include "format/bitmap.h"

#include "base/le.h"
#include "base/num.h"

#include <assert.h>

#define BITMAP_REGIONS_MAX UINT32_MAX
#define LOG2_REGION_MAX	   63

static uint64_t area_bits(const struct geometry *g)
{
	return min_u64(g->journal_sectors * SECTOR_BYTES * 8, BITMAP_REGIONS_MAX);
}

static struct bitmap_shape make_shape(const struct geometry *g, unsigned log2_region,
				      uint64_t sectors)
{
	struct bitmap_shape shape = {
		.log2_blocks_per_bit = (uint8_t)(log2_region - g->log2_sectors_per_block),
		.region_sectors = UINT64_C(1) << log2_region,
	};

	shape.regions = div_round_up(sectors, shape.region_sectors);
	shape.bytes = div_round_up(shape.regions, 8 * BITMAP_BLOCK_BYTES) * BITMAP_BLOCK_BYTES;
	return shape;
}

enum bitmap_verdict bitmap_shape_stored(const struct geometry *g, uint8_t log2_blocks_per_bit,
					uint64_t sectors, struct bitmap_shape *ret)
{
	unsigned log2_region = (unsigned)log2_blocks_per_bit + g->log2_sectors_per_block;
	struct bitmap_shape shape;

	if (log2_region > LOG2_REGION_MAX)
		return BITMAP_TOO_COARSE;
	shape = make_shape(g, log2_region, sectors);
	if (shape.regions > area_bits(g))
		return BITMAP_TOO_FINE;
	*ret = shape;
	return BITMAP_GOOD;
}

void bitmap_shape_choose(const struct geometry *g, uint32_t sectors_per_bit, uint64_t sectors,
			 struct bitmap_shape *ret)
{
	unsigned log2_region =
		log2_floor(sectors_per_bit ? sectors_per_bit : SECTORS_PER_BIT_DEFAULT);

	assert(g->journal_sectors > 0);
	if (log2_region < g->log2_sectors_per_block)
		log2_region = g->log2_sectors_per_block;
	while (div_round_up(sectors, UINT64_C(1) << log2_region) > area_bits(g))
		log2_region++;
	*ret = make_shape(g, log2_region, sectors);
}

uint64_t bitmap_region_of(const struct bitmap_shape *shape, uint64_t logical_sector)
{
	return logical_sector >> log2_floor(shape->region_sectors);
}

bool bitmap_test(const uint8_t *bits, uint64_t region)
{
	return bits[region / 8] & (1u << (region % 8));
}

/* The bits of byte `byte` that lie in [first, end). */
static uint8_t mask_within(uint64_t byte, uint64_t first, uint64_t end)
{
	uint64_t byte_first = byte * 8;
	unsigned from = first > byte_first ? (unsigned)(first - byte_first) : 0;
	unsigned to = end < byte_first + 8 ? (unsigned)(end - byte_first) : 8;

	return (uint8_t)((0xffu << from) & (0xffu >> (8 - to)));
}

static void put_masked(uint8_t *byte, uint8_t mask, bool set)
{
	*byte = set ? *byte | mask : *byte & (uint8_t)~mask;
}

static void put_range(uint8_t *bits, uint64_t first, uint64_t regions, bool set)
{
	uint64_t end = first + regions;
	uint64_t first_byte = first / 8;
	uint64_t last_byte;

	if (regions == 0)
		return;
	last_byte = (end - 1) / 8;
	put_masked(bits + first_byte, mask_within(first_byte, first, end), set);
	if (last_byte == first_byte)
		return;
	memset(bits + first_byte + 1, set ? 0xff : 0, last_byte - first_byte - 1);
	put_masked(bits + last_byte, mask_within(last_byte, first, end), set);
}

void bitmap_set(uint8_t *bits, uint64_t first_region, uint64_t regions)
{
	put_range(bits, first_region, regions, true);
}

void bitmap_clear(uint8_t *bits, uint64_t first_region, uint64_t regions)
{
	put_range(bits, first_region, regions, false);
}

uint64_t bitmap_count(const uint8_t *bits, uint64_t regions)
{
	uint64_t count = 0;
	uint64_t byte = 0;

	for (; byte + 8 <= regions / 8; byte += 8)
		count += (unsigned)__builtin_popcountll(get_le64(bits + byte));
	for (uint64_t region = byte * 8; region < regions; region++)
		count += bitmap_test(bits, region);
	return count;
}

/* First bit from `from` on that differs from those of `skipped`, which is all ones or all zeros. */
static uint64_t next_other(const uint8_t *bits, uint64_t from, uint64_t regions, uint64_t skipped)
{
	while (from < regions) {
		if (from % 64 == 0 && regions - from >= 64) {
			uint64_t others = get_le64(bits + from / 8) ^ skipped;

			if (others != 0)
				return from + (unsigned)__builtin_ctzll(others);
			from += 64;
		} else if (bitmap_test(bits, from) != (bool)(skipped & 1)) {
			return from;
		} else {
			from++;
		}
	}
	return regions;
}

uint64_t bitmap_next_set(const uint8_t *bits, uint64_t from, uint64_t regions)
{
	return next_other(bits, from, regions, 0);
}

uint64_t bitmap_next_clear(const uint8_t *bits, uint64_t from, uint64_t regions)
{
	return next_other(bits, from, regions, UINT64_MAX);
}
