/* SPDX-License-Identifier: BSD-2-Clause */
#include "dump.h"

#include "base/le.h"
#include "base/num.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ANYTHING 1u
#define MAY_FAIL 2u
#define MAY_TEAR 4u

static FILE *create(const char *directory, uint64_t seed, const char *name)
{
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%" PRIu64 "/%s", directory, seed, name);
	f = fopen(path, "we");
	assert(f);
	return f;
}

static void finish(FILE *f)
{
	int failed = ferror(f) | fclose(f);

	assert(!failed);
}

static void write_disk(FILE *f, const struct disk *disk)
{
	uint8_t sector[SECTOR_BYTES];

	for (uint64_t i = 0; i < disk->sectors; i++) {
		disk_get(disk, i * SECTOR_BYTES, sector, sizeof(sector));
		(void)fwrite(sector, 1, sizeof(sector), f);
	}
	finish(f);
}

/* ---- The table line ---- */

static void write_algorithm(FILE *f, const char *option, const char *name, const uint8_t *key,
			    size_t key_bytes)
{
	(void)fprintf(f, " %s:%s%s", option, name, key_bytes ? ":" : "");
	for (size_t i = 0; i < key_bytes; i++)
		(void)fprintf(f, "%02x", key[i]);
}

static unsigned count_options(const struct setup *s)
{
	return 2u + (s->mac != NULL) + (s->crypt != NULL) + (s->kind == GEOMETRY_METADATA_DEVICE) +
	       (s->sb.flags & SB_FIXED_PADDING ? 1 : 0) + (s->sb.flags & SB_FIXED_HMAC ? 1 : 0) +
	       s->allow_discards + s->legacy_recalculate + s->recalculate;
}

static void write_about(FILE *f, char mode, const struct setup *s)
{
	uint32_t spb = s->geometry.sectors_per_block;

	(void)fprintf(f, "%" PRIu64 " %u %c %" PRIu64 " %u %c %u", s->sectors, spb, mode,
		      s->start_sector, s->sb.tag_bytes, mode, count_options(s));
	write_algorithm(f, "internal_hash", s->hash->name, s->key, s->hash->keyed ? 32 : 0);
	(void)fprintf(f, " block_size:%u", spb * SECTOR_BYTES);
	if (s->mac)
		write_algorithm(f, "journal_mac", s->mac->name, s->key, s->mac->keyed ? 32 : 0);
	if (s->crypt)
		write_algorithm(f, "journal_crypt", s->crypt, s->key, s->crypt_key_bytes);
	(void)fprintf(f, "%s%s%s%s%s%s\n",
		      s->kind == GEOMETRY_METADATA_DEVICE ? " meta_device:@META@" : "",
		      s->sb.flags & SB_FIXED_PADDING ? " fix_padding" : "",
		      s->sb.flags & SB_FIXED_HMAC ? " fix_hmac" : "",
		      s->allow_discards ? " allow_discards" : "",
		      s->legacy_recalculate ? " legacy_recalculate" : "",
		      s->recalculate ? " recalculate" : "");
	finish(f);
}

/* ---- What is expected ---- */

static bool is_in(const struct content *c, const struct content *const *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (memcmp(c->key, list[i]->key, sizeof(c->key)) == 0)
			return true;
	}
	return false;
}

static void write_content(FILE *f, uint64_t first_sector, uint32_t sectors, const struct content *c)
{
	uint8_t bytes[SECTOR_BYTES];

	for (uint32_t i = 0; i < sectors; i++) {
		content_fill(first_sector + i, c->key[i], bytes);
		(void)fwrite(bytes, 1, sizeof(bytes), f);
	}
}

static void write_block(FILE *f, uint64_t first_sector, uint32_t sectors, const struct block *b)
{
	const struct content **list = calloc(b->later_count + 1, sizeof(struct content *));
	uint32_t flags = (b->may_fail ? MAY_FAIL : 0) | (b->may_tear ? MAY_TEAR : 0);
	unsigned count = 0;
	uint8_t head[8];

	assert(list);
	for (unsigned i = 0; i <= b->later_count; i++) {
		const struct content *c = i == 0 ? &b->base : &b->later[i - 1].content;

		flags |= (c->any ? ANYTHING : 0) | (c->bad ? MAY_FAIL : 0);
		if (!c->any && !c->bad && !is_in(c, list, count))
			list[count++] = c;
	}
	put_le32(head, flags);
	put_le32(head + 4, count);
	(void)fwrite(head, 1, sizeof(head), f);
	for (unsigned i = 0; i < count; i++)
		write_content(f, first_sector, sectors, list[i]);
	free(list);
}

static void write_expected(FILE *f, const struct model *m)
{
	for (uint32_t i = 0; i < m->blocks; i++)
		write_block(f, (uint64_t)i * m->block_sectors, m->block_sectors, &m->block[i]);
	finish(f);
}

void dump_write(const char *directory, uint64_t seed, char mode, const struct setup *s,
		const struct disks *disks, const struct model *m)
{
	bool two = s->kind == GEOMETRY_METADATA_DEVICE;
	char path[4096];

	if (!s->hash || s->allow_discards_keyed)
		return;
	(void)snprintf(path, sizeof(path), "%s/%" PRIu64, directory, seed);
	if (mkdir(path, 0777) != 0)
		assert(errno == EEXIST);
	write_disk(create(directory, seed, "image"), &disks->disk[two]);
	if (two)
		write_disk(create(directory, seed, "meta"), &disks->disk[0]);
	write_about(create(directory, seed, "about"), mode, s);
	write_expected(create(directory, seed, "expected"), m);
}
