/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between digest_open and digest_close nothing allocates, whatever the driver; and when open finds
 * no memory, at whichever allocation, it says so and leaves nothing behind.
 */
#include "count-allocations.h"

#include "digest/drivers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT		   19
#define MESSAGE_BYTES	   4096
#define LONG_MESSAGE_BYTES 9000
#define REQUESTS	   3

static const uint8_t key[32] = "thirty-two bytes, for any cipher";
static uint8_t data[COUNT * MESSAGE_BYTES];
static uint8_t tags[COUNT * DIGEST_BYTES_MAX];

static struct digest_spec spec_of(const struct intact_digest_algorithm *a,
				  const struct intact_digest_driver *driver,
				  enum intact_digest_policy policy)
{
	return (struct digest_spec){
		.algorithm = a,
		.key = key,
		.key_bytes = a->keyed ? sizeof(key) : 0,
		.policy = policy,
		.driver = driver->name,
	};
}

static void use(struct digest *digest, struct digest_request *const requests[REQUESTS])
{
	static const struct digest_request template = {
		.data = data,
		.message_bytes = MESSAGE_BYTES,
		.stride_bytes = MESSAGE_BYTES,
		.count = COUNT,
		.flags = DIGEST_SALTED | DIGEST_SECTOR,
		.tags = tags,
		.tag_stride_bytes = DIGEST_BYTES_MAX,
	};

	for (int i = 0; i < REQUESTS; i++) {
		*requests[i] = template;
		digest_submit(digest, requests[i]);
		digest_poll(digest);
	}
	digest_flush(digest);
	*requests[0] = template;
	requests[0]->message_bytes = LONG_MESSAGE_BYTES;
	requests[0]->count = 2;
	digest_submit(digest, requests[0]);
	digest_flush(digest);
	for (int i = 0; i < REQUESTS; i++)
		assert_int_equal(requests[i]->result, 0);
	assert_int_equal(digest_once(digest, data, 100, tags), 0);
}

/* libcrypto 3.0 makes a new context for every SHA-3 digest, and there is no other way to it. */
static bool libcrypto_allocates(const struct intact_digest_algorithm *a)
{
	return a->hash >= INTACT_HASH_SHA3_224 && a->hash <= INTACT_HASH_SHA3_512;
}

static void check_steady(const struct digest_spec *spec)
{
	struct digest_request *requests[REQUESTS];
	struct digest *digest;
	unsigned before, crypto_before;

	assert_int_equal(digest_open(spec, NULL, &digest), 0);
	for (int i = 0; i < REQUESTS; i++)
		requests[i] = aligned_alloc(64, digest_request_bytes(digest));
	before = allocations;
	crypto_before = crypto_allocations;
	use(digest, requests);
	assert_int_equal(allocations, before);
	if (!libcrypto_allocates(spec->algorithm))
		assert_int_equal(crypto_allocations, crypto_before);
	digest_close(digest);
	for (int i = 0; i < REQUESTS; i++)
		free(requests[i]);
}

/* Fails the first allocation, then the second … until open needs no more. */
static void check_starved(const struct digest_spec *spec)
{
	struct digest *digest = NULL;
	unsigned n = 0;
	int r;

	do {
		allocations = 0;
		allocation_to_fail = ++n;
		r = digest_open(spec, NULL, &digest);
		allocation_to_fail = 0;
		assert_true(r == 0 || r == -ENOMEM);
	} while (r < 0);
	assert_true(n > 3);
	digest_close(digest);
}

static void for_each_face(unsigned face, enum intact_digest_policy policy,
			  void (*check)(const struct digest_spec *spec))
{
	for (const struct intact_digest_driver *const *d = digest_drivers(); *d; d++)
		for (const struct intact_digest_algorithm *a = digest_algorithms(); a->name; a++) {
			struct digest_spec spec = spec_of(a, *d, policy);

			if ((*d)->flags & face && (*d)->fit(a) != INTACT_DRIVER_CANNOT &&
			    !((*d)->flags & INTACT_DRIVER_KEY_OUTSIDE))
				check(&spec);
		}
}

static void nothing_allocates_between_open_and_close(void **state)
{
	(void)state;
	for_each_face(INTACT_DRIVER_SYNC, INTACT_DIGEST_SYNC, check_steady);
	for_each_face(INTACT_DRIVER_ASYNC, INTACT_DIGEST_ASYNC, check_steady);
	assert_true(allocations > 0); /* they are counted at all */
	assert_true(crypto_allocations > 0);
}

static void no_memory_at_open_is_enomem(void **state)
{
	(void)state;
	for_each_face(INTACT_DRIVER_SYNC, INTACT_DIGEST_SYNC, check_starved);
	for_each_face(INTACT_DRIVER_ASYNC, INTACT_DIGEST_ASYNC, check_starved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_allocates_between_open_and_close),
		cmocka_unit_test(no_memory_at_open_is_enomem),
	};

	if (!count_crypto_allocations() || !OPENSSL_init_crypto(0, NULL))
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
