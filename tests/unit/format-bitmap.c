/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bitmap: its granularity at the limits, and operations on bits against an array of bools.
 */
#include "format/bitmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define REGIONS		 203
#define OPERATIONS_TRIED 20000

static struct geometry make_geometry(uint64_t journal_sectors, uint8_t log2_block)
{
	return (struct geometry){
		.journal_sectors = journal_sectors,
		.log2_sectors_per_block = log2_block,
		.sectors_per_block = 1u << log2_block,
	};
}

/* ---- Granularity ---- */

static void regions_are_counted_up_to_the_last_begun(void **state)
{
	struct geometry g = make_geometry(176, 0);
	struct bitmap_shape shape;

	(void)state;
	assert_int_equal(bitmap_shape_stored(&g, 6, 7752, &shape), BITMAP_GOOD);
	assert_int_equal(shape.region_sectors, 64);
	assert_int_equal(shape.regions, 122);
	assert_int_equal(shape.bytes, 4096);
	assert_int_equal(bitmap_region_of(&shape, 0), 0);
	assert_int_equal(bitmap_region_of(&shape, 63), 0);
	assert_int_equal(bitmap_region_of(&shape, 64), 1);
	assert_int_equal(bitmap_region_of(&shape, 7751), 121);
}

static void more_regions_than_the_area_has_bits_are_too_fine(void **state)
{
	struct geometry g = make_geometry(16, 3);
	struct bitmap_shape shape = {.regions = 77};

	(void)state;
	assert_int_equal(bitmap_shape_stored(&g, 0, 65536 * 8 + 1, &shape), BITMAP_TOO_FINE);
	assert_int_equal(bitmap_shape_stored(&g, 0, UINT64_MAX, &shape), BITMAP_TOO_FINE);
	assert_int_equal(shape.regions, 77);
	assert_int_equal(bitmap_shape_stored(&g, 0, 65536 * 8, &shape), BITMAP_GOOD);
	assert_int_equal(shape.regions, 65536);
	assert_int_equal(shape.bytes, 8192);
}

static void a_granularity_that_cannot_be_shifted_by_is_too_coarse(void **state)
{
	struct geometry g = make_geometry(16, 3);
	struct bitmap_shape shape = {.regions = 77};

	(void)state;
	assert_int_equal(bitmap_shape_stored(&g, 61, 1000, &shape), BITMAP_TOO_COARSE);
	assert_int_equal(bitmap_shape_stored(&g, 255, 1000, &shape), BITMAP_TOO_COARSE);
	assert_int_equal(shape.regions, 77);
	assert_int_equal(bitmap_shape_stored(&g, 60, UINT64_MAX, &shape), BITMAP_GOOD);
	assert_int_equal(shape.regions, 2);
	assert_int_equal(bitmap_region_of(&shape, UINT64_MAX), 1);
}

static void the_granularity_is_a_power_of_two_and_at_least_a_block(void **state)
{
	static const struct {
		uint32_t asked;
		uint8_t log2_block;
		uint8_t log2_blocks_per_bit;
	} rows[] = {
		{0, 0, 15}, {0, 3, 12}, {64, 0, 6}, {127, 0, 6}, {512, 3, 6},
		{1, 0, 0},  {1, 3, 0},	{7, 3, 0},  {8, 3, 0},	 {UINT32_MAX, 0, 31},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct geometry g = make_geometry(176, rows[i].log2_block);
		struct bitmap_shape shape, again;

		bitmap_shape_choose(&g, rows[i].asked, 7752, &shape);
		assert_int_equal(shape.log2_blocks_per_bit, rows[i].log2_blocks_per_bit);
		assert_int_equal(bitmap_shape_stored(&g, shape.log2_blocks_per_bit, 7752, &again),
				 BITMAP_GOOD);
		assert_true(shape.region_sectors == again.region_sectors);
		assert_true(shape.regions == again.regions);
		assert_true(shape.bytes == again.bytes);
	}
}

static void the_granularity_is_doubled_until_the_volume_fits(void **state)
{
	struct geometry g = make_geometry(8, 0);
	struct bitmap_shape shape;

	(void)state;
	bitmap_shape_choose(&g, 1, 32768, &shape);
	assert_int_equal(shape.log2_blocks_per_bit, 0);
	bitmap_shape_choose(&g, 1, 32769, &shape);
	assert_int_equal(shape.log2_blocks_per_bit, 1);
	assert_int_equal(shape.regions, 16385);
	bitmap_shape_choose(&g, 1, DEVICE_SECTORS_MAX, &shape);
	assert_int_equal(shape.log2_blocks_per_bit, 55 - 15);
	assert_int_equal(shape.regions, 32768);
}

static void there_are_at_most_2_to_the_32_minus_1_regions(void **state)
{
	struct geometry g = make_geometry(UINT32_MAX, 0);
	struct bitmap_shape shape;

	(void)state;
	bitmap_shape_choose(&g, 1, UINT32_MAX, &shape);
	assert_int_equal(shape.log2_blocks_per_bit, 0);
	bitmap_shape_choose(&g, 1, (uint64_t)UINT32_MAX + 1, &shape);
	assert_int_equal(shape.log2_blocks_per_bit, 1);
	assert_int_equal(bitmap_shape_stored(&g, 0, (uint64_t)UINT32_MAX + 1, &shape),
			 BITMAP_TOO_FINE);
}

static void no_sectors_have_no_regions(void **state)
{
	struct geometry g = make_geometry(8, 0);
	struct bitmap_shape shape;

	(void)state;
	bitmap_shape_choose(&g, 0, 0, &shape);
	assert_int_equal(shape.regions, 0);
	assert_int_equal(shape.bytes, 0);
}

/* ---- Bits ---- */

/* The bitmap and what it should be, with a guard byte behind it. */
struct pair {
	uint8_t bits[(REGIONS + 7) / 8 + 1];
	bool expected[REGIONS];
};

static void assert_pair_agrees(const struct pair *p)
{
	uint64_t count = 0;

	for (uint64_t r = 0; r < REGIONS; r++) {
		assert_int_equal(bitmap_test(p->bits, r), p->expected[r]);
		count += p->expected[r];
	}
	assert_int_equal(bitmap_count(p->bits, REGIONS), count);
	assert_int_equal(p->bits[sizeof(p->bits) - 1], 0x5a);
}

static void init_pair(struct pair *p, bool set)
{
	memset(p->bits, set ? 0xff : 0, sizeof(p->bits));
	p->bits[sizeof(p->bits) - 1] = 0x5a;
	for (uint64_t r = 0; r < REGIONS; r++)
		p->expected[r] = set;
}

static void every_range_is_set_and_cleared_and_nothing_beside_it(void **state)
{
	(void)state;
	for (uint64_t first = 0; first < 80; first++) {
		for (uint64_t count = 0; first + count <= REGIONS; count += 1 + count / 20) {
			struct pair p;

			init_pair(&p, false);
			bitmap_set(p.bits, first, count);
			memset(p.expected + first, true, count);
			assert_pair_agrees(&p);
			init_pair(&p, true);
			bitmap_clear(p.bits, first, count);
			memset(p.expected + first, false, count);
			assert_pair_agrees(&p);
		}
	}
}

static uint64_t expect_next(const struct pair *p, uint64_t from, uint64_t regions, bool set)
{
	while (from < regions && p->expected[from] != set)
		from++;
	return from < regions ? from : regions;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void the_next_bit_is_found_from_everywhere(void **state)
{
	uint64_t seed = 7;
	struct pair p;

	(void)state;
	init_pair(&p, false);
	for (int i = 0; i < OPERATIONS_TRIED; i++) {
		uint64_t first = next_random(&seed) % REGIONS;
		uint64_t count = next_random(&seed) % (REGIONS - first + 1);
		uint64_t from = next_random(&seed) % (REGIONS + 2);
		uint64_t regions = next_random(&seed) % (REGIONS + 1);
		bool set = next_random(&seed) % 2;

		count >>= next_random(&seed) % 8;
		(set ? bitmap_set : bitmap_clear)(p.bits, first, count);
		memset(p.expected + first, set, count);
		assert_true(bitmap_next_set(p.bits, from, regions) ==
			    expect_next(&p, from, regions, true));
		assert_true(bitmap_next_clear(p.bits, from, regions) ==
			    expect_next(&p, from, regions, false));
	}
	assert_pair_agrees(&p);
}

static void the_lowest_bit_of_a_byte_is_its_first_region(void **state)
{
	uint8_t bits[2] = {0};

	(void)state;
	bitmap_set(bits, 3, 1);
	bitmap_set(bits, 8, 2);
	assert_int_equal(bits[0], 0x08);
	assert_int_equal(bits[1], 0x03);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_are_counted_up_to_the_last_begun),
		cmocka_unit_test(more_regions_than_the_area_has_bits_are_too_fine),
		cmocka_unit_test(a_granularity_that_cannot_be_shifted_by_is_too_coarse),
		cmocka_unit_test(the_granularity_is_a_power_of_two_and_at_least_a_block),
		cmocka_unit_test(the_granularity_is_doubled_until_the_volume_fits),
		cmocka_unit_test(there_are_at_most_2_to_the_32_minus_1_regions),
		cmocka_unit_test(no_sectors_have_no_regions),
		cmocka_unit_test(every_range_is_set_and_cleared_and_nothing_beside_it),
		cmocka_unit_test(the_next_bit_is_found_from_everywhere),
		cmocka_unit_test(the_lowest_bit_of_a_byte_is_its_first_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
