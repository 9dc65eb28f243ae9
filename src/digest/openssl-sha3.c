/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libcrypto's SHA-3 through EVP, and HMAC over it. Copying a context allocates, so every HMAC hashes
 * its two key blocks anew. (Starting a context anew should not; in libcrypto 3.0 it does, 416 bytes
 * that are freed at the next start.)
 */
#include "base/secret.h"
#include "digest/drivers.h"
#include "digest/hmac.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct sha3 {
	EVP_MD *md;
	EVP_MD_CTX *context;
	struct intact_digest_shape shape;
	size_t block_bytes; /* of the key blocks; 0: no HMAC */
	uint8_t inner[HMAC_BLOCK_BYTES_MAX];
	uint8_t outer[HMAC_BLOCK_BYTES_MAX];
};

static const char *const names[INTACT_HASHES] = {
	[INTACT_HASH_SHA3_224] = "SHA3-224",
	[INTACT_HASH_SHA3_256] = "SHA3-256",
	[INTACT_HASH_SHA3_384] = "SHA3-384",
	[INTACT_HASH_SHA3_512] = "SHA3-512",
};

static enum intact_digest_fit sha3_fit(const struct intact_digest_algorithm *algorithm)
{
	return names[algorithm->hash] ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

/* EVP's functions return 1 when all is well; these do too. */

static int sha3_start(struct sha3 *s, const uint8_t *block)
{
	return EVP_DigestInit_ex2(s->context, NULL, NULL) &&
	       EVP_DigestUpdate(s->context, block, s->block_bytes);
}

static int sha3_finish(struct sha3 *s, uint8_t *digest)
{
	return EVP_DigestFinal_ex(s->context, digest, NULL);
}

static int set_key(struct sha3 *s, size_t block_bytes, const uint8_t *key, size_t key_bytes)
{
	uint8_t short_key[INTACT_DIGEST_BYTES_MAX];

	if (key_bytes > block_bytes) {
		if (!EVP_DigestUpdate(s->context, key, key_bytes) || !sha3_finish(s, short_key))
			return 0;
		key = short_key;
		key_bytes = s->shape.digest_bytes;
	}
	s->block_bytes = block_bytes;
	hmac_pad(s->inner, block_bytes, key, key_bytes, HMAC_IPAD);
	hmac_pad(s->outer, block_bytes, key, key_bytes, HMAC_OPAD);
	secret_wipe(short_key, sizeof(short_key));
	return 1;
}

static void sha3_close(void *instance)
{
	struct sha3 *s = instance;

	if (!s)
		return;
	EVP_MD_CTX_free(s->context);
	EVP_MD_free(s->md);
	secret_wipe(s, sizeof(*s));
	free(s);
}

static int sha3_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	const struct intact_digest_algorithm *algorithm = setup->algorithm;
	struct sha3 *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->shape = *setup->shape;
	s->md = EVP_MD_fetch(NULL, names[algorithm->hash], NULL);
	s->context = EVP_MD_CTX_new();
	if (!s->md || !s->context || !EVP_DigestInit_ex2(s->context, s->md, NULL))
		goto fail;
	if (algorithm->hmac &&
	    !set_key(s, algorithm->hash_block_bytes, setup->key, setup->key_bytes))
		goto fail;
	*ret_instance = s;
	return 0;
fail:
	sha3_close(s);
	return -EIO;
}

static int compute_one(struct sha3 *s, const struct intact_digest_batch *batch, uint32_t i,
		       uint8_t *digest)
{
	uint8_t prefix[INTACT_DIGEST_PREFIX_BYTES_MAX];
	size_t prefix_bytes = intact_digest_prefix(&s->shape, batch, i, prefix);
	int ok = sha3_start(s, s->inner) && EVP_DigestUpdate(s->context, prefix, prefix_bytes) &&
		 EVP_DigestUpdate(s->context, intact_digest_message(batch, i),
				  batch->message_bytes) &&
		 sha3_finish(s, digest);

	if (!ok || !s->block_bytes)
		return ok;
	return sha3_start(s, s->outer) &&
	       EVP_DigestUpdate(s->context, digest, s->shape.digest_bytes) &&
	       sha3_finish(s, digest);
}

static int sha3_compute(void *instance, struct intact_digest_batch *batch)
{
	struct sha3 *s = instance;
	uint8_t digest[INTACT_DIGEST_BYTES_MAX];

	for (uint32_t i = 0; i < batch->count; i++) {
		if (!compute_one(s, batch, i, digest))
			return -EIO;
		intact_digest_store(&s->shape, batch, i, digest);
	}
	return 0;
}

const struct intact_digest_driver digest_openssl_sha3 = {
	.name = "openssl",
	.description = "libcrypto",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 100,
	.fit = sha3_fit,
	.open = sha3_open,
	.close = sha3_close,
	.compute = sha3_compute,
};
