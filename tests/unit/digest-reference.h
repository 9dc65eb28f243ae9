/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every digest once more, for tests: slowly, and by other means than the drivers. Checksums and
 * BLAKE2 are written out after their definitions (CRC bit by bit, the xxHash specification, RFC
 * 7693), the others are libcrypto's one-shot functions; HMAC is RFC 2104 over any of them.
 */
#ifndef INTACT_TESTS_DIGEST_REFERENCE_H
#define INTACT_TESTS_DIGEST_REFERENCE_H

#include "base/le.h"
#include "digest/digest.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static uint32_t reference_crc(uint32_t crc, uint32_t polynomial, const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
	}
	return crc;
}

static uint64_t rotate_left(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

#define XX_1 11400714785074694791u
#define XX_2 14029467366897019727u
#define XX_3 1609587929392839161u
#define XX_4 9650029242287828579u
#define XX_5 2870177450012600261u

static uint64_t xx_round(uint64_t lane, uint64_t word)
{
	return rotate_left(lane + word * XX_2, 31) * XX_1;
}

static uint64_t reference_xxhash64(const uint8_t *data, size_t bytes)
{
	const uint8_t *end = data + bytes;
	uint64_t hash = XX_5;

	if (bytes >= 32) {
		uint64_t lane[4] = {XX_1 + XX_2, XX_2, 0, -XX_1};

		for (; end - data >= 32; data += 32)
			for (int i = 0; i < 4; i++)
				lane[i] = xx_round(lane[i], get_le64(data + 8 * i));
		hash = rotate_left(lane[0], 1) + rotate_left(lane[1], 7) +
		       rotate_left(lane[2], 12) + rotate_left(lane[3], 18);
		for (int i = 0; i < 4; i++)
			hash = (hash ^ xx_round(0, lane[i])) * XX_1 + XX_4;
	}
	hash += bytes;
	for (; end - data >= 8; data += 8)
		hash = rotate_left(hash ^ xx_round(0, get_le64(data)), 27) * XX_1 + XX_4;
	for (; end - data >= 4; data += 4)
		hash = rotate_left(hash ^ get_le32(data) * XX_1, 23) * XX_2 + XX_3;
	for (; end - data >= 1; data++)
		hash = rotate_left(hash ^ *data * XX_5, 11) * XX_1;
	hash = (hash ^ hash >> 33) * XX_2;
	hash = (hash ^ hash >> 29) * XX_3;
	return hash ^ hash >> 32;
}

/* ---- BLAKE2 ---- */

static const uint8_t blake2_sigma[10][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};
static const uint64_t blake2_iv[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* Words of 64 bits, or of 32 kept in the lower half of 64. */
struct blake2 {
	int word_bits;
	int rounds;
	int right[4];
	uint64_t h[8];
};

static uint64_t blake2_word(const struct blake2 *b, uint64_t v)
{
	return b->word_bits == 64 ? v : v & 0xffffffff;
}

static uint64_t blake2_right(const struct blake2 *b, uint64_t v, int bits)
{
	return blake2_word(b, v >> bits | v << (b->word_bits - bits));
}

static void blake2_mix(const struct blake2 *b, uint64_t *v, int i, int j, int k, int l, uint64_t x,
		       uint64_t y)
{
	v[i] = blake2_word(b, v[i] + v[j] + x);
	v[l] = blake2_right(b, v[l] ^ v[i], b->right[0]);
	v[k] = blake2_word(b, v[k] + v[l]);
	v[j] = blake2_right(b, v[j] ^ v[k], b->right[1]);
	v[i] = blake2_word(b, v[i] + v[j] + y);
	v[l] = blake2_right(b, v[l] ^ v[i], b->right[2]);
	v[k] = blake2_word(b, v[k] + v[l]);
	v[j] = blake2_right(b, v[j] ^ v[k], b->right[3]);
}

/* The IV of BLAKE2s is the upper halves of BLAKE2b's. */
static uint64_t blake2_iv_word(const struct blake2 *b, int i)
{
	return b->word_bits == 64 ? blake2_iv[i] : blake2_iv[i] >> 32;
}

static void blake2_compress(struct blake2 *b, const uint8_t *block, uint64_t total, bool last)
{
	static const uint8_t lanes[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14},
					    {3, 7, 11, 15}, {0, 5, 10, 15}, {1, 6, 11, 12},
					    {2, 7, 8, 13},  {3, 4, 9, 14}};
	uint64_t v[16], m[16];

	for (int i = 0; i < 16; i++)
		m[i] = b->word_bits == 64 ? get_le64(block + 8 * i) : get_le32(block + 4 * i);
	for (int i = 0; i < 8; i++) {
		v[i] = b->h[i];
		v[i + 8] = blake2_iv_word(b, i);
	}
	v[12] ^= blake2_word(b, total);
	if (last)
		v[14] = blake2_word(b, ~v[14]);
	for (int r = 0; r < b->rounds; r++)
		for (int i = 0; i < 8; i++)
			blake2_mix(b, v, lanes[i][0], lanes[i][1], lanes[i][2], lanes[i][3],
				   m[blake2_sigma[r % 10][2 * i]],
				   m[blake2_sigma[r % 10][2 * i + 1]]);
	for (int i = 0; i < 8; i++)
		b->h[i] ^= v[i] ^ v[i + 8];
}

static void reference_blake2(bool wide, const uint8_t *data, size_t bytes, uint8_t *digest,
			     size_t digest_bytes)
{
	struct blake2 b = {.word_bits = 32, .rounds = 10, .right = {16, 12, 8, 7}};
	size_t block_bytes = wide ? 128 : 64;
	uint8_t block[128];
	uint64_t total = 0;

	if (wide)
		b = (struct blake2){.word_bits = 64, .rounds = 12, .right = {32, 24, 16, 63}};
	for (int i = 0; i < 8; i++)
		b.h[i] = blake2_iv_word(&b, i);
	b.h[0] ^= 0x01010000 ^ digest_bytes;
	for (; bytes > block_bytes; bytes -= block_bytes, data += block_bytes) {
		total += block_bytes;
		blake2_compress(&b, data, total, false);
	}
	memset(block, 0, sizeof(block));
	memcpy(block, data, bytes);
	blake2_compress(&b, block, total + bytes, true);
	for (size_t i = 0; i < digest_bytes; i++)
		digest[i] = (uint8_t)(b.h[i * 8 / (size_t)b.word_bits] >>
				      (i * 8 % (size_t)b.word_bits));
}

/* ---- libcrypto, and all together ---- */

static void reference_evp(const char *name, const uint8_t *data, size_t bytes, uint8_t *digest)
{
	int ok = EVP_Digest(data, bytes, digest, NULL, EVP_get_digestbyname(name), NULL);

	assert(ok);
}

static void reference_hash(const struct intact_digest_algorithm *a, const uint8_t *data,
			   size_t bytes, uint8_t *digest)
{
	static const char *const evp[INTACT_HASHES] = {
		[INTACT_HASH_MD5] = "md5",	     [INTACT_HASH_SHA1] = "sha1",
		[INTACT_HASH_SHA224] = "sha224",     [INTACT_HASH_SHA256] = "sha256",
		[INTACT_HASH_SHA384] = "sha384",     [INTACT_HASH_SHA512] = "sha512",
		[INTACT_HASH_SHA3_224] = "sha3-224", [INTACT_HASH_SHA3_256] = "sha3-256",
		[INTACT_HASH_SHA3_384] = "sha3-384", [INTACT_HASH_SHA3_512] = "sha3-512",
	};

	if (evp[a->hash])
		reference_evp(evp[a->hash], data, bytes, digest);
	else if (a->hash == INTACT_HASH_CRC32C)
		put_le32(digest, ~reference_crc(~0u, 0x82f63b78, data, bytes));
	else if (a->hash == INTACT_HASH_CRC32)
		put_le32(digest, reference_crc(0, 0xedb88320, data, bytes));
	else if (a->hash == INTACT_HASH_XXHASH64)
		put_le64(digest, reference_xxhash64(data, bytes));
	else
		reference_blake2(a->hash != INTACT_HASH_BLAKE2S_256, data, bytes, digest,
				 a->digest_bytes);
}

static void reference_hmac(const struct intact_digest_algorithm *a, const uint8_t *key,
			   size_t key_bytes, const uint8_t *data, size_t bytes, uint8_t *digest)
{
	size_t block = a->hash_block_bytes;
	uint8_t *inner = calloc(1, block + bytes);
	uint8_t outer[256] = {0};

	assert(inner);
	if (key_bytes > block)
		reference_hash(a, key, key_bytes, inner);
	else
		memcpy(inner, key, key_bytes);
	memcpy(outer, inner, block);
	for (size_t i = 0; i < block; i++) {
		inner[i] ^= 0x36;
		outer[i] ^= 0x5c;
	}
	memcpy(inner + block, data, bytes);
	reference_hash(a, inner, block + bytes, outer + block);
	reference_hash(a, outer, block + a->digest_bytes, digest);
	free(inner);
}

static void reference_cmac(const uint8_t *key, size_t key_bytes, const uint8_t *data, size_t bytes,
			   uint8_t *digest)
{
	const char *cipher = key_bytes == 16   ? "AES-128-CBC"
			     : key_bytes == 24 ? "AES-192-CBC"
					       : "AES-256-CBC";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)cipher, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
	size_t written;
	int ok = EVP_MAC_init(context, key, key_bytes, parameters) &&
		 EVP_MAC_update(context, data, bytes) &&
		 EVP_MAC_final(context, digest, &written, 16);

	assert(ok);
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
}

/* The digest of one whole message. */
__attribute__((unused)) static void reference_digest(const struct intact_digest_algorithm *a,
						     const uint8_t *key, size_t key_bytes,
						     const uint8_t *data, size_t bytes,
						     uint8_t digest[DIGEST_BYTES_MAX])
{
	if (a->hash == INTACT_HASH_AES_CMAC)
		reference_cmac(key, key_bytes, data, bytes, digest);
	else if (a->hmac)
		reference_hmac(a, key, key_bytes, data, bytes, digest);
	else
		reference_hash(a, data, bytes, digest);
}

#endif
