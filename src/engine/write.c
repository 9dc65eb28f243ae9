/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The beginning of every write:
 *
 *	write_start -> write_locked -> write_digested -> write_journal (mode J), or write_direct (D, B)
 *
 * The digest comes before anything is changed, so that one that fails has changed nothing.
 */
#include "engine/internal.h"

static void write_tagged(struct slice *s)
{
	if (engine_journals(s->engine))
		write_journal(s);
	else
		write_direct(s);
}

static void write_digested(struct digest_request *req)
{
	struct engine *e = req->opaque;
	struct slice *s = slice_of_digest(e, req);

	assert(s->state == SLICE_DIGESTING);
	assert(s->range.held);
	if (req->result < 0)
		slice_digest_failed(s, req->result);
	else if (e->failed)
		slice_finish(s, -EIO);
	else
		write_tagged(s);
}

static void write_locked(struct range *range)
{
	struct slice *s = container_of(range, struct slice, range);

	assert(s->state == SLICE_LOCKING);
	if (s->engine->failed)
		slice_finish(s, -EIO);
	else if (!s->given_tags)
		slice_digest(s, s->buffer, write_digested);
	else
		write_tagged(s);
}

void write_start(struct slice *s)
{
	s->state = SLICE_LOCKING;
	range_lock(s->engine, &s->range, s->first_sector, (uint64_t)s->blocks * s->engine->spb,
		   true, write_locked);
}
