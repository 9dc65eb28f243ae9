/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads meet in a volume: some wait for their requests, some submit many at a time, one asks for
 * the status; each finds what it wrote, and every request is told of once, one at a time. Where memory may only be had
 * by writing to the volume, all threads that it will have are there when it is open.
 */
#include "api-volume.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#define THREADS	   6
#define DEPTH	   8 /* requests of a thread that submits */
#define ROUNDS	   40
#define SLOT_BYTES (2 * BLOCK_BYTES)

struct crew;

struct slot {
	struct intact_request req;
	struct hand *hand;
	uint8_t buffer[SLOT_BYTES];
};

struct hand {
	struct crew *crew;
	pthread_t thread;
	unsigned number;
	unsigned told; /* written by whoever runs the loop */
	bool failed;
	struct slot slots[DEPTH];
};

struct crew {
	struct intact *volume;
	bool in_done; /* no lock, no atomics: there is one at a time */
	unsigned dones;
	bool stop;
	struct hand hands[THREADS];
};

static uint64_t place(const struct hand *h, unsigned slot)
{
	return ((uint64_t)h->number * DEPTH + slot) * SLOT_BYTES;
}

static void fill(uint8_t *buffer, unsigned round, unsigned number)
{
	for (unsigned i = 0; i < SLOT_BYTES; i++)
		buffer[i] = (uint8_t)(i + round * 31 + number * 7);
}

static bool is_filled(const uint8_t *buffer, unsigned round, unsigned number)
{
	uint8_t expected[SLOT_BYTES];

	fill(expected, round, number);
	return memcmp(buffer, expected, SLOT_BYTES) == 0;
}

/* ---- Submitting ---- */

static void told(struct intact_request *req)
{
	struct slot *s = req->opaque;
	struct crew *c = s->hand->crew;

	assert_false(c->in_done);
	c->in_done = true;
	c->dones++;
	c->in_done = false;
	if (req->result != 0)
		__atomic_store_n(&s->hand->failed, true, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->hand->told, 1, __ATOMIC_RELEASE);
}

static void submit_all(struct hand *h, enum intact_op op)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		struct slot *s = &h->slots[i];

		s->hand = h;
		s->req = (struct intact_request){
			.op = op,
			.first_sector = place(h, i) / 512,
			.sectors = SLOT_BYTES / 512,
			.buffer = s->buffer,
			.done = told,
			.opaque = s,
		};
		if (i % 2 == h->number % 2)
			intact_submit(h->crew->volume, &s->req);
		else
			intact_submit_and_run(h->crew->volume, &s->req);
	}
	while (__atomic_load_n(&h->told, __ATOMIC_ACQUIRE) < DEPTH)
		sched_yield();
	__atomic_store_n(&h->told, 0, __ATOMIC_RELAXED);
}

static void *submit(void *opaque)
{
	struct hand *h = opaque;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < DEPTH; i++)
			fill(h->slots[i].buffer, round, i);
		submit_all(h, INTACT_WRITE);
		for (unsigned i = 0; i < DEPTH; i++)
			memset(h->slots[i].buffer, 0, SLOT_BYTES);
		submit_all(h, INTACT_READ);
		for (unsigned i = 0; i < DEPTH; i++)
			if (!is_filled(h->slots[i].buffer, round, i))
				__atomic_store_n(&h->failed, true, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* ---- Waiting ---- */

static bool write_and_read(struct hand *h, unsigned round)
{
	struct intact *v = h->crew->volume;
	uint8_t *buffer = h->slots[0].buffer;
	uint64_t offset = place(h, round % DEPTH);

	fill(buffer, round, h->number);
	if (intact_pwrite(v, buffer, SLOT_BYTES, offset, round % 4 ? 0 : INTACT_FUA) != 0)
		return false;
	if (round % 16 == 0 && intact_flush(v) != 0)
		return false;
	memset(buffer, 0, SLOT_BYTES);
	return intact_pread(v, buffer, SLOT_BYTES, offset) == 0 &&
	       is_filled(buffer, round, h->number);
}

static void *wait_for_each(void *opaque)
{
	struct hand *h = opaque;

	for (unsigned round = 0; round < ROUNDS * DEPTH; round++)
		if (!write_and_read(h, round))
			__atomic_store_n(&h->failed, true, __ATOMIC_RELAXED);
	return NULL;
}

/* ---- Asking ---- */

static void *ask(void *opaque)
{
	struct crew *c = opaque;
	uint64_t writes = 0;

	while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE)) {
		struct intact_status status;

		intact_get_status(c->volume, &status);
		if (status.requests[INTACT_WRITE] < writes || status.failure)
			return "the status went backwards";
		writes = status.requests[INTACT_WRITE];
	}
	return NULL;
}

static void everyone_finds_what_he_wrote(void **state)
{
	struct crew *c = test_calloc(1, sizeof(*c));
	struct intact_status status;
	pthread_t asking;
	void *wrong;

	c->volume = volume_open(*state, 0);
	assert_int_equal(pthread_create(&asking, NULL, ask, c), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		struct hand *h = &c->hands[i];

		h->crew = c;
		h->number = i;
		assert_int_equal(
			pthread_create(&h->thread, NULL, i % 2 ? submit : wait_for_each, h), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(c->hands[i].thread, NULL);
		assert_false(c->hands[i].failed);
	}
	__atomic_store_n(&c->stop, true, __ATOMIC_RELEASE);
	pthread_join(asking, &wrong);
	assert_null(wrong);
	intact_get_status(c->volume, &status);
	assert_int_equal(status.requests[INTACT_WRITE], THREADS * ROUNDS * DEPTH);
	assert_int_equal(status.requests[INTACT_READ], THREADS * ROUNDS * DEPTH);
	assert_int_equal(status.mismatches, 0);
	assert_int_equal(c->dones, THREADS / 2 * ROUNDS * DEPTH * 2); /* of those who submit */
	assert_int_equal(intact_close(c->volume), 0);
	test_free(c);
}

/* What was submitted before intact_close comes to its end in it. */
static void closing_ends_what_is_under_way(void **state)
{
	struct crew *c = test_calloc(1, sizeof(*c));
	struct hand *h = &c->hands[0];

	c->volume = volume_open(*state, 0);
	h->crew = c;
	for (unsigned i = 0; i < DEPTH; i++) {
		struct slot *s = &h->slots[i];

		s->hand = h;
		s->req = (struct intact_request){.op = INTACT_WRITE,
						 .first_sector = place(h, i) / 512,
						 .sectors = SLOT_BYTES / 512,
						 .buffer = s->buffer,
						 .done = told,
						 .opaque = s};
		intact_submit(c->volume, &s->req);
	}
	assert_int_equal(intact_close(c->volume), 0);
	assert_int_equal(h->told, DEPTH);
	assert_false(h->failed);
	test_free(c);
}

static unsigned count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned count = 0;

	assert_non_null(tasks);
	while (readdir(tasks))
		count++;
	closedir(tasks);
	return count;
}

/* The kernel's workers count as well: io_uring starts one for each flush that finds none, and for what
 * would wait.
 */
static void no_thread_is_started_between_open_and_close(void **state)
{
	struct intact *v = volume_open(*state, INTACT_OPEN_DIRECT);
	uint8_t *buffer = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	unsigned before = count_threads();

	assert_non_null(buffer);
	memset(buffer, 0x5a, BLOCK_BYTES);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(intact_pwrite(v, buffer, BLOCK_BYTES, i * BLOCK_BYTES, 0), 0);
		assert_int_equal(intact_flush(v), 0);
		assert_int_equal(intact_pread(v, buffer, BLOCK_BYTES, i * BLOCK_BYTES), 0);
		assert_true(count_threads() <= before);
	}
	assert_int_equal(intact_close(v), 0);
	free(buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: what others leave to the kernel would be counted. */
		VOLUME_TEST(no_thread_is_started_between_open_and_close),
		VOLUME_TEST(everyone_finds_what_he_wrote),
		VOLUME_TEST(closing_ends_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
