/* SPDX-License-Identifier: BSD-2-Clause
 *
 * When an I/O has come to its end: the context on a backend that does what a script says, so that
 * short transfers, interruptions and devices that take nothing come when they are asked for.
 */
#include "io/backend.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ATTEMPTS_MAX 16

struct script {
	const int64_t *results; /* of the attempts, in order */
	unsigned attempts;
	uint64_t moved_before[ATTEMPTS_MAX];
	unsigned under_way;
	unsigned under_way_max;
	bool newest_first;
	bool closed;
	struct io_list started;
};

static void script_start(void *backend, struct io *io)
{
	struct script *s = backend;

	s->under_way++;
	if (s->under_way > s->under_way_max)
		s->under_way_max = s->under_way;
	io_list_push(&s->started, io);
}

static void script_attempt(struct script *s, struct io *io)
{
	assert_true(s->attempts < ATTEMPTS_MAX);
	s->moved_before[s->attempts] = io->moved;
	io->result = s->results[s->attempts++];
	s->under_way--;
}

static struct io_list reversed(struct io_list list)
{
	struct io_list all[ATTEMPTS_MAX] = {{0}};
	struct io_list ret = {0};
	struct io *io;
	unsigned count = 0;

	while ((io = io_list_pop(&list)) != NULL)
		io_list_push(&all[count++], io);
	while (count > 0)
		io_list_push(&ret, io_list_pop(&all[--count]));
	return ret;
}

static void script_reap(void *backend, bool wait, struct io_list *finished)
{
	struct script *s = backend;
	struct io_list started = s->newest_first ? reversed(s->started) : s->started;
	struct io *io;

	(void)wait;
	s->started = (struct io_list){0};
	while ((io = io_list_pop(&started)) != NULL) {
		script_attempt(s, io);
		io_list_push(finished, io);
	}
}

static void script_close(void *backend)
{
	((struct script *)backend)->closed = true;
}

static const struct io_ops script_ops = {
	.kind = IO_THREADS,
	.start = script_start,
	.reap = script_reap,
	.close = script_close,
};

static struct io_context *open_script(struct script *s, unsigned depth)
{
	struct io_context *c = NULL;

	assert_int_equal(io_context_open_on(&script_ops, s, depth, &c), 0);
	return c;
}

struct told {
	struct io io;
	unsigned times;
	unsigned *clock; /* counts what has been told, over all */
	unsigned at;
};

static void note(struct io *io)
{
	struct told *t = (struct told *)io; /* its first member */

	t->times++;
	if (t->clock)
		t->at = ++*t->clock;
}

/* One I/O of 100 bytes in three pieces of 10, 20 and 70 through the script; returns its result. */
static int64_t result_of(enum io_op op, struct script *s)
{
	static uint8_t buffer[100];
	struct iovec iov[3] = {{buffer, 10}, {buffer + 10, 20}, {buffer + 30, 70}};
	struct told t = {.io = {.op = op, .iov = iov, .iov_count = 3, .offset = 7, .done = note}};
	struct io_context *c = open_script(s, 4);

	io_submit(c, &t.io);
	assert_int_equal(t.times, 0);
	assert_int_equal(io_run(c, true), 1);
	assert_int_equal(t.times, 1);
	assert_ptr_equal(t.io.iov, iov);
	assert_int_equal(t.io.offset, 7);
	io_context_close(c);
	assert_true(s->closed);
	return t.io.result;
}

static void a_whole_transfer_is_one_attempt(void **state)
{
	static const int64_t results[] = {100};
	struct script s = {.results = results};

	(void)state;
	assert_int_equal(result_of(IO_READ, &s), 100);
	assert_int_equal(s.attempts, 1);
}

static void short_transfers_go_on_where_they_ended(void **state)
{
	static const int64_t results[] = {5, 5, 15, 10, 65};
	static const uint64_t moved[] = {0, 5, 10, 25, 35};
	struct script s = {.results = results};

	(void)state;
	assert_int_equal(result_of(IO_WRITE, &s), 100);
	assert_int_equal(s.attempts, 5);
	assert_memory_equal(s.moved_before, moved, sizeof(moved));
}

static void the_vector_shrinks_from_its_front(void **state)
{
	static const int64_t results[] = {25, -EIO};
	struct script s = {.results = results};
	struct io_context *c = open_script(&s, 1);
	uint8_t buffer[100];
	struct iovec iov[3] = {{buffer, 10}, {buffer + 10, 20}, {buffer + 30, 70}};
	struct told t = {.io = {.op = IO_READ, .iov = iov, .iov_count = 3, .done = note}};

	(void)state;
	io_submit(c, &t.io);
	assert_int_equal(io_run(c, true), 1);
	assert_int_equal(t.io.result, -EIO);
	assert_int_equal(iov[0].iov_len, 0);
	assert_ptr_equal(iov[1].iov_base, buffer + 25);
	assert_int_equal(iov[1].iov_len, 5);
	assert_int_equal(iov[2].iov_len, 70);
	io_context_close(c);
}

static void interruptions_are_tried_again(void **state)
{
	static const int64_t results[] = {-EINTR, 60, -EAGAIN, -EINTR, 40};
	struct script s = {.results = results};

	(void)state;
	assert_int_equal(result_of(IO_READ, &s), 100);
	assert_int_equal(s.attempts, 5);
}

static void a_read_at_the_end_of_the_file_is_short(void **state)
{
	static const int64_t results[] = {60, 0};
	static const int64_t nothing[] = {0};
	struct script some = {.results = results};
	struct script none = {.results = nothing};

	(void)state;
	assert_int_equal(result_of(IO_READ, &some), 60);
	assert_int_equal(result_of(IO_READ, &none), 0);
}

static void a_write_that_gets_nowhere_fails(void **state)
{
	static const int64_t results[] = {60, 0};
	struct script s = {.results = results};

	(void)state;
	assert_int_equal(result_of(IO_WRITE, &s), -EIO);
}

static void an_error_after_a_part_is_the_error(void **state)
{
	static const int64_t results[] = {60, -ENOSPC};
	struct script s = {.results = results};

	(void)state;
	assert_int_equal(result_of(IO_WRITE, &s), -ENOSPC);
}

static void a_flush_has_nothing_to_go_on_with(void **state)
{
	static const int64_t good[] = {-EINTR, 0};
	static const int64_t bad[] = {-EIO};
	struct script passes = {.results = good};
	struct script fails = {.results = bad};

	(void)state;
	assert_int_equal(result_of(IO_FLUSH, &passes), 0);
	assert_int_equal(result_of(IO_FLUSH, &fails), -EIO);
}

static void an_empty_transfer_ends_with_nothing(void **state)
{
	static const int64_t results[] = {0, 0};
	struct script s = {.results = results};
	struct io_context *c = open_script(&s, 2);
	struct told read = {.io = {.op = IO_READ, .done = note}};
	struct told write = {.io = {.op = IO_WRITE, .done = note}};

	(void)state;
	io_submit(c, &read.io);
	io_submit(c, &write.io);
	assert_int_equal(io_run(c, false), 2);
	assert_int_equal(read.io.result, 0);
	assert_int_equal(write.io.result, 0);
	io_context_close(c);
}

/* Submits `count` flushes at once to a context of that depth, and runs them all. */
static void run_flushes(struct script *s, struct told *t, unsigned count, unsigned depth)
{
	static const int64_t results[ATTEMPTS_MAX];
	struct io_context *c = open_script(s, depth);
	unsigned clock = 0;

	s->results = results;
	for (unsigned i = 0; i < count; i++) {
		t[i] = (struct told){.io = {.op = IO_FLUSH, .done = note}, .clock = &clock};
		io_submit(c, &t[i].io);
	}
	while (clock < count)
		assert_true(io_run(c, true) > 0);
	assert_int_equal(io_run(c, true), 0); /* nothing under way: it does not sleep */
	io_context_close(c);
}

static void no_more_than_the_depth_are_under_way_and_the_rest_keep_their_order(void **state)
{
	struct script s = {0};
	struct told t[10];

	(void)state;
	run_flushes(&s, t, 10, 3);
	assert_int_equal(s.under_way_max, 3);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(t[i].at, i + 1);
}

static void a_backend_may_finish_in_any_order(void **state)
{
	struct script s = {.newest_first = true};
	struct told t[4];

	(void)state;
	run_flushes(&s, t, 4, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(t[i].at, 4 - i);
}

struct chain {
	struct io io;
	struct io_context *context;
	unsigned left;
};

static void submit_again(struct io *io)
{
	struct chain *chain = (struct chain *)io; /* its first member */

	if (--chain->left > 0)
		io_submit(chain->context, io);
}

static void what_is_done_may_be_submitted_again_at_once(void **state)
{
	static const int64_t results[ATTEMPTS_MAX];
	struct script s = {.results = results};
	struct io_context *c = open_script(&s, 1);
	struct chain chain = {{.op = IO_FLUSH, .done = submit_again}, c, 5};

	(void)state;
	io_submit(c, &chain.io);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(io_run(c, true), 1);
	assert_int_equal(chain.left, 0);
	assert_int_equal(io_run(c, true), 0);
	io_context_close(c);
}

static void a_depth_out_of_range_is_refused(void **state)
{
	struct io_context *c = NULL;

	(void)state;
	assert_int_equal(io_context_open(IO_AUTO, 0, &c), -EINVAL);
	assert_int_equal(io_context_open(IO_THREADS, IO_DEPTH_MAX + 1, &c), -EINVAL);
	assert_int_equal(io_context_open((enum io_kind)99, 1, &c), -EINVAL);
	assert_null(c);
	io_context_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_transfer_is_one_attempt),
		cmocka_unit_test(short_transfers_go_on_where_they_ended),
		cmocka_unit_test(the_vector_shrinks_from_its_front),
		cmocka_unit_test(interruptions_are_tried_again),
		cmocka_unit_test(a_read_at_the_end_of_the_file_is_short),
		cmocka_unit_test(a_write_that_gets_nowhere_fails),
		cmocka_unit_test(an_error_after_a_part_is_the_error),
		cmocka_unit_test(a_flush_has_nothing_to_go_on_with),
		cmocka_unit_test(an_empty_transfer_ends_with_nothing),
		cmocka_unit_test(
			no_more_than_the_depth_are_under_way_and_the_rest_keep_their_order),
		cmocka_unit_test(a_backend_may_finish_in_any_order),
		cmocka_unit_test(what_is_done_may_be_submitted_again_at_once),
		cmocka_unit_test(a_depth_out_of_range_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
