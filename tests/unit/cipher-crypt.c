/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What ciphers do to a journal: streams give the published key stream at any offset, in any pieces;
 * block ciphers turn sections into what libcrypto makes of them in one go, and back; nothing
 * allocates, and an open without memory says so.
 */
#include "cipher/cipher.h"
#include "count-allocations.h"

#include <errno.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STREAM_BYTES  8192
#define SECTION_BYTES (24 * 512)

static const uint8_t zero_key[64];

static struct cipher *open_or_fail(const char *name, const uint8_t *key, size_t key_bytes)
{
	struct cipher *c;

	assert_int_equal(cipher_open(name, key, key_bytes, NULL, &c), 0);
	return c;
}

static uint64_t random_state = 1;

static size_t random_below(size_t limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (random_state >> 33) % limit;
}

/* ---- Streams ---- */

static void assert_stream_begins(const char *name, size_t key_bytes, const char *bytes,
				 size_t count)
{
	struct cipher *c = open_or_fail(name, zero_key, key_bytes);
	uint8_t stream[128] = {0};

	assert_int_equal(cipher_xor(c, 0, stream, sizeof(stream)), 0);
	assert_memory_equal(stream, bytes, count);
	cipher_close(c);
}

/* AES of 0 and of 1 under zero keys: test cases 1, 7 and 13 of the GCM specification. ChaCha20: test
 * vectors 1 and 2 of RFC 8439, A.1.
 */
static void streams_begin_as_published(void **state)
{
	(void)state;
	assert_stream_begins("ctr(aes)", 16,
			     "\x66\xe9\x4b\xd4\xef\x8a\x2c\x3b\x88\x4c\xfa\x59\xca\x34\x2b\x2e"
			     "\x58\xe2\xfc\xce\xfa\x7e\x30\x61\x36\x7f\x1d\x57\xa4\xe7\x45\x5a",
			     32);
	assert_stream_begins("ctr(aes)", 24,
			     "\xaa\xe0\x69\x92\xac\xbf\x52\xa3\xe8\xf4\xa9\x6e\xc9\x30\x0b\xd7"
			     "\xcd\x33\xb2\x8a\xc7\x73\xf7\x4b\xa0\x0e\xd1\xf3\x12\x57\x24\x35",
			     32);
	assert_stream_begins("ctr(aes)", 32,
			     "\xdc\x95\xc0\x78\xa2\x40\x89\x89\xad\x48\xa2\x14\x92\x84\x20\x87"
			     "\x53\x0f\x8a\xfb\xc7\x45\x36\xb9\xa9\x63\xb4\xf1\xc4\xcb\x73\x8b",
			     32);
	assert_stream_begins("chacha20", 32,
			     "\x76\xb8\xe0\xad\xa0\xf1\x3d\x90\x40\x5d\x6a\xe5\x53\x86\xbd\x28"
			     "\xbd\xd2\x19\xb8\xa0\x8d\xed\x1a\xa8\x36\xef\xcc\x8b\x77\x0d\xc7"
			     "\xda\x41\x59\x7c\x51\x57\x48\x8d\x77\x24\xe0\x3f\xb8\xd8\x4a\x37"
			     "\x6a\x43\xb8\xf4\x15\x18\xa1\x1c\xc3\x87\xb6\x69\xb2\xee\x65\x86"
			     "\x9f\x07\xe7\xbe\x55\x51\x38\x7a\x98\xba\x97\x7c\x73\x2d\x08\x0d",
			     80);
}

/* Pieces at random offsets add up to the stream in one go, wherever it begins. */
static void check_pieces(const char *name, uint64_t begin)
{
	struct cipher *c =
		open_or_fail(name, (const uint8_t *)"0123456789abcdef0123456789abcdef", 32);
	static uint8_t whole[STREAM_BYTES], pieces[STREAM_BYTES];

	memset(whole, 0, sizeof(whole));
	assert_int_equal(cipher_xor(c, begin, whole, sizeof(whole)), 0);
	for (int i = 0; i < 300; i++) {
		size_t at = random_below(STREAM_BYTES);
		size_t bytes = random_below(STREAM_BYTES - at + 1);

		memset(pieces, 0, sizeof(pieces));
		assert_int_equal(cipher_xor(c, begin + at, pieces + at, bytes), 0);
		assert_memory_equal(pieces + at, whole + at, bytes);
	}
	cipher_close(c);
}

static void any_offset_and_length_fit_together(void **state)
{
	(void)state;
	check_pieces("ctr(aes)", 0);
	check_pieces("chacha20", 0);
	check_pieces("ctr(aes)", (1ull << 30) - 100);
	check_pieces("ctr(aes)", (1ull << 38) - 4000);
	check_pieces("chacha20", (1ull << 30) - 1);
	check_pieces("chacha20", (1ull << 38) - 4000);
}

/* As in the kernel: the counter is one 32-bit word. */
static void chacha20_begins_again_after_2_to_the_38(void **state)
{
	struct cipher *c = open_or_fail("chacha20", zero_key, 32);
	uint8_t begin[96] = {0}, wrapped[100] = {0};

	(void)state;
	assert_int_equal(cipher_xor(c, 0, begin, sizeof(begin)), 0);
	assert_int_equal(cipher_xor(c, (1ull << 38) - 4, wrapped, sizeof(wrapped)), 0);
	assert_memory_equal(wrapped + 4, begin, sizeof(begin));
	cipher_close(c);
}

static void the_commit_key_lies_behind_the_journals_last_page(void **state)
{
	struct cipher *c = open_or_fail("ctr(aes)", zero_key, 16);
	uint8_t stream[8192 + 32] = {0};
	uint8_t key[32];

	(void)state;
	assert_int_equal(cipher_xor(c, 0, stream, sizeof(stream)), 0);
	memset(key, 0xff, sizeof(key)); /* whatever is there before */
	assert_int_equal(cipher_commit_key(c, 4096, key), 0);
	assert_memory_equal(key, stream + 4096, 32);
	assert_int_equal(cipher_commit_key(c, 4608, key), 0);
	assert_memory_equal(key, stream + 8192, 32);
	assert_int_equal(cipher_commit_key(c, 8192, key), 0);
	assert_memory_equal(key, stream + 8192, 32);
	cipher_close(c);
}

/* ---- Sections ---- */

static void encrypt_in_one_go(const char *evp_name, const uint8_t *key, const uint8_t iv[16],
			      uint8_t *bytes, size_t count)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int done;

	assert_true(EVP_EncryptInit_ex(context, EVP_get_cipherbyname(evp_name), NULL, key, iv));
	assert_true(EVP_CIPHER_CTX_set_padding(context, 0));
	assert_true(EVP_EncryptUpdate(context, bytes, &done, bytes, (int)count));
	assert_int_equal(done, count);
	EVP_CIPHER_CTX_free(context);
}

static void check_section(const char *name, const char *evp_name, size_t key_bytes,
			  uint32_t section)
{
	static const uint8_t zero_iv[16];
	uint8_t iv[16] = {(uint8_t)section, (uint8_t)(section >> 8), (uint8_t)(section >> 16),
			  (uint8_t)(section >> 24)};
	static uint8_t plain[SECTION_BYTES], expected[SECTION_BYTES], bytes[SECTION_BYTES];
	uint8_t key[64];
	struct cipher *c;

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)random_below(256);
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)random_below(256);
	memcpy(expected, plain, sizeof(plain));
	memcpy(bytes, plain, sizeof(plain));
	encrypt_in_one_go(evp_name, key, zero_iv, iv, sizeof(iv));
	encrypt_in_one_go(evp_name, key, iv, expected, sizeof(expected));

	c = open_or_fail(name, key, key_bytes);
	assert_int_equal(cipher_encrypt_section(c, section, bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes, expected, sizeof(bytes));
	assert_int_equal(cipher_decrypt_section(c, section + 1, bytes, sizeof(bytes)), 0);
	assert_memory_not_equal(bytes, plain, sizeof(bytes)); /* the IV is the section's own */
	memcpy(bytes, expected, sizeof(bytes));
	assert_int_equal(cipher_decrypt_section(c, section, bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes, plain, sizeof(bytes));
	cipher_close(c);
}

static void sections_are_encrypted_each_under_its_number(void **state)
{
	static const uint32_t sections[] = {0, 1, 255, 256, 0x12345678};

	(void)state;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		check_section("cbc(aes)", "aes-128-cbc", 16, sections[i]);
		check_section("cbc(aes)", "aes-192-cbc", 24, sections[i]);
		check_section("cbc(aes)", "aes-256-cbc", 32, sections[i]);
		check_section("xts(aes)", "aes-128-xts", 32, sections[i]);
		check_section("xts(aes)", "aes-256-xts", 64, sections[i]);
	}
}

/* ---- Memory ---- */

static const char *const names[] = {"ctr(aes)", "chacha20", "cbc(aes)", "xts(aes)"};
static const uint8_t any_key[33] = "two halves that are not the same";

static void use(struct cipher *c)
{
	static uint8_t bytes[SECTION_BYTES];

	if (cipher_is_stream(c)) {
		assert_int_equal(cipher_xor(c, 12345, bytes, sizeof(bytes)), 0);
		return;
	}
	assert_int_equal(cipher_encrypt_section(c, 3, bytes, sizeof(bytes)), 0);
	assert_int_equal(cipher_decrypt_section(c, 3, bytes, sizeof(bytes)), 0);
}

static void nothing_allocates_after_open(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct cipher *c = open_or_fail(names[i], any_key, 32);
		unsigned before = allocations, crypto_before = crypto_allocations;

		use(c);
		assert_int_equal(allocations, before);
		assert_int_equal(crypto_allocations, crypto_before);
		cipher_close(c);
	}
	assert_true(allocations > 0); /* they are counted at all */
	assert_true(crypto_allocations > 0);
}

static void no_memory_at_open_is_enomem(void **state)
{
	struct cipher *c;
	unsigned n = 0;
	int r;

	(void)state;
	do {
		allocations = 0;
		allocation_to_fail = ++n;
		r = cipher_open("xts(aes)", any_key, 32, NULL, &c);
		allocation_to_fail = 0;
		assert_true(r == 0 || r == -ENOMEM);
	} while (r < 0);
	assert_true(n > 1);
	cipher_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_begin_as_published),
		cmocka_unit_test(any_offset_and_length_fit_together),
		cmocka_unit_test(chacha20_begins_again_after_2_to_the_38),
		cmocka_unit_test(the_commit_key_lies_behind_the_journals_last_page),
		cmocka_unit_test(sections_are_encrypted_each_under_its_number),
		cmocka_unit_test(nothing_allocates_after_open),
		cmocka_unit_test(no_memory_at_open_is_enomem),
	};

	if (!count_crypto_allocations() || !OPENSSL_init_crypto(0, NULL))
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
