/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The drivers that compute on threads: workers splits batches among them, simulated is late, and
 * whoever only looks when wake was called gets everything, whatever goes wrong.
 */
#include "digest/drivers.h"
#include "digest/select.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define REQUESTS      12
#define COUNT	      40
#define MESSAGE_BYTES 4096
#define TAG_BYTES     32

/* ---- A synchronous driver that remembers which threads it ran on ---- */

struct spy {
	pthread_mutex_t mutex;
	pthread_cond_t met;
	pthread_t seen[8];
	unsigned seen_count;
	unsigned meet; /* computing waits until so many threads do */
	int result;
};

static struct spy spy = {.mutex = PTHREAD_MUTEX_INITIALIZER, .met = PTHREAD_COND_INITIALIZER};

static void spy_note(void)
{
	unsigned i = 0;

	pthread_mutex_lock(&spy.mutex);
	while (i < spy.seen_count && !pthread_equal(spy.seen[i], pthread_self()))
		i++;
	if (i == spy.seen_count && i < 8)
		spy.seen[spy.seen_count++] = pthread_self();
	pthread_cond_broadcast(&spy.met);
	while (spy.seen_count < spy.meet)
		pthread_cond_wait(&spy.met, &spy.mutex);
	pthread_mutex_unlock(&spy.mutex);
}

static int spy_compute(void *instance, struct intact_digest_batch *batch)
{
	int r = digest_openssl_sha.compute(instance, batch);

	spy_note();
	return spy.result < 0 ? spy.result : r;
}

static enum intact_digest_fit spy_fit(const struct intact_digest_algorithm *algorithm)
{
	return digest_openssl_sha.fit(algorithm);
}

static int spy_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	return digest_openssl_sha.open(setup, ret_instance);
}

static void spy_close(void *instance)
{
	digest_openssl_sha.close(instance);
}

static const struct intact_digest_driver spy_driver = {
	.name = "spy",
	.description = "a test",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 900,
	.fit = spy_fit,
	.open = spy_open,
	.close = spy_close,
	.compute = spy_compute,
};

static const struct intact_digest_driver *const drivers[] = {
	&spy_driver, &digest_openssl_sha, &digest_workers, &digest_simulated, NULL,
};

/* ---- Requests ---- */

struct client {
	struct digest *digest;
	struct digest_request *requests[REQUESTS];
	uint8_t data[REQUESTS][COUNT * MESSAGE_BYTES];
	uint8_t tags[REQUESTS][COUNT * TAG_BYTES];
	unsigned done;
	sem_t woken;
	unsigned wakes;
	bool closed;
};

static void wake(void *opaque)
{
	struct client *c = opaque;

	assert_false(__atomic_load_n(&c->closed, __ATOMIC_ACQUIRE));
	__atomic_add_fetch(&c->wakes, 1, __ATOMIC_RELAXED);
	sem_post(&c->woken);
}

static void done(struct digest_request *req)
{
	struct client *c = req->opaque;

	c->done++;
}

static char message[512];

static void emit(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	if (level == INTACT_ERROR)
		(void)snprintf(message, sizeof(message), "%s", text);
}

static int try_open(const char *driver, struct client *c, struct digest **ret)
{
	static const struct intact_log log = {.emit = emit};
	const struct digest_spec spec = {
		.algorithm = digest_algorithm_find("sha256"),
		.driver = driver,
		.parameter = "internal hash",
		.wake = c ? wake : NULL,
		.wake_opaque = c,
	};

	message[0] = '\0';
	return digest_open_among(drivers, &spec, &log, ret);
}

static struct client *client_open(const char *driver)
{
	struct client *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	sem_init(&c->woken, 0, 0);
	if (try_open(driver, c, &c->digest) < 0)
		fail_msg("%s: %s", driver, message);
	for (unsigned i = 0; i < REQUESTS; i++) {
		c->requests[i] = aligned_alloc(64, digest_request_bytes(c->digest));
		memset(c->requests[i], 0, digest_request_bytes(c->digest));
		for (size_t k = 0; k < sizeof(c->data[i]); k++)
			c->data[i][k] = (uint8_t)(k * 31 + i + k / 999);
	}
	spy.seen_count = 0;
	return c;
}

static void client_close(struct client *c)
{
	digest_close(c->digest);
	__atomic_store_n(&c->closed, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < REQUESTS; i++)
		free(c->requests[i]);
	sem_destroy(&c->woken);
	free(c);
}

static void submit(struct client *c, unsigned i)
{
	*c->requests[i] = (struct digest_request){
		.data = c->data[i],
		.message_bytes = MESSAGE_BYTES,
		.stride_bytes = MESSAGE_BYTES,
		.count = COUNT,
		.flags = DIGEST_SECTOR,
		.sector = 1000 * i,
		.sector_step = 8,
		.tags = c->tags[i],
		.tag_stride_bytes = TAG_BYTES,
		.done = done,
		.opaque = c,
	};
	digest_submit(c->digest, c->requests[i]);
}

static void submit_all(struct client *c)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		submit(c, i);
}

/* As a loop does: it looks after it was woken, and at no other time. */
static void wait_for_all(struct client *c)
{
	digest_poll(c->digest);
	while (c->done < REQUESTS) {
		while (sem_wait(&c->woken) != 0)
			continue;
		digest_poll(c->digest);
	}
}

static bool tags_are_right(const struct client *c, unsigned i)
{
	uint8_t expected[COUNT * TAG_BYTES];
	struct intact_digest_batch batch = {
		.data = c->data[i],
		.message_bytes = MESSAGE_BYTES,
		.stride_bytes = MESSAGE_BYTES,
		.count = COUNT,
		.flags = INTACT_DIGEST_SECTOR,
		.sector = 1000 * i,
		.sector_step = 8,
		.tags = expected,
		.tag_stride_bytes = TAG_BYTES,
	};
	const struct intact_digest_shape shape = {TAG_BYTES, TAG_BYTES, {0}};
	const struct intact_digest_setup setup = {
		.algorithm = digest_algorithm_find("sha256"),
		.shape = &shape,
		.options = "",
		.drivers = drivers,
	};
	void *instance;

	assert_int_equal(digest_openssl_sha.open(&setup, &instance), 0);
	assert_int_equal(digest_openssl_sha.compute(instance, &batch), 0);
	digest_openssl_sha.close(instance);
	return memcmp(expected, c->tags[i], sizeof(expected)) == 0;
}

static void assert_all_right(const struct client *c)
{
	assert_int_equal(c->done, REQUESTS);
	for (unsigned i = 0; i < REQUESTS; i++) {
		assert_int_equal(c->requests[i]->result, 0);
		assert_true(tags_are_right(c, i));
	}
}

/* ---- workers ---- */

static void a_single_batch_keeps_all_threads_busy(void **state)
{
	struct client *c = client_open("workers:threads=2,over=spy");

	(void)state;
	spy.meet = 2; /* or this hangs */
	submit(c, 0);
	digest_flush(c->digest);
	spy.meet = 0;
	assert_int_equal(spy.seen_count, 2);
	for (unsigned i = 0; i < spy.seen_count; i++)
		assert_false(pthread_equal(spy.seen[i], pthread_self()));
	assert_true(tags_are_right(c, 0));
	client_close(c);
}

static void waking_brings_everything(void **state)
{
	static const char *const choices[] = {
		"workers:threads=1",
		"workers:threads=3",
		"simulated:latency=0",
		"simulated:latency=20,lanes=7",
		"simulated:latency=20,jitter=90,reorder=30,busy=60,keyloss=0.5,seed=3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		struct client *c = client_open(choices[i]);

		for (int round = 0; round < 5; round++) {
			c->done = 0;
			submit_all(c);
			wait_for_all(c);
			assert_all_right(c);
		}
		client_close(c);
	}
}

static void nobody_is_woken_more_often_than_something_finishes(void **state)
{
	struct client *c = client_open("workers:threads=2");

	(void)state;
	submit_all(c);
	digest_flush(c->digest);
	assert_in_range(c->wakes, 1, REQUESTS);
	assert_all_right(c);
	client_close(c);
}

static void an_error_of_the_driver_below_is_the_requests(void **state)
{
	struct client *c = client_open("workers:threads=2,over=spy");

	(void)state;
	spy.result = -EIO;
	submit(c, 0);
	digest_flush(c->digest);
	spy.result = 0;
	assert_int_equal(c->requests[0]->result, -EIO);
	client_close(c);
}

/* ---- simulated ---- */

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

static void nothing_is_earlier_than_lanes_and_latency_allow(void **state)
{
	struct client *c = client_open("simulated:latency=2000,lanes=8");
	uint64_t begin = now_us();

	(void)state;
	submit(c, 0);
	submit(c, 1);
	assert_int_equal(digest_poll(c->digest), 0);
	digest_flush(c->digest);
	assert_true(now_us() - begin >= 2 * COUNT / 8 * 2000);
	assert_int_equal(c->done, 2);
	client_close(c);
}

static void a_busy_device_takes_everything_in_the_end(void **state)
{
	struct client *c = client_open("simulated:latency=1,busy=95");

	(void)state;
	submit_all(c);
	digest_flush(c->digest);
	assert_all_right(c);
	client_close(c);
}

static void a_failure_has_no_tags(void **state)
{
	struct client *c = client_open("simulated:latency=1,failure=100");

	(void)state;
	submit(c, 0);
	digest_flush(c->digest);
	assert_int_equal(c->requests[0]->result, -EIO);
	assert_false(tags_are_right(c, 0));
	client_close(c);
}

static void a_key_that_is_lost_every_time_is_given_up(void **state)
{
	struct client *c = client_open("simulated:latency=1,keyloss=100");

	(void)state;
	submit(c, 0);
	digest_flush(c->digest);
	assert_int_equal(c->requests[0]->result, -EKEYEXPIRED);
	client_close(c);
}

/* ---- Options ---- */

static void assert_refused(const char *driver, const char *text)
{
	struct digest *digest = (void *)1;

	assert_int_equal(try_open(driver, NULL, &digest), -EINVAL);
	assert_string_equal(message, text);
	assert_ptr_equal(digest, (void *)1);
}

static void options_that_make_no_sense_are_einval(void **state)
{
	(void)state;
	assert_refused("workers:threads=0",
		       "internal hash sha256: option threads is not a number of 1 to 256");
	assert_refused("workers:threads=257",
		       "internal hash sha256: option threads is not a number of 1 to 256");
	assert_refused("workers:threads=",
		       "internal hash sha256: option threads is not a number of 1 to 256");
	assert_refused("workers:over=simulated",
		       "internal hash sha256: over=simulated: no synchronous driver of this name "
		       "has it");
	assert_refused(
		"workers:lanes=3",
		"internal hash sha256: driver workers has no option 'lanes'; it has threads, "
		"over");
	assert_refused("workers:threads", "internal hash sha256: driver workers: option threads "
					  "needs a value");
	assert_refused("simulated:busy=100.0001",
		       "internal hash sha256: option busy is not a number of 0 to 100, in percent");
	assert_refused("simulated:busy=1.",
		       "internal hash sha256: option busy is not a number of 0 to 100, in percent");
	assert_refused("simulated:latency=-1",
		       "internal hash sha256: option latency is not a number of 0 to 10000000");
	assert_refused("simulated:lanes=0",
		       "internal hash sha256: option lanes is not a number of 1 to 4096");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_batch_keeps_all_threads_busy),
		cmocka_unit_test(waking_brings_everything),
		cmocka_unit_test(nobody_is_woken_more_often_than_something_finishes),
		cmocka_unit_test(an_error_of_the_driver_below_is_the_requests),
		cmocka_unit_test(nothing_is_earlier_than_lanes_and_latency_allow),
		cmocka_unit_test(a_busy_device_takes_everything_in_the_end),
		cmocka_unit_test(a_failure_has_no_tags),
		cmocka_unit_test(a_key_that_is_lost_every_time_is_given_up),
		cmocka_unit_test(options_that_make_no_sense_are_einval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
