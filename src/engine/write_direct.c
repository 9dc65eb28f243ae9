/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A write in modes D and B, once its tags are known (write.c):
 *
 *	write_direct -> (waits for the bitmap) -> regions_marked -> data_written -> tags_ready
 *	-> slice_finish
 *
 * In mode B the regions are durably dirty before the data starts. Tags go to the cache; a flush, or
 * the end of the bitmap's interval, writes them.
 */
#include "engine/internal.h"

static void tags_ready(struct tag_span *span)
{
	struct slice *s = container_of(span, struct slice, span);
	struct engine *e = s->engine;
	int result = e->failed ? -EIO : 0;

	if (result == 0) {
		tags_put(span, e, 0, s->blocks, s->given_tags ?: s->tags, e->tag_bytes);
		e->flush.home_dirty = true;
		dirty_touch(e, s->first_sector, s->blocks);
	}
	tags_release(e, span);
	slice_finish(s, result);
}

static void data_written(struct io *io)
{
	struct slice *s = container_of(io, struct slice, io);
	struct engine *e = s->engine;

	assert(s->state == SLICE_WRITING);
	assert(s->range.held);
	e->progress = true;
	e->flush.home_dirty = true;
	if (e->failed || io->result != (int64_t)s->blocks * e->block_bytes) {
		slice_finish(s, -EIO);
		return;
	}
	s->state = SLICE_TAGGING;
	tags_acquire(e, &s->span, s->first_sector, s->blocks, true, tags_ready);
}

static void regions_marked(struct slice *s)
{
	struct engine *e = s->engine;

	assert(s->range.held);
	assert(!e->failed);
	assert(!e->read_only);
	s->state = SLICE_WRITING;
	s->iov[0] = (struct iovec){s->buffer, (size_t)s->blocks * e->block_bytes};
	s->io = (struct io){
		.file = e->world.data_device,
		.op = IO_WRITE,
		.offset = geometry_data_sector(&e->volume.geometry, s->first_sector) * SECTOR_BYTES,
		.iov = s->iov,
		.iov_count = 1,
		.done = data_written,
	};
	io_submit(e->world.io, &s->io);
	e->progress = true;
}

void write_direct(struct slice *s)
{
	if (s->engine->mode != INTACT_MODE_BITMAP || dirty_mark(s, regions_marked))
		regions_marked(s);
}
