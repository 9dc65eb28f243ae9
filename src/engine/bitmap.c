/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Mode B: regions that may have stale tags are marked on the disk before they are written to.
 *
 *	dirty_mark -> (block of the bitmap written, FUA) -> marked
 *	dirty_run, every interval: interval_begin -> tags_written -> devices_flushed -> clear_quiet_regions
 *
 * `wanted` is what the disk shall say; `durable` has the bits that it surely says, whatever a crash
 * makes of writes in flight: a write of a block takes cleared bits out of it when it begins, and
 * puts set ones in when it has ended. A region is cleared only when nobody wrote to it since the
 * interval began, and nobody is writing now: then the flush in between has made its data and tags
 * durable.
 */
#include "engine/internal.h"

#include <stdlib.h>

#define BITS_PER_BLOCK (8ull * BITMAP_BLOCK_BYTES)

static uint64_t first_region(const struct engine *e, uint64_t sector)
{
	return bitmap_region_of(&e->dirty.shape, sector);
}

static uint64_t last_region(const struct engine *e, uint64_t first_sector, uint32_t blocks)
{
	return bitmap_region_of(&e->dirty.shape, first_sector + (uint64_t)(blocks - 1) * e->spb);
}

static bool all_set(const uint8_t *bits, uint64_t first, uint64_t last)
{
	return bitmap_next_clear(bits, first, last + 1) > last;
}

/* ---- Marking ---- */

static bool is_marked(const struct slice *s)
{
	const struct engine *e = s->engine;

	return all_set(e->dirty.durable, first_region(e, s->first_sector),
		       last_region(e, s->first_sector, s->blocks));
}

bool dirty_mark(struct slice *s, void (*marked)(struct slice *s))
{
	struct engine *e = s->engine;
	struct dirty *d = &e->dirty;
	uint64_t first = first_region(e, s->first_sector);
	uint64_t last = last_region(e, s->first_sector, s->blocks);

	bitmap_set(d->touched, first, last - first + 1);
	if (d->deadline_ns == UINT64_MAX)
		d->deadline_ns = engine_now_ns(e) + d->interval_ns;
	if (!all_set(d->wanted, first, last)) {
		bitmap_set(d->wanted, first, last - first + 1);
		bitmap_set(d->unsaved, first / BITS_PER_BLOCK,
			   last / BITS_PER_BLOCK - first / BITS_PER_BLOCK + 1);
	}
	if (is_marked(s))
		return true;
	s->state = SLICE_MARKING;
	s->go_on = marked;
	list_push(&d->marking, s);
	e->progress = true;
	return false;
}

void dirty_touch(struct engine *e, uint64_t first_sector, uint32_t blocks)
{
	uint64_t first;

	if (e->mode != INTACT_MODE_BITMAP)
		return;
	first = first_region(e, first_sector);
	bitmap_set(e->dirty.touched, first, last_region(e, first_sector, blocks) - first + 1);
}

static void run_marking(struct engine *e)
{
	struct slice *s = list_take(&e->dirty.marking);

	while (s) {
		struct slice *next = s->next;

		if (is_marked(s)) {
			e->progress = true;
			s->go_on(s);
		} else {
			list_push(&e->dirty.marking, s);
		}
		s = next;
	}
}

/* ---- Writing blocks of the bitmap ---- */

static void block_written(struct io *io)
{
	struct bitmap_write *w = container_of(io, struct bitmap_write, io);
	struct engine *e = w->engine;

	w->busy = false;
	e->progress = true;
	e->dirty.changed = true;
	if (io->result != BITMAP_BLOCK_BYTES) {
		engine_fail(e, -EIO, "cannot write the bitmap: %s",
			    strerror(io->result < 0 ? (int)-io->result : EIO));
		return;
	}
	memcpy(e->dirty.durable + w->block * BITMAP_BLOCK_BYTES, w->bytes, BITMAP_BLOCK_BYTES);
}

static bool is_being_written(const struct dirty *d, uint64_t block)
{
	for (uint32_t i = 0; i < BITMAP_WRITES_MAX; i++) {
		if (d->writes[i].busy && d->writes[i].block == block)
			return true;
	}
	return false;
}

static void write_block(struct engine *e, struct bitmap_write *w, uint64_t block)
{
	struct dirty *d = &e->dirty;
	uint8_t *durable = d->durable + block * BITMAP_BLOCK_BYTES;

	memcpy(w->bytes, d->wanted + block * BITMAP_BLOCK_BYTES, BITMAP_BLOCK_BYTES);
	for (uint32_t i = 0; i < BITMAP_BLOCK_BYTES; i++)
		durable[i] &= w->bytes[i];
	bitmap_clear(d->unsaved, block, 1);
	w->busy = true;
	w->block = block;
	w->iov = (struct iovec){w->bytes, BITMAP_BLOCK_BYTES};
	w->io = (struct io){
		.file = e->world.device,
		.op = IO_WRITE,
		.fua = true,
		.offset = geometry_journal_sector(&e->volume.geometry) * SECTOR_BYTES +
			  block * BITMAP_BLOCK_BYTES,
		.iov = &w->iov,
		.iov_count = 1,
		.done = block_written,
	};
	io_submit(e->world.io, &w->io);
	e->progress = true;
}

static struct bitmap_write *idle_write(struct dirty *d)
{
	for (uint32_t i = 0; i < BITMAP_WRITES_MAX; i++) {
		if (!d->writes[i].busy)
			return &d->writes[i];
	}
	return NULL;
}

static void run_writes(struct engine *e)
{
	struct dirty *d = &e->dirty;
	uint64_t block = bitmap_next_set(d->unsaved, 0, d->blocks);

	while (block < d->blocks) {
		struct bitmap_write *w = idle_write(d);

		if (!w)
			return;
		if (!is_being_written(d, block))
			write_block(e, w, block);
		block = bitmap_next_set(d->unsaved, block + 1, d->blocks);
	}
}

/* ---- The interval ---- */

static bool is_quiet(const struct engine *e, uint64_t region)
{
	const struct dirty *d = &e->dirty;
	uint64_t first = region * d->shape.region_sectors;

	return !bitmap_test(d->touched, region) && !bitmap_test(d->stale, region) &&
	       !range_any_overlaps(e, first, first + d->shape.region_sectors);
}

static void clear_quiet_regions(struct engine *e)
{
	struct dirty *d = &e->dirty;
	bool left = false;

	for (uint64_t region = bitmap_next_set(d->wanted, 0, d->shape.regions);
	     region < d->shape.regions;
	     region = bitmap_next_set(d->wanted, region + 1, d->shape.regions)) {
		if (!is_quiet(e, region)) {
			left = left || !bitmap_test(d->stale, region);
			continue;
		}
		bitmap_clear(d->wanted, region, 1);
		bitmap_set(d->unsaved, region / BITS_PER_BLOCK, 1);
	}
	d->state = BITMAP_FLUSH_IDLE;
	d->deadline_ns = left ? engine_now_ns(e) + d->interval_ns : UINT64_MAX;
	d->changed = true;
	e->progress = true;
}

static void device_flushed(struct io *io)
{
	struct engine *e = io->opaque;

	e->progress = true;
	if (io->result < 0)
		engine_fail(e, -EIO, "cannot flush: %s", strerror((int)-io->result));
	if (--e->dirty.flushing == 0 && !e->failed)
		clear_quiet_regions(e);
}

static void tags_written(struct tags_wait *wait)
{
	struct engine *e = container_of(wait, struct engine, dirty.tags);

	if (e->failed)
		return;
	e->dirty.state = BITMAP_FLUSH_DEVICES;
	e->dirty.flushing = flush_devices(e, e->dirty.flush, device_flushed);
}

static void interval_begin(struct engine *e)
{
	struct dirty *d = &e->dirty;

	memset(d->touched, 0, d->blocks * BITMAP_BLOCK_BYTES);
	d->state = BITMAP_FLUSH_TAGS;
	d->deadline_ns = UINT64_MAX;
	e->progress = true;
	tags_write(e, &d->tags, tags_written);
}

void dirty_run(struct engine *e)
{
	struct dirty *d = &e->dirty;

	if (e->mode != INTACT_MODE_BITMAP || e->failed || e->read_only)
		return;
	run_marking(e);
	run_writes(e);
	if (d->state == BITMAP_FLUSH_IDLE && d->deadline_ns != UINT64_MAX &&
	    engine_now_ns(e) >= d->deadline_ns)
		interval_begin(e);
}

/* ---- Stale regions ---- */

bool dirty_is_stale(const struct engine *e, uint64_t sector)
{
	const struct dirty *d = &e->dirty;

	return d->stale_count > 0 && bitmap_test(d->stale, first_region(e, sector));
}

void dirty_recalculated(struct engine *e, uint64_t region)
{
	struct dirty *d = &e->dirty;

	assert(bitmap_test(d->stale, region));
	bitmap_clear(d->stale, region, 1);
	d->stale_count--;
	bitmap_set(d->touched, region, 1);
	if (d->deadline_ns == UINT64_MAX)
		d->deadline_ns = engine_now_ns(e) + d->interval_ns;
}

/* ---- Opening and closing ---- */

int dirty_open(struct engine *e)
{
	struct dirty *d = &e->dirty;
	const struct intact_params *p = &e->volume.params;

	d->deadline_ns = UINT64_MAX;
	if (e->mode != INTACT_MODE_BITMAP)
		return 0;
	bitmap_shape_choose(&e->volume.geometry, p->sectors_per_bit,
			    e->volume.geometry.provided_sectors, &d->shape);
	d->blocks = d->shape.bytes / BITMAP_BLOCK_BYTES;
	d->wanted = calloc(d->blocks, BITMAP_BLOCK_BYTES);
	d->durable = calloc(d->blocks, BITMAP_BLOCK_BYTES);
	d->touched = calloc(d->blocks, BITMAP_BLOCK_BYTES);
	d->stale = calloc(d->blocks, BITMAP_BLOCK_BYTES);
	d->unsaved = calloc(d->blocks / 8 + 1, 1);
	if (!d->wanted || !d->durable || !d->touched || !d->stale || !d->unsaved)
		return -ENOMEM;
	for (uint32_t i = 0; i < BITMAP_WRITES_MAX; i++) {
		d->writes[i].engine = e;
		d->writes[i].bytes = aligned_alloc(4096, BITMAP_BLOCK_BYTES);
		if (!d->writes[i].bytes)
			return -ENOMEM;
	}
	return 0;
}

void dirty_close(struct engine *e)
{
	struct dirty *d = &e->dirty;

	free(d->wanted);
	free(d->durable);
	free(d->touched);
	free(d->stale);
	free(d->unsaved);
	for (uint32_t i = 0; i < BITMAP_WRITES_MAX; i++)
		free(d->writes[i].bytes);
}
