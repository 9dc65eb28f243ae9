/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Work in pieces on many threads: each piece is done once, what is said to be finished is, and an
 * error or a word from the caller ends it.
 */
#include "offline/crew.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PIECES_MAX 5000

struct task {
	atomic_uint done[PIECES_MAX];
	atomic_uint hands, ended;
	unsigned begin_fails_at; /* the how manyth hand cannot be had; 0: none */
	uint64_t fails_at;	 /* piece; UINT64_MAX: none */
	unsigned ticks, tick_ends_at;
	unsigned long pause_ns; /* at each piece */
	uint64_t told;		/* finished, the last time */
};

static int begin(void *opaque, void **ret_hand)
{
	struct task *t = opaque;

	if (t->hands + 1 == t->begin_fails_at)
		return -ENOKEY;
	t->hands++;
	*ret_hand = t;
	return 0;
}

static void end(void *hand)
{
	struct task *t = hand;

	if (t)
		t->ended++;
}

static int work(void *hand, uint64_t piece)
{
	struct task *t = hand;
	const struct timespec pause = {.tv_nsec = (long)t->pause_ns};

	if (piece == t->fails_at)
		return -EIO;
	if (pause.tv_nsec)
		nanosleep(&pause, NULL);
	t->done[piece]++;
	return 0;
}

static int tick(void *opaque, uint64_t finished)
{
	struct task *t = opaque;

	assert_true(finished >= t->told);
	for (uint64_t i = t->told; i < finished; i++)
		assert_int_equal(t->done[i], 1);
	t->told = finished;
	return ++t->ticks == t->tick_ends_at ? -ECANCELED : 0;
}

static int run(struct task *t, uint64_t pieces, unsigned jobs, uint64_t *ret_finished)
{
	const struct crew crew = {
		.pieces = pieces,
		.jobs = jobs,
		.begin = begin,
		.end = end,
		.work = work,
		.tick = tick,
		.opaque = t,
	};
	int r = crew_run(&crew, ret_finished);

	assert_int_equal(t->ended, t->hands);
	for (uint64_t i = 0; i < *ret_finished; i++)
		assert_int_equal(t->done[i], 1);
	return r;
}

static const unsigned job_counts[] = {0, 1, 2, 5, 64, 1000};

#define JOB_COUNTS (sizeof(job_counts) / sizeof(*job_counts))

static void every_piece_is_done_once(void **state)
{
	static const uint64_t counts[] = {0, 1, 3, 1023, 1024, 1025, PIECES_MAX};

	(void)state;
	for (size_t i = 0; i < JOB_COUNTS * (sizeof(counts) / sizeof(*counts)); i++) {
		struct task t = {.fails_at = UINT64_MAX};
		uint64_t pieces = counts[i / JOB_COUNTS];
		uint64_t finished = 77;

		assert_int_equal(run(&t, pieces, job_counts[i % JOB_COUNTS], &finished), 0);
		assert_int_equal(finished, pieces);
		assert_true(t.hands <= 64);
		assert_true(t.hands <= pieces);
	}
}

static void an_error_ends_it_and_what_is_before_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < JOB_COUNTS; i++) {
		struct task t = {.fails_at = 1500};
		uint64_t finished;

		assert_int_equal(run(&t, PIECES_MAX, job_counts[i], &finished), -EIO);
		assert_true(finished <= 1500);
		assert_true(t.done[PIECES_MAX - 1] == 0);
	}
}

static void the_caller_is_told_and_can_end_it(void **state)
{
	struct task t = {.fails_at = UINT64_MAX, .tick_ends_at = 2, .pause_ns = 2000000};
	uint64_t finished;

	(void)state;
	assert_int_equal(run(&t, PIECES_MAX, 2, &finished), -ECANCELED);
	assert_int_equal(t.ticks, 2);
	assert_true(t.told > 0);
	assert_true(finished >= t.told);
	assert_true(finished < PIECES_MAX);
}

static void a_hand_that_cannot_be_had_is_an_error(void **state)
{
	(void)state;
	for (unsigned at = 1; at <= 3; at++) {
		struct task t = {.fails_at = UINT64_MAX, .begin_fails_at = at};
		uint64_t finished;

		assert_int_equal(run(&t, 100, 3, &finished), -ENOKEY);
		assert_int_equal(finished, 0);
		assert_int_equal(t.hands, at - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_piece_is_done_once),
		cmocka_unit_test(an_error_ends_it_and_what_is_before_is_known),
		cmocka_unit_test(the_caller_is_told_and_can_end_it),
		cmocka_unit_test(a_hand_that_cannot_be_had_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
