/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where everything lies (docs/format.md section 3), for one device, a metadata device, and inline.
 */
#ifndef INTACT_FORMAT_GEOMETRY_H
#define INTACT_FORMAT_GEOMETRY_H

#include "format/superblock.h"

#define BUFFER_SECTORS_DEFAULT 128u
#define BUFFER_SECTORS_MIN     8u

/* 2^64 bytes: with no device larger than this, no address below overflows. */
#define DEVICE_SECTORS_MAX (UINT64_C(1) << 55)

enum geometry_kind { GEOMETRY_ONE_DEVICE, GEOMETRY_METADATA_DEVICE, GEOMETRY_INLINE };

/* All fields in sectors unless named otherwise; sums and products of the fields that the functions
 * below make do not overflow for logical sectors below provided_sectors.
 */
struct geometry {
	enum geometry_kind kind;
	uint64_t start_sector; /* reserved in front, on the device with the superblock */
	uint32_t sectors_per_block;
	uint8_t log2_sectors_per_block;
	uint8_t log2_interleave; /* one device only */
	uint32_t tag_bytes;

	uint32_t entry_bytes;
	uint32_t entries_per_sector; /* of a metadata sector */
	uint32_t section_entries;
	uint32_t section_sectors;
	uint32_t journal_sections;
	uint64_t journal_sectors; /* section_sectors * journal_sections */
	uint32_t initial_sectors; /* superblock and journal */
	uint64_t run_tag_sectors; /* metadata_run; 0 unless one device */
	uint32_t buffer_sectors;  /* as the kernel lowers it to fit; moves nothing on disk */

	uint64_t provided_sectors;	  /* what the present devices can hold */
	uint64_t stored_provided_sectors; /* as the superblock says */
};

enum geometry_verdict {
	GEOMETRY_GOOD,
	GEOMETRY_JOURNAL_TOO_LARGE,  /* initial_sectors beyond 32 bits */
	GEOMETRY_DEVICE_TOO_SMALL,   /* no room for superblock, journal and 8 sectors of data */
	GEOMETRY_METADATA_TOO_SMALL, /* the tag area does not fit behind the journal of the metadata
					device */
	GEOMETRY_UNSAFE,   /* the kernel's tag addresses collide with data (section 3, "A trap") */
	GEOMETRY_OVERFLOW, /* start beyond any device */
	GEOMETRY_VERDICTS
};

/* device_sectors: the one with the superblock; data_sectors: of the data device (kind
 * METADATA_DEVICE), else ignored. buffer_sectors 0: the default; rounded down to a power of two.
 * *ret is written for every verdict as far as it could be computed. sb has been decoded, or has
 * fields that would pass sb_decode.
 */
enum geometry_verdict geometry_make(const struct sb *sb, enum geometry_kind kind,
				    uint64_t start_sector, uint64_t device_sectors,
				    uint64_t data_sectors, uint32_t buffer_sectors,
				    struct geometry *ret);

/* One sentence, lower case; "" for GEOMETRY_GOOD. */
const char *geometry_explain(enum geometry_verdict verdict);

/* The data sector (on the data device) of a logical sector below provided_sectors. */
uint64_t geometry_data_sector(const struct geometry *g, uint64_t logical_sector);

/* The first byte (on the device with the superblock) of the tag of the block with this logical
 * sector. Not for inline. */
uint64_t geometry_tag_byte(const struct geometry *g, uint64_t logical_sector);

/* How many sectors from this one on lie together, data and tags alike: to the end of the run, or of
 * the volume. */
uint64_t geometry_contiguous_sectors(const struct geometry *g, uint64_t logical_sector);

/* How many runs hold provided_sectors (1 for the other kinds). */
uint64_t geometry_runs(const struct geometry *g);

/* First sector of the journal, and of section i. */
uint64_t geometry_journal_sector(const struct geometry *g);
uint64_t geometry_section_sector(const struct geometry *g, uint32_t section);

/* What formatting chooses (section 3, "Formatting defaults"): fills log2_interleave_sectors,
 * journal_sections and provided_data_sectors of a superblock whose other fields are set. 0:
 * default (of the journal: a 128th of the device with the data). journal_sections is lowered to
 * what a metadata device can hold. sb is untouched unless the verdict is GEOMETRY_GOOD.
 */
enum geometry_verdict geometry_format(struct sb *sb, enum geometry_kind kind, uint64_t start_sector,
				      uint64_t device_sectors, uint64_t data_sectors,
				      uint32_t interleave_sectors, uint32_t journal_sectors,
				      uint32_t buffer_sectors, struct geometry *ret);

#endif
