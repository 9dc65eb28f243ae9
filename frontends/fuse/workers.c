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
#define WORKER_BYTES  (PAGE_BYTES + REQUEST_BYTES + TRANSFER_BYTES_MAX)
#define KICK_SIGNAL   SIGUSR1
#define KICK_MS	      10

struct worker {
	struct workers *all;
	pthread_t thread;
	uint8_t *request;
	uint8_t *reply;
};

struct workers {
	struct fuse_session *session;
	void (*ended)(void *opaque);
	void *opaque;
	bool stopping;	 /* atomic */
	bool told_ended; /* atomic */
	uint8_t *memory;
	size_t memory_bytes;
	unsigned count; /* that run */
	struct worker worker[];
};

/* libfuse hands no pointer of ours to the handlers but the session's. */
static _Thread_local struct worker *self;

uint8_t *workers_buffer(void)
{
	return self->reply;
}

/* ---- A worker ---- */

static bool is_stopping(const struct workers *w)
{
	return __atomic_load_n(&w->stopping, __ATOMIC_ACQUIRE);
}

/* False: there will be none any more. */
static bool take_request(struct worker *me)
{
	struct fuse_session *session = me->all->session;
	struct fuse_buf buf = {.mem = me->request};
	ssize_t n = read(fuse_session_fd(session), me->request, REQUEST_BYTES);

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

static void *work(void *opaque)
{
	struct worker *me = opaque;

	self = me;
	while (!is_stopping(me->all)) {
		if (take_request(me))
			continue;
		if (!is_stopping(me->all))
			tell_ended(me->all);
		break;
	}
	return NULL;
}

/* ---- Starting ---- */

static void ignore(int signal)
{
	(void)signal;
}

/* What is written is behind the header of its request: that is put right before a page's beginning,
 * so that the volume gets pages.
 */
static void give_memory(struct worker *me, uint8_t *memory)
{
	static_assert(HEADER_BYTES < PAGE_BYTES, "the header fits before the data");
	me->request = memory + PAGE_BYTES - HEADER_BYTES;
	me->reply = memory + PAGE_BYTES + REQUEST_BYTES;
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

static int start_all(struct workers *w, unsigned count)
{
	const struct sigaction action = {.sa_handler = ignore};

	sigaction(KICK_SIGNAL, &action, NULL);
	while (w->count < count) {
		struct worker *me = &w->worker[w->count];
		int err;

		me->all = w;
		give_memory(me, w->memory + (size_t)w->count * WORKER_BYTES);
		err = start_thread(me);
		if (err)
			return err;
		w->count++;
	}
	return 0;
}

static int take_memory(struct workers *w, unsigned count)
{
	void *memory;

	w->memory_bytes = (size_t)count * WORKER_BYTES;
	memory = mmap(NULL, w->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	w->memory = memory;
	return 0;
}

int workers_start(struct fuse_session *session, unsigned count, void (*ended)(void *opaque),
		  void *opaque, struct workers **ret)
{
	struct workers *w = calloc(1, sizeof(*w) + count * sizeof(w->worker[0]));
	int err;

	if (!w)
		return -ENOMEM;
	w->session = session;
	w->ended = ended;
	w->opaque = opaque;
	err = take_memory(w, count);
	err = err ?: start_all(w, count);
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
		join(&w->worker[i]);
	if (w->memory)
		munmap(w->memory, w->memory_bytes);
	free(w);
}
