/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The device-mapper target's table line: parse and print (docs/format.md section 9). Strings are
 * slices of the line that was parsed; keys stay in hex until asked for.
 */
#ifndef INTACT_FORMAT_TABLE_H
#define INTACT_FORMAT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slice {
	const char *text; /* not terminated; NULL: absent */
	size_t length;
};

struct table_algorithm {
	struct table_slice name;
	struct table_slice hexkey;
};

/* Which options are given, of those that are not a struct of their own. */
#define TABLE_JOURNAL_SECTORS	    (1u << 0)
#define TABLE_INTERLEAVE_SECTORS    (1u << 1)
#define TABLE_BUFFER_SECTORS	    (1u << 2)
#define TABLE_JOURNAL_WATERMARK	    (1u << 3)
#define TABLE_COMMIT_TIME	    (1u << 4)
#define TABLE_BLOCK_SIZE	    (1u << 5)
#define TABLE_SECTORS_PER_BIT	    (1u << 6)
#define TABLE_BITMAP_FLUSH_INTERVAL (1u << 7)
#define TABLE_RECALCULATE	    (1u << 8)
#define TABLE_RESET_RECALCULATE	    (1u << 9)
#define TABLE_ALLOW_DISCARDS	    (1u << 10)
#define TABLE_ALLOW_DISCARDS_KEYED  (1u << 11)
#define TABLE_FIX_PADDING	    (1u << 12)
#define TABLE_FIX_HMAC		    (1u << 13)
#define TABLE_LEGACY_RECALCULATE    (1u << 14)

struct table {
	uint64_t length_sectors;
	struct table_slice device;
	uint64_t start_sector;
	uint32_t tag_bytes; /* 0: "-" */
	char mode;	    /* one of JDBRI */
	uint32_t given;	    /* TABLE_… */

	uint32_t journal_sectors;
	uint32_t interleave_sectors;
	uint32_t buffer_sectors;
	uint32_t journal_watermark;
	uint32_t commit_time;
	uint32_t block_size;
	uint32_t sectors_per_bit;
	uint32_t bitmap_flush_interval;
	struct table_slice meta_device;
	struct table_algorithm internal_hash;
	struct table_algorithm journal_crypt;
	struct table_algorithm journal_mac;
};

enum table_verdict {
	TABLE_GOOD,
	TABLE_TOO_SHORT,      /* fewer words than every table has */
	TABLE_START_NOT_ZERO, /* the first word */
	TABLE_NOT_INTEGRITY,  /* another target */
	TABLE_NUMBER_BAD,     /* not a number, or too large for its place */
	TABLE_TAG_SIZE_BAD,
	TABLE_MODE_BAD,
	TABLE_COUNT_WRONG, /* N does not fit the words that follow */
	TABLE_OPTION_UNKNOWN,
	TABLE_BLOCK_SIZE_BAD, /* not 512, 1024, 2048 or 4096 */
	TABLE_WATERMARK_BAD,  /* above 100 */
	TABLE_ALGORITHM_BAD,  /* empty name, or too long */
	TABLE_HEX_BAD,	      /* key of odd length or with other characters */
	TABLE_VERDICTS
};

/* *ret_at: the word that the verdict is about, a slice of line (all of the line's end for
 * TOO_SHORT). */
enum table_verdict table_parse(const char *line, struct table *ret, struct table_slice *ret_at);
const char *table_explain(enum table_verdict verdict);

/* Prints in the kernel's order (which changed over time: the latest), with N counted. Returns the
 * length without terminator as snprintf does. Hides keys as '-' characters, one per hex digit,
 * unless show_keys.
 */
size_t table_print(const struct table *t, bool show_keys, char *text, size_t size);

/* key has room for hexkey.length / 2 bytes. */
void table_key(struct table_slice hexkey, uint8_t *key);

#endif
