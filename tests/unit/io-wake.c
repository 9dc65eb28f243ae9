/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The owner's sleep ends when an I/O has finished, when another thread says so, and at the deadline;
 * and a wake-up that comes before the sleep is not lost. A hang is how these tests fail, and the
 * runner's timeout ends that.
 */
#include "io/backend.h"
#include "io/io.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 2000

static struct io_context *open_context(enum io_kind kind)
{
	struct io_context *c;
	int err = io_context_open(kind, 4, &c);

	if (kind == IO_URING && (err == -ENOSYS || err == -EPERM))
		skip();
	assert_int_equal(err, 0);
	return c;
}

static enum io_kind kind_of(void **state)
{
	return *(enum io_kind *)*state;
}

/* ---- Two threads that wait for each other in turns ---- */

struct pair {
	struct io_context *context;
	unsigned asked; /* by the owner */
	unsigned given; /* by the other */
};

static void *give(void *opaque)
{
	struct pair *p = opaque;

	for (unsigned i = 1; i <= ROUNDS; i++) {
		while (__atomic_load_n(&p->asked, __ATOMIC_ACQUIRE) < i)
			continue;
		__atomic_store_n(&p->given, i, __ATOMIC_RELEASE);
		io_wake(p->context);
	}
	return NULL;
}

static void every_wake_ends_a_sleep(void **state)
{
	struct pair p = {.context = open_context(kind_of(state))};
	pthread_t other;

	assert_int_equal(pthread_create(&other, NULL, give, &p), 0);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		__atomic_store_n(&p.asked, i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&p.given, __ATOMIC_ACQUIRE) < i)
			assert_int_equal(io_run_until(p.context, UINT64_MAX), 0);
	}
	pthread_join(other, NULL);
	io_context_close(p.context);
}

static void a_wake_before_the_sleep_ends_it(void **state)
{
	struct io_context *c = open_context(kind_of(state));

	for (unsigned i = 0; i < 3; i++) {
		io_wake(c);
		io_wake(c);
		assert_int_equal(io_run_until(c, UINT64_MAX), 0);
	}
	io_context_close(c);
}

static void a_sleep_ends_at_its_deadline(void **state)
{
	struct io_context *c = open_context(kind_of(state));
	uint64_t deadline_ns = io_now_ns() + 20000000;

	while (io_now_ns() < deadline_ns)
		assert_int_equal(io_run_until(c, deadline_ns), 0);
	assert_int_equal(io_run_until(c, 0), 0); /* long past */
	io_context_close(c);
}

/* It may end the next one as well, but not all that follow: that would be a loop that never sleeps. */
static void a_wake_does_not_end_every_sleep(void **state)
{
	struct io_context *c = open_context(kind_of(state));
	unsigned sleeps = 0;
	uint64_t deadline_ns;

	for (unsigned i = 0; i < 3; i++) {
		io_wake(c);
		(void)io_run_until(c, UINT64_MAX);
	}
	for (deadline_ns = io_now_ns() + 50000000; io_now_ns() < deadline_ns; sleeps++)
		(void)io_run_until(c, deadline_ns);
	assert_true(sleeps < 20);
	io_context_close(c);
}

/* ---- With I/O ---- */

struct file {
	struct io_file *file;
	uint8_t bytes[4096];
	struct iovec iov;
	struct io io;
	bool done;
};

static void arrived(struct io *io)
{
	struct file *f = (struct file *)((uint8_t *)io - offsetof(struct file, io));

	f->done = true;
}

static void file_open(struct file *f)
{
	char path[] = "/tmp/intact-io-wake.XXXXXX";
	int fd = mkstemp(path);

	memset(f, 0, sizeof(*f));
	assert_true(fd >= 0);
	assert_int_equal(write(fd, f->bytes, sizeof(f->bytes)), sizeof(f->bytes));
	close(fd);
	assert_int_equal(io_file_open(path, 0, NULL, &f->file), 0);
	unlink(path);
}

static void file_read(struct file *f, struct io_context *c)
{
	f->done = false;
	f->iov = (struct iovec){f->bytes, sizeof(f->bytes)};
	f->io = (struct io){
		.file = f->file, .op = IO_READ, .iov = &f->iov, .iov_count = 1, .done = arrived};
	io_submit(c, &f->io);
}

static void an_io_that_finishes_ends_a_sleep(void **state)
{
	struct io_context *c = open_context(kind_of(state));
	struct file f;

	file_open(&f);
	for (unsigned i = 0; i < 100; i++) {
		file_read(&f, c);
		while (!f.done)
			(void)io_run_until(c, UINT64_MAX);
		assert_int_equal(f.io.result, sizeof(f.bytes));
	}
	io_file_close(f.file);
	io_context_close(c);
}

/* io_run waits for I/O, whatever wakes its owner in between. */
static void a_wake_does_not_end_a_wait_for_io(void **state)
{
	struct io_context *c = open_context(kind_of(state));
	struct file f;

	file_open(&f);
	io_wake(c);
	(void)io_run_until(c, 0);
	for (unsigned i = 0; i < 100; i++) {
		io_wake(c);
		file_read(&f, c);
		assert_int_equal(io_run(c, true), 1);
	}
	io_file_close(f.file);
	io_context_close(c);
}

/* ---- Sleeping in poll ---- */

static void wait_in_poll(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	assert_int_equal(poll(&p, 1, -1), 1);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	assert_int_equal(errno, EAGAIN);
}

static void the_descriptor_tells_of_both(void **state)
{
	struct io_context *c = open_context(kind_of(state));
	int fd = io_context_fd(c);
	struct file f;

	assert_true(fd >= 0);
	file_open(&f);
	io_wake(c);
	wait_in_poll(fd);
	for (unsigned i = 0; i < 100; i++) {
		file_read(&f, c);
		while (io_run(c, false) == 0)
			wait_in_poll(fd);
		assert_true(f.done);
		io_wake(c); /* the count is not below one now, whether poll was needed or not */
		wait_in_poll(fd);
	}
	io_file_close(f.file);
	io_context_close(c);
}

/* Others reap what has finished while the owner sleeps, or is about to. A wake-up is not theirs. */
static void a_wake_is_not_reaped(void **state)
{
	struct io_context *c = open_context(kind_of(state));
	struct file f;

	file_open(&f);
	for (unsigned i = 0; i < 100; i++) {
		(void)io_may_sleep(c);
		io_wake(c);
		file_read(&f, c);
		while (!f.done)
			(void)io_run(c, false);
		io_wake(c);
		io_sleep(c, UINT64_MAX);
	}
	io_file_close(f.file);
	io_context_close(c);
}

static enum io_kind kind_uring = IO_URING;
static enum io_kind kind_threads = IO_THREADS;

#define WITH_BOTH(test)                                                                            \
	{#test " (io_uring)", test, NULL, NULL, &kind_uring},                                      \
	{                                                                                          \
#test " (threads)", test, NULL, NULL, &kind_threads                                \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_BOTH(every_wake_ends_a_sleep),
		WITH_BOTH(a_wake_before_the_sleep_ends_it),
		WITH_BOTH(a_wake_does_not_end_every_sleep),
		WITH_BOTH(a_sleep_ends_at_its_deadline),
		WITH_BOTH(an_io_that_finishes_ends_a_sleep),
		WITH_BOTH(a_wake_does_not_end_a_wait_for_io),
		WITH_BOTH(a_wake_is_not_reaped),
		WITH_BOTH(the_descriptor_tells_of_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
