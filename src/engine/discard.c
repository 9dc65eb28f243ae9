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

/* A tag that lies in two sectors may be written in part when the power goes. In mode J no block may
 * fail then, and no journal helps, as a marker fits no contents: the block keeps those it has.
 */
static bool may_be_torn(const struct slice *s, uint32_t block)
{
	const struct engine *e = s->engine;
	uint64_t byte = s->span.first_byte + (uint64_t)block * e->tag_bytes;

	return engine_journals(e) && byte % SECTOR_BYTES + e->tag_bytes > SECTOR_BYTES;
}

static void put_markers(struct slice *s, const uint8_t *markers, size_t stride)
{
	for (uint32_t i = 0; i < s->blocks; i++) {
		if (!may_be_torn(s, i))
			tags_put(&s->span, s->engine, i, 1, markers + i * stride, 0);
	}
}

static void tags_ready(struct tag_span *span)
{
	struct slice *s = container_of(span, struct slice, span);
	struct engine *e = s->engine;
	bool keyed = e->volume.params.allow_discards_keyed;
	int result = e->failed ? -EIO : 0;

	if (result == 0) {
		put_markers(s, keyed ? s->tags : e->discard_filler, keyed ? e->tag_bytes : 0);
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
	s->state = SLICE_LOCKING;
	range_lock(s->engine, &s->range, s->first_sector, (uint64_t)s->blocks * s->engine->spb,
		   true, discard_locked);
}
