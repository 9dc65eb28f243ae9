/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where everything lies. A superblock may claim anything within its fields' limits and still
 * nothing here overflows: tags have at most 255 bytes and runs at most 2^31 sectors of data, so a
 * run's tags take less than 2^31 sectors; devices are cut at DEVICE_SECTORS_MAX before anyone adds
 * to their size.
 */
#include "format/geometry.h"

#include "base/num.h"

#include <assert.h>

#define SECTION_METADATA_SECTORS    8
#define METADATA_SECTOR_BYTES	    (SECTOR_BYTES - 8) /* without the commit id */
#define METADATA_SECTOR_BYTES_MACED (METADATA_SECTOR_BYTES - 8)
#define PADDING_BYTES_FIXED	    4096
#define PADDING_BYTES_LEGACY	    131072
#define PROVIDED_STEP_SECTORS	    8
#define INTERLEAVE_SECTORS_DEFAULT  32768
#define JOURNAL_SECTORS_MAX	    131072
#define JOURNAL_SHARE		    128 /* of the device, by default */

static_assert(8 + 8 * 8 + SB_TAG_BYTES_MAX + 7 <= METADATA_SECTOR_BYTES_MACED,
	      "the largest entry fits a metadata sector");

static void shape_blocks(const struct sb *sb, enum geometry_kind kind, struct geometry *g)
{
	assert(sb->log2_sectors_per_block <= SB_LOG2_SECTORS_PER_BLOCK_MAX);
	assert(sb->tag_bytes != 0);
	assert(sb->tag_bytes <= SB_TAG_BYTES_MAX);
	g->kind = kind;
	g->log2_sectors_per_block = sb->log2_sectors_per_block;
	g->sectors_per_block = 1u << sb->log2_sectors_per_block;
	g->tag_bytes = sb->tag_bytes;
	g->stored_provided_sectors = sb->provided_data_sectors;
}

static void shape_section(const struct sb *sb, struct geometry *g)
{
	uint32_t room = sb->flags & SB_HAVE_JOURNAL_MAC ? METADATA_SECTOR_BYTES_MACED
							: METADATA_SECTOR_BYTES;

	g->entry_bytes = (uint32_t)round_up_pow2(8 + 8 * g->sectors_per_block + g->tag_bytes, 8);
	g->entries_per_sector = room / g->entry_bytes;
	g->section_entries = g->entries_per_sector * SECTION_METADATA_SECTORS;
	g->section_sectors = g->section_entries * g->sectors_per_block + SECTION_METADATA_SECTORS;
}

/* False when superblock and journal do not fit 32 bits. */
static bool shape_journal(uint32_t journal_sections, struct geometry *g)
{
	uint64_t initial;

	g->journal_sections = journal_sections;
	g->journal_sectors = (uint64_t)g->section_sectors * journal_sections;
	initial = SB_SECTORS + g->journal_sectors;
	if (initial > UINT32_MAX)
		return false;
	g->initial_sectors = (uint32_t)initial;
	return true;
}

static uint32_t choose_buffer(uint32_t given)
{
	uint32_t sectors = given != 0 ? 1u << log2_floor(given) : BUFFER_SECTORS_DEFAULT;

	return sectors > BUFFER_SECTORS_MIN ? sectors : BUFFER_SECTORS_MIN;
}

/* The largest n such that the last of n logical sectors still lies on the device. */
static uint64_t fit_runs(const struct geometry *g, uint64_t area_sectors)
{
	uint64_t run_data = UINT64_C(1) << g->log2_interleave;
	uint64_t run_sectors = g->run_tag_sectors + run_data;
	uint64_t rest = area_sectors % run_sectors;
	uint64_t n = area_sectors / run_sectors * run_data;

	if (rest > g->run_tag_sectors)
		n += rest - g->run_tag_sectors;
	return round_down_pow2(n, PROVIDED_STEP_SECTORS);
}

/* Sectors behind superblock and journal; 0 when they do not even fit. */
static uint64_t area_behind_journal(const struct geometry *g, uint64_t device_sectors)
{
	uint64_t first = g->start_sector + g->initial_sectors;

	return device_sectors > first ? device_sectors - first : 0;
}

static uint64_t run_tag_sectors(const struct sb *sb, const struct geometry *g)
{
	uint64_t blocks = UINT64_C(1) << (g->log2_interleave - g->log2_sectors_per_block);
	uint64_t padding =
		sb->flags & SB_FIXED_PADDING ? PADDING_BYTES_FIXED : PADDING_BYTES_LEGACY;

	return round_up_pow2(g->tag_bytes * blocks, padding) / SECTOR_BYTES;
}

static enum geometry_verdict place_one_device(const struct sb *sb, uint64_t device_sectors,
					      struct geometry *g)
{
	uint64_t run_data, run_alignment;

	assert(sb->log2_interleave_sectors >= SB_LOG2_INTERLEAVE_MIN);
	assert(sb->log2_interleave_sectors <= SB_LOG2_INTERLEAVE_MAX);
	g->log2_interleave = sb->log2_interleave_sectors;
	g->run_tag_sectors = run_tag_sectors(sb, g);
	run_data = UINT64_C(1) << g->log2_interleave;
	run_alignment = g->run_tag_sectors & -g->run_tag_sectors;
	g->buffer_sectors = (uint32_t)min_u64(g->buffer_sectors, run_alignment);
	g->provided_sectors = fit_runs(g, area_behind_journal(g, device_sectors));
	if (g->provided_sectors == 0)
		return GEOMETRY_DEVICE_TOO_SMALL;
	/* With FIXED_PADDING a run's tags never take more than its data, rounded up to 8 sectors.
	 */
	if (run_data < g->buffer_sectors) {
		assert(!(sb->flags & SB_FIXED_PADDING));
		return GEOMETRY_UNSAFE;
	}
	return GEOMETRY_GOOD;
}

static uint64_t tag_area_sectors(const struct geometry *g, uint32_t buffer_sectors)
{
	uint64_t bytes = (g->provided_sectors >> g->log2_sectors_per_block) * g->tag_bytes;
	uint64_t buffers = div_round_up(bytes, (uint64_t)buffer_sectors * SECTOR_BYTES);

	return buffers * buffer_sectors;
}

static enum geometry_verdict place_metadata_device(uint64_t device_sectors, uint64_t data_sectors,
						   struct geometry *g)
{
	uint64_t area = area_behind_journal(g, device_sectors);

	g->provided_sectors = round_down_pow2(data_sectors, g->sectors_per_block);
	if (g->provided_sectors == 0)
		return GEOMETRY_DEVICE_TOO_SMALL;
	while (tag_area_sectors(g, g->buffer_sectors) > area) {
		if (g->buffer_sectors == BUFFER_SECTORS_MIN)
			return GEOMETRY_METADATA_TOO_SMALL;
		g->buffer_sectors /= 2;
	}
	return GEOMETRY_GOOD;
}

static enum geometry_verdict place_inline(uint64_t device_sectors, struct geometry *g)
{
	uint64_t area = area_behind_journal(g, device_sectors);

	g->provided_sectors = round_down_pow2(area, PROVIDED_STEP_SECTORS);
	return g->provided_sectors != 0 ? GEOMETRY_GOOD : GEOMETRY_DEVICE_TOO_SMALL;
}

static enum geometry_verdict place(const struct sb *sb, uint64_t device_sectors,
				   uint64_t data_sectors, struct geometry *g)
{
	switch (g->kind) {
	case GEOMETRY_ONE_DEVICE:
		return place_one_device(sb, device_sectors, g);
	case GEOMETRY_METADATA_DEVICE:
		return place_metadata_device(device_sectors, data_sectors, g);
	case GEOMETRY_INLINE:
		return place_inline(device_sectors, g);
	}
	assert(false);
	return GEOMETRY_VERDICTS;
}

enum geometry_verdict geometry_make(const struct sb *sb, enum geometry_kind kind,
				    uint64_t start_sector, uint64_t device_sectors,
				    uint64_t data_sectors, uint32_t buffer_sectors,
				    struct geometry *ret)
{
	*ret = (struct geometry){
		.start_sector = start_sector,
		.buffer_sectors = choose_buffer(buffer_sectors),
	};
	shape_blocks(sb, kind, ret);
	shape_section(sb, ret);
	if (!shape_journal(sb->journal_sections, ret))
		return GEOMETRY_JOURNAL_TOO_LARGE;
	if (start_sector >= DEVICE_SECTORS_MAX)
		return GEOMETRY_OVERFLOW;
	return place(sb, min_u64(device_sectors, DEVICE_SECTORS_MAX),
		     min_u64(data_sectors, DEVICE_SECTORS_MAX), ret);
}

const char *geometry_explain(enum geometry_verdict verdict)
{
	switch (verdict) {
	case GEOMETRY_GOOD:
		return "";
	case GEOMETRY_JOURNAL_TOO_LARGE:
		return "the journal has more than 2^32 sectors";
	case GEOMETRY_DEVICE_TOO_SMALL:
		return "the device is too small for superblock, journal and any data";
	case GEOMETRY_METADATA_TOO_SMALL:
		return "the metadata device is too small for the tags of the data device";
	case GEOMETRY_UNSAFE:
		return "interleave_sectors is smaller than buffer_sectors without fix_padding: the "
		       "kernel writes tags of such a volume over its data";
	case GEOMETRY_OVERFLOW:
		return "the start offset is beyond any device";
	case GEOMETRY_VERDICTS:
		break;
	}
	assert(false);
	return "";
}

uint64_t geometry_data_sector(const struct geometry *g, uint64_t logical_sector)
{
	uint64_t run = logical_sector >> g->log2_interleave;

	assert(logical_sector < g->provided_sectors);
	switch (g->kind) {
	case GEOMETRY_ONE_DEVICE:
		return g->start_sector + g->initial_sectors + (run + 1) * g->run_tag_sectors +
		       logical_sector;
	case GEOMETRY_METADATA_DEVICE:
		return logical_sector;
	case GEOMETRY_INLINE:
		return g->start_sector + g->initial_sectors + logical_sector;
	}
	assert(false);
	return 0;
}

uint64_t geometry_tag_byte(const struct geometry *g, uint64_t logical_sector)
{
	uint64_t base = g->start_sector + g->initial_sectors;
	uint64_t block = logical_sector >> g->log2_sectors_per_block;

	assert(logical_sector < g->provided_sectors);
	assert(g->kind != GEOMETRY_INLINE);
	if (g->kind == GEOMETRY_ONE_DEVICE) {
		uint64_t run_data = UINT64_C(1) << g->log2_interleave;
		uint64_t run = logical_sector >> g->log2_interleave;

		base += run * (run_data + g->run_tag_sectors);
		block = (logical_sector & (run_data - 1)) >> g->log2_sectors_per_block;
	}
	return base * SECTOR_BYTES + block * g->tag_bytes;
}

uint64_t geometry_contiguous_sectors(const struct geometry *g, uint64_t logical_sector)
{
	uint64_t run_data = UINT64_C(1) << g->log2_interleave;
	uint64_t to_end = g->provided_sectors - logical_sector;

	assert(logical_sector < g->provided_sectors);
	if (g->kind != GEOMETRY_ONE_DEVICE)
		return to_end;
	return min_u64(to_end, run_data - (logical_sector & (run_data - 1)));
}

uint64_t geometry_runs(const struct geometry *g)
{
	if (g->kind != GEOMETRY_ONE_DEVICE)
		return 1;
	return div_round_up(g->provided_sectors, UINT64_C(1) << g->log2_interleave);
}

uint64_t geometry_journal_sector(const struct geometry *g)
{
	return g->start_sector + SB_SECTORS;
}

uint64_t geometry_section_sector(const struct geometry *g, uint32_t section)
{
	assert(section < g->journal_sections);
	return geometry_journal_sector(g) + (uint64_t)section * g->section_sectors;
}

/* ---- Formatting ---- */

static uint8_t choose_interleave(enum geometry_kind kind, uint32_t sectors)
{
	uint8_t log2 = (uint8_t)log2_floor(sectors != 0 ? sectors : INTERLEAVE_SECTORS_DEFAULT);

	if (kind == GEOMETRY_METADATA_DEVICE)
		return 0;
	return log2 > SB_LOG2_INTERLEAVE_MIN ? log2 : SB_LOG2_INTERLEAVE_MIN;
}

static uint32_t choose_journal_sections(const struct geometry *g, uint32_t journal_sectors,
					uint64_t data_device_sectors)
{
	uint64_t sectors = journal_sectors != 0 ? journal_sectors
						: min_u64(JOURNAL_SECTORS_MAX,
							  data_device_sectors / JOURNAL_SHARE);

	if (g->kind == GEOMETRY_INLINE)
		return 0;
	return (uint32_t)max_u64(1, sectors / g->section_sectors);
}

/* How many sections leave room for all tags; at least one, which may be too many. */
static uint32_t lower_journal_sections(const struct geometry *g, uint64_t device_sectors)
{
	uint64_t taken = g->start_sector + SB_SECTORS + tag_area_sectors(g, BUFFER_SECTORS_MIN);
	uint64_t room = device_sectors > taken ? device_sectors - taken : 0;

	return (uint32_t)max_u64(1, min_u64(g->journal_sections, room / g->section_sectors));
}

enum geometry_verdict geometry_format(struct sb *sb, enum geometry_kind kind, uint64_t start_sector,
				      uint64_t device_sectors, uint64_t data_sectors,
				      uint32_t interleave_sectors, uint32_t journal_sectors,
				      uint32_t buffer_sectors, struct geometry *ret)
{
	bool two_devices = kind == GEOMETRY_METADATA_DEVICE;
	enum geometry_verdict verdict;
	struct sb chosen = *sb;

	shape_blocks(sb, kind, ret);
	shape_section(sb, ret);
	chosen.log2_interleave_sectors = choose_interleave(kind, interleave_sectors);
	chosen.journal_sections = choose_journal_sections(
		ret, journal_sectors, two_devices ? data_sectors : device_sectors);
	verdict = geometry_make(&chosen, kind, start_sector, device_sectors, data_sectors,
				buffer_sectors, ret);
	if (verdict == GEOMETRY_METADATA_TOO_SMALL) {
		chosen.journal_sections = lower_journal_sections(ret, device_sectors);
		verdict = geometry_make(&chosen, kind, start_sector, device_sectors, data_sectors,
					buffer_sectors, ret);
	}
	if (verdict != GEOMETRY_GOOD)
		return verdict;
	chosen.provided_data_sectors = ret->provided_sectors;
	ret->stored_provided_sectors = ret->provided_sectors;
	*sb = chosen;
	return GEOMETRY_GOOD;
}
