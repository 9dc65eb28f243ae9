/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Journal encryption (docs/format.md section 5). A stream cipher turns the journal into one XOR; a
 * block cipher works on one section at a time. In-place always. A struct cipher belongs to one
 * thread; nothing allocates after open.
 */
#ifndef INTACT_CIPHER_CIPHER_H
#define INTACT_CIPHER_CIPHER_H

#include <intact.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cipher;

/* name: the kernel's: "ctr(aes)", "chacha20", "cbc(aes)", "xts(aes)".
 *
 *   -ENOENT    unknown name
 *   -ENOKEY    no key
 *   -EINVAL    a key of a length that the cipher does not take (the message lists those it does)
 *   -EIO       self-test failed
 *   -ENOMEM
 */
int cipher_open(const char *name, const uint8_t *key, size_t key_bytes,
		const struct intact_log *log, struct cipher **ret);
void cipher_close(struct cipher *c); /* takes NULL, wipes */

const char *cipher_name(const struct cipher *c);
bool cipher_is_stream(const struct cipher *c);

/* The kernel name for either spelling of a cipher ("ctr-aes" is ctr(aes)), or NULL. */
const char *cipher_find(const char *name);

/* The names that cipher_open knows, NULL-terminated. */
const char *const *cipher_names(void);

/* Stream ciphers: XORs bytes with the key stream from `offset` (bytes from the beginning of the
 * journal) on. Any offset, any length. Returns 0 or -EIO.
 */
int cipher_xor(struct cipher *c, uint64_t offset, uint8_t *buffer, size_t bytes);

/* Stream ciphers: the 32 bytes of key stream behind the journal, rounded up to 4096 bytes, that
 * scramble the commit id constants.
 */
int cipher_commit_key(struct cipher *c, uint64_t journal_bytes, uint8_t key[32]);

/* Block ciphers: one whole section, number `section`, a multiple of 512 bytes. */
int cipher_decrypt_section(struct cipher *c, uint32_t section, uint8_t *buffer, size_t bytes);
int cipher_encrypt_section(struct cipher *c, uint32_t section, uint8_t *buffer, size_t bytes);

#endif
