/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The I/O context: what is under way, what waits for its turn, and when an I/O has come to its end.
 * An I/O's way:
 *
 *	io_submit -> (waiting) -> start -> reap -> io_has_ended -> io_end -> done
 *
 * From io_has_ended it goes back to start as long as there is more to transfer. What holds between
 * any two calls: only when `depth` are under way does anything wait.
 */
#include "base/num.h"
#include "io/backend.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

struct io_context {
	const struct io_ops *ops;
	void *backend;
	unsigned depth;
	unsigned under_way; /* started and not yet at their end */
	struct io_list waiting;
	bool running; /* inside io_run */
};

int io_context_open_on(const struct io_ops *ops, void *backend, unsigned depth,
		       struct io_context **ret)
{
	struct io_context *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->ops = ops;
	c->backend = backend;
	c->depth = depth;
	*ret = c;
	return 0;
}

static int open_uring(unsigned depth, struct io_context **ret)
{
	void *backend;
	int err = io_uring_backend_open(depth, &backend);

	if (err)
		return err;
	err = io_context_open_on(&io_uring_ops, backend, depth, ret);
	if (err)
		io_uring_ops.close(backend);
	return err;
}

static int open_threads(unsigned depth, struct io_context **ret)
{
	void *backend;
	int err = io_threads_backend_open(depth, &backend);

	if (err)
		return err;
	err = io_context_open_on(&io_threads_ops, backend, depth, ret);
	if (err)
		io_threads_ops.close(backend);
	return err;
}

int io_context_open(enum io_kind kind, unsigned depth, struct io_context **ret)
{
	if (depth < 1 || depth > IO_DEPTH_MAX)
		return -EINVAL;
	switch (kind) {
	case IO_URING:
		return open_uring(depth, ret);
	case IO_THREADS:
		return open_threads(depth, ret);
	case IO_AUTO:
		return open_uring(depth, ret) == 0 ? 0 : open_threads(depth, ret);
	}
	return -EINVAL;
}

void io_context_close(struct io_context *c)
{
	if (!c)
		return;
	assert(!c->running);
	assert(c->under_way == 0);
	assert(!c->waiting.first);
	c->ops->close(c->backend);
	free(c);
}

enum io_kind io_context_kind(const struct io_context *c)
{
	return c->ops->kind;
}

static uint64_t iov_bytes(const struct iovec *iov, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

static void io_start_or_wait(struct io_context *c, struct io *io)
{
	if (c->under_way == c->depth) {
		io_list_push(&c->waiting, io);
		return;
	}
	assert(!c->waiting.first);
	c->under_way++;
	c->ops->start(c->backend, io);
}

void io_submit(struct io_context *c, struct io *io)
{
	assert(io->done);
	assert(io->iov_count <= IOV_MAX);
	assert(!io->fua || io->op == IO_WRITE);

	io->moved = 0;
	io->wanted = io->op == IO_FLUSH ? 0 : iov_bytes(io->iov, io->iov_count);
	assert(io->wanted <= INT64_MAX);
	assert(io->offset <= INT64_MAX - io->wanted);
	io_start_or_wait(c, io);
}

/* Takes what was transferred off the vector's front. Elements that are through stay, empty, so that
 * io->iov remains where the owner has put it.
 */
static void io_consume(struct io *io, uint64_t bytes)
{
	assert(bytes <= io->wanted - io->moved);
	io->moved += bytes;
	for (unsigned i = 0; bytes > 0; i++) {
		struct iovec *v = &io->iov[i];
		uint64_t taken = min_u64(bytes, v->iov_len);

		v->iov_base = (uint8_t *)v->iov_base + taken;
		v->iov_len -= taken;
		bytes -= taken;
	}
}

/* Judges an attempt: true when that was all, and io->result is what the owner is told. */
static bool io_has_ended(struct io *io)
{
	int64_t attempt = io->result;

	if (attempt == -EINTR || attempt == -EAGAIN)
		return false;
	if (attempt < 0 || io->op == IO_FLUSH)
		return true;
	io_consume(io, (uint64_t)attempt);
	io->result = (int64_t)io->moved;
	if (io->moved == io->wanted)
		return true;
	if (attempt > 0)
		return false;
	if (io->op == IO_WRITE)
		io->result = -EIO; /* it takes nothing, and does not say why */
	return true;
}

static void io_end(struct io_context *c, struct io *io)
{
	struct io *next = io_list_pop(&c->waiting);

	assert(c->under_way > 0);
	c->under_way--;
	if (next) {
		c->under_way++;
		c->ops->start(c->backend, next);
	}
	io->done(io);
}

static unsigned io_reap(struct io_context *c, bool wait)
{
	struct io_list finished = {0};
	struct io *io;
	unsigned ended = 0;

	if (c->under_way == 0)
		return 0;
	c->ops->reap(c->backend, wait, &finished);
	while ((io = io_list_pop(&finished)) != NULL) {
		if (!io_has_ended(io)) {
			c->ops->start(c->backend, io);
			continue;
		}
		io_end(c, io);
		ended++;
	}
	return ended;
}

unsigned io_run(struct io_context *c, bool wait)
{
	unsigned ended;

	assert(!c->running);
	c->running = true;
	do {
		ended = io_reap(c, wait);
	} while (wait && ended == 0 && c->under_way > 0);
	c->running = false;
	return ended;
}

bool io_may_sleep(struct io_context *c)
{
	return c->ops->may_sleep(c->backend);
}

void io_sleep(struct io_context *c, uint64_t deadline_ns)
{
	c->ops->sleep(c->backend, deadline_ns);
}

unsigned io_run_until(struct io_context *c, uint64_t deadline_ns)
{
	unsigned ended = io_run(c, false);

	if (ended > 0)
		return ended;
	if (io_may_sleep(c))
		io_sleep(c, deadline_ns);
	return io_run(c, false);
}

void io_wake(struct io_context *c)
{
	c->ops->wake(c->backend);
}

int io_context_fd(struct io_context *c)
{
	return c->ops->fd(c->backend);
}

uint64_t io_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
