/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers out of a seed (splitmix64). Every part of a simulation has a stream of its own, so that a
 * change in one does not change what the others do.
 */
#ifndef INTACT_SIM_RANDOM_H
#define INTACT_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_mix(uint64_t v)
{
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

static inline uint64_t random_next(struct random *r)
{
	r->state += UINT64_C(0x9e3779b97f4a7c15);
	return random_mix(r->state);
}

/* A stream of its own for the part with this number. */
static inline struct random random_stream(uint64_t seed, uint64_t part)
{
	return (struct random){random_mix(seed * UINT64_C(0x9e3779b97f4a7c15) + random_mix(part))};
}

/* 0 … limit - 1. */
static inline uint64_t random_below(struct random *r, uint64_t limit)
{
	return random_next(r) % limit;
}

/* Both ends included. */
static inline uint64_t random_between(struct random *r, uint64_t lowest, uint64_t highest)
{
	return lowest + random_below(r, highest - lowest + 1);
}

static inline bool random_percent(struct random *r, unsigned percent)
{
	return random_below(r, 100) < percent;
}

static inline bool random_per_million(struct random *r, unsigned n)
{
	return n > 0 && random_below(r, 1000000) < n;
}

/* Small numbers as likely as large ones: every power of two in between gets the same share. */
static inline uint64_t random_log(struct random *r, uint64_t lowest, uint64_t highest)
{
	unsigned bits = 64u - (unsigned)__builtin_clzll(highest | 1);
	uint64_t n = random_below(r, UINT64_C(1) << random_between(r, 0, bits));

	return lowest + n > highest ? random_between(r, lowest, highest) : lowest + n;
}

#endif
