/* SPDX-License-Identifier: BSD-2-Clause
 *
 * I/O through io_uring. The submission ring has room for the context's depth, so there is always an
 * entry to be had; one that the kernel did not take stays in the ring and is offered again by reap.
 */
#include "io/backend.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

struct uring {
	struct io_uring ring;
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
	err = io_uring_queue_init(depth, &u->ring, 0);
	if (err) {
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
	free(u);
}

static void prepare(struct io_uring_sqe *sqe, const struct io *io)
{
	int fd = io_file_fd(io->file);
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
	return err >= 0 || err == -EINTR || err == -EAGAIN || err == -EBUSY || err == -ENOMEM;
}

static void uring_start(void *backend, struct io *io)
{
	struct uring *u = backend;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	int err;

	assert(sqe);
	prepare(sqe, io);
	io_uring_sqe_set_data(sqe, io);
	err = io_uring_submit(&u->ring);
	assert(is_passing(err));
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

static void uring_reap(void *backend, bool wait, struct io_list *finished)
{
	struct uring *u = backend;
	struct io_uring_cqe *cqe;

	do {
		enter(u, wait);
	} while (wait && io_uring_cq_ready(&u->ring) == 0);

	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct io *io = io_uring_cqe_get_data(cqe);

		io->result = cqe->res;
		io_list_push(finished, io);
		io_uring_cqe_seen(&u->ring, cqe);
	}
}

const struct io_ops io_uring_ops = {
	.kind = IO_URING,
	.start = uring_start,
	.reap = uring_reap,
	.close = uring_close,
};
