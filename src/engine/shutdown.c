/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The clean shutdown:
 *
 *	engine_shutdown -> requests drained, recalculation paused -> commit and write-back (J), or flush
 *	-> journal emptied, superblock written -> over
 *
 * The last step waits for its I/O: nothing else is left to be done.
 */
#include "engine/internal.h"

void engine_shutdown(struct engine *e)
{
	if (e->shutdown == SHUTDOWN_NOT)
		e->shutdown = SHUTDOWN_DRAINING;
}

bool engine_is_shut(const struct engine *e, int *ret_result)
{
	if (e->shutdown != SHUTDOWN_DONE)
		return false;
	*ret_result = e->failed;
	return true;
}

static bool is_busy(const struct engine *e)
{
	return e->requests_under_way > 0 || e->recalculate.state != RECALCULATE_IDLE ||
	       e->commit.state != COMMIT_IDLE || e->writeback.state != WRITEBACK_IDLE ||
	       e->flush.state != FLUSH_IDLE || e->dirty.state != BITMAP_FLUSH_IDLE ||
	       e->superblock.busy || e->tags.writing_count > 0;
}

/* In flight with nobody's state to show it: reads of tags, writes of the bitmap. */
static bool has_strays(const struct engine *e)
{
	for (uint32_t i = 0; i < e->tags.count; i++) {
		if (e->tags.blocks[i].state == TAG_READING)
			return true;
	}
	for (uint32_t i = 0; i < BITMAP_WRITES_MAX; i++) {
		if (e->dirty.writes[i].busy)
			return true;
	}
	return false;
}

bool shutdown_is_quiet(const struct engine *e)
{
	bool in_flight =
		e->requests_under_way > 0 || e->superblock.busy || e->tags.writing_count > 0 ||
		e->commit.pending > 0 || e->writeback.in_flight > 0 || e->writeback.flushing > 0 ||
		e->flush.flushing > 0 || e->dirty.flushing > 0 || e->recalculate.flushing > 0 ||
		e->commit.state == COMMIT_FLUSHING || e->recalculate.state == RECALCULATE_READING ||
		e->recalculate.state == RECALCULATE_DIGESTING;

	return !in_flight && !has_strays(e);
}

/* ---- The last step ---- */

/* Where a recalculation by the bitmap has to go on without one. */
static void keep_stale_regions(struct engine *e)
{
	struct dirty *d = &e->dirty;
	uint64_t region = bitmap_next_set(d->stale, 0, d->shape.regions);

	if (d->stale_count == 0)
		return;
	e->volume.sb.flags |= SB_RECALCULATING;
	e->volume.sb.recalc_sector = region * d->shape.region_sectors;
}

/* docs/format.md section 5, "Clean shutdown": a replay would begin at the head, and find nothing.
 */
static int empty_journal(struct engine *e)
{
	const struct ring *ring = &e->ring;
	uint32_t sections = ring->section_count;
	uint8_t sequence = ring->sequence;
	int r;

	if (ring->added == 0)
		return 0;
	r = replay_erase(e, ring->head, sections - ring->head, sequence);
	r = r ?: replay_flush(e);
	r = r ?: replay_erase(e, 0, ring->head, (sequence + 1) % SEQUENCES);
	return r ?: replay_flush(e);
}

static void last_step(struct engine *e)
{
	int r = 0;

	e->progress = true;
	if (e->mode == INTACT_MODE_BITMAP) {
		keep_stale_regions(e);
		r = leave_bitmap(e, e->dirty.stale_count > 0);
	}
	if (engine_journals(e))
		r = empty_journal(e);
	if (r < 0)
		engine_fail(e, r, "cannot shut down cleanly");
	e->shutdown = SHUTDOWN_DONE;
}

/* Everything at home and durable? Asks for what is missing. */
static bool is_settled(struct engine *e)
{
	if (e->ring.taken > 0 && !e->read_only) {
		commit_request(e);
		writeback_request(e);
		return false;
	}
	if (e->flush.home_dirty || e->tags.dirty_count > 0) {
		e->flush.home_dirty = true;
		flush_force(e);
		return false;
	}
	return true;
}

void shutdown_run(struct engine *e)
{
	if (e->shutdown == SHUTDOWN_NOT || e->shutdown == SHUTDOWN_DONE)
		return;
	if (e->failed) {
		if (shutdown_is_quiet(e)) {
			e->shutdown = SHUTDOWN_DONE;
			e->progress = true;
		}
		return;
	}
	if (is_busy(e) || has_strays(e))
		return;
	if (!is_settled(e))
		return;
	if (e->read_only) {
		e->shutdown = SHUTDOWN_DONE;
		e->progress = true;
		return;
	}
	last_step(e);
}
