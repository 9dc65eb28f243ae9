/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The accelerator that nobody has, for trying any asynchronous path without a mainframe: correct
 * tags, late.
 *
 *	submit -> queued -> (a thread: computed) -> pending -> (it is time) -> finished, wake -> poll
 *
 * The device has `lanes`, each of which works on one message at a time for `latency` microseconds;
 * messages take lanes in turn, in the order of submission. So it does lanes / latency messages a
 * second at most, whatever this machine's cores could do. Its faults, each an option and each a
 * share of batches in percent, from one seed:
 *
 *	jitter   latencies differ by up to so much of themselves, up and down
 *	reorder  a batch is held up for up to eight latencies, and others overtake it
 *	busy     a submission is refused
 *	keyloss  the key is lost: everything fails with -EKEYEXPIRED until it is derived again
 *	failure  a batch fails with -EIO, and garbage for tags
 */
#include "base/message.h"
#include "base/threads.h"
#include "digest/drivers.h"
#include "digest/inner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define LANES_MAX	   4096
#define THREADS_MAX	   64
#define LATENCY_MAX_US	   10000000u
#define LATENCY_DEFAULT_US 50
#define LANES_DEFAULT	   64
#define HELD_UP_LATENCIES  8
#define NEVER		   UINT64_MAX

/* The driver's memory behind a batch. */
struct due {
	uint64_t ns; /* CLOCK_MONOTONIC */
	int result;
};

struct simulated;

/* What stands for the device. */
struct device {
	struct simulated *simulated;
	void *inner; /* instance */
	pthread_t thread;
	bool running;
};

struct simulated {
	const struct intact_digest_driver *driver;
	struct device devices[THREADS_MAX];
	unsigned device_count;
	void (*wake)(void *opaque);
	void *wake_opaque;
	uint64_t latency_ns;
	unsigned lanes;
	unsigned jitter, reorder, busy, keyloss, failure; /* per million */

	pthread_mutex_t mutex; /* for all of the following */
	pthread_cond_t work;   /* for the threads: something to do */
	pthread_cond_t rest;   /* nothing is in flight any more */
	uint64_t random;
	struct intact_digest_batch *queued; /* not computed; oldest first */
	struct intact_digest_batch **queued_end;
	struct intact_digest_batch *pending;  /* computed, but it is not time */
	struct intact_digest_batch *finished; /* newest first */
	unsigned in_flight;		      /* batches that are not finished */
	uint64_t ready_ns; /* when somebody who was refused is told; NEVER: nobody was */
	bool key_lost;
	bool leaving;

	unsigned lane; /* the next message's */
	uint64_t free_ns[];
};

static struct due *due_of(struct intact_digest_batch *batch)
{
	return intact_digest_batch_behind(batch);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- Chance (splitmix64) ---- */

static uint64_t random_next(struct simulated *s)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool happens(struct simulated *s, unsigned per_million)
{
	return per_million > 0 && random_next(s) % 1000000 < per_million;
}

/* ---- Time ---- */

static uint64_t message_ns(struct simulated *s)
{
	uint64_t spread = s->latency_ns * s->jitter / 1000000;

	if (spread == 0)
		return s->latency_ns;
	return s->latency_ns - spread + random_next(s) % (2 * spread + 1);
}

/* When the last message of the batch leaves its lane. */
static uint64_t schedule(struct simulated *s, uint32_t count)
{
	uint64_t now = now_ns();
	uint64_t end = now;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t *free_ns = &s->free_ns[s->lane];

		*free_ns = (*free_ns > now ? *free_ns : now) + message_ns(s);
		end = *free_ns > end ? *free_ns : end;
		s->lane = (s->lane + 1) % s->lanes;
	}
	if (happens(s, s->reorder))
		end += random_next(s) % (HELD_UP_LATENCIES * s->latency_ns + 1);
	return end;
}

/* ---- The threads; the mutex is held but while they compute ---- */

static void garble(const struct intact_digest_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++)
		batch->tags[i * batch->tag_stride_bytes] ^= 0x55;
}

static void compute_oldest(struct simulated *s, void *inner)
{
	struct intact_digest_batch *batch = s->queued;
	struct intact_digest_batch part = inner_part(batch, 0, batch->count);
	bool key_lost = s->key_lost;
	int r;

	s->queued = batch->next;
	if (!s->queued)
		s->queued_end = &s->queued;
	pthread_mutex_unlock(&s->mutex);
	r = key_lost ? -EKEYEXPIRED : s->driver->compute(inner, &part);
	if (due_of(batch)->result < 0 && r == 0) {
		garble(batch);
		r = due_of(batch)->result;
	}
	pthread_mutex_lock(&s->mutex);
	batch->result = r;
	batch->next = s->pending;
	s->pending = batch;
}

/* Moves what is due to `finished`; returns when the next one is. */
static uint64_t finish_due(struct simulated *s)
{
	struct intact_digest_batch **at = &s->pending;
	uint64_t now = s->pending || s->ready_ns != NEVER ? now_ns() : 0;
	bool tell = s->ready_ns <= now;
	uint64_t next = tell ? NEVER : s->ready_ns;

	s->ready_ns = next;
	while (*at) {
		struct intact_digest_batch *batch = *at;

		if (due_of(batch)->ns > now) {
			next = due_of(batch)->ns < next ? due_of(batch)->ns : next;
			at = &batch->next;
			continue;
		}
		*at = batch->next;
		tell = tell || !s->finished;
		batch->next = s->finished;
		s->finished = batch;
		s->in_flight--;
	}
	if (s->in_flight == 0)
		pthread_cond_signal(&s->rest);
	if (tell && s->wake)
		s->wake(s->wake_opaque);
	return next;
}

static void wait_until(struct simulated *s, uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	if (ns == NEVER)
		pthread_cond_wait(&s->work, &s->mutex);
	else
		pthread_cond_timedwait(&s->work, &s->mutex, &t);
}

static void *device_main(void *opaque)
{
	struct device *device = opaque;
	struct simulated *s = device->simulated;

	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); /* nanoseconds; usually 50,000 */
	pthread_mutex_lock(&s->mutex);
	while (!s->leaving) {
		uint64_t next = finish_due(s);

		if (s->queued)
			compute_oldest(s, device->inner);
		else
			wait_until(s, next);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

/* ---- Options ---- */

static const struct intact_digest_option simulated_options[] = {
	{"latency", "microseconds for a message (default 50)"},
	{"lanes", "messages at a time (default 64)"},
	{"jitter", "percent by which latencies differ"},
	{"reorder", "percent of batches that are held up"},
	{"busy", "percent of submissions that are refused"},
	{"keyloss", "percent of batches with which the key is lost"},
	{"failure", "percent of batches that fail"},
	{"seed", "of all chance (default 1)"},
	{"threads", "of this machine that compute for it (default 1)"},
	{"over", "the driver that computes (default: as the policy auto chooses)"},
	{NULL, NULL},
};

/* Percent, with up to four decimals; as millionths. */
static int take_share(const struct intact_digest_setup *setup, const char *name, unsigned *ret)
{
	size_t bytes = 0;
	const char *text = intact_digest_option(setup->options, name, &bytes);
	uint64_t value = 0;
	int decimals = -1;

	*ret = 0;
	if (!text)
		return 0;
	for (size_t i = 0; i < bytes && value <= 1000000; i++) {
		if (text[i] == '.' && decimals < 0 && i > 0 && i + 1 < bytes)
			decimals = 0;
		else if (text[i] >= '0' && text[i] <= '9' && (decimals < 0 || decimals++ < 4))
			value = value * 10 + (unsigned)(text[i] - '0');
		else
			value = NEVER;
	}
	for (int i = decimals > 0 ? decimals : 0; i < 4 && value <= 1000000; i++)
		value *= 10;
	if (bytes == 0 || value > 1000000) {
		message_error(setup->log, "%s: option %s is not a number of 0 to 100, in percent",
			      setup->what, name);
		return -EINVAL;
	}
	*ret = (unsigned)value;
	return 0;
}

static int take_options(struct simulated *s, const struct intact_digest_setup *setup)
{
	uint64_t latency_us = 0;
	int r = inner_number(setup, "latency", 0, LATENCY_MAX_US, LATENCY_DEFAULT_US, &latency_us);

	s->latency_ns = latency_us * 1000;
	r = r ?: inner_number(setup, "seed", 0, UINT64_MAX, 1, &s->random);
	r = r ?: take_share(setup, "jitter", &s->jitter);
	r = r ?: take_share(setup, "reorder", &s->reorder);
	r = r ?: take_share(setup, "busy", &s->busy);
	r = r ?: take_share(setup, "keyloss", &s->keyloss);
	return r ?: take_share(setup, "failure", &s->failure);
}

/* ---- Open and close ---- */

static void simulated_close(void *instance)
{
	struct simulated *s = instance;

	if (!s)
		return;
	assert(s->in_flight == 0);
	pthread_mutex_lock(&s->mutex);
	s->leaving = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->mutex);
	for (unsigned i = 0; i < s->device_count; i++) {
		if (s->devices[i].running)
			pthread_join(s->devices[i].thread, NULL);
		if (s->devices[i].inner)
			s->driver->close(s->devices[i].inner);
	}
	pthread_cond_destroy(&s->rest);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

static int device_start(struct simulated *s, struct device *device,
			const struct intact_digest_setup *setup)
{
	struct intact_digest_setup inner = *setup;
	int r;

	inner.options = "";
	inner.wake = NULL;
	device->simulated = s;
	r = s->driver->open(&inner, &device->inner);
	r = r ?: thread_start(&device->thread, device_main, device);
	device->running = r == 0;
	return r;
}

static int simulated_start(struct simulated *s, const struct intact_digest_setup *setup)
{
	uint64_t count = 0;
	int r;

	pthread_mutex_init(&s->mutex, NULL);
	cond_init_monotonic(&s->work);
	pthread_cond_init(&s->rest, NULL);
	s->queued_end = &s->queued;
	s->ready_ns = NEVER;
	s->wake = setup->wake;
	s->wake_opaque = setup->wake_opaque;
	r = take_options(s, setup);
	r = r ?: inner_number(setup, "threads", 1, THREADS_MAX, 1, &count);
	s->device_count = (unsigned)count;
	for (unsigned i = 0; i < s->device_count && r == 0; i++)
		r = device_start(s, &s->devices[i], setup);
	return r;
}

static int simulated_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	const struct intact_digest_driver *driver = inner_choose(setup);
	struct simulated *s;
	uint64_t lanes;
	int r;

	if (!driver)
		return -EINVAL;
	r = inner_number(setup, "lanes", 1, LANES_MAX, LANES_DEFAULT, &lanes);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s) + lanes * sizeof(s->free_ns[0]));
	if (!s)
		return -ENOMEM;
	s->driver = driver;
	s->lanes = (unsigned)lanes;
	r = simulated_start(s, setup);
	if (r < 0) {
		simulated_close(s);
		return r;
	}
	*ret_instance = s;
	return 0;
}

/* Only for who asks for it by name. */
static enum intact_digest_fit simulated_fit(const struct intact_digest_algorithm *algorithm)
{
	(void)algorithm;
	return INTACT_DRIVER_SLOW;
}

/* ---- The asynchronous face ---- */

static int refuse(struct simulated *s)
{
	s->ready_ns = now_ns() + s->latency_ns / 4;
	pthread_cond_signal(&s->work);
	return -EBUSY;
}

static void take(struct simulated *s, struct intact_digest_batch *batch)
{
	due_of(batch)->ns = schedule(s, batch->count);
	due_of(batch)->result = happens(s, s->failure) ? -EIO : 0;
	if (happens(s, s->keyloss))
		s->key_lost = true;
	batch->next = NULL;
	pthread_cond_signal(&s->work);
	*s->queued_end = batch;
	s->queued_end = &batch->next;
	s->in_flight++;
}

static int simulated_submit(void *instance, struct intact_digest_batch *batch)
{
	struct simulated *s = instance;
	int r = 0;

	pthread_mutex_lock(&s->mutex);
	if (happens(s, s->busy))
		r = refuse(s);
	else
		take(s, batch);
	pthread_mutex_unlock(&s->mutex);
	return r;
}

static void simulated_poll(void *instance, struct intact_digest_batch **finished)
{
	struct simulated *s = instance;

	pthread_mutex_lock(&s->mutex);
	*finished = s->finished;
	s->finished = NULL;
	pthread_mutex_unlock(&s->mutex);
}

static void simulated_flush(void *instance, struct intact_digest_batch **finished)
{
	struct simulated *s = instance;

	pthread_mutex_lock(&s->mutex);
	while (s->in_flight > 0)
		pthread_cond_wait(&s->rest, &s->mutex);
	*finished = s->finished;
	s->finished = NULL;
	pthread_mutex_unlock(&s->mutex);
}

static int simulated_rederive(void *instance)
{
	struct simulated *s = instance;

	pthread_mutex_lock(&s->mutex);
	s->key_lost = false;
	pthread_mutex_unlock(&s->mutex);
	return 0;
}

const struct intact_digest_driver digest_simulated = {
	.name = "simulated",
	.description = "an accelerator that is not there",
	.flags = INTACT_DRIVER_ASYNC | INTACT_DRIVER_WAKES | INTACT_DRIVER_WRAPS,
	.priority = 1,
	.batch_bytes = sizeof(struct due),
	.options = simulated_options,
	.fit = simulated_fit,
	.open = simulated_open,
	.close = simulated_close,
	.submit = simulated_submit,
	.poll = simulated_poll,
	.flush = simulated_flush,
	.rederive = simulated_rederive,
};
