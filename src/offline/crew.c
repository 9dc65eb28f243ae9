/* SPDX-License-Identifier: BSD-2-Clause */
#include "offline/crew.h"

#include "base/num.h"
#include "base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define JOBS_MAX 64
#define WINDOW	 1024u /* pieces that may be done before the first that is not */
#define TICK_NS	 100000000ull

struct hand {
	struct party *party;
	void *own;
	pthread_t thread;
};

struct party {
	const struct crew *crew;
	struct hand *hands;
	unsigned count; /* with something of their own */

	pthread_mutex_t mutex; /* for all of the following */
	pthread_cond_t gone;   /* a thread has ended: the caller waits */
	pthread_cond_t room;   /* in the window, or it is over: threads wait */
	bool done[WINDOW];
	uint64_t next; /* piece to be taken */
	uint64_t finished;
	unsigned running;
	bool over;
	int error;
};

/* ---- Threads; the mutex is held but for the work itself ---- */

static void give_up(struct party *p, int error)
{
	if (p->error == 0)
		p->error = error;
	p->over = true;
	pthread_cond_broadcast(&p->room);
}

static void mark_done(struct party *p, uint64_t piece)
{
	p->done[piece % WINDOW] = true;
	while (p->done[p->finished % WINDOW]) {
		p->done[p->finished % WINDOW] = false;
		p->finished++;
	}
	pthread_cond_broadcast(&p->room);
}

static bool take_piece(struct party *p, uint64_t *ret)
{
	while (!p->over && p->next < p->crew->pieces && p->next >= p->finished + WINDOW)
		pthread_cond_wait(&p->room, &p->mutex);
	if (p->over || p->next >= p->crew->pieces)
		return false;
	*ret = p->next++;
	return true;
}

static void *hand_main(void *opaque)
{
	struct hand *hand = opaque;
	struct party *p = hand->party;
	uint64_t piece;

	pthread_mutex_lock(&p->mutex);
	while (take_piece(p, &piece)) {
		int r;

		pthread_mutex_unlock(&p->mutex);
		r = p->crew->work(hand->own, piece);
		pthread_mutex_lock(&p->mutex);
		if (r < 0)
			give_up(p, r);
		else
			mark_done(p, piece);
	}
	p->running--;
	pthread_cond_signal(&p->gone);
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

/* ---- The caller ---- */

static int start_hand(struct party *p, struct hand *hand)
{
	int r;

	pthread_mutex_lock(&p->mutex);
	p->running++;
	pthread_mutex_unlock(&p->mutex);
	r = thread_start(&hand->thread, hand_main, hand);
	if (r == 0)
		return 0;
	pthread_mutex_lock(&p->mutex);
	p->running--;
	pthread_mutex_unlock(&p->mutex);
	return r;
}

static void supervise(struct party *p)
{
	const struct crew *crew = p->crew;

	pthread_mutex_lock(&p->mutex);
	while (p->running > 0) {
		struct timespec until;
		uint64_t finished;
		int r;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += TICK_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&p->gone, &p->mutex, &until) != ETIMEDOUT)
			continue;
		finished = p->finished;
		pthread_mutex_unlock(&p->mutex);
		r = crew->tick(crew->opaque, finished);
		pthread_mutex_lock(&p->mutex);
		if (r < 0)
			give_up(p, r);
	}
	pthread_mutex_unlock(&p->mutex);
}

/* Fewer threads than were wanted will do. */
static int run(struct party *p)
{
	unsigned started = 0;
	int r = 0;

	for (; started < p->count; started++) {
		r = start_hand(p, &p->hands[started]);
		if (r < 0)
			break;
	}
	supervise(p);
	for (unsigned i = 0; i < started; i++)
		pthread_join(p->hands[i].thread, NULL);
	return started > 0 ? p->error : r;
}

static int open_hands(struct party *p, unsigned jobs)
{
	p->hands = calloc(jobs, sizeof(*p->hands));
	if (!p->hands)
		return -ENOMEM;
	for (; p->count < jobs; p->count++) {
		struct hand *hand = &p->hands[p->count];
		int r = p->crew->begin(p->crew->opaque, &hand->own);

		if (r < 0)
			return r;
		hand->party = p;
	}
	return 0;
}

static void close_hands(struct party *p)
{
	for (unsigned i = 0; i < p->count; i++)
		p->crew->end(p->hands[i].own);
	free(p->hands);
}

static void init_locks(struct party *p)
{
	pthread_mutex_init(&p->mutex, NULL);
	cond_init_monotonic(&p->gone);
	pthread_cond_init(&p->room, NULL);
}

static void done_locks(struct party *p)
{
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->gone);
	pthread_mutex_destroy(&p->mutex);
}

int crew_run(const struct crew *crew, uint64_t *ret_finished)
{
	struct party p = {.crew = crew};
	unsigned jobs = (unsigned)min_u64(crew->jobs ?: count_cores(), JOBS_MAX);
	int r = 0;

	*ret_finished = 0;
	if (crew->pieces == 0)
		return 0;
	init_locks(&p);
	r = open_hands(&p, (unsigned)min_u64(jobs, crew->pieces));
	r = r ?: run(&p);
	close_hands(&p);
	done_locks(&p);
	*ret_finished = p.finished;
	return r;
}
