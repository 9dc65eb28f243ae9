/* SPDX-License-Identifier: BSD-2-Clause */
#include "digests.h"

#include "base/num.h"
#include "clock.h"
#include "digest/drivers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct digests *the_digests;

/* One instance of a driver: a real one that computes. */
struct instance {
	const struct intact_digest_driver *driver;
	void *inner;
	bool lost; /* its key, until it is asked to derive it again */
	uint32_t key;
};

/* ---- Instances ---- */

static const struct intact_digest_driver *
real_driver(const struct intact_digest_algorithm *algorithm)
{
	for (const struct intact_digest_driver *const *d = digest_drivers(); *d; d++)
		if ((*d)->flags & INTACT_DRIVER_SYNC && (*d)->fit(algorithm) == INTACT_DRIVER_FITS)
			return *d;
	return NULL;
}

static enum intact_digest_fit sim_fit(const struct intact_digest_algorithm *algorithm)
{
	return real_driver(algorithm) ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

static int sim_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	struct instance *i = calloc(1, sizeof(*i));
	int r;

	if (!i)
		return -ENOMEM;
	i->driver = real_driver(setup->algorithm);
	r = i->driver->open(setup, &i->inner);
	if (r < 0) {
		free(i);
		return r;
	}
	the_digests->instances++;
	*ret_instance = i;
	return 0;
}

static void sim_close(void *instance)
{
	struct instance *i = instance;

	if (!i)
		return;
	for (unsigned n = 0; n < the_digests->held_count; n++)
		assert(the_digests->held[n].instance != instance);
	the_digests->instances--;
	i->driver->close(i->inner);
	free(i);
}

/* ---- Computing ---- */

static void garbage(struct digests *d, struct intact_digest_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++)
		batch->tags[i * batch->tag_stride_bytes] = (uint8_t)random_next(&d->random);
}

/* Not again before everybody has got over it. */
static bool key_is_lost(struct digests *d)
{
	if (d->armed && d->kept == 0 && random_per_million(&d->random, d->faults.key_loss)) {
		trace_event(d->trace, "digest loses its key", d->held_count, 0);
		d->kept = 2 * DIGESTS_HELD_MAX;
		d->losses++;
		return true;
	}
	d->kept -= d->kept > 0;
	return false;
}

/* The key is lost for everything that the instance holds as well. */
static bool loses_key(struct digests *d, struct instance *i)
{
	if (i->lost || !key_is_lost(d))
		return i->lost;
	i->lost = true;
	return true;
}

static int sim_rederive(void *instance)
{
	struct digests *d = the_digests;
	struct instance *i = instance;

	i->lost = false;
	i->key++;
	trace_event(d->trace, "digest derives its key", i->key, 0);
	return 0;
}

static int compute(struct instance *i, struct intact_digest_batch *batch)
{
	struct digests *d = the_digests;
	int r;

	if (loses_key(d, i)) {
		garbage(d, batch);
		return -EKEYEXPIRED;
	}
	r = i->driver->compute(i->inner, batch);
	if (r < 0 || !d->armed || !random_per_million(&d->random, d->faults.error))
		return r;
	d->errors++;
	trace_event(d->trace, "digest fails", batch->sector, batch->count);
	garbage(d, batch);
	return -EIO;
}

static int sim_compute(void *instance, struct intact_digest_batch *batch)
{
	return compute(instance, batch);
}

static uint64_t delay(struct digests *d)
{
	uint64_t ns = d->faults.delay_ns > 0 ? random_below(&d->random, d->faults.delay_ns) : 0;

	if (random_percent(&d->random, d->faults.straggler_percent))
		ns = ns * 50 + 1;
	return ns;
}

static bool is_busy(struct digests *d)
{
	unsigned room = d->faults.room > 0 ? d->faults.room : DIGESTS_HELD_MAX;

	if (d->held_count == DIGESTS_HELD_MAX)
		return true;
	if (!d->armed)
		return false;
	return d->held_count >= room || random_percent(&d->random, d->faults.busy_percent);
}

static int sim_submit(void *instance, struct intact_digest_batch *batch)
{
	struct digests *d = the_digests;
	struct instance *i = instance;

	if (is_busy(d)) {
		d->free_ns = d->trace->now_ns + 1 + delay(d);
		return -EBUSY;
	}
	if (d->armed && random_per_million(&d->random, d->faults.submit_error)) {
		d->errors++;
		trace_event(d->trace, "digest is refused", batch->sector, batch->count);
		return -EIO;
	}
	d->held[d->held_count++] =
		(struct digests_held){instance, batch, i->key, d->trace->now_ns + delay(d)};
	return 0;
}

static void finish(struct digests *d, unsigned n, struct intact_digest_batch **finished)
{
	struct digests_held held = d->held[n];

	d->held[n] = d->held[--d->held_count];
	if (held.key == ((struct instance *)held.instance)->key)
		held.batch->result = compute(held.instance, held.batch);
	else
		held.batch->result = -EKEYEXPIRED; /* it was submitted under a key that is gone */
	held.batch->next = *finished;
	*finished = held.batch;
}

/* Those of this instance whose time has come, or any of them if no time passes. */
static void sim_poll(void *instance, struct intact_digest_batch **finished)
{
	struct digests *d = the_digests;
	unsigned n = 0;

	while (n < d->held_count) {
		bool now = d->held[n].end_ns <= d->trace->now_ns ||
			   (!d->armed && random_percent(&d->random, 50));

		if (d->held[n].instance == instance && now)
			finish(d, n, finished);
		else
			n++;
	}
}

static void sim_flush(void *instance, struct intact_digest_batch **finished)
{
	struct digests *d = the_digests;
	unsigned n = 0;

	while (n < d->held_count) {
		if (d->held[n].instance == instance)
			finish(d, n, finished);
		else
			n++;
	}
}

/* ---- The list ---- */

static const struct intact_digest_driver sim_async = {
	.name = "sim-async",
	.description = "a simulation",
	.flags = INTACT_DRIVER_ASYNC | INTACT_DRIVER_HARDWARE | INTACT_DRIVER_WAKES |
		 INTACT_DRIVER_WAKES,
	.priority = 100,
	.batch_bytes = 24,
	.fit = sim_fit,
	.open = sim_open,
	.close = sim_close,
	.submit = sim_submit,
	.poll = sim_poll,
	.flush = sim_flush,
	.rederive = sim_rederive,
};

static const struct intact_digest_driver sim_sync = {
	.name = "sim-sync",
	.description = "a simulation",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 100,
	.fit = sim_fit,
	.open = sim_open,
	.close = sim_close,
	.compute = sim_compute,
	.rederive = sim_rederive,
};

void digests_init(struct digests *d, struct trace *trace, uint64_t seed)
{
	assert(!the_digests);
	memset(d, 0, sizeof(*d));
	d->trace = trace;
	d->random = random_stream(seed, 2);
	the_digests = d;
	digests_choose(d, true);
}

void digests_done(struct digests *d)
{
	assert(d == the_digests);
	assert(d->instances == 0);
	the_digests = NULL;
}

void digests_choose(struct digests *d, bool synchronous)
{
	d->list[0] = synchronous ? &sim_sync : &sim_async;
}

uint64_t digests_next_ns(const struct digests *d)
{
	uint64_t next = d->free_ns > d->trace->now_ns ? d->free_ns : NEVER_NS;

	for (unsigned i = 0; i < d->held_count; i++)
		next = min_u64(next, d->held[i].end_ns);
	return next;
}
