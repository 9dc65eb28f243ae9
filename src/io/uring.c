/* SPDX-License-Identifier: BSD-2-Clause
 *
 * I/O through io_uring. The submission ring has room for the context's depth, so there is always an
 * entry to be had. Entries go to the kernel together, when the owner reaps or sleeps; those that it
 * did not take stay in the ring and are offered again.
 *
 * A file in memory never waits, but io_uring would not know and have another thread do the copying:
 * its I/O is done here, when the owner reaps, and not more at a time than the nearer caches hold. What
 * the owner then does with it, or did before, it does with what is still there.
 *
 * Who sleeps polls the ring and an eventfd, by which others wake him. That they do not go through the
 * ring is what makes a wake-up certain: whoever reaps meanwhile takes completions away, but never it.
 * Owners with a loop of their own get the eventfd, on which the ring then counts its completions.
 */
#include "io/backend.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define IN_MEMORY_BYTES (256u << 10) /* at a time */

struct uring {
	struct io_uring ring;
	struct io_list in_memory; /* not begun */
	int wake_fd;		  /* never waits */
};

static bool has_operations(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool has = probe && io_uring_opcode_supported(probe, IORING_OP_READV) &&
		   io_uring_opcode_supported(probe, IORING_OP_WRITEV) &&
		   io_uring_opcode_supported(probe, IORING_OP_FSYNC);

	io_uring_free_probe(probe);
	return has;
}

/* Some sandboxes let a ring be made and then deny its use: sends something there and back. */
static int try_out(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int err;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	err = io_uring_submit(ring);
	if (err < 0)
		return err;
	do {
		err = io_uring_wait_cqe(ring, &cqe);
	} while (err == -EINTR);
	if (err)
		return err;
	err = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return err;
}

int io_uring_backend_open(unsigned depth, void **ret)
{
	struct uring *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = u->wake_fd < 0 ? -errno : io_uring_queue_init(depth, &u->ring, 0);
	if (err) {
		if (u->wake_fd >= 0)
			close(u->wake_fd);
		free(u);
		return err;
	}
	err = has_operations(&u->ring) ? try_out(&u->ring) : -ENOSYS;
	if (err) {
		io_uring_ops.close(u);
		return err;
	}
	*ret = u;
	return 0;
}

static void uring_close(void *backend)
{
	struct uring *u = backend;

	io_uring_queue_exit(&u->ring);
	close(u->wake_fd);
	free(u);
}

static void prepare(struct io_uring_sqe *sqe, const struct io *io)
{
	int fd = io_fd(io);
	uint64_t offset = io->offset + io->moved;

	switch (io->op) {
	case IO_READ:
		io_uring_prep_readv(sqe, fd, io->iov, io->iov_count, offset);
		break;
	case IO_WRITE:
		io_uring_prep_writev2(sqe, fd, io->iov, io->iov_count, offset,
				      io->fua ? RWF_DSYNC : 0);
		break;
	case IO_FLUSH:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	}
}

/* Anything but these would be our own doing, and the kernel would never take what we have. */
static bool is_passing(int err)
{
	return err >= 0 || err == -EINTR || err == -EAGAIN || err == -EBUSY || err == -ENOMEM ||
	       err == -ETIME;
}

static void uring_start(void *backend, struct io *io)
{
	struct uring *u = backend;
	struct io_uring_sqe *sqe;

	if (io_file_is_in_memory(io->file)) {
		io_list_push(&u->in_memory, io);
		return;
	}
	sqe = io_uring_get_sqe(&u->ring);
	assert(sqe);
	prepare(sqe, io);
	io_uring_sqe_set_data(sqe, io);
}

static void enter(struct uring *u, bool wait)
{
	int err;

	if (wait && io_uring_cq_ready(&u->ring) == 0)
		err = io_uring_submit_and_wait(&u->ring, 1);
	else if (io_uring_sq_ready(&u->ring) > 0)
		err = io_uring_submit(&u->ring);
	else
		return;
	assert(is_passing(err));
}

static void attempt_in_memory(struct uring *u, struct io_list *finished)
{
	uint64_t bytes = 0;
	struct io *io;

	while (bytes < IN_MEMORY_BYTES && (io = io_list_pop(&u->in_memory)) != NULL) {
		bytes += io->wanted - io->moved;
		io->result = io_attempt(io);
		io_list_push(finished, io);
	}
}

static void uring_reap(void *backend, bool wait, struct io_list *finished)
{
	struct uring *u = backend;
	struct io_uring_cqe *cqe;
	struct io *io;

	attempt_in_memory(u, finished);
	do {
		enter(u, wait && !finished->first);
		while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
			io = io_uring_cqe_get_data(cqe);
			io->result = cqe->res;
			io_list_push(finished, io);
			io_uring_cqe_seen(&u->ring, cqe);
		}
	} while (wait && !finished->first);
}

/* Everything goes to the kernel before; the sleep takes nothing out of the rings. */
static bool uring_may_sleep(void *backend)
{
	struct uring *u = backend;

	if (u->in_memory.first || io_uring_cq_ready(&u->ring) > 0)
		return false;
	enter(u, false);
	return io_uring_sq_ready(&u->ring) == 0;
}

static void uring_sleep(void *backend, uint64_t deadline_ns)
{
	const struct uring *u = backend;
	uint64_t now_ns = io_now_ns();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	struct timespec left = {
		.tv_sec = (time_t)(left_ns / 1000000000u),
		.tv_nsec = (long)(left_ns % 1000000000u),
	};
	struct pollfd fds[] = {
		{.fd = u->ring.ring_fd, .events = POLLIN},
		{.fd = u->wake_fd, .events = POLLIN},
	};
	uint64_t count;
	ssize_t n = 0;

	if (ppoll(fds, 2, deadline_ns == UINT64_MAX ? NULL : &left, NULL) > 0 && fds[1].revents)
		n = read(u->wake_fd, &count, sizeof(count));
	assert(n == 0 || n == sizeof(count));
}

static void uring_wake(void *backend)
{
	static const uint64_t one = 1;
	const struct uring *u = backend;
	ssize_t written = write(u->wake_fd, &one, sizeof(one));

	assert(written == sizeof(one));
}

/* From now on it is the owner's to read. */
static int uring_fd(void *backend)
{
	struct uring *u = backend;

	return io_uring_register_eventfd(&u->ring, u->wake_fd) ?: u->wake_fd;
}

const struct io_ops io_uring_ops = {
	.kind = IO_URING,
	.start = uring_start,
	.reap = uring_reap,
	.close = uring_close,
	.may_sleep = uring_may_sleep,
	.sleep = uring_sleep,
	.wake = uring_wake,
	.fd = uring_fd,
};
