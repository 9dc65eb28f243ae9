/* SPDX-License-Identifier: BSD-2-Clause */
#include "digest/flat.h"

#include "base/le.h"
#include "base/secret.h"
#include "digest/hmac.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct flat {
	_Alignas(64) uint8_t plain[FLAT_STATE_BYTES_MAX]; /* before a message without salt */
	_Alignas(64) uint8_t salted[FLAT_STATE_BYTES_MAX];
	_Alignas(64) uint8_t outer[FLAT_STATE_BYTES_MAX]; /* HMAC's second hash */
	_Alignas(64) uint8_t running[FLAT_STATE_BYTES_MAX];
	const struct flat_hash *hash;
	struct intact_digest_shape shape;
	bool hmac;
};

/* A key longer than a block stands for its hash. */
static size_t shorten_key(struct flat *f, size_t block_bytes, const uint8_t *key, size_t key_bytes,
			  uint8_t short_key[HMAC_BLOCK_BYTES_MAX])
{
	if (key_bytes <= block_bytes) {
		memcpy(short_key, key, key_bytes);
		return key_bytes;
	}
	f->hash->start(f->running, f->shape.digest_bytes);
	f->hash->update(f->running, key, key_bytes);
	f->hash->finish(f->running, short_key, f->shape.digest_bytes);
	return f->shape.digest_bytes;
}

static void start_with_pad(struct flat *f, uint8_t *state, size_t block_bytes, const uint8_t *key,
			   size_t key_bytes, uint8_t pad)
{
	uint8_t block[HMAC_BLOCK_BYTES_MAX];

	hmac_pad(block, block_bytes, key, key_bytes, pad);
	f->hash->start(state, f->shape.digest_bytes);
	f->hash->update(state, block, block_bytes);
	secret_wipe(block, sizeof(block));
}

static void set_key(struct flat *f, size_t block_bytes, const uint8_t *key, size_t key_bytes)
{
	uint8_t short_key[HMAC_BLOCK_BYTES_MAX];

	assert(block_bytes <= sizeof(short_key));
	key_bytes = shorten_key(f, block_bytes, key, key_bytes, short_key);
	start_with_pad(f, f->plain, block_bytes, short_key, key_bytes, HMAC_IPAD);
	start_with_pad(f, f->outer, block_bytes, short_key, key_bytes, HMAC_OPAD);
	secret_wipe(short_key, sizeof(short_key));
}

int flat_open(const struct flat_hash *hash, const struct intact_digest_setup *setup,
	      void **ret_instance)
{
	const struct intact_digest_algorithm *algorithm = setup->algorithm;
	struct flat *f = aligned_alloc(_Alignof(struct flat), sizeof(*f));

	assert(hash->state_bytes <= FLAT_STATE_BYTES_MAX);
	if (!f)
		return -ENOMEM;
	memset(f, 0, sizeof(*f));
	f->hash = hash;
	f->shape = *setup->shape;
	f->hmac = algorithm->hmac;
	if (f->hmac)
		set_key(f, algorithm->hash_block_bytes, setup->key, setup->key_bytes);
	else
		hash->start(f->plain, f->shape.digest_bytes);
	memcpy(f->salted, f->plain, hash->state_bytes);
	hash->update(f->salted, f->shape.salt, sizeof(f->shape.salt));
	*ret_instance = f;
	return 0;
}

void flat_close(void *instance)
{
	secret_wipe(instance, sizeof(struct flat));
	free(instance);
}

static void compute_one(struct flat *f, const struct intact_digest_batch *batch, uint32_t i,
			uint8_t *digest)
{
	const struct flat_hash *hash = f->hash;
	const uint8_t *start = batch->flags & INTACT_DIGEST_SALTED ? f->salted : f->plain;
	uint8_t sector[8];

	memcpy(f->running, start, hash->state_bytes);
	if (batch->flags & INTACT_DIGEST_SECTOR) {
		put_le64(sector, intact_digest_sector(batch, i));
		hash->update(f->running, sector, sizeof(sector));
	}
	hash->update(f->running, intact_digest_message(batch, i), batch->message_bytes);
	hash->finish(f->running, digest, f->shape.digest_bytes);
	if (!f->hmac)
		return;
	memcpy(f->running, f->outer, hash->state_bytes);
	hash->update(f->running, digest, f->shape.digest_bytes);
	hash->finish(f->running, digest, f->shape.digest_bytes);
}

int flat_compute(void *instance, struct intact_digest_batch *batch)
{
	struct flat *f = instance;
	uint8_t digest[INTACT_DIGEST_BYTES_MAX];

	for (uint32_t i = 0; i < batch->count; i++) {
		compute_one(f, batch, i, digest);
		intact_digest_store(&f->shape, batch, i, digest);
	}
	return 0;
}
