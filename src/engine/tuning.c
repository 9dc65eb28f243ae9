/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What can be changed while requests are under way: nothing on the disk depends on it, nor does the
 * order of anything.
 */
#include "engine/internal.h"

#define COMMIT_TIME_MS	   10000u
#define BITMAP_INTERVAL_MS 10000u
#define WATERMARK_PERCENT  50u
#define NANOSECONDS_PER_MS 1000000ull

uint32_t tuning_watermark_percent(const struct engine *e)
{
	int32_t percent = e->volume.params.journal_watermark_percent;

	return percent < 0 ? WATERMARK_PERCENT : (uint32_t)percent;
}

void tuning_apply(struct engine *e)
{
	const struct intact_params *p = &e->volume.params;

	e->commit_time_ns = NANOSECONDS_PER_MS * (p->commit_time_ms ?: COMMIT_TIME_MS);
	e->dirty.interval_ns =
		NANOSECONDS_PER_MS * (p->bitmap_flush_interval_ms ?: BITMAP_INTERVAL_MS);
}

/* Who waits already does not wait longer than who comes now. */
static void bring_forward(uint64_t *deadline_ns, uint64_t latest_ns)
{
	if (*deadline_ns != UINT64_MAX)
		*deadline_ns = min_u64(*deadline_ns, latest_ns);
}

void engine_retune(struct engine *e, const struct intact_params *params)
{
	struct intact_params *own = &e->volume.params;
	uint64_t now_ns = engine_now_ns(e);

	own->journal_watermark_percent = params->journal_watermark_percent;
	own->commit_time_ms = params->commit_time_ms;
	own->bitmap_flush_interval_ms = params->bitmap_flush_interval_ms;
	own->allow_discards = params->allow_discards;
	tuning_apply(e);
	bring_forward(&e->commit.deadline_ns, now_ns + e->commit_time_ns);
	bring_forward(&e->dirty.deadline_ns, now_ns + e->dirty.interval_ns);
}
