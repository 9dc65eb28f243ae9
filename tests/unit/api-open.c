/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening and closing: who may open a volume beside whom, what is refused and why, and that what
 * was written is there the next time.
 */
#include "api-volume.h"

#include <errno.h>

static int try_open(struct volume_file *f, unsigned flags)
{
	struct intact *v = NULL;
	int err = intact_open(&f->params, flags, &f->log, &v);

	if (err)
		assert_null(v);
	else
		assert_int_equal(intact_close(v), 0);
	return err;
}

static void a_second_opener_is_refused(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	char expected[128];

	assert_int_equal(try_open(f, 0), -EBUSY);
	(void)snprintf(expected, sizeof(expected), "%s is in use by another program", f->path);
	assert_string_equal(f->said, expected);
	assert_int_equal(try_open(f, INTACT_OPEN_READ_ONLY), -EBUSY);
	assert_int_equal(intact_close(v), 0);
	assert_int_equal(try_open(f, 0), 0);
}

static void readers_share(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, INTACT_OPEN_READ_ONLY);

	assert_int_equal(try_open(f, INTACT_OPEN_READ_ONLY), 0);
	assert_int_equal(try_open(f, 0), -EBUSY);
	assert_int_equal(intact_close(v), 0);
}

static void a_refused_volume_is_not_left_locked(void **state)
{
	struct volume_file *f = *state;

	strcpy(f->params.internal_hash.name, "sha1");
	assert_int_equal(try_open(f, 0), -EMEDIUMTYPE);
	assert_non_null(strstr(f->said, "sha1"));
	strcpy(f->params.internal_hash.name, "sha256");
	assert_int_equal(try_open(f, 0), 0);
}

static void what_is_missing_is_named(void **state)
{
	struct volume_file *f = *state;

	strcpy(f->params.internal_hash.name, "hmac(sha256)");
	assert_int_equal(try_open(f, 0), -ENOKEY);
	free(f->params.device);
	f->params.device = strdup("/nonexistent/volume");
	assert_int_equal(try_open(f, 0), -ENOENT);
	assert_non_null(strstr(f->said, "/nonexistent/volume"));
	free(f->params.device);
	f->params.device = NULL;
	assert_int_equal(try_open(f, 0), -EINVAL);
	assert_string_equal(f->said, "no device was given");
}

static void the_hash_is_found_out(void **state)
{
	struct volume_file *f = *state;
	uint8_t block[BLOCK_BYTES];
	struct intact *v;

	strcpy(f->params.internal_hash.name, "auto");
	v = volume_open(f, 0);
	assert_true(intact_has_hash(v));
	assert_int_equal(intact_sectors(v), VOLUME_SECTORS);
	assert_int_equal(intact_block_bytes(v), BLOCK_BYTES);
	assert_int_equal(intact_tag_bytes(v), 32);
	assert_int_equal(intact_pread(v, block, sizeof(block), 0), 0);
	assert_int_equal(intact_close(v), 0);
	assert_string_equal(f->params.internal_hash.name, "auto"); /* the caller's own */
}

static void who_reads_cannot_write(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, INTACT_OPEN_READ_ONLY);
	uint8_t block[BLOCK_BYTES] = {0};

	assert_int_equal(intact_pread(v, block, sizeof(block), 0), 0);
	assert_int_equal(intact_pwrite(v, block, sizeof(block), 0, 0), -EROFS);
	assert_int_equal(intact_pwrite(v, block, 1, 0, 0), -EROFS);
	assert_int_equal(intact_write_zeroes(v, sizeof(block), 0, 0), -EROFS);
	assert_int_equal(intact_discard(v, sizeof(block), 0, 0), -EROFS);
	assert_int_equal(intact_close(v), 0);
}

static void what_was_written_is_there_next_time(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	uint8_t written[3 * BLOCK_BYTES];
	uint8_t block[sizeof(written)];

	for (unsigned i = 0; i < sizeof(written); i++)
		written[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(intact_pwrite(v, written, sizeof(written), 40960, 0), 0);
	assert_int_equal(intact_close(v), 0);

	v = volume_open(f, INTACT_OPEN_READ_ONLY);
	assert_int_equal(intact_pread(v, block, sizeof(block), 40960), 0);
	assert_memory_equal(block, written, sizeof(block));
	assert_int_equal(intact_close(v), 0);
}

static void nothing_can_be_closed(void **state)
{
	(void)state;
	assert_int_equal(intact_close(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VOLUME_TEST(a_second_opener_is_refused),
		VOLUME_TEST(readers_share),
		VOLUME_TEST(a_refused_volume_is_not_left_locked),
		VOLUME_TEST(what_is_missing_is_named),
		VOLUME_TEST(the_hash_is_found_out),
		VOLUME_TEST(who_reads_cannot_write),
		VOLUME_TEST(what_was_written_is_there_next_time),
		cmocka_unit_test(nothing_can_be_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
