/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a request:
 *
 *	digest_submit -> (backlog, while the driver is busy) -> driver -> finished -> done
 *
 * A synchronous driver computes inside digest_submit, and the request waits in `finished` like any
 * other until digest_poll.
 */
#include "digest/digest.h"

#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"
#include "digest/drivers.h"
#include "digest/select.h"
#include "digest/selftest.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define TAG_BYTES_MAX	    255
#define REQUEST_BYTES_ALIGN 64

struct queue {
	struct digest_request *first;
	struct digest_request **end; /* where the next one is linked */
};

struct digest {
	const struct digest_algorithm *algorithm;
	const struct digest_driver *driver;
	void *instance;
	bool synchronous;
	struct digest_shape shape;
	struct queue backlog;	     /* refused by a busy driver, or behind one that was */
	struct queue finished;	     /* `done` not yet run */
	unsigned in_flight;	     /* submitted, `done` not yet run */
	struct digest_request *once; /* digest_once's, for an asynchronous driver */
};

/* ---- Queues ---- */

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void queue_push(struct queue *q, struct digest_request *req)
{
	req->next = NULL;
	*q->end = req;
	q->end = &req->next;
}

static void queue_push_front(struct queue *q, struct digest_request *req)
{
	req->next = q->first;
	q->first = req;
	if (q->end == &q->first)
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

/* ---- Open and close ---- */

static int check_key(const struct digest_spec *spec, const struct intact_log *log)
{
	const struct digest_algorithm *a = spec->algorithm;

	if (a->keyed && spec->key_bytes == 0) {
		message_error(log, "%s %s: key required", spec->parameter, a->name);
		return -ENOKEY;
	}
	if (!a->keyed && spec->key_bytes > 0) {
		message_error(log, "%s %s: a key was given, but it takes none", spec->parameter,
			      a->name);
		return -EINVAL;
	}
	if (spec->key_bytes > DIGEST_KEY_BYTES_MAX) {
		message_error(log, "%s %s: key of %zu bytes, at most %d are allowed",
			      spec->parameter, a->name, spec->key_bytes, DIGEST_KEY_BYTES_MAX);
		return -EINVAL;
	}
	if (a->hash == DIGEST_AES_CMAC && spec->key_bytes != 16 && spec->key_bytes != 24 &&
	    spec->key_bytes != 32) {
		message_error(log, "%s %s: key of %zu bytes, it takes 16, 24 or 32",
			      spec->parameter, a->name, spec->key_bytes);
		return -EINVAL;
	}
	return 0;
}

static int check_tag(const struct digest_spec *spec, const struct intact_log *log)
{
	if (spec->tag_bytes <= TAG_BYTES_MAX)
		return 0;
	message_error(log, "%s %s: tags of %zu bytes, at most %d are possible", spec->parameter,
		      spec->algorithm->name, spec->tag_bytes, TAG_BYTES_MAX);
	return -EINVAL;
}

static void shape_init(struct digest_shape *shape, const struct digest_spec *spec)
{
	shape->digest_bytes = spec->algorithm->digest_bytes;
	shape->tag_bytes = spec->tag_bytes > 0 ? spec->tag_bytes : shape->digest_bytes;
	if (spec->salt)
		memcpy(shape->salt, spec->salt, sizeof(shape->salt));
}

static int instance_open(struct digest *d, const struct digest_spec *spec)
{
	if (!d->synchronous) {
		d->once = aligned_alloc(REQUEST_BYTES_ALIGN, digest_request_bytes(d));
		if (!d->once)
			return -ENOMEM;
		memset(d->once, 0, digest_request_bytes(d));
	}
	return d->driver->open(d->algorithm, spec->key, spec->key_bytes, &d->shape, &d->instance);
}

static int open_chosen(const struct digest_spec *spec, const struct digest_choice *choice,
		       struct digest **ret)
{
	struct digest *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->algorithm = spec->algorithm;
	d->driver = choice->driver;
	d->synchronous = choice->synchronous;
	shape_init(&d->shape, spec);
	queue_init(&d->backlog);
	queue_init(&d->finished);
	r = instance_open(d, spec);
	if (r < 0) {
		digest_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

/* "hmac-sha256-openssl": the algorithm without brackets, and what computes it. */
static void say_choice(const struct digest_spec *spec, const struct digest_choice *choice,
		       const struct intact_log *log)
{
	const struct digest_algorithm *a = spec->algorithm;

	message_info(log, "%s %s: driver %s-%s, %s", spec->parameter, a->name,
		     a->alias ? a->alias : a->name, choice->driver->name,
		     choice->synchronous ? "synchronous" : "asynchronous");
}

static int open_named(const struct digest_driver *const *drivers, const struct digest_spec *spec,
		      const struct intact_log *log, struct digest **ret)
{
	struct digest_choice choice;
	int r = digest_choose(drivers, spec, log, &choice);

	if (r < 0)
		return r;
	r = digest_selftest(choice.driver, spec->algorithm);
	if (r == 0)
		r = open_chosen(spec, &choice, ret);
	if (r < 0) {
		message_error(log, "%s %s: driver %s: %s", spec->parameter, spec->algorithm->name,
			      choice.driver->name,
			      r == -EIO ? "self-test failed" : strerrordesc_np(-r));
		return r;
	}
	if (!spec->quiet)
		say_choice(spec, &choice, log);
	return 0;
}

int digest_open_among(const struct digest_driver *const *drivers, const struct digest_spec *spec,
		      const struct intact_log *log, struct digest **ret)
{
	struct digest_spec named = *spec;
	int r;

	if (!named.parameter)
		named.parameter = "digest";
	r = check_key(&named, log);
	if (r == 0)
		r = check_tag(&named, log);
	if (r == 0)
		r = open_named(drivers, &named, log, ret);
	return r;
}

int digest_open(const struct digest_spec *spec, const struct intact_log *log, struct digest **ret)
{
	return digest_open_among(digest_drivers(), spec, log, ret);
}

void digest_close(struct digest *d)
{
	if (!d)
		return;
	assert(d->in_flight == 0);
	if (d->instance)
		d->driver->close(d->instance);
	free(d->once);
	free(d);
}

const struct digest_algorithm *digest_algorithm(const struct digest *d)
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

size_t digest_tag_bytes(const struct digest *d)
{
	return d->shape.tag_bytes;
}

size_t digest_request_bytes(const struct digest *d)
{
	size_t behind = d->synchronous ? 0 : d->driver->request_bytes;

	return round_up_pow2(round_up_pow2(sizeof(struct digest_request), 16) + behind,
			     REQUEST_BYTES_ALIGN);
}

/* ---- Requests ---- */

static void finish(struct digest *d, struct digest_request *req, int result)
{
	req->result = result;
	queue_push(&d->finished, req);
}

static void submit_sync(struct digest *d, struct digest_request *req)
{
	int r = d->driver->compute(d->instance, req);

	req->submitted = req->count;
	req->finished = req->count;
	finish(d, req, r);
}

/* False: the driver is busy. An error of the driver is the request's outcome. */
static bool offer(struct digest *d, struct digest_request *req)
{
	int r = d->driver->submit(d->instance, req);

	if (r == -EBUSY)
		return false;
	if (r < 0)
		finish(d, req, r);
	return true;
}

static void offer_backlog(struct digest *d)
{
	struct digest_request *req;

	while ((req = queue_pop(&d->backlog)))
		if (!offer(d, req)) {
			queue_push_front(&d->backlog, req);
			return;
		}
}

static void request_start(struct digest *d, struct digest_request *req)
{
	assert(req->count > 0);
	req->result = 0;
	req->submitted = 0;
	req->finished = 0;
	req->next = NULL;
	if (!d->synchronous)
		memset(digest_request_behind(req), 0, d->driver->request_bytes);
}

void digest_submit(struct digest *d, struct digest_request *req)
{
	assert(!req->in_flight);
	request_start(d, req);
	req->in_flight = true;
	d->in_flight++;
	if (d->synchronous)
		submit_sync(d, req);
	else if (d->backlog.first || !offer(d, req))
		queue_push(&d->backlog, req);
}

/* Takes what the driver has finished, which it lists last first. */
static void collect(struct digest *d, void (*face)(void *, struct digest_request **))
{
	struct digest_request *newest = NULL;
	struct digest_request *oldest = NULL;

	face(d->instance, &newest);
	while (newest) {
		struct digest_request *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct digest_request *next = oldest->next;

		if (oldest == d->once)
			oldest->in_flight = false;
		else
			queue_push(&d->finished, oldest);
		oldest = next;
	}
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

/* A device may be busy with the work of others, so ours waits as long as it takes. */
static void drain(struct digest *d)
{
	for (;;) {
		offer_backlog(d);
		collect(d, d->driver->flush);
		if (!d->backlog.first)
			return;
		sched_yield();
	}
}

void digest_flush(struct digest *d)
{
	if (!d->synchronous)
		drain(d);
	run_done(d);
}

static int once_async(struct digest *d)
{
	int r;

	request_start(d, d->once);
	while ((r = d->driver->submit(d->instance, d->once)) == -EBUSY) {
		collect(d, d->driver->flush);
		sched_yield();
	}
	if (r < 0)
		return r;
	d->once->in_flight = true;
	while (d->once->in_flight)
		collect(d, d->driver->flush);
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

	if (d->synchronous)
		return d->driver->compute(d->instance, &req);
	*d->once = req;
	return once_async(d);
}
