/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The loop of a volume. A request's way:
 *
 *	intact_submit -> queue -> engine_submit -> engine_run … -> done
 *
 * Who puts something where the loop will find it looks at `asleep` afterwards; the loop sets it and
 * then looks once more at all those places. Both do so by an exchange, and one of the two comes
 * first: either the loop sees what was put there, or the other one sees that it has to be woken.
 *
 * The loop has a thread, but it is not always that which runs it: who is about to wait for a request,
 * or lends his thread with it, and finds the loop asleep runs it himself, as a guest. When everything
 * is in memory nothing has to be waited for, and going to another thread and back would take longer
 * than the request. One thread runs at a time, the one that holds `running`; the loop's own lets go of
 * it to sleep.
 */
#include "api/api.h"

#include "base/threads.h"

#include <stdlib.h>
#include <unistd.h>

/* Turns that a guest does after its request is over, while there is always more to do. */
#define GUEST_TURNS 4

/* Turns after which those that were told are woken, while there is always more to do. */
#define WAKE_TURNS 4

/* Tries to become a guest: about as long as the loop takes from its last look to letting go. */
#define GUEST_TRIES 50

/* ---- What other threads do ---- */

static void wake(struct intact *v)
{
	if (__atomic_exchange_n(&v->asleep, false, __ATOMIC_ACQ_REL))
		io_wake(v->io);
}

void intact_submit(struct intact *v, struct intact_request *req)
{
	req->made_tags = NULL;
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

int loop_change(struct intact *v, struct change *change)
{
	__atomic_store_n(&v->change, change, __ATOMIC_RELEASE);
	wake(v);
	waiter_wait(&change->waiter);
	return change->result;
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

	if (v->draining)
		return false;
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

static void wake_all(struct wakes *w)
{
	for (unsigned i = 0; i < w->count; i++)
		waiter_wake(w->waiters[i]);
	w->count = 0;
}

/* Who is woken may get the processor of who wakes him, and the loop would stand still. So that is
 * done when the loop is let go of; but soon.
 */
void loop_tell(struct intact *v, struct waiter *waiter)
{
	struct wakes *w = &v->wakes;

	if (!waiter_set_told(waiter))
		return;
	if (w->count == WAKES_MAX)
		wake_all(w);
	if (w->count == 0)
		w->turns_left = WAKE_TURNS;
	w->waiters[w->count++] = waiter;
}

/* What can be done now; false when that was nothing. */
static bool turn(struct intact *v)
{
	bool any = take_from_others(v);

	any = io_run(v->io, false) > 0 || any;
	any = engine_run(v->engine) || any;
	if (v->wakes.count > 0 && v->wakes.turns_left-- == 0)
		wake_all(&v->wakes);
	return any;
}

/* Returns who is to be woken now. */
static struct wakes let_go(struct intact *v)
{
	struct wakes told = v->wakes;

	v->wakes.count = 0;
	pthread_mutex_unlock(&v->running);
	return told;
}

static void let_go_and_wake(struct intact *v)
{
	struct wakes told = let_go(v);

	wake_all(&told);
}

/* A change has come that has not begun. */
static bool must_change(struct intact *v)
{
	return !v->draining && __atomic_load_n(&v->change, __ATOMIC_ACQUIRE);
}

/* False: there is something to do after all. */
static bool fall_asleep(struct intact *v)
{
	(void)__atomic_exchange_n(&v->asleep, true, __ATOMIC_ACQ_REL);
	return !take_from_others(v) && !must_change(v);
}

static void run_until_idle(struct intact *v)
{
	__atomic_store_n(&v->asleep, false, __ATOMIC_RELAXED);
	do {
		while (turn(v) || change_run(v))
			continue;
	} while (!fall_asleep(v));
}

/* Guests may run meanwhile. */
static void sleep_until_due(struct intact *v)
{
	uint64_t deadline_ns = engine_deadline_ns(v->engine);

	if (!io_may_sleep(v->io))
		return;
	v->sleeping_until_ns = deadline_ns;
	let_go_and_wake(v);
	io_sleep(v->io, deadline_ns);
	pthread_mutex_lock(&v->running);
	v->sleeping_until_ns = 0;
}

/* An engine that is shut for a change is not the end. */
static bool is_shut(struct intact *v, int *ret_result)
{
	return v->shutting && engine_is_shut(v->engine, ret_result);
}

int loop_until_shut(struct intact *v)
{
	int result;

	pthread_mutex_lock(&v->running);
	run_until_idle(v);
	while (!is_shut(v, &result)) {
		sleep_until_due(v);
		run_until_idle(v);
	}
	let_go_and_wake(v);
	return result;
}

/* ---- Guests ---- */

/* True: the loop's thread is to go on. A guest who waits does not stay for the others' sake for long;
 * one who does not (waiter: NULL) stays until nothing can be done. Changes are left to that thread:
 * they wait for their I/O.
 */
static bool run_as_guest(struct intact *v, const struct waiter *waiter)
{
	unsigned turns_left = GUEST_TURNS;

	do {
		while (turn(v)) {
			if (waiter && waiter_is_told(waiter) && turns_left-- == 0)
				return true;
		}
		if (must_change(v))
			return true;
	} while (!fall_asleep(v));
	return !io_may_sleep(v->io) || engine_deadline_ns(v->engine) < v->sleeping_until_ns;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* The loop has fallen asleep, so who has it is about to let go of it. Not to wait for that would cost
 * two wake-ups: of the loop's thread, and by it.
 */
static bool become_guest(struct intact *v)
{
	for (unsigned i = 0; i < GUEST_TRIES && !v->own_loop; i++) {
		if (pthread_mutex_trylock(&v->running) == 0)
			return true;
		relax();
	}
	return false;
}

static void submit_and_run(struct intact *v, struct intact_request *req,
			   const struct waiter *waiter)
{
	struct wakes told;
	bool to_go_on = true;

	told.count = 0;
	req->made_tags = NULL;
	if (v->tagging)
		tagging_make(v->tagging, req);
	queue_push(&v->queue, req);
	if (__atomic_exchange_n(&v->asleep, false, __ATOMIC_ACQ_REL)) {
		if (become_guest(v)) {
			to_go_on = v->draining || run_as_guest(v, waiter);
			told = let_go(v);
		}
		if (to_go_on)
			io_wake(v->io);
		wake_all(&told);
	}
}

void loop_submit_and_wait(struct intact *v, struct intact_request *req, struct waiter *waiter)
{
	submit_and_run(v, req, waiter);
	waiter_wait(waiter);
}

void intact_submit_and_run(struct intact *v, struct intact_request *req)
{
	submit_and_run(v, req, NULL);
}

/* ---- A thread of its own ---- */

static void *loop_thread(void *opaque)
{
	return (void *)(intptr_t)loop_until_shut(opaque);
}

int loop_start(struct intact *v)
{
	return thread_start(&v->thread, loop_thread, v);
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
	wake_all(&v->wakes);
}

uint64_t intact_deadline_ns(const struct intact *v)
{
	return engine_deadline_ns(v->engine);
}
