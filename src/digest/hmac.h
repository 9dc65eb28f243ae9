/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 2104: HMAC(K, m) = H(K ⊕ opad ‖ H(K ⊕ ipad ‖ m)), where K is the key padded with zero bytes
 * to one block of the hash. (A key longer than that is hashed first; that is its driver's to do.)
 */
#ifndef INTACT_DIGEST_HMAC_H
#define INTACT_DIGEST_HMAC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HMAC_IPAD	     0x36
#define HMAC_OPAD	     0x5c
#define HMAC_BLOCK_BYTES_MAX 144 /* SHA3-224 */

static inline void hmac_pad(uint8_t *block, size_t block_bytes, const uint8_t *key,
			    size_t key_bytes, uint8_t pad)
{
	memset(block, pad, block_bytes);
	for (size_t i = 0; i < key_bytes; i++)
		block[i] ^= key[i];
}

#endif
