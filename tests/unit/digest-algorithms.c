/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Algorithms are found by the kernel's names, by integritysetup's, and under a protected key, and
 * each says truly what it is.
 */
#include "digest/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_finds(const char *name, const char *kernel_name)
{
	const struct intact_digest_algorithm *a = digest_algorithm_find(name);

	assert_non_null(a);
	assert_string_equal(a->name, kernel_name);
}

static void every_name_finds_its_algorithm(void **state)
{
	(void)state;
	for (const struct intact_digest_algorithm *a = digest_algorithms(); a->name; a++) {
		assert_ptr_equal(digest_algorithm_find(a->name), a);
		if (a->alias)
			assert_ptr_equal(digest_algorithm_find(a->alias), a);
	}
}

static void integritysetups_names_are_known(void **state)
{
	(void)state;
	assert_finds("crc32c", "crc32c");
	assert_finds("xxhash64", "xxhash64");
	assert_finds("sha256", "sha256");
	assert_finds("hmac-sha1", "hmac(sha1)");
	assert_finds("hmac-sha256", "hmac(sha256)");
	assert_finds("hmac-sha512", "hmac(sha512)");
	assert_finds("cmac-aes", "cmac(aes)");
}

static void a_protected_key_changes_no_tags(void **state)
{
	(void)state;
	assert_finds("phmac(sha256)", "hmac(sha256)");
	assert_finds("phmac-sha512", "hmac(sha512)");
}

static void other_names_are_unknown(void **state)
{
	static const char *const unknown[] = {"",
					      "crc",
					      "CRC32C",
					      "hmac",
					      "hmac()",
					      "hmac(crc32c)",
					      "hmac(sha256",
					      "sha256)",
					      "hmac-",
					      "phmac",
					      "pmac(sha256)",
					      "cmac",
					      "hmac(sha257)"};

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_null(digest_algorithm_find(unknown[i]));
}

static void assert_is(const char *name, enum intact_hash hash, unsigned digest_bytes, bool hmac,
		      bool keyed)
{
	const struct intact_digest_algorithm *a = digest_algorithm_find(name);

	assert_non_null(a);
	assert_int_equal(a->hash, hash);
	assert_int_equal(a->digest_bytes, digest_bytes);
	assert_int_equal(a->hmac, hmac);
	assert_int_equal(a->keyed, keyed);
}

static void algorithms_say_what_they_are(void **state)
{
	(void)state;
	assert_is("crc32c", INTACT_HASH_CRC32C, 4, false, false);
	assert_is("crc32", INTACT_HASH_CRC32, 4, false, false);
	assert_is("xxhash64", INTACT_HASH_XXHASH64, 8, false, false);
	assert_is("md5", INTACT_HASH_MD5, 16, false, false);
	assert_is("sha224", INTACT_HASH_SHA224, 28, false, false);
	assert_is("blake2b-160", INTACT_HASH_BLAKE2B_160, 20, false, false);
	assert_is("hmac(blake2s-256)", INTACT_HASH_BLAKE2S_256, 32, true, true);
	assert_is("hmac(sha3-384)", INTACT_HASH_SHA3_384, 48, true, true);
	assert_is("cmac(aes)", INTACT_HASH_AES_CMAC, 16, false, true);
}

/* An HMAC needs the block size of its hash, and is keyed; a checksum has no HMAC. */
static void every_cryptographic_hash_has_an_hmac(void **state)
{
	char name[64];

	(void)state;
	for (const struct intact_digest_algorithm *a = digest_algorithms(); a->name; a++) {
		const struct intact_digest_algorithm *hmac;

		if (a->keyed)
			continue;
		(void)snprintf(name, sizeof(name), "hmac(%s)", a->name);
		hmac = digest_algorithm_find(name);
		assert_int_equal(hmac != NULL, a->hash_block_bytes > 0);
		if (!hmac)
			continue;
		assert_true(hmac->hmac && hmac->keyed);
		assert_int_equal(hmac->hash, a->hash);
		assert_int_equal(hmac->digest_bytes, a->digest_bytes);
		assert_int_equal(hmac->hash_block_bytes, a->hash_block_bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_finds_its_algorithm),
		cmocka_unit_test(integritysetups_names_are_known),
		cmocka_unit_test(a_protected_key_changes_no_tags),
		cmocka_unit_test(other_names_are_unknown),
		cmocka_unit_test(algorithms_say_what_they_are),
		cmocka_unit_test(every_cryptographic_hash_has_an_hmac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
