/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Activation, and the end of it:
 *
 *	superblock -> parameters -> memory -> journal replayed, or bitmap read -> superblock updated -> ready
 *
 * An engine that follows another one (follow.c) comes in by the middle: what precedes the journal is
 * done while the other one still runs, and from there on nothing allocates.
 *
 * The journal area is either a journal or a bitmap; the DIRTY_BITMAP flag says which, and is
 * changed so that at no moment a crash leaves one to be taken for the other (enter_bitmap,
 * leave_bitmap).
 */
#include "engine/internal.h"

#include <stdlib.h>

#define NO_GRANULARITY 0xffu /* log2_blocks_per_bitmap_bit of no bitmap that there can be */

/* ---- What it is ---- */

int open_superblock(struct engine *e, uint8_t bytes[SB_BYTES])
{
	const struct intact_params *p = &e->volume.params;
	struct volume *v = &e->volume;
	int r;

	if (p->start_sector > v->device_sectors || v->device_sectors - p->start_sector < SB_SECTORS)
		return volume_refuse(v, "%s ends before the superblock at sector %llu", p->device,
				     (unsigned long long)p->start_sector);
	r = replay_read(e, p->start_sector * SECTOR_BYTES, bytes, SB_BYTES);
	return r ?: volume_decode(v, bytes);
}

int open_check_writable(const struct engine *e)
{
	const struct volume *v = &e->volume;

	if (volume_is_inline(v))
		return volume_refuse(v, "%s: inline volumes can only be checked and read",
				     v->params.device);
	if (!e->read_only && (v->sb.flags & ~SB_FLAGS_KNOWN))
		return volume_refuse(v, "%s: the superblock has unknown flags 0x%x: not written to",
				     v->params.device, v->sb.flags & ~SB_FLAGS_KNOWN);
	return 0;
}

static void recalculate_from(struct sb *sb, uint64_t sector)
{
	if (!(sb->flags & SB_RECALCULATING) || sector < sb->recalc_sector)
		sb->recalc_sector = sector;
	sb->flags |= SB_RECALCULATING;
}

void open_apply_params(struct engine *e)
{
	const struct intact_params *p = &e->volume.params;
	struct sb *sb = &e->volume.sb;

	if (e->recalculate_from != UINT64_MAX)
		recalculate_from(sb, e->recalculate_from);
	if (p->reset_recalculate || (p->recalculate && !(sb->flags & SB_RECALCULATING))) {
		recalculate_from(sb, 0);
		e->recalculate.anew = true;
	}
	if (p->allow_discards_keyed)
		sb->flags |= SB_DISCARD_KEYED;
	sb->provided_data_sectors = e->volume.geometry.provided_sectors;
}

/* ---- Memory ---- */

static int open_digests(struct engine *e)
{
	int r = 0;

	if (e->volume.hash)
		r = volume_open_hash(&e->volume, e->follows, &e->hash);
	r = r ?: volume_open_journal_mac(&e->volume, &e->mac);
	r = r ?: volume_open_cipher(&e->volume, &e->cipher);
	return r ?: volume_commit_ids(&e->volume, e->cipher, &e->commit_ids);
}

/* A slice must leave room for others in a small journal, and always fit it. */
static uint32_t choose_slice_blocks(const struct engine *e)
{
	const struct geometry *g = &e->volume.geometry;
	uint64_t blocks = SLICE_DATA_BYTES_MAX / e->block_bytes;
	uint64_t entries = (uint64_t)g->journal_sections * g->section_entries;

	blocks = min_u64(blocks, SLICE_TAG_BYTES_MAX / e->tag_bytes);
	blocks = min_u64(blocks, max_u64(1, entries / 2));
	return (uint32_t)blocks;
}

static int open_slices(struct engine *e)
{
	size_t digest_bytes = e->hash ? digest_request_bytes(e->hash) : 64;
	size_t tag_bytes = (size_t)e->slice_blocks_max * e->tag_bytes;
	size_t each = 2 * tag_bytes + e->slice_blocks_max;

	e->zeroes = aligned_alloc(4096, SLICE_DATA_BYTES_MAX);
	e->junk = aligned_alloc(4096, 4096);
	e->tag_memory = calloc(SLICES_MAX, each);
	e->digest_memory = aligned_alloc(64, SLICES_MAX * digest_bytes);
	e->iov_memory = calloc((size_t)SLICES_MAX * e->slice_blocks_max, sizeof(struct iovec));
	if (!e->zeroes || !e->junk || !e->tag_memory || !e->digest_memory || !e->iov_memory)
		return -ENOMEM;
	memset(e->zeroes, 0, SLICE_DATA_BYTES_MAX);
	memset(e->digest_memory, 0, SLICES_MAX * digest_bytes);
	for (uint32_t i = 0; i < SLICES_MAX; i++) {
		struct slice *s = &e->slices[i];

		s->engine = e;
		s->tags = e->tag_memory + i * each;
		s->stored = s->tags + tag_bytes;
		s->known = s->stored + tag_bytes;
		s->digest =
			(struct digest_request *)((uint8_t *)e->digest_memory + i * digest_bytes);
		s->iov = e->iov_memory + (size_t)i * e->slice_blocks_max;
		list_push(&e->idle_slices, s);
	}
	return 0;
}

static int take_memory(struct engine *e)
{
	const struct geometry *g = &e->volume.geometry;
	bool journals = engine_journals(e) || !(e->volume.sb.flags & SB_DIRTY_BITMAP);
	size_t section = round_up_pow2((size_t)g->section_sectors * SECTOR_BYTES, 64);
	int r = open_slices(e);

	e->erase_bytes =
		aligned_alloc(64, round_up_pow2(section + section_mac_message_bytes(g), 64));
	if (!e->erase_bytes)
		return -ENOMEM;
	r = r ?: tags_open(e);
	r = r ?: superblock_open(e);
	r = r ?: recalculate_open(e);
	if (r == 0 && journals && e->mode != INTACT_MODE_RECOVERY) {
		r = replay_open(e);
		r = r ?: ring_open(e);
		r = r ?: commit_open(e);
		r = r ?: writeback_open(e);
	}
	return r ?: dirty_open(e);
}

static void init_fields(struct engine *e)
{
	e->mode = e->volume.params.mode ?: INTACT_MODE_JOURNAL;
	e->read_only = e->read_only || e->mode == INTACT_MODE_RECOVERY;
	e->spb = e->volume.geometry.sectors_per_block;
	e->block_bytes = e->spb * SECTOR_BYTES;
	e->tag_bytes = e->volume.geometry.tag_bytes;
	e->salted = volume_is_salted(&e->volume);
	e->slice_blocks_max = choose_slice_blocks(e);
	e->commit.deadline_ns = UINT64_MAX;
	e->dirty.deadline_ns = UINT64_MAX;
	tuning_apply(e);
	memset(e->discard_filler, 0xf6, sizeof(e->discard_filler));
}

/* ---- The journal area ---- */

static uint64_t journal_offset(const struct engine *e)
{
	return geometry_journal_sector(&e->volume.geometry) * SECTOR_BYTES;
}

static int erase_area(struct engine *e)
{
	int r = replay_erase(e, 0, e->volume.geometry.journal_sections, 0);

	r = r ?: replay_flush(e);
	if (e->ring.section_count > 0)
		ring_begin(e, 0, 1);
	return r;
}

/* From a bitmap to a journal. While the area is neither, the superblock still says bitmap; and when
 * there is something that may not be forgotten, it names another granularity than the bitmap's,
 * which means that everything is dirty: one that no bitmap has, whatever it will be opened with.
 */
int leave_bitmap(struct engine *e, bool dirty)
{
	struct sb *sb = &e->volume.sb;
	uint8_t granularity = sb->log2_blocks_per_bitmap_bit;
	int r = 0;

	if (dirty) {
		sb->log2_blocks_per_bitmap_bit = NO_GRANULARITY;
		r = replay_superblock(e);
	}
	r = r ?: erase_area(e);
	sb->flags &= ~SB_DIRTY_BITMAP;
	sb->log2_blocks_per_bitmap_bit = granularity;
	return r ?: replay_superblock(e);
}

static int read_bitmap(struct engine *e, uint8_t *bits, uint64_t bytes)
{
	return replay_read(e, journal_offset(e), bits, bytes);
}

/* Whether any bit is set, or the granularity does not fit the area. */
static int bitmap_is_dirty(struct engine *e, bool *ret)
{
	const struct sb *sb = &e->volume.sb;
	struct bitmap_shape shape;
	uint8_t block[BITMAP_BLOCK_BYTES];
	int r = 0;

	*ret = true;
	if (bitmap_shape_stored(&e->volume.geometry, sb->log2_blocks_per_bitmap_bit,
				e->volume.geometry.stored_provided_sectors, &shape) != BITMAP_GOOD)
		return 0;
	*ret = false;
	for (uint64_t at = 0; at < shape.bytes && r == 0 && !*ret; at += sizeof(block)) {
		uint64_t left = shape.regions - min_u64(shape.regions, at * 8);

		r = replay_read(e, journal_offset(e) + at, block, sizeof(block));
		*ret = r == 0 && bitmap_count(block, min_u64(left, 8 * sizeof(block))) > 0;
	}
	return r;
}

/* The bitmap as it is to be on the disk now. */
static int write_bitmap(struct engine *e)
{
	struct dirty *d = &e->dirty;
	int r = replay_write(e, false, journal_offset(e), d->wanted,
			     d->blocks * BITMAP_BLOCK_BYTES);

	r = r ?: replay_flush(e);
	memcpy(d->durable, d->wanted, d->blocks * BITMAP_BLOCK_BYTES);
	return r;
}

/* A bitmap where something else was, or one of another shape. While it is not written, nothing that it
 * has to say may be forgotten.
 */
static int put_bitmap(struct engine *e, bool dirty)
{
	uint8_t granularity = e->dirty.shape.log2_blocks_per_bit;
	struct sb *sb = &e->volume.sb;
	int r;

	sb->flags |= SB_DIRTY_BITMAP;
	sb->log2_blocks_per_bitmap_bit = dirty ? NO_GRANULARITY : granularity;
	r = replay_superblock(e);
	r = r ?: write_bitmap(e);
	if (r < 0 || !dirty)
		return r;
	sb->log2_blocks_per_bitmap_bit = granularity;
	return replay_superblock(e);
}

/* From a journal that is empty, or was replayed, to a bitmap. */
static int enter_bitmap(struct engine *e)
{
	struct dirty *d = &e->dirty;
	const struct sb *sb = &e->volume.sb;
	uint64_t end = e->volume.geometry.provided_sectors;
	bool unfinished = sb->flags & SB_RECALCULATING && sb->recalc_sector < end;

	if (unfinished) {
		uint64_t first = bitmap_region_of(&d->shape, sb->recalc_sector);

		bitmap_set(d->wanted, first, d->shape.regions - first);
		bitmap_set(d->stale, first, d->shape.regions - first);
	}
	return put_bitmap(e, unfinished);
}

/* Whether the bitmap on the disk says what this one is to say. */
static bool bitmap_goes_on(const struct engine *e)
{
	const struct geometry *g = &e->volume.geometry;

	return e->volume.sb.log2_blocks_per_bitmap_bit == e->dirty.shape.log2_blocks_per_bit &&
	       g->provided_sectors == g->stored_provided_sectors && !e->recalculate.anew;
}

/* The volume was in mode B when it stopped. The bitmap alone decides: with nothing dirty in it, nothing
 * is left to be recalculated, wherever the superblock's position was.
 */
static int resume_bitmap(struct engine *e)
{
	struct dirty *d = &e->dirty;
	bool goes_on = bitmap_goes_on(e);
	int r = 0;

	if (goes_on)
		r = read_bitmap(e, d->wanted, d->blocks * BITMAP_BLOCK_BYTES);
	else
		bitmap_set(d->wanted, 0, d->shape.regions);
	memcpy(d->stale, d->wanted, d->blocks * BITMAP_BLOCK_BYTES);
	if (r < 0 || e->read_only)
		return r;
	if (!goes_on)
		return put_bitmap(e, true);
	memcpy(d->durable, d->wanted, d->blocks * BITMAP_BLOCK_BYTES);
	if (e->volume.sb.flags & SB_RECALCULATING && bitmap_count(d->stale, d->shape.regions) == 0)
		e->volume.sb.recalc_sector = e->volume.geometry.provided_sectors;
	return replay_superblock(e);
}

/* It was only needed for the replay. */
static void release_journal(struct engine *e)
{
	writeback_close(e);
	commit_close(e);
	ring_close(e);
	replay_close(e);
	memset(&e->writeback, 0, sizeof(e->writeback));
	memset(&e->commit, 0, sizeof(e->commit));
	memset(&e->ring, 0, sizeof(e->ring));
	e->commit.deadline_ns = UINT64_MAX;
}

static int open_area(struct engine *e)
{
	bool was_bitmap = e->volume.sb.flags & SB_DIRTY_BITMAP;
	bool dirty;
	int r;

	if (e->mode == INTACT_MODE_RECOVERY)
		return 0;
	if (was_bitmap && e->mode == INTACT_MODE_BITMAP)
		return resume_bitmap(e);
	if (was_bitmap) {
		r = bitmap_is_dirty(e, &dirty);
		if (r == 0 && dirty)
			recalculate_from(&e->volume.sb, 0);
		if (r < 0 || e->read_only)
			return r;
		return leave_bitmap(e, dirty);
	}
	r = replay_run(e);
	if (r == -EILSEQ && e->world.opens_corrupt) {
		engine_fail(e, -EIO, "the journal is corrupt");
		return 0;
	}
	if (r < 0 || e->read_only)
		return r;
	if (!engine_journals(e))
		release_journal(e);
	return e->mode == INTACT_MODE_BITMAP ? enter_bitmap(e) : replay_superblock(e);
}

/* ---- Opening ---- */

int open_memory(struct engine *e)
{
	int r;

	init_fields(e);
	r = open_digests(e);
	return r ?: take_memory(e);
}

int open_activate(struct engine *e)
{
	int r = 0;

	if (!e->read_only) {
		open_apply_params(e);
		/* A process that was killed may have left things in the caches of the devices: what
		 * is acted upon from now on must not vanish with the power.
		 */
		r = replay_flush(e);
		r = r ?: volume_check_recalculation(&e->volume);
	}
	r = r ?: open_area(e);
	if (r < 0)
		return r;
	if (e->dirty.stale)
		e->dirty.stale_count = bitmap_count(e->dirty.stale, e->dirty.shape.regions);
	e->activated = e->volume.sb;
	return e->failed ? 0 : recalculate_begin(e);
}

static int fill(struct engine *e)
{
	struct volume *v = &e->volume;
	uint8_t bytes[SB_BYTES];
	int r = open_superblock(e, bytes);

	r = r ?: volume_check_params(v);
	r = r ?: volume_make_geometry(v, false);
	r = r ?: volume_choose_length(v);
	r = r ?: open_check_writable(e);
	r = r ?: volume_check_mac(v, bytes);
	r = r ?: open_memory(e);
	return r ?: open_activate(e);
}

int open_create(const struct intact_params *params, bool read_only,
		const struct engine_world *world, struct engine **ret)
{
	struct engine *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->world = *world;
	e->read_only = read_only;
	e->recalculate_from = UINT64_MAX;
	r = volume_init(&e->volume, params, world->device_sectors, world->data_device_sectors,
			world->log);
	if (world->drivers)
		e->volume.drivers = world->drivers;
	e->volume.wake = world->wake;
	e->volume.wake_opaque = world->opaque;
	*ret = e;
	return r;
}

int engine_open(const struct intact_params *params, bool read_only,
		const struct engine_world *world, struct engine **ret)
{
	struct engine *e = NULL;
	int r = open_create(params, read_only, world, &e);

	r = r ?: fill(e);
	if (r < 0) {
		engine_close(e);
		return r;
	}
	*ret = e;
	return 0;
}

/* What a crash left under way comes to its end without starting anything. */
static void abandon_digests(struct engine *e)
{
	e->failed = e->failed ?: -ESHUTDOWN;
	if (e->hash)
		digest_flush(e->hash);
	if (e->mac)
		digest_flush(e->mac);
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	abandon_digests(e);
	recalculate_close(e);
	dirty_close(e);
	writeback_close(e);
	commit_close(e);
	ring_close(e);
	replay_close(e);
	superblock_close(e);
	tags_close(e);
	cipher_close(e->cipher);
	digest_close(e->mac);
	digest_close(e->hash);
	free(e->erase_bytes);
	free(e->zeroes);
	free(e->junk);
	free(e->tag_memory);
	free(e->digest_memory);
	free(e->iov_memory);
	volume_done(&e->volume);
	free(e);
}
