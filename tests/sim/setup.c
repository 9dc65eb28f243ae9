/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Volumes are small, and their journals have many small sections: what happens seldom on real ones
 * (the ring wraps, two blocks share a sector of tags, a bit of the bitmap covers one block) happens
 * all the time.
 */
#include "setup.h"

#include "base/num.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_SECTORS_MAX    1024
#define DATA_SECTORS_LARGE  20480
#define LARGE_PER_MILLION   4000
#define CRAMPED_PERCENT	    25
#define JOURNAL_SECTORS_MAX 800

/* ---- Choosing ---- */

static const struct intact_digest_algorithm *choose_hash(struct random *r, unsigned only)
{
	static const char *const others[] = {"sha256", "hmac(sha256)", "xxhash64",
					     "crc32",  "hmac(sha1)",   NULL};
	unsigned which = (unsigned)random_below(r, 20);

	if (only & ONLY_NO_HASH)
		return NULL;
	if (which >= 8)
		return digest_algorithm_find("crc32c");
	if (which >= 6)
		return only & (ONLY_HASH | ONLY_B | ONLY_DISCARD | ONLY_RECALC)
			       ? digest_algorithm_find("crc32c")
			       : NULL;
	return digest_algorithm_find(others[which % 5]);
}

static const struct intact_digest_algorithm *choose_mac(struct random *r, unsigned only)
{
	static const char *const macs[] = {"hmac(sha256)", "sha256", "crc32c", "hmac(sha1)"};

	if (!(only & ONLY_MAC) && !random_percent(r, 25))
		return NULL;
	return digest_algorithm_find(macs[random_below(r, 4)]);
}

static void choose_crypt(struct setup *s, struct random *r, unsigned only)
{
	static const char *const ciphers[] = {"ctr(aes)", "chacha20", "cbc(aes)", "xts(aes)"};

	if (only & ONLY_B || (!(only & ONLY_CRYPT) && !random_percent(r, 20)))
		return;
	s->crypt = ciphers[random_below(r, 4)];
	s->crypt_key_bytes = 32;
}

/* Tags of less than four bytes could belong to other contents by chance. */
static uint16_t choose_tag_bytes(const struct setup *s, struct random *r)
{
	uint64_t digest_bytes = s->hash ? s->hash->digest_bytes : random_between(r, 4, 16);

	switch (random_below(r, 6)) {
	case 0:
		return (uint16_t)random_between(r, 4, digest_bytes);
	case 1:
		return (uint16_t)random_between(r, digest_bytes, 64);
	case 2:
	case 3:
		return (uint16_t)random_between(r, 128, 255);
	default:
		return (uint16_t)digest_bytes;
	}
}

static void choose_algorithms(struct setup *s, struct random *r, unsigned only)
{
	s->hash = choose_hash(r, only);
	s->mac = choose_mac(r, only);
	choose_crypt(s, r, only);
	for (size_t i = 0; i < sizeof(s->key); i++)
		s->key[i] = (uint8_t)random_next(r);
	if (s->mac)
		s->sb.flags |= SB_HAVE_JOURNAL_MAC;
	if ((s->hash || s->mac) && random_percent(r, 40)) {
		s->sb.flags |= SB_FIXED_HMAC;
		for (size_t i = 0; i < SB_SALT_BYTES; i++)
			s->sb.salt[i] = (uint8_t)random_next(r);
	}
	s->sb.tag_bytes = choose_tag_bytes(s, r);
}

/* docs/format.md section 8: when the kernel wants to be asked twice. */
static bool needs_legacy(const struct setup *s)
{
	bool hash_keyed = s->hash && s->hash->keyed;
	bool mac_keyed = s->mac && s->mac->keyed;

	if (!(s->sb.flags & SB_FIXED_HMAC))
		return hash_keyed || mac_keyed;
	return hash_keyed && !mac_keyed;
}

static void choose_options(struct setup *s, struct random *r, unsigned only)
{
	bool wanted = only & ONLY_DISCARD || random_percent(r, 35);

	if (s->hash && wanted) {
		s->allow_discards = true;
		s->allow_discards_keyed = s->hash->keyed && random_percent(r, 50);
	}
	if (s->allow_discards_keyed) {
		s->allow_discards = random_percent(r, 50);
		s->sb.flags |= SB_DISCARD_KEYED;
	}
	s->recalculate = s->hash && !(only & ONLY_NO_RECALC) &&
			 (only & ONLY_RECALC || random_percent(r, 20));
	s->legacy_recalculate = needs_legacy(s);
	s->first_key = random_percent(r, 50) ? KEY_FIRST : KEY_ZEROES;
}

static void choose_modes(struct setup *s, struct random *r, unsigned only)
{
	unsigned possible = ONLY_J | ONLY_D;
	unsigned wanted = only & ONLY_MODES;

	if (s->hash && !s->crypt)
		possible |= ONLY_B;
	if (!wanted)
		wanted = random_percent(r, 50) ? 1u << random_below(r, 3) : ONLY_MODES;
	s->modes = wanted & possible ? wanted & possible : ONLY_J;
}

static uint64_t choose_start(struct random *r)
{
	switch (random_below(r, 6)) {
	case 0:
		return random_between(r, 1, 64);
	case 1:
		return 8 * random_between(r, 1, 8);
	default:
		return 0;
	}
}

/* In a cramped journal commits meet the sections that have just been freed. */
static uint64_t choose_sections(const struct setup *s, struct random *r, uint64_t most)
{
	if (s->cramped)
		return random_between(r, min_u64(most, 3), min_u64(most, 12));
	return random_between(r, 1, min_u64(most, 16));
}

/* Section sizes are known only when all else is. */
static uint32_t choose_journal_sections(const struct setup *s, struct random *r)
{
	struct sb sb = s->sb;
	struct geometry g;
	uint64_t most;

	sb.journal_sections = 1;
	sb.log2_interleave_sectors = s->kind == GEOMETRY_ONE_DEVICE ? SB_LOG2_INTERLEAVE_MIN : 0;
	(void)geometry_make(&sb, s->kind, 0, UINT32_MAX, UINT32_MAX, 0, &g);
	most = max_u64(1, JOURNAL_SECTORS_MAX / g.section_sectors);
	return (uint32_t)choose_sections(s, r, most) * g.section_sectors;
}

static bool try_geometry(struct setup *s, struct random *r)
{
	bool two = s->kind == GEOMETRY_METADATA_DEVICE;
	uint32_t interleave = 1u << random_between(r, SB_LOG2_INTERLEAVE_MIN, 9);
	uint32_t journal_sectors = choose_journal_sections(s, r);
	uint64_t data =
		s->large ? DATA_SECTORS_LARGE : 8 * random_between(r, 8, DATA_SECTORS_MAX / 8);
	uint64_t tags = (data >> s->sb.log2_sectors_per_block) * s->sb.tag_bytes / SECTOR_BYTES;

	if (s->sb.flags & SB_FIXED_PADDING)
		tags += data / interleave * 8;
	else
		tags += data / interleave * 256;
	s->disk_sectors[0] = s->start_sector + SB_SECTORS + journal_sectors + tags +
			     random_between(r, 16, 160) + (two ? 0 : data);
	s->disk_sectors[1] = two ? data + random_below(r, 8) : 0;
	return geometry_format(&s->sb, s->kind, s->start_sector, s->disk_sectors[0],
			       s->disk_sectors[1], interleave, journal_sectors, 0,
			       &s->geometry) == GEOMETRY_GOOD &&
	       (s->large || s->disk_sectors[0] < 8192);
}

static void choose_geometry(struct setup *s, struct random *r, unsigned only)
{
	bool two = only & ONLY_METADATA || (!(only & ONLY_ONE) && random_percent(r, 25));

	s->kind = two ? GEOMETRY_METADATA_DEVICE : GEOMETRY_ONE_DEVICE;
	s->sb.log2_sectors_per_block =
		(uint8_t)(s->large || random_percent(r, 40) ? 0 : random_between(r, 1, 3));
	if (!two && random_percent(r, 97))
		s->sb.flags |= SB_FIXED_PADDING;
	s->start_sector = choose_start(r);
	while (!try_geometry(s, r))
		;
}

static void choose_mapping(struct setup *s, struct random *r)
{
	uint64_t provided = s->geometry.provided_sectors >> s->sb.log2_sectors_per_block;

	s->mapping_is_shorter = random_percent(r, 20);
	s->blocks = (uint32_t)(s->mapping_is_shorter ? random_between(r, 1, provided) : provided);
	s->sectors = (uint64_t)s->blocks << s->sb.log2_sectors_per_block;
}

/* ---- Digests and cipher ---- */

static void open_digest(const struct setup *s, const struct intact_digest_algorithm *algorithm,
			size_t tag_bytes, struct digest **ret)
{
	struct digest_spec spec = {
		.algorithm = algorithm,
		.key = s->key,
		.key_bytes = algorithm->keyed ? 32 : 0,
		.salt = s->sb.flags & SB_FIXED_HMAC ? s->sb.salt : NULL,
		.tag_bytes = tag_bytes,
		.quiet = true,
	};
	int r = digest_open(&spec, NULL, ret);

	assert(r == 0);
}

static void open_cipher(struct setup *s)
{
	uint8_t scramble[32];
	bool stream = false;
	int r;

	if (s->crypt) {
		r = cipher_open(s->crypt, s->key, s->crypt_key_bytes, NULL, &s->cipher);
		assert(r == 0);
		stream = cipher_is_stream(s->cipher);
	}
	if (stream) {
		r = cipher_commit_key(s->cipher, s->geometry.journal_sectors * SECTOR_BYTES,
				      scramble);
		assert(r == 0);
	}
	commit_ids_init(&s->ids, stream ? scramble : NULL);
}

/* A journal with little room (tags so large that eight entries fill a section), a few blocks that are
 * written again and again, and commits that fall behind: several versions of a block are committed, a
 * later one is not yet, and the sections of the former are written anew together with it. The other
 * volumes are what they would be without these.
 */
static void choose_cramped(struct setup *s, uint64_t seed)
{
	struct random r = random_stream(seed, 8);

	if (!(s->modes & ONLY_J) || s->large || !random_percent(&r, CRAMPED_PERCENT))
		return;
	s->cramped = true;
	s->sb.tag_bytes = (uint16_t)random_between(&r, 240, SB_TAG_BYTES_MAX);
}

void setup_choose(struct setup *s, uint64_t seed, unsigned only)
{
	struct random r = random_stream(seed, 3);

	memset(s, 0, sizeof(*s));
	choose_algorithms(s, &r, only);
	choose_options(s, &r, only);
	choose_modes(s, &r, only);
	s->large = random_per_million(&r, LARGE_PER_MILLION);
	if (s->large)
		s->sb.tag_bytes = SB_TAG_BYTES_MAX;
	choose_cramped(s, seed);
	choose_geometry(s, &r, only);
	choose_mapping(s, &r);
	s->sb.version = sb_version_for(s->sb.flags, false, s->kind == GEOMETRY_METADATA_DEVICE);
	if (s->hash)
		open_digest(s, s->hash, s->sb.tag_bytes, &s->digest);
	if (s->mac)
		open_digest(s, s->mac, 0, &s->mac_digest);
	open_cipher(s);
}

void setup_done(struct setup *s)
{
	digest_close(s->digest);
	digest_close(s->mac_digest);
	cipher_close(s->cipher);
}

void setup_grow(struct setup *s, struct disks *disks, struct random *random)
{
	unsigned which = s->kind == GEOMETRY_METADATA_DEVICE && random_percent(random, 50);
	struct disk *disk = &disks->disk[which];
	uint64_t most = disk->sectors_max - disk->sectors;
	struct geometry grown;

	if (most == 0)
		return;
	s->disk_sectors[which] += random_between(random, 1, most);
	/* A data disk may have become too large for the other one. */
	if (geometry_make(&s->sb, s->kind, s->start_sector, s->disk_sectors[0], s->disk_sectors[1],
			  0, &grown) != GEOMETRY_GOOD) {
		s->disk_sectors[which] = disk->sectors;
		return;
	}
	disk_grow(disk, s->disk_sectors[which] - disk->sectors);
	s->geometry = grown;
	s->sb.provided_data_sectors = grown.provided_sectors;
}

/* ---- Places ---- */

struct disk *setup_data_disk(const struct setup *s, struct disks *disks)
{
	return &disks->disk[s->kind == GEOMETRY_METADATA_DEVICE];
}

uint64_t setup_data_byte(const struct setup *s, uint32_t block)
{
	uint64_t sector = (uint64_t)block << s->sb.log2_sectors_per_block;

	return geometry_data_sector(&s->geometry, sector) * SECTOR_BYTES;
}

uint64_t setup_tag_byte(const struct setup *s, uint32_t block)
{
	return geometry_tag_byte(&s->geometry, (uint64_t)block << s->sb.log2_sectors_per_block);
}

static bool is_in_run_of_tags(const struct geometry *g, uint64_t sector_behind_journal)
{
	uint64_t run = g->run_tag_sectors + (UINT64_C(1) << g->log2_interleave);

	return sector_behind_journal % run < g->run_tag_sectors;
}

enum disk_area setup_area(const struct setup *s, const struct disks *disks, const struct disk *disk,
			  uint64_t sector)
{
	const struct geometry *g = &s->geometry;
	uint64_t journal = geometry_journal_sector(g);

	if (disk == &disks->disk[1])
		return AREA_DATA;
	if (sector < journal)
		return AREA_SUPERBLOCK;
	if (sector < s->start_sector + g->initial_sectors)
		return AREA_JOURNAL;
	if (s->kind == GEOMETRY_METADATA_DEVICE ||
	    is_in_run_of_tags(g, sector - s->start_sector - g->initial_sectors))
		return AREA_TAGS;
	return AREA_DATA;
}

/* ---- Tags ---- */

void setup_tag(const struct setup *s, uint32_t block, const uint8_t *bytes, uint8_t *tag)
{
	size_t block_bytes = (size_t)SECTOR_BYTES << s->sb.log2_sectors_per_block;
	struct digest_request *req = aligned_alloc(64, digest_request_bytes(s->digest));

	assert(req);
	memset(req, 0, digest_request_bytes(s->digest));
	*req = (struct digest_request){
		.data = bytes,
		.message_bytes = bytes ? block_bytes : 0,
		.count = 1,
		.flags = DIGEST_SECTOR | (s->sb.flags & SB_FIXED_HMAC ? DIGEST_SALTED : 0),
		.sector = (uint64_t)block << s->sb.log2_sectors_per_block,
		.tags = tag,
		.tag_stride_bytes = s->sb.tag_bytes,
	};
	digest_submit(s->digest, req);
	digest_flush(s->digest);
	assert(req->result == 0);
	free(req);
}

/* ---- Formatting ---- */

static void format_section(const struct setup *s, struct disks *disks, uint32_t section,
			   uint8_t *bytes, uint8_t *message)
{
	const struct geometry *g = &s->geometry;
	size_t section_bytes = (size_t)g->section_sectors * SECTOR_BYTES;
	uint64_t at = (uint64_t)section * section_bytes;
	uint8_t mac[DIGEST_BYTES_MAX];

	section_clear(g, bytes);
	if (s->mac) {
		size_t n = section_mac_message(g, section, bytes,
					       s->sb.flags & SB_FIXED_HMAC ? s->sb.salt : NULL,
					       message);

		(void)digest_once(s->mac_digest, message, n, mac);
		section_mac_set(bytes, mac, digest_tag_bytes(s->mac_digest));
	}
	section_seal(g, &s->ids, section, 0, bytes);
	if (s->cipher && cipher_is_stream(s->cipher))
		(void)cipher_xor(s->cipher, at, bytes, section_bytes);
	else if (s->cipher)
		(void)cipher_encrypt_section(s->cipher, section, bytes, section_bytes);
	disk_put(&disks->disk[0], geometry_section_sector(g, section) * SECTOR_BYTES, bytes,
		 section_bytes);
}

static void format_journal(const struct setup *s, struct disks *disks)
{
	const struct geometry *g = &s->geometry;
	uint8_t *bytes = malloc((size_t)g->section_sectors * SECTOR_BYTES);
	uint8_t *message = malloc(section_mac_message_bytes(g));

	assert(bytes);
	assert(message);
	for (uint32_t i = 0; i < g->journal_sections; i++)
		format_section(s, disks, i, bytes, message);
	free(bytes);
	free(message);
}

static void format_superblock(const struct setup *s, struct disks *disks)
{
	uint8_t bytes[SB_BYTES];
	size_t at = s->mac ? sb_mac_offset(digest_tag_bytes(s->mac_digest)) : 0;

	sb_encode(&s->sb, bytes);
	if (at > 0 && s->sb.flags & SB_FIXED_HMAC)
		(void)digest_once(s->mac_digest, bytes, at, bytes + at);
	disk_put(&disks->disk[0], s->start_sector * SECTOR_BYTES, bytes, sizeof(bytes));
}

static void format_block(const struct setup *s, struct disks *disks, uint32_t block)
{
	uint8_t bytes[BLOCK_SECTORS_MAX * SECTOR_BYTES];
	uint32_t sectors = s->geometry.sectors_per_block;
	uint64_t first = (uint64_t)block * sectors;
	uint8_t tag[SB_TAG_BYTES_MAX];

	for (uint32_t i = 0; i < sectors; i++)
		content_fill(first + i, s->first_key, bytes + (size_t)i * SECTOR_BYTES);
	if (s->hash)
		setup_tag(s, block, bytes, tag);
	else
		content_tag(first, s->first_key, tag, s->sb.tag_bytes);
	disk_put(setup_data_disk(s, disks), setup_data_byte(s, block), bytes,
		 (uint64_t)sectors * SECTOR_BYTES);
	if (!s->recalculate)
		disk_put(&disks->disk[0], setup_tag_byte(s, block), tag, s->sb.tag_bytes);
}

void setup_format(const struct setup *s, struct disks *disks)
{
	uint64_t provided = s->geometry.provided_sectors >> s->sb.log2_sectors_per_block;

	format_journal(s, disks);
	format_superblock(s, disks);
	for (uint32_t i = 0; i < provided; i++)
		format_block(s, disks, i);
}

/* ---- Parameters ---- */

static char *copy_of(const char *text)
{
	char *copy = strdup(text);

	assert(copy);
	return copy;
}

static void set_algorithm(struct intact_algorithm *a, const char *name, const uint8_t *key,
			  size_t key_bytes)
{
	(void)snprintf(a->name, sizeof(a->name), "%s", name);
	if (key_bytes == 0)
		return;
	a->key = malloc(key_bytes);
	assert(a->key);
	memcpy(a->key, key, key_bytes);
	a->key_bytes = key_bytes;
}

static void set_algorithms(const struct setup *s, struct intact_params *p)
{
	if (s->hash)
		set_algorithm(&p->internal_hash, s->hash->name, s->key, s->hash->keyed ? 32 : 0);
	if (s->mac)
		set_algorithm(&p->journal_mac, s->mac->name, s->key, s->mac->keyed ? 32 : 0);
	if (s->crypt)
		set_algorithm(&p->journal_crypt, s->crypt, s->key, s->crypt_key_bytes);
}

/* What may be another number each time. */
static void vary(const struct setup *s, struct random *r, struct intact_params *p)
{
	if (random_percent(r, 70))
		p->commit_time_ms = (uint32_t)random_log(r, 1, 20000);
	if (random_percent(r, 50))
		p->journal_watermark_percent = (int32_t)random_between(r, 0, 100);
	if (s->cramped && random_percent(r, 75)) /* nothing goes home before it has to */
		p->journal_watermark_percent = (int32_t)random_between(r, 75, 100);
	if (random_percent(r, 70))
		p->bitmap_flush_interval_ms = (uint32_t)random_log(r, 1, 20000);
	if (random_percent(r, 80))
		p->sectors_per_bit = (uint32_t)random_log(r, s->geometry.sectors_per_block, 256);
	if (random_percent(r, 30))
		p->buffer_sectors = 1u << random_between(r, 0, 7);
}

void setup_params(const struct setup *s, struct random *random, char mode, bool anew,
		  struct intact_params *ret)
{
	intact_params_init(ret);
	ret->device = copy_of("disk");
	if (s->kind == GEOMETRY_METADATA_DEVICE)
		ret->data_device = copy_of("data disk");
	ret->start_sector = s->start_sector;
	ret->mode = (enum intact_mode)mode;
	if (s->mapping_is_shorter)
		ret->length_sectors = s->sectors;
	ret->tag_bytes = s->sb.tag_bytes;
	if (random_percent(random, 50))
		ret->block_bytes = s->geometry.sectors_per_block * SECTOR_BYTES;
	ret->recalculate = s->recalculate;
	ret->reset_recalculate = anew;
	ret->legacy_recalculate = s->legacy_recalculate;
	ret->allow_discards = s->allow_discards;
	ret->allow_discards_keyed = s->allow_discards_keyed;
	ret->fix_hmac = s->sb.flags & SB_FIXED_HMAC;
	set_algorithms(s, ret);
	vary(s, random, ret);
}

void setup_describe(const struct setup *s, char *text, size_t size)
{
	(void)snprintf(text, size,
		       "%s, tags of %u bytes, blocks of %u, %u blocks, %u sections of %u entries"
		       "%s%s%s%s%s%s%s%s%s",
		       s->hash ? s->hash->name : "no hash", s->sb.tag_bytes,
		       s->geometry.sectors_per_block * SECTOR_BYTES, s->blocks,
		       s->geometry.journal_sections, s->geometry.section_entries,
		       s->mac ? ", journal_mac " : "", s->mac ? s->mac->name : "",
		       s->crypt ? ", journal_crypt " : "", s->crypt ? s->crypt : "",
		       s->sb.flags & SB_FIXED_HMAC ? ", fix_hmac" : "",
		       s->kind == GEOMETRY_METADATA_DEVICE ? ", two devices" : "",
		       s->recalculate ? ", recalculate" : "",
		       s->allow_discards_keyed ? ", keyed discards"
		       : s->allow_discards     ? ", discards"
					       : "",
		       s->mapping_is_shorter ? ", mapping shorter" : "");
}
