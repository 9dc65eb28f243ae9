/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recalculation: tags for data that is there, in the background, a step at a time under a lock.
 *
 *	recalculate_run: step_begin -> step_locked -> (the journal lets go) -> step_settled -> data_arrived
 *	-> step_digested -> tags_ready -> … and every so often: tags_written -> devices_flushed -> superblock
 *	written
 *
 * Either from recalc_sector to the end, or, in mode B, through the regions that were dirty when the
 * volume was opened. The position is stored only after the tags below it are durable; a region is
 * stale until it is wholly recalculated.
 */
#include "engine/internal.h"

#include <stdlib.h>

#define STEPS_PER_SAVE 256u

static bool is_over(const struct engine *e)
{
	const struct recalculate *r = &e->recalculate;

	if (r->by_bitmap)
		return e->dirty.stale_count == 0;
	return !(e->volume.sb.flags & SB_RECALCULATING) ||
	       r->position >= e->volume.geometry.provided_sectors;
}

bool recalculate_pending(const struct engine *e, uint64_t sector)
{
	if (e->dirty.stale_count > 0 && dirty_is_stale(e, sector))
		return true;
	return !e->recalculate.by_bitmap && e->volume.sb.flags & SB_RECALCULATING &&
	       sector >= e->recalculate.position;
}

static void go(struct engine *e, enum recalculate_state state)
{
	e->recalculate.state = state;
	e->progress = true;
}

static void step_abandon(struct engine *e)
{
	range_unlock(e, &e->recalculate.range);
	go(e, RECALCULATE_IDLE);
}

/* ---- Saving the position ---- */

static void position_saved(struct engine *e)
{
	e->recalculate.steps = 0;
	go(e, is_over(e) ? RECALCULATE_IDLE : RECALCULATE_NEXT);
}

static void device_flushed(struct io *io)
{
	struct engine *e = io->opaque;
	struct recalculate *r = &e->recalculate;

	e->progress = true;
	if (io->result < 0)
		engine_fail(e, -EIO, "cannot flush: %s", strerror((int)-io->result));
	if (--r->flushing > 0 || e->failed)
		return;
	e->volume.sb.recalc_sector = r->position;
	go(e, RECALCULATE_SAVING_SUPERBLOCK);
	superblock_write(e, position_saved);
}

static void tags_written(struct tags_wait *wait)
{
	struct engine *e = container_of(wait, struct engine, recalculate.wait);

	if (e->failed)
		return;
	go(e, RECALCULATE_SAVING_FLUSH);
	e->recalculate.flushing = flush_devices(e, e->recalculate.flush, device_flushed);
}

static void save(struct engine *e)
{
	go(e, RECALCULATE_SAVING_TAGS);
	tags_write(e, &e->recalculate.wait, tags_written);
}

/* ---- A step ---- */

static void region_step_over(struct engine *e)
{
	struct recalculate *r = &e->recalculate;
	const struct bitmap_shape *shape = &e->dirty.shape;
	uint64_t region = bitmap_region_of(shape, r->sector);
	uint64_t end =
		min_u64((region + 1) * shape->region_sectors, e->volume.geometry.provided_sectors);

	if (r->position >= end)
		dirty_recalculated(e, region);
}

/* By the bitmap the superblock has no position to tell; but when all is done, it must not say
 * otherwise.
 */
static bool must_save(struct engine *e)
{
	struct recalculate *r = &e->recalculate;
	const struct sb *sb = &e->volume.sb;
	uint64_t end = e->volume.geometry.provided_sectors;

	if (!r->by_bitmap)
		return is_over(e) || r->steps >= STEPS_PER_SAVE;
	if (!is_over(e) || !(sb->flags & SB_RECALCULATING) || sb->recalc_sector >= end)
		return false;
	r->position = end;
	return true;
}

static void step_over(struct engine *e)
{
	struct recalculate *r = &e->recalculate;

	r->position = r->sector + r->sectors;
	r->steps++;
	if (r->by_bitmap)
		region_step_over(e);
	range_unlock(e, &r->range);
	if (must_save(e))
		save(e);
	else
		go(e, is_over(e) ? RECALCULATE_IDLE : RECALCULATE_NEXT);
}

static void tags_ready(struct tag_span *span)
{
	struct engine *e = container_of(span, struct engine, recalculate.span);
	struct recalculate *r = &e->recalculate;

	if (e->failed) {
		tags_release(e, span);
		step_abandon(e);
		return;
	}
	tags_put(span, e, 0, (uint32_t)(r->sectors / e->spb), r->tags, e->tag_bytes);
	e->flush.home_dirty = true;
	tags_release(e, span);
	step_over(e);
}

static void step_digested(struct digest_request *req)
{
	struct engine *e = req->opaque;
	struct recalculate *r = &e->recalculate;

	e->progress = true;
	if (req->result < 0)
		engine_fail(e, -EIO, "digest failed: %s", strerror(-req->result));
	if (e->failed) {
		step_abandon(e);
		return;
	}
	go(e, RECALCULATE_TAGGING);
	tags_acquire(e, &r->span, r->sector, (uint32_t)(r->sectors / e->spb), true, tags_ready);
}

static void data_arrived(struct io *io)
{
	struct engine *e = container_of(io, struct engine, recalculate.io);
	struct recalculate *r = &e->recalculate;

	e->progress = true;
	if (io->result != (int64_t)(r->sectors * SECTOR_BYTES))
		engine_fail(e, -EIO, "cannot read sector %llu to recalculate its tag: %s",
			    (unsigned long long)r->sector,
			    strerror(io->result < 0 ? (int)-io->result : EIO));
	if (e->failed) {
		step_abandon(e);
		return;
	}
	go(e, RECALCULATE_DIGESTING);
	*r->digest = (struct digest_request){
		.data = r->data,
		.message_bytes = e->block_bytes,
		.stride_bytes = e->block_bytes,
		.count = (uint32_t)(r->sectors / e->spb),
		.flags = DIGEST_SECTOR | (e->salted ? DIGEST_SALTED : 0),
		.sector = r->sector,
		.sector_step = e->spb,
		.tags = r->tags,
		.tag_stride_bytes = e->tag_bytes,
		.done = step_digested,
		.opaque = e,
	};
	digest_submit(e->hash, r->digest);
}

static void step_settled(struct engine *e)
{
	struct recalculate *r = &e->recalculate;

	go(e, RECALCULATE_READING);
	r->iov = (struct iovec){r->data, r->sectors * SECTOR_BYTES};
	r->io = (struct io){
		.file = e->world.data_device,
		.op = IO_READ,
		.offset = geometry_data_sector(&e->volume.geometry, r->sector) * SECTOR_BYTES,
		.iov = &r->iov,
		.iov_count = 1,
		.done = data_arrived,
	};
	io_submit(e->world.io, &r->io);
}

static void step_locked(struct range *range)
{
	struct engine *e = container_of(range, struct engine, recalculate.range);

	go(e, RECALCULATE_SETTLING);
}

static void choose_step(struct engine *e)
{
	struct recalculate *r = &e->recalculate;
	uint64_t end = e->volume.geometry.provided_sectors;

	r->sector = r->position;
	if (r->by_bitmap) {
		const struct bitmap_shape *shape = &e->dirty.shape;
		uint64_t region = bitmap_region_of(shape, min_u64(r->position, end - 1));
		uint64_t dirty = bitmap_next_set(e->dirty.stale, region, shape->regions);

		if (dirty == shape->regions)
			dirty = bitmap_next_set(e->dirty.stale, 0, shape->regions);
		assert(dirty < shape->regions);
		if (dirty != region || r->position >= end)
			r->sector = dirty * shape->region_sectors;
		end = min_u64(end, (dirty + 1) * shape->region_sectors);
	}
	r->sectors = min_u64(end - r->sector,
			     geometry_contiguous_sectors(&e->volume.geometry, r->sector));
	r->sectors = min_u64(r->sectors, (uint64_t)r->slice_blocks * e->spb);
}

static void step_begin(struct engine *e)
{
	struct recalculate *r = &e->recalculate;

	choose_step(e);
	go(e, RECALCULATE_LOCKING);
	range_lock(e, &r->range, r->sector, r->sectors, true, step_locked);
}

static void run_settling(struct engine *e)
{
	struct recalculate *r = &e->recalculate;

	if (e->failed) {
		step_abandon(e);
	} else if (ring_has_any(e, r->sector, r->sectors)) {
		commit_request(e);
		writeback_request(e);
	} else {
		step_settled(e);
	}
}

void recalculate_run(struct engine *e)
{
	struct recalculate *r = &e->recalculate;

	if (r->state == RECALCULATE_SETTLING)
		run_settling(e);
	if (r->state != RECALCULATE_NEXT)
		return;
	if (!e->failed && e->shutdown == SHUTDOWN_NOT)
		step_begin(e);
	else if (!e->failed && !r->by_bitmap && r->steps > 0)
		save(e);
	else
		go(e, RECALCULATE_IDLE);
}

/* ---- Opening and closing ---- */

int recalculate_open(struct engine *e)
{
	struct recalculate *r = &e->recalculate;

	if (e->read_only || !e->hash)
		return 0;
	r->slice_blocks = e->slice_blocks_max;
	r->data = aligned_alloc(4096,
				round_up_pow2((uint64_t)r->slice_blocks * e->block_bytes, 4096));
	r->tags = malloc((size_t)r->slice_blocks * e->tag_bytes);
	r->digest = aligned_alloc(64, digest_request_bytes(e->hash));
	return r->data && r->tags && r->digest ? 0 : -ENOMEM;
}

int recalculate_begin(struct engine *e)
{
	struct recalculate *r = &e->recalculate;

	/* Opened for reading in mode B, the volume may have a journal still. */
	r->by_bitmap = e->mode == INTACT_MODE_BITMAP && e->volume.sb.flags & SB_DIRTY_BITMAP;
	r->position = r->by_bitmap ? 0 : e->volume.sb.recalc_sector;
	if (e->read_only || is_over(e))
		return 0;
	if (!e->hash) {
		message_error(e->world.log, "%s: recalculation needs the internal hash",
			      e->volume.params.device);
		return -EMEDIUMTYPE;
	}
	r->state = RECALCULATE_NEXT;
	return 0;
}

void recalculate_close(struct engine *e)
{
	free(e->recalculate.data);
	free(e->recalculate.tags);
	free(e->recalculate.digest);
}
