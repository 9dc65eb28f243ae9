/* SPDX-License-Identifier: BSD-2-Clause
 *
 * XXH64, seed 0. libxxhash wants a message in one piece; its streaming functions cost 125 ns more a
 * message, half of what 4096 bytes take. So a message with a prefix goes through the rounds here,
 * which take as long as the library's; one without, through the library. The self-test compares.
 */
#include "base/le.h"
#include "digest/drivers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#define PRIME_1 0x9e3779b185ebca87u
#define PRIME_2 0xc2b2ae3d27d4eb4fu
#define PRIME_3 0x165667b19e3779f9u
#define PRIME_4 0x85ebca77c2b2ae63u
#define PRIME_5 0x27d4eb2f165667c5u

#define STRIPE_BYTES 32

static_assert(INTACT_DIGEST_PREFIX_BYTES_MAX < STRIPE_BYTES,
	      "a prefix is part of the first stripe");

static inline uint64_t rotate(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static inline uint64_t mix(uint64_t lane, uint64_t word)
{
	return rotate(lane + word * PRIME_2, 31) * PRIME_1;
}

static inline uint64_t merge(uint64_t hash, uint64_t lane)
{
	return (hash ^ mix(0, lane)) * PRIME_1 + PRIME_4;
}

/* The last bytes, fewer than a stripe. */
static uint64_t finish(uint64_t hash, const uint8_t *data, size_t bytes)
{
	for (; bytes >= 8; bytes -= 8, data += 8)
		hash = rotate(hash ^ mix(0, get_le64(data)), 27) * PRIME_1 + PRIME_4;
	if (bytes >= 4) {
		hash = rotate(hash ^ get_le32(data) * PRIME_1, 23) * PRIME_2 + PRIME_3;
		bytes -= 4;
		data += 4;
	}
	for (; bytes > 0; bytes--)
		hash = rotate(hash ^ *data++ * PRIME_5, 11) * PRIME_1;
	hash = (hash ^ hash >> 33) * PRIME_2;
	hash = (hash ^ hash >> 29) * PRIME_3;
	return hash ^ hash >> 32;
}

/* `first` is the message's first stripe, `data` what follows it. Four variables, not an array: the
 * compilers would make vectors of it, and 64-bit products of vectors are slow.
 */
static uint64_t hash_stripes(const uint8_t first[STRIPE_BYTES], const uint8_t *data, size_t bytes)
{
	uint64_t total = STRIPE_BYTES + bytes;
	uint64_t a = mix(PRIME_1 + PRIME_2, get_le64(first));
	uint64_t b = mix(PRIME_2, get_le64(first + 8));
	uint64_t c = mix(0, get_le64(first + 16));
	uint64_t d = mix(-PRIME_1, get_le64(first + 24));
	uint64_t hash;

	for (; bytes >= STRIPE_BYTES; bytes -= STRIPE_BYTES, data += STRIPE_BYTES) {
		a = mix(a, get_le64(data));
		b = mix(b, get_le64(data + 8));
		c = mix(c, get_le64(data + 16));
		d = mix(d, get_le64(data + 24));
	}
	hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
	hash = merge(merge(merge(merge(hash, a), b), c), d);
	return finish(hash + total, data, bytes);
}

static uint64_t hash_one(const struct intact_digest_shape *shape,
			 const struct intact_digest_batch *batch, uint32_t i)
{
	uint8_t first[STRIPE_BYTES];
	const uint8_t *data = intact_digest_message(batch, i);
	size_t bytes = batch->message_bytes;
	size_t prefix_bytes = intact_digest_prefix(shape, batch, i, first);
	size_t room = STRIPE_BYTES - prefix_bytes;

	if (prefix_bytes == 0)
		return XXH64(data, bytes, 0);
	if (bytes < room) {
		memcpy(first + prefix_bytes, data, bytes);
		return XXH64(first, prefix_bytes + bytes, 0);
	}
	memcpy(first + prefix_bytes, data, room);
	return hash_stripes(first, data + room, bytes - room);
}

static enum intact_digest_fit xxhash_fit(const struct intact_digest_algorithm *algorithm)
{
	return algorithm->hash == INTACT_HASH_XXHASH64 ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

static int xxhash_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	struct intact_digest_shape *own = malloc(sizeof(*own));

	if (!own)
		return -ENOMEM;
	*own = *setup->shape;
	*ret_instance = own;
	return 0;
}

static void xxhash_close(void *instance)
{
	free(instance);
}

static int xxhash_compute(void *instance, struct intact_digest_batch *batch)
{
	const struct intact_digest_shape *shape = instance;

	for (uint32_t i = 0; i < batch->count; i++) {
		uint8_t digest[8];

		put_le64(digest, hash_one(shape, batch, i));
		intact_digest_store(shape, batch, i, digest);
	}
	return 0;
}

const struct intact_digest_driver digest_xxhash = {
	.name = "xxhash",
	.description = "libxxhash",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 100,
	.fit = xxhash_fit,
	.open = xxhash_open,
	.close = xxhash_close,
	.compute = xxhash_compute,
};
