/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BLAKE2 by libb2, unkeyed with the output length as parameter, and HMAC over it. (libcrypto has
 * two of the five lengths.)
 */
#include "digest/drivers.h"
#include "digest/flat.h"

#include <assert.h>
#include <blake2.h>

static void blake2b_start(void *state, size_t digest_bytes)
{
	int r = blake2b_init(state, digest_bytes);

	assert(r == 0);
}

static void blake2b_add(void *state, const void *data, size_t bytes)
{
	int r = blake2b_update(state, data, bytes);

	assert(r == 0);
}

static void blake2b_finish(void *state, uint8_t *digest, size_t digest_bytes)
{
	int r = blake2b_final(state, digest, digest_bytes);

	assert(r == 0);
}

static void blake2s_start(void *state, size_t digest_bytes)
{
	int r = blake2s_init(state, digest_bytes);

	assert(r == 0);
}

static void blake2s_add(void *state, const void *data, size_t bytes)
{
	int r = blake2s_update(state, data, bytes);

	assert(r == 0);
}

static void blake2s_finish(void *state, uint8_t *digest, size_t digest_bytes)
{
	int r = blake2s_final(state, digest, digest_bytes);

	assert(r == 0);
}

static const struct flat_hash flat_blake2b = {sizeof(blake2b_state), blake2b_start, blake2b_add,
					      blake2b_finish};
static const struct flat_hash flat_blake2s = {sizeof(blake2s_state), blake2s_start, blake2s_add,
					      blake2s_finish};

static const struct flat_hash *const hashes[INTACT_HASHES] = {
	[INTACT_HASH_BLAKE2B_160] = &flat_blake2b, [INTACT_HASH_BLAKE2B_256] = &flat_blake2b,
	[INTACT_HASH_BLAKE2B_384] = &flat_blake2b, [INTACT_HASH_BLAKE2B_512] = &flat_blake2b,
	[INTACT_HASH_BLAKE2S_256] = &flat_blake2s,
};

static enum intact_digest_fit blake2_fit(const struct intact_digest_algorithm *algorithm)
{
	return hashes[algorithm->hash] ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

static int blake2_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	return flat_open(hashes[setup->algorithm->hash], setup, ret_instance);
}

const struct intact_digest_driver digest_blake2 = {
	.name = "blake2",
	.description = "libb2",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 100,
	.fit = blake2_fit,
	.open = blake2_open,
	.close = flat_close,
	.compute = flat_compute,
};
