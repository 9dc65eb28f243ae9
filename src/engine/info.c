/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an engine is like, for those who show it: all that stays as it is from activation to
 * shutdown, but for what engine_retune changes.
 */
#include "engine/internal.h"

static void copy_name(char to[INTACT_ALGORITHM_BYTES], const char *name)
{
	memset(to, 0, INTACT_ALGORITHM_BYTES);
	memcpy(to, name, strnlen(name, INTACT_ALGORITHM_BYTES - 1));
}

static void algorithms(const struct engine *e, struct intact_info *ret)
{
	const struct intact_params *p = &e->volume.params;

	copy_name(ret->journal_mac, p->journal_mac.name);
	copy_name(ret->journal_crypt, p->journal_crypt.name);
	if (!e->hash)
		return;
	copy_name(ret->hash, e->volume.hash->name);
	copy_name(ret->driver, digest_driver_name(e->hash));
	ret->asynchronous = !digest_is_synchronous(e->hash);
	ret->hash_key_bytes = (uint32_t)p->internal_hash.key_bytes;
	ret->hash_key_in_token = p->internal_hash.key_uri != NULL;
}

static void sizes(const struct engine *e, struct intact_info *ret)
{
	const struct geometry *g = &e->volume.geometry;

	ret->start_sector = g->start_sector;
	ret->sectors = e->volume.sectors;
	ret->provided_data_sectors = g->provided_sectors;
	ret->block_bytes = e->block_bytes;
	ret->tag_bytes = e->tag_bytes;
	ret->interleave_sectors = UINT64_C(1) << g->log2_interleave;
	ret->buffer_sectors = g->buffer_sectors;
	ret->journal_sections = g->journal_sections;
	ret->journal_sectors = g->journal_sectors;
}

void engine_info(const struct engine *e, struct intact_info *ret)
{
	const struct intact_params *p = &e->volume.params;

	memset(ret, 0, sizeof(*ret));
	algorithms(e, ret);
	sizes(e, ret);
	ret->mode = e->mode;
	ret->read_only = e->read_only;
	ret->allow_discards = p->allow_discards || p->allow_discards_keyed;
	ret->flags = e->volume.sb.flags;
	ret->journal_watermark_percent = tuning_watermark_percent(e);
	ret->commit_time_ms = (uint32_t)(e->commit_time_ns / 1000000);
	if (e->mode != INTACT_MODE_BITMAP)
		return;
	ret->sectors_per_bit = e->dirty.shape.region_sectors;
	ret->bitmap_flush_interval_ms = (uint32_t)(e->dirty.interval_ns / 1000000);
}
