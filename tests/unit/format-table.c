/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table line: every verdict and the word it is about, all that a line can say, and that
 * printing hides keys and never writes past its buffer.
 */
#include "format/table.h"

#include <intact.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ALGORITHM_63 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-012345678"

static const char full_line[] =
	"0 9712 integrity /dev/sda 64 32 B 19 meta_device:/dev/sdb block_size:4096 recalculate "
	"reset_recalculate allow_discards allow_discards_keyed interleave_sectors:32768 "
	"buffer_sectors:128 journal_sectors:264 journal_watermark:50 commit_time:10000 "
	"sectors_per_bit:128 bitmap_flush_interval:60000 fix_padding fix_hmac legacy_recalculate "
	"internal_hash:hmac(sha256):4ea1 journal_crypt:ctr(aes):fCd7 journal_mac:crc32c";

static void assert_slice(struct table_slice slice, const char *expected)
{
	assert_int_equal(slice.length, strlen(expected));
	assert_memory_equal(slice.text, expected, slice.length);
}

/* ---- Verdicts ---- */

static const struct {
	enum table_verdict verdict;
	const char *line;
	const char *at;
} wrong[] = {
	{TABLE_TOO_SHORT, "", ""},
	{TABLE_TOO_SHORT, "0 7752 integrity DEV 0 - J", ""},
	{TABLE_START_NOT_ZERO, "8 7752 integrity DEV 0 - J 0", "8"},
	{TABLE_START_NOT_ZERO, "name: 0 7752 integrity DEV 0 - J 0", "name:"},
	{TABLE_NOT_INTEGRITY, "0 7752 linear DEV 0 - J 0", "linear"},
	{TABLE_NOT_INTEGRITY, "0 7752 integrityx DEV 0 - J 0", "integrityx"},
	{TABLE_NUMBER_BAD, "0 77x2 integrity DEV 0 - J 0", "77x2"},
	{TABLE_NUMBER_BAD, "0 18446744073709551616 integrity DEV 0 - J 0", "18446744073709551616"},
	{TABLE_NUMBER_BAD, "0 7752 integrity DEV -1 - J 0", "-1"},
	{TABLE_NUMBER_BAD, "0 7752 integrity DEV 0x8 - J 0", "0x8"},
	{TABLE_NUMBER_BAD, "0 7752 integrity DEV 0 - J none", "none"},
	{TABLE_NUMBER_BAD, "0 1 integrity D 0 - J 1 commit_time:4294967296",
	 "commit_time:4294967296"},
	{TABLE_NUMBER_BAD, "0 1 integrity D 0 - J 1 commit_time:", "commit_time:"},
	{TABLE_TAG_SIZE_BAD, "0 7752 integrity DEV 0 0 J 0", "0"},
	{TABLE_TAG_SIZE_BAD, "0 7752 integrity DEV 0 256 J 0", "256"},
	{TABLE_TAG_SIZE_BAD, "0 7752 integrity DEV 0 -- J 0", "--"},
	{TABLE_MODE_BAD, "0 7752 integrity DEV 0 - X 0", "X"},
	{TABLE_MODE_BAD, "0 7752 integrity DEV 0 - JD 0", "JD"},
	{TABLE_COUNT_WRONG, "0 7752 integrity DEV 0 - J 1", "1"},
	{TABLE_COUNT_WRONG, "0 7752 integrity DEV 0 - J 1 fix_padding fix_hmac", "1"},
	{TABLE_OPTION_UNKNOWN, "0 7752 integrity DEV 0 - J 1 fix_paddings", "fix_paddings"},
	{TABLE_OPTION_UNKNOWN, "0 7752 integrity DEV 0 - J 1 fix_padding:1", "fix_padding:1"},
	{TABLE_OPTION_UNKNOWN, "0 7752 integrity DEV 0 - J 1 commit_time", "commit_time"},
	{TABLE_OPTION_UNKNOWN, "0 7752 integrity DEV 0 - J 1 meta_device:", "meta_device:"},
	{TABLE_OPTION_UNKNOWN, "0 7752 integrity DEV 0 - J 1 :", ":"},
	{TABLE_BLOCK_SIZE_BAD, "0 1 integrity D 0 - J 1 block_size:256", "block_size:256"},
	{TABLE_BLOCK_SIZE_BAD, "0 1 integrity D 0 - J 1 block_size:8192", "block_size:8192"},
	{TABLE_BLOCK_SIZE_BAD, "0 1 integrity D 0 - J 1 block_size:1536", "block_size:1536"},
	{TABLE_WATERMARK_BAD, "0 1 integrity D 0 - J 1 journal_watermark:101",
	 "journal_watermark:101"},
	{TABLE_ALGORITHM_BAD, "0 1 integrity D 0 - J 1 journal_mac:", "journal_mac:"},
	{TABLE_ALGORITHM_BAD, "0 1 integrity D 0 - J 1 journal_mac::00", "journal_mac::00"},
	{TABLE_ALGORITHM_BAD, "0 1 integrity D 0 - J 1 internal_hash:x" ALGORITHM_63,
	 "internal_hash:x" ALGORITHM_63},
	{TABLE_HEX_BAD, "0 1 integrity D 0 - J 1 journal_mac:cmac(aes):123",
	 "journal_mac:cmac(aes):123"},
	{TABLE_HEX_BAD, "0 1 integrity D 0 - J 1 journal_mac:cmac(aes):1g",
	 "journal_mac:cmac(aes):1g"},
	{TABLE_HEX_BAD, "0 1 integrity D 0 - J 1 journal_mac:cmac(aes):", "journal_mac:cmac(aes):"},
};

static void each_mistake_has_its_verdict_and_its_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *line = wrong[i].line;
		struct table t = {.mode = '?'};
		struct table_slice at;

		assert_int_equal(table_parse(line, &t, &at), wrong[i].verdict);
		assert_int_equal(t.mode, '?');
		assert_slice(at, wrong[i].at);
		assert_true(at.text >= line);
		assert_true(at.text + at.length <= line + strlen(line));
	}
}

static void every_verdict_but_good_is_met_and_has_a_sentence(void **state)
{
	(void)state;
	for (int verdict = TABLE_GOOD + 1; verdict < TABLE_VERDICTS; verdict++) {
		bool met = false;

		for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
			met |= (int)wrong[i].verdict == verdict;
		assert_true(met);
		assert_true(strlen(table_explain((enum table_verdict)verdict)) > 10);
	}
	assert_true(strlen(table_explain(TABLE_GOOD)) > 10);
}

/* ---- What a line says ---- */

static void every_option_is_understood(void **state)
{
	struct table_slice at;
	struct table t;

	(void)state;
	assert_int_equal(table_parse(full_line, &t, &at), TABLE_GOOD);
	assert_int_equal(t.length_sectors, 9712);
	assert_slice(t.device, "/dev/sda");
	assert_int_equal(t.start_sector, 64);
	assert_int_equal(t.tag_bytes, 32);
	assert_int_equal(t.mode, 'B');
	assert_int_equal(t.given, 0x7fff);
	assert_int_equal(t.journal_sectors, 264);
	assert_int_equal(t.interleave_sectors, 32768);
	assert_int_equal(t.buffer_sectors, 128);
	assert_int_equal(t.journal_watermark, 50);
	assert_int_equal(t.commit_time, 10000);
	assert_int_equal(t.block_size, 4096);
	assert_int_equal(t.sectors_per_bit, 128);
	assert_int_equal(t.bitmap_flush_interval, 60000);
	assert_slice(t.meta_device, "/dev/sdb");
	assert_slice(t.internal_hash.name, "hmac(sha256)");
	assert_slice(t.internal_hash.hexkey, "4ea1");
	assert_slice(t.journal_crypt.name, "ctr(aes)");
	assert_slice(t.journal_crypt.hexkey, "fCd7");
	assert_slice(t.journal_mac.name, "crc32c");
	assert_null(t.journal_mac.hexkey.text);
}

static void what_is_not_given_is_absent(void **state)
{
	struct table_slice at;
	struct table t;

	(void)state;
	assert_int_equal(table_parse(" \t0  18446744073709551615 integrity 8:16 "
				     "18446744073709551615 - R 0\n",
				     &t, &at),
			 TABLE_GOOD);
	assert_true(t.length_sectors == UINT64_MAX);
	assert_true(t.start_sector == UINT64_MAX);
	assert_slice(t.device, "8:16");
	assert_int_equal(t.tag_bytes, 0);
	assert_int_equal(t.mode, 'R');
	assert_int_equal(t.given, 0);
	assert_null(t.meta_device.text);
	assert_null(t.internal_hash.name.text);
	assert_null(t.journal_crypt.name.text);
	assert_null(t.journal_mac.name.text);
}

static void limits_belong_to_what_is_good(void **state)
{
	static const char *const lines[] = {
		"0 1 integrity D 0 1 J 0",
		"0 1 integrity D 0 255 I 0",
		"0 1 integrity D 0 - D 1 block_size:512",
		"0 1 integrity D 0 - D 1 block_size:4096",
		"0 1 integrity D 0 - B 1 journal_watermark:0",
		"0 1 integrity D 0 - B 1 journal_watermark:100",
		"0 1 integrity D 0 - J 1 commit_time:4294967295",
		("0 1 integrity D 0 - J 1 internal_hash:" ALGORITHM_63),
	};
	struct table_slice at;
	struct table t;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(table_parse(lines[i], &t, &at), TABLE_GOOD);
	assert_int_equal(t.internal_hash.name.length, INTACT_ALGORITHM_BYTES - 1);
}

static void the_last_of_two_equal_options_counts(void **state)
{
	struct table_slice at;
	struct table t;

	(void)state;
	assert_int_equal(
		table_parse("0 1 integrity D 0 - J 2 commit_time:5 commit_time:6", &t, &at),
		TABLE_GOOD);
	assert_int_equal(t.commit_time, 6);
}

static void keys_are_decoded(void **state)
{
	static const char hex[] = "00fFA9b61";
	uint8_t key[4];

	(void)state;
	table_key((struct table_slice){hex, 8}, key);
	assert_memory_equal(key, "\x00\xff\xa9\xb6", 4);
	table_key((struct table_slice){hex, 0}, key);
}

/* ---- Printing ---- */

static void a_line_in_the_order_of_the_kernel_prints_as_it_was(void **state)
{
	static const char *const lines[] = {
		full_line,
		"0 7752 integrity DEV 0 - J 0",
		"0 7752 integrity 254:0 0 4 J 2 fix_padding internal_hash:crc32c",
	};
	char text[sizeof(full_line)];
	struct table_slice at;
	struct table t;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(table_parse(lines[i], &t, &at), TABLE_GOOD);
		assert_int_equal(table_print(&t, true, text, sizeof(text)), strlen(lines[i]));
		assert_string_equal(text, lines[i]);
	}
}

static void keys_are_hidden_unless_they_are_asked_for(void **state)
{
	char text[sizeof(full_line)];
	struct table_slice at;
	struct table t;

	(void)state;
	assert_int_equal(table_parse(full_line, &t, &at), TABLE_GOOD);
	assert_int_equal(table_print(&t, false, text, sizeof(text)), strlen(full_line));
	assert_non_null(strstr(text, "internal_hash:hmac(sha256):---- "));
	assert_non_null(strstr(text, "journal_crypt:ctr(aes):---- "));
	assert_null(strstr(text, "4ea1"));
	assert_null(strstr(text, "fCd7"));
}

static void a_small_buffer_gets_the_beginning_and_no_more(void **state)
{
	struct table_slice at;
	struct table t;

	(void)state;
	assert_int_equal(table_parse(full_line, &t, &at), TABLE_GOOD);
	for (size_t size = 0; size <= sizeof(full_line); size++) {
		char *text = malloc(size); /* exactly, so that the sanitizer sees its end */

		assert_int_equal(table_print(&t, true, text, size), strlen(full_line));
		if (size != 0) {
			assert_int_equal(strlen(text), size - 1);
			assert_memory_equal(text, full_line, size - 1);
		}
		free(text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_has_its_verdict_and_its_word),
		cmocka_unit_test(every_verdict_but_good_is_met_and_has_a_sentence),
		cmocka_unit_test(every_option_is_understood),
		cmocka_unit_test(what_is_not_given_is_absent),
		cmocka_unit_test(limits_belong_to_what_is_good),
		cmocka_unit_test(the_last_of_two_equal_options_counts),
		cmocka_unit_test(keys_are_decoded),
		cmocka_unit_test(a_line_in_the_order_of_the_kernel_prints_as_it_was),
		cmocka_unit_test(keys_are_hidden_unless_they_are_asked_for),
		cmocka_unit_test(a_small_buffer_gets_the_beginning_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
