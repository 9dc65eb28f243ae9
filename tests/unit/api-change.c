/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An open volume is changed: what takes effect, what it says about itself then, and that nothing is
 * changed by what is refused.
 */
#include "api-volume.h"

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int change(struct intact *v, struct volume_file *f, const char *name, const char *value)
{
	const struct intact_option option = {name, value};

	f->said[0] = '\0';
	return intact_change(v, &option, 1, &f->log);
}

static void what_needs_no_pause_takes_effect(void **state)
{
	const struct intact_option options[] = {
		{"journal-watermark", "70"},
		{"journal-commit-time", "123"},
		{"allow-discards", ""},
	};
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_info info;

	intact_get_info(v, &info);
	assert_int_equal(info.mode, INTACT_MODE_JOURNAL);
	assert_int_equal(info.journal_watermark_percent, 50);
	assert_int_equal(info.commit_time_ms, 10000);
	assert_int_equal(intact_discard(v, BLOCK_BYTES, 0, 0), -EOPNOTSUPP);
	assert_int_equal(intact_change(v, options, COUNT(options), NULL), 0);
	intact_get_info(v, &info);
	assert_int_equal(info.journal_watermark_percent, 70);
	assert_int_equal(info.commit_time_ms, 123);
	assert_true(info.allow_discards);
	assert_int_equal(intact_discard(v, BLOCK_BYTES, 0, 0), 0);
	assert_int_equal(change(v, f, "allow-discards", "false"), 0);
	assert_int_equal(intact_discard(v, BLOCK_BYTES, 0, 0), -EOPNOTSUPP);
	assert_int_equal(intact_close(v), 0);
}

static void what_is_refused_is_named_and_changes_nothing(void **state)
{
	const struct intact_option good_and_bad[] = {
		{"journal-watermark", "70"},
		{"tag-size", "4"},
	};
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_info info;

	assert_int_equal(intact_change(v, good_and_bad, COUNT(good_and_bad), &f->log), -EINVAL);
	assert_string_equal(f->said, "tag-size cannot be changed while the volume is open");
	assert_int_equal(change(v, f, "journal-watermark", "101"), -EINVAL);
	assert_string_equal(f->said, "journal-watermark: 101 is not a valid value");
	assert_int_equal(change(v, f, "no-such-thing", "1"), -EINVAL);
	assert_string_equal(f->said, "unknown option no-such-thing");
	intact_get_info(v, &info);
	assert_int_equal(info.journal_watermark_percent, 50);
	assert_int_equal(intact_close(v), 0);
}

static void a_volume_for_readers_stays_as_it_is(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, INTACT_OPEN_READ_ONLY);

	assert_int_equal(change(v, f, "journal-watermark", "70"), -EROFS);
	assert_non_null(strstr(f->said, "reading only"));
	assert_int_equal(intact_close(v), 0);
}

static void the_table_says_all(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_params params;
	char expected[512];
	char *table = NULL;

	assert_int_equal(intact_table(v, 0, &f->log, &table), 0);
	(void)snprintf(expected, sizeof(expected), "0 %u integrity %s 0 32 J ", VOLUME_SECTORS,
		       f->path);
	assert_memory_equal(table, expected, strlen(expected));
	intact_params_init(&params);
	assert_int_equal(intact_params_from_table(&params, table, &f->log), 0);
	assert_int_equal(params.length_sectors, VOLUME_SECTORS);
	assert_int_equal(params.block_bytes, BLOCK_BYTES);
	assert_int_equal(params.journal_watermark_percent, 50);
	assert_string_equal(params.internal_hash.name, "sha256");
	intact_params_done(&params);
	free(table);
	assert_int_equal(intact_close(v), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VOLUME_TEST(what_needs_no_pause_takes_effect),
		VOLUME_TEST(what_is_refused_is_named_and_changes_nothing),
		VOLUME_TEST(a_volume_for_readers_stays_as_it_is),
		VOLUME_TEST(the_table_says_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
