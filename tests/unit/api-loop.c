/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A caller who runs the loop: nothing happens outside intact_process, everything happens within it,
 * and the descriptor tells when to call it, also when another thread submits.
 */
#include "api-volume.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>

#define REQUESTS 200

struct bench {
	struct intact *volume;
	bool processing;
	unsigned told;
	struct intact_request req;
	uint8_t buffer[BLOCK_BYTES];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int timeout_ms(const struct intact *v)
{
	uint64_t deadline_ns = intact_deadline_ns(v);
	uint64_t now = now_ns();

	if (deadline_ns == UINT64_MAX)
		return -1;
	return deadline_ns <= now ? 0 : (int)((deadline_ns - now) / 1000000u) + 1;
}

static void turn(struct bench *b)
{
	struct pollfd p = {.fd = intact_fd(b->volume), .events = POLLIN};

	assert_true(poll(&p, 1, timeout_ms(b->volume)) >= 0);
	b->processing = true;
	intact_process(b->volume);
	b->processing = false;
}

static void told(struct intact_request *req)
{
	struct bench *b = req->opaque;

	assert_true(b->processing);
	assert_int_equal(req->result, 0);
	b->told++;
}

static void submit(struct bench *b, enum intact_op op)
{
	b->told = 0;
	b->req = (struct intact_request){
		.op = op,
		.first_sector = 80,
		.sectors = op == INTACT_FLUSH ? 0 : BLOCK_BYTES / 512,
		.buffer = op == INTACT_FLUSH ? NULL : b->buffer,
		.done = told,
		.opaque = b,
	};
	intact_submit(b->volume, &b->req);
	assert_int_equal(b->told, 0);
}

static void do_one(struct bench *b, enum intact_op op)
{
	submit(b, op);
	while (b->told == 0)
		turn(b);
	assert_int_equal(b->told, 1);
}

static void requests_end_in_intact_process(void **state)
{
	struct bench b = {.volume = volume_open(*state, INTACT_OPEN_OWN_LOOP)};
	struct intact_status status;

	assert_true(intact_fd(b.volume) >= 0);
	for (unsigned i = 0; i < 20; i++) {
		memset(b.buffer, (int)i, sizeof(b.buffer));
		do_one(&b, INTACT_WRITE);
		do_one(&b, INTACT_FLUSH);
		memset(b.buffer, 0xee, sizeof(b.buffer));
		do_one(&b, INTACT_READ);
		assert_int_equal(b.buffer[BLOCK_BYTES - 1], i);
	}
	intact_get_status(b.volume, &status);
	assert_int_equal(status.requests[INTACT_WRITE], 20);
	assert_int_equal(status.requests[INTACT_FLUSH], 20);
	assert_int_equal(intact_close(b.volume), 0);
}

static void nothing_waits_when_nothing_is_to_be_done(void **state)
{
	struct bench b = {.volume = volume_open(*state, INTACT_OPEN_OWN_LOOP)};

	intact_process(b.volume);
	intact_process(b.volume);
	assert_int_equal(intact_close(b.volume), 0);
}

/* ---- Other threads wait for what the loop does ---- */

struct other {
	struct bench *bench;
	bool over;
	bool failed;
};

static void *write_and_read(void *opaque)
{
	struct other *o = opaque;
	struct intact *v = o->bench->volume;
	uint8_t block[BLOCK_BYTES];

	for (unsigned i = 0; i < REQUESTS; i++) {
		memset(block, (int)i, sizeof(block));
		o->failed = o->failed || intact_pwrite(v, block, sizeof(block), 0, 0) != 0;
		memset(block, 0xee, sizeof(block));
		o->failed = o->failed || intact_pread(v, block, sizeof(block), 0) != 0 ||
			    block[7] != (uint8_t)i;
	}
	__atomic_store_n(&o->over, true, __ATOMIC_RELEASE);
	o->failed = o->failed || intact_flush(v) != 0; /* which wakes the loop for the last time */
	return NULL;
}

static void other_threads_wake_the_loop(void **state)
{
	struct bench b = {.volume = volume_open(*state, INTACT_OPEN_OWN_LOOP)};
	struct other o = {.bench = &b};
	struct intact_status status;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, write_and_read, &o), 0);
	do {
		turn(&b);
		intact_get_status(b.volume, &status);
	} while (!__atomic_load_n(&o.over, __ATOMIC_ACQUIRE) || status.requests[INTACT_FLUSH] == 0);
	pthread_join(thread, NULL);
	assert_false(o.failed);
	assert_int_equal(intact_close(b.volume), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VOLUME_TEST(requests_end_in_intact_process),
		VOLUME_TEST(nothing_waits_when_nothing_is_to_be_done),
		VOLUME_TEST(other_threads_wake_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
