/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests: from submission to `done`.
 *
 *	engine_submit -> queue -> slices (read.c, write.c, discard.c) -> slice_finish
 *	-> request_finish -> (flush.c, with FUA) -> done
 *
 * A request is cut into slices, each within one run of the volume and small enough for what a slice
 * holds. A request whose slices are not all taken keeps the ones behind it waiting, so ranges are
 * locked in the order of submission.
 */
#include "engine/internal.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t engine_now_ns(const struct engine *e)
{
	return e->world.now_ns(e->world.opaque);
}

bool engine_journals(const struct engine *e)
{
	return e->mode == INTACT_MODE_JOURNAL;
}

uint64_t engine_sectors(const struct engine *e)
{
	return e->volume.sectors;
}

uint32_t engine_block_sectors(const struct engine *e)
{
	return e->spb;
}

uint32_t engine_tag_bytes(const struct engine *e)
{
	return e->tag_bytes;
}

bool engine_has_hash(const struct engine *e)
{
	return e->hash != NULL;
}

void engine_fail(struct engine *e, int error, const char *format, ...)
{
	va_list args;

	assert(error < 0);
	e->progress = true;
	if (e->failed)
		return;
	e->failed = error;
	va_start(args, format);
	(void)vsnprintf(e->reason, sizeof(e->reason), format, args);
	va_end(args);
	message_error(e->world.log, "%s: stopped: %s", e->volume.params.device, e->reason);
}

/* ---- Finishing ---- */

static void request_done(struct engine *e, struct intact_request *req)
{
	uint64_t ns = engine_now_ns(e) - req->since_ns;

	e->status.requests[req->op]++;
	e->status.latency_ns[req->op] += ns;
	e->status.latency_max_ns[req->op] = max_u64(e->status.latency_max_ns[req->op], ns);
	list_push(&e->finished, req);
	e->progress = true;
}

void request_finish(struct engine *e, struct intact_request *req, int result)
{
	if (req->result == 0)
		req->result = result;
	request_done(e, req);
}

/* What is only in this process's memory would die with it. */
static bool must_outlive(const struct engine *e, const struct intact_request *req)
{
	return e->world.is_outlived && engine_journals(e) &&
	       (req->op == INTACT_WRITE || req->op == INTACT_WRITE_ZEROES);
}

static void request_slices_finished(struct engine *e, struct intact_request *req)
{
	bool durable = req->flags & INTACT_FUA && req->op != INTACT_READ;

	if (req->result == 0 && durable)
		flush_request(e, req);
	else if (req->result == 0 && must_outlive(e, req))
		flush_journalled(e, req);
	else
		request_done(e, req);
}

void slice_finish(struct slice *s, int result)
{
	struct engine *e = s->engine;
	struct intact_request *req = s->req;

	if (result == -EILSEQ && (req->result != -EILSEQ || s->first_bad < req->first_bad))
		req->first_bad = s->first_bad;
	if (req->result == 0)
		req->result = result;
	range_unlock(e, &s->range);
	s->state = SLICE_IDLE;
	s->req = NULL;
	list_push(&e->idle_slices, s);
	e->progress = true;
	assert(req->parts > 0);
	req->parts--;
	if (req->parts == 0 && req->sectors_taken == req->sectors)
		request_slices_finished(e, req);
}

/* ---- Digests ---- */

uint32_t engine_digest_flags(const struct engine *e)
{
	return DIGEST_SECTOR | (e->salted ? DIGEST_SALTED : 0);
}

static void submit_digest(struct slice *s, uint8_t *data, size_t message_bytes,
			  void (*done)(struct digest_request *req))
{
	struct engine *e = s->engine;

	s->state = SLICE_DIGESTING;
	*s->digest = (struct digest_request){
		.data = data,
		.message_bytes = message_bytes,
		.stride_bytes = message_bytes,
		.count = s->blocks,
		.flags = engine_digest_flags(e),
		.sector = s->first_sector,
		.sector_step = e->spb,
		.tags = s->tags,
		.tag_stride_bytes = e->tag_bytes,
		.done = done,
		.opaque = e,
	};
	digest_submit(e->hash, s->digest);
	e->progress = true;
}

void slice_digest(struct slice *s, uint8_t *data, void (*done)(struct digest_request *req))
{
	submit_digest(s, data, s->engine->block_bytes, done);
}

void slice_digest_markers(struct slice *s, void (*done)(struct digest_request *req))
{
	submit_digest(s, NULL, 0, done);
}

/* Requests stand at the head of the slice's digest memory; its owner is found by position. */
struct slice *slice_of_digest(struct engine *e, const struct digest_request *req)
{
	size_t stride = digest_request_bytes(e->hash);
	size_t at = (size_t)((const uint8_t *)req - (const uint8_t *)e->digest_memory);

	assert(at % stride == 0);
	assert(at / stride < SLICES_MAX);
	return &e->slices[at / stride];
}

/* The tag memory gets random bytes: whatever might still use it, it must not look like a tag. */
void slice_digest_failed(struct slice *s, int error)
{
	struct engine *e = s->engine;

	e->world.random(e->world.opaque, s->tags, (size_t)s->blocks * e->tag_bytes);
	engine_fail(e, -EIO, "digest failed: %s", strerror(-error));
	slice_finish(s, -EIO);
}

/* ---- Starting ---- */

static int judge_request(const struct engine *e, const struct intact_request *req)
{
	bool writes = req->op != INTACT_READ && req->op != INTACT_FLUSH;

	if (e->failed)
		return -EIO;
	if (e->shutdown != SHUTDOWN_NOT)
		return -ESHUTDOWN;
	if (req->op == INTACT_FLUSH)
		return req->sectors == 0 ? 0 : -EINVAL;
	if ((req->first_sector | req->sectors) & (e->spb - 1) || req->sectors == 0)
		return -EINVAL;
	if (req->first_sector > e->volume.sectors ||
	    req->sectors > e->volume.sectors - req->first_sector)
		return -EINVAL;
	if (writes && e->read_only)
		return -EROFS;
	if (req->op == INTACT_DISCARD && !e->volume.params.allow_discards &&
	    !e->volume.params.allow_discards_keyed)
		return -EOPNOTSUPP;
	if (e->hash ? req->tags != NULL : writes && req->tags == NULL)
		return -EINVAL;
	return 0;
}

void engine_submit(struct engine *e, struct intact_request *req)
{
	int r = judge_request(e, req);

	req->result = 0;
	req->sectors_taken = 0;
	req->parts = 0;
	req->first_bad = INTACT_NO_SECTOR;
	req->since_ns = engine_now_ns(e);
	e->requests_under_way++;
	if (r < 0)
		request_finish(e, req, r);
	else
		list_push(&e->queue, req);
}

static void slice_start(struct slice *s)
{
	switch (s->req->op) {
	case INTACT_READ:
		read_start(s);
		break;
	case INTACT_WRITE:
	case INTACT_WRITE_ZEROES:
		write_start(s);
		break;
	case INTACT_DISCARD:
		discard_start(s);
		break;
	case INTACT_FLUSH:
	case INTACT_OPS:
		assert(false);
	}
}

static void slice_cut(struct engine *e, struct slice *s, struct intact_request *req)
{
	uint64_t first = req->first_sector + req->sectors_taken;
	uint64_t sectors = min_u64(req->sectors - req->sectors_taken,
				   geometry_contiguous_sectors(&e->volume.geometry, first));
	uint64_t blocks = min_u64(sectors / e->spb, e->slice_blocks_max);
	uint64_t blocks_before = req->sectors_taken / e->spb;
	uint8_t *tags;

	if (req->op == INTACT_DISCARD)
		blocks = discard_together(e, first, (uint32_t)blocks);
	s->req = req;
	s->first_sector = first;
	s->blocks = (uint32_t)blocks;
	s->buffer = req->op == INTACT_READ || req->op == INTACT_WRITE
			    ? req->buffer + req->sectors_taken * SECTOR_BYTES
			    : e->zeroes;
	tags = req->tags ?: req->made_tags;
	s->given_tags = tags ? tags + blocks_before * e->tag_bytes : NULL;
	s->again = false;
	s->first_bad = INTACT_NO_SECTOR;
	req->sectors_taken += blocks * e->spb;
	req->parts++;
}

static void cut_slices(struct engine *e, struct intact_request *req)
{
	while (req->sectors_taken < req->sectors && e->idle_slices.first) {
		struct slice *s = list_pop(&e->idle_slices);
		bool last;

		slice_cut(e, s, req);
		last = req->sectors_taken == req->sectors;
		if (last)
			(void)list_pop(&e->queue);
		e->progress = true;
		slice_start(s);
		if (last)
			return; /* req may be over */
	}
}

static void run_queue(struct engine *e)
{
	while (e->queue.first && e->idle_slices.first && !e->failed) {
		struct intact_request *req = e->queue.first;

		if (req->op == INTACT_FLUSH) {
			(void)list_pop(&e->queue);
			flush_request(e, req);
			continue;
		}
		cut_slices(e, req);
	}
}

/* ---- After a failure ---- */

/* What is queued will never be started. A request with slices under way ends with the last of them.
 */
static void fail_queue(struct engine *e)
{
	struct intact_request *req = list_take(&e->queue);

	while (req) {
		struct intact_request *next = req->next;

		if (req->result == 0)
			req->result = -EIO;
		req->sectors_taken = req->sectors;
		if (req->parts == 0)
			request_finish(e, req, -EIO);
		req = next;
	}
}

static void fail_slices(struct slice *list)
{
	while (list) {
		struct slice *next = list->next;

		slice_finish(list, -EIO);
		list = next;
	}
}

static void run_failure(struct engine *e)
{
	if (!e->failed)
		return;
	fail_queue(e);
	fail_slices(list_take(&e->room_waiters));
	fail_slices(list_take(&e->settle_waiters));
	fail_slices(list_take(&e->dirty.marking));
	tags_fail(e);
}

/* ---- The loop's turn ---- */

static void run_finished(struct engine *e)
{
	struct intact_request *req = list_take(&e->finished);

	while (req) {
		struct intact_request *next = req->next;

		e->requests_under_way--;
		e->progress = true;
		if (req->done)
			req->done(req);
		req = next;
	}
}

static void run_digests(struct engine *e)
{
	if (e->hash && (digest_poll(e->hash) > 0 || digest_must_poll(e->hash)))
		e->progress = true;
	if (e->mac && (digest_poll(e->mac) > 0 || digest_must_poll(e->mac)))
		e->progress = true;
}

bool engine_run(struct engine *e)
{
	e->progress = false;
	if (e->shutdown == SHUTDOWN_DONE) {
		run_finished(e); /* those that came too late */
		return e->progress;
	}
	run_digests(e);
	run_failure(e);
	range_run(e);
	tags_run(e);
	settle_run(e);
	write_journal_run(e);
	run_queue(e);
	dirty_run(e);
	commit_run(e);
	writeback_run(e);
	flush_run(e);
	recalculate_run(e);
	shutdown_run(e);
	run_finished(e);
	/* What came after its turn has the next one. */
	return e->progress || e->tags.changed || e->ranges.changed;
}

uint64_t engine_deadline_ns(const struct engine *e)
{
	uint64_t commit, interval;

	if (e->failed || e->shutdown == SHUTDOWN_DONE)
		return UINT64_MAX;
	/* While one runs, its end will look at the time. */
	commit = e->commit.state == COMMIT_IDLE ? e->commit.deadline_ns : UINT64_MAX;
	interval = e->dirty.state == BITMAP_FLUSH_IDLE ? e->dirty.deadline_ns : UINT64_MAX;
	return min_u64(commit, interval);
}

void engine_status(const struct engine *e, struct intact_status *ret)
{
	*ret = e->status;
	ret->provided_data_sectors = e->volume.geometry.provided_sectors;
	ret->recalc_sector = e->volume.sb.flags & SB_RECALCULATING ? e->volume.sb.recalc_sector
								   : INTACT_NO_SECTOR;
	ret->journal_entries = e->ring.entry_count;
	ret->journal_entries_free = ring_free_entries(e);
	ret->dirty_regions =
		e->dirty.wanted ? bitmap_count(e->dirty.wanted, e->dirty.shape.regions) : 0;
	ret->failure = e->failed;
	memcpy(ret->reason, e->reason, sizeof(ret->reason));
	ret->in_flight = e->requests_under_way;
}
