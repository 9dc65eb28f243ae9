/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One engine after another on the same devices, as device-mapper suspends one table and resumes
 * another:
 *
 *	engine_prepare (beside the running one) -> engine_shutdown … of that -> engine_follow
 *
 * In between nothing can be written to the volume, and a swap device may be on it: so that no memory
 * may be taken. What the superblock will be is known but for its position of recalculation and its
 * flags of the area; it is read and checked once more all the same.
 */
#include "engine/internal.h"

/* A clean shutdown leaves a journal, whatever was there. */
static void expect_superblock(struct engine *e, const struct engine *before)
{
	e->volume.sb = before->activated;
	e->volume.sb.flags &= ~SB_DIRTY_BITMAP;
}

static int choose_length(struct volume *v)
{
	uint64_t provided = v->geometry.provided_sectors;
	uint64_t wanted = v->params.length_sectors ?: provided;

	if (wanted > provided || provided == 0) {
		message_error(v->log, "%s: there is room for %llu sectors, not for %llu",
			      v->params.device, (unsigned long long)provided,
			      (unsigned long long)wanted);
		return -ENOSPC;
	}
	if (wanted & (v->geometry.sectors_per_block - 1)) {
		message_error(v->log, "a length of %llu sectors is not whole blocks",
			      (unsigned long long)wanted);
		return -EINVAL;
	}
	v->sectors = wanted;
	return 0;
}

static int choose_recalculation(struct engine *e, const struct engine *before)
{
	uint64_t end = before->volume.sectors;

	if (!e->volume.hash) {
		message_error(e->world.log, "%s: recalculation needs the internal hash",
			      e->volume.params.device);
		return -EINVAL;
	}
	if (e->volume.sectors > end)
		e->recalculate_from = end;
	return 0;
}

/* Tags may be made only where the volume's parameters allow it. */
static int check_recalculation(struct engine *e)
{
	struct sb sb = e->volume.sb;
	int r;

	open_apply_params(e);
	r = volume_check_recalculation(&e->volume);
	e->volume.sb = sb;
	return r;
}

static int prepare(struct engine *e, const struct engine *before, bool recalculate_new)
{
	struct volume *v = &e->volume;
	int r;

	e->follows = true;
	expect_superblock(e, before);
	r = volume_check_params(v);
	r = r ?: volume_make_geometry(v, false);
	r = r ?: choose_length(v);
	r = r ?: open_check_writable(e);
	if (r == 0 && recalculate_new)
		r = choose_recalculation(e, before);
	r = r ?: check_recalculation(e);
	return r ?: open_memory(e);
}

int engine_prepare(const struct engine *before, const struct intact_params *params,
		   bool recalculate_new, const struct engine_world *world, struct engine **ret)
{
	struct engine *e = NULL;
	int r = open_create(params, false, world, &e);

	r = r ?: prepare(e, before, recalculate_new);
	if (r < 0) {
		engine_close(e);
		return r;
	}
	*ret = e;
	return 0;
}

/* Regions that are stale become a recalculation, which may need what a bitmap does not. */
int engine_may_follow(const struct engine *before, struct engine *e)
{
	struct sb sb = e->volume.sb;
	int r;

	if (before->dirty.stale_count == 0)
		return 0;
	e->volume.sb.flags |= SB_RECALCULATING;
	e->volume.sb.recalc_sector = 0;
	r = volume_check_recalculation(&e->volume);
	e->volume.sb = sb;
	return r;
}

static bool is_same_volume(const struct sb *a, const struct sb *b)
{
	const uint32_t flags = SB_HAVE_JOURNAL_MAC | SB_FIXED_PADDING | SB_FIXED_HMAC | SB_INLINE;

	return ((a->flags ^ b->flags) & flags) == 0 && a->tag_bytes == b->tag_bytes &&
	       a->journal_sections == b->journal_sections &&
	       a->log2_sectors_per_block == b->log2_sectors_per_block &&
	       a->log2_interleave_sectors == b->log2_interleave_sectors &&
	       memcmp(a->salt, b->salt, sizeof(a->salt)) == 0;
}

static int read_superblock_again(struct engine *e)
{
	struct volume *v = &e->volume;
	struct sb expected = v->sb;
	uint8_t bytes[SB_BYTES];
	int r = open_superblock(e, bytes);

	r = r ?: volume_check_mac_by(v, e->mac, bytes);
	if (r == 0 && (!is_same_volume(&v->sb, &expected) || v->sb.flags & SB_DIRTY_BITMAP))
		r = volume_refuse(v, "%s: somebody else has written the superblock",
				  v->params.device);
	return r ?: volume_make_geometry(v, false);
}

static void inherit_counts(struct engine *e, const struct engine *before)
{
	e->status = before->status;
}

int engine_follow(struct engine *e, const struct engine *before)
{
	int r;

	assert(before->shutdown == SHUTDOWN_DONE);
	assert(!before->failed);
	inherit_counts(e, before);
	r = read_superblock_again(e);
	return r ?: open_activate(e);
}

void engine_stop(struct engine *e, const char *reason)
{
	assert(e->shutdown == SHUTDOWN_DONE);
	engine_fail(e, -EIO, "%s", reason);
}
