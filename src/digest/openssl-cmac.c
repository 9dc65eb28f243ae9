/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AES-CMAC (RFC 4493): the last block of a CBC encryption under IV zero whose last plain block has
 * been padded and XORed with a subkey. CBC by libcrypto, a chunk at a time: its own CMAC goes block
 * by block and is a third slower.
 */
#include "base/secret.h"
#include "digest/drivers.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define AES_BLOCK_BYTES 16
#define CHUNK_BYTES	4096

struct cmac {
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *context;
	struct intact_digest_shape shape;
	uint8_t whole_key[AES_BLOCK_BYTES];  /* K1: for a last block that is full */
	uint8_t padded_key[AES_BLOCK_BYTES]; /* K2: for one that had to be padded */
	size_t chunk_bytes;		     /* waiting in chunk */
	uint8_t chunk[CHUNK_BYTES];
};

static const uint8_t zero_iv[AES_BLOCK_BYTES];

static enum intact_digest_fit cmac_fit(const struct intact_digest_algorithm *algorithm)
{
	return algorithm->hash == INTACT_HASH_AES_CMAC ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

/* EVP's functions return 1 when all is well; these do too. */

static int chunk_encrypt(struct cmac *c)
{
	int bytes;
	int ok = EVP_EncryptUpdate(c->context, c->chunk, &bytes, c->chunk, (int)c->chunk_bytes);

	return ok && bytes == (int)c->chunk_bytes;
}

static int cmac_start(struct cmac *c)
{
	c->chunk_bytes = 0;
	return EVP_EncryptInit_ex2(c->context, NULL, NULL, zero_iv, NULL);
}

/* A full chunk stays until more comes: it may be the message's last. */
static int cmac_add(struct cmac *c, const uint8_t *data, size_t bytes)
{
	while (bytes > 0) {
		size_t room;

		if (c->chunk_bytes == CHUNK_BYTES) {
			if (!chunk_encrypt(c))
				return 0;
			c->chunk_bytes = 0;
		}
		room = CHUNK_BYTES - c->chunk_bytes;
		if (room > bytes)
			room = bytes;
		memcpy(c->chunk + c->chunk_bytes, data, room);
		c->chunk_bytes += room;
		data += room;
		bytes -= room;
	}
	return 1;
}

static int cmac_finish(struct cmac *c, uint8_t *digest)
{
	bool whole = c->chunk_bytes > 0 && c->chunk_bytes % AES_BLOCK_BYTES == 0;
	const uint8_t *subkey = whole ? c->whole_key : c->padded_key;
	uint8_t *last;

	if (!whole) {
		c->chunk[c->chunk_bytes++] = 0x80;
		while (c->chunk_bytes % AES_BLOCK_BYTES)
			c->chunk[c->chunk_bytes++] = 0;
	}
	last = c->chunk + c->chunk_bytes - AES_BLOCK_BYTES;
	for (int i = 0; i < AES_BLOCK_BYTES; i++)
		last[i] ^= subkey[i];
	if (!chunk_encrypt(c))
		return 0;
	memcpy(digest, last, AES_BLOCK_BYTES);
	return 1;
}

/* Times x in GF(2^128), most significant byte first. */
static void double_block(uint8_t *to, const uint8_t *from)
{
	uint8_t carry = (uint8_t)(-(from[0] >> 7) & 0x87);

	for (int i = 0; i < AES_BLOCK_BYTES - 1; i++)
		to[i] = (uint8_t)(from[i] << 1 | from[i + 1] >> 7);
	to[AES_BLOCK_BYTES - 1] = (uint8_t)(from[AES_BLOCK_BYTES - 1] << 1 ^ carry);
}

static int set_key(struct cmac *c, const uint8_t *key)
{
	static const uint8_t zero[AES_BLOCK_BYTES];
	uint8_t encrypted[AES_BLOCK_BYTES];
	int bytes;

	if (!EVP_EncryptInit_ex2(c->context, c->cipher, key, zero_iv, NULL) ||
	    !EVP_CIPHER_CTX_set_padding(c->context, 0) ||
	    !EVP_EncryptUpdate(c->context, encrypted, &bytes, zero, sizeof(zero)))
		return 0;
	double_block(c->whole_key, encrypted);
	double_block(c->padded_key, c->whole_key);
	secret_wipe(encrypted, sizeof(encrypted));
	return 1;
}

static const char *cipher_for(size_t key_bytes)
{
	switch (key_bytes) {
	case 16:
		return "AES-128-CBC";
	case 24:
		return "AES-192-CBC";
	case 32:
		return "AES-256-CBC";
	default:
		return NULL;
	}
}

static void cmac_close(void *instance)
{
	struct cmac *c = instance;

	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->context);
	EVP_CIPHER_free(c->cipher);
	secret_wipe(c, sizeof(*c));
	free(c);
}

static int cmac_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	struct cmac *c;

	if (!cipher_for(setup->key_bytes))
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->shape = *setup->shape;
	c->cipher = EVP_CIPHER_fetch(NULL, cipher_for(setup->key_bytes), NULL);
	c->context = EVP_CIPHER_CTX_new();
	if (!c->cipher || !c->context || !set_key(c, setup->key)) {
		cmac_close(c);
		return -EIO;
	}
	*ret_instance = c;
	return 0;
}

static int compute_one(struct cmac *c, const struct intact_digest_batch *batch, uint32_t i,
		       uint8_t *digest)
{
	uint8_t prefix[INTACT_DIGEST_PREFIX_BYTES_MAX];
	size_t prefix_bytes = intact_digest_prefix(&c->shape, batch, i, prefix);

	return cmac_start(c) && cmac_add(c, prefix, prefix_bytes) &&
	       cmac_add(c, intact_digest_message(batch, i), batch->message_bytes) &&
	       cmac_finish(c, digest);
}

static int cmac_compute(void *instance, struct intact_digest_batch *batch)
{
	struct cmac *c = instance;
	uint8_t digest[INTACT_DIGEST_BYTES_MAX];

	for (uint32_t i = 0; i < batch->count; i++) {
		if (!compute_one(c, batch, i, digest))
			return -EIO;
		intact_digest_store(&c->shape, batch, i, digest);
	}
	return 0;
}

const struct intact_digest_driver digest_openssl_cmac = {
	.name = "openssl",
	.description = "libcrypto",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 100,
	.fit = cmac_fit,
	.open = cmac_open,
	.close = cmac_close,
	.compute = cmac_compute,
};
