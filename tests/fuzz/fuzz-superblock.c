/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hostile superblock on devices of hostile sizes:
 *
 *	flags (1)  start (8)  device sectors (8)  data device sectors (8)  buffer, interleave, journal
 *	sectors (4 each)  superblock (up to 4096, then zeros)
 *
 * What is decoded must encode to the same fields, and whatever the geometry says is good must lie on
 * the devices.
 */
#include "base/num.h"
#include "format/bitmap.h"
#include "format/geometry.h"
#include "format/superblock.h"
#include "input.h"

#include <assert.h>

#define HAS_METADATA_DEVICE 0x1
#define EXPLANATION_BYTES   100

struct devices {
	uint64_t start_sector;
	uint64_t sectors;
	uint64_t data_sectors;
	uint32_t buffer_sectors;
	uint32_t interleave_sectors;
	uint32_t journal_sectors;
};

static void check_explanations(enum sb_verdict verdict, const uint8_t *bytes)
{
	char text[EXPLANATION_BYTES];

	for (size_t size = 1; size <= sizeof(text); size += 33) {
		sb_explain(verdict, bytes, text, size);
		assert(strlen(text) < size);
		assert(strlen(text) > 0 || size == 1);
	}
}

static void check_encoding(const uint8_t *bytes, bool has_metadata_device, const struct sb *sb)
{
	uint8_t once[SB_BYTES], twice[SB_BYTES];
	struct sb again;

	sb_encode(sb, once);
	assert(memcmp(once, bytes, 30) == 0);
	assert(memcmp(once + 32, bytes + 32, 8) == 0);
	assert(memcmp(once + 48, bytes + 48, SB_SALT_BYTES) == 0);
	assert(sb_decode(once, has_metadata_device, &again) == SB_GOOD);
	sb_encode(&again, twice);
	assert(memcmp(once, twice, SB_BYTES) == 0);
}

static void check_block(const struct geometry *g, const struct devices *d, uint64_t logical)
{
	bool two_devices = g->kind == GEOMETRY_METADATA_DEVICE;
	uint64_t device_bytes = min_u64(d->sectors, DEVICE_SECTORS_MAX - 1) * SECTOR_BYTES;
	uint64_t contiguous = geometry_contiguous_sectors(g, logical);
	uint64_t tag_byte;

	assert(contiguous > 0);
	assert(contiguous <= g->provided_sectors - logical);
	assert(geometry_data_sector(g, logical + contiguous - 1) ==
	       geometry_data_sector(g, logical) + contiguous - 1);
	assert(geometry_data_sector(g, logical) < (two_devices ? d->data_sectors : d->sectors));
	if (g->kind == GEOMETRY_INLINE)
		return;
	tag_byte = geometry_tag_byte(g, logical);
	assert(tag_byte >= (g->start_sector + g->initial_sectors) * SECTOR_BYTES);
	if (d->sectors < DEVICE_SECTORS_MAX)
		assert(tag_byte + g->tag_bytes <= device_bytes);
}

static void check_geometry(const struct geometry *g, const struct devices *d)
{
	uint64_t last = g->provided_sectors - 1;

	assert(g->provided_sectors % g->sectors_per_block == 0);
	check_block(g, d, 0);
	check_block(g, d, last);
	check_block(g, d, last / 2);
	check_block(g, d, last & ~((UINT64_C(1) << g->log2_interleave) - 1));
	assert(geometry_runs(g) > 0);
	if (g->journal_sections == 0)
		return;
	assert(geometry_section_sector(g, g->journal_sections - 1) + g->section_sectors ==
	       g->start_sector + g->initial_sectors);
}

static void check_bitmap(const struct geometry *g, const struct sb *sb)
{
	struct bitmap_shape shape;

	if (g->journal_sectors == 0)
		return;
	bitmap_shape_choose(g, 1, g->provided_sectors, &shape);
	assert(shape.bytes <= g->journal_sectors * SECTOR_BYTES);
	assert(bitmap_region_of(&shape, g->provided_sectors - 1) == shape.regions - 1);
	if (bitmap_shape_stored(g, sb->log2_blocks_per_bitmap_bit, g->provided_sectors, &shape) !=
	    BITMAP_GOOD)
		return;
	assert(shape.bytes <= g->journal_sectors * SECTOR_BYTES);
	assert(bitmap_region_of(&shape, g->provided_sectors - 1) == shape.regions - 1);
}

/* What formatting makes must be what opening finds. */
static void check_formatting(struct sb sb, enum geometry_kind kind, const struct devices *d)
{
	struct geometry formatted, opened;

	if (geometry_format(&sb, kind, d->start_sector, d->sectors, d->data_sectors,
			    d->interleave_sectors, d->journal_sectors, d->buffer_sectors,
			    &formatted) != GEOMETRY_GOOD)
		return;
	check_geometry(&formatted, d);
	assert(geometry_make(&sb, kind, d->start_sector, d->sectors, d->data_sectors,
			     d->buffer_sectors, &opened) == GEOMETRY_GOOD);
	assert(opened.provided_sectors == sb.provided_data_sectors);
	assert(opened.stored_provided_sectors == opened.provided_sectors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool has_metadata_device = input_take(&in, 1) & HAS_METADATA_DEVICE;
	struct devices d = {
		.start_sector = input_take(&in, 8),
		.sectors = input_take(&in, 8),
		.data_sectors = input_take(&in, 8),
		.buffer_sectors = (uint32_t)input_take(&in, 4),
		.interleave_sectors = (uint32_t)input_take(&in, 4),
		.journal_sectors = (uint32_t)input_take(&in, 4),
	};
	uint8_t bytes[SB_BYTES] = {0};
	enum geometry_verdict placed;
	enum geometry_kind kind;
	enum sb_verdict verdict;
	struct geometry g;
	struct sb sb;

	if (in.left != 0)
		memcpy(bytes, in.bytes, min_u64(in.left, SB_BYTES));
	verdict = sb_decode(bytes, has_metadata_device, &sb);
	check_explanations(verdict, bytes);
	if (verdict != SB_GOOD)
		return 0;
	check_encoding(bytes, has_metadata_device, &sb);
	kind = has_metadata_device	? GEOMETRY_METADATA_DEVICE
	       : (sb.flags & SB_INLINE) ? GEOMETRY_INLINE
					: GEOMETRY_ONE_DEVICE;
	placed = geometry_make(&sb, kind, d.start_sector, d.sectors, d.data_sectors,
			       d.buffer_sectors, &g);
	assert((placed == GEOMETRY_GOOD) == (strlen(geometry_explain(placed)) == 0));
	if (placed == GEOMETRY_GOOD) {
		check_geometry(&g, &d);
		check_bitmap(&g, &sb);
	}
	check_formatting(sb, kind, &d);
	return 0;
}
