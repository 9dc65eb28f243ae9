/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which volume a seed gets, and how it is laid down on the simulated disks.
 */
#ifndef INTACT_SIM_SETUP_H
#define INTACT_SIM_SETUP_H

#include "cipher/cipher.h"
#include "digest/digest.h"
#include "disk.h"
#include "format/geometry.h"
#include "format/journal.h"
#include "format/superblock.h"
#include "model.h"
#include "random.h"

/* What the user of the simulator wants to see only; a bit each. */
#define ONLY_J	       (1u << 0)
#define ONLY_D	       (1u << 1)
#define ONLY_B	       (1u << 2)
#define ONLY_HASH      (1u << 3)
#define ONLY_NO_HASH   (1u << 4)
#define ONLY_MAC       (1u << 5)
#define ONLY_CRYPT     (1u << 6)
#define ONLY_METADATA  (1u << 7)
#define ONLY_ONE       (1u << 8) /* device */
#define ONLY_RECALC    (1u << 9)
#define ONLY_NO_RECALC (1u << 10)
#define ONLY_DISCARD   (1u << 11)
#define ONLY_SYNC      (1u << 12) /* digests */
#define ONLY_ASYNC     (1u << 13)
#define ONLY_NO_FAULTS (1u << 14) /* but crashes */
#define ONLY_NO_CRASH  (1u << 15) /* but other faults */
#define ONLY_MODES     (ONLY_J | ONLY_D | ONLY_B)

struct setup {
	/* The volume. */
	struct sb sb;
	struct geometry geometry;
	enum geometry_kind kind;
	uint64_t disk_sectors[DISKS]; /* 0: superblock, 1: the data, or nothing */
	uint64_t start_sector;
	bool large;	  /* it has more tags than the engine keeps in memory */
	bool cramped;	  /* choose_cramped() in setup.c */
	uint64_t sectors; /* of the mapping */
	uint32_t blocks;  /* of it */
	bool mapping_is_shorter;
	bool recalculate; /* made without tags */
	uint32_t first_key;

	const struct intact_digest_algorithm *hash; /* NULL: tags from above */
	const struct intact_digest_algorithm *mac;  /* NULL: no journal_mac */
	const char *crypt;			    /* NULL: no journal_crypt */
	uint8_t key[64];
	size_t crypt_key_bytes;

	bool allow_discards, allow_discards_keyed;
	bool legacy_recalculate;
	unsigned modes; /* ONLY_J, ONLY_D, ONLY_B: those it is opened in */

	/* For judging and making tags. */
	struct digest *digest;
	struct digest *mac_digest;
	struct cipher *cipher;
	struct commit_ids ids;
};

void setup_choose(struct setup *s, uint64_t seed, unsigned only);
void setup_done(struct setup *s);

/* One of its disks has grown: there is more room than before, perhaps. */
void setup_grow(struct setup *s, struct disks *disks, struct random *random);

/* Lays the volume down. */
void setup_format(const struct setup *s, struct disks *disks);

/* Parameters for a life of the volume; those that may differ from one to the next are chosen. anew:
 * with reset_recalculate.
 */
void setup_params(const struct setup *s, struct random *random, char mode, bool anew,
		  struct intact_params *ret);

enum disk_area setup_area(const struct setup *s, const struct disks *disks, const struct disk *disk,
			  uint64_t sector);

/* The disk with the data, and where a block's data and tag lie. */
struct disk *setup_data_disk(const struct setup *s, struct disks *disks);
uint64_t setup_data_byte(const struct setup *s, uint32_t block);
uint64_t setup_tag_byte(const struct setup *s, uint32_t block);

/* The tag that the block would have with this content; with bytes NULL, as a discarded one. */
void setup_tag(const struct setup *s, uint32_t block, const uint8_t *bytes, uint8_t *tag);

void setup_describe(const struct setup *s, char *text, size_t size);

#endif
