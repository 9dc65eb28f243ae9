/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Vectors: NIST SP 800-38A (F.2 and F.5), RFC 8439 (A.1), IEEE 1619 (vectors 2 and 10).
 */
#include "cipher/kinds.h"

#include "base/le.h"
#include "cipher/cipher.h"

#include <string.h>

/* A 128-bit big-endian number. */
static void ctr_iv_at(uint64_t block, uint8_t iv[CIPHER_IV_BYTES])
{
	memset(iv, 0, CIPHER_IV_BYTES);
	for (int i = 0; i < 8; i++)
		iv[CIPHER_IV_BYTES - 1 - i] = (uint8_t)(block >> (8 * i));
}

/* A 32-bit little-endian number in front of the nonce; it wraps. */
static void chacha20_iv_at(uint64_t block, uint8_t iv[CIPHER_IV_BYTES])
{
	memset(iv, 0, CIPHER_IV_BYTES);
	put_le32(iv, (uint32_t)block);
}

#define BYTES(text) ((const uint8_t *)(text))

#define ZERO_16                                                                                    \
	"\0\0\0\0\0\0\0\0"                                                                         \
	"\0\0\0\0\0\0\0\0"
#define ZERO_32 ZERO_16 ZERO_16

#define NIST_KEY_16 "\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c"
#define NIST_KEY_24                                                                                \
	"\x8e\x73\xb0\xf7\xda\x0e\x64\x52\xc8\x10\xf3\x2b\x80\x90\x79\xe5"                         \
	"\x62\xf8\xea\xd2\x52\x2c\x6b\x7b"
#define NIST_KEY_32                                                                                \
	"\x60\x3d\xeb\x10\x15\xca\x71\xbe\x2b\x73\xae\xf0\x85\x7d\x77\x81"                         \
	"\x1f\x35\x2c\x07\x3b\x61\x08\xd7\x2d\x98\x10\xa3\x09\x14\xdf\xf4"
#define NIST_IV	     "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
#define NIST_COUNTER "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff"
#define NIST_PLAIN   "\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a"

#define IEEE_KEY_32                                                                                \
	"\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"                         \
	"\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22"
#define IEEE_KEY_64                                                                                \
	"\x27\x18\x28\x18\x28\x45\x90\x45\x23\x53\x60\x28\x74\x71\x35\x26"                         \
	"\x62\x49\x77\x57\x24\x70\x93\x69\x99\x59\x57\x49\x66\x96\x76\x27"                         \
	"\x31\x41\x59\x26\x53\x58\x97\x93\x23\x84\x62\x64\x33\x83\x27\x95"                         \
	"\x02\x88\x41\x97\x16\x93\x99\x37\x51\x05\x82\x09\x74\x94\x45\x92"

#define CTR(bytes, evp, vector_key, vector)                                                        \
	{                                                                                          \
		"ctr(aes)", "ctr-aes", bytes, evp, true, 16, ctr_iv_at, BYTES(vector_key),         \
			BYTES(NIST_COUNTER), BYTES(NIST_PLAIN), BYTES(vector)                      \
	}
#define CBC(bytes, evp, vector_key, vector)                                                        \
	{                                                                                          \
		"cbc(aes)", "cbc-aes", bytes, evp, false, 0, NULL, BYTES(vector_key),              \
			BYTES(NIST_IV), BYTES(NIST_PLAIN), BYTES(vector)                           \
	}
#define XTS(bytes, evp, vector_key, tweak, vector_plain, vector)                                   \
	{                                                                                          \
		"xts(aes)", "xts-aes", bytes, evp, false, 0, NULL, BYTES(vector_key),              \
			BYTES(tweak), BYTES(vector_plain), BYTES(vector)                           \
	}

const struct cipher_kind cipher_kinds[] = {
	CTR(16, "AES-128-CTR", NIST_KEY_16,
	    "\x87\x4d\x61\x91\xb6\x20\xe3\x26\x1b\xef\x68\x64\x99\x0d\xb6\xce"),
	CTR(24, "AES-192-CTR", NIST_KEY_24,
	    "\x1a\xbc\x93\x24\x17\x52\x1c\xa2\x4f\x2b\x04\x59\xfe\x7e\x6e\x0b"),
	CTR(32, "AES-256-CTR", NIST_KEY_32,
	    "\x60\x1e\xc3\x13\x77\x57\x89\xa5\xb7\xa7\xf5\x04\xbb\xf3\xd2\x28"),
	{"chacha20", "chacha20", 32, "ChaCha20", true, 64, chacha20_iv_at, BYTES(ZERO_32),
	 BYTES(ZERO_16), BYTES(ZERO_16),
	 BYTES("\x76\xb8\xe0\xad\xa0\xf1\x3d\x90\x40\x5d\x6a\xe5\x53\x86\xbd\x28")},
	CBC(16, "AES-128-CBC", NIST_KEY_16,
	    "\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d"),
	CBC(24, "AES-192-CBC", NIST_KEY_24,
	    "\x4f\x02\x1d\xb2\x43\xbc\x63\x3d\x71\x78\x18\x3a\x9f\xa0\x71\xe8"),
	CBC(32, "AES-256-CBC", NIST_KEY_32,
	    "\xf5\x8c\x4c\x04\xd6\xe5\xf1\xba\x77\x9e\xab\xfb\x5f\x7b\xfb\xd6"),
	XTS(32, "AES-128-XTS", IEEE_KEY_32,
	    "\x33\x33\x33\x33\x33\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	    "\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44",
	    "\xc4\x54\x18\x5e\x6a\x16\x93\x6e\x39\x33\x40\x38\xac\xef\x83\x8b"),
	XTS(64, "AES-256-XTS", IEEE_KEY_64,
	    "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", NIST_IV,
	    "\x1c\x3b\x3a\x10\x2f\x77\x03\x86\xe4\x83\x6c\x99\xe3\x70\xcf\x9b"),
	{.name = NULL},
};

const char *const *cipher_names(void)
{
	static const char *const names[] = {"ctr(aes)", "chacha20", "cbc(aes)", "xts(aes)", NULL};

	return names;
}

const char *cipher_find(const char *name)
{
	for (const struct cipher_kind *kind = cipher_kinds; kind->name; kind++)
		if (strcmp(kind->name, name) == 0 || strcmp(kind->alias, name) == 0)
			return kind->name;
	return NULL;
}
