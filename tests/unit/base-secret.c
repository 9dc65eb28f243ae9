/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Secrets compare by every byte, and are gone once wiped; what a scope owned is released by it.
 */
#include "base/cleanup.h"
#include "base/secret.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void one_different_bit_anywhere_is_a_difference(void **state)
{
	uint8_t a[33];
	uint8_t b[33];

	(void)state;
	memset(a, 0x5a, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(secret_equal(a, b, sizeof(a)));
	assert_true(secret_equal(a, b, 0));
	for (size_t bit = 0; bit < 8 * sizeof(b); bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(secret_equal(a, b, sizeof(a)));
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void a_wiped_secret_is_zero(void **state)
{
	uint8_t key[16];
	static const uint8_t zero[16];

	(void)state;
	memset(key, 7, sizeof(key));
	secret_wipe(key, sizeof(key));
	assert_memory_equal(key, zero, sizeof(key));
	secret_wipe(NULL, 16);
}

static int open_and_forget(void)
{
	AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int open_and_keep(void)
{
	AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return TAKE_FD(fd);
}

static void a_scope_closes_what_was_not_taken_from_it(void **state)
{
	int kept;

	(void)state;
	assert_int_equal(fcntl(open_and_forget(), F_GETFD), -1);
	kept = open_and_keep();
	assert_true(fcntl(kept, F_GETFD) >= 0);
	close(kept);
}

static void *allocate_and_keep(void)
{
	AUTO_FREE void *forgotten = malloc(10); /* the leak checker sees that it is freed */
	AUTO_FREE void *kept = malloc(10);

	assert_non_null(forgotten);
	assert_non_null(kept);
	return TAKE_PTR(kept);
}

static void a_scope_frees_what_was_not_taken_from_it(void **state)
{
	void *kept = allocate_and_keep();

	(void)state;
	memset(kept, 1, 10);
	free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_different_bit_anywhere_is_a_difference),
		cmocka_unit_test(a_wiped_secret_is_zero),
		cmocka_unit_test(a_scope_closes_what_was_not_taken_from_it),
		cmocka_unit_test(a_scope_frees_what_was_not_taken_from_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
