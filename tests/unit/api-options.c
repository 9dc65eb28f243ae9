/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Parameters from named options: each lands where it belongs, in any order, and what is wrong is
 * named.
 */
#include <errno.h>
#include <fcntl.h>
#include <intact.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
	struct intact_params params;
	char said[1024];
	struct intact_log log;
	char key_path[64];
};

static void hear(void *opaque, enum intact_level level, const char *text)
{
	struct bench *b = opaque;

	assert_int_equal(level, INTACT_ERROR);
	assert_string_equal(b->said, ""); /* one line only */
	(void)snprintf(b->said, sizeof(b->said), "%s", text);
}

static int setup(void **state)
{
	struct bench *b = test_calloc(1, sizeof(*b));
	int fd;

	strcpy(b->key_path, "/tmp/intact-api-options.XXXXXX");
	fd = mkstemp(b->key_path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
	close(fd);
	b->log = (struct intact_log){.emit = hear, .opaque = b};
	intact_params_init(&b->params);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	unlink(b->key_path);
	intact_params_done(&b->params);
	test_free(b);
	return 0;
}

#define TAKE(b, ...)                                                                               \
	take(b, (const struct intact_option[]){__VA_ARGS__},                                       \
	     sizeof((const struct intact_option[]){__VA_ARGS__}) / sizeof(struct intact_option))

static int take(struct bench *b, const struct intact_option *options, size_t count)
{
	intact_params_done(&b->params);
	b->said[0] = '\0';
	return intact_params_from_options(&b->params, options, count, &b->log);
}

static void each_lands_where_it_belongs(void **state)
{
	struct bench *b = *state;
	const struct intact_params *p = &b->params;

	assert_int_equal(TAKE(b, {"device", "/dev/a"}, {"data-device", "/dev/b"},
			      {"integrity", "sha256"}, {"tag-size", "16"}, {"sector-size", "4096"},
			      {"offset", "8"}, {"buffer-sectors", "64"}, {"journal-watermark", "0"},
			      {"journal-commit-time", "200"}, {"bitmap-flush-time", "300"},
			      {"bitmap-sectors-per-bit", "32768"}, {"integrity-bitmap-mode", ""},
			      {"integrity-recalculate", "true"},
			      {"integrity-recalculate-reset", ""},
			      {"integrity-legacy-recalculate", ""}, {"allow-discards", ""},
			      {"allow-discards-keyed", ""}, {"digest-policy", "async"},
			      {"digest-driver", "workers"}),
			 0);
	assert_string_equal(p->device, "/dev/a");
	assert_string_equal(p->data_device, "/dev/b");
	assert_string_equal(p->internal_hash.name, "sha256");
	assert_int_equal(p->tag_bytes, 16);
	assert_int_equal(p->block_bytes, 4096);
	assert_int_equal(p->start_sector, 8);
	assert_int_equal(p->buffer_sectors, 64);
	assert_int_equal(p->journal_watermark_percent, 0);
	assert_int_equal(p->commit_time_ms, 200);
	assert_int_equal(p->bitmap_flush_interval_ms, 300);
	assert_int_equal(p->sectors_per_bit, 32768);
	assert_int_equal(p->mode, INTACT_MODE_BITMAP);
	assert_true(p->recalculate);
	assert_true(p->reset_recalculate);
	assert_true(p->legacy_recalculate);
	assert_true(p->allow_discards);
	assert_true(p->allow_discards_keyed);
	assert_int_equal(p->digest_policy, INTACT_DIGEST_ASYNC);
	assert_string_equal(p->digest_driver, "workers");
}

static void what_is_not_said_is_not_given(void **state)
{
	struct bench *b = *state;

	assert_int_equal(TAKE(b, {"device", "/dev/a"}), 0);
	assert_string_equal(b->params.internal_hash.name, "auto");
	assert_int_equal(b->params.mode, 0);
	assert_int_equal(b->params.journal_watermark_percent, -1);
	assert_null(b->params.data_device);
}

static void the_later_one_counts(void **state)
{
	struct bench *b = *state;

	assert_int_equal(TAKE(b, {"device", "/dev/a"}, {"tag-size", "4"}, {"device", "/dev/b"},
			      {"tag-size", "8"}),
			 0);
	assert_string_equal(b->params.device, "/dev/b");
	assert_int_equal(b->params.tag_bytes, 8);
}

static void modes_have_their_options(void **state)
{
	struct bench *b = *state;

	assert_int_equal(TAKE(b, {"integrity-no-journal", ""}), 0);
	assert_int_equal(b->params.mode, INTACT_MODE_DIRECT);
	assert_int_equal(TAKE(b, {"integrity-recovery-mode", ""}), 0);
	assert_int_equal(b->params.mode, INTACT_MODE_RECOVERY);
	assert_int_equal(TAKE(b, {"integrity-no-journal", ""}, {"integrity-bitmap-mode", ""}),
			 -EINVAL);
	assert_string_equal(b->said, "integrity-bitmap-mode: another mode was given already");
}

static void keys_come_in_any_order(void **state)
{
	struct bench *b = *state;

	assert_int_equal(TAKE(b, {"integrity-key-size", "4"}, {"integrity-key-file", b->key_path},
			      {"integrity", "hmac-sha256"},
			      {"journal-integrity-key-file", b->key_path},
			      {"journal-integrity", "hmac(sha1)"}, {"journal-crypt", "ctr(aes)"},
			      {"journal-crypt-key-file", b->key_path}),
			 0);
	assert_string_equal(b->params.internal_hash.name, "hmac(sha256)");
	assert_int_equal(b->params.internal_hash.key_bytes, 4);
	assert_memory_equal(b->params.internal_hash.key, "0123", 4);
	assert_string_equal(b->params.journal_mac.name, "hmac(sha1)");
	assert_int_equal(b->params.journal_mac.key_bytes, 16);
	assert_string_equal(b->params.journal_crypt.name, "ctr(aes)");
	assert_int_equal(b->params.journal_crypt.key_bytes, 16);
}

static void a_table_says_it_all(void **state)
{
	static const char line[] = "0 7664 integrity /dev/x 0 32 J 2 internal_hash:sha256 "
				   "block_size:4096";
	struct bench *b = *state;

	assert_int_equal(TAKE(b, {"device", "/dev/a"}, {"table", line}), 0);
	assert_string_equal(b->params.device, "/dev/a");
	assert_string_equal(b->params.internal_hash.name, "sha256");
	assert_int_equal(b->params.length_sectors, 7664);
	assert_int_equal(TAKE(b, {"table", line}, {"tag-size", "32"}), -EINVAL);
	assert_string_equal(b->said, "table says all about the volume; leave out tag-size");
	assert_int_equal(TAKE(b, {"table", "0 1 striped"}), -EINVAL);
}

static void expect_refusal(struct bench *b, const char *name, const char *value, int err,
			   const char *said)
{
	assert_int_equal(TAKE(b, {name, value}), err);
	assert_string_equal(b->said, said);
}

static void what_is_wrong_is_named(void **state)
{
	struct bench *b = *state;

	expect_refusal(b, "tag_size", "4", -ENOENT, "unknown option tag_size");
	expect_refusal(b, "tag-size", "0", -EINVAL, "tag-size: 0 is not a valid value");
	expect_refusal(b, "tag-size", "256", -EINVAL, "tag-size: 256 is not a valid value");
	expect_refusal(b, "tag-size", "4k", -EINVAL, "tag-size: 4k is not a valid value");
	expect_refusal(b, "offset", "-1", -EINVAL, "offset: -1 is not a valid value");
	expect_refusal(b, "journal-watermark", "101", -EINVAL,
		       "journal-watermark: 101 is not a valid value");
	expect_refusal(b, "allow-discards", "no", -EINVAL,
		       "allow-discards: no is not a valid value");
	expect_refusal(b, "integrity-no-journal", "no", -EINVAL,
		       "integrity-no-journal: no is not a valid value");
	expect_refusal(b, "digest-policy", "fast", -EINVAL,
		       "digest-policy: fast is not a valid value");
	expect_refusal(b, "integrity", "rot13", -EINVAL,
		       "integrity: unknown algorithm rot13 (see intact digests)");
	expect_refusal(b, "journal-crypt", "rot13", -EINVAL, "journal-crypt: unknown cipher rot13");
	expect_refusal(b, "integrity-key-size", "4", -EINVAL,
		       "integrity-key-size needs integrity-key-file");
	expect_refusal(b, "journal-integrity-key-file", "/dev/null", -EINVAL,
		       "journal-integrity-key-file needs journal-integrity");
}

#define CHANGE(b, ...)                                                                             \
	change(b, (const struct intact_option[]){__VA_ARGS__},                                     \
	       sizeof((const struct intact_option[]){__VA_ARGS__}) / sizeof(struct intact_option))

static int change(struct bench *b, const struct intact_option *options, size_t count)
{
	b->said[0] = '\0';
	return intact_params_change(&b->params, options, count, &b->log);
}

static void changes_go_over_options_and_tables(void **state)
{
	struct bench *b = *state;
	const struct intact_params *p = &b->params;

	assert_int_equal(TAKE(b, {"integrity-bitmap-mode", ""}, {"allow-discards", ""}), 0);
	assert_int_equal(CHANGE(b, {"integrity-journal", ""}, {"allow-discards", "false"},
				{"journal-watermark", "7"}),
			 0);
	assert_int_equal(p->mode, INTACT_MODE_JOURNAL);
	assert_false(p->allow_discards);
	assert_int_equal(p->journal_watermark_percent, 7);
	assert_int_equal(TAKE(b, {"table", "0 64 integrity x 0 4 J 2 internal_hash:crc32c "
					   "commit_time:5"}),
			 0);
	assert_int_equal(CHANGE(b, {"journal-commit-time", "6"}, {"integrity-no-journal", ""}), 0);
	assert_int_equal(p->mode, INTACT_MODE_DIRECT);
	assert_int_equal(p->commit_time_ms, 6);
}

static void what_cannot_change_is_named(void **state)
{
	struct bench *b = *state;

	assert_int_equal(TAKE(b, {"allow-discards-keyed", ""}), 0);
	assert_int_equal(CHANGE(b, {"allow-discards", "false"}), -EINVAL);
	assert_string_equal(b->said, "allow-discards-keyed cannot be taken back");
	assert_int_equal(CHANGE(b, {"integrity", "sha1"}), -EINVAL);
	assert_string_equal(b->said, "integrity cannot be changed while the volume is open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_lands_where_it_belongs, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_said_is_not_given, setup, teardown),
		cmocka_unit_test_setup_teardown(the_later_one_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(modes_have_their_options, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_come_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_table_says_it_all, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_go_over_options_and_tables, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_change_is_named, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
