/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checked arithmetic at its edges, and little-endian integers at odd addresses.
 */
#include "base/le.h"
#include "base/num.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_sum_that_does_not_fit_is_refused_and_writes_nothing(void **state)
{
	uint64_t sum = 42;

	(void)state;
	assert_false(add_checked(UINT64_MAX, 1, &sum));
	assert_false(add_checked(UINT64_MAX / 2 + 1, UINT64_MAX / 2 + 1, &sum));
	assert_int_equal(sum, 42);
	assert_true(add_checked(UINT64_MAX - 1, 1, &sum));
	assert_true(sum == UINT64_MAX);
}

static void a_product_that_does_not_fit_is_refused_and_writes_nothing(void **state)
{
	uint64_t product = 42;

	(void)state;
	assert_false(mul_checked(UINT64_C(1) << 32, UINT64_C(1) << 32, &product));
	assert_int_equal(product, 42);
	assert_true(mul_checked(UINT64_C(1) << 32, UINT32_MAX, &product));
	assert_true(product == (UINT64_C(1) << 32) * UINT32_MAX);
	assert_true(mul_checked(0, UINT64_MAX, &product));
	assert_int_equal(product, 0);
}

static void powers_of_two_are_known(void **state)
{
	(void)state;
	assert_false(is_power_of_two(0));
	assert_true(is_power_of_two(1));
	assert_false(is_power_of_two(3));
	assert_true(is_power_of_two(UINT64_C(1) << 63));
	assert_int_equal(log2_floor(1), 0);
	assert_int_equal(log2_floor(4095), 11);
	assert_int_equal(log2_floor(4096), 12);
	assert_int_equal(log2_floor(UINT64_MAX), 63);
}

static void rounding_meets_its_multiples(void **state)
{
	(void)state;
	assert_int_equal(round_up_pow2(0, 8), 0);
	assert_int_equal(round_up_pow2(1, 8), 8);
	assert_int_equal(round_up_pow2(8, 8), 8);
	assert_int_equal(round_down_pow2(15, 8), 8);
	assert_int_equal(div_round_up(0, 3), 0);
	assert_int_equal(div_round_up(7, 3), 3);
	assert_int_equal(div_round_up(9, 3), 3);
	assert_true(div_round_up(UINT64_MAX, 2) == UINT64_C(1) << 63);
	assert_int_equal(min_u64(3, 5), 3);
	assert_int_equal(max_u64(3, 5), 5);
}

static void integers_lie_least_byte_first_at_any_address(void **state)
{
	uint8_t bytes[9];
	static const uint8_t expected[8] = {8, 7, 6, 5, 4, 3, 2, 1};

	(void)state;
	put_le64(bytes + 1, UINT64_C(0x0102030405060708));
	assert_memory_equal(bytes + 1, expected, 8);
	assert_true(get_le64(bytes + 1) == UINT64_C(0x0102030405060708));
	assert_int_equal(get_le32(bytes + 1), 0x05060708);
	assert_int_equal(get_le16(bytes + 1), 0x0708);
	put_le32(bytes + 3, 0xa1b2c3d4);
	assert_int_equal(get_le32(bytes + 3), 0xa1b2c3d4);
	put_le16(bytes + 5, 0xbeef);
	assert_int_equal(get_le32(bytes + 3), 0xbeefc3d4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sum_that_does_not_fit_is_refused_and_writes_nothing),
		cmocka_unit_test(a_product_that_does_not_fit_is_refused_and_writes_nothing),
		cmocka_unit_test(powers_of_two_are_known),
		cmocka_unit_test(rounding_meets_its_multiples),
		cmocka_unit_test(integers_lie_least_byte_first_at_any_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
