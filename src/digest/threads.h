/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads of a driver. Signals are the program's; its handlers must not find themselves there.
 */
#ifndef INTACT_DIGEST_THREADS_H
#define INTACT_DIGEST_THREADS_H

#include <pthread.h>
#include <signal.h>

static inline int thread_start(pthread_t *ret, void *(*body)(void *), void *opaque)
{
	sigset_t all;
	sigset_t before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret, NULL, body, opaque);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static inline void cond_init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

#endif
