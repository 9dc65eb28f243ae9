/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shuts the volume down when nbdkit itself aborts. Up to version 1.32 it fails an assertion when a
 * client hangs up while several of its requests are being answered; without this a client could have
 * blocks half written in the modes without journal.
 *
 *	SIGABRT in nbdkit's own code -> that thread stands still -> calls under way come to their end,
 *	new ones are refused -> save -> abort after all
 *
 * An assertion of the library's is another matter: what it knows of the volume cannot be trusted
 * then, and it must not write. So only threads of nbdkit's that are not in a call of ours are rescued
 * from.
 */
#include "plugin.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* Of this thread; read by a signal handler, which must not be the first to make room for it. */
enum where { NOT_NBDKITS, IN_NBDKIT, IN_A_CALL };
static _Thread_local volatile enum where where __attribute__((tls_model("initial-exec")));

static struct {
	void (*save)(void);
	pthread_rwlock_t calls; /* held by each; by the rescue for good */
	sem_t wanted;
	pthread_t thread;
	bool running;
	volatile sig_atomic_t leaving;
} rescue;

bool rescue_enter(void)
{
	if (pthread_rwlock_tryrdlock(&rescue.calls) != 0)
		return false;
	where = IN_A_CALL;
	return true;
}

void rescue_leave(void)
{
	where = IN_NBDKIT;
	pthread_rwlock_unlock(&rescue.calls);
}

static void die(void)
{
	(void)signal(SIGABRT, SIG_DFL);
	abort();
}

static void aborting(int signal_number)
{
	(void)signal_number;
	if (where != IN_NBDKIT) {
		(void)signal(SIGABRT, SIG_DFL); /* which it is when this has returned */
		return;
	}
	(void)sem_post(&rescue.wanted);
	for (;;)
		pause();
}

static void *wait_for_it(void *opaque)
{
	(void)opaque;
	while (sem_wait(&rescue.wanted) < 0)
		continue;
	if (rescue.leaving)
		return NULL;
	pthread_rwlock_wrlock(&rescue.calls);
	rescue.save();
	die();
	return NULL;
}

/* Readers come without end: they must not keep the one writer out. */
static void init_lock(void)
{
	pthread_rwlockattr_t attributes;

	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&rescue.calls, &attributes);
	pthread_rwlockattr_destroy(&attributes);
}

int rescue_start(void (*save)(void))
{
	const struct sigaction action = {.sa_handler = aborting};
	sigset_t all;
	sigset_t before;
	int err;

	rescue.save = save;
	init_lock();
	sem_init(&rescue.wanted, 0, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&rescue.thread, NULL, wait_for_it, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	rescue.running = err == 0;
	if (!err)
		(void)sigaction(SIGABRT, &action, NULL);
	return -err;
}

void rescue_stop(void)
{
	if (!rescue.running)
		return;
	(void)signal(SIGABRT, SIG_DFL);
	rescue.leaving = true;
	(void)sem_post(&rescue.wanted);
	pthread_join(rescue.thread, NULL);
	rescue.running = false;
}
