/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The journal: sections, entries, commit ids, MAC messages, and what is to be replayed
 * (docs/format.md section 5). Works on one decrypted section at a time.
 */
#ifndef INTACT_FORMAT_JOURNAL_H
#define INTACT_FORMAT_JOURNAL_H

#include "format/geometry.h"

#define SECTION_METADATA_SECTORS 8
#define SECTION_MAC_BYTES	 64 /* stored: 8 bytes in each metadata sector */
#define COMMIT_ID_BYTES		 8
#define SEQUENCES		 4
#define ENTRY_UNUSED_HIGH	 0xffffffffu /* upper half of the sector field of an unused entry */

/* C[0 … 3]. */
struct commit_ids {
	uint64_t of[SEQUENCES];
};

/* scramble: the key stream behind a journal encrypted by a stream cipher, or NULL. */
void commit_ids_init(struct commit_ids *ids, const uint8_t scramble[32]);

/* What sector `sector` of section `section` carries under a sequence. */
uint64_t commit_id(const struct commit_ids *ids, uint32_t section, uint32_t sector,
		   unsigned sequence);

/* The sequence whose id it is, or -1. */
int commit_id_sequence(const struct commit_ids *ids, uint32_t section, uint32_t sector,
		       uint64_t id);

/* ---- One section in memory: section_sectors * 512 bytes ---- */

struct section_scan {
	uint32_t sectors_by_sequence[SEQUENCES];
	uint32_t sectors_invalid;
	uint32_t first_invalid; /* sector within the section, when there is one */
};

void section_scan(const struct geometry *g, const struct commit_ids *ids, uint32_t section,
		  const uint8_t *bytes, struct section_scan *ret);

/* The sequence that all sectors of the section carry, or -1. */
int section_sequence(const struct geometry *g, const struct section_scan *scan);

bool entry_is_used(const struct geometry *g, const uint8_t *section, uint32_t entry);
uint64_t entry_sector(const struct geometry *g, const uint8_t *section, uint32_t entry);

/* The tag inside the section, tag_bytes long. */
const uint8_t *entry_tag(const struct geometry *g, const uint8_t *section, uint32_t entry);

/* Copies the block of an entry (sectors_per_block * 512 bytes) with its last 8 bytes per sector
 * restored. */
void entry_data(const struct geometry *g, const uint8_t *section, uint32_t entry, uint8_t *block);

/* What a committed entry may be. */
enum entry_verdict {
	ENTRY_GOOD,
	ENTRY_UNUSED,
	ENTRY_BEYOND,	  /* sector not below provided: dropped */
	ENTRY_MISALIGNED, /* not on a block border: the journal is corrupt */
	ENTRY_VERDICTS
};
enum entry_verdict entry_judge(const struct geometry *g, const uint8_t *section, uint32_t entry,
			       uint64_t provided_sectors);

/* The message that the section MAC covers, and the MAC as stored. salt: NULL unless FIXED_HMAC.
 * Returns the message's bytes; `message` has room for section_mac_message_bytes().
 */
size_t section_mac_message_bytes(const struct geometry *g);
size_t section_mac_message(const struct geometry *g, uint32_t section, const uint8_t *bytes,
			   const uint8_t *salt, uint8_t *message);
void section_mac_stored(const uint8_t *bytes, uint8_t mac[SECTION_MAC_BYTES]);

/* ---- Building sections ---- */

/* Empties a section: entries unused, everything else zero. */
void section_clear(const struct geometry *g, uint8_t *bytes);

/* Fills one entry: sector, data with its last bytes moved aside, tag. */
void entry_set(const struct geometry *g, uint8_t *bytes, uint32_t entry, uint64_t sector,
	       const uint8_t *block, const uint8_t *tag);

/* Stores the section MAC (mac_bytes, padded or cut), and the commit ids of all sectors; in this
 * order. */
void section_mac_set(uint8_t *bytes, const uint8_t *mac, size_t mac_bytes);
void section_seal(const struct geometry *g, const struct commit_ids *ids, uint32_t section,
		  unsigned sequence, uint8_t *bytes);

/* ---- What to replay ---- */

/* Feed every section in order; then decide. Sections are remembered in a byte each, which the
 * caller provides. */
struct replay_scan {
	uint8_t *sequence_of; /* [journal_sections]: 0 … 3, or REPLAY_MIXED */
	bool used[SEQUENCES];
	uint32_t last[SEQUENCES];
	bool any_used_entry_seen; /* not needed to decide */
	bool invalid;		  /* a sector with no valid commit id */
	uint32_t invalid_section, invalid_sector;
};
#define REPLAY_MIXED 4

void replay_scan_init(struct replay_scan *scan, uint8_t *sequence_of);
void replay_scan_add(struct replay_scan *scan, const struct geometry *g, uint32_t section,
		     const struct section_scan *of_section);

enum replay_verdict {
	REPLAY_NOTHING,	 /* step 3: no section to look at */
	REPLAY_SECTIONS, /* `count` sections from `first` are committed; they may have no entries */
	REPLAY_BAD_COMMIT_ID, /* step 1 */
	REPLAY_ALL_SEQUENCES, /* step 2: all four in use */
	REPLAY_VERDICTS
};

struct replay_plan {
	uint32_t first;	      /* section to start with */
	uint32_t count;	      /* committed sections from there, around the end */
	unsigned sequence;    /* that section `first` must carry ("want" after step 4) */
	unsigned want_at_end; /* "want" after counting: what the next section gets when going on */
	uint32_t next;	      /* section after the last counted one */
	unsigned newest;      /* step 3 */
};

enum replay_verdict replay_decide(const struct replay_scan *scan, uint32_t journal_sections,
				  struct replay_plan *ret);

const char *replay_explain(enum replay_verdict verdict); /* a sentence for the corrupt ones */

#endif
