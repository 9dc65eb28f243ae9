/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening a view. In order, each step believing only what the ones before it have established:
 *
 *	devices -> superblock -> parameters against it -> geometry -> length -> superblock MAC
 *	-> internal hash -> bitmap or journal
 */
#include "offline/view.h"

#include "base/message.h"
#include "base/num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DISCARD_FILLER 0xf6

static bool in_recovery(const struct intact_view *v)
{
	return v->volume.params.mode == INTACT_MODE_RECOVERY;
}

/* ---- Devices ---- */

static int open_devices(struct intact_view *v, const struct intact_params *p,
			const struct intact_log *log)
{
	int r = io_file_open(p->device, 0, log, &v->device);

	v->data_device = v->device;
	if (r == 0 && p->data_device) {
		v->data_device = NULL;
		r = io_file_open(p->data_device, 0, log, &v->data_device);
	}
	if (r == 0 && p->inline_tags)
		r = io_file_open(p->inline_tags, 0, log, &v->inline_tags);
	if (r < 0)
		return r;
	return volume_init(&v->volume, p, io_file_bytes(v->device) / SECTOR_BYTES,
			   p->data_device ? io_file_bytes(v->data_device) / SECTOR_BYTES : 0, log);
}

/* ---- Superblock ---- */

static int read_superblock(struct intact_view *v, uint8_t bytes[SB_BYTES])
{
	const struct intact_params *p = &v->volume.params;
	uint64_t offset;
	int r = -ENODATA;

	if (mul_checked(p->start_sector, SECTOR_BYTES, &offset) && offset <= INT64_MAX - SB_BYTES)
		r = io_file_read(v->device, offset, bytes, SB_BYTES);
	if (r == -ENODATA)
		return volume_refuse(
			&v->volume,
			"%s is too short for a superblock at sector %llu: it has %llu sectors",
			p->device, (unsigned long long)p->start_sector,
			(unsigned long long)v->volume.device_sectors);
	if (r < 0) {
		message_error(v->volume.log, "%s: cannot read the superblock: %s", p->device,
			      strerror(-r));
		return -EIO;
	}
	return volume_decode(&v->volume, bytes);
}

/* The tuples of all blocks of the device, in order, nothing else. */
static int measure_tuples(struct intact_view *v)
{
	const struct volume *vol = &v->volume;
	uint64_t blocks = vol->device_sectors >> vol->sb.log2_sectors_per_block;

	if (!volume_is_inline(vol))
		return 0;
	if (!v->inline_tags)
		return volume_refuse(
			vol,
			"%s: the tags are in the device's own metadata: dump them to a "
			"file and give --inline-tags",
			vol->params.device);
	if (io_file_bytes(v->inline_tags) % blocks != 0)
		return volume_refuse(
			vol, "%s has %llu bytes, not the same number for each of %llu blocks",
			vol->params.inline_tags, (unsigned long long)io_file_bytes(v->inline_tags),
			(unsigned long long)blocks);
	v->tuple_bytes = io_file_bytes(v->inline_tags) / blocks;
	if (v->tuple_bytes < vol->sb.tag_bytes)
		return volume_refuse(vol, "%s has %llu bytes for each block, the tags have %u",
				     vol->params.inline_tags, (unsigned long long)v->tuple_bytes,
				     vol->sb.tag_bytes);
	return 0;
}

/* ---- Internal hash ---- */

/* Opens the hash once, for its errors, its log line and the driver's name. */
static int try_hash(struct intact_view *v)
{
	struct digest *d;
	int r;

	if (!v->volume.hash)
		return 0;
	r = volume_open_hash(&v->volume, false, &d);
	if (r < 0)
		return r;
	(void)strncpy(v->driver, digest_driver_name(d), sizeof(v->driver) - 1);
	v->asynchronous = !digest_is_synchronous(d);
	digest_close(d);
	return 0;
}

static int find_hash(struct intact_view *v)
{
	int r = 0;

	if (strcmp(v->volume.params.internal_hash.name, "auto") == 0)
		r = detect_hash(v);
	memset(v->discard_marker, DISCARD_FILLER, sizeof(v->discard_marker));
	return r < 0 ? r : try_hash(v);
}

/* ---- Descriptions ---- */

static void describe_superblock(struct intact_view *v)
{
	const struct sb *sb = &v->volume.sb;

	v->superblock = (struct intact_superblock){
		.version = sb->version,
		.flags = sb->flags,
		.tag_bytes = sb->tag_bytes,
		.block_bytes = SECTOR_BYTES << sb->log2_sectors_per_block,
		.interleave_sectors =
			v->volume.has_metadata_device ? 0 : 1ull << sb->log2_interleave_sectors,
		.journal_sections = sb->journal_sections,
		.provided_data_sectors = sb->provided_data_sectors,
		.recalc_sector = sb->recalc_sector,
		.log2_blocks_per_bitmap_bit = sb->log2_blocks_per_bitmap_bit,
	};
	memcpy(v->superblock.salt, sb->salt, sizeof(v->superblock.salt));
}

static void describe_layout(struct intact_view *v)
{
	const struct geometry *g = &v->volume.geometry;
	bool tags_on_device = g->kind != GEOMETRY_INLINE;

	v->layout = (struct intact_layout){
		.superblock_sector = g->start_sector,
		.journal_sector = geometry_journal_sector(g),
		.journal_sectors = g->journal_sectors,
		.section_sectors = g->section_sectors,
		.section_entries = g->section_entries,
		.entry_bytes = g->entry_bytes,
		.first_tag_sector = tags_on_device ? g->start_sector + g->initial_sectors : 0,
		.first_data_sector = geometry_data_sector(g, 0),
		.run_tag_sectors = g->run_tag_sectors,
		.runs = geometry_runs(g),
		.provided_data_sectors = g->provided_sectors,
		.device_sectors = v->volume.device_sectors,
		.data_device_sectors = v->volume.data_device_sectors,
	};
}

/* ---- Opening and closing ---- */

static int open_journal_area(struct intact_view *v)
{
	v->journal.state = INTACT_JOURNAL_NONE;
	if (!v->volume.geometry_good || volume_is_inline(&v->volume))
		return 0;
	if (v->volume.sb.flags & SB_DIRTY_BITMAP) {
		v->journal.state = INTACT_JOURNAL_BITMAP;
		return unverified_open(v);
	}
	return in_recovery(v) ? 0 : overlay_make(v);
}

static int open_verifying(struct intact_view *v, const uint8_t bytes[SB_BYTES])
{
	struct volume *vol = &v->volume;
	int r = volume_check_params(vol);

	r = r ?: volume_make_geometry(vol, false);
	if (r < 0)
		return r;
	describe_layout(v);
	r = volume_choose_length(vol);
	r = r ?: measure_tuples(v);
	r = r ?: volume_check_mac(vol, bytes);
	r = r ?: find_hash(v);
	return r ?: open_journal_area(v);
}

/* The hash that was named verifies the journal's blocks; but not a keyed one without its key. */
static void take_named_hash(struct volume *vol)
{
	const struct intact_algorithm *named = &vol->params.internal_hash;
	const struct intact_digest_algorithm *hash = digest_algorithm_find(named->name);

	if (hash && (!hash->keyed || named->key || named->key_uri))
		vol->hash = hash;
}

/* For dump: what the keys that were given allow. */
static int open_describing(struct intact_view *v, const uint8_t bytes[SB_BYTES])
{
	struct volume *vol = &v->volume;
	int r = volume_make_geometry(vol, true);

	r = r ?: volume_check_mac(vol, bytes);
	if (r < 0 || !vol->geometry_good)
		return r;
	describe_layout(v);
	take_named_hash(vol);
	vol->sectors = min_u64(vol->sb.provided_data_sectors, vol->geometry.provided_sectors);
	if (vol->geometry.provided_sectors < vol->sb.provided_data_sectors)
		message_warning(vol->log,
				"%s: the volume is truncated: it should hold %llu sectors, but the "
				"device has room for %llu",
				vol->params.device,
				(unsigned long long)vol->sb.provided_data_sectors,
				(unsigned long long)vol->geometry.provided_sectors);
	return open_journal_area(v);
}

static int view_fill(struct intact_view *v, const struct intact_params *params, unsigned flags,
		     const struct intact_log *log)
{
	uint8_t bytes[SB_BYTES];
	int r = open_devices(v, params, log);

	r = r ?: read_superblock(v, bytes);
	if (r < 0)
		return r;
	describe_superblock(v);
	return flags & INTACT_VIEW_SUPERBLOCK_ONLY ? open_describing(v, bytes)
						   : open_verifying(v, bytes);
}

int intact_view_open(const struct intact_params *params, unsigned flags,
		     const struct intact_log *log, struct intact_view **ret)
{
	struct intact_view *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	r = view_fill(v, params, flags, log);
	if (r < 0) {
		intact_view_close(v);
		return r;
	}
	*ret = v;
	return 0;
}

void intact_view_close(struct intact_view *v)
{
	if (!v)
		return;
	reader_close(v->reader);
	io_file_close(v->inline_tags);
	if (v->data_device != v->device)
		io_file_close(v->data_device);
	io_file_close(v->device);
	free(v->overlay);
	volume_done(&v->volume);
	free(v);
}

/* ---- What it is ---- */

const struct intact_superblock *intact_view_superblock(const struct intact_view *v)
{
	return &v->superblock;
}

const struct intact_layout *intact_view_layout(const struct intact_view *v)
{
	return v->volume.geometry_good ? &v->layout : NULL;
}

const struct intact_journal *intact_view_journal(const struct intact_view *v)
{
	return &v->journal;
}

const struct intact_bitmap *intact_view_bitmap(const struct intact_view *v)
{
	return &v->bitmap;
}

const char *intact_view_hash(const struct intact_view *v)
{
	return v->volume.hash ? v->volume.hash->name : "";
}

const char *intact_view_driver(const struct intact_view *v)
{
	return v->driver;
}

uint64_t intact_view_sectors(const struct intact_view *v)
{
	return v->volume.sectors;
}

const char *intact_flag_name(uint32_t bit)
{
	return sb_flag_name(bit);
}
