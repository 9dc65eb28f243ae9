/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libcrypto's MD5, SHA-1 and SHA-2, and HMAC over them.
 *
 * The functions used are those that libcrypto would rather see replaced by EVP. But EVP's contexts
 * cannot be copied without an allocation, and HMAC needs two copies a message; here a state is
 * plain memory. It also saves 25 ns a message (hmac(sha256): 75), which 512-byte blocks feel.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "digest/drivers.h"
#include "digest/flat.h"

#include <assert.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

/* The functions of one hash in the shape of struct flat_hash. They fail only on arguments that are
 * never given.
 */
#define FLAT_HASH(name, context, init_function, update_function, final_function)                   \
	static void name##_start(void *state, size_t digest_bytes)                                 \
	{                                                                                          \
		int ok = init_function(state);                                                     \
                                                                                                   \
		(void)digest_bytes;                                                                \
		assert(ok);                                                                        \
	}                                                                                          \
                                                                                                   \
	static void name##_update(void *state, const void *data, size_t bytes)                     \
	{                                                                                          \
		int ok = update_function(state, data, bytes);                                      \
                                                                                                   \
		assert(ok);                                                                        \
	}                                                                                          \
                                                                                                   \
	static void name##_finish(void *state, uint8_t *digest, size_t digest_bytes)               \
	{                                                                                          \
		int ok = final_function(digest, state);                                            \
                                                                                                   \
		(void)digest_bytes;                                                                \
		assert(ok);                                                                        \
	}                                                                                          \
                                                                                                   \
	static const struct flat_hash flat_##name = {sizeof(context), name##_start, name##_update, \
						     name##_finish}

FLAT_HASH(md5, MD5_CTX, MD5_Init, MD5_Update, MD5_Final);
FLAT_HASH(sha1, SHA_CTX, SHA1_Init, SHA1_Update, SHA1_Final);
FLAT_HASH(sha224, SHA256_CTX, SHA224_Init, SHA224_Update, SHA224_Final);
FLAT_HASH(sha256, SHA256_CTX, SHA256_Init, SHA256_Update, SHA256_Final);
FLAT_HASH(sha384, SHA512_CTX, SHA384_Init, SHA384_Update, SHA384_Final);
FLAT_HASH(sha512, SHA512_CTX, SHA512_Init, SHA512_Update, SHA512_Final);

static const struct flat_hash *const hashes[INTACT_HASHES] = {
	[INTACT_HASH_MD5] = &flat_md5,	     [INTACT_HASH_SHA1] = &flat_sha1,
	[INTACT_HASH_SHA224] = &flat_sha224, [INTACT_HASH_SHA256] = &flat_sha256,
	[INTACT_HASH_SHA384] = &flat_sha384, [INTACT_HASH_SHA512] = &flat_sha512,
};

static enum intact_digest_fit openssl_sha_fit(const struct intact_digest_algorithm *algorithm)
{
	return hashes[algorithm->hash] ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

static int openssl_sha_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	return flat_open(hashes[setup->algorithm->hash], setup, ret_instance);
}

const struct intact_digest_driver digest_openssl_sha = {
	.name = "openssl",
	.description = "libcrypto",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 100,
	.fit = openssl_sha_fit,
	.open = openssl_sha_open,
	.close = flat_close,
	.compute = flat_compute,
};
