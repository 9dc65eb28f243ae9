/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What makes data durable reaches the kernel: RWF_DSYNC with a write that asks for it and with no
 * other, and a data sync for a flush. No test can see a disk's cache, so this one stands between
 * the library and the calls (see meson.build) and looks at what passes.
 */
#include "io/io.h"

#include <errno.h>
#include <liburing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum call { NONE, WRITE, WRITE_DSYNC, DATASYNC, OTHER };

static enum call last; /* one I/O at a time, and its completion comes after it: no race */

/* The name that pwritev2 has with 64-bit offsets. */
ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	last = flags == 0 ? WRITE : flags == RWF_DSYNC ? WRITE_DSYNC : OTHER;
	return __real_pwritev64v2(fd, iov, count, offset, flags);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	last = DATASYNC;
	return __real_fdatasync(fd);
}

static enum call call_of(const struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_WRITEV && sqe->rw_flags == 0)
		return WRITE;
	if (sqe->opcode == IORING_OP_WRITEV && sqe->rw_flags == RWF_DSYNC)
		return WRITE_DSYNC;
	if (sqe->opcode == IORING_OP_FSYNC && sqe->fsync_flags == IORING_FSYNC_DATASYNC)
		return DATASYNC;
	return OTHER;
}

static void look_at_newest(const struct io_uring *ring)
{
	if (ring->sq.sqe_tail != ring->sq.sqe_head)
		last = call_of(&ring->sq.sqes[(ring->sq.sqe_tail - 1) & ring->sq.ring_mask]);
}

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring)
{
	look_at_newest(ring);
	return __real_io_uring_submit(ring);
}

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count)
{
	look_at_newest(ring);
	return __real_io_uring_submit_and_wait(ring, count);
}

static void done(struct io *io)
{
	(void)io;
}

static enum call call_for(struct io_context *c, struct io_file *f, enum io_op op, bool fua)
{
	uint8_t buffer[512] = {0};
	struct iovec iov = {buffer, op == IO_FLUSH ? 0 : sizeof(buffer)};
	struct io io = {.file = f, .op = op, .fua = fua, .iov = &iov, .iov_count = 1, .done = done};

	last = NONE;
	io_submit(c, &io);
	assert_int_equal(io_run(c, true), 1);
	assert_int_equal(io.result, op == IO_FLUSH ? 0 : 512);
	return last;
}

static void expect_promises_kept(enum io_kind kind)
{
	char path[] = "/tmp/intact-io-durable.XXXXXX";
	int fd = mkstemp(path);
	struct io_context *c;
	struct io_file *f;
	int err;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(io_file_open(path, IO_FILE_WRITE, NULL, &f), 0);
	unlink(path);
	err = io_context_open(kind, 2, &c);
	if (kind == IO_URING && (err == -ENOSYS || err == -EPERM)) {
		io_file_close(f);
		skip();
	}
	assert_int_equal(err, 0);
	assert_int_equal(call_for(c, f, IO_WRITE, false), WRITE);
	assert_int_equal(call_for(c, f, IO_WRITE, true), WRITE_DSYNC);
	assert_int_equal(call_for(c, f, IO_FLUSH, false), DATASYNC);
	io_context_close(c);
	io_file_close(f);
}

static void io_uring_is_told_what_must_last(void **state)
{
	(void)state;
	expect_promises_kept(IO_URING);
}

static void threads_are_told_what_must_last(void **state)
{
	(void)state;
	expect_promises_kept(IO_THREADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io_uring_is_told_what_must_last),
		cmocka_unit_test(threads_are_told_what_must_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
