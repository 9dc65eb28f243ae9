/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ciphers that there are, one row for each key size, with a published vector by which it is
 * tested.
 */
#ifndef INTACT_CIPHER_KINDS_H
#define INTACT_CIPHER_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIPHER_IV_BYTES		      16
#define CIPHER_STREAM_BLOCK_BYTES_MAX 64
#define CIPHER_VECTOR_BYTES	      16

struct cipher_kind {
	const char *name;  /* the kernel's */
	const char *alias; /* integritysetup's */
	size_t key_bytes;
	const char *evp_name;

	bool stream;
	size_t block_bytes; /* of key stream for one value of the counter */
	void (*iv_at)(uint64_t block, uint8_t iv[CIPHER_IV_BYTES]);

	const uint8_t *key;
	const uint8_t *iv;
	const uint8_t *plain; /* CIPHER_VECTOR_BYTES */
	const uint8_t *encrypted;
};

/* Ends with a NULL name. */
extern const struct cipher_kind cipher_kinds[];

#endif
