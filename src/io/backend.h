/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands behind an I/O context: io_uring, threads, or in a test whatever it needs. A backend
 * makes single attempts; the context decides whether an attempt was all (context.c).
 */
#ifndef INTACT_IO_BACKEND_H
#define INTACT_IO_BACKEND_H

#include "io/io.h"

#define IO_DEPTH_MAX 4096u

/* First in, first out, threaded through io->next. All zero is empty. */
struct io_list {
	struct io *first;
	struct io **end; /* where the next one goes; NULL means &first */
};

static inline void io_list_push(struct io_list *list, struct io *io)
{
	if (!list->first)
		list->end = &list->first;
	io->next = NULL;
	*list->end = io;
	list->end = &io->next;
}

/* NULL when there is none. */
static inline struct io *io_list_pop(struct io_list *list)
{
	struct io *io = list->first;

	if (io)
		list->first = io->next;
	return io;
}

struct io_ops {
	enum io_kind kind;

	/* Begins one attempt at the rest of the I/O: io->iov at io->offset + io->moved, now or at
	 * the next reap. It cannot fail, must not wait, and io stays the backend's until it is
	 * reaped. No more than the context's depth are ever between start and reap.
	 */
	void (*start)(void *backend, struct io *io);

	/* Appends what has finished, io->result set to what the system call would return or to a
	 * negative errno. With wait, sleeps until there is something; the context asks for that
	 * only when an attempt is under way.
	 */
	void (*reap)(void *backend, bool wait, struct io_list *finished);

	void (*close)(void *backend);

	/* For owners who wait for more than I/O; NULL in backends that have no such owner. sleep
	 * returns when there is something to reap, after a wake since the last sleep, or at the
	 * deadline; wake is called on any thread. Before it sleeps the owner calls may_sleep, and
	 * does not sleep when that is false; beside the sleep itself other threads may start and
	 * reap. fd is what io_context_fd describes; no sleep follows it.
	 */
	bool (*may_sleep)(void *backend);
	void (*sleep)(void *backend, uint64_t deadline_ns);
	void (*wake)(void *backend);
	int (*fd)(void *backend);
};

/* A context on top of a backend, which it closes in the end; on failure it does not. */
int io_context_open_on(const struct io_ops *ops, void *backend, unsigned depth,
		       struct io_context **ret);

/* The descriptor for this one. */
int io_fd(const struct io *io);

/* One attempt by a system call: what that returned, or negative errno. */
int64_t io_attempt(const struct io *io);

extern const struct io_ops io_uring_ops;
int io_uring_backend_open(unsigned depth, void **ret);

extern const struct io_ops io_threads_ops;
int io_threads_backend_open(unsigned depth, void **ret);

#endif
