/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The superblock: bytes <-> struct, and its MAC (docs/format.md section 2).
 */
#ifndef INTACT_FORMAT_SUPERBLOCK_H
#define INTACT_FORMAT_SUPERBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_BYTES		      4096
#define SB_SECTORS		      8
#define SB_SALT_BYTES		      16
#define SB_VERSION_MAX		      7
#define SB_TAG_BYTES_MAX	      255
#define SB_LOG2_INTERLEAVE_MIN	      3
#define SB_LOG2_INTERLEAVE_MAX	      31
#define SB_LOG2_SECTORS_PER_BLOCK_MAX 3

#define SB_HAVE_JOURNAL_MAC 0x1u
#define SB_RECALCULATING    0x2u
#define SB_DIRTY_BITMAP	    0x4u
#define SB_FIXED_PADDING    0x8u
#define SB_FIXED_HMAC	    0x10u
#define SB_INLINE	    0x20u
#define SB_DISCARD_KEYED    0x40u
#define SB_FLAGS_KNOWN	    0x7fu

struct sb {
	uint8_t version;
	uint8_t log2_interleave_sectors; /* 0 with a metadata device */
	uint16_t tag_bytes;
	uint32_t journal_sections;
	uint64_t provided_data_sectors;
	uint32_t flags; /* unknown bits are kept */
	uint8_t log2_sectors_per_block;
	uint8_t log2_blocks_per_bitmap_bit;
	uint64_t recalc_sector;
	uint8_t salt[SB_SALT_BYTES];
};

/* One verdict for each way that bytes can be wrong, in the order they are looked at. What the
 * kernel accepts is accepted: provided_data_sectors may be anything, as every activation computes
 * it anew, and so may log2_blocks_per_bitmap_bit, as another granularity only means that all is
 * dirty (bitmap_shape_stored judges it). A run shorter than a block cannot be: both have limits.
 */
enum sb_verdict {
	SB_GOOD,
	SB_BLANK,	      /* all zero: unformatted */
	SB_UNFINISHED,	      /* being formatted, or that was interrupted */
	SB_FOREIGN,	      /* other magic */
	SB_VERSION_UNKNOWN,   /* 0 or above 7 */
	SB_BLOCK_TOO_LARGE,   /* log2_sectors_per_block above 3 */
	SB_TAG_SIZE_BAD,      /* 0 or above 255 */
	SB_JOURNAL_MISSING,   /* no sections, not inline */
	SB_JOURNAL_IN_INLINE, /* sections in inline mode */
	SB_INTERLEAVE_BAD, /* out of 3 … 31 on one device, other than 0 with a metadata device */
	SB_RECALC_BAD,	   /* recalc_sector not on a block border (RECALCULATING set) */
	SB_VERDICTS
};

/* Believes nothing. has_metadata_device: superblock and data are on two devices. *ret is written
 * only for SB_GOOD. */
enum sb_verdict sb_decode(const uint8_t bytes[SB_BYTES], bool has_metadata_device, struct sb *ret);

/* A sentence for people about a verdict, lower case: "version 8 is unknown" needs the value, so
 * bytes are given again. Writes at most `size` bytes, always terminated.
 */
void sb_explain(enum sb_verdict verdict, const uint8_t bytes[SB_BYTES], char *text, size_t size);

/* The version that the kernel would write for these flags; in_bitmap_mode and has_metadata_device
 * as section 2 says. */
uint8_t sb_version_for(uint32_t flags, bool in_bitmap_mode, bool has_metadata_device);

/* All 4096 bytes, version as in the struct, without MAC. */
void sb_encode(const struct sb *sb, uint8_t bytes[SB_BYTES]);

/* What stands in the superblock's place while the rest is made: neither a superblock nor blank,
 * which the kernel would format.
 */
void sb_mark_unfinished(uint8_t bytes[SB_BYTES]);

/* Where the MAC of mac_bytes lies in the bytes, which is also how many bytes from the beginning it
 * covers; 0 when it does not fit (64 + mac_bytes > 512).
 */
size_t sb_mac_offset(size_t mac_bytes);

/* "have_journal_mac" … as integritysetup's dump writes them; NULL for unknown bits. */
const char *sb_flag_name(uint32_t bit);

#endif
