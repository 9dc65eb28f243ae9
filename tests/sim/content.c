/* SPDX-License-Identifier: BSD-2-Clause */
#include "content.h"

#include "base/le.h"
#include "base/num.h"
#include "random.h"

#include <string.h>

#define WORDS (SECTOR_BYTES / 8)
#define ODD   UINT64_C(0x9e3779b97f4a7c15)

/* The journal keeps its commit ids in the last eight bytes of a sector: now and then the content
 * has there what looks like one.
 */
static uint64_t last_word(uint64_t logical_sector, uint32_t key, uint64_t usual)
{
	if (key % 8 != 1)
		return usual;
	return UINT64_C(0x1111111111111111) * (1 + key / 8 % 4) ^ ((uint64_t)(key % 3) << 32) ^
	       (logical_sector % 16);
}

void content_fill(uint64_t logical_sector, uint32_t key, uint8_t *sector)
{
	uint64_t first = logical_sector << 32 | key;
	uint64_t word = random_mix(first);

	if (key == KEY_ZEROES) {
		memset(sector, 0, SECTOR_BYTES);
		return;
	}
	put_le64(sector, first);
	for (unsigned i = 1; i < WORDS - 1; i++, word += ODD)
		put_le64(sector + (size_t)i * 8, word);
	put_le64(sector + (size_t)(WORDS - 1) * 8, last_word(logical_sector, key, word));
}

uint32_t content_key(uint64_t logical_sector, const uint8_t *sector)
{
	uint8_t expected[SECTOR_BYTES];
	uint32_t key = (uint32_t)get_le64(sector);

	content_fill(logical_sector, key, expected);
	return memcmp(sector, expected, SECTOR_BYTES) == 0 ? key : KEY_NONE;
}

void content_tag(uint64_t logical_sector, uint32_t key, uint8_t *tag, size_t tag_bytes)
{
	struct random r = {logical_sector << 32 | key};

	for (size_t i = 0; i < tag_bytes; i++)
		tag[i] = key == KEY_ZEROES ? 0 : (uint8_t)random_next(&r);
}
