/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Journals that real kernels encrypted: decrypted, every sector of every section ends with the
 * commit id of one of the four sequences; under another key none does.
 */
#include "cipher/cipher.h"
#include "real-image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const names[] = {
	"jdirty-sha256-4096-crypt-ctr", "jdirty-crc32c-1024-crypt-chacha20",
	"jdirty-crc32c-512-crypt-cbc",	"jdirty-crc32c-512-crypt-xts",
	"isetup261-hmac-jmac-jcrypt",	"jdirty-all-hmac-4096",
};

static void commit_ids(struct cipher *c, uint64_t journal_bytes, uint64_t ids[4])
{
	uint8_t key[32] = {0};

	if (cipher_is_stream(c))
		assert_int_equal(cipher_commit_key(c, journal_bytes, key), 0);
	for (unsigned q = 0; q < 4; q++)
		ids[q] = 0x1111111111111111u * (q + 1) ^ get_le64(key + 8 * q);
}

static bool is_commit_id(uint64_t id, const uint64_t ids[4])
{
	return id == ids[0] || id == ids[1] || id == ids[2] || id == ids[3];
}

static void decrypt(struct cipher *c, uint8_t *journal, uint32_t sections, size_t section_bytes)
{
	if (cipher_is_stream(c)) {
		assert_int_equal(cipher_xor(c, 0, journal, sections * section_bytes), 0);
		return;
	}
	for (uint32_t i = 0; i < sections; i++)
		assert_int_equal(
			cipher_decrypt_section(c, i, journal + i * section_bytes, section_bytes),
			0);
}

/* Sectors of the decrypted journal that carry a valid commit id. */
static size_t count_valid(const struct real_image *image, struct cipher *c)
{
	size_t section_bytes = image->section_sectors * 512u;
	size_t journal_bytes = image->sections * section_bytes;
	uint8_t *journal = malloc(journal_bytes);
	uint64_t ids[4];
	size_t valid = 0;

	assert_non_null(journal);
	memcpy(journal, image->bytes + 4096, journal_bytes);
	commit_ids(c, journal_bytes, ids);
	decrypt(c, journal, image->sections, section_bytes);
	for (uint64_t i = 0; i < image->sections; i++)
		for (uint64_t j = 0; j < image->section_sectors; j++) {
			const uint8_t *end = journal + i * section_bytes + (j + 1) * 512;

			valid += is_commit_id(get_le64(end - 8) ^ (i << 32 ^ j), ids);
		}
	free(journal);
	return valid;
}

static size_t count_valid_under(const struct real_image *image, const char *name,
				const uint8_t *key, size_t key_bytes)
{
	struct cipher *c;
	size_t valid;

	assert_int_equal(cipher_open(name, key, key_bytes, NULL, &c), 0);
	valid = count_valid(image, c);
	cipher_close(c);
	return valid;
}

static void check_image(const struct real_image *image)
{
	uint8_t key[IMAGE_KEY_BYTES_MAX];
	char name[64];
	size_t key_bytes = real_image_algorithm(image, "journal_crypt:", name, key);

	assert_int_equal(count_valid_under(image, name, key, key_bytes),
			 (size_t)image->sections * image->section_sectors);
	key[0] ^= 1;
	assert_int_equal(count_valid_under(image, name, key, key_bytes), 0);
}

static void decrypted_journals_carry_commit_ids(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct real_image image;

		if (!real_image_open(&image, names[i]))
			fail_msg("no image %s", names[i]);
		check_image(&image);
		real_image_close(&image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decrypted_journals_carry_commit_ids),
	};

	if (!getenv("INTACT_TEST_IMAGES"))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
