/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The loop of a volume. A request's way:
 *
 *	intact_submit -> queue -> engine_submit -> engine_run … -> done
 *
 * Who puts something where the loop will find it looks at `asleep` afterwards; the loop sets it and
 * then looks once more at all those places. Both do so by an exchange, and one of the two comes
 * first: either the loop sees what was put there, or the other one sees that it has to be woken.
 */
#include "api/api.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- What other threads do ---- */

static void wake(struct intact *v)
{
	if (__atomic_exchange_n(&v->asleep, false, __ATOMIC_ACQ_REL))
		io_wake(v->io);
}

void intact_submit(struct intact *v, struct intact_request *req)
{
	queue_push(&v->queue, req);
	wake(v);
}

static void status_call_push(struct intact *v, struct status_call *call)
{
	call->next = __atomic_load_n(&v->status_calls, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&v->status_calls, &call->next, call, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		continue;
}

void intact_get_status(struct intact *v, struct intact_status *ret)
{
	struct status_call call = {.ret = ret};

	if (v->own_loop) {
		engine_status(v->engine, ret);
		return;
	}
	status_call_push(v, &call);
	wake(v);
	waiter_wait(&call.waiter);
}

void loop_digests_ready(void *opaque)
{
	struct intact *v = opaque;

	__atomic_store_n(&v->digests_ready, true, __ATOMIC_RELEASE);
	wake(v);
}

void loop_close(struct intact *v)
{
	__atomic_store_n(&v->closing, true, __ATOMIC_RELEASE);
	wake(v);
}

/* ---- What the loop does ---- */

static bool take_submitted(struct intact *v)
{
	struct intact_request *req;
	bool any = false;

	while ((req = queue_pop(&v->queue)) != NULL) {
		engine_submit(v->engine, req);
		any = true;
	}
	return any;
}

static void answer_status_calls(struct intact *v)
{
	struct status_call *call, *next;

	if (!__atomic_load_n(&v->status_calls, __ATOMIC_RELAXED))
		return;
	call = __atomic_exchange_n(&v->status_calls, NULL, __ATOMIC_ACQUIRE);
	for (; call; call = next) {
		next = call->next;
		engine_status(v->engine, call->ret);
		waiter_tell(&call->waiter);
	}
}

static bool begin_shutdown(struct intact *v)
{
	if (v->shutting || !__atomic_load_n(&v->closing, __ATOMIC_ACQUIRE))
		return false;
	v->shutting = true;
	engine_shutdown(v->engine);
	return true;
}

static bool take_from_others(struct intact *v)
{
	bool any = take_submitted(v);

	answer_status_calls(v);
	any = __atomic_exchange_n(&v->digests_ready, false, __ATOMIC_ACQ_REL) || any;
	return begin_shutdown(v) || any;
}

/* As long as there is something to do now. */
static void run(struct intact *v)
{
	bool any;

	do {
		any = take_from_others(v);
		any = io_run(v->io, false) > 0 || any;
		any = engine_run(v->engine) || any;
	} while (any);
}

/* Until there is nothing left to do and everybody knows that the loop has to be woken. */
static void run_until_idle(struct intact *v)
{
	__atomic_store_n(&v->asleep, false, __ATOMIC_RELAXED);
	do {
		run(v);
		(void)__atomic_exchange_n(&v->asleep, true, __ATOMIC_ACQ_REL);
	} while (take_from_others(v));
}

int loop_until_shut(struct intact *v)
{
	int result;

	run_until_idle(v);
	while (!engine_is_shut(v->engine, &result)) {
		(void)io_run_until(v->io, engine_deadline_ns(v->engine));
		run_until_idle(v);
	}
	return result;
}

/* ---- A thread of its own ---- */

static void *loop_thread(void *opaque)
{
	return (void *)(intptr_t)loop_until_shut(opaque);
}

/* Signals are the program's; its handlers must not find themselves on our thread. */
int loop_start(struct intact *v)
{
	sigset_t all;
	sigset_t before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&v->thread, NULL, loop_thread, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int loop_join(struct intact *v)
{
	void *result;

	pthread_join(v->thread, &result);
	return (int)(intptr_t)result;
}

/* ---- The caller's ---- */

int intact_fd(const struct intact *v)
{
	return v->fd;
}

void intact_process(struct intact *v)
{
	uint64_t count;
	ssize_t n = read(v->fd, &count, sizeof(count));

	(void)n; /* none: called for the deadline's sake */
	run_until_idle(v);
}

uint64_t intact_deadline_ns(const struct intact *v)
{
	return engine_deadline_ns(v->engine);
}
