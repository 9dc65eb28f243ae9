/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Hostile granularities, then operations on bits beside an array of bytes:
 *
 *	sectors (8)  journal sectors (4)  log2 of the block (1)  log2 of the blocks per bit (1)
 *	sectors per bit (4)  operations (5 each: what, first region, how many)
 */
#include "base/num.h"
#include "format/bitmap.h"
#include "input.h"

#include <assert.h>

#define REGIONS	       1021
#define JOURNAL_STEP   8
#define OPERATIONS_MAX 100

struct pair {
	uint8_t bits[(REGIONS + 7) / 8];
	uint8_t expected[REGIONS];
};

static void check_shape(const struct geometry *g, const struct bitmap_shape *shape,
			uint64_t sectors)
{
	assert(is_power_of_two(shape->region_sectors));
	assert(shape->region_sectors >= g->sectors_per_block);
	assert(shape->bytes <= g->journal_sectors * SECTOR_BYTES);
	assert(shape->bytes % BITMAP_BLOCK_BYTES == 0);
	assert(shape->regions <= shape->bytes * 8);
	assert(shape->regions <= UINT32_MAX);
	if (sectors != 0)
		assert(bitmap_region_of(shape, sectors - 1) == shape->regions - 1);
	else
		assert(shape->regions == 0);
}

static void check_shapes(struct input *in)
{
	uint64_t sectors = input_take(in, 8);
	uint32_t journal_sectors = (uint32_t)input_take(in, 4);
	uint8_t log2_block = input_take(in, 1) % (SB_LOG2_SECTORS_PER_BLOCK_MAX + 1);
	uint8_t log2_blocks_per_bit = (uint8_t)input_take(in, 1);
	uint32_t sectors_per_bit = (uint32_t)input_take(in, 4);
	const struct geometry g = {
		.log2_sectors_per_block = log2_block,
		.sectors_per_block = 1u << log2_block,
		.journal_sectors =
			max_u64(JOURNAL_STEP, journal_sectors / JOURNAL_STEP * JOURNAL_STEP),
	};
	struct bitmap_shape shape, again;

	if (bitmap_shape_stored(&g, log2_blocks_per_bit, sectors, &shape) == BITMAP_GOOD)
		check_shape(&g, &shape, sectors);
	sectors = min_u64(sectors, DEVICE_SECTORS_MAX);
	bitmap_shape_choose(&g, sectors_per_bit, sectors, &shape);
	check_shape(&g, &shape, sectors);
	assert(bitmap_shape_stored(&g, shape.log2_blocks_per_bit, sectors, &again) == BITMAP_GOOD);
	assert(again.regions == shape.regions);
}

static uint64_t expect_next(const struct pair *p, uint64_t from, bool set)
{
	while (from < REGIONS && p->expected[from] != set)
		from++;
	return from;
}

static void check_pair(const struct pair *p)
{
	uint64_t count = 0;

	for (uint64_t r = 0; r < REGIONS; r++) {
		assert(bitmap_test(p->bits, r) == p->expected[r]);
		count += p->expected[r];
	}
	assert(bitmap_count(p->bits, REGIONS) == count);
}

static void operate(struct input *in, struct pair *p)
{
	bool set = input_take(in, 1) & 1;
	uint64_t first = input_take(in, 2) % REGIONS;
	uint64_t count = input_take(in, 2) % (REGIONS - first + 1);

	if (set)
		bitmap_set(p->bits, first, count);
	else
		bitmap_clear(p->bits, first, count);
	memset(p->expected + first, set, count);
	assert(bitmap_next_set(p->bits, first, REGIONS) == expect_next(p, first, true));
	assert(bitmap_next_clear(p->bits, first, REGIONS) == expect_next(p, first, false));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct pair pair = {0};

	check_shapes(&in);
	for (int i = 0; in.left != 0 && i < OPERATIONS_MAX; i++)
		operate(&in, &pair);
	check_pair(&pair);
	return 0;
}
