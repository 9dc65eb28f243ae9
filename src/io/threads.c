/* SPDX-License-Identifier: BSD-2-Clause
 *
 * I/O by a pool of threads, for where io_uring is denied, or may not have the kernel start threads when
 * it likes: these are all there from the start. One lock guards both lists; an I/O is the
 * thread's that took it off `todo` until it is on `finished`.
 */
#include "io/backend.h"

#include "base/threads.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MAX 16u

struct threads {
	pthread_mutex_t lock;
	pthread_cond_t todo_more;     /* or stop was set */
	pthread_cond_t finished_more; /* or woken was set */
	struct io_list todo;
	struct io_list finished;
	bool stop;
	bool woken; /* since the last sleep */
	int fd;	    /* eventfd of an owner who sleeps in poll; -1: of one who does not */
	unsigned count;
	pthread_t thread[THREADS_MAX];
};

/* Tells the owner, wherever it sleeps. With the lock held. */
static void tell(struct threads *t)
{
	static const uint64_t one = 1;

	pthread_cond_signal(&t->finished_more);
	if (t->fd >= 0 && write(t->fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN); /* it has been told often enough */
}

/* The next I/O, or NULL when the pool stops. With the lock held. */
static struct io *take(struct threads *t)
{
	while (!t->todo.first && !t->stop)
		pthread_cond_wait(&t->todo_more, &t->lock);
	return io_list_pop(&t->todo);
}

static void *work(void *opaque)
{
	struct threads *t = opaque;
	struct io *io;

	pthread_mutex_lock(&t->lock);
	while ((io = take(t)) != NULL) {
		pthread_mutex_unlock(&t->lock);
		io->result = io_attempt(io);
		pthread_mutex_lock(&t->lock);
		io_list_push(&t->finished, io);
		tell(t);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static int spawn(struct threads *t, unsigned count)
{
	int err = 0;

	while (!err && t->count < count) {
		err = thread_start(&t->thread[t->count], work, t);
		if (!err)
			t->count++;
	}
	return err;
}

int io_threads_backend_open(unsigned depth, void **ret)
{
	struct threads *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->fd = -1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->todo_more, NULL);
	cond_init_monotonic(&t->finished_more); /* as deadlines are given */
	err = spawn(t, depth < THREADS_MAX ? depth : THREADS_MAX);
	if (err) {
		io_threads_ops.close(t);
		return err;
	}
	*ret = t;
	return 0;
}

static void threads_close(void *backend)
{
	struct threads *t = backend;

	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->todo_more);
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < t->count; i++)
		pthread_join(t->thread[i], NULL);
	pthread_cond_destroy(&t->finished_more);
	pthread_cond_destroy(&t->todo_more);
	pthread_mutex_destroy(&t->lock);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

static void threads_start(void *backend, struct io *io)
{
	struct threads *t = backend;

	pthread_mutex_lock(&t->lock);
	io_list_push(&t->todo, io);
	pthread_cond_signal(&t->todo_more);
	pthread_mutex_unlock(&t->lock);
}

static void threads_reap(void *backend, bool wait, struct io_list *finished)
{
	struct threads *t = backend;
	struct io *io;

	pthread_mutex_lock(&t->lock);
	while (wait && !t->finished.first)
		pthread_cond_wait(&t->finished_more, &t->lock);
	while ((io = io_list_pop(&t->finished)) != NULL)
		io_list_push(finished, io);
	pthread_mutex_unlock(&t->lock);
}

/* The sleep itself looks, with the lock. */
static bool threads_may_sleep(void *backend)
{
	(void)backend;
	return true;
}

static void threads_sleep(void *backend, uint64_t deadline_ns)
{
	struct threads *t = backend;
	const struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u),
	};
	int err = 0;

	pthread_mutex_lock(&t->lock);
	while (!t->finished.first && !t->woken && err == 0)
		err = deadline_ns == UINT64_MAX
			      ? pthread_cond_wait(&t->finished_more, &t->lock)
			      : pthread_cond_timedwait(&t->finished_more, &t->lock, &deadline);
	t->woken = false;
	pthread_mutex_unlock(&t->lock);
}

static void threads_wake(void *backend)
{
	struct threads *t = backend;

	pthread_mutex_lock(&t->lock);
	t->woken = true;
	tell(t);
	pthread_mutex_unlock(&t->lock);
}

static int threads_fd(void *backend)
{
	struct threads *t = backend;

	pthread_mutex_lock(&t->lock);
	if (t->fd < 0)
		t->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_unlock(&t->lock);
	return t->fd < 0 ? -errno : t->fd;
}

const struct io_ops io_threads_ops = {
	.kind = IO_THREADS,
	.start = threads_start,
	.reap = threads_reap,
	.close = threads_close,
	.may_sleep = threads_may_sleep,
	.sleep = threads_sleep,
	.wake = threads_wake,
	.fd = threads_fd,
};
