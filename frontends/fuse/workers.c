/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers.h"

#include <assert.h>
#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES    4096u
#define HEADER_BYTES  (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define REQUEST_BYTES (TRANSFER_BYTES_MAX + PAGE_BYTES) /* the kernel wants room for a whole one */
#define WORK_BYTES    (PAGE_BYTES + REQUEST_BYTES)
#define THREADS_MIN   2u /* one may be running the volume's loop, or wait */
#define THREADS_MAX   4u
#define KICK_SIGNAL   SIGUSR1
#define KICK_MS	      10

struct worker {
	struct workers *all;
	pthread_t thread;
	struct work *work; /* NULL: it was kept */
};

struct workers {
	struct fuse_session *session;
	void (*ended)(void *opaque);
	void *opaque;
	bool stopping;	 /* atomic */
	bool told_ended; /* atomic */
	unsigned count;	 /* of the threads that run */
	struct worker threads[THREADS_MAX];
	uint8_t *memory;
	size_t memory_bytes;
	unsigned depth;

	pthread_mutex_t mutex; /* of what stands below */
	pthread_cond_t returned;
	unsigned waiting;  /* for a return */
	struct work *free; /* the one that was used last comes first: it is in some cache */
	unsigned free_count;
	struct work works[];
};

/* libfuse hands no pointer of ours to the handlers but the session's. */
static _Thread_local struct worker *self;

static bool is_stopping(const struct workers *w)
{
	return __atomic_load_n(&w->stopping, __ATOMIC_ACQUIRE);
}

/* ---- Memory ---- */

struct work *workers_memory(void)
{
	return self->work;
}

void workers_keep(struct work *work)
{
	assert(work == self->work);
	self->work = NULL;
}

void workers_give_back(struct work *work)
{
	struct workers *w = work->all;

	pthread_mutex_lock(&w->mutex);
	work->next = w->free;
	w->free = work;
	w->free_count++;
	if (w->waiting > 0)
		pthread_cond_signal(&w->returned);
	pthread_mutex_unlock(&w->mutex);
}

static void wait_for_return(struct workers *w)
{
	w->waiting++;
	pthread_cond_wait(&w->returned, &w->mutex);
	w->waiting--;
}

/* All of it comes back: requests end, whoever stops. */
static struct work *take_memory(struct workers *w)
{
	struct work *work;

	pthread_mutex_lock(&w->mutex);
	while (!w->free)
		wait_for_return(w);
	work = w->free;
	w->free = work->next;
	w->free_count--;
	pthread_mutex_unlock(&w->mutex);
	return work;
}

static void wait_for_all(struct workers *w)
{
	pthread_mutex_lock(&w->mutex);
	while (w->free_count < w->depth)
		wait_for_return(w);
	pthread_mutex_unlock(&w->mutex);
}

/* ---- A worker ---- */

/* What is written is behind the header of its request: that is put right before a page's beginning,
 * so that the volume gets pages.
 */
static uint8_t *request_of(const struct work *work)
{
	static_assert(HEADER_BYTES < PAGE_BYTES, "the header fits before the data");
	return work->data - HEADER_BYTES;
}

/* False: there will be none any more. */
static bool take_request(struct worker *me)
{
	struct fuse_session *session = me->all->session;
	struct fuse_buf buf = {.mem = request_of(me->work)};
	ssize_t n = read(fuse_session_fd(session), buf.mem, REQUEST_BYTES);

	/* ENOENT: whoever made the request does not wait for it any more. */
	if (n < 0)
		return errno == EINTR || errno == EAGAIN || errno == ENOENT;
	buf.size = (size_t)n;
	fuse_session_process_buf(session, &buf);
	return true;
}

static void tell_ended(struct workers *w)
{
	if (!__atomic_exchange_n(&w->told_ended, true, __ATOMIC_ACQ_REL))
		w->ended(w->opaque);
}

static void take_requests(struct worker *me)
{
	while (!is_stopping(me->all)) {
		me->work = me->work ?: take_memory(me->all);
		if (take_request(me))
			continue;
		if (!is_stopping(me->all))
			tell_ended(me->all);
		return;
	}
}

static void *work(void *opaque)
{
	struct worker *me = opaque;

	self = me;
	take_requests(me);
	if (me->work)
		workers_give_back(me->work);
	return NULL;
}

/* ---- Starting ---- */

static void ignore(int signal)
{
	(void)signal;
}

/* They take the signal that wakes them from waiting and no other. */
static int start_thread(struct worker *me)
{
	sigset_t others;
	sigset_t before;
	int err;

	sigfillset(&others);
	sigdelset(&others, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	err = pthread_create(&me->thread, NULL, work, me);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static unsigned threads_wanted(const struct workers *w)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = cores < THREADS_MAX ? (unsigned)cores : THREADS_MAX;

	count = count > THREADS_MIN ? count : THREADS_MIN;
	return count < w->depth ? count : w->depth;
}

static int start_all(struct workers *w)
{
	const struct sigaction action = {.sa_handler = ignore};
	unsigned count = threads_wanted(w);

	sigaction(KICK_SIGNAL, &action, NULL);
	while (w->count < count) {
		struct worker *me = &w->threads[w->count];
		int err;

		me->all = w;
		err = start_thread(me);
		if (err)
			return err;
		w->count++;
	}
	return 0;
}

static int map_memory(struct workers *w)
{
	void *memory;

	w->memory_bytes = (size_t)w->depth * WORK_BYTES;
	memory = mmap(NULL, w->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	w->memory = memory;
	for (unsigned i = 0; i < w->depth; i++) {
		w->works[i].data = w->memory + (size_t)i * WORK_BYTES + PAGE_BYTES;
		w->works[i].all = w;
		workers_give_back(&w->works[i]);
	}
	return 0;
}

int workers_start(struct fuse_session *session, unsigned depth, void (*ended)(void *opaque),
		  void *opaque, struct workers **ret)
{
	struct workers *w = calloc(1, sizeof(*w) + depth * sizeof(w->works[0]));
	int err;

	if (!w)
		return -ENOMEM;
	w->session = session;
	w->ended = ended;
	w->opaque = opaque;
	w->depth = depth;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->returned, NULL);
	err = map_memory(w);
	err = err ?: start_all(w);
	if (err) {
		workers_stop(w);
		return err;
	}
	*ret = w;
	return 0;
}

/* ---- Stopping ---- */

/* The signal may come right before it begins to wait, and is lost then. */
static void join(const struct worker *me)
{
	for (;;) {
		struct timespec until;

		(void)pthread_kill(me->thread, KICK_SIGNAL);
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += KICK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		if (pthread_timedjoin_np(me->thread, NULL, &until) == 0)
			return;
	}
}

void workers_stop(struct workers *w)
{
	if (!w)
		return;
	__atomic_store_n(&w->stopping, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < w->count; i++)
		join(&w->threads[i]);
	if (w->memory) {
		wait_for_all(w);
		munmap(w->memory, w->memory_bytes);
	}
	pthread_cond_destroy(&w->returned);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}
