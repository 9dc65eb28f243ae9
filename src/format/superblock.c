/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The superblock: where each field lies, and what it may be.
 */
#include "format/superblock.h"

#include "base/le.h"
#include "base/num.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define AT_MAGIC		      0
#define AT_VERSION		      8
#define AT_LOG2_INTERLEAVE_SECTORS    9
#define AT_TAG_BYTES		      10
#define AT_JOURNAL_SECTIONS	      12
#define AT_PROVIDED_DATA_SECTORS      16
#define AT_FLAGS		      24
#define AT_LOG2_SECTORS_PER_BLOCK     28
#define AT_LOG2_BLOCKS_PER_BITMAP_BIT 29
#define AT_RECALC_SECTOR	      32
#define AT_SALT			      48
#define AT_END			      64 /* of the fields; a MAC may not reach below */

static_assert(AT_SALT + SB_SALT_BYTES == AT_END, "the salt is the last field");
static_assert(SB_LOG2_INTERLEAVE_MIN >= SB_LOG2_SECTORS_PER_BLOCK_MAX, "runs are whole blocks");

static const uint8_t sb_magic[8] = "integrt";
static const char sb_unfinished[] = "intact: formatting has not finished\n";

static bool all_zero(const uint8_t *bytes, size_t count)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0;
}

static void read_fields(const uint8_t *bytes, struct sb *ret)
{
	*ret = (struct sb){
		.version = bytes[AT_VERSION],
		.log2_interleave_sectors = bytes[AT_LOG2_INTERLEAVE_SECTORS],
		.tag_bytes = get_le16(bytes + AT_TAG_BYTES),
		.journal_sections = get_le32(bytes + AT_JOURNAL_SECTIONS),
		.provided_data_sectors = get_le64(bytes + AT_PROVIDED_DATA_SECTORS),
		.flags = get_le32(bytes + AT_FLAGS),
		.log2_sectors_per_block = bytes[AT_LOG2_SECTORS_PER_BLOCK],
		.log2_blocks_per_bitmap_bit = bytes[AT_LOG2_BLOCKS_PER_BITMAP_BIT],
		.recalc_sector = get_le64(bytes + AT_RECALC_SECTOR),
	};
	memcpy(ret->salt, bytes + AT_SALT, SB_SALT_BYTES);
}

static enum sb_verdict judge_journal(const struct sb *sb)
{
	if (sb->flags & SB_INLINE)
		return sb->journal_sections == 0 ? SB_GOOD : SB_JOURNAL_IN_INLINE;
	return sb->journal_sections == 0 ? SB_JOURNAL_MISSING : SB_GOOD;
}

static bool interleave_is_good(uint8_t log2, bool has_metadata_device)
{
	if (has_metadata_device)
		return log2 == 0;
	return log2 >= SB_LOG2_INTERLEAVE_MIN && log2 <= SB_LOG2_INTERLEAVE_MAX;
}

static bool recalc_is_good(const struct sb *sb)
{
	uint64_t within_block = (UINT64_C(1) << sb->log2_sectors_per_block) - 1;

	return !(sb->flags & SB_RECALCULATING) || !(sb->recalc_sector & within_block);
}

static enum sb_verdict judge_fields(const struct sb *sb, bool has_metadata_device)
{
	enum sb_verdict journal = judge_journal(sb);

	if (sb->version == 0 || sb->version > SB_VERSION_MAX)
		return SB_VERSION_UNKNOWN;
	if (sb->log2_sectors_per_block > SB_LOG2_SECTORS_PER_BLOCK_MAX)
		return SB_BLOCK_TOO_LARGE;
	if (sb->tag_bytes == 0 || sb->tag_bytes > SB_TAG_BYTES_MAX)
		return SB_TAG_SIZE_BAD;
	if (journal != SB_GOOD)
		return journal;
	if (!interleave_is_good(sb->log2_interleave_sectors, has_metadata_device))
		return SB_INTERLEAVE_BAD;
	return recalc_is_good(sb) ? SB_GOOD : SB_RECALC_BAD;
}

static enum sb_verdict judge_foreign(const uint8_t bytes[SB_BYTES])
{
	if (all_zero(bytes, SB_BYTES))
		return SB_BLANK;
	if (memcmp(bytes, sb_unfinished, sizeof(sb_unfinished)) == 0)
		return SB_UNFINISHED;
	return SB_FOREIGN;
}

enum sb_verdict sb_decode(const uint8_t bytes[SB_BYTES], bool has_metadata_device, struct sb *ret)
{
	enum sb_verdict verdict;
	struct sb sb;

	if (memcmp(bytes + AT_MAGIC, sb_magic, sizeof(sb_magic)) != 0)
		return judge_foreign(bytes);
	read_fields(bytes, &sb);
	verdict = judge_fields(&sb, has_metadata_device);
	if (verdict == SB_GOOD)
		*ret = sb;
	return verdict;
}

static void explain_interleave(const struct sb *sb, char *text, size_t size)
{
	if (sb->log2_interleave_sectors == 0)
		snprintf(text, size, "log2_interleave_sectors is 0, which needs a metadata device");
	else if (interleave_is_good(sb->log2_interleave_sectors, false))
		snprintf(text, size, "log2_interleave_sectors is %u, but 0 with a metadata device",
			 sb->log2_interleave_sectors);
	else
		snprintf(text, size, "log2_interleave_sectors is %u, not %d to %d",
			 sb->log2_interleave_sectors, SB_LOG2_INTERLEAVE_MIN,
			 SB_LOG2_INTERLEAVE_MAX);
}

void sb_explain(enum sb_verdict verdict, const uint8_t bytes[SB_BYTES], char *text, size_t size)
{
	struct sb sb;

	read_fields(bytes, &sb);
	switch (verdict) {
	case SB_GOOD:
		snprintf(text, size, "the superblock is good");
		return;
	case SB_BLANK:
		snprintf(text, size, "not formatted: the superblock is all zero");
		return;
	case SB_UNFINISHED:
		snprintf(text, size, "unfinished: formatting was interrupted, do it again");
		return;
	case SB_FOREIGN:
		snprintf(text, size, "not initialized: no superblock here, and not all zero");
		return;
	case SB_VERSION_UNKNOWN:
		snprintf(text, size, "superblock version %u is unknown", sb.version);
		return;
	case SB_BLOCK_TOO_LARGE:
		snprintf(text, size, "log2_sectors_per_block is %u, above %d",
			 sb.log2_sectors_per_block, SB_LOG2_SECTORS_PER_BLOCK_MAX);
		return;
	case SB_TAG_SIZE_BAD:
		snprintf(text, size, "a tag size of %u bytes is not 1 to %d", sb.tag_bytes,
			 SB_TAG_BYTES_MAX);
		return;
	case SB_JOURNAL_MISSING:
		snprintf(text, size, "journal_sections is 0");
		return;
	case SB_JOURNAL_IN_INLINE:
		snprintf(text, size, "an inline volume has %" PRIu32 " journal sections",
			 sb.journal_sections);
		return;
	case SB_INTERLEAVE_BAD:
		explain_interleave(&sb, text, size);
		return;
	case SB_RECALC_BAD:
		snprintf(text, size, "recalc_sector %" PRIu64 " is not on a block border",
			 sb.recalc_sector);
		return;
	case SB_VERDICTS:
		break;
	}
	assert(false);
}

uint8_t sb_version_for(uint32_t flags, bool in_bitmap_mode, bool has_metadata_device)
{
	if (flags & SB_DISCARD_KEYED)
		return 7;
	if (flags & SB_INLINE)
		return 6;
	if (flags & SB_FIXED_HMAC)
		return 5;
	if (flags & SB_FIXED_PADDING)
		return 4;
	if (in_bitmap_mode || (flags & SB_DIRTY_BITMAP))
		return 3;
	if (has_metadata_device || (flags & SB_RECALCULATING))
		return 2;
	return 1;
}

void sb_encode(const struct sb *sb, uint8_t bytes[SB_BYTES])
{
	memset(bytes, 0, SB_BYTES);
	memcpy(bytes + AT_MAGIC, sb_magic, sizeof(sb_magic));
	bytes[AT_VERSION] = sb->version;
	bytes[AT_LOG2_INTERLEAVE_SECTORS] = sb->log2_interleave_sectors;
	put_le16(bytes + AT_TAG_BYTES, sb->tag_bytes);
	put_le32(bytes + AT_JOURNAL_SECTIONS, sb->journal_sections);
	put_le64(bytes + AT_PROVIDED_DATA_SECTORS, sb->provided_data_sectors);
	put_le32(bytes + AT_FLAGS, sb->flags);
	bytes[AT_LOG2_SECTORS_PER_BLOCK] = sb->log2_sectors_per_block;
	bytes[AT_LOG2_BLOCKS_PER_BITMAP_BIT] = sb->log2_blocks_per_bitmap_bit;
	put_le64(bytes + AT_RECALC_SECTOR, sb->recalc_sector);
	memcpy(bytes + AT_SALT, sb->salt, SB_SALT_BYTES);
}

void sb_mark_unfinished(uint8_t bytes[SB_BYTES])
{
	memset(bytes, 0, SB_BYTES);
	memcpy(bytes, sb_unfinished, sizeof(sb_unfinished));
}

size_t sb_mac_offset(size_t mac_bytes)
{
	return mac_bytes <= SECTOR_BYTES - AT_END ? SECTOR_BYTES - mac_bytes : 0;
}

const char *sb_flag_name(uint32_t bit)
{
	switch (bit) {
	case SB_HAVE_JOURNAL_MAC:
		return "have_journal_mac";
	case SB_RECALCULATING:
		return "recalculating";
	case SB_DIRTY_BITMAP:
		return "dirty_bitmap";
	case SB_FIXED_PADDING:
		return "fix_padding";
	case SB_FIXED_HMAC:
		return "fix_hmac";
	case SB_INLINE:
		return "inline";
	case SB_DISCARD_KEYED:
		return "discard_keyed";
	default:
		return NULL;
	}
}
