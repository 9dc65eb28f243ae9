/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The self-test passes for every driver that there is, and notices what can be wrong with one: a
 * bit of a tag, a prefix left out, a message mixed up, a face that differs, a request lost.
 */
#include "digest-fake.h"

#include "digest/selftest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void every_driver_passes(void **state)
{
	(void)state;
	for (const struct intact_digest_driver *const *d = digest_drivers(); *d; d++)
		for (const struct intact_digest_algorithm *a = digest_algorithms(); a->name; a++)
			if ((*d)->fit(a) != INTACT_DRIVER_CANNOT)
				assert_int_equal(digest_selftest(*d, a), 0);
}

static void the_drivers_of_these_tests_pass(void **state)
{
	const struct intact_digest_algorithm *a = digest_algorithm_find("hmac(sha512)");

	(void)state;
	assert_int_equal(digest_selftest(&fake_sync, a), 0);
	assert_int_equal(digest_selftest(&fake_async, a), 0);
	assert_int_equal(fake.instances, 0);
}

static int flips_a_bit(void *instance, struct intact_digest_batch *batch)
{
	int r = fake_compute(instance, batch);

	batch->tags[0] ^= 0x10;
	return r;
}

static int forgets_the_salt(void *instance, struct intact_digest_batch *batch)
{
	batch->flags &= ~INTACT_DIGEST_SALTED;
	return fake_compute(instance, batch);
}

static int forgets_the_sector(void *instance, struct intact_digest_batch *batch)
{
	batch->flags &= ~INTACT_DIGEST_SECTOR;
	return fake_compute(instance, batch);
}

static int counts_sectors_as_blocks(void *instance, struct intact_digest_batch *batch)
{
	batch->sector_step = 1;
	return fake_compute(instance, batch);
}

static int cuts_sectors_to_32_bits(void *instance, struct intact_digest_batch *batch)
{
	batch->sector = (uint32_t)batch->sector;
	return fake_compute(instance, batch);
}

static int stops_at_sixteen(void *instance, struct intact_digest_batch *batch)
{
	if (batch->count > 16)
		batch->count = 16;
	return fake_compute(instance, batch);
}

static int swaps_two_tags(void *instance, struct intact_digest_batch *batch)
{
	int r = fake_compute(instance, batch);
	uint8_t tag[20];

	if (batch->count < 20)
		return r;
	memcpy(tag, batch->tags + 3 * batch->tag_stride_bytes, sizeof(tag));
	memcpy(batch->tags + 3 * batch->tag_stride_bytes,
	       batch->tags + 19 * batch->tag_stride_bytes, sizeof(tag));
	memcpy(batch->tags + 19 * batch->tag_stride_bytes, tag, sizeof(tag));
	return r;
}

static int writes_behind_itself(void *instance, struct intact_digest_batch *batch)
{
	if (batch->flags & INTACT_DIGEST_HEADROOM)
		((uint8_t *)batch->data)[batch->message_bytes - 1] ^= 1;
	return fake_compute(instance, batch);
}

static int fails(void *instance, struct intact_digest_batch *batch)
{
	(void)instance;
	(void)batch;
	return -ETIMEDOUT;
}

static void a_wrong_tag_is_noticed(void **state)
{
	static int (*const faults[])(void *, struct intact_digest_batch *) = {
		flips_a_bit,	  forgets_the_salt,	    forgets_the_sector,
		stops_at_sixteen, counts_sectors_as_blocks, cuts_sectors_to_32_bits,
		swaps_two_tags,	  writes_behind_itself,	    fails,
	};
	const struct intact_digest_algorithm *a = digest_algorithm_find("sha1");

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct intact_digest_driver faulty = fake_sync;

		faulty.compute = faults[i];
		assert_int_equal(digest_selftest(&faulty, a), -EIO);
	}
	assert_int_equal(fake.instances, 0);
}

/* Its synchronous face is right. */
static void a_wrong_asynchronous_face_is_noticed(void **state)
{
	struct intact_digest_driver faulty = fake_async;

	(void)state;
	faulty.flags |= INTACT_DRIVER_SYNC;
	faulty.compute = fake_compute;
	assert_int_equal(digest_selftest(&faulty, digest_algorithm_find("sha1")), 0);
	fake.submit_error = -ENODEV;
	assert_int_equal(digest_selftest(&faulty, digest_algorithm_find("sha1")), -EIO);
	fake.submit_error = 0;
}

static void loses_it(void *instance, struct intact_digest_batch **finished)
{
	(void)finished;
	((struct fake_instance *)instance)->count = 0;
}

static void a_lost_request_is_noticed(void **state)
{
	struct intact_digest_driver faulty = fake_async;

	(void)state;
	faulty.flush = loses_it;
	assert_int_equal(digest_selftest(&faulty, digest_algorithm_find("sha1")), -EIO);
}

static void a_driver_that_is_always_busy_is_noticed(void **state)
{
	(void)state;
	fake.busy_times = ~0u;
	assert_int_equal(digest_selftest(&fake_async, digest_algorithm_find("sha1")), -EIO);
	fake.busy_times = 0;
}

static int forgets_the_key(const struct intact_digest_setup *setup, void **ret_instance)
{
	struct intact_digest_setup cut = *setup;

	/* What a key longer than a block would come to if it were cut instead of hashed. */
	if (cut.key_bytes > 64)
		cut.key_bytes = 64;
	return fake_open(&cut, ret_instance);
}

static void a_long_key_that_is_cut_is_noticed(void **state)
{
	struct intact_digest_driver faulty = fake_sync;

	(void)state;
	faulty.open = forgets_the_key;
	assert_int_equal(digest_selftest(&faulty, digest_algorithm_find("hmac(sha256)")), -EIO);
}

static int cannot_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	(void)setup;
	(void)ret_instance;
	return -ENOMEM;
}

static void no_memory_is_no_failure_of_the_test(void **state)
{
	struct intact_digest_driver starved = fake_sync;

	(void)state;
	starved.open = cannot_open;
	assert_int_equal(digest_selftest(&starved, digest_algorithm_find("sha256")), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_driver_passes),
		cmocka_unit_test(the_drivers_of_these_tests_pass),
		cmocka_unit_test(a_wrong_tag_is_noticed),
		cmocka_unit_test(a_wrong_asynchronous_face_is_noticed),
		cmocka_unit_test(a_lost_request_is_noticed),
		cmocka_unit_test(a_driver_that_is_always_busy_is_noticed),
		cmocka_unit_test(a_long_key_that_is_cut_is_noticed),
		cmocka_unit_test(no_memory_is_no_failure_of_the_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
