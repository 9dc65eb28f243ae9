/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Verifying a whole volume on many cores. The range is cut into chunks, numbered from 0; each
 * worker takes the next number, reads and judges it, and leaves what it found in the result window.
 * The thread that called intact_check picks results up in order, so that ranges and counts come as
 * if one had looked at one block after the other.
 *
 *	worker:  take_number -> chunk_start … chunk_digest … chunk_judge -> result_post
 *	caller:  result_pick -> counts, bad ranges -> progress, stop?
 *
 * A worker with chunks in flight never waits for room in the window: the caller may be waiting for
 * just those.
 */
#include "base/message.h"
#include "base/num.h"
#include "base/threads.h"
#include "offline/view.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNKS_PER_WORKER 3
/* Of a worker whose digests are computed elsewhere: enough to fill the lanes of whoever does. */
#define CHUNKS_PER_WORKER_MAX 12
/* Memory stays below 64 MiB whatever the volume and the machine: up to half a megabyte for each job's
 * digest and rings, and this for the chunks of all of them, which leaves 64 jobs 16 blocks of 4096
 * bytes in each chunk: as many as a digest takes at once.
 */
#define JOBS_MAX	  64
#define CHUNKS_MEMORY_MAX (14u << 20)
#define WINDOW		  512u /* results; more than can be in flight */
#define TICK_NS		  100000000ull
/* A range of bad blocks needs a good one, or another reason, on each side. */
#define RANGES_PER_RESULT (CHUNK_BYTES / SECTOR_BYTES)

static_assert(WINDOW >= 2 * JOBS_MAX * CHUNKS_PER_WORKER, "workers rarely wait for the window");

struct range {
	uint16_t first_block; /* within the chunk */
	uint16_t blocks;
	uint8_t reason; /* enum intact_bad_reason */
};

/* Small, and its ranges elsewhere: of a clean volume's window a few pages are touched. */
struct result {
	bool posted;
	struct intact_check_counts counts; /* total unused */
	uint32_t ranges;
	struct range *range; /* RANGES_PER_RESULT of them */
};

struct check {
	struct intact_view *view;
	const struct intact_check_options *options;
	uint64_t from_sector, to_sector; /* whole blocks */
	unsigned chunks_per_worker;
	uint32_t chunk_sectors;
	uint64_t chunks;
	uint64_t started_ns;

	pthread_mutex_t mutex; /* for all of the following */
	pthread_cond_t posted; /* a result, or the end of a worker: the caller waits */
	pthread_cond_t room;   /* in the window, or stop: workers wait */
	uint64_t next;	       /* number to be taken */
	uint64_t picked;       /* results picked up, all below this number */
	unsigned workers;      /* running */
	bool stop;
	int error;
	struct result *window; /* WINDOW of them */
	struct range *ranges;  /* of all of them */

	/* The caller's own. */
	struct intact_check_counts counts;
	struct intact_bad pending; /* bad range that may go on; sectors 0: none */
};

/* Oldest first. */
struct chunk_list {
	struct chunk *first;
	struct chunk **end;
};

struct worker {
	struct check *check;
	struct judge judge;
	struct io_context *io;
	struct chunk chunks[CHUNKS_PER_WORKER_MAX];
	struct chunk *idle;
	struct chunk_list arrived;
	struct chunk_list digested;
	unsigned in_flight; /* started and not posted */
	pthread_t thread;
	bool running;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static struct timespec at_ns(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000ull),
				 .tv_nsec = (long)(ns % 1000000000ull)};
}

/* ---- Chunks by number ---- */

static uint64_t chunk_first_sector(const struct check *c, uint64_t number)
{
	uint64_t aligned =
		round_down_pow2(c->from_sector, c->chunk_sectors) + number * c->chunk_sectors;

	return max_u64(aligned, c->from_sector);
}

static uint32_t chunk_blocks(const struct check *c, uint64_t number)
{
	uint64_t end = min_u64(chunk_first_sector(c, number + 1), c->to_sector);

	return (uint32_t)(end - chunk_first_sector(c, number)) /
	       c->view->volume.geometry.sectors_per_block;
}

/* When the rate allows the reading of this chunk to begin. */
static uint64_t chunk_due_ns(const struct check *c, uint64_t number)
{
	double bytes = (double)(chunk_first_sector(c, number) - c->from_sector) * SECTOR_BYTES;

	if (c->options->limit_rate_bytes == 0)
		return 0;
	return c->started_ns + (uint64_t)(bytes / (double)c->options->limit_rate_bytes * 1e9);
}

enum taken { TAKEN, TAKEN_LATER, TAKEN_ALL };

/* The next number. Waits only when told that it may. */
static enum taken take_number(struct check *c, bool may_wait, uint64_t *ret)
{
	enum taken taken = TAKEN_ALL;

	pthread_mutex_lock(&c->mutex);
	while (!c->stop && c->next < c->chunks) {
		bool room = c->next < c->picked + WINDOW;
		uint64_t due_ns = chunk_due_ns(c, c->next);

		if (room && now_ns() >= due_ns) {
			*ret = c->next++;
			taken = TAKEN;
			break;
		}
		if (!may_wait) {
			taken = TAKEN_LATER;
			break;
		}
		if (room) {
			struct timespec due = at_ns(due_ns);

			pthread_cond_timedwait(&c->room, &c->mutex, &due);
		} else {
			pthread_cond_wait(&c->room, &c->mutex);
		}
	}
	pthread_mutex_unlock(&c->mutex);
	return taken;
}

/* ---- Results ---- */

static void result_add_bad(struct result *result, uint32_t block, enum intact_bad_reason reason)
{
	uint32_t last = result->ranges - 1;

	if (result->ranges > 0 && result->range[last].reason == reason &&
	    result->range[last].first_block + result->range[last].blocks == block) {
		result->range[last].blocks++;
		return;
	}
	assert(result->ranges < RANGES_PER_RESULT);
	result->range[result->ranges].first_block = (uint16_t)block;
	result->range[result->ranges].blocks = 1;
	result->range[result->ranges].reason = (uint8_t)reason;
	result->ranges++;
}

static void result_fill(struct result *result, const struct chunk *chunk)
{
	memset(&result->counts, 0, sizeof(result->counts));
	result->ranges = 0;
	for (uint32_t i = 0; i < chunk->blocks; i++) {
		switch ((enum block_state)chunk->state[i]) {
		case BLOCK_VERIFIED:
			result->counts.verified++;
			break;
		case BLOCK_UNVERIFIED:
			result->counts.unverified++;
			break;
		case BLOCK_DISCARDED:
			result->counts.discarded++;
			break;
		case BLOCK_MISMATCHED:
			result->counts.mismatched++;
			result_add_bad(result, i, INTACT_BAD_MISMATCH);
			break;
		case BLOCK_UNREADABLE:
			result->counts.unreadable++;
			result_add_bad(result, i, INTACT_BAD_UNREADABLE);
			break;
		}
	}
}

static uint64_t chunk_number(const struct check *c, const struct chunk *chunk)
{
	return (chunk->first_sector - round_down_pow2(c->from_sector, c->chunk_sectors)) /
	       c->chunk_sectors;
}

/* The caller looks by itself at every tick. To wake it for each result would cost more than a result
 * is worth, so that is done when the window is filling up and for the last ones.
 */
static void result_post(struct check *c, const struct chunk *chunk)
{
	/* Its slot is this chunk's alone until it is posted. */
	struct result *result = &c->window[chunk_number(c, chunk) % WINDOW];

	assert(!result->posted);
	result_fill(result, chunk);
	pthread_mutex_lock(&c->mutex);
	result->posted = true;
	if (c->next == c->chunks || c->next - c->picked >= WINDOW / 2)
		pthread_cond_signal(&c->posted);
	pthread_mutex_unlock(&c->mutex);
}

/* ---- Workers ---- */

static void list_init(struct chunk_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_push(struct chunk_list *list, struct chunk *chunk)
{
	chunk->next = NULL;
	*list->end = chunk;
	list->end = &chunk->next;
}

static struct chunk *list_pop(struct chunk_list *list)
{
	struct chunk *chunk = list->first;

	if (!chunk)
		return NULL;
	list->first = chunk->next;
	if (!list->first)
		list->end = &list->first;
	return chunk;
}

static void chunk_arrived(struct chunk *chunk)
{
	struct worker *w = chunk->owner;

	list_push(&w->arrived, chunk);
}

static void chunk_digested(struct chunk *chunk)
{
	struct worker *w = chunk->owner;

	list_push(&w->digested, chunk);
}

/* Tags of one run lie together, far from its data: have them read ahead in one piece. */
static void prefetch_tags(const struct intact_view *v, uint64_t first_sector, uint32_t sectors)
{
	const struct geometry *g = &v->volume.geometry;
	uint64_t window = 1ull << 15; /* sectors: the default run */
	uint64_t into = first_sector & (window - 1);
	uint64_t end;

	if (g->kind == GEOMETRY_INLINE || into >= sectors)
		return;
	end = min_u64(geometry_contiguous_sectors(g, first_sector), window - into);
	(void)posix_fadvise(io_file_fd(v->device), (off_t)geometry_tag_byte(g, first_sector),
			    (off_t)((end >> g->log2_sectors_per_block) * g->tag_bytes),
			    POSIX_FADV_WILLNEED);
}

static void start_chunk(struct worker *w, uint64_t number)
{
	struct chunk *chunk = w->idle;
	struct check *c = w->check;

	w->idle = chunk->next;
	w->in_flight++;
	prefetch_tags(c->view, chunk_first_sector(c, number), c->chunk_sectors);
	chunk_start(chunk, w->io, chunk_first_sector(c, number), chunk_blocks(c, number));
}

static void chunk_idle(struct worker *w, struct chunk *chunk)
{
	chunk->next = w->idle;
	w->idle = chunk;
	w->in_flight--;
}

/* One chunk from reading to digesting, and all whose digests are there to their end. False: there
 * was nothing to be done.
 */
static bool advance(struct worker *w, int *ret)
{
	struct chunk *chunk = list_pop(&w->arrived);
	bool any = chunk != NULL;

	if (chunk)
		chunk_digest(chunk);
	if (w->judge.digest)
		(void)digest_poll(w->judge.digest);
	while (*ret == 0 && (chunk = list_pop(&w->digested))) {
		*ret = chunk_judge(chunk);
		if (*ret == 0)
			result_post(w->check, chunk);
		chunk_idle(w, chunk);
		any = true;
	}
	return any;
}

/* Until a read has arrived, or the digest's driver has called. */
static void sleep_and_run(struct io_context *io)
{
	if (io_may_sleep(io))
		io_sleep(io, UINT64_MAX);
	(void)io_run(io, false);
}

static void wait_for_something(struct worker *w)
{
	if (!w->judge.digest || digest_is_synchronous(w->judge.digest))
		(void)io_run(w->io, true);
	else if (digest_must_poll(w->judge.digest))
		(void)io_run(w->io, false);
	else
		sleep_and_run(w->io);
}

/* Everything in flight comes to its end, and to nothing. */
static void abandon(struct worker *w)
{
	struct chunk *chunk;

	while (w->in_flight > 0) {
		if (w->judge.digest)
			digest_flush(w->judge.digest);
		while ((chunk = list_pop(&w->arrived)) || (chunk = list_pop(&w->digested)))
			chunk_idle(w, chunk);
		if (w->in_flight > 0)
			(void)io_run(w->io, true);
	}
}

/* What the page cache has arrives at once, and is digested before the next is read: it is still in
 * this core's own cache then.
 */
static enum taken start_chunks(struct worker *w)
{
	enum taken taken = TAKEN;
	uint64_t number;

	while (taken == TAKEN && w->idle && !w->arrived.first) {
		taken = take_number(w->check, w->in_flight == 0, &number);
		if (taken == TAKEN)
			start_chunk(w, number);
	}
	return taken;
}

/* The device is kept busy: whenever one chunk has been judged the next is read. */
static int work(struct worker *w)
{
	enum taken taken = TAKEN;
	int r = 0;

	while (r == 0 && (taken != TAKEN_ALL || w->in_flight > 0)) {
		if (taken != TAKEN_ALL)
			taken = start_chunks(w);
		if (w->in_flight > 0 && !advance(w, &r))
			wait_for_something(w);
	}
	abandon(w);
	return r;
}

static void *worker_main(void *opaque)
{
	struct worker *w = opaque;
	struct check *c = w->check;
	int r = work(w);

	pthread_mutex_lock(&c->mutex);
	if (r < 0 && c->error == 0)
		c->error = r;
	if (r < 0)
		c->stop = true;
	c->workers--;
	pthread_cond_broadcast(&c->room);
	pthread_cond_signal(&c->posted);
	pthread_mutex_unlock(&c->mutex);
	return NULL;
}

static int worker_open(struct worker *w, struct check *c)
{
	int r = io_context_open(IO_AUTO, 2 * c->chunks_per_worker, &w->io);

	w->check = c;
	list_init(&w->arrived);
	list_init(&w->digested);
	r = r ?: judge_open(c->view, true, w->io, &w->judge);
	for (unsigned i = 0; i < c->chunks_per_worker && r == 0; i++) {
		r = chunk_init(&w->chunks[i], &w->judge, c->chunk_sectors, chunk_arrived,
			       chunk_digested, w);
		if (r < 0)
			break;
		w->chunks[i].next = w->idle;
		w->idle = &w->chunks[i];
	}
	return r;
}

static void worker_close(struct worker *w)
{
	for (unsigned i = 0; i < CHUNKS_PER_WORKER_MAX; i++)
		chunk_done(&w->chunks[i]);
	judge_close(&w->judge); /* its driver may call for the context until then */
	io_context_close(w->io);
}

/* ---- The caller ---- */

static void tell_pending(struct check *c)
{
	if (c->pending.sectors > 0 && c->options->bad)
		c->options->bad(c->options->opaque, &c->pending);
	c->pending.sectors = 0;
}

static void add_bad(struct check *c, uint64_t first_sector, uint64_t sectors,
		    enum intact_bad_reason reason)
{
	struct intact_bad *p = &c->pending;

	if (p->sectors > 0 && p->reason == reason && p->first_sector + p->sectors == first_sector) {
		p->sectors += sectors;
		return;
	}
	tell_pending(c);
	*p = (struct intact_bad){first_sector, sectors, reason};
}

static void pick_up(struct check *c, const struct result *result, uint64_t number)
{
	uint64_t first_sector = chunk_first_sector(c, number);
	uint32_t spb = c->view->volume.geometry.sectors_per_block;
	uint64_t end = first_sector + (uint64_t)chunk_blocks(c, number) * spb;

	c->counts.verified += result->counts.verified;
	c->counts.mismatched += result->counts.mismatched;
	c->counts.unverified += result->counts.unverified;
	c->counts.discarded += result->counts.discarded;
	c->counts.unreadable += result->counts.unreadable;
	for (uint32_t i = 0; i < result->ranges; i++)
		add_bad(c, first_sector + (uint64_t)result->range[i].first_block * spb,
			(uint64_t)result->range[i].blocks * spb, result->range[i].reason);
	if (c->pending.first_sector + c->pending.sectors < end)
		tell_pending(c);
}

/* Picks up what is there, in order; the mutex is held, but not during callbacks. */
static void pick_up_posted(struct check *c)
{
	while (c->picked < c->chunks) {
		struct result *result = &c->window[c->picked % WINDOW];

		if (!result->posted)
			break;
		pthread_mutex_unlock(&c->mutex);
		pick_up(c, result, c->picked);
		pthread_mutex_lock(&c->mutex);
		result->posted = false;
		if (c->next == c->picked + WINDOW)
			pthread_cond_broadcast(&c->room);
		c->picked++;
	}
}

/* Progress and the question whether to go on; the mutex is not held. True: stop. */
static bool tick(struct check *c)
{
	if (c->options->progress)
		c->options->progress(c->options->opaque, &c->counts);
	return c->options->stop && c->options->stop(c->options->opaque);
}

static void supervise(struct check *c, bool *ret_stopped)
{
	uint64_t next_tick_ns = now_ns() + TICK_NS;

	*ret_stopped = false;
	pthread_mutex_lock(&c->mutex);
	while (c->picked < c->chunks && c->workers > 0) {
		struct timespec until = at_ns(next_tick_ns);

		pthread_cond_timedwait(&c->posted, &c->mutex, &until);
		pick_up_posted(c);
		if (now_ns() < next_tick_ns)
			continue;
		next_tick_ns = now_ns() + TICK_NS;
		pthread_mutex_unlock(&c->mutex);
		*ret_stopped = tick(c) || *ret_stopped;
		pthread_mutex_lock(&c->mutex);
		c->stop = c->stop || *ret_stopped;
		pthread_cond_broadcast(&c->room);
	}
	pick_up_posted(c);
	*ret_stopped = *ret_stopped && c->picked < c->chunks;
	pthread_mutex_unlock(&c->mutex);
	tell_pending(c);
	if (c->options->progress)
		c->options->progress(c->options->opaque, &c->counts);
}

static int start_workers(struct check *c, struct worker *workers, unsigned jobs)
{
	for (unsigned i = 0; i < jobs; i++) {
		int r = worker_open(&workers[i], c);

		if (r < 0)
			return r;
	}
	for (unsigned i = 0; i < jobs; i++) {
		int r;

		pthread_mutex_lock(&c->mutex);
		c->workers++;
		pthread_mutex_unlock(&c->mutex);
		r = thread_start(&workers[i].thread, worker_main, &workers[i]);
		workers[i].running = r == 0;
		if (r == 0)
			continue;
		pthread_mutex_lock(&c->mutex);
		c->workers--;
		pthread_mutex_unlock(&c->mutex);
		if (i == 0)
			return r;
		break; /* fewer will do */
	}
	return 0;
}

static void stop_workers(struct check *c, struct worker *workers, unsigned jobs)
{
	pthread_mutex_lock(&c->mutex);
	c->stop = true;
	pthread_cond_broadcast(&c->room);
	pthread_mutex_unlock(&c->mutex);
	for (unsigned i = 0; i < jobs; i++) {
		if (workers[i].running)
			pthread_join(workers[i].thread, NULL);
		worker_close(&workers[i]);
	}
}

static int run(struct check *c, struct worker *workers, unsigned jobs)
{
	bool stopped = false;
	int r = start_workers(c, workers, jobs);

	if (r == 0)
		supervise(c, &stopped);
	stop_workers(c, workers, jobs);
	if (r < 0)
		message_error(c->view->volume.log, "cannot start checking: %s", strerror(-r));
	else if (c->error < 0)
		message_error(c->view->volume.log, "check failed: %s", strerror(-c->error));
	return r ?: c->error ?: (stopped ? -ECANCELED : 0);
}

/* Many workers get smaller chunks, and fewer. */
static void init_chunks(struct check *c, unsigned jobs)
{
	uint64_t base;

	c->chunks_per_worker = CHUNKS_PER_WORKER;
	if (c->view->asynchronous)
		c->chunks_per_worker =
			(unsigned)min_u64(CHUNKS_PER_WORKER_MAX, WINDOW / (2ull * jobs));
	c->chunk_sectors =
		chunk_sectors(c->view, CHUNKS_MEMORY_MAX / ((size_t)jobs * c->chunks_per_worker));
	base = round_down_pow2(c->from_sector, c->chunk_sectors);
	c->chunks = c->to_sector > c->from_sector
			    ? div_round_up(c->to_sector - base, c->chunk_sectors)
			    : 0;
}

static int init_range(struct check *c)
{
	const struct intact_check_options *o = c->options;
	uint32_t spb = c->view->volume.geometry.sectors_per_block;
	uint64_t to = o->to_sector ?: c->view->volume.sectors;

	if (to > c->view->volume.sectors || o->from_sector > to) {
		message_error(c->view->volume.log,
			      "sectors %llu to %llu are not within the volume, which has %llu",
			      (unsigned long long)o->from_sector, (unsigned long long)to,
			      (unsigned long long)c->view->volume.sectors);
		return -EINVAL;
	}
	c->from_sector = round_down_pow2(o->from_sector, spb);
	c->to_sector = round_up_pow2(to, spb);
	c->counts.total = (c->to_sector - c->from_sector) / spb;
	return 0;
}

static void init_locks(struct check *c)
{
	pthread_mutex_init(&c->mutex, NULL);
	cond_init_monotonic(&c->posted);
	cond_init_monotonic(&c->room);
}

static void done_locks(struct check *c)
{
	pthread_cond_destroy(&c->room);
	pthread_cond_destroy(&c->posted);
	pthread_mutex_destroy(&c->mutex);
}

static int window_init(struct check *c)
{
	c->window = calloc(WINDOW, sizeof(*c->window));
	c->ranges = calloc((size_t)WINDOW * RANGES_PER_RESULT, sizeof(*c->ranges));
	if (!c->window || !c->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < WINDOW; i++)
		c->window[i].range = c->ranges + i * RANGES_PER_RESULT;
	return 0;
}

static void window_done(struct check *c)
{
	free(c->ranges);
	free(c->window);
}

int intact_check(struct intact_view *v, const struct intact_check_options *options,
		 struct intact_check_counts *ret_counts)
{
	struct check c = {.view = v, .options = options, .started_ns = now_ns()};
	struct worker *workers;
	unsigned jobs = (unsigned)min_u64(options->jobs ?: count_cores(), JOBS_MAX);
	int r = init_range(&c);

	memset(ret_counts, 0, sizeof(*ret_counts));
	if (r < 0)
		return r;
	init_chunks(&c, jobs);
	jobs = (unsigned)min_u64(jobs, max_u64(c.chunks, 1));
	workers = calloc(jobs, sizeof(*workers));
	r = workers ? window_init(&c) : -ENOMEM;
	if (r == 0) {
		init_locks(&c);
		r = run(&c, workers, jobs);
		done_locks(&c);
	}
	free(workers);
	window_done(&c);
	*ret_counts = c.counts;
	return r;
}
