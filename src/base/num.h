/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Arithmetic on numbers that came from a disk or a user: nothing here wraps silently.
 */
#ifndef INTACT_BASE_NUM_H
#define INTACT_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

#define SECTOR_SHIFT 9
#define SECTOR_BYTES 512u

/* True when the sum fits; only then is *ret written. */
static inline bool add_checked(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret = sum;
	return true;
}

/* True when the product fits; only then is *ret written. */
static inline bool mul_checked(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*ret = product;
	return true;
}

static inline bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* log2 of v rounded down; v must not be 0. */
static inline unsigned log2_floor(uint64_t v)
{
	return 63u - (unsigned)__builtin_clzll(v);
}

/* v rounded up to a multiple of a power of two; the caller knows that it does not overflow. */
static inline uint64_t round_up_pow2(uint64_t v, uint64_t multiple)
{
	return (v + multiple - 1) & ~(multiple - 1);
}

static inline uint64_t round_down_pow2(uint64_t v, uint64_t multiple)
{
	return v & ~(multiple - 1);
}

static inline uint64_t div_round_up(uint64_t v, uint64_t by)
{
	return v / by + (v % by != 0);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
