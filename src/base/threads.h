/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads of the library. Signals are the program's; its handlers must not find themselves there.
 */
#ifndef INTACT_BASE_THREADS_H
#define INTACT_BASE_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>

/* 0 or negative errno. */
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

/* Timed waits go by CLOCK_MONOTONIC. */
static inline void cond_init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* How many this process may run on. */
static inline unsigned count_cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

#endif
