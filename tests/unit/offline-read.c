/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact_view_read: what it delivers, where it stops, and what it says about that. And which errno
 * intact_view_open ends with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "offline-volume.h"

#include <errno.h>

#define UNTOUCHED 0xa5

struct contents {
	struct volume_copy copy;
	struct intact_view *v;
	uint64_t sectors;
	uint32_t block_sectors;
	uint8_t *all; /* as it should be */
	uint8_t *buffer;
};

static void contents_open(struct contents *c, const char *name, const char *hash)
{
	uint64_t bad = 0;

	copy_open(&c->copy, name, hash);
	c->v = copy_view(&c->copy);
	c->sectors = intact_view_sectors(c->v);
	c->block_sectors = intact_view_superblock(c->v)->block_bytes / 512;
	c->all = malloc(c->sectors * 512);
	c->buffer = malloc(c->sectors * 512);
	assert_non_null(c->all);
	assert_non_null(c->buffer);
	assert_int_equal(intact_view_read(c->v, 0, c->sectors, c->all, 0, &bad), 0);
	assert_true(bad == INTACT_NO_SECTOR);
	memset(c->buffer, UNTOUCHED, c->sectors * 512);
}

static void contents_close(struct contents *c)
{
	free(c->all);
	free(c->buffer);
	intact_view_close(c->v);
	copy_close(&c->copy);
}

static void pieces_of_any_size_make_up_the_whole(void **state)
{
	static const char *const images[][2] = {
		{"jdirty-crc32c-512-multi", "crc32c"},
		{"jclean-sha256-4096", "sha256"},
		{"layout-fixpadding-il256-crc32c-512", "crc32c"},
	};
	static const uint64_t blocks[] = {1, 3, 64, 255, 256, 257, 600};

	(void)state;
	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++) {
		struct contents c;

		contents_open(&c, images[i][0], images[i][1]);
		for (size_t k = 0; k < sizeof(blocks) / sizeof(*blocks); k++) {
			uint64_t piece = blocks[k] * c.block_sectors;
			uint64_t bad;

			for (uint64_t at = 0; at < c.sectors; at += piece) {
				uint64_t now = c.sectors - at < piece ? c.sectors - at : piece;

				assert_int_equal(intact_view_read(c.v, at, now, c.buffer, 0, &bad),
						 0);
				assert_memory_equal(c.buffer, c.all + at * 512, now * 512);
			}
		}
		contents_close(&c);
	}
}

static void reading_ends_before_the_first_bad_block(void **state)
{
	struct contents c;
	uint64_t bad;

	(void)state;
	contents_open(&c, "jclean-sha256-4096", "sha256");
	flip_sector(&c.copy, c.v, 3205);
	flip_sector(&c.copy, c.v, 4000);
	assert_int_equal(intact_view_read(c.v, 8, c.sectors - 8, c.buffer, 0, &bad), -EILSEQ);
	assert_int_equal(bad, 3200);
	assert_memory_equal(c.buffer, c.all + 8 * 512, (3200 - 8) * 512);
	assert_int_equal(c.buffer[(3200 - 8) * 512], UNTOUCHED);
	/* What follows it can be had. */
	assert_int_equal(intact_view_read(c.v, 3208, 4000 - 3208, c.buffer, 0, &bad), 0);
	assert_true(bad == INTACT_NO_SECTOR);
	assert_int_equal(intact_view_read(c.v, 4000, 8, c.buffer, 0, &bad), -EILSEQ);
	assert_int_equal(bad, 4000);
	contents_close(&c);
}

static void ignoring_mismatches_delivers_what_is_there(void **state)
{
	struct contents c;
	uint64_t bad;
	size_t at = (size_t)3205 * 512 + 77;

	(void)state;
	contents_open(&c, "jclean-sha256-4096", "sha256");
	flip_sector(&c.copy, c.v, 3205);
	flip_sector(&c.copy, c.v, 4001);
	assert_int_equal(
		intact_view_read(c.v, 0, c.sectors, c.buffer, INTACT_READ_IGNORE_MISMATCHES, &bad),
		0);
	assert_int_equal(bad, 3200);
	assert_int_equal(c.buffer[at], c.all[at] ^ 0x10);
	c.all[at] ^= 0x10;
	c.all[(size_t)4001 * 512 + 77] ^= 0x10;
	assert_memory_equal(c.buffer, c.all, c.sectors * 512);
	contents_close(&c);
}

static void what_cannot_be_read_is_never_ignored(void **state)
{
	static const unsigned flags[] = {0, INTACT_READ_IGNORE_MISMATCHES};
	struct contents c;
	uint64_t bad;

	(void)state;
	contents_open(&c, "jclean-crc32c-512", "crc32c");
	flip_sector(&c.copy, c.v, 5000);
	assert_int_equal(ftruncate(c.copy.fd, data_offset(c.v, 6000) + 100), 0);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		assert_int_equal(
			intact_view_read(c.v, 5001, c.sectors - 5001, c.buffer, flags[i], &bad),
			-EIO);
		assert_int_equal(bad, 6000);
		assert_memory_equal(c.buffer, c.all + 5001 * 512, (6000 - 5001) * 512);
	}
	/* The one that ended it is named, not the one that was ignored before. */
	assert_int_equal(
		intact_view_read(c.v, 4999, 2000, c.buffer, INTACT_READ_IGNORE_MISMATCHES, &bad),
		-EIO);
	assert_int_equal(bad, 6000);
	contents_close(&c);
}

static void recovery_mode_verifies_nothing(void **state)
{
	struct volume_copy copy;
	struct intact_view *v;
	uint8_t block[4096];
	uint64_t bad;

	(void)state;
	copy_open(&copy, "damaged-data-sha256-4096", "sha256");
	copy.params.mode = INTACT_MODE_RECOVERY;
	v = copy_view(&copy);
	assert_int_equal(intact_view_journal(v)->state, INTACT_JOURNAL_NONE);
	assert_int_equal(intact_view_read(v, 6464, 8, block, 0, &bad), 0);
	assert_true(bad == INTACT_NO_SECTOR);
	intact_view_close(v);
	copy_close(&copy);
}

static void what_is_no_whole_block_of_the_volume_is_refused(void **state)
{
	struct contents c;
	uint64_t bad = 42;

	(void)state;
	contents_open(&c, "jclean-sha256-4096", "sha256");
	assert_int_equal(intact_view_read(c.v, 1, 8, c.buffer, 0, &bad), -EINVAL);
	assert_int_equal(intact_view_read(c.v, 0, 7, c.buffer, 0, &bad), -EINVAL);
	assert_int_equal(intact_view_read(c.v, 0, c.sectors + 8, c.buffer, 0, &bad), -EINVAL);
	assert_int_equal(intact_view_read(c.v, c.sectors, 8, c.buffer, 0, &bad), -EINVAL);
	assert_int_equal(intact_view_read(c.v, c.sectors + 8, 0, c.buffer, 0, &bad), -EINVAL);
	assert_int_equal(intact_view_read(c.v, 8, UINT64_MAX - 7, c.buffer, 0, &bad), -EINVAL);
	assert_int_equal(bad, 42);
	assert_int_equal(c.buffer[0], UNTOUCHED);
	assert_int_equal(intact_view_read(c.v, c.sectors, 0, c.buffer, 0, &bad), 0);
	assert_true(bad == INTACT_NO_SECTOR);
	contents_close(&c);
}

/* ---- Opening ---- */

/* One line is said, and nothing is made. */
static void assert_refused(struct volume_copy *c, int error)
{
	struct intact_view *v = NULL;

	memset(&c->said, 0, sizeof(c->said));
	assert_int_equal(intact_view_open(&c->params, 0, &c->log, &v), error);
	assert_null(v);
	assert_int_equal(c->said.lines[INTACT_ERROR], 1);
	assert_int_equal(c->said.lines[INTACT_WARNING], 0);
}

static void use_device(struct volume_copy *c, const char *path)
{
	free(c->params.device);
	c->params.device = strdup(path);
	assert_non_null(c->params.device);
}

static void each_kind_of_no_volume_has_its_errno(void **state)
{
	struct volume_copy c;

	(void)state;
	copy_open(&c, "jclean-sha256-4096", "sha256");
	use_device(&c, "/");
	assert_refused(&c, -EISDIR);
	use_device(&c, "/dev/null");
	assert_refused(&c, -ENOTBLK);
	use_device(&c, "/nonexistent");
	assert_refused(&c, -ENOENT);
	use_device(&c, c.path);
	c.params.tag_bytes = 16;
	assert_refused(&c, -EMEDIUMTYPE);
	c.params.tag_bytes = 0;
	c.params.digest_driver = strdup("none");
	assert_refused(&c, -EINVAL);
	free(c.params.digest_driver);
	c.params.digest_driver = NULL;
	assert_int_equal(
		intact_algorithm_set_hash(&c.params.internal_hash, "hmac-sha256", "hash", &c.log),
		0);
	assert_refused(&c, -ENOKEY);
	(void)snprintf(c.params.internal_hash.name, INTACT_ALGORITHM_BYTES, "none");
	assert_refused(&c, -EINVAL);
	assert_int_equal(ftruncate(c.fd, 0), 0);
	assert_refused(&c, -EMEDIUMTYPE);
	copy_close(&c);
}

static void a_view_keeps_parameters_of_its_own(void **state)
{
	struct volume_copy c;
	struct intact_view *v;
	uint8_t block[4096];
	uint64_t bad;

	(void)state;
	copy_open(&c, "jclean-sha256-4096", "auto");
	v = copy_view(&c);
	/* What was found is the view's; the caller's is as it was. */
	assert_string_equal(intact_view_hash(v), "sha256");
	assert_string_equal(c.params.internal_hash.name, "auto");
	intact_params_done(&c.params);
	assert_int_equal(intact_view_read(v, 0, 8, block, 0, &bad), 0);
	intact_view_close(v);
	intact_view_close(NULL);
	copy_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_make_up_the_whole),
		cmocka_unit_test(reading_ends_before_the_first_bad_block),
		cmocka_unit_test(ignoring_mismatches_delivers_what_is_there),
		cmocka_unit_test(what_cannot_be_read_is_never_ignored),
		cmocka_unit_test(recovery_mode_verifies_nothing),
		cmocka_unit_test(what_is_no_whole_block_of_the_volume_is_refused),
		cmocka_unit_test(each_kind_of_no_volume_has_its_errno),
		cmocka_unit_test(a_view_keeps_parameters_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
