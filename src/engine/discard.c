/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A discard: the blocks' tags become markers that accept any contents.
 *
 *	discard_start -> discard_locked -> (the journal lets go of the blocks) -> discard_settled
 *	-> (markers_digested, keyed) -> discard_ready -> (waits for the bitmap) -> discard_marked -> tags_ready
 *	-> slice_finish
 *
 * The journal must not hold the blocks: their entries would be written home over the markers.
 * Should a crash replay older sections that still lie on the disk, the blocks have their old
 * contents with the tags of those, which a discard allows.
 */
#include "engine/internal.h"

/* A tag that lies in two sectors may be written in part when the power goes, and half a marker fails.
 * In mode J no block may fail: such a block is journalled, as zeros, since a marker fits no contents
 * that a journal could hold.
 */
static bool must_be_journalled(const struct engine *e, uint64_t sector)
{
	uint64_t byte = geometry_tag_byte(&e->volume.geometry, sector);

	return engine_journals(e) && byte % SECTOR_BYTES + e->tag_bytes > SECTOR_BYTES;
}

uint32_t discard_together(const struct engine *e, uint64_t first_sector, uint32_t blocks)
{
	uint32_t count = 1;

	if (must_be_journalled(e, first_sector))
		return 1;
	while (count < blocks && !must_be_journalled(e, first_sector + (uint64_t)count * e->spb))
		count++;
	return count;
}

static void tags_ready(struct tag_span *span)
{
	struct slice *s = container_of(span, struct slice, span);
	struct engine *e = s->engine;
	bool keyed = e->volume.params.allow_discards_keyed;
	int result = e->failed ? -EIO : 0;

	if (result == 0) {
		tags_put(span, e, 0, s->blocks, keyed ? s->tags : e->discard_filler,
			 keyed ? e->tag_bytes : 0);
		e->flush.home_dirty = true;
		dirty_touch(e, s->first_sector, s->blocks);
	}
	tags_release(e, span);
	slice_finish(s, result);
}

static void discard_marked(struct slice *s)
{
	s->state = SLICE_TAGGING;
	tags_acquire(s->engine, &s->span, s->first_sector, s->blocks, true, tags_ready);
}

static void discard_ready(struct slice *s)
{
	if (s->engine->mode != INTACT_MODE_BITMAP || dirty_mark(s, discard_marked))
		discard_marked(s);
}

static void markers_digested(struct digest_request *req)
{
	struct engine *e = req->opaque;
	struct slice *s = slice_of_digest(e, req);

	if (req->result < 0)
		slice_digest_failed(s, req->result);
	else if (e->failed)
		slice_finish(s, -EIO);
	else
		discard_ready(s);
}

static void discard_settled(struct slice *s)
{
	assert(s->range.held);
	if (s->engine->volume.params.allow_discards_keyed)
		slice_digest_markers(s, markers_digested);
	else
		discard_ready(s);
}

static void discard_locked(struct range *range)
{
	struct slice *s = container_of(range, struct slice, range);

	assert(s->state == SLICE_LOCKING);
	if (s->engine->failed)
		slice_finish(s, -EIO);
	else
		settle_wait(s, discard_settled);
}

void discard_start(struct slice *s)
{
	if (must_be_journalled(s->engine, s->first_sector)) {
		write_start(s);
		return;
	}
	s->state = SLICE_LOCKING;
	range_lock(s->engine, &s->range, s->first_sector, (uint64_t)s->blocks * s->engine->spb,
		   true, discard_locked);
}
