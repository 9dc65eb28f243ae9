/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The algorithms of docs/format.md section 4 by the kernel's names, and integritysetup's.
 */
#include "digest/digest.h"

#include <string.h>

#define CHECKSUM(id, kernel_name, bytes)                                                           \
	{                                                                                          \
		.name = (kernel_name), .hash = (id), .digest_bytes = (bytes)                       \
	}

#define HASH(id, kernel_name, bytes, block)                                                        \
	{                                                                                          \
		.name = (kernel_name), .hash = (id), .digest_bytes = (bytes),                      \
		.hash_block_bytes = (block)                                                        \
	}

#define HMAC(id, hash_name, bytes, block)                                                          \
	{                                                                                          \
		.name = "hmac(" hash_name ")", .alias = "hmac-" hash_name, .hash = (id),           \
		.hmac = true, .keyed = true, .digest_bytes = (bytes), .hash_block_bytes = (block)  \
	}

static const struct intact_digest_algorithm algorithms[] = {
	CHECKSUM(INTACT_HASH_CRC32C, "crc32c", 4),
	CHECKSUM(INTACT_HASH_CRC32, "crc32", 4),
	CHECKSUM(INTACT_HASH_XXHASH64, "xxhash64", 8),

	HASH(INTACT_HASH_MD5, "md5", 16, 64),
	HASH(INTACT_HASH_SHA1, "sha1", 20, 64),
	HASH(INTACT_HASH_SHA224, "sha224", 28, 64),
	HASH(INTACT_HASH_SHA256, "sha256", 32, 64),
	HASH(INTACT_HASH_SHA384, "sha384", 48, 128),
	HASH(INTACT_HASH_SHA512, "sha512", 64, 128),
	HASH(INTACT_HASH_SHA3_224, "sha3-224", 28, 144),
	HASH(INTACT_HASH_SHA3_256, "sha3-256", 32, 136),
	HASH(INTACT_HASH_SHA3_384, "sha3-384", 48, 104),
	HASH(INTACT_HASH_SHA3_512, "sha3-512", 64, 72),
	HASH(INTACT_HASH_BLAKE2B_160, "blake2b-160", 20, 128),
	HASH(INTACT_HASH_BLAKE2B_256, "blake2b-256", 32, 128),
	HASH(INTACT_HASH_BLAKE2B_384, "blake2b-384", 48, 128),
	HASH(INTACT_HASH_BLAKE2B_512, "blake2b-512", 64, 128),
	HASH(INTACT_HASH_BLAKE2S_256, "blake2s-256", 32, 64),

	HMAC(INTACT_HASH_MD5, "md5", 16, 64),
	HMAC(INTACT_HASH_SHA1, "sha1", 20, 64),
	HMAC(INTACT_HASH_SHA224, "sha224", 28, 64),
	HMAC(INTACT_HASH_SHA256, "sha256", 32, 64),
	HMAC(INTACT_HASH_SHA384, "sha384", 48, 128),
	HMAC(INTACT_HASH_SHA512, "sha512", 64, 128),
	HMAC(INTACT_HASH_SHA3_224, "sha3-224", 28, 144),
	HMAC(INTACT_HASH_SHA3_256, "sha3-256", 32, 136),
	HMAC(INTACT_HASH_SHA3_384, "sha3-384", 48, 104),
	HMAC(INTACT_HASH_SHA3_512, "sha3-512", 64, 72),
	HMAC(INTACT_HASH_BLAKE2B_160, "blake2b-160", 20, 128),
	HMAC(INTACT_HASH_BLAKE2B_256, "blake2b-256", 32, 128),
	HMAC(INTACT_HASH_BLAKE2B_384, "blake2b-384", 48, 128),
	HMAC(INTACT_HASH_BLAKE2B_512, "blake2b-512", 64, 128),
	HMAC(INTACT_HASH_BLAKE2S_256, "blake2s-256", 32, 64),

	{.name = "cmac(aes)",
	 .alias = "cmac-aes",
	 .hash = INTACT_HASH_AES_CMAC,
	 .keyed = true,
	 .digest_bytes = 16},
	{.name = NULL},
};

const struct intact_digest_algorithm *digest_algorithms(void)
{
	return algorithms;
}

static bool is_called(const struct intact_digest_algorithm *a, const char *name)
{
	return strcmp(a->name, name) == 0 || (a->alias && strcmp(a->alias, name) == 0);
}

const struct intact_digest_algorithm *digest_algorithm_find(const char *name)
{
	/* A protected key changes who knows the key, not the tags. */
	if (strncmp(name, "phmac", 5) == 0)
		name++;
	for (const struct intact_digest_algorithm *a = algorithms; a->name; a++)
		if (is_called(a, name))
			return a;
	return NULL;
}
