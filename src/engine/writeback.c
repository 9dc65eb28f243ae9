/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bringing committed blocks home, and freeing their sections.
 *
 *	writeback_request -> writeback_run: writeback_begin -> extent_start -> extent_written -> extent_tagged …
 *	-> tags_written -> (devices flushed) -> writeback_durable -> ring_free
 *
 * All committed sections go in one round, their blocks in the order of the volume, neighbours
 * together. A block is left out when a later entry of it is committed too. It is not left out for
 * one that is only in memory: should the power fail now, the committed entry is all there is.
 */
#include "engine/internal.h"

#include <stdlib.h>

void writeback_request(struct engine *e)
{
	if (e->writeback.wanted || e->read_only)
		return;
	e->writeback.wanted = true;
	e->progress = true;
}

/* ---- What goes home, in which order ---- */

static bool is_superseded(const struct engine *e, uint32_t entry)
{
	uint32_t latest = ring_find(e, e->ring.entries[entry].sector);
	enum section_state state;

	if (latest == entry)
		return false;
	assert(latest != NONE);
	state = ring_section_of(e, latest)->state;
	return state == SECTION_COMMITTED || state == SECTION_WRITING_BACK;
}

/* How far around the ring from where this round begins. */
static uint32_t position(const struct engine *e, uint32_t entry)
{
	uint32_t first = e->writeback.first_section * e->volume.geometry.section_entries;

	return entry >= first ? entry - first : entry + (e->ring.entry_count - first);
}

static bool goes_before(const struct engine *e, uint32_t a, uint32_t b)
{
	uint64_t x = e->ring.entries[a].sector;
	uint64_t y = e->ring.entries[b].sector;

	return x != y ? x < y : position(e, a) < position(e, b);
}

static void sift_down(const struct engine *e, uint32_t *heap, uint32_t at, uint32_t count)
{
	while (2 * at + 1 < count) {
		uint32_t child = 2 * at + 1;
		uint32_t moved = heap[at];

		if (child + 1 < count && goes_before(e, heap[child], heap[child + 1]))
			child++;
		if (!goes_before(e, moved, heap[child]))
			return;
		heap[at] = heap[child];
		heap[child] = moved;
		at = child;
	}
}

/* A heap sort: in place, whatever the order was. */
static void sort(const struct engine *e, uint32_t *order, uint32_t count)
{
	for (uint32_t i = count / 2; i-- > 0;)
		sift_down(e, order, i, count);
	for (uint32_t end = count; end-- > 1;) {
		uint32_t last = order[end];

		order[end] = order[0];
		order[0] = last;
		sift_down(e, order, 0, end);
	}
}

/* Of several entries of a block, the last one counts. */
static uint32_t keep_last(const struct engine *e, uint32_t *order, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (i + 1 < count &&
		    e->ring.entries[order[i]].sector == e->ring.entries[order[i + 1]].sector)
			continue;
		order[kept++] = order[i];
	}
	return kept;
}

static void collect(struct engine *e)
{
	struct writeback *w = &e->writeback;
	uint32_t entries = e->volume.geometry.section_entries;

	w->count = 0;
	for (uint32_t i = 0; i < w->sections; i++) {
		uint32_t number = (w->first_section + i) % e->ring.section_count;
		const struct section *s = &e->ring.sections[number];

		for (uint32_t n = number * entries; n < number * entries + s->used; n++) {
			if (!is_superseded(e, n))
				w->order[w->count++] = n;
		}
	}
	sort(e, w->order, w->count);
	w->count = keep_last(e, w->order, w->count);
	w->next = 0;
}

/* ---- Durable ---- */

static void writeback_durable(struct engine *e)
{
	e->writeback.state = WRITEBACK_IDLE;
	ring_free(e, e->writeback.sections);
}

static void device_flushed(struct io *io)
{
	struct engine *e = io->opaque;

	e->progress = true;
	if (io->result < 0)
		engine_fail(e, -EIO, "cannot flush after writing home: %s",
			    strerror((int)-io->result));
	if (--e->writeback.flushing == 0 && !e->failed)
		writeback_durable(e);
}

static void tags_written(struct tags_wait *wait)
{
	struct engine *e = container_of(wait, struct engine, writeback.tags);

	if (e->failed)
		return;
	e->writeback.state = WRITEBACK_FLUSHING;
	e->writeback.flushing = flush_devices(e, e->writeback.flush, device_flushed);
}

/* ---- Extents ---- */

static uint32_t entry_at(const struct extent *x, uint32_t i)
{
	return x->engine->writeback.order[x->first + i];
}

static void extent_finished(struct extent *x)
{
	struct engine *e = x->engine;

	e->writeback.in_flight--;
	e->progress = true;
	list_push(&e->writeback.idle, x);
}

static void extent_tagged(struct tag_span *span)
{
	struct extent *x = container_of(span, struct extent, span);
	struct engine *e = x->engine;

	for (uint32_t i = 0; i < x->blocks && !e->failed; i++)
		tags_put(span, e, i, 1, ring_tag(e, entry_at(x, i)), 0);
	tags_release(e, span);
	extent_finished(x);
}

static void extent_written(struct io *io)
{
	struct extent *x = container_of(io, struct extent, io);
	struct engine *e = x->engine;

	e->progress = true;
	if (io->result != (int64_t)x->blocks * e->block_bytes)
		engine_fail(e, -EIO, "cannot write home sector %llu: %s",
			    (unsigned long long)e->ring.entries[entry_at(x, 0)].sector,
			    strerror(io->result < 0 ? (int)-io->result : EIO));
	if (e->failed)
		extent_finished(x);
	else
		tags_acquire(e, &x->span, e->ring.entries[entry_at(x, 0)].sector, x->blocks, true,
			     extent_tagged);
}

static uint32_t extent_vector(struct extent *x)
{
	struct engine *e = x->engine;
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->blocks; i++) {
		if (i > 0 && entry_at(x, i) == entry_at(x, i - 1) + 1)
			x->iov[n - 1].iov_len += e->block_bytes;
		else
			x->iov[n++] = (struct iovec){ring_data(e, entry_at(x, i)), e->block_bytes};
	}
	return n;
}

/* Takes neighbours from the order while they fit an extent. */
static void extent_cut(struct extent *x)
{
	struct engine *e = x->engine;
	struct writeback *w = &e->writeback;
	uint64_t sector = e->ring.entries[w->order[w->next]].sector;
	uint64_t most = geometry_contiguous_sectors(&e->volume.geometry, sector) / e->spb;

	most = min_u64(most, min_u64(EXTENT_BLOCKS_MAX, e->slice_blocks_max));
	x->first = w->next;
	x->blocks = 0;
	do {
		x->blocks++;
		w->next++;
	} while (w->next < w->count && x->blocks < most &&
		 e->ring.entries[w->order[w->next]].sector ==
			 sector + (uint64_t)x->blocks * e->spb);
}

static void extent_start(struct extent *x)
{
	struct engine *e = x->engine;
	uint64_t sector;

	extent_cut(x);
	sector = e->ring.entries[entry_at(x, 0)].sector;
	e->writeback.in_flight++;
	e->progress = true;
	x->io = (struct io){
		.file = e->world.data_device,
		.op = IO_WRITE,
		.offset = geometry_data_sector(&e->volume.geometry, sector) * SECTOR_BYTES,
		.iov = x->iov,
		.iov_count = extent_vector(x),
		.done = extent_written,
	};
	io_submit(e->world.io, &x->io);
}

/* ---- The round ---- */

static bool has_committed(const struct engine *e)
{
	return e->ring.taken > 0 && e->ring.sections[e->ring.tail].state == SECTION_COMMITTED;
}

static void writeback_begin(struct engine *e)
{
	struct writeback *w = &e->writeback;
	struct ring *r = &e->ring;

	w->wanted = false;
	w->first_section = r->tail;
	w->sections = 0;
	while (w->sections < r->section_count) {
		struct section *s = &r->sections[(r->tail + w->sections) % r->section_count];

		if (s->state != SECTION_COMMITTED)
			break;
		s->state = SECTION_WRITING_BACK;
		w->sections++;
	}
	collect(e);
	w->state = WRITEBACK_COPYING;
	e->progress = true;
}

static void start_extents(struct engine *e)
{
	struct writeback *w = &e->writeback;

	while (w->next < w->count && w->idle.first)
		extent_start(list_pop(&w->idle));
	if (w->next < w->count || w->in_flight > 0)
		return;
	w->state = WRITEBACK_TAGS;
	e->progress = true;
	tags_write(e, &w->tags, tags_written);
}

void writeback_run(struct engine *e)
{
	struct writeback *w = &e->writeback;

	if (e->failed)
		return;
	if (w->state == WRITEBACK_IDLE && w->wanted && has_committed(e))
		writeback_begin(e);
	if (w->state == WRITEBACK_COPYING)
		start_extents(e);
}

/* ---- Opening and closing ---- */

int writeback_open(struct engine *e)
{
	struct writeback *w = &e->writeback;

	w->order = calloc(e->ring.entry_count, sizeof(*w->order));
	if (!w->order)
		return -ENOMEM;
	for (uint32_t i = 0; i < EXTENTS_MAX; i++) {
		struct extent *x = &w->extents[i];

		x->engine = e;
		x->iov = calloc(EXTENT_BLOCKS_MAX, sizeof(*x->iov));
		if (!x->iov)
			return -ENOMEM;
		list_push(&w->idle, x);
	}
	return 0;
}

void writeback_close(struct engine *e)
{
	free(e->writeback.order);
	for (uint32_t i = 0; i < EXTENTS_MAX; i++)
		free(e->writeback.extents[i].iov);
}
