/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The geometry against a reference that computes in 128 bits, one formula of the format at a time,
 * on small devices by trying every size and at the limits bit by bit; and that nothing on a volume
 * lies on anything else.
 */
#include "base/num.h"
#include "format/geometry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VOLUMES_TRIED 20000

typedef unsigned __int128 wide;

static struct sb make_sb(uint8_t log2_interleave, uint16_t tag_bytes, uint8_t log2_block,
			 uint32_t sections, uint32_t flags)
{
	return (struct sb){
		.version = 1,
		.log2_interleave_sectors = log2_interleave,
		.tag_bytes = tag_bytes,
		.journal_sections = sections,
		.provided_data_sectors = 4321,
		.flags = flags,
		.log2_sectors_per_block = log2_block,
	};
}

/* ---- The reference ---- */

static wide wide_round_up(wide v, wide multiple)
{
	return (v + multiple - 1) / multiple * multiple;
}

static wide reference_section_sectors(const struct sb *sb)
{
	wide spb = 1u << sb->log2_sectors_per_block;
	wide entry = wide_round_up(8 + 8 * spb + sb->tag_bytes, 8);
	wide per_sector = (sb->flags & SB_HAVE_JOURNAL_MAC ? 496 : 504) / entry;

	return per_sector * 8 * spb + 8;
}

static wide reference_initial(const struct sb *sb)
{
	return 8 + reference_section_sectors(sb) * sb->journal_sections;
}

static wide reference_run(const struct sb *sb)
{
	wide blocks = (wide)1 << (sb->log2_interleave_sectors - sb->log2_sectors_per_block);

	return wide_round_up(sb->tag_bytes * blocks, sb->flags & SB_FIXED_PADDING ? 4096 : 131072) /
	       512;
}

static wide reference_data_sector(const struct sb *sb, uint64_t start, uint64_t logical)
{
	wide run = logical >> sb->log2_interleave_sectors;
	wide offset = logical & ((UINT64_C(1) << sb->log2_interleave_sectors) - 1);

	return start + reference_initial(sb) + (run << sb->log2_interleave_sectors) +
	       (run + 1) * reference_run(sb) + offset;
}

static wide reference_tag_byte(const struct sb *sb, uint64_t start, uint64_t logical)
{
	wide run = logical >> sb->log2_interleave_sectors;
	wide offset = logical & ((UINT64_C(1) << sb->log2_interleave_sectors) - 1);
	wide run_sectors = ((wide)1 << sb->log2_interleave_sectors) + reference_run(sb);

	return (start + reference_initial(sb) + run * run_sectors) * 512 +
	       (offset >> sb->log2_sectors_per_block) * sb->tag_bytes;
}

/* Bit by bit from the top, as the kernel does it. */
static uint64_t reference_provided(const struct sb *sb, uint64_t start, uint64_t device)
{
	uint64_t provided = 0;

	if (reference_initial(sb) + 8 >= device)
		return 0;
	for (int bit = 60; bit >= 3; bit--) {
		uint64_t tried = provided | UINT64_C(1) << bit;

		if (reference_data_sector(sb, start, tried - 1) < device)
			provided = tried;
	}
	return provided;
}

/* ---- One device ---- */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void assert_as_reference(const struct sb *sb, uint64_t start, uint64_t device)
{
	uint64_t provided = reference_provided(sb, start, device);
	struct geometry g;
	enum geometry_verdict verdict =
		geometry_make(sb, GEOMETRY_ONE_DEVICE, start, device, 0, 8, &g);

	assert_true(g.provided_sectors == provided);
	assert_int_equal(verdict, provided ? GEOMETRY_GOOD : GEOMETRY_DEVICE_TOO_SMALL);
	for (int i = 0; provided && i < 4; i++) {
		uint64_t at[] = {0, provided - 1, provided / 2, provided / 3};

		assert_true(geometry_data_sector(&g, at[i]) ==
			    reference_data_sector(sb, start, at[i]));
		assert_true(geometry_tag_byte(&g, at[i]) == reference_tag_byte(sb, start, at[i]));
	}
}

static void small_devices_of_every_size_are_as_the_reference(void **state)
{
	struct sb fixed = make_sb(4, 20, 0, 1, SB_FIXED_PADDING);
	struct sb blocks = make_sb(5, 255, 3, 2, SB_FIXED_PADDING | SB_HAVE_JOURNAL_MAC);
	struct sb legacy = make_sb(10, 4, 1, 1, 0);

	(void)state;
	for (uint64_t device = 0; device < 3000; device++) {
		assert_as_reference(&fixed, 0, device);
		assert_as_reference(&blocks, 7, device);
		assert_as_reference(&legacy, 64, device);
	}
}

static void any_superblock_on_any_device_is_as_the_reference(void **state)
{
	uint64_t seed = 31;

	(void)state;
	for (int i = 0; i < VOLUMES_TRIED; i++) {
		struct sb sb = make_sb(
			(uint8_t)(3 + next_random(&seed) % 29),
			(uint16_t)(1 + next_random(&seed) % 255), (uint8_t)(next_random(&seed) % 4),
			(uint32_t)(1 + next_random(&seed) % 1000),
			(uint32_t)next_random(&seed) & (SB_FIXED_PADDING | SB_HAVE_JOURNAL_MAC));
		uint64_t device = DEVICE_SECTORS_MAX >> (next_random(&seed) % 50);

		device -= next_random(&seed) % (device < 100000 ? device : 100000);
		assert_as_reference(&sb, next_random(&seed) % 5000, device);
	}
}

static void limits_do_not_overflow(void **state)
{
	struct sb sb = make_sb(31, 255, 0, 1, 0);

	(void)state;
	assert_as_reference(&sb, 0, DEVICE_SECTORS_MAX);
	assert_as_reference(&sb, DEVICE_SECTORS_MAX - 1, DEVICE_SECTORS_MAX);
	sb = make_sb(3, 1, 3, 1, SB_FIXED_PADDING);
	assert_as_reference(&sb, 1, DEVICE_SECTORS_MAX);
	assert_as_reference(&sb, DEVICE_SECTORS_MAX - 1, DEVICE_SECTORS_MAX);
	sb.journal_sections = (UINT32_MAX - 8) / (uint32_t)reference_section_sectors(&sb);
	assert_as_reference(&sb, 0, DEVICE_SECTORS_MAX);
	assert_as_reference(&sb, DEVICE_SECTORS_MAX - 1, DEVICE_SECTORS_MAX);
	assert_as_reference(&sb, 0, UINT32_MAX);
}

static void devices_beyond_the_limit_are_cut(void **state)
{
	struct sb sb = make_sb(15, 4, 0, 1, SB_FIXED_PADDING);
	struct geometry at_limit, beyond;

	(void)state;
	assert_int_equal(
		geometry_make(&sb, GEOMETRY_ONE_DEVICE, 0, DEVICE_SECTORS_MAX, 0, 0, &at_limit),
		GEOMETRY_GOOD);
	assert_int_equal(geometry_make(&sb, GEOMETRY_ONE_DEVICE, 0, UINT64_MAX, 0, 0, &beyond),
			 GEOMETRY_GOOD);
	assert_true(at_limit.provided_sectors == beyond.provided_sectors);
}

/* Marks what a piece occupies; nothing may be marked twice. */
static void occupy(uint8_t *device, uint64_t first_byte, uint64_t bytes, uint64_t device_bytes)
{
	assert_true(first_byte + bytes <= device_bytes);
	for (uint64_t i = first_byte; i < first_byte + bytes; i++) {
		assert_int_equal(device[i], 0);
		device[i] = 1;
	}
}

static void assert_nothing_overlaps(const struct sb *sb, uint64_t start, uint64_t sectors)
{
	uint64_t bytes = sectors * 512;
	uint8_t *device = calloc(1, bytes);
	struct geometry g;

	assert_non_null(device);
	assert_int_equal(geometry_make(sb, GEOMETRY_ONE_DEVICE, start, sectors, 0, 8, &g),
			 GEOMETRY_GOOD);
	occupy(device, start * 512, 4096, bytes);
	for (uint32_t i = 0; i < g.journal_sections; i++)
		occupy(device, geometry_section_sector(&g, i) * 512, g.section_sectors * 512,
		       bytes);
	for (uint64_t l = 0; l < g.provided_sectors; l++)
		occupy(device, geometry_data_sector(&g, l) * 512, 512, bytes);
	for (uint64_t l = 0; l < g.provided_sectors; l += g.sectors_per_block)
		occupy(device, geometry_tag_byte(&g, l), g.tag_bytes, bytes);
	free(device);
}

static void nothing_lies_on_anything_else(void **state)
{
	static const uint16_t tag_bytes[] = {1, 4, 20, 32, 64, 255};

	(void)state;
	for (size_t i = 0; i < sizeof(tag_bytes) / sizeof(tag_bytes[0]); i++) {
		for (uint8_t log2_block = 0; log2_block < 4; log2_block++) {
			struct sb sb = make_sb((uint8_t)(3 + i), tag_bytes[i], log2_block, 2,
					       SB_FIXED_PADDING);

			assert_nothing_overlaps(&sb, 5, 3001);
			sb.flags = SB_HAVE_JOURNAL_MAC;
			assert_nothing_overlaps(&sb, 0, 3001);
		}
	}
}

static void what_is_contiguous_lies_together_and_ends_with_its_run(void **state)
{
	struct sb sb = make_sb(6, 20, 1, 1, SB_FIXED_PADDING);
	struct geometry g;

	(void)state;
	assert_int_equal(geometry_make(&sb, GEOMETRY_ONE_DEVICE, 3, 1000, 0, 0, &g), GEOMETRY_GOOD);
	assert_int_equal(geometry_runs(&g), (g.provided_sectors + 63) / 64);
	for (uint64_t l = 0; l < g.provided_sectors; l++) {
		uint64_t sectors = geometry_contiguous_sectors(&g, l);
		uint64_t last = l + sectors - 1;

		assert_true(last < g.provided_sectors);
		assert_true(last / 64 == l / 64);
		assert_true(last % 64 == 63 || last + 1 == g.provided_sectors);
		assert_true(geometry_data_sector(&g, last) ==
			    geometry_data_sector(&g, l) + sectors - 1);
		assert_true(geometry_tag_byte(&g, last) ==
			    geometry_tag_byte(&g, l) + (last / 2 - l / 2) * 20);
	}
}

/* ---- Verdicts ---- */

static void a_journal_beyond_32_bits_is_refused(void **state)
{
	struct sb sb = make_sb(15, 4, 0, UINT32_MAX, 0);
	struct geometry g;

	(void)state;
	assert_int_equal(geometry_make(&sb, GEOMETRY_ONE_DEVICE, 0, 1 << 20, 0, 0, &g),
			 GEOMETRY_JOURNAL_TOO_LARGE);
	assert_int_equal(g.section_sectors, 176);
	sb.journal_sections = UINT32_MAX / 176;
	assert_int_equal(geometry_make(&sb, GEOMETRY_ONE_DEVICE, 0, 1 << 20, 0, 0, &g),
			 GEOMETRY_DEVICE_TOO_SMALL);
}

static void a_start_beyond_any_device_is_refused(void **state)
{
	static const uint64_t starts[] = {DEVICE_SECTORS_MAX, UINT64_MAX - 7, UINT64_MAX};
	static const enum geometry_kind kinds[] = {GEOMETRY_ONE_DEVICE, GEOMETRY_METADATA_DEVICE,
						   GEOMETRY_INLINE};
	struct geometry g;

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		struct sb sb = make_sb(15, 4, 0, 1, 0);

		assert_int_equal(geometry_make(&sb, kinds[i / 3], starts[i % 3], UINT64_MAX,
					       UINT64_MAX, 0, &g),
				 GEOMETRY_OVERFLOW);
	}
}

static void the_trap_is_an_interleave_below_the_buffer_without_fixed_padding(void **state)
{
	static const struct {
		uint8_t log2_interleave;
		uint32_t flags;
		uint32_t buffer_sectors;
		enum geometry_verdict verdict;
	} rows[] = {
		{6, 0, 0, GEOMETRY_UNSAFE},
		{7, 0, 0, GEOMETRY_GOOD},
		{6, 0, 64, GEOMETRY_GOOD},
		{6, 0, 127, GEOMETRY_GOOD},
		{6, 0, 128, GEOMETRY_UNSAFE},
		{7, 0, 4096, GEOMETRY_UNSAFE},
		{8, 0, 4096, GEOMETRY_GOOD}, /* runs of 256 sectors */
		{6, SB_FIXED_PADDING, 0, GEOMETRY_GOOD},
		{3, SB_FIXED_PADDING, 4096, GEOMETRY_GOOD},
		{3, 0, 1, GEOMETRY_GOOD},
		{3, 0, 16, GEOMETRY_UNSAFE},
	};
	struct geometry g;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sb sb = make_sb(rows[i].log2_interleave, 4, 0, 1, rows[i].flags);

		assert_int_equal(geometry_make(&sb, GEOMETRY_ONE_DEVICE, 0, 6144, 0,
					       rows[i].buffer_sectors, &g),
				 rows[i].verdict);
		assert_true(g.provided_sectors == reference_provided(&sb, 0, 6144));
	}
}

static void every_verdict_has_a_sentence_but_good(void **state)
{
	(void)state;
	assert_string_equal(geometry_explain(GEOMETRY_GOOD), "");
	for (int verdict = GEOMETRY_GOOD + 1; verdict < GEOMETRY_VERDICTS; verdict++)
		assert_true(strlen(geometry_explain((enum geometry_verdict)verdict)) > 20);
}

/* ---- Metadata device, inline ---- */

static void data_starts_at_0_of_a_data_device(void **state)
{
	struct sb sb = make_sb(0, 32, 2, 1, 0);
	struct geometry g;

	(void)state;
	assert_int_equal(geometry_make(&sb, GEOMETRY_METADATA_DEVICE, 16, 2048, 8195, 0, &g),
			 GEOMETRY_GOOD);
	assert_int_equal(g.provided_sectors, 8192);
	assert_int_equal(g.run_tag_sectors, 0);
	assert_int_equal(geometry_runs(&g), 1);
	assert_int_equal(geometry_data_sector(&g, 8191), 8191);
	assert_int_equal(geometry_tag_byte(&g, 4), (16 + g.initial_sectors) * 512 + 32);
	assert_int_equal(geometry_contiguous_sectors(&g, 100), 8092);
}

/* Tags of 8192 sectors take 64 sectors: the area may be rounded up to 128, 64, … */
static void buffers_are_halved_until_the_tag_area_fits(void **state)
{
	struct sb sb = make_sb(0, 4, 0, 1, 0);
	uint64_t initial = (uint64_t)reference_initial(&sb);
	struct geometry g;

	(void)state;
	assert_int_equal(
		geometry_make(&sb, GEOMETRY_METADATA_DEVICE, 0, initial + 128, 8192, 0, &g),
		GEOMETRY_GOOD);
	assert_int_equal(g.buffer_sectors, 128);
	assert_int_equal(
		geometry_make(&sb, GEOMETRY_METADATA_DEVICE, 0, initial + 127, 8192, 0, &g),
		GEOMETRY_GOOD);
	assert_int_equal(g.buffer_sectors, 64);
	assert_int_equal(geometry_make(&sb, GEOMETRY_METADATA_DEVICE, 0, initial + 72, 8193, 0, &g),
			 GEOMETRY_GOOD);
	assert_int_equal(g.buffer_sectors, 8);
	assert_int_equal(geometry_make(&sb, GEOMETRY_METADATA_DEVICE, 0, initial + 63, 8192, 0, &g),
			 GEOMETRY_METADATA_TOO_SMALL);
	assert_int_equal(g.provided_sectors, 8192);
	assert_int_equal(geometry_make(&sb, GEOMETRY_METADATA_DEVICE, 1, initial + 64, 8192, 0, &g),
			 GEOMETRY_METADATA_TOO_SMALL);
	assert_int_equal(geometry_make(&sb, GEOMETRY_METADATA_DEVICE, 0, initial + 64, 0, 0, &g),
			 GEOMETRY_DEVICE_TOO_SMALL);
}

static void the_largest_data_device_has_the_largest_metadata_device(void **state)
{
	struct sb sb = make_sb(0, 255, 0, 1, 0);
	struct geometry g;

	(void)state;
	assert_int_equal(geometry_make(&sb, GEOMETRY_METADATA_DEVICE, 0, UINT64_MAX, UINT64_MAX,
				       0x80000000u, &g),
			 GEOMETRY_GOOD);
	assert_true(g.provided_sectors == DEVICE_SECTORS_MAX);
	assert_true(geometry_tag_byte(&g, DEVICE_SECTORS_MAX - 1) ==
		    (uint64_t)g.initial_sectors * 512 + (DEVICE_SECTORS_MAX - 1) * 255);
}

static void inline_has_neither_journal_nor_runs(void **state)
{
	struct sb sb = make_sb(15, 32, 3, 0, SB_INLINE);
	struct geometry g;

	(void)state;
	assert_int_equal(geometry_make(&sb, GEOMETRY_INLINE, 0, 8079, 0, 0, &g), GEOMETRY_GOOD);
	assert_int_equal(g.provided_sectors, 8064);
	assert_int_equal(g.initial_sectors, 8);
	assert_int_equal(geometry_data_sector(&g, 8063), 8071);
	assert_int_equal(geometry_contiguous_sectors(&g, 1), 8063);
	assert_int_equal(geometry_runs(&g), 1);
	assert_int_equal(geometry_make(&sb, GEOMETRY_INLINE, 8, 8079, 0, 0, &g), GEOMETRY_GOOD);
	assert_int_equal(g.provided_sectors, 8056);
	assert_int_equal(geometry_make(&sb, GEOMETRY_INLINE, 0, 15, 0, 0, &g),
			 GEOMETRY_DEVICE_TOO_SMALL);
}

/* ---- Formatting ---- */

static void formatting_chooses_what_the_kernel_does(void **state)
{
	struct sb sb = make_sb(0, 4, 0, 0, SB_FIXED_PADDING);
	struct geometry g;

	(void)state;
	assert_int_equal(geometry_format(&sb, GEOMETRY_ONE_DEVICE, 0, 8192, 0, 0, 0, 0, &g),
			 GEOMETRY_GOOD);
	assert_int_equal(sb.log2_interleave_sectors, 15);
	assert_int_equal(sb.journal_sections, 1);
	assert_int_equal(sb.provided_data_sectors, 7752);
	assert_int_equal(g.stored_provided_sectors, 7752);
	assert_int_equal(geometry_format(&sb, GEOMETRY_ONE_DEVICE, 0, 8192, 0, 0, 1000, 0, &g),
			 GEOMETRY_GOOD);
	assert_int_equal(sb.journal_sections, 5);
	assert_int_equal(sb.provided_data_sectors, 7048);
	assert_int_equal(
		geometry_format(&sb, GEOMETRY_ONE_DEVICE, 0, UINT64_C(1) << 40, 0, 0, 0, 0, &g),
		GEOMETRY_GOOD);
	assert_int_equal(sb.journal_sections, 131072 / 176);
}

static void interleave_is_a_power_of_two_within_its_limits(void **state)
{
	static const struct {
		uint32_t asked;
		uint8_t log2;
	} rows[] = {{1, 3},	     {8, 3}, {15, 3}, {16, 4}, {1000, 9}, {0x80000000u, 31},
		    {UINT32_MAX, 31}};
	struct geometry g;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sb sb = make_sb(0, 4, 0, 0, SB_FIXED_PADDING);

		assert_int_equal(geometry_format(&sb, GEOMETRY_ONE_DEVICE, 0, UINT64_C(1) << 34, 0,
						 rows[i].asked, 0, 0, &g),
				 GEOMETRY_GOOD);
		assert_int_equal(sb.log2_interleave_sectors, rows[i].log2);
	}
}

static void the_journal_is_lowered_to_what_a_metadata_device_holds(void **state)
{
	struct sb sb = make_sb(7, 4, 3, 9, 0);
	struct geometry g;

	(void)state;
	assert_int_equal(
		geometry_format(&sb, GEOMETRY_METADATA_DEVICE, 0, 600, 8192, 0, 2000, 0, &g),
		GEOMETRY_GOOD);
	assert_int_equal(sb.journal_sections, 1);
	assert_int_equal(sb.log2_interleave_sectors, 0);
	assert_int_equal(sb.provided_data_sectors, 8192);
	assert_int_equal(geometry_format(&sb, GEOMETRY_METADATA_DEVICE, 0, 8 + 8 + 4 * 392, 8192, 0,
					 2000, 0, &g),
			 GEOMETRY_GOOD);
	assert_int_equal(sb.journal_sections, 4);
	assert_int_equal(g.buffer_sectors, 8);
	assert_int_equal(geometry_format(&sb, GEOMETRY_METADATA_DEVICE, 0, 8 + 7 + 4 * 392, 8192, 0,
					 2000, 0, &g),
			 GEOMETRY_GOOD);
	assert_int_equal(sb.journal_sections, 3);
}

static void inline_is_formatted_without_journal(void **state)
{
	struct sb sb = make_sb(0, 32, 3, 7, SB_INLINE);
	struct geometry g;

	(void)state;
	assert_int_equal(geometry_format(&sb, GEOMETRY_INLINE, 0, 8072, 0, 0, 0, 0, &g),
			 GEOMETRY_GOOD);
	assert_int_equal(sb.journal_sections, 0);
	assert_int_equal(sb.log2_interleave_sectors, 15);
	assert_int_equal(sb.provided_data_sectors, 8064);
}

static void formatting_that_fails_leaves_the_superblock_alone(void **state)
{
	const struct sb before = make_sb(5, 4, 0, 77, 0);
	struct geometry g;
	struct sb sb;

	(void)state;
	memcpy(&sb, &before, sizeof(sb));
	assert_int_equal(geometry_format(&sb, GEOMETRY_ONE_DEVICE, 0, 100, 0, 0, 0, 0, &g),
			 GEOMETRY_DEVICE_TOO_SMALL);
	assert_int_equal(geometry_format(&sb, GEOMETRY_ONE_DEVICE, 0, 8192, 0, 64, 0, 0, &g),
			 GEOMETRY_UNSAFE);
	assert_int_equal(
		geometry_format(&sb, GEOMETRY_ONE_DEVICE, 0, 8192, 0, 0, UINT32_MAX, 0, &g),
		GEOMETRY_DEVICE_TOO_SMALL);
	assert_int_equal(geometry_format(&sb, GEOMETRY_METADATA_DEVICE, 0, 180, 8192, 0, 0, 0, &g),
			 GEOMETRY_METADATA_TOO_SMALL);
	assert_int_equal(
		geometry_format(&sb, GEOMETRY_ONE_DEVICE, UINT64_MAX, 8192, 0, 0, 0, 0, &g),
		GEOMETRY_OVERFLOW);
	assert_memory_equal(&sb, &before, sizeof(sb));
}

/* Sections come in multiples of 8 sectors, and no section divides 2^32 - 8. */
static void no_journal_that_can_be_asked_for_exceeds_32_bits(void **state)
{
	struct geometry g;

	(void)state;
	for (uint32_t shape = 0; shape < 255 * 8; shape++) {
		struct sb sb = make_sb(0, (uint16_t)(1 + shape / 8), shape % 4, 0,
				       SB_FIXED_PADDING | (shape & 4 ? SB_HAVE_JOURNAL_MAC : 0));

		assert_int_equal(geometry_format(&sb, GEOMETRY_ONE_DEVICE, 0, DEVICE_SECTORS_MAX, 0,
						 0, UINT32_MAX, 0, &g),
				 GEOMETRY_GOOD);
		assert_int_equal(sb.journal_sections, UINT32_MAX / g.section_sectors);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_devices_of_every_size_are_as_the_reference),
		cmocka_unit_test(any_superblock_on_any_device_is_as_the_reference),
		cmocka_unit_test(limits_do_not_overflow),
		cmocka_unit_test(devices_beyond_the_limit_are_cut),
		cmocka_unit_test(nothing_lies_on_anything_else),
		cmocka_unit_test(what_is_contiguous_lies_together_and_ends_with_its_run),
		cmocka_unit_test(a_journal_beyond_32_bits_is_refused),
		cmocka_unit_test(a_start_beyond_any_device_is_refused),
		cmocka_unit_test(the_trap_is_an_interleave_below_the_buffer_without_fixed_padding),
		cmocka_unit_test(every_verdict_has_a_sentence_but_good),
		cmocka_unit_test(data_starts_at_0_of_a_data_device),
		cmocka_unit_test(buffers_are_halved_until_the_tag_area_fits),
		cmocka_unit_test(the_largest_data_device_has_the_largest_metadata_device),
		cmocka_unit_test(inline_has_neither_journal_nor_runs),
		cmocka_unit_test(formatting_chooses_what_the_kernel_does),
		cmocka_unit_test(interleave_is_a_power_of_two_within_its_limits),
		cmocka_unit_test(the_journal_is_lowered_to_what_a_metadata_device_holds),
		cmocka_unit_test(inline_is_formatted_without_journal),
		cmocka_unit_test(formatting_that_fails_leaves_the_superblock_alone),
		cmocka_unit_test(no_journal_that_can_be_asked_for_exceeds_32_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
