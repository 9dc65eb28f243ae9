/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The list names every algorithm with every driver that has it, prefers one of them, and ends when
 * it is told to; the bench measures any of them, and says what it does not know.
 */
#include "digest/drivers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct tally {
	unsigned drivers[64], preferred[64]; /* by algorithm */
	unsigned failed;
	unsigned stop_after; /* 0: never */
	unsigned calls;
};

static int count(void *opaque, const struct intact_digest_info *info)
{
	struct tally *t = opaque;
	ptrdiff_t i = digest_algorithm_find(info->algorithm) - digest_algorithms();

	t->calls++;
	if (t->stop_after == t->calls)
		return -ECANCELED;
	assert_true(info->synchronous || info->asynchronous);
	assert_string_not_equal(info->driver, "");
	assert_string_not_equal(info->description, "");
	t->failed += info->self_test != 0 && info->self_test != -ENOKEY; /* a key elsewhere */
	t->drivers[i]++;
	t->preferred[i] += info->preferred;
	return 0;
}

static void every_algorithm_is_listed_and_one_driver_preferred(void **state)
{
	struct tally t = {.failed = 0};

	(void)state;
	assert_int_equal(intact_digest_list(count, &t), 0);
	assert_int_equal(t.failed, 0);
	for (size_t i = 0; digest_algorithms()[i].name; i++) {
		assert_true(t.drivers[i] >= 1);
		assert_int_equal(t.preferred[i], 1);
	}
}

static void a_list_ends_when_told_to(void **state)
{
	struct tally t = {.stop_after = 3};

	(void)state;
	assert_int_equal(intact_digest_list(count, &t), -ECANCELED);
	assert_int_equal(t.calls, 3);
}

static int find_hmac(void *opaque, const struct intact_digest_info *info)
{
	if (strcmp(info->algorithm, "hmac(sha256)") != 0 || strcmp(info->driver, "openssl") != 0)
		return 0;
	*(struct intact_digest_info *)opaque = *info;
	return 1;
}

static void an_entry_says_what_it_is(void **state)
{
	struct intact_digest_info info = {.digest_bytes = 0};

	(void)state;
	assert_int_equal(intact_digest_list(find_hmac, &info), 1);
	assert_string_equal(info.alias, "hmac-sha256");
	assert_int_equal(info.digest_bytes, 32);
	assert_true(info.keyed);
	assert_true(info.synchronous);
	assert_false(info.asynchronous);
	assert_false(info.hardware);
	assert_false(info.key_outside);
	assert_int_equal(info.self_test, 0);
}

static void any_algorithm_can_be_benched(void **state)
{
	static const char *const names[] = {"crc32c", "hmac-sha256", "cmac(aes)"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		double speed = -1;

		assert_int_equal(intact_digest_bench(names[i], NULL, 512, 1, NULL, &speed), 0);
		assert_true(speed > 0);
	}
}

static char message[1024];

static void emit(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	assert_int_equal(level, INTACT_ERROR);
	(void)snprintf(message, sizeof(message), "%s", text);
}

static void assert_no_bench(const char *algorithm, const char *driver, uint32_t block_bytes,
			    int error, const char *text)
{
	const struct intact_log log = {.emit = emit};
	double speed = -1;

	assert_int_equal(intact_digest_bench(algorithm, driver, block_bytes, 1, &log, &speed),
			 error);
	assert_string_equal(message, text);
	assert_true(speed < 0); /* untouched */
}

static void a_bench_says_what_it_cannot_do(void **state)
{
	(void)state;
	assert_no_bench("sha257", NULL, 4096, -ENOENT, "bench: no digest is called sha257");
	assert_no_bench("sha256", NULL, 8192, -EINVAL,
			"bench: block size 8192 is not 512, 1024, 2048 or 4096");
	assert_no_bench("sha256", NULL, 0, -EINVAL,
			"bench: block size 0 is not 512, 1024, 2048 or 4096");
	assert_no_bench("crc32c", "openssl", 4096, -ENOENT,
			"bench crc32c: no driver called openssl, there is isal (synchronous), "
			"workers (asynchronous), simulated (asynchronous, slow here)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_algorithm_is_listed_and_one_driver_preferred),
		cmocka_unit_test(a_list_ends_when_told_to),
		cmocka_unit_test(an_entry_says_what_it_is),
		cmocka_unit_test(any_algorithm_can_be_benched),
		cmocka_unit_test(a_bench_says_what_it_cannot_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
