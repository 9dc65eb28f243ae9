/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a request, with a driver that is late, out of order, busy or broken: `done` is run
 * once for each, never inside digest_submit, and what was refused is offered again in order.
 */
#include "digest-fake.h"

#include "digest/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define REQUESTS      12
#define MESSAGE_BYTES 100
#define COUNT	      3
#define TAG_BYTES     32

struct client {
	struct digest *digest;
	struct digest_request *requests[REQUESTS];
	uint8_t data[REQUESTS][COUNT * MESSAGE_BYTES];
	uint8_t tags[REQUESTS][COUNT * TAG_BYTES];
};

static unsigned order[REQUESTS]; /* in which `done` was run, by the index of the request */
static unsigned done_count;
static bool submitting;
static struct client *client;

static unsigned index_of(const struct digest_request *req)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		if (client->requests[i] == req)
			return i;
	fail();
	return 0;
}

static void done(struct digest_request *req)
{
	assert_false(submitting);
	assert_in_range(done_count, 0, REQUESTS - 1);
	order[done_count++] = index_of(req);
}

static struct client *client_open_deep(const struct intact_digest_driver *driver, uint32_t depth)
{
	const struct intact_digest_driver *const drivers[] = {driver, NULL};
	struct digest_spec spec = {.algorithm = digest_algorithm_find("sha256"), .depth = depth};
	struct client *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	assert_int_equal(digest_open_among(drivers, &spec, NULL, &c->digest), 0);
	for (unsigned i = 0; i < REQUESTS; i++) {
		c->requests[i] = aligned_alloc(64, digest_request_bytes(c->digest));
		assert_non_null(c->requests[i]);
		memset(c->requests[i], 0, digest_request_bytes(c->digest));
		memset(c->data[i], (int)i, sizeof(c->data[i]));
	}
	client = c;
	done_count = 0;
	return c;
}

static struct client *client_open(const struct intact_digest_driver *driver)
{
	return client_open_deep(driver, 0);
}

static void client_close(struct client *c)
{
	digest_close(c->digest);
	for (unsigned i = 0; i < REQUESTS; i++)
		free(c->requests[i]);
	free(c);
	fake = (struct fake_behaviour){.room = 1000, .per_poll = 1000};
}

static void submit(struct client *c, unsigned i)
{
	struct digest_request *req = c->requests[i];

	req->data = c->data[i];
	req->message_bytes = MESSAGE_BYTES;
	req->stride_bytes = MESSAGE_BYTES;
	req->count = COUNT;
	req->tags = c->tags[i];
	req->tag_stride_bytes = TAG_BYTES;
	req->done = done;
	submitting = true;
	digest_submit(c->digest, req);
	submitting = false;
}

static void submit_all(struct client *c)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		submit(c, i);
}

static void assert_tags(const struct client *c, unsigned i)
{
	uint8_t tag[TAG_BYTES];

	assert_int_equal(c->requests[i]->result, 0);
	assert_int_equal(c->requests[i]->finished, COUNT);
	assert_int_equal(digest_once(c->digest, c->data[i], MESSAGE_BYTES, tag), 0);
	for (unsigned k = 0; k < COUNT; k++)
		assert_memory_equal(c->tags[i] + k * TAG_BYTES, tag, TAG_BYTES);
}

static void assert_all_done_once(const struct client *c)
{
	unsigned seen = 0;

	assert_int_equal(done_count, REQUESTS);
	for (unsigned i = 0; i < REQUESTS; i++) {
		seen |= 1u << order[i];
		assert_tags(c, i);
	}
	assert_int_equal(seen, (1u << REQUESTS) - 1);
}

static void a_synchronous_request_is_done_at_the_next_poll(void **state)
{
	struct client *c = client_open(&fake_sync);

	(void)state;
	submit_all(c);
	assert_int_equal(done_count, 0);
	assert_int_equal(digest_poll(c->digest), REQUESTS);
	assert_all_done_once(c);
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_int_equal(order[i], i);
	assert_int_equal(digest_poll(c->digest), 0);
	client_close(c);
}

static void a_synchronous_request_is_done_by_a_flush(void **state)
{
	struct client *c = client_open(&fake_sync);

	(void)state;
	submit_all(c);
	digest_flush(c->digest);
	assert_all_done_once(c);
	client_close(c);
}

static void a_failed_request_has_the_drivers_error(void **state)
{
	struct client *c = client_open(&fake_sync);

	(void)state;
	fake.result = -EKEYEXPIRED;
	submit(c, 0);
	digest_flush(c->digest);
	assert_int_equal(done_count, 1);
	assert_int_equal(c->requests[0]->result, -EKEYEXPIRED);
	fake.result = 0;
	submit(c, 0); /* the same request again, and nothing of before is left */
	digest_flush(c->digest);
	assert_tags(c, 0);
	client_close(c);
}

static void requests_may_finish_in_any_order(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	fake.per_poll = 2;
	submit_all(c);
	for (unsigned n = REQUESTS; n > 0; n -= 2) {
		assert_int_equal(digest_poll(c->digest), 2);
		assert_int_equal(order[REQUESTS - n], n - 1);
		assert_int_equal(order[REQUESTS - n + 1], n - 2);
	}
	assert_all_done_once(c);
	assert_int_equal(digest_poll(c->digest), 0);
	client_close(c);
}

static void a_busy_driver_is_offered_the_rest_in_order(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	fake.room = 1;
	submit_all(c);
	for (unsigned i = 0; i < REQUESTS; i++) {
		assert_int_equal(digest_poll(c->digest), 1);
		assert_int_equal(order[i], i);
	}
	assert_all_done_once(c);
	client_close(c);
}

/* Also when the driver has room again by then. */
static void nobody_overtakes_the_backlog(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	fake.busy_times = 1;
	fake.per_poll = 1;
	submit(c, 0); /* refused */
	submit(c, 1); /* would be taken */
	assert_int_equal(digest_poll(c->digest), 0);
	fake.per_poll = 2;
	digest_poll(c->digest);
	assert_int_equal(done_count, 2);
	assert_int_equal(order[0], 1); /* both were in flight: the driver finishes the last first */
	assert_int_equal(order[1], 0);
	client_close(c);
}

static void a_flush_brings_the_backlog_too(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	fake.room = 2;
	fake.per_poll = 0;
	submit_all(c);
	fake.busy_times = 7;
	digest_flush(c->digest);
	assert_all_done_once(c);
	client_close(c);
}

static void a_driver_that_refuses_for_good_fails_the_request(void **state)
{
	struct client *c = client_open(&fake_async);
	uint8_t tag[TAG_BYTES];

	(void)state;
	fake.submit_error = -ENODEV;
	submit(c, 0);
	assert_int_equal(done_count, 0);
	assert_int_equal(digest_poll(c->digest), 1);
	assert_int_equal(c->requests[0]->result, -ENODEV);
	assert_int_equal(digest_once(c->digest, "abc", 3, tag), -ENODEV);
	client_close(c);
}

static void a_failed_asynchronous_request_has_the_drivers_error(void **state)
{
	struct client *c = client_open(&fake_async);
	uint8_t tag[TAG_BYTES];

	(void)state;
	fake.result = -EIO;
	submit(c, 0);
	digest_flush(c->digest);
	assert_int_equal(c->requests[0]->result, -EIO);
	assert_int_equal(digest_once(c->digest, "abc", 3, tag), -EIO);
	client_close(c);
}

/* Others' requests finish meanwhile; they are told at the next poll, not inside digest_once. */
static void once_waits_for_its_own_message_only(void **state)
{
	struct client *c = client_open(&fake_async);
	uint8_t tag[TAG_BYTES];

	(void)state;
	fake.room = 3;
	submit_all(c);
	submitting = true;
	assert_int_equal(digest_once(c->digest, c->data[5], MESSAGE_BYTES, tag), 0);
	submitting = false;
	assert_int_equal(done_count, 0);
	digest_flush(c->digest);
	assert_memory_equal(c->tags[5], tag, TAG_BYTES);
	assert_all_done_once(c);
	client_close(c);
}

static unsigned rounds_left;

static void submit_again(struct digest_request *req)
{
	done_count++;
	if (rounds_left == 0)
		return;
	rounds_left--;
	digest_submit(client->digest, req);
}

/* A poll or flush tells of what finished before it began, or it would never end. */
static void check_resubmission(const struct intact_digest_driver *driver)
{
	struct client *c = client_open(driver);

	submit(c, 0);
	c->requests[0]->done = submit_again;
	rounds_left = 3;
	assert_int_equal(digest_poll(c->digest), 1);
	assert_int_equal(digest_poll(c->digest), 1);
	digest_flush(c->digest);
	assert_int_equal(done_count, 3);
	digest_flush(c->digest);
	assert_int_equal(done_count, 4);
	assert_int_equal(digest_poll(c->digest), 0);
	client_close(c);
}

static void done_may_submit_again(void **state)
{
	(void)state;
	check_resubmission(&fake_sync);
	check_resubmission(&fake_async);
}

/* ---- How much at once ---- */

static void all_messages_are_in_flight_together(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	submit_all(c);
	assert_int_equal(fake.messages, REQUESTS * COUNT);
	digest_flush(c->digest);
	assert_all_done_once(c);
	client_close(c);
}

static void check_depth(uint32_t depth)
{
	struct client *c = client_open_deep(&fake_async, depth);

	fake.messages_max = 0;
	submit_all(c);
	assert_int_equal(fake.messages, depth);
	while (done_count < REQUESTS)
		digest_poll(c->digest);
	assert_int_equal(fake.messages_max, depth);
	assert_all_done_once(c);
	client_close(c);
}

static void no_more_than_the_depth_are_in_flight(void **state)
{
	(void)state;
	for (uint32_t depth = 1; depth <= 2 * COUNT + 1; depth++)
		check_depth(depth);
}

static void with_a_depth_of_one_requests_finish_in_order(void **state)
{
	struct client *c = client_open_deep(&fake_async, 1);

	(void)state;
	submit_all(c);
	digest_flush(c->digest);
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_int_equal(order[i], i);
	client_close(c);
}

/* ---- Keys that are lost ---- */

static void a_lost_key_is_derived_once_and_requests_repeated_in_order(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	submit_all(c);
	fake.key_lost = true;
	fake.key_comes_back = 1;
	assert_int_equal(digest_poll(c->digest), 0); /* all of them have lost it */
	assert_int_equal(fake.derivations, 1);
	assert_int_equal(done_count, 0);
	fake.per_poll = 1; /* the last that was submitted again */
	digest_poll(c->digest);
	assert_int_equal(order[0], REQUESTS - 1);
	digest_flush(c->digest);
	assert_all_done_once(c);
	client_close(c);
}

static void repeated_requests_do_not_overtake_each_other(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	fake.room = 5;
	submit_all(c);
	fake.key_lost = true;
	fake.key_comes_back = 1;
	digest_poll(c->digest);
	fake.room = 1; /* from now on one after the other */
	fake.per_poll = 1000;
	digest_poll(c->digest); /* those that had been offered again meanwhile */
	digest_flush(c->digest);
	for (unsigned i = 5; i < REQUESTS; i++)
		assert_int_equal(order[i], i);
	client_close(c);
}

static void a_key_that_stays_lost_fails_the_request_after_three_tries(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	fake.key_lost = true;
	submit(c, 0);
	digest_flush(c->digest);
	assert_int_equal(done_count, 1);
	assert_int_equal(c->requests[0]->result, -EKEYEXPIRED);
	assert_int_equal(fake.derivations, 3);
	client_close(c);
}

static void a_key_that_cannot_be_derived_fails_the_request(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	fake.key_lost = true;
	fake.derivation_error = -ENOKEY;
	submit(c, 0);
	digest_flush(c->digest);
	assert_int_equal(c->requests[0]->result, -EKEYEXPIRED);
	assert_int_equal(fake.derivations, 1);
	client_close(c);
}

static void a_driver_that_cannot_derive_fails_the_request(void **state)
{
	struct intact_digest_driver forgetful = fake_async;
	struct client *c;

	(void)state;
	forgetful.rederive = NULL;
	c = client_open(&forgetful);
	fake.key_lost = true;
	submit(c, 0);
	digest_flush(c->digest);
	assert_int_equal(c->requests[0]->result, -EKEYEXPIRED);
	client_close(c);
}

static void a_message_by_itself_gets_the_key_back_too(void **state)
{
	struct client *c = client_open(&fake_async);
	uint8_t tag[TAG_BYTES];

	(void)state;
	fake.key_lost = true;
	fake.key_comes_back = 2;
	assert_int_equal(digest_once(c->digest, "abc", 3, tag), 0);
	assert_int_equal(fake.derivations, 2);
	client_close(c);
}

/* ---- Who has to be polled ---- */

static void a_driver_that_cannot_wake_has_to_be_polled(void **state)
{
	struct intact_digest_driver waking = fake_async;
	struct client *c = client_open(&fake_async);

	(void)state;
	assert_false(digest_must_poll(c->digest));
	fake.room = 1;
	submit_all(c);
	assert_true(digest_must_poll(c->digest));
	digest_flush(c->digest);
	assert_false(digest_must_poll(c->digest));
	client_close(c);

	waking.flags |= INTACT_DRIVER_WAKES;
	c = client_open(&waking);
	submit_all(c);
	assert_false(digest_must_poll(c->digest));
	digest_flush(c->digest);
	client_close(c);
}

static void nobody_needs_to_be_told(void **state)
{
	struct client *c = client_open(&fake_async);

	(void)state;
	submit(c, 0);
	c->requests[0]->done = NULL;
	assert_int_equal(digest_poll(c->digest), 1);
	assert_int_equal(done_count, 0);
	assert_tags(c, 0);
	client_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_synchronous_request_is_done_at_the_next_poll),
		cmocka_unit_test(a_synchronous_request_is_done_by_a_flush),
		cmocka_unit_test(a_failed_request_has_the_drivers_error),
		cmocka_unit_test(requests_may_finish_in_any_order),
		cmocka_unit_test(a_busy_driver_is_offered_the_rest_in_order),
		cmocka_unit_test(nobody_overtakes_the_backlog),
		cmocka_unit_test(a_flush_brings_the_backlog_too),
		cmocka_unit_test(a_driver_that_refuses_for_good_fails_the_request),
		cmocka_unit_test(a_failed_asynchronous_request_has_the_drivers_error),
		cmocka_unit_test(once_waits_for_its_own_message_only),
		cmocka_unit_test(done_may_submit_again),
		cmocka_unit_test(all_messages_are_in_flight_together),
		cmocka_unit_test(no_more_than_the_depth_are_in_flight),
		cmocka_unit_test(with_a_depth_of_one_requests_finish_in_order),
		cmocka_unit_test(a_lost_key_is_derived_once_and_requests_repeated_in_order),
		cmocka_unit_test(repeated_requests_do_not_overtake_each_other),
		cmocka_unit_test(a_key_that_stays_lost_fails_the_request_after_three_tries),
		cmocka_unit_test(a_key_that_cannot_be_derived_fails_the_request),
		cmocka_unit_test(a_driver_that_cannot_derive_fails_the_request),
		cmocka_unit_test(a_message_by_itself_gets_the_key_back_too),
		cmocka_unit_test(a_driver_that_cannot_wake_has_to_be_polled),
		cmocka_unit_test(nobody_needs_to_be_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
