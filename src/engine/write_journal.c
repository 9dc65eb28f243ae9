/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A write in mode J, once its tags are known (write.c):
 *
 *	write_journal -> (waits for room) -> blocks_enter -> slice_finish
 *
 * Blocks enter the ring whole, with their tags, in one step: a commit never has to wait for an
 * entry. The request is acknowledged then; what makes it durable is the commit (commit.c), for
 * which a flush or FUA asks.
 */
#include "engine/internal.h"

static void blocks_enter(struct slice *s)
{
	struct engine *e = s->engine;
	const uint8_t *tags = s->given_tags ?: s->tags;

	for (uint32_t i = 0; i < s->blocks; i++) {
		uint32_t entry = ring_add(e, s->first_sector + (uint64_t)i * e->spb);

		memcpy(ring_data(e, entry), s->buffer + (size_t)i * e->block_bytes, e->block_bytes);
		memcpy(ring_tag(e, entry), tags + (size_t)i * e->tag_bytes, e->tag_bytes);
	}
	if (e->commit.deadline_ns == UINT64_MAX)
		e->commit.deadline_ns = engine_now_ns(e) + e->commit_time_ns;
	slice_finish(s, 0);
}

static bool has_room(const struct engine *e, const struct slice *s)
{
	return ring_free_entries(e) >= s->blocks;
}

void write_journal(struct slice *s)
{
	struct engine *e = s->engine;

	if (!e->room_waiters.first && has_room(e, s)) {
		blocks_enter(s);
		return;
	}
	s->state = SLICE_ROOM;
	list_push(&e->room_waiters, s);
}

void write_journal_run(struct engine *e)
{
	while (e->room_waiters.first && has_room(e, e->room_waiters.first) && !e->failed)
		blocks_enter(list_pop(&e->room_waiters));
	if (!engine_journals(e) || e->failed)
		return;
	if (e->room_waiters.first || ring_is_tight(e)) {
		commit_request(e);
		writeback_request(e);
	}
}
