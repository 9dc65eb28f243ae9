/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Journal encryption by libcrypto's EVP. All contexts are made at open; later calls only set
 * another initialisation vector.
 */
#include "cipher/cipher.h"

#include "base/le.h"
#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"
#include "cipher/kinds.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/* EVP takes ints; and at a multiple of this the 32-bit block counter of chacha20 begins again,
 * which the kernel lets wrap and libcrypto would carry into the nonce.
 */
#define PIECE_BYTES_MAX (1u << 30)

#define JOURNAL_PAGE_BYTES 4096

struct cipher {
	const struct cipher_kind *kind;
	EVP_CIPHER *evp;
	EVP_CIPHER_CTX *encrypt; /* for streams: both directions */
	EVP_CIPHER_CTX *decrypt; /* NULL for streams */
};

/* ---- One run of a mode, under an IV ---- */

static int update(EVP_CIPHER_CTX *context, uint8_t *buffer, size_t bytes)
{
	int done;

	assert(bytes <= PIECE_BYTES_MAX);
	if (!EVP_CipherUpdate(context, buffer, &done, buffer, (int)bytes) || (size_t)done != bytes)
		return -EIO;
	return 0;
}

/* In the direction that the context was made for (-1). */
static int run(EVP_CIPHER_CTX *context, const uint8_t iv[CIPHER_IV_BYTES], uint8_t *buffer,
	       size_t bytes)
{
	if (!EVP_CipherInit_ex2(context, NULL, NULL, iv, -1, NULL))
		return -EIO;
	return update(context, buffer, bytes);
}

/* ---- Self-test ---- */

static int expect(EVP_CIPHER_CTX *context, const struct cipher_kind *kind, const uint8_t *from,
		  const uint8_t *to)
{
	uint8_t block[CIPHER_VECTOR_BYTES];
	int r;

	memcpy(block, from, sizeof(block));
	r = run(context, kind->iv, block, sizeof(block));
	if (r < 0)
		return r;
	return memcmp(block, to, sizeof(block)) == 0 ? 0 : -EIO;
}

/* ---- Open and close ---- */

static EVP_CIPHER_CTX *context_new(const EVP_CIPHER *evp, const uint8_t *key, bool encrypt)
{
	static const uint8_t iv[CIPHER_IV_BYTES];
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (context && EVP_CipherInit_ex2(context, evp, key, iv, encrypt, NULL) &&
	    EVP_CIPHER_CTX_set_padding(context, 0))
		return context;
	EVP_CIPHER_CTX_free(context);
	return NULL;
}

void cipher_close(struct cipher *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->encrypt); /* wipes its keys */
	EVP_CIPHER_CTX_free(c->decrypt);
	EVP_CIPHER_free(c->evp);
	free(c);
}

static int open_kind(const struct cipher_kind *kind, const uint8_t *key, struct cipher **ret)
{
	struct cipher *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->kind = kind;
	c->evp = EVP_CIPHER_fetch(NULL, kind->evp_name, NULL);
	c->encrypt = context_new(c->evp, key, true);
	c->decrypt = kind->stream ? NULL : context_new(c->evp, key, false);
	if (!c->evp || !c->encrypt || (!kind->stream && !c->decrypt)) {
		cipher_close(c);
		return -EIO;
	}
	*ret = c;
	return 0;
}

static int selftest(const struct cipher_kind *kind)
{
	struct cipher *c;
	int r = open_kind(kind, kind->key, &c);

	if (r < 0)
		return r;
	r = expect(c->encrypt, kind, kind->plain, kind->encrypted);
	if (r == 0)
		r = expect(kind->stream ? c->encrypt : c->decrypt, kind, kind->encrypted,
			   kind->plain);
	cipher_close(c);
	return r;
}

/* "16, 24 or 32", for people. */
static void say_key_sizes(const char *name, size_t key_bytes, const struct intact_log *log)
{
	const struct cipher_kind *kind = cipher_kinds;
	char text[64] = "";
	size_t at = 0;

	for (; kind->name; kind++)
		if (strcmp(kind->name, name) == 0)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%zu",
					       at > 0 ? " or " : "", kind->key_bytes);
	message_error(log, "journal_crypt %s: key of %zu bytes, it takes %s", name, key_bytes,
		      text);
}

/* XTS with equal halves is no longer XTS; libcrypto refuses to encrypt with it. */
static bool has_equal_halves(const struct cipher_kind *kind, const uint8_t *key)
{
	size_t half = kind->key_bytes / 2;

	return strcmp(kind->name, "xts(aes)") == 0 && secret_equal(key, key + half, half);
}

static int check_key(const char *name, const struct cipher_kind *kind, const uint8_t *key,
		     size_t key_bytes, const struct intact_log *log)
{
	if (key_bytes == 0) {
		message_error(log, "journal_crypt %s: key required", name);
		return -ENOKEY;
	}
	if (!kind) {
		say_key_sizes(name, key_bytes, log);
		return -EINVAL;
	}
	if (has_equal_halves(kind, key)) {
		message_error(log, "journal_crypt %s: the two halves of the key are equal", name);
		return -EINVAL;
	}
	return 0;
}

static const struct cipher_kind *kind_find(const char *name, size_t key_bytes)
{
	for (const struct cipher_kind *kind = cipher_kinds; kind->name; kind++)
		if (strcmp(kind->name, name) == 0 && kind->key_bytes == key_bytes)
			return kind;
	return NULL;
}

int cipher_open(const char *name, const uint8_t *key, size_t key_bytes,
		const struct intact_log *log, struct cipher **ret)
{
	const char *known = cipher_find(name);
	const struct cipher_kind *kind;
	int r;

	if (!known) {
		message_error(log, "journal_crypt %s: no such cipher", name);
		return -ENOENT;
	}
	kind = kind_find(known, key_bytes);
	r = check_key(known, kind, key, key_bytes, log);
	if (r < 0)
		return r;
	r = selftest(kind);
	if (r == 0)
		r = open_kind(kind, key, ret);
	if (r == -EIO)
		message_error(log, "journal_crypt %s: self-test of libcrypto failed", known);
	return r;
}

const char *cipher_name(const struct cipher *c)
{
	return c->kind->name;
}

bool cipher_is_stream(const struct cipher *c)
{
	return c->kind->stream;
}

/* ---- Stream ciphers ---- */

/* Within one piece. */
static int xor_piece(struct cipher *c, uint64_t offset, uint8_t *buffer, size_t bytes)
{
	uint8_t iv[CIPHER_IV_BYTES];
	uint8_t skipped[CIPHER_STREAM_BLOCK_BYTES_MAX] = {0};
	int r;

	c->kind->iv_at(offset / c->kind->block_bytes, iv);
	r = run(c->encrypt, iv, skipped, offset % c->kind->block_bytes);
	secret_wipe(skipped, sizeof(skipped));
	return r < 0 ? r : update(c->encrypt, buffer, bytes);
}

int cipher_xor(struct cipher *c, uint64_t offset, uint8_t *buffer, size_t bytes)
{
	assert(c->kind->stream);
	while (bytes > 0) {
		size_t piece = min_u64(bytes, PIECE_BYTES_MAX - offset % PIECE_BYTES_MAX);
		int r = xor_piece(c, offset, buffer, piece);

		if (r < 0)
			return r;
		offset += piece;
		buffer += piece;
		bytes -= piece;
	}
	return 0;
}

int cipher_commit_key(struct cipher *c, uint64_t journal_bytes, uint8_t key[32])
{
	memset(key, 0, 32);
	return cipher_xor(c, round_up_pow2(journal_bytes, JOURNAL_PAGE_BYTES), key, 32);
}

/* ---- Block ciphers ---- */

static int section_iv(struct cipher *c, uint32_t section, uint8_t iv[CIPHER_IV_BYTES])
{
	static const uint8_t zero[CIPHER_IV_BYTES];

	memset(iv, 0, CIPHER_IV_BYTES);
	put_le32(iv, section);
	return run(c->encrypt, zero, iv, CIPHER_IV_BYTES);
}

static int crypt_section(struct cipher *c, EVP_CIPHER_CTX *context, uint32_t section,
			 uint8_t *buffer, size_t bytes)
{
	uint8_t iv[CIPHER_IV_BYTES];
	int r;

	assert(!c->kind->stream);
	assert(bytes % SECTOR_BYTES == 0);
	r = section_iv(c, section, iv);
	return r < 0 ? r : run(context, iv, buffer, bytes);
}

int cipher_decrypt_section(struct cipher *c, uint32_t section, uint8_t *buffer, size_t bytes)
{
	return crypt_section(c, c->decrypt, section, buffer, bytes);
}

int cipher_encrypt_section(struct cipher *c, uint32_t section, uint8_t *buffer, size_t bytes)
{
	return crypt_section(c, c->encrypt, section, buffer, bytes);
}
