/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Journal sections: commit ids, entries in sections of every shape, and the section MAC's message.
 */
#include "base/le.h"
#include "base/num.h"
#include "format/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define BLOCK_BYTES_MAX 4096
#define SECTION_NUMBER	5

static struct geometry make_geometry(uint16_t tag_bytes, uint8_t log2_block, uint32_t flags)
{
	const struct sb sb = {
		.version = 4,
		.log2_interleave_sectors = 15,
		.tag_bytes = tag_bytes,
		.journal_sections = 8,
		.flags = flags | SB_FIXED_PADDING,
		.log2_sectors_per_block = log2_block,
	};
	struct geometry g;

	assert_int_equal(geometry_make(&sb, GEOMETRY_ONE_DEVICE, 0, 1 << 20, 0, 0, &g),
			 GEOMETRY_GOOD);
	return g;
}

static uint8_t *make_section(const struct geometry *g)
{
	uint8_t *section = malloc((size_t)g->section_sectors * SECTOR_BYTES);

	assert_non_null(section);
	memset(section, 0xaa, (size_t)g->section_sectors * SECTOR_BYTES);
	section_clear(g, section);
	return section;
}

/* Bytes that differ for each entry and position. */
static void fill(uint8_t *bytes, size_t count, uint32_t entry, uint32_t salt)
{
	uint32_t v = entry * 2654435761u + salt;

	for (size_t i = 0; i < count; i++) {
		v = v * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(v >> 24);
	}
}

/* ---- Commit ids ---- */

static void commit_ids_are_the_constants_xor_the_place(void **state)
{
	struct commit_ids ids;

	(void)state;
	commit_ids_init(&ids, NULL);
	for (unsigned q = 0; q < SEQUENCES; q++)
		assert_true(ids.of[q] == UINT64_C(0x1111111111111111) * (q + 1));
	assert_true(commit_id(&ids, 0, 0, 3) == UINT64_C(0x4444444444444444));
	assert_true(commit_id(&ids, 1, 2, 0) == UINT64_C(0x1111111011111113));
	assert_true(commit_id(&ids, UINT32_MAX, UINT32_MAX, 1) == ~UINT64_C(0x2222222222222222));
}

static void an_id_is_known_by_its_sequence_and_only_in_its_place(void **state)
{
	struct commit_ids ids;

	(void)state;
	commit_ids_init(&ids, NULL);
	for (unsigned q = 0; q < SEQUENCES; q++) {
		uint64_t id = commit_id(&ids, 7, 9, q);

		assert_int_equal(commit_id_sequence(&ids, 7, 9, id), (int)q);
		assert_int_equal(commit_id_sequence(&ids, 7, 8, id), -1);
		assert_int_equal(commit_id_sequence(&ids, 6, 9, id), -1);
		assert_int_equal(commit_id_sequence(&ids, 7, 9, id ^ 1), -1);
	}
}

static void a_key_stream_scrambles_the_constants(void **state)
{
	struct commit_ids ids;
	uint8_t scramble[32];

	(void)state;
	fill(scramble, sizeof(scramble), 1, 2);
	commit_ids_init(&ids, scramble);
	for (unsigned q = 0; q < SEQUENCES; q++)
		assert_true(ids.of[q] ==
			    (UINT64_C(0x1111111111111111) * (q + 1) ^ get_le64(scramble + q * 8)));
}

/* Scrambled so that the constants would be these. */
static void assert_made_unique(const uint64_t would_be[4], const uint64_t expected[4])
{
	struct commit_ids ids;
	uint8_t scramble[32];

	for (unsigned q = 0; q < SEQUENCES; q++)
		put_le64(scramble + q * 8, would_be[q] ^ UINT64_C(0x1111111111111111) * (q + 1));
	commit_ids_init(&ids, scramble);
	for (unsigned q = 0; q < SEQUENCES; q++)
		assert_true(ids.of[q] == expected[q]);
}

static void constants_that_collide_are_incremented_until_unique(void **state)
{
	(void)state;
	assert_made_unique((uint64_t[]){9, 9, 9, 9}, (uint64_t[]){9, 10, 11, 12});
	assert_made_unique((uint64_t[]){9, 8, 8, 8}, (uint64_t[]){9, 8, 10, 11});
	assert_made_unique((uint64_t[]){1, 2, 3, 1}, (uint64_t[]){1, 2, 3, 4});
	assert_made_unique((uint64_t[]){3, 2, 1, 1}, (uint64_t[]){3, 2, 1, 4});
	assert_made_unique((uint64_t[]){UINT64_MAX, UINT64_MAX, 0, 5},
			   (uint64_t[]){UINT64_MAX, 0, 1, 5});
}

/* ---- Scans ---- */

static void a_sealed_section_carries_one_sequence_in_every_sector(void **state)
{
	struct geometry g = make_geometry(4, 0, 0);
	uint8_t *section = make_section(&g);
	struct section_scan scan;
	struct commit_ids ids;

	(void)state;
	commit_ids_init(&ids, NULL);
	for (unsigned q = 0; q < SEQUENCES; q++) {
		section_seal(&g, &ids, SECTION_NUMBER, q, section);
		section_scan(&g, &ids, SECTION_NUMBER, section, &scan);
		assert_int_equal(section_sequence(&g, &scan), (int)q);
		assert_int_equal(scan.sectors_by_sequence[q], g.section_sectors);
		section_scan(&g, &ids, SECTION_NUMBER + 1, section, &scan);
		assert_int_equal(scan.sectors_invalid, g.section_sectors);
		assert_int_equal(scan.first_invalid, 0);
	}
	free(section);
}

static void a_torn_section_has_no_sequence(void **state)
{
	struct geometry g = make_geometry(4, 0, 0);
	uint8_t *section = make_section(&g);
	uint8_t *older = make_section(&g);
	struct section_scan scan;
	struct commit_ids ids;

	(void)state;
	commit_ids_init(&ids, NULL);
	section_seal(&g, &ids, SECTION_NUMBER, 1, section);
	section_seal(&g, &ids, SECTION_NUMBER, 0, older);
	memcpy(section + 100 * SECTOR_BYTES, older + 100 * SECTOR_BYTES, SECTOR_BYTES);
	section[40 * SECTOR_BYTES + 511] ^= 1;
	section[50 * SECTOR_BYTES + 504] ^= 1;
	section_scan(&g, &ids, SECTION_NUMBER, section, &scan);
	assert_int_equal(section_sequence(&g, &scan), -1);
	assert_int_equal(scan.sectors_by_sequence[0], 1);
	assert_int_equal(scan.sectors_by_sequence[1], g.section_sectors - 3);
	assert_int_equal(scan.sectors_invalid, 2);
	assert_int_equal(scan.first_invalid, 40);
	free(older);
	free(section);
}

/* ---- Entries ---- */

static void a_cleared_section_is_zero_but_for_unused_entries(void **state)
{
	static const uint8_t unused[8] = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
	struct geometry g = make_geometry(4, 0, 0);
	uint8_t *section = make_section(&g);

	(void)state;
	for (uint32_t entry = 0; entry < g.section_entries; entry++) {
		uint8_t *at = section + entry % 8 * 512 + entry / 8 * 24;

		assert_memory_equal(at, unused, sizeof(unused));
		assert_false(entry_is_used(&g, section, entry));
		memset(at, 0, sizeof(unused));
	}
	for (size_t i = 0; i < (size_t)g.section_sectors * SECTOR_BYTES; i++)
		assert_int_equal(section[i], 0);
	free(section);
}

static void set_entry(const struct geometry *g, uint8_t *section, uint32_t entry)
{
	uint8_t block[BLOCK_BYTES_MAX], tag[SB_TAG_BYTES_MAX];

	fill(block, sizeof(block), entry, 1);
	fill(tag, sizeof(tag), entry, 2);
	entry_set(g, section, entry, (uint64_t)entry * g->sectors_per_block, block, tag);
}

static void assert_entry_is_as_set(const struct geometry *g, const uint8_t *section, uint32_t entry)
{
	uint8_t block[BLOCK_BYTES_MAX], tag[SB_TAG_BYTES_MAX], read[BLOCK_BYTES_MAX];

	fill(block, sizeof(block), entry, 1);
	fill(tag, sizeof(tag), entry, 2);
	entry_data(g, section, entry, read);
	assert_true(entry_is_used(g, section, entry));
	assert_true(entry_sector(g, section, entry) == (uint64_t)entry * g->sectors_per_block);
	assert_memory_equal(read, block, g->sectors_per_block * SECTOR_BYTES);
	assert_memory_equal(entry_tag(g, section, entry), tag, g->tag_bytes);
}

/* Fills all entries, then MAC, then ids: whatever overlapped would show. */
static void assert_shape_holds_everything(const struct geometry *g, bool maced)
{
	struct commit_ids ids;
	uint8_t *section = make_section(g);
	uint8_t mac[SECTION_MAC_BYTES], stored[SECTION_MAC_BYTES];
	struct section_scan scan;

	fill(mac, sizeof(mac), 0, 3);
	commit_ids_init(&ids, NULL);
	for (uint32_t entry = 0; entry < g->section_entries; entry++)
		set_entry(g, section, entry);
	if (maced)
		section_mac_set(section, mac, sizeof(mac));
	section_seal(g, &ids, SECTION_NUMBER, 2, section);

	for (uint32_t entry = 0; entry < g->section_entries; entry++)
		assert_entry_is_as_set(g, section, entry);
	section_mac_stored(section, stored);
	if (maced)
		assert_memory_equal(stored, mac, sizeof(mac));
	section_scan(g, &ids, SECTION_NUMBER, section, &scan);
	assert_int_equal(section_sequence(g, &scan), 2);
	free(section);
}

static void sections_of_every_shape_hold_what_they_are_given(void **state)
{
	(void)state;
	for (uint16_t tag_bytes = 1; tag_bytes <= SB_TAG_BYTES_MAX; tag_bytes++) {
		struct geometry plain = make_geometry(tag_bytes, tag_bytes % 4, 0);
		struct geometry maced =
			make_geometry(tag_bytes, (tag_bytes / 4) % 4, SB_HAVE_JOURNAL_MAC);

		assert_shape_holds_everything(&plain, false);
		assert_shape_holds_everything(&maced, true);
	}
}

static void an_entry_lies_where_the_format_says(void **state)
{
	struct geometry g = make_geometry(20, 1, 0);
	uint8_t *section = make_section(&g);
	uint8_t block[1024], tag[20];
	const uint8_t *at = section + 3 * 512 + 2 * 48; /* entry 19 = 2 * 8 + 3 */
	const uint8_t *data = section + (8 + 19 * 2) * 512;

	(void)state;
	fill(block, sizeof(block), 7, 7);
	fill(tag, sizeof(tag), 8, 8);
	entry_set(&g, section, 19, 0x1234, block, tag);
	assert_int_equal(g.entry_bytes, 48);
	assert_memory_equal(at, "\x34\x12\0\0\0\0\0\0", 8);
	assert_memory_equal(at + 8, block + 504, 8);
	assert_memory_equal(at + 16, block + 1016, 8);
	assert_memory_equal(at + 24, tag, 20);
	assert_memory_equal(data, block, 504);
	assert_memory_equal(data + 512, block + 512, 504);
	free(section);
}

static void every_entry_has_its_verdict(void **state)
{
	static const struct {
		uint64_t sector;
		enum entry_verdict verdict;
	} rows[] = {
		{0, ENTRY_GOOD},
		{992, ENTRY_GOOD},
		{1000, ENTRY_BEYOND},
		{UINT64_C(0xfffffffdfffffff8), ENTRY_BEYOND},
		{UINT64_C(0xfffffffe00000000), ENTRY_BEYOND}, /* being filled: never on disk */
		{4, ENTRY_MISALIGNED},
		{999, ENTRY_MISALIGNED},
		{1001, ENTRY_MISALIGNED}, /* although beyond, too */
		{UINT64_C(0xffffffff00000000), ENTRY_UNUSED},
		{UINT64_C(0xffffffff00000001), ENTRY_UNUSED},
		{UINT64_MAX, ENTRY_UNUSED},
	};
	struct geometry g = make_geometry(4, 3, 0);
	uint8_t *section = make_section(&g);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_le64(section + 512, rows[i].sector);
		assert_int_equal(entry_judge(&g, section, 1, 1000), rows[i].verdict);
	}
	free(section);
}

/* ---- The section MAC ---- */

static void the_mac_message_has_every_sector_field_in_order(void **state)
{
	struct geometry g = make_geometry(4, 0, SB_HAVE_JOURNAL_MAC);
	uint8_t *section = make_section(&g);
	uint8_t *message = malloc(section_mac_message_bytes(&g));
	size_t bytes;

	(void)state;
	assert_non_null(message);
	set_entry(&g, section, 9);
	bytes = section_mac_message(&g, 3, section, NULL, message);
	assert_int_equal(bytes, g.section_entries * 8);
	for (uint32_t entry = 0; entry < g.section_entries; entry++)
		assert_true(get_le64(message + entry * 8) ==
			    (entry == 9 ? 9 : UINT64_C(0xffffffff00000000)));
	free(message);
	free(section);
}

static void the_salt_and_the_section_number_come_first(void **state)
{
	static const uint8_t salt[SB_SALT_BYTES] = "0123456789abcdef";
	struct geometry g = make_geometry(32, 3, SB_HAVE_JOURNAL_MAC);
	uint8_t *section = make_section(&g);
	uint8_t *message = malloc(section_mac_message_bytes(&g));
	uint8_t *unsalted = malloc(section_mac_message_bytes(&g));
	size_t bytes;

	(void)state;
	assert_non_null(message);
	assert_non_null(unsalted);
	set_entry(&g, section, 2);
	bytes = section_mac_message(&g, 0x01020304, section, salt, message);
	assert_int_equal(bytes, section_mac_message_bytes(&g));
	assert_memory_equal(message, salt, sizeof(salt));
	assert_memory_equal(message + 16, "\4\3\2\1\0\0\0\0", 8);
	assert_int_equal(section_mac_message(&g, 1, section, NULL, unsalted), bytes - 24);
	assert_memory_equal(message + 24, unsalted, bytes - 24);
	free(unsalted);
	free(message);
	free(section);
}

static void macs_are_padded_or_cut_to_64_bytes_in_8_pieces(void **state)
{
	struct geometry g = make_geometry(4, 0, SB_HAVE_JOURNAL_MAC);
	uint8_t *section = make_section(&g);
	uint8_t mac[100], stored[SECTION_MAC_BYTES], expected[SECTION_MAC_BYTES];

	(void)state;
	fill(mac, sizeof(mac), 4, 4);
	for (size_t bytes = 0; bytes <= sizeof(mac); bytes++) {
		memset(expected, 0, sizeof(expected));
		memcpy(expected, mac, bytes < sizeof(expected) ? bytes : sizeof(expected));
		section_mac_set(section, mac, bytes);
		section_mac_stored(section, stored);
		assert_memory_equal(stored, expected, sizeof(expected));
	}
	for (size_t k = 0; k < 8; k++)
		assert_memory_equal(section + k * 512 + 496, mac + k * 8, 8);
	free(section);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(commit_ids_are_the_constants_xor_the_place),
		cmocka_unit_test(an_id_is_known_by_its_sequence_and_only_in_its_place),
		cmocka_unit_test(a_key_stream_scrambles_the_constants),
		cmocka_unit_test(constants_that_collide_are_incremented_until_unique),
		cmocka_unit_test(a_sealed_section_carries_one_sequence_in_every_sector),
		cmocka_unit_test(a_torn_section_has_no_sequence),
		cmocka_unit_test(a_cleared_section_is_zero_but_for_unused_entries),
		cmocka_unit_test(sections_of_every_shape_hold_what_they_are_given),
		cmocka_unit_test(an_entry_lies_where_the_format_says),
		cmocka_unit_test(every_entry_has_its_verdict),
		cmocka_unit_test(the_mac_message_has_every_sector_field_in_order),
		cmocka_unit_test(the_salt_and_the_section_number_come_first),
		cmocka_unit_test(macs_are_padded_or_cut_to_64_bytes_in_8_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
