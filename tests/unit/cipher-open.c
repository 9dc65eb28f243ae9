/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening a cipher: by which names, with which keys, and what is said to others.
 */
#include "cipher/cipher.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char message[1024];
static unsigned messages;

static void emit(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	assert_int_equal(level, INTACT_ERROR);
	messages++;
	(void)snprintf(message, sizeof(message), "%s", text);
}

static const struct intact_log log_of_messages = {.emit = emit};

static const uint8_t key[128] =
	"What is this key for? For nothing but these tests, and it is long enough for them.";

static void assert_opens(const char *name, size_t key_bytes, const char *kernel_name, bool stream)
{
	struct cipher *c;

	messages = 0;
	assert_int_equal(cipher_open(name, key, key_bytes, &log_of_messages, &c), 0);
	assert_string_equal(cipher_name(c), kernel_name);
	assert_int_equal(cipher_is_stream(c), stream);
	assert_int_equal(messages, 0);
	cipher_close(c);
}

static void assert_refused(const char *name, const uint8_t *with_key, size_t key_bytes, int error,
			   const char *text)
{
	struct cipher *c = (void *)1;

	messages = 0;
	assert_int_equal(cipher_open(name, with_key, key_bytes, &log_of_messages, &c), error);
	assert_ptr_equal(c, (void *)1); /* untouched */
	assert_int_equal(messages, 1);
	assert_string_equal(message, text);
}

static void ciphers_open_by_the_kernels_names(void **state)
{
	(void)state;
	assert_opens("ctr(aes)", 16, "ctr(aes)", true);
	assert_opens("ctr(aes)", 24, "ctr(aes)", true);
	assert_opens("ctr(aes)", 32, "ctr(aes)", true);
	assert_opens("chacha20", 32, "chacha20", true);
	assert_opens("cbc(aes)", 16, "cbc(aes)", false);
	assert_opens("cbc(aes)", 24, "cbc(aes)", false);
	assert_opens("cbc(aes)", 32, "cbc(aes)", false);
	assert_opens("xts(aes)", 32, "xts(aes)", false);
	assert_opens("xts(aes)", 64, "xts(aes)", false);
}

static void ciphers_open_by_integritysetups_names(void **state)
{
	(void)state;
	assert_opens("ctr-aes", 16, "ctr(aes)", true);
	assert_opens("cbc-aes", 32, "cbc(aes)", false);
	assert_opens("xts-aes", 64, "xts(aes)", false);
}

static void find_gives_the_kernels_name(void **state)
{
	(void)state;
	assert_string_equal(cipher_find("ctr-aes"), "ctr(aes)");
	assert_string_equal(cipher_find("ctr(aes)"), "ctr(aes)");
	assert_string_equal(cipher_find("chacha20"), "chacha20");
	assert_null(cipher_find("ecb(aes)"));
	assert_null(cipher_find(""));
	for (const char *const *name = cipher_names(); *name; name++)
		assert_string_equal(cipher_find(*name), *name);
}

static void an_unknown_cipher_is_enoent(void **state)
{
	(void)state;
	assert_refused("rot13", key, 32, -ENOENT, "journal_crypt rot13: no such cipher");
	assert_refused("CTR(AES)", key, 32, -ENOENT, "journal_crypt CTR(AES): no such cipher");
}

static void no_key_is_enokey(void **state)
{
	(void)state;
	assert_refused("cbc-aes", key, 0, -ENOKEY, "journal_crypt cbc(aes): key required");
	assert_refused("chacha20", NULL, 0, -ENOKEY, "journal_crypt chacha20: key required");
}

static void other_key_sizes_are_einval(void **state)
{
	(void)state;
	assert_refused("ctr(aes)", key, 17, -EINVAL,
		       "journal_crypt ctr(aes): key of 17 bytes, it takes 16 or 24 or 32");
	assert_refused("chacha20", key, 16, -EINVAL,
		       "journal_crypt chacha20: key of 16 bytes, it takes 32");
	assert_refused("xts(aes)", key, 48, -EINVAL,
		       "journal_crypt xts(aes): key of 48 bytes, it takes 32 or 64");
}

static void equal_halves_are_no_key_for_xts(void **state)
{
	uint8_t halves[64];

	(void)state;
	memset(halves, 0x77, sizeof(halves));
	assert_refused("xts(aes)", halves, 32, -EINVAL,
		       "journal_crypt xts(aes): the two halves of the key are equal");
	assert_refused("xts(aes)", halves, 64, -EINVAL,
		       "journal_crypt xts(aes): the two halves of the key are equal");
	halves[63] ^= 1;
	assert_refused("xts(aes)", halves, 32, -EINVAL,
		       "journal_crypt xts(aes): the two halves of the key are equal");
}

static void nothing_is_closed_without_complaint(void **state)
{
	(void)state;
	cipher_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ciphers_open_by_the_kernels_names),
		cmocka_unit_test(ciphers_open_by_integritysetups_names),
		cmocka_unit_test(find_gives_the_kernels_name),
		cmocka_unit_test(an_unknown_cipher_is_enoent),
		cmocka_unit_test(no_key_is_enokey),
		cmocka_unit_test(other_key_sizes_are_einval),
		cmocka_unit_test(equal_halves_are_no_key_for_xts),
		cmocka_unit_test(nothing_is_closed_without_complaint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
