/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening a digest: what is refused, with which errno and which words; and what is said about the
 * driver that was taken.
 */
#include "digest-fake.h"

#include "digest/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static char message[1024];
static unsigned messages;
static enum intact_level message_level;

static void emit(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	messages++;
	message_level = level;
	(void)snprintf(message, sizeof(message), "%s", text);
}

static const struct intact_log log_of_messages = {.emit = emit};

static const uint8_t key[5000];

static struct digest_spec spec_for(const char *algorithm, size_t key_bytes)
{
	return (struct digest_spec){
		.algorithm = digest_algorithm_find(algorithm),
		.key = key,
		.key_bytes = key_bytes,
		.parameter = "internal hash",
	};
}

static const struct intact_digest_driver *const fakes[] = {&fake_sync, &fake_async, NULL};

static void assert_refused(const struct digest_spec *spec, int error, const char *text)
{
	struct digest *digest = (void *)1;

	messages = 0;
	assert_int_equal(digest_open_among(fakes, spec, &log_of_messages, &digest), error);
	assert_ptr_equal(digest, (void *)1); /* untouched */
	assert_int_equal(messages, 1);
	assert_int_equal(message_level, INTACT_ERROR);
	assert_string_equal(message, text);
	assert_int_equal(fake.instances, 0);
}

static void a_keyed_algorithm_without_key_is_enokey(void **state)
{
	struct digest_spec spec = spec_for("hmac(sha256)", 0);

	(void)state;
	assert_refused(&spec, -ENOKEY, "internal hash hmac(sha256): key required");
	spec = spec_for("cmac-aes", 0);
	spec.parameter = "journal_mac";
	assert_refused(&spec, -ENOKEY, "journal_mac cmac(aes): key required");
}

static void a_key_for_an_unkeyed_algorithm_is_einval(void **state)
{
	struct digest_spec spec = spec_for("sha256", 32);

	(void)state;
	assert_refused(&spec, -EINVAL, "internal hash sha256: a key was given, but it takes none");
}

static void keys_of_impossible_lengths_are_einval(void **state)
{
	struct digest_spec spec = spec_for("hmac(sha256)", 4097);

	(void)state;
	assert_refused(&spec, -EINVAL,
		       "internal hash hmac(sha256): key of 4097 bytes, at most 4096 are allowed");
	spec = spec_for("cmac(aes)", 17);
	assert_refused(&spec, -EINVAL,
		       "internal hash cmac(aes): key of 17 bytes, it takes 16, 24 or 32");
}

static void tags_over_255_bytes_are_einval(void **state)
{
	struct digest_spec spec = spec_for("sha256", 0);

	(void)state;
	spec.tag_bytes = 256;
	assert_refused(&spec, -EINVAL,
		       "internal hash sha256: tags of 256 bytes, at most 255 are possible");
}

static void a_driver_that_does_not_exist_is_enoent(void **state)
{
	struct digest_spec spec = spec_for("sha256", 0);

	(void)state;
	spec.driver = "gpu";
	assert_refused(&spec, -ENOENT,
		       "internal hash sha256: no driver called gpu, there is prompt (synchronous), "
		       "late (asynchronous)");
}

static void a_driver_that_fails_its_self_test_is_eio(void **state)
{
	struct digest_spec spec = spec_for("sha256", 0);

	(void)state;
	fake.result = -ETIMEDOUT;
	assert_refused(&spec, -EIO, "internal hash sha256: driver prompt: self-test failed");
	fake.result = 0;
}

static int refuse_to_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	/* The self-test's instance opens, the user's does not. */
	if (setup->shape->tag_bytes == 9)
		return -EINVAL;
	return fake_open(setup, ret_instance);
}

static void what_the_driver_says_to_a_key_is_passed_on(void **state)
{
	struct intact_digest_driver picky = fake_async;
	const struct intact_digest_driver *const drivers[] = {&picky, NULL};
	struct digest_spec spec = spec_for("hmac(sha256)", 5);
	struct digest *digest;

	(void)state;
	picky.open = refuse_to_open;
	spec.tag_bytes = 9;
	assert_int_equal(digest_open_among(drivers, &spec, &log_of_messages, &digest), -EINVAL);
	assert_string_equal(message, "internal hash hmac(sha256): driver late: Invalid argument");
	assert_int_equal(fake.instances, 0);
}

static void the_choice_is_said_once(void **state)
{
	struct digest_spec spec = spec_for("hmac(sha256)", 1);
	struct digest *digest;

	(void)state;
	messages = 0;
	assert_int_equal(digest_open_among(fakes, &spec, &log_of_messages, &digest), 0);
	assert_int_equal(messages, 1);
	assert_int_equal(message_level, INTACT_INFO);
	assert_string_equal(message,
			    "internal hash hmac(sha256): driver hmac-sha256-prompt, synchronous "
			    "(policy auto)");
	assert_string_equal(digest_driver_name(digest), "prompt");
	assert_ptr_equal(digest_algorithm(digest), spec.algorithm);
	assert_true(digest_is_synchronous(digest));
	assert_int_equal(digest_tag_bytes(digest), 32);
	digest_close(digest);

	spec = spec_for("sha1", 0);
	spec.policy = INTACT_DIGEST_ACCELERATOR;
	assert_int_equal(digest_open_among(fakes, &spec, &log_of_messages, &digest), 0);
	assert_string_equal(message, "internal hash sha1: driver sha1-late, asynchronous "
				     "(policy accelerator)");
	assert_false(digest_is_synchronous(digest));
	digest_close(digest);
}

static void a_quiet_choice_is_not_said(void **state)
{
	struct digest_spec spec = spec_for("sha1", 0);
	struct digest *digest;

	(void)state;
	spec.quiet = true;
	messages = 0;
	assert_int_equal(digest_open(&spec, &log_of_messages, &digest), 0);
	assert_int_equal(messages, 0);
	digest_close(digest);
}

static void requests_have_room_for_the_driver(void **state)
{
	struct digest_spec spec = spec_for("sha1", 0);
	struct digest *digest;

	(void)state;
	assert_int_equal(digest_open_among(fakes, &spec, NULL, &digest), 0);
	assert_true(digest_request_bytes(digest) >= sizeof(struct digest_request));
	assert_int_equal(digest_request_bytes(digest) % 64, 0);
	digest_close(digest);
	spec.policy = INTACT_DIGEST_ASYNC;
	assert_int_equal(digest_open_among(fakes, &spec, NULL, &digest), 0);
	assert_true(digest_request_bytes(digest) >=
		    sizeof(struct digest_request) + FAKE_BATCH_BYTES);
	assert_int_equal(digest_request_bytes(digest) % 64, 0);
	digest_close(digest);
}

static void nothing_is_closed_without_complaint(void **state)
{
	(void)state;
	digest_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_keyed_algorithm_without_key_is_enokey),
		cmocka_unit_test(a_key_for_an_unkeyed_algorithm_is_einval),
		cmocka_unit_test(keys_of_impossible_lengths_are_einval),
		cmocka_unit_test(tags_over_255_bytes_are_einval),
		cmocka_unit_test(a_driver_that_does_not_exist_is_enoent),
		cmocka_unit_test(a_driver_that_fails_its_self_test_is_eio),
		cmocka_unit_test(what_the_driver_says_to_a_key_is_passed_on),
		cmocka_unit_test(the_choice_is_said_once),
		cmocka_unit_test(a_quiet_choice_is_not_said),
		cmocka_unit_test(requests_have_room_for_the_driver),
		cmocka_unit_test(nothing_is_closed_without_complaint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
