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

#define STRIPE_WORDS 4
#define STRIPE_BYTES (8 * STRIPE_WORDS)

static_assert(INTACT_DIGEST_PREFIX_BYTES_MAX < STRIPE_BYTES,
	      "a prefix is part of the first stripe");
static_assert(INTACT_DIGEST_SALT_BYTES == 16, "a prefix is whole words");

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

/* Four variables, not an array: the compilers would make vectors of it, and 64-bit products of vectors
 * are slow.
 */
struct lanes {
	uint64_t a, b, c, d;
};

static inline void stripe(struct lanes *l, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
	l->a = mix(l->a, w0);
	l->b = mix(l->b, w1);
	l->c = mix(l->c, w2);
	l->d = mix(l->d, w3);
}

static inline uint64_t converge(const struct lanes *l, uint64_t total_bytes)
{
	uint64_t hash = rotate(l->a, 1) + rotate(l->b, 7) + rotate(l->c, 12) + rotate(l->d, 18);

	return merge(merge(merge(merge(hash, l->a), l->b), l->c), l->d) + total_bytes;
}

static const struct lanes begin = {PRIME_1 + PRIME_2, PRIME_2, 0, -PRIME_1};

/* A sector number, and whole stripes. Each word is hashed with the three before it, which belong to the
 * block one word earlier: so it is loaded at the same places in block after block, as if they were
 * one, and what the processor fetches ahead goes on from one block to the next.
 */
static uint64_t hash_sectored(uint64_t sector, const uint8_t *data, size_t bytes)
{
	struct lanes l = begin;
	uint64_t last = sector;
	uint8_t tail[8];

	for (const uint8_t *end = data + bytes; data < end; data += STRIPE_BYTES) {
		stripe(&l, last, get_le64(data), get_le64(data + 8), get_le64(data + 16));
		last = get_le64(data + 24);
	}
	put_le64(tail, last);
	return finish(converge(&l, 8 + bytes), tail, sizeof(tail));
}

/* `first` is the message's first stripe, `data` what follows it. */
static uint64_t hash_stripes(const uint64_t first[STRIPE_WORDS], const uint8_t *data, size_t bytes)
{
	struct lanes l = begin;
	uint64_t total_bytes = STRIPE_BYTES + bytes;

	stripe(&l, first[0], first[1], first[2], first[3]);
	for (; bytes >= STRIPE_BYTES; bytes -= STRIPE_BYTES, data += STRIPE_BYTES)
		stripe(&l, get_le64(data), get_le64(data + 8), get_le64(data + 16),
		       get_le64(data + 24));
	return finish(converge(&l, total_bytes), data, bytes);
}

/* A prefix and a message that do not fill a stripe. */
static uint64_t hash_short(const struct intact_digest_shape *shape,
			   const struct intact_digest_batch *batch, uint32_t i)
{
	uint8_t piece[STRIPE_BYTES];
	size_t prefix_bytes = intact_digest_prefix(shape, batch, i, piece);

	memcpy(piece + prefix_bytes, intact_digest_message(batch, i), batch->message_bytes);
	return XXH64(piece, prefix_bytes + batch->message_bytes, 0);
}

/* The first stripe is put together in words: one that was stored in other pieces than it is loaded in
 * has to wait for the cache, and with it everything behind.
 */
static uint64_t hash_one(const struct intact_digest_shape *shape,
			 const struct intact_digest_batch *batch, uint32_t i)
{
	const uint8_t *data = intact_digest_message(batch, i);
	size_t bytes = batch->message_bytes;
	uint64_t first[STRIPE_WORDS];
	unsigned words = 0;

	if (batch->flags & INTACT_DIGEST_SALTED) {
		first[words++] = get_le64(shape->salt);
		first[words++] = get_le64(shape->salt + 8);
	}
	if (batch->flags & INTACT_DIGEST_SECTOR)
		first[words++] = intact_digest_sector(batch, i);
	if (words == 0)
		return XXH64(data, bytes, 0);
	if (words == 1 && bytes > 0 && bytes % STRIPE_BYTES == 0 &&
	    batch->flags & INTACT_DIGEST_SECTOR)
		return hash_sectored(first[0], data, bytes);
	if (8 * words + bytes < STRIPE_BYTES)
		return hash_short(shape, batch, i);
	for (; words < STRIPE_WORDS; words++, data += 8, bytes -= 8)
		first[words] = get_le64(data);
	return hash_stripes(first, data, bytes);
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
