/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A verified read, in the order it happens:
 *
 *	read_start -> read_locked -> (data_arrived, tags_ready) -> read_arrived -> read_digested
 *	-> (markers_digested, with keyed discards) -> read_judge -> slice_finish
 *
 * Blocks that the journal has are copied out of it at once, while the lock is fresh; the others are
 * read around them. A mismatch goes back to read_locked, once, before it is believed.
 */
#include "engine/internal.h"

/* Values of slice.known: what need not be verified any more. */
enum { FROM_HOME, FROM_JOURNAL, FITS };

static bool verifies(const struct engine *e)
{
	return e->hash && e->mode != INTACT_MODE_RECOVERY;
}

static uint64_t sector_of(const struct slice *s, uint32_t block)
{
	return s->first_sector + (uint64_t)block * s->engine->spb;
}

static uint8_t *block_of(const struct slice *s, uint32_t block)
{
	return s->buffer + (size_t)block * s->engine->block_bytes;
}

/* ---- What the journal has ---- */

/* Returns how many blocks it had. */
static uint32_t take_from_journal(struct slice *s)
{
	struct engine *e = s->engine;
	uint32_t taken = 0;

	memset(s->known, FROM_HOME, s->blocks);
	if (e->ring.taken == 0)
		return 0;
	for (uint32_t i = 0; i < s->blocks; i++) {
		uint32_t entry = ring_find(e, sector_of(s, i));

		if (entry == NONE)
			continue;
		memcpy(block_of(s, i), ring_data(e, entry), e->block_bytes);
		if (s->given_tags)
			memcpy(s->given_tags + (size_t)i * e->tag_bytes, ring_tag(e, entry),
			       e->tag_bytes);
		s->known[i] = FROM_JOURNAL;
		taken++;
	}
	return taken;
}

/* The journal's blocks are in place already, and the second time those that were found to fit: what
 * lies at home under them goes to where nobody looks.
 */
static unsigned read_vector(struct slice *s)
{
	struct engine *e = s->engine;
	unsigned n = 0;

	for (uint32_t i = 0; i < s->blocks; i++) {
		bool home = s->known[i] == FROM_HOME;

		if (home && i > 0 && s->known[i - 1] == FROM_HOME) {
			s->iov[n - 1].iov_len += e->block_bytes;
			continue;
		}
		s->iov[n++] = (struct iovec){home ? block_of(s, i) : e->junk, e->block_bytes};
	}
	return n;
}

/* ---- Verifying ---- */

static bool stored_is(const struct slice *s, uint32_t block, const uint8_t *tags, size_t stride)
{
	uint32_t bytes = s->engine->tag_bytes;

	return secret_equal(s->stored + (size_t)block * bytes, tags + block * stride, bytes);
}

static bool may_mismatch(const struct slice *s, uint32_t block)
{
	struct engine *e = s->engine;

	if (recalculate_pending(e, sector_of(s, block)))
		return true;
	return e->volume.params.allow_discards && !(e->volume.sb.flags & SB_DISCARD_KEYED) &&
	       stored_is(s, block, e->discard_filler, 0);
}

static void look_again(struct slice *s);

static void read_judge(struct slice *s)
{
	struct engine *e = s->engine;
	uint64_t bad = 0;

	for (uint32_t i = 0; i < s->blocks; i++) {
		if (s->known[i] != FROM_HOME)
			continue;
		if (!s->again) {
			look_again(s);
			return;
		}
		if (bad++ == 0)
			s->first_bad = sector_of(s, i);
		message_error(e->world.log, "%s: sector %llu does not match its tag",
			      e->volume.params.device, (unsigned long long)sector_of(s, i));
	}
	e->status.mismatches += bad;
	slice_finish(s, bad ? -EILSEQ : 0);
}

static void markers_digested(struct digest_request *req)
{
	struct engine *e = req->opaque;
	struct slice *s = slice_of_digest(e, req);

	if (req->result < 0)
		engine_fail(e, -EIO, "digest failed: %s", strerror(-req->result));
	if (e->failed) {
		slice_finish(s, -EIO);
		return;
	}
	for (uint32_t i = 0; i < s->blocks; i++) {
		if (s->known[i] == FROM_HOME && stored_is(s, i, s->tags, e->tag_bytes))
			s->known[i] = FITS;
	}
	read_judge(s);
}

static void read_digested(struct digest_request *req)
{
	struct engine *e = req->opaque;
	struct slice *s = slice_of_digest(e, req);
	bool all = true;

	assert(s->state == SLICE_DIGESTING);
	assert(s->range.held);
	if (req->result < 0)
		engine_fail(e, -EIO, "digest failed: %s", strerror(-req->result));
	if (e->failed) {
		slice_finish(s, -EIO);
		return;
	}
	for (uint32_t i = 0; i < s->blocks; i++) {
		if (s->known[i] == FROM_HOME &&
		    (stored_is(s, i, s->tags, e->tag_bytes) || may_mismatch(s, i)))
			s->known[i] = FITS;
		all = all && s->known[i] != FROM_HOME;
	}
	if (!all && e->volume.params.allow_discards_keyed)
		slice_digest_markers(s, markers_digested);
	else
		read_judge(s);
}

/* ---- Reading ---- */

static void give_tags(struct slice *s)
{
	uint32_t bytes = s->engine->tag_bytes;

	for (uint32_t i = 0; i < s->blocks; i++) {
		if (s->known[i] == FROM_HOME)
			memcpy(s->given_tags + (size_t)i * bytes, s->stored + (size_t)i * bytes,
			       bytes);
	}
}

static void read_arrived(struct slice *s)
{
	struct engine *e = s->engine;

	if (--s->waits > 0)
		return;
	if (e->failed || s->error < 0) {
		slice_finish(s, e->failed ? -EIO : s->error);
		return;
	}
	if (s->given_tags)
		give_tags(s);
	if (verifies(e))
		slice_digest(s, s->buffer, read_digested);
	else
		slice_finish(s, 0);
}

static void data_arrived(struct io *io)
{
	struct slice *s = container_of(io, struct slice, io);

	assert(s->range.held);
	s->engine->progress = true;
	if (io->result != (int64_t)s->blocks * s->engine->block_bytes)
		s->error = -EIO;
	read_arrived(s);
}

static void tags_ready(struct tag_span *span)
{
	struct slice *s = container_of(span, struct slice, span);

	if (!s->engine->failed)
		tags_get(span, s->engine, 0, s->blocks, s->stored);
	tags_release(s->engine, span);
	read_arrived(s);
}

static void read_home(struct slice *s)
{
	struct engine *e = s->engine;
	bool tags = verifies(e) || s->given_tags;

	s->state = SLICE_READING;
	s->error = 0;
	s->waits = tags ? 2 : 1;
	s->io = (struct io){
		.file = e->world.data_device,
		.op = IO_READ,
		.offset = geometry_data_sector(&e->volume.geometry, s->first_sector) * SECTOR_BYTES,
		.iov = s->iov,
		.iov_count = read_vector(s),
		.done = data_arrived,
	};
	io_submit(e->world.io, &s->io);
	if (tags)
		tags_acquire(e, &s->span, s->first_sector, s->blocks, false, tags_ready);
}

static void look_again(struct slice *s)
{
	s->again = true;
	tags_forget(s->engine, s->first_sector, s->blocks);
	read_home(s);
}

static void read_locked(struct range *range)
{
	struct slice *s = container_of(range, struct slice, range);

	assert(s->state == SLICE_LOCKING);
	if (s->engine->failed)
		slice_finish(s, -EIO);
	else if (take_from_journal(s) == s->blocks)
		slice_finish(s, 0);
	else
		read_home(s);
}

void read_start(struct slice *s)
{
	s->state = SLICE_LOCKING;
	range_lock(s->engine, &s->range, s->first_sector, (uint64_t)s->blocks * s->engine->spb,
		   false, read_locked);
}
