/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The superblock: every way in which it can be wrong by its name, what the kernel accepts in spite
 * of its looks, and that what is decoded encodes to the same bytes.
 */
#include "base/le.h"
#include "format/superblock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SUPERBLOCKS_TRIED 10000

static const struct sb good = {
	.version = 5,
	.log2_interleave_sectors = 15,
	.tag_bytes = 32,
	.journal_sections = 3,
	.provided_data_sectors = 7664,
	.flags = SB_FIXED_PADDING | SB_FIXED_HMAC,
	.log2_sectors_per_block = 3,
	.log2_blocks_per_bitmap_bit = 12,
	.recalc_sector = 24,
	.salt = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
};

static void assert_same(const struct sb *a, const struct sb *b)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->log2_interleave_sectors, b->log2_interleave_sectors);
	assert_int_equal(a->tag_bytes, b->tag_bytes);
	assert_int_equal(a->journal_sections, b->journal_sections);
	assert_true(a->provided_data_sectors == b->provided_data_sectors);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->log2_sectors_per_block, b->log2_sectors_per_block);
	assert_int_equal(a->log2_blocks_per_bitmap_bit, b->log2_blocks_per_bitmap_bit);
	assert_true(a->recalc_sector == b->recalc_sector);
	assert_memory_equal(a->salt, b->salt, SB_SALT_BYTES);
}

/* One byte that makes a good superblock bad, and what the explanation must mention. */
struct damage {
	enum sb_verdict verdict;
	unsigned at;
	uint8_t value;
	bool has_metadata_device;
	uint32_t flags; /* besides those of `good` */
	const char *mentions;
};

static const struct damage damages[] = {
	{SB_FOREIGN, 0, 'I', false, 0, "not initialized"},
	{SB_FOREIGN, 7, 1, false, 0, "not initialized"},
	{SB_VERSION_UNKNOWN, 8, 0, false, 0, "version 0"},
	{SB_VERSION_UNKNOWN, 8, 8, false, 0, "version 8"},
	{SB_BLOCK_TOO_LARGE, 28, 4, false, 0, "4"},
	{SB_BLOCK_TOO_LARGE, 28, 255, false, 0, "255"},
	{SB_TAG_SIZE_BAD, 10, 0, false, 0, "0 bytes"},
	{SB_TAG_SIZE_BAD, 11, 1, false, 0, "288 bytes"},
	{SB_JOURNAL_MISSING, 12, 0, false, 0, "journal_sections"},
	{SB_JOURNAL_IN_INLINE, 12, 3, false, SB_INLINE, "3 journal sections"},
	{SB_INTERLEAVE_BAD, 9, 0, false, 0, "needs a metadata device"},
	{SB_INTERLEAVE_BAD, 9, 2, false, 0, "is 2"},
	{SB_INTERLEAVE_BAD, 9, 32, false, 0, "is 32"},
	{SB_INTERLEAVE_BAD, 9, 255, true, 0, "is 255"},
	{SB_INTERLEAVE_BAD, 9, 15, true, 0, "is 15, but 0"},
	{SB_RECALC_BAD, 32, 4, false, SB_RECALCULATING, "recalc_sector 4 "},
};

static void each_damage_has_its_verdict_and_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		const struct damage *d = &damages[i];
		struct sb sb = good, decoded = {.version = 77};
		uint8_t bytes[SB_BYTES];
		char text[120];

		sb.flags |= d->flags;
		sb_encode(&sb, bytes);
		bytes[d->at] = d->value;
		assert_int_equal(sb_decode(bytes, d->has_metadata_device, &decoded), d->verdict);
		assert_int_equal(decoded.version, 77);
		sb_explain(d->verdict, bytes, text, sizeof(text));
		if (!strstr(text, d->mentions))
			fail_msg("\"%s\" does not mention \"%s\"", text, d->mentions);
	}
}

static void every_verdict_but_good_and_blank_is_met_by_a_damage(void **state)
{
	(void)state;
	for (int verdict = SB_FOREIGN; verdict < SB_VERDICTS; verdict++) {
		bool met = false;

		for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
			met |= (int)damages[i].verdict == verdict;
		assert_true(met);
	}
}

static void an_unfinished_format_is_known_and_says_so(void **state)
{
	uint8_t bytes[SB_BYTES];
	struct sb sb;
	char text[80];

	(void)state;
	sb_mark_unfinished(bytes);
	assert_int_equal(sb_decode(bytes, false, &sb), SB_UNFINISHED);
	assert_int_equal(sb_decode(bytes, true, &sb), SB_UNFINISHED);
	sb_explain(SB_UNFINISHED, bytes, text, sizeof(text));
	assert_non_null(strstr(text, "unfinished"));
	bytes[20]++;
	assert_int_equal(sb_decode(bytes, false, &sb), SB_FOREIGN);
}

static void only_4096_zeros_are_blank(void **state)
{
	uint8_t bytes[SB_BYTES] = {0};
	struct sb sb;
	char text[80];

	(void)state;
	assert_int_equal(sb_decode(bytes, false, &sb), SB_BLANK);
	sb_explain(SB_BLANK, bytes, text, sizeof(text));
	assert_non_null(strstr(text, "not formatted"));
	for (unsigned at = 0; at < SB_BYTES; at += 585) {
		bytes[at] = 1;
		assert_int_equal(sb_decode(bytes, false, &sb), SB_FOREIGN);
		bytes[at] = 0;
	}
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(sb_decode(bytes, false, &sb), SB_FOREIGN);
}

static void explanations_are_cut_to_their_buffer(void **state)
{
	uint8_t bytes[SB_BYTES];
	char text[8] = "xxxxxxx";

	(void)state;
	sb_encode(&good, bytes);
	for (int verdict = SB_GOOD; verdict < SB_VERDICTS; verdict++) {
		sb_explain((enum sb_verdict)verdict, bytes, text, 5);
		assert_int_equal(strlen(text), 4);
		assert_int_equal(text[6], 'x');
	}
}

/* All of these open under a kernel. */
static void what_kernels_accept_is_accepted(void **state)
{
	uint8_t bytes[SB_BYTES];
	struct sb sb;

	(void)state;
	sb_encode(&good, bytes);
	bytes[8] = 2; /* too old for its flags */
	bytes[300] = 0x88;
	bytes[511] = 1;
	put_le64(bytes + 16, 0); /* computed anew */
	bytes[29] = 255;	 /* another granularity */
	put_le32(bytes + 24, 0x80000000u | SB_DIRTY_BITMAP);
	put_le64(bytes + 32, 1); /* means nothing unless RECALCULATING */
	assert_int_equal(sb_decode(bytes, false, &sb), SB_GOOD);
	assert_int_equal(sb.flags, 0x80000000u | SB_DIRTY_BITMAP);
	put_le64(bytes + 16, UINT64_MAX);
	assert_int_equal(sb_decode(bytes, false, &sb), SB_GOOD);
	assert_true(sb.provided_data_sectors == UINT64_MAX);
}

static void limits_belong_to_what_is_good(void **state)
{
	struct sb sb = good;
	uint8_t bytes[SB_BYTES];

	(void)state;
	sb.tag_bytes = 255;
	sb.version = 7;
	sb.log2_interleave_sectors = 3;
	sb.journal_sections = UINT32_MAX;
	sb_encode(&sb, bytes);
	assert_int_equal(sb_decode(bytes, false, &sb), SB_GOOD);
	sb.tag_bytes = 1;
	sb.log2_interleave_sectors = 31;
	sb_encode(&sb, bytes);
	assert_int_equal(sb_decode(bytes, false, &sb), SB_GOOD);
	sb.log2_interleave_sectors = 0;
	sb_encode(&sb, bytes);
	assert_int_equal(sb_decode(bytes, true, &sb), SB_GOOD);
	sb.log2_interleave_sectors = 15;
	sb.journal_sections = 0;
	sb.flags |= SB_INLINE;
	sb_encode(&sb, bytes);
	assert_int_equal(sb_decode(bytes, false, &sb), SB_GOOD);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static struct sb random_sb(uint64_t *seed, bool has_metadata_device)
{
	struct sb sb = {
		.version = (uint8_t)(1 + next_random(seed) % SB_VERSION_MAX),
		.tag_bytes = (uint16_t)(1 + next_random(seed) % SB_TAG_BYTES_MAX),
		.journal_sections = (uint32_t)(next_random(seed) | 1),
		.provided_data_sectors = next_random(seed),
		.flags = (uint32_t)next_random(seed),
		.log2_sectors_per_block = next_random(seed) % 4,
		.log2_blocks_per_bitmap_bit = (uint8_t)next_random(seed),
		.recalc_sector = next_random(seed) << 3,
	};

	if (sb.flags & SB_INLINE)
		sb.journal_sections = 0;
	if (!has_metadata_device)
		sb.log2_interleave_sectors = (uint8_t)(3 + next_random(seed) % 29);
	for (size_t i = 0; i < SB_SALT_BYTES; i++)
		sb.salt[i] = (uint8_t)next_random(seed);
	return sb;
}

static void what_was_encoded_decodes_to_the_same(void **state)
{
	uint64_t seed = 4096;

	(void)state;
	for (int i = 0; i < SUPERBLOCKS_TRIED; i++) {
		bool has_metadata_device = i % 2;
		struct sb sb = random_sb(&seed, has_metadata_device), decoded;
		uint8_t bytes[SB_BYTES], again[SB_BYTES];

		sb_encode(&sb, bytes);
		assert_int_equal(sb_decode(bytes, has_metadata_device, &decoded), SB_GOOD);
		assert_same(&sb, &decoded);
		sb_encode(&decoded, again);
		assert_memory_equal(bytes, again, SB_BYTES);
	}
}

static void fields_lie_where_the_format_says(void **state)
{
	static const uint8_t expected[64] = {
		'i',  'n',  't', 'e', 'g', 'r', 't', 0, 5,  15, 32, 0,	3,  0,	0,  0,
		0xf0, 0x1d, 0,	 0,   0,   0,	0,   0, 24, 0,	0,  0,	3,  12, 0,  0,
		24,   0,    0,	 0,   0,   0,	0,   0, 0,  0,	0,  0,	0,  0,	0,  0,
		1,    2,    3,	 4,   5,   6,	7,   8, 9,  10, 11, 12, 13, 14, 15, 16,
	};
	uint8_t bytes[SB_BYTES];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	sb_encode(&good, bytes);
	assert_memory_equal(bytes, expected, sizeof(expected));
	for (size_t i = sizeof(expected); i < SB_BYTES; i++)
		assert_int_equal(bytes[i], 0);
}

/* First match wins, so each row may have any of the flags of the rows below it. */
static void versions_follow_the_first_match(void **state)
{
	static const struct {
		uint32_t flag;
		uint8_t version;
	} rows[] = {
		{SB_DISCARD_KEYED, 7}, {SB_INLINE, 6},	     {SB_FIXED_HMAC, 5},
		{SB_FIXED_PADDING, 4}, {SB_DIRTY_BITMAP, 3}, {SB_RECALCULATING, 2},
	};

	(void)state;
	for (uint32_t flags = 0; flags <= SB_FLAGS_KNOWN; flags++) {
		uint8_t version = 1;

		for (size_t i = sizeof(rows) / sizeof(rows[0]); i-- > 0;) {
			if (flags & rows[i].flag)
				version = rows[i].version;
		}
		assert_int_equal(sb_version_for(flags, false, false), version);
		assert_int_equal(sb_version_for(flags, false, true), version < 2 ? 2 : version);
		assert_int_equal(sb_version_for(flags, true, false), version < 3 ? 3 : version);
		assert_int_equal(sb_version_for(flags, true, true), version < 3 ? 3 : version);
	}
}

static void the_mac_ends_the_first_sector_and_never_reaches_the_fields(void **state)
{
	(void)state;
	assert_int_equal(sb_mac_offset(4), 508);
	assert_int_equal(sb_mac_offset(64), 448);
	assert_int_equal(sb_mac_offset(448), 64);
	assert_int_equal(sb_mac_offset(449), 0);
	assert_int_equal(sb_mac_offset(SIZE_MAX), 0);
}

static void every_known_flag_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 32; a++) {
		const char *name = sb_flag_name(1u << a);

		assert_int_equal(name != NULL, (SB_FLAGS_KNOWN >> a) & 1);
		for (unsigned b = 0; name && b < a; b++)
			assert_string_not_equal(name, sb_flag_name(1u << b));
	}
	assert_null(sb_flag_name(SB_INLINE | SB_FIXED_HMAC));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_damage_has_its_verdict_and_says_why),
		cmocka_unit_test(every_verdict_but_good_and_blank_is_met_by_a_damage),
		cmocka_unit_test(an_unfinished_format_is_known_and_says_so),
		cmocka_unit_test(only_4096_zeros_are_blank),
		cmocka_unit_test(explanations_are_cut_to_their_buffer),
		cmocka_unit_test(what_kernels_accept_is_accepted),
		cmocka_unit_test(limits_belong_to_what_is_good),
		cmocka_unit_test(what_was_encoded_decodes_to_the_same),
		cmocka_unit_test(fields_lie_where_the_format_says),
		cmocka_unit_test(versions_follow_the_first_match),
		cmocka_unit_test(the_mac_ends_the_first_sector_and_never_reaches_the_fields),
		cmocka_unit_test(every_known_flag_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
