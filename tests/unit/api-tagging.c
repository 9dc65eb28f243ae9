/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Large writes to a volume whose work is spread: threads that lend themselves make the tags, and
 * whatever becomes of that, every block is found good by a volume that is opened without. The linker
 * sends tagger_make here.
 */
#include "api-volume.h"

#include "engine/engine.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#define LARGE_BYTES (192u << 10)
#define LARGE	    4u /* requests of a thread */
#define THREADS	    4u
#define ROUNDS	    12u
#define MANY	    40u /* requests, more than can have tags at once */

static struct met {
	unsigned calls;	 /* atomic, as the next one */
	unsigned blocks; /* tags that were made */
	int result;
} met;

int __real_tagger_make(struct tagger *t, uint64_t first_sector, uint32_t blocks,
		       const uint8_t *data, uint8_t *tags);
int __wrap_tagger_make(struct tagger *t, uint64_t first_sector, uint32_t blocks,
		       const uint8_t *data, uint8_t *tags);
int __wrap_tagger_make(struct tagger *t, uint64_t first_sector, uint32_t blocks,
		       const uint8_t *data, uint8_t *tags)
{
	__atomic_add_fetch(&met.calls, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&met.blocks, blocks, __ATOMIC_RELAXED);
	if (met.result < 0) {
		memset(tags, 0, blocks); /* as if it had begun */
		return met.result;
	}
	return __real_tagger_make(t, first_sector, blocks, data, tags);
}

static unsigned count(const unsigned *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Anew for each test. */
static void begin(void)
{
	met = (struct met){0};
}

/* On one core nothing is, and not with a digest that is asynchronous. */
static bool is_spread(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1 &&
	       !getenv("INTACT_TEST_DIGEST");
}

struct large {
	struct intact_request req;
	sem_t *hold; /* `done` waits for it; or NULL */
	unsigned told;
	uint8_t *buffer;
};

static void fill(uint8_t *buffer, uint64_t offset, unsigned round)
{
	for (unsigned i = 0; i < LARGE_BYTES; i += 8) {
		uint64_t word = (offset + i) * 0x9e3779b97f4a7c15ull + round;

		memcpy(buffer + i, &word, 8);
	}
}

static void told(struct intact_request *req)
{
	struct large *l = req->opaque;

	assert_ptr_equal(req->done, told); /* what is the owner's is as it was */
	if (l->hold)
		sem_wait(l->hold);
	__atomic_store_n(&l->told, 1, __ATOMIC_RELEASE);
}

static void submit(struct intact *v, struct large *l, uint64_t offset, unsigned round)
{
	fill(l->buffer, offset, round);
	l->told = 0;
	l->req = (struct intact_request){
		.op = INTACT_WRITE,
		.first_sector = offset / 512,
		.sectors = LARGE_BYTES / 512,
		.buffer = l->buffer,
		.done = told,
		.opaque = l,
	};
	intact_submit_and_run(v, &l->req);
}

static void await(struct large *l)
{
	while (!__atomic_load_n(&l->told, __ATOMIC_ACQUIRE))
		sched_yield();
	assert_int_equal(l->req.result, 0);
}

/* By a volume that makes all tags on its loop. */
static void expect(struct volume_file *f, uint64_t offset, uint64_t bytes, unsigned round)
{
	struct intact *v = volume_open(f, 0);
	uint8_t *wanted = test_malloc(LARGE_BYTES);
	uint8_t *found = test_malloc(LARGE_BYTES);

	for (uint64_t at = offset; at < offset + bytes; at += LARGE_BYTES) {
		assert_int_equal(intact_pread(v, found, LARGE_BYTES, at), 0);
		fill(wanted, at, round);
		assert_memory_equal(found, wanted, LARGE_BYTES);
	}
	test_free(wanted);
	test_free(found);
	assert_int_equal(intact_close(v), 0);
}

/* ---- One thread ---- */

static void threads_that_lend_themselves_make_the_tags(void **state)
{
	static const char modes[] = "JDB";
	struct volume_file *f = *state;
	struct large l = {.buffer = test_malloc(LARGE_BYTES)};

	for (const char *mode = modes; *mode; mode++) {
		struct intact *v;

		begin();
		f->params.mode = (enum intact_mode) * mode;
		v = volume_open(f, INTACT_OPEN_SPREAD);
		submit(v, &l, 3 * BLOCK_BYTES, 1);
		await(&l);
		assert_int_equal(count(&met.blocks), LARGE_BYTES / BLOCK_BYTES);
		fill(l.buffer, LARGE_BYTES + 3 * BLOCK_BYTES, 1);
		assert_int_equal(
			intact_pwrite(v, l.buffer, LARGE_BYTES, LARGE_BYTES + 3 * BLOCK_BYTES, 0),
			0);
		assert_int_equal(count(&met.blocks), 2 * LARGE_BYTES / BLOCK_BYTES);
		assert_int_equal(intact_close(v), 0);
		expect(f, 3 * BLOCK_BYTES, 2 * (uint64_t)LARGE_BYTES, 1);
	}
	test_free(l.buffer);
}

static void nobody_else_does(void **state)
{
	struct volume_file *f = *state;
	struct large l = {.buffer = test_malloc(LARGE_BYTES)};
	struct intact *v;

	begin();
	v = volume_open(f, 0);
	submit(v, &l, 0, 1);
	await(&l);
	assert_int_equal(intact_close(v), 0);
	v = volume_open(f, INTACT_OPEN_SPREAD);
	assert_int_equal(intact_pwrite(v, l.buffer, BLOCK_BYTES, 0, 0), 0); /* small */
	assert_int_equal(intact_pread(v, l.buffer, LARGE_BYTES, 0), 0);
	assert_int_equal(intact_write_zeroes(v, LARGE_BYTES, LARGE_BYTES, 0), 0);
	assert_int_equal(intact_close(v), 0);
	assert_int_equal(count(&met.calls), 0);
	test_free(l.buffer);
}

static void what_is_out_of_bounds_is_refused_as_ever(void **state)
{
	struct volume_file *f = *state;
	struct large l = {.buffer = test_malloc(LARGE_BYTES)};
	struct intact *v;

	begin();
	v = volume_open(f, INTACT_OPEN_SPREAD);
	submit(v, &l, VOLUME_BYTES - LARGE_BYTES / 2, 1);
	while (!__atomic_load_n(&l.told, __ATOMIC_ACQUIRE))
		sched_yield();
	assert_int_equal(l.req.result, -EINVAL);
	submit(v, &l, 512, 1); /* not where a block begins */
	while (!__atomic_load_n(&l.told, __ATOMIC_ACQUIRE))
		sched_yield();
	assert_int_equal(l.req.result, -EINVAL);
	assert_int_equal(intact_close(v), 0);
	test_free(l.buffer);
}

/* The loop makes them then. */
static void tags_that_cannot_be_made_there_are_made_by_the_loop(void **state)
{
	struct volume_file *f = *state;
	struct large l = {.buffer = test_malloc(LARGE_BYTES)};
	struct intact *v;
	unsigned calls;

	begin();
	met.result = -EIO;
	v = volume_open(f, INTACT_OPEN_SPREAD);
	for (unsigned i = 0; i < MANY; i++) { /* what they took is given back each time */
		submit(v, &l, 0, i);
		await(&l);
	}
	met.result = 0;
	calls = count(&met.calls);
	submit(v, &l, 0, MANY);
	await(&l);
	assert_true(count(&met.calls) > calls);
	assert_int_equal(intact_close(v), 0);
	expect(f, 0, LARGE_BYTES, MANY);
	test_free(l.buffer);
}

/* ---- Several ---- */

struct hand {
	struct intact *volume;
	unsigned number;
	pthread_t thread;
	struct large large[LARGE];
};

static void *write_rounds(void *opaque)
{
	struct hand *h = opaque;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < LARGE; i++)
			submit(h->volume, &h->large[i],
			       (uint64_t)(h->number * LARGE + i) * LARGE_BYTES, round);
		for (unsigned i = 0; i < LARGE; i++)
			await(&h->large[i]);
	}
	return NULL;
}

static void all_of_many_threads_find_theirs(void **state)
{
	struct volume_file *f = *state;
	struct hand *hands = test_calloc(THREADS, sizeof(*hands));
	struct intact *v;

	begin();
	v = volume_open(f, INTACT_OPEN_SPREAD);
	for (unsigned i = 0; i < THREADS; i++) {
		hands[i].volume = v;
		hands[i].number = i;
		for (unsigned n = 0; n < LARGE; n++)
			hands[i].large[n].buffer = test_malloc(LARGE_BYTES);
		assert_int_equal(pthread_create(&hands[i].thread, NULL, write_rounds, &hands[i]),
				 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(hands[i].thread, NULL);
		for (unsigned n = 0; n < LARGE; n++)
			test_free(hands[i].large[n].buffer);
	}
	assert_true(count(&met.calls) > 0);
	assert_int_equal(intact_close(v), 0);
	expect(f, 0, (uint64_t)THREADS * LARGE * LARGE_BYTES, ROUNDS - 1);
	test_free(hands);
}

static void *submit_the_first(void *opaque)
{
	struct hand *h = opaque;

	submit(h->volume, &h->large[0], 0, 9);
	return NULL;
}

/* The loop stands still in a `done`, so that all are under way at once. */
static void more_than_can_have_tags_are_written_all_the_same(void **state)
{
	struct volume_file *f = *state;
	struct large *many = test_calloc(MANY, sizeof(*many));
	struct hand first = {.number = 0};
	sem_t hold;

	begin();
	sem_init(&hold, 0, 0);
	first.volume = volume_open(f, INTACT_OPEN_SPREAD);
	first.large[0] = (struct large){.buffer = test_malloc(LARGE_BYTES), .hold = &hold};
	assert_int_equal(pthread_create(&first.thread, NULL, submit_the_first, &first), 0);
	for (unsigned i = 0; i < MANY; i++) {
		many[i].buffer = test_malloc(LARGE_BYTES);
		submit(first.volume, &many[i], (uint64_t)(i % 8) * LARGE_BYTES, i / 8);
	}
	sem_post(&hold);
	await(&first.large[0]);
	for (unsigned i = 0; i < MANY; i++) {
		await(&many[i]);
		test_free(many[i].buffer);
	}
	pthread_join(first.thread, NULL);
	assert_int_equal(intact_close(first.volume), 0);
	expect(f, LARGE_BYTES, 7 * (uint64_t)LARGE_BYTES, (MANY - 1) / 8);
	sem_destroy(&hold);
	test_free(first.large[0].buffer);
	test_free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VOLUME_TEST(threads_that_lend_themselves_make_the_tags),
		VOLUME_TEST(nobody_else_does),
		VOLUME_TEST(what_is_out_of_bounds_is_refused_as_ever),
		VOLUME_TEST(tags_that_cannot_be_made_there_are_made_by_the_loop),
		VOLUME_TEST(all_of_many_threads_find_theirs),
		VOLUME_TEST(more_than_can_have_tags_are_written_all_the_same),
	};

	if (!is_spread()) {
		(void)fputs("tags are made by the loop alone\n", stderr);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
