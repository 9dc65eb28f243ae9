/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Any synchronous driver, on other cores:
 *
 *	submit -> waiting -> (threads take a part of its messages each) -> finished, wake -> poll
 *
 * A thread has an instance of its own and always works on the oldest batch that has messages nobody
 * has taken, so a single large batch keeps all of them busy, and so do many small ones. Who
 * finishes the last part of a batch puts it where poll finds it, and calls wake if nothing was
 * there yet.
 */
#include "base/message.h"
#include "base/threads.h"
#include "digest/drivers.h"
#include "digest/inner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define THREADS_MAX 256

/* Of a part: enough to fill any lanes, and much longer to compute than to take. */
#define PART_MESSAGES_MIN 16u
#define PART_BYTES	  (64u << 10)

/* The driver's memory behind a batch, but for what is counted in the batch itself. */
struct progress {
	uint32_t taken; /* messages */
	int error;
};

struct workers;

struct worker {
	struct workers *workers;
	void *inner; /* instance */
	pthread_t thread;
	bool running;
};

struct workers {
	const struct intact_digest_driver *driver;
	void (*wake)(void *opaque);
	void *wake_opaque;

	pthread_mutex_t mutex;		     /* for all of the following */
	pthread_cond_t work;		     /* messages are waiting, or it is time to leave */
	pthread_cond_t rest;		     /* nothing is in flight any more */
	struct intact_digest_batch *waiting; /* with messages that nobody has taken; oldest first */
	struct intact_digest_batch **waiting_end;
	struct intact_digest_batch *finished; /* newest first */
	unsigned in_flight;		      /* batches that are not finished */
	unsigned asleep;		      /* threads */
	bool leaving;

	unsigned count;
	struct worker list[];
};

static struct progress *progress_of(struct intact_digest_batch *batch)
{
	return intact_digest_batch_behind(batch);
}

/* ---- The threads; the mutex is held but while they compute ---- */

static uint32_t part_messages(const struct intact_digest_batch *batch)
{
	uint32_t left = batch->count - progress_of((struct intact_digest_batch *)batch)->taken;
	size_t wanted = PART_BYTES / (batch->message_bytes + 1);

	if (wanted < PART_MESSAGES_MIN)
		wanted = PART_MESSAGES_MIN;
	return left < wanted ? left : (uint32_t)wanted;
}

/* Takes messages of the oldest batch, which leaves the list with its last ones. */
static struct intact_digest_batch *part_take(struct workers *w, struct intact_digest_batch *ret)
{
	struct intact_digest_batch *batch = w->waiting;
	struct progress *progress = progress_of(batch);
	uint32_t count = part_messages(batch);

	*ret = inner_part(batch, progress->taken, count);
	progress->taken += count;
	if (progress->taken < batch->count)
		return batch;
	w->waiting = batch->next;
	if (!w->waiting)
		w->waiting_end = &w->waiting;
	return batch;
}

static void part_finished(struct workers *w, struct intact_digest_batch *batch, uint32_t count,
			  int result)
{
	struct progress *progress = progress_of(batch);
	bool first = !w->finished;

	if (result < 0)
		progress->error = result;
	batch->finished += count;
	if (batch->finished < batch->count)
		return;
	batch->result = progress->error;
	batch->next = w->finished;
	w->finished = batch;
	if (--w->in_flight == 0)
		pthread_cond_signal(&w->rest);
	if (first && w->wake)
		w->wake(w->wake_opaque);
}

static void work(struct worker *self)
{
	struct workers *w = self->workers;
	struct intact_digest_batch part;
	struct intact_digest_batch *batch = part_take(w, &part);
	int r;

	pthread_mutex_unlock(&w->mutex);
	r = w->driver->compute(self->inner, &part);
	pthread_mutex_lock(&w->mutex);
	part_finished(w, batch, part.count, r);
}

static void *worker_main(void *opaque)
{
	struct worker *self = opaque;
	struct workers *w = self->workers;

	pthread_mutex_lock(&w->mutex);
	while (!w->leaving) {
		if (w->waiting) {
			work(self);
			continue;
		}
		w->asleep++;
		pthread_cond_wait(&w->work, &w->mutex);
		w->asleep--;
	}
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* ---- Open and close ---- */

/* One is left for whoever submits. */
static unsigned other_cores(void)
{
	unsigned count = count_cores();

	return count > 2 ? count - 1 : 1;
}

static void workers_close(void *instance)
{
	struct workers *w = instance;

	if (!w)
		return;
	assert(w->in_flight == 0);
	pthread_mutex_lock(&w->mutex);
	w->leaving = true;
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->mutex);
	for (unsigned i = 0; i < w->count; i++) {
		if (w->list[i].running)
			pthread_join(w->list[i].thread, NULL);
		if (w->list[i].inner)
			w->driver->close(w->list[i].inner);
	}
	pthread_cond_destroy(&w->rest);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

static int worker_start(struct workers *w, struct worker *self,
			const struct intact_digest_setup *setup)
{
	struct intact_digest_setup inner = *setup;
	int r;

	inner.options = "";
	inner.wake = NULL;
	self->workers = w;
	r = w->driver->open(&inner, &self->inner);
	r = r ?: thread_start(&self->thread, worker_main, self);
	self->running = r == 0;
	return r;
}

static int workers_start(struct workers *w, const struct intact_digest_setup *setup)
{
	int r = 0;

	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->rest, NULL);
	w->waiting_end = &w->waiting;
	w->wake = setup->wake;
	w->wake_opaque = setup->wake_opaque;
	for (unsigned i = 0; i < w->count && r == 0; i++)
		r = worker_start(w, &w->list[i], setup);
	return r;
}

static int workers_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	const struct intact_digest_driver *driver = inner_choose(setup);
	struct workers *w;
	uint64_t count;
	int r;

	if (!driver)
		return -EINVAL;
	r = inner_number(setup, "threads", 1, THREADS_MAX, other_cores(), &count);
	if (r < 0)
		return r;
	w = calloc(1, sizeof(*w) + count * sizeof(w->list[0]));
	if (!w)
		return -ENOMEM;
	w->driver = driver;
	w->count = (unsigned)count;
	r = workers_start(w, setup);
	if (r < 0) {
		workers_close(w);
		return r;
	}
	*ret_instance = w;
	return 0;
}

/* There is a synchronous driver for everything. */
static enum intact_digest_fit workers_fit(const struct intact_digest_algorithm *algorithm)
{
	(void)algorithm;
	return INTACT_DRIVER_FITS;
}

/* ---- The asynchronous face ---- */

static int workers_submit(void *instance, struct intact_digest_batch *batch)
{
	struct workers *w = instance;

	batch->next = NULL;
	pthread_mutex_lock(&w->mutex);
	*w->waiting_end = batch;
	w->waiting_end = &batch->next;
	w->in_flight++;
	if (w->asleep > 0) {
		if (part_messages(batch) < batch->count)
			pthread_cond_broadcast(&w->work);
		else
			pthread_cond_signal(&w->work);
	}
	pthread_mutex_unlock(&w->mutex);
	return 0;
}

static void workers_poll(void *instance, struct intact_digest_batch **finished)
{
	struct workers *w = instance;

	pthread_mutex_lock(&w->mutex);
	*finished = w->finished;
	w->finished = NULL;
	pthread_mutex_unlock(&w->mutex);
}

static void workers_flush(void *instance, struct intact_digest_batch **finished)
{
	struct workers *w = instance;

	pthread_mutex_lock(&w->mutex);
	while (w->in_flight > 0)
		pthread_cond_wait(&w->rest, &w->mutex);
	*finished = w->finished;
	w->finished = NULL;
	pthread_mutex_unlock(&w->mutex);
}

static const struct intact_digest_option workers_options[] = {
	{"threads", "how many (default: one less than there are cores)"},
	{"over", "the driver that computes (default: as the policy auto chooses)"},
	{NULL, NULL},
};

const struct intact_digest_driver digest_workers = {
	.name = "workers",
	.description = "another driver on other cores",
	.flags = INTACT_DRIVER_ASYNC | INTACT_DRIVER_WAKES | INTACT_DRIVER_WRAPS,
	.priority = 50,
	.batch_bytes = sizeof(struct progress),
	.options = workers_options,
	.fit = workers_fit,
	.open = workers_open,
	.close = workers_close,
	.submit = workers_submit,
	.poll = workers_poll,
	.flush = workers_flush,
};
