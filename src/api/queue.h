/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests on their way from any thread to the volume's loop. Who pushes never waits and never
 * repeats; who pops is one thread. First in, first out as far as threads can tell.
 *
 * The list is threaded through the requests, from the oldest to the newest. A push first makes its
 * request the newest and then links the one before to it; in between, the list is cut, and what lies
 * behind the cut is not popped yet.
 */
#ifndef INTACT_API_QUEUE_H
#define INTACT_API_QUEUE_H

#include <intact.h>

struct queue {
	struct intact_request *newest;
	struct intact_request *oldest;	/* the popping thread's */
	struct intact_request sentinel; /* in the list whenever nothing else would be */
};

static inline void queue_init(struct queue *q)
{
	q->sentinel.next = NULL;
	q->newest = &q->sentinel;
	q->oldest = &q->sentinel;
}

static inline void queue_push(struct queue *q, struct intact_request *req)
{
	struct intact_request *before;

	__atomic_store_n(&req->next, NULL, __ATOMIC_RELAXED);
	before = __atomic_exchange_n(&q->newest, req, __ATOMIC_ACQ_REL);
	__atomic_store_n(&before->next, req, __ATOMIC_RELEASE);
}

static inline struct intact_request *queue_next(struct intact_request *req)
{
	return __atomic_load_n(&req->next, __ATOMIC_ACQUIRE);
}

/* NULL: nothing, or nothing before a push that is not finished. Nobody touches the request any more
 * when it is returned.
 */
static inline struct intact_request *queue_pop(struct queue *q)
{
	struct intact_request *oldest = q->oldest;
	struct intact_request *next = queue_next(oldest);

	if (oldest == &q->sentinel) {
		if (!next)
			return NULL;
		q->oldest = next;
		oldest = next;
		next = queue_next(oldest);
	}
	if (!next) {
		/* The last one can go only when another follows it. */
		if (__atomic_load_n(&q->newest, __ATOMIC_ACQUIRE) != oldest)
			return NULL;
		queue_push(q, &q->sentinel);
		next = queue_next(oldest);
		if (!next)
			return NULL;
	}
	q->oldest = next;
	return oldest;
}

#endif
