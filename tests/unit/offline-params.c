/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Parameters: what a table line sets, in which spellings algorithms are taken, how keys are read, and
 * that every refusal says why, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "offline-volume.h"

#include <errno.h>

static struct intact_log listen_into(struct said *said)
{
	memset(said, 0, sizeof(*said));
	return (struct intact_log){.emit = hear, .opaque = said};
}

static void a_table_line_sets_all_that_it_says(void **state)
{
	static const uint8_t key[] = {0x00, 0x01, 0xab, 0xff};
	struct said said;
	struct intact_log log = listen_into(&said);
	struct intact_params p;

	(void)state;
	intact_params_init(&p);
	assert_int_equal(p.journal_watermark_percent, -1);
	assert_int_equal(
		intact_params_from_table(
			&p,
			"0 123456789012 integrity /dev/x 77 20 D 18 meta_device:/dev/y "
			"journal_sectors:1000 interleave_sectors:64 buffer_sectors:32 "
			"journal_watermark:0 commit_time:5 internal_hash:hmac(sha256):0001abFF "
			"journal_crypt:ctr(aes):0001abff journal_mac:sha1 block_size:4096 "
			"sectors_per_bit:128 bitmap_flush_interval:9 fix_padding fix_hmac "
			"recalculate reset_recalculate allow_discards legacy_recalculate",
			&log),
		0);
	assert_true(p.length_sectors == UINT64_C(123456789012));
	assert_int_equal(p.start_sector, 77);
	assert_int_equal(p.tag_bytes, 20);
	assert_int_equal(p.mode, INTACT_MODE_DIRECT);
	assert_null(p.device);
	assert_null(p.data_device);
	assert_int_equal(p.journal_sectors, 1000);
	assert_int_equal(p.interleave_sectors, 64);
	assert_int_equal(p.buffer_sectors, 32);
	assert_int_equal(p.journal_watermark_percent, 0);
	assert_int_equal(p.commit_time_ms, 5);
	assert_int_equal(p.block_bytes, 4096);
	assert_int_equal(p.sectors_per_bit, 128);
	assert_int_equal(p.bitmap_flush_interval_ms, 9);
	assert_true(p.fix_padding && p.fix_hmac && p.recalculate);
	assert_true(p.reset_recalculate && p.allow_discards && p.legacy_recalculate);
	assert_false(p.allow_discards_keyed);
	assert_string_equal(p.internal_hash.name, "hmac(sha256)");
	assert_int_equal(p.internal_hash.key_bytes, sizeof(key));
	assert_memory_equal(p.internal_hash.key, key, sizeof(key));
	assert_string_equal(p.journal_crypt.name, "ctr(aes)");
	assert_memory_equal(p.journal_crypt.key, key, sizeof(key));
	assert_string_equal(p.journal_mac.name, "sha1");
	assert_null(p.journal_mac.key);
	assert_int_equal(said.lines[INTACT_ERROR], 0);

	/* Another line starts from nothing, but for what no line says. */
	assert_int_equal(intact_params_from_table(&p, "0 8 integrity - 0 - J 0", &log), 0);
	assert_int_equal(p.block_bytes, 512);
	assert_int_equal(p.tag_bytes, 0);
	assert_int_equal(p.journal_watermark_percent, -1);
	assert_false(p.fix_padding || p.recalculate || p.allow_discards);
	assert_string_equal(p.internal_hash.name, "");
	assert_null(p.internal_hash.key);
	intact_params_done(&p);
}

static void a_wrong_table_line_is_refused_in_one_line(void **state)
{
	static const char *const lines[] = {
		"",
		"0",
		"1 8 integrity x 0 - J 0",
		"0 8 linear x 0 - J 0",
		"0 x integrity x 0 - J 0",
		"0 8 integrity x 0 256 J 0",
		"0 8 integrity x 0 - Q 0",
		"0 8 integrity x 0 - J 1",
		"0 8 integrity x 0 - J 1 nonsense",
		"0 8 integrity x 0 - J 1 block_size:7",
		"0 8 integrity x 0 - J 1 journal_watermark:101",
		"0 8 integrity x 0 - J 1 internal_hash:",
		"0 8 integrity x 0 - J 1 internal_hash:sha256:1",
		"0 8 integrity x 0 - J 1 internal_hash:nonsense",
		"0 8 integrity x 0 - J 1 journal_mac:nonsense",
		"0 8 integrity x 0 - J 1 journal_crypt:nonsense",
		"0 8 integrity x 0 - J 2 internal_hash:hmac(sha256):00 journal_mac:nonsense:00",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct said said;
		struct intact_log log = listen_into(&said);
		struct intact_params p;

		intact_params_init(&p);
		assert_int_equal(intact_params_from_table(&p, lines[i], &log), -EINVAL);
		assert_int_equal(said.lines[INTACT_ERROR], 1);
		intact_params_done(&p);
	}
}

static void algorithms_are_known_by_either_name(void **state)
{
	static const char *const names[][2] = {
		{"sha256", "sha256"}, {"hmac-sha256", "hmac(sha256)"}, {"hmac(sha1)", "hmac(sha1)"},
		{"crc32c", "crc32c"}, {"blake2b-256", "blake2b-256"},  {"auto", "auto"},
	};
	struct said said;
	struct intact_log log = listen_into(&said);
	struct intact_algorithm a = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_int_equal(intact_algorithm_set_hash(&a, names[i][0], "hash", &log), 0);
		assert_string_equal(a.name, names[i][1]);
	}
	assert_int_equal(intact_algorithm_set_cipher(&a, "cbc-aes", "crypt", &log), 0);
	assert_string_equal(a.name, "cbc(aes)");
	assert_int_equal(said.lines[INTACT_ERROR], 0);

	assert_int_equal(intact_algorithm_set_hash(&a, "nonsense", "--x", &log), -ENOENT);
	assert_non_null(strstr(said.last, "--x: unknown algorithm nonsense"));
	assert_int_equal(intact_algorithm_set_hash(&a, "", "--x", &log), -ENOENT);
	assert_int_equal(intact_algorithm_set_cipher(&a, "sha256", "--y", &log), -ENOENT);
	assert_non_null(strstr(said.last, "--y: unknown cipher sha256"));
	assert_int_equal(said.lines[INTACT_ERROR], 3);
	assert_string_equal(a.name, "cbc(aes)");
}

/* ---- Keys ---- */

struct key_file {
	char path[64];
};

static void key_file_make(struct key_file *f, size_t bytes)
{
	int fd;

	(void)snprintf(f->path, sizeof(f->path), "/tmp/intact-key.XXXXXX");
	fd = mkostemp(f->path, O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < bytes; i++) {
		uint8_t byte = (uint8_t)(i * 7 + 1);

		assert_int_equal(write(fd, &byte, 1), 1);
	}
	close(fd);
}

static void assert_key(const struct intact_algorithm *a, size_t bytes)
{
	assert_int_equal(a->key_bytes, bytes);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(a->key[i], (uint8_t)(i * 7 + 1));
}

static void a_key_is_the_file_or_its_beginning(void **state)
{
	struct said said;
	struct intact_log log = listen_into(&said);
	struct intact_params p;
	struct key_file f;

	(void)state;
	intact_params_init(&p);
	key_file_make(&f, INTACT_KEY_BYTES_MAX);
	assert_int_equal(intact_algorithm_read_key(&p.internal_hash, f.path, 0, &log), 0);
	assert_key(&p.internal_hash, INTACT_KEY_BYTES_MAX);
	assert_int_equal(intact_algorithm_read_key(&p.internal_hash, f.path, 16, &log), 0);
	assert_key(&p.internal_hash, 16);
	assert_int_equal(intact_algorithm_read_key(&p.internal_hash, "/dev/zero", 32, &log), 0);
	assert_int_equal(p.internal_hash.key_bytes, 32);
	assert_int_equal(said.lines[INTACT_ERROR], 0);
	intact_params_done(&p);
	assert_null(p.internal_hash.key);
	assert_int_equal(p.internal_hash.key_bytes, 0);
	unlink(f.path);
}

static void a_key_that_cannot_be_had_leaves_the_one_before(void **state)
{
	struct said said;
	struct intact_log log = listen_into(&said);
	struct intact_params p;
	struct key_file f;

	(void)state;
	intact_params_init(&p);
	key_file_make(&f, 20);
	assert_int_equal(intact_algorithm_read_key(&p.journal_mac, f.path, 0, &log), 0);
	assert_int_equal(intact_algorithm_read_key(&p.journal_mac, f.path, 21, &log), -EINVAL);
	assert_int_equal(intact_algorithm_read_key(&p.journal_mac, "/dev/null", 0, &log), -EINVAL);
	assert_int_equal(intact_algorithm_read_key(&p.journal_mac, "/dev/zero", 0, &log), -EINVAL);
	assert_int_equal(
		intact_algorithm_read_key(&p.journal_mac, f.path, INTACT_KEY_BYTES_MAX + 1, &log),
		-EINVAL);
	assert_int_equal(intact_algorithm_read_key(&p.journal_mac, "/nonexistent", 0, &log),
			 -ENOENT);
	assert_int_equal(intact_algorithm_read_key(&p.journal_mac, "/", 0, &log), -EISDIR);
	assert_int_equal(said.lines[INTACT_ERROR], 6);
	assert_key(&p.journal_mac, 20);
	intact_params_done(&p);
	unlink(f.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_line_sets_all_that_it_says),
		cmocka_unit_test(a_wrong_table_line_is_refused_in_one_line),
		cmocka_unit_test(algorithms_are_known_by_either_name),
		cmocka_unit_test(a_key_is_the_file_or_its_beginning),
		cmocka_unit_test(a_key_that_cannot_be_had_leaves_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
