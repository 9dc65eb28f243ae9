/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Range locks. All ranges, held or not, stand in one list in the order of asking; one is granted
 * when no range before it overlaps and excludes it. So nobody overtakes, and nobody starves.
 */
#include "engine/internal.h"

static bool conflicts(const struct range *a, const struct range *b)
{
	return (a->exclusive || b->exclusive) && a->first_sector < b->end_sector &&
	       b->first_sector < a->end_sector;
}

static bool may_be_granted(const struct range *range)
{
	for (const struct range *r = range->earlier; r; r = r->earlier) {
		if (conflicts(r, range))
			return false;
	}
	return true;
}

static void grant(struct engine *e, struct range *range)
{
	range->held = true;
	e->progress = true;
	range->granted(range);
}

void range_lock(struct engine *e, struct range *range, uint64_t first_sector, uint64_t sectors,
		bool exclusive, void (*granted)(struct range *range))
{
	struct range_queue *q = &e->ranges;

	*range = (struct range){
		.first_sector = first_sector,
		.end_sector = first_sector + sectors,
		.exclusive = exclusive,
		.granted = granted,
		.earlier = q->last,
	};
	if (q->last)
		q->last->later = range;
	else
		q->first = range;
	q->last = range;
	if (may_be_granted(range))
		grant(e, range);
}

void range_unlock(struct engine *e, struct range *range)
{
	struct range_queue *q = &e->ranges;

	if (range->earlier)
		range->earlier->later = range->later;
	else
		q->first = range->later;
	if (range->later)
		range->later->earlier = range->earlier;
	else
		q->last = range->earlier;
	range->earlier = range->later = NULL;
	range->held = false;
	q->changed = true;
}

/* Granting may lock and unlock others: begins anew after each. */
static bool grant_one(struct engine *e)
{
	for (struct range *r = e->ranges.first; r; r = r->later) {
		if (r->held || !may_be_granted(r))
			continue;
		grant(e, r);
		return true;
	}
	return false;
}

void range_run(struct engine *e)
{
	if (!e->ranges.changed)
		return;
	e->ranges.changed = false;
	while (grant_one(e))
		;
}

bool range_any_overlaps(const struct engine *e, uint64_t first_sector, uint64_t end_sector)
{
	for (const struct range *r = e->ranges.first; r; r = r->later) {
		if (r->exclusive && r->first_sector < end_sector && first_sector < r->end_sector)
			return true;
	}
	return false;
}
