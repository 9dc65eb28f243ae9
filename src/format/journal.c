/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The journal: commit ids, and one section at a time. Entry n of a section sits in metadata sector
 * n mod 8; the data sectors follow the eight metadata sectors in the order of the entries.
 */
#include "format/journal.h"

#include "base/le.h"
#include "base/num.h"

#include <assert.h>

#define AT_COMMIT_ID	    (SECTOR_BYTES - COMMIT_ID_BYTES)
#define MAC_PIECE_BYTES	    (SECTION_MAC_BYTES / SECTION_METADATA_SECTORS)
#define AT_MAC_PIECE	    (AT_COMMIT_ID - MAC_PIECE_BYTES)
#define SECTOR_FIELD_BYTES  8
#define ENTRY_UNUSED_SECTOR ((uint64_t)ENTRY_UNUSED_HIGH << 32)

static_assert(MAC_PIECE_BYTES * SECTION_METADATA_SECTORS == SECTION_MAC_BYTES,
	      "the section MAC is spread evenly");

/* ---- Commit ids ---- */

static bool id_is_taken(const struct commit_ids *ids, unsigned sequence)
{
	for (unsigned earlier = 0; earlier < sequence; earlier++) {
		if (ids->of[earlier] == ids->of[sequence])
			return true;
	}
	return false;
}

void commit_ids_init(struct commit_ids *ids, const uint8_t scramble[32])
{
	for (unsigned q = 0; q < SEQUENCES; q++) {
		ids->of[q] = UINT64_C(0x1111111111111111) * (q + 1);
		if (scramble)
			ids->of[q] ^= get_le64(scramble + q * COMMIT_ID_BYTES);
		while (id_is_taken(ids, q))
			ids->of[q]++;
	}
}

uint64_t commit_id(const struct commit_ids *ids, uint32_t section, uint32_t sector,
		   unsigned sequence)
{
	assert(sequence < SEQUENCES);
	return ids->of[sequence] ^ (((uint64_t)section << 32) ^ sector);
}

int commit_id_sequence(const struct commit_ids *ids, uint32_t section, uint32_t sector, uint64_t id)
{
	for (unsigned q = 0; q < SEQUENCES; q++) {
		if (commit_id(ids, section, sector, q) == id)
			return (int)q;
	}
	return -1;
}

/* ---- Reading a section ---- */

void section_scan(const struct geometry *g, const struct commit_ids *ids, uint32_t section,
		  const uint8_t *bytes, struct section_scan *ret)
{
	*ret = (struct section_scan){0};
	for (uint32_t sector = 0; sector < g->section_sectors; sector++) {
		uint64_t id = get_le64(bytes + (size_t)sector * SECTOR_BYTES + AT_COMMIT_ID);
		int sequence = commit_id_sequence(ids, section, sector, id);

		if (sequence >= 0)
			ret->sectors_by_sequence[sequence]++;
		else if (ret->sectors_invalid++ == 0)
			ret->first_invalid = sector;
	}
}

int section_sequence(const struct geometry *g, const struct section_scan *scan)
{
	for (int q = 0; q < SEQUENCES; q++) {
		if (scan->sectors_by_sequence[q] == g->section_sectors)
			return q;
	}
	return -1;
}

static size_t entry_at(const struct geometry *g, uint32_t entry)
{
	assert(entry < g->section_entries);
	return (size_t)(entry % SECTION_METADATA_SECTORS) * SECTOR_BYTES +
	       (size_t)(entry / SECTION_METADATA_SECTORS) * g->entry_bytes;
}

static size_t entry_data_at(const struct geometry *g, uint32_t entry)
{
	size_t sector = SECTION_METADATA_SECTORS + (size_t)entry * g->sectors_per_block;

	return sector * SECTOR_BYTES;
}

static size_t tag_within_entry(const struct geometry *g)
{
	return SECTOR_FIELD_BYTES + (size_t)g->sectors_per_block * COMMIT_ID_BYTES;
}

uint64_t entry_sector(const struct geometry *g, const uint8_t *section, uint32_t entry)
{
	return get_le64(section + entry_at(g, entry));
}

bool entry_is_used(const struct geometry *g, const uint8_t *section, uint32_t entry)
{
	return entry_sector(g, section, entry) >> 32 != ENTRY_UNUSED_HIGH;
}

const uint8_t *entry_tag(const struct geometry *g, const uint8_t *section, uint32_t entry)
{
	return section + entry_at(g, entry) + tag_within_entry(g);
}

void entry_data(const struct geometry *g, const uint8_t *section, uint32_t entry, uint8_t *block)
{
	const uint8_t *last_bytes = section + entry_at(g, entry) + SECTOR_FIELD_BYTES;
	size_t block_bytes = (size_t)g->sectors_per_block * SECTOR_BYTES;

	memcpy(block, section + entry_data_at(g, entry), block_bytes);
	for (uint32_t i = 0; i < g->sectors_per_block; i++)
		memcpy(block + (size_t)i * SECTOR_BYTES + AT_COMMIT_ID,
		       last_bytes + (size_t)i * COMMIT_ID_BYTES, COMMIT_ID_BYTES);
}

/* No writer makes a misaligned entry, wherever it points: it is judged before it can be dropped. */
enum entry_verdict entry_judge(const struct geometry *g, const uint8_t *section, uint32_t entry,
			       uint64_t provided_sectors)
{
	uint64_t sector = entry_sector(g, section, entry);

	if (!entry_is_used(g, section, entry))
		return ENTRY_UNUSED;
	if (sector & (g->sectors_per_block - 1))
		return ENTRY_MISALIGNED;
	return sector < provided_sectors ? ENTRY_GOOD : ENTRY_BEYOND;
}

/* ---- The section MAC ---- */

size_t section_mac_message_bytes(const struct geometry *g)
{
	return SB_SALT_BYTES + 8 + (size_t)g->section_entries * SECTOR_FIELD_BYTES;
}

size_t section_mac_message(const struct geometry *g, uint32_t section, const uint8_t *bytes,
			   const uint8_t *salt, uint8_t *message)
{
	uint8_t *at = message;

	if (salt) {
		memcpy(at, salt, SB_SALT_BYTES);
		at += SB_SALT_BYTES;
		put_le64(at, section);
		at += 8;
	}
	for (uint32_t entry = 0; entry < g->section_entries; entry++) {
		memcpy(at, bytes + entry_at(g, entry), SECTOR_FIELD_BYTES);
		at += SECTOR_FIELD_BYTES;
	}
	return (size_t)(at - message);
}

void section_mac_stored(const uint8_t *bytes, uint8_t mac[SECTION_MAC_BYTES])
{
	for (size_t k = 0; k < SECTION_METADATA_SECTORS; k++)
		memcpy(mac + k * MAC_PIECE_BYTES, bytes + k * SECTOR_BYTES + AT_MAC_PIECE,
		       MAC_PIECE_BYTES);
}

/* ---- Building a section ---- */

void section_clear(const struct geometry *g, uint8_t *bytes)
{
	memset(bytes, 0, (size_t)g->section_sectors * SECTOR_BYTES);
	for (uint32_t entry = 0; entry < g->section_entries; entry++)
		put_le64(bytes + entry_at(g, entry), ENTRY_UNUSED_SECTOR);
}

void entry_set(const struct geometry *g, uint8_t *bytes, uint32_t entry, uint64_t sector,
	       const uint8_t *block, const uint8_t *tag)
{
	uint8_t *at = bytes + entry_at(g, entry);
	uint8_t *last_bytes = at + SECTOR_FIELD_BYTES;
	size_t block_bytes = (size_t)g->sectors_per_block * SECTOR_BYTES;

	assert(sector < g->provided_sectors);
	assert((sector & (g->sectors_per_block - 1)) == 0);
	put_le64(at, sector);
	memcpy(bytes + entry_data_at(g, entry), block, block_bytes);
	for (uint32_t i = 0; i < g->sectors_per_block; i++)
		memcpy(last_bytes + (size_t)i * COMMIT_ID_BYTES,
		       block + (size_t)i * SECTOR_BYTES + AT_COMMIT_ID, COMMIT_ID_BYTES);
	memcpy(at + tag_within_entry(g), tag, g->tag_bytes);
}

void section_mac_set(uint8_t *bytes, const uint8_t *mac, size_t mac_bytes)
{
	uint8_t padded[SECTION_MAC_BYTES] = {0};

	memcpy(padded, mac, min_u64(mac_bytes, sizeof(padded)));
	for (size_t k = 0; k < SECTION_METADATA_SECTORS; k++)
		memcpy(bytes + k * SECTOR_BYTES + AT_MAC_PIECE, padded + k * MAC_PIECE_BYTES,
		       MAC_PIECE_BYTES);
}

void section_seal(const struct geometry *g, const struct commit_ids *ids, uint32_t section,
		  unsigned sequence, uint8_t *bytes)
{
	for (uint32_t sector = 0; sector < g->section_sectors; sector++)
		put_le64(bytes + (size_t)sector * SECTOR_BYTES + AT_COMMIT_ID,
			 commit_id(ids, section, sector, sequence));
}
