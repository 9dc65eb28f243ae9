/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Waiting until the journal in memory holds none of a slice's blocks. Its range is locked
 * exclusively, so no new entries come; commit and write-back bring the old ones home.
 */
#include "engine/internal.h"

static bool is_settled(const struct slice *s)
{
	return !ring_has_any(s->engine, s->first_sector, (uint64_t)s->blocks * s->engine->spb);
}

void settle_wait(struct slice *s, void (*settled)(struct slice *s))
{
	if (is_settled(s)) {
		settled(s);
		return;
	}
	s->state = SLICE_SETTLING;
	s->go_on = settled;
	list_push(&s->engine->settle_waiters, s);
}

void settle_run(struct engine *e)
{
	struct slice *s = list_take(&e->settle_waiters);

	while (s) {
		struct slice *next = s->next;

		if (is_settled(s)) {
			e->progress = true;
			s->go_on(s);
		} else {
			list_push(&e->settle_waiters, s);
		}
		s = next;
	}
	if (e->settle_waiters.first && !e->failed) {
		commit_request(e);
		writeback_request(e);
	}
}
