/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a request:
 *
 *	digest_submit -> backlog -> batch with the driver (… -> backlog …) -> finished -> done
 *
 * A request is in the backlog whenever nothing of it is with the driver: before it is, as long as
 * the driver is busy, when only a part of its messages was within the depth, and when the key was
 * lost. The backlog is in the order of arrival, whoever comes back.
 *
 * A synchronous driver computes inside digest_submit, and the request waits in `finished` like any
 * other until digest_poll.
 */
#include "digest/digest.h"

#include "base/message.h"
#include "base/num.h"
#include "digest/internal.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

/* The same request may lose its key so often; then there is none. */
#define KEYS_LOST_MAX 3

static_assert(sizeof(struct digest_request) % 16 == 0, "the driver's memory is aligned");
static_assert(offsetof(struct digest_request, batch) +
			      ((sizeof(struct intact_digest_batch) + 15) & ~(size_t)15) ==
		      sizeof(struct digest_request),
	      "the driver's memory is behind the request");

/* ---- Queues ---- */

static void queue_push(struct queue *q, struct digest_request *req)
{
	req->next = NULL;
	*q->end = req;
	q->end = &req->next;
}

/* By number; new ones have the highest. */
static void queue_insert(struct queue *q, struct digest_request *req)
{
	struct digest_request **at = &q->first;

	while (*at && (*at)->number < req->number)
		at = &(*at)->next;
	req->next = *at;
	*at = req;
	if (!req->next)
		q->end = &req->next;
}

static struct digest_request *queue_pop(struct queue *q)
{
	struct digest_request *req = q->first;

	if (!req)
		return NULL;
	q->first = req->next;
	if (!q->first)
		q->end = &q->first;
	return req;
}

/* ---- What it is ---- */

const struct intact_digest_algorithm *digest_algorithm(const struct digest *d)
{
	return d->algorithm;
}

const char *digest_driver_name(const struct digest *d)
{
	return d->driver->name;
}

bool digest_is_synchronous(const struct digest *d)
{
	return d->synchronous;
}

bool digest_is_by_cores(const struct digest *d)
{
	return d->synchronous &&
	       !(d->driver->flags & (INTACT_DRIVER_HARDWARE | INTACT_DRIVER_KEY_OUTSIDE));
}

size_t digest_tag_bytes(const struct digest *d)
{
	return d->shape.tag_bytes;
}

size_t digest_request_bytes(const struct digest *d)
{
	size_t behind = d->synchronous ? 0 : d->driver->batch_bytes;

	return round_up_pow2(sizeof(struct digest_request) + behind, REQUEST_BYTES_ALIGN);
}

/* ---- Batches ---- */

static struct digest_request *request_of(struct intact_digest_batch *batch)
{
	return (struct digest_request *)((uint8_t *)batch - offsetof(struct digest_request, batch));
}

/* The next `count` messages that have no tags yet. */
static void batch_fill(struct digest_request *req, uint32_t count)
{
	size_t first = req->finished;

	req->batch = (struct intact_digest_batch){
		.data = req->data ? req->data + first * req->stride_bytes : NULL,
		.message_bytes = req->message_bytes,
		.stride_bytes = req->stride_bytes,
		.count = count,
		.flags = req->flags,
		.sector = req->sector + first * req->sector_step,
		.sector_step = req->sector_step,
		.tags = req->tags + first * req->tag_stride_bytes,
		.tag_stride_bytes = req->tag_stride_bytes,
	};
}

static void finish(struct digest *d, struct digest_request *req, int result)
{
	req->result = result;
	if (req == d->once)
		req->in_flight = false; /* digest_once looks at that */
	else
		queue_push(&d->finished, req);
}

/* ---- Keys that are lost ---- */

/* Derives the key again, unless that has been done since the batch was submitted. */
static int key_derive(struct digest *d, const struct digest_request *req)
{
	if (req->key != d->key)
		return 0;
	d->key++;
	message_warning(d->log, "%s: driver %s has lost its key, which is derived again", d->what,
			d->driver->name);
	return d->driver->rederive(d->instance);
}

/* True: the request goes on with what has no tags yet. */
static bool key_recovered(struct digest *d, struct digest_request *req)
{
	if (!d->driver->rederive || req->keys_lost == KEYS_LOST_MAX)
		return false;
	req->keys_lost++;
	return key_derive(d, req) == 0;
}

/* ---- The synchronous face ---- */

static int compute(struct digest *d, struct digest_request *req)
{
	int r;

	do {
		batch_fill(req, req->count);
		req->key = d->key;
		r = d->driver->compute(d->instance, &req->batch);
	} while (r == -EKEYEXPIRED && key_recovered(d, req));
	if (r == 0)
		req->finished = req->count;
	return r;
}

/* ---- The asynchronous face ---- */

/* A batch is not with the driver any more, or never was. */
static void batch_over(struct digest *d, struct digest_request *req, int result)
{
	if (result == 0)
		req->finished += req->batch.count;
	if (result == 0 && req->finished == req->count)
		finish(d, req, 0);
	else if (result == 0 || (result == -EKEYEXPIRED && key_recovered(d, req)))
		queue_insert(&d->backlog, req);
	else
		finish(d, req, result);
}

/* As many messages as the depth allows. False: the driver is busy, or that is none. */
static bool offer(struct digest *d, struct digest_request *req)
{
	uint32_t left = req->count - req->finished;
	int r;

	if (d->messages >= d->depth)
		return false;
	batch_fill(req, (uint32_t)min_u64(left, d->depth - d->messages));
	memset(intact_digest_batch_behind(&req->batch), 0, d->driver->batch_bytes);
	req->key = d->key;
	r = d->driver->submit(d->instance, &req->batch);
	if (r == -EBUSY)
		return false;
	if (r < 0)
		batch_over(d, req, r);
	else
		d->messages += req->batch.count;
	return true;
}

static void offer_backlog(struct digest *d)
{
	struct digest_request *req;

	while ((req = queue_pop(&d->backlog)))
		if (!offer(d, req)) {
			queue_insert(&d->backlog, req);
			return;
		}
}

/* Takes what the driver has finished, which it lists last first. */
static void collect(struct digest *d, void (*face)(void *, struct intact_digest_batch **))
{
	struct intact_digest_batch *newest = NULL;
	struct intact_digest_batch *oldest = NULL;

	if (d->messages == 0)
		return;
	face(d->instance, &newest);
	while (newest) {
		struct intact_digest_batch *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct intact_digest_batch *next = oldest->next;

		assert(d->messages >= oldest->count);
		d->messages -= oldest->count;
		batch_over(d, request_of(oldest), oldest->result);
		oldest = next;
	}
}

/* ---- Requests ---- */

static void request_start(struct digest *d, struct digest_request *req)
{
	assert(req->count > 0);
	req->result = 0;
	req->finished = 0;
	req->keys_lost = 0;
	req->number = d->number++;
	req->in_flight = true;
}

void digest_submit(struct digest *d, struct digest_request *req)
{
	assert(!req->in_flight);
	request_start(d, req);
	d->in_flight++;
	if (d->synchronous) {
		finish(d, req, compute(d, req));
		return;
	}
	queue_push(&d->backlog, req);
	if (d->backlog.first == req)
		offer_backlog(d);
}

/* Only of what has finished by now: a `done` may submit again, and a synchronous driver would keep
 * us here for ever.
 */
static unsigned run_done(struct digest *d)
{
	struct queue finished = d->finished;
	struct digest_request *req = finished.first;
	unsigned count = 0;

	queue_init(&d->finished);
	while (req) {
		struct digest_request *next = req->next;

		assert(req->in_flight);
		req->in_flight = false;
		d->in_flight--;
		count++;
		if (req->done)
			req->done(req);
		req = next;
	}
	return count;
}

unsigned digest_poll(struct digest *d)
{
	if (!d->synchronous) {
		collect(d, d->driver->poll);
		offer_backlog(d);
	}
	return run_done(d);
}

bool digest_must_poll(const struct digest *d)
{
	return !d->synchronous && !(d->driver->flags & INTACT_DRIVER_WAKES) &&
	       (d->messages > 0 || d->backlog.first);
}

/* One turn of waiting: a device may be busy with the work of others, so ours waits as long as it
 * takes.
 */
static void drain_once(struct digest *d)
{
	offer_backlog(d);
	if (d->messages == 0 && d->backlog.first)
		sched_yield();
	collect(d, d->driver->flush);
}

void digest_flush(struct digest *d)
{
	if (!d->synchronous) {
		do
			drain_once(d);
		while (d->backlog.first || d->messages > 0);
	}
	run_done(d);
}

static int once_sync(struct digest *d, struct digest_request *req)
{
	request_start(d, req);
	return compute(d, req);
}

static int once_async(struct digest *d, const struct digest_request *req)
{
	*d->once = *req;
	request_start(d, d->once);
	queue_push(&d->backlog, d->once);
	while (d->once->in_flight)
		drain_once(d);
	return d->once->result;
}

int digest_once(struct digest *d, const void *message, size_t bytes, uint8_t *tag)
{
	struct digest_request req = {
		.data = message,
		.message_bytes = bytes,
		.count = 1,
		.tags = tag,
		.tag_stride_bytes = d->shape.tag_bytes,
	};

	return d->synchronous ? once_sync(d, &req) : once_async(d, &req);
}
