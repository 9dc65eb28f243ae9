/* SPDX-License-Identifier: BSD-2-Clause */
#include "judge.h"

#include "base/num.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct judge {
	const struct setup *s;
	char mode; /* that it was shut down from */
	struct disks *disks;
	const struct model *m;
	struct trace *trace;
	struct judgement *ret;
	struct sb sb;
	struct replay_scan scan;
	struct replay_plan plan;
	uint8_t *section;
	uint8_t *message;
	uint8_t *last; /* for each block: what the journal replays over it at last */
};

/* ---- Superblock ---- */

static void judge_superblock_mac(struct judge *j, const uint8_t bytes[SB_BYTES])
{
	uint8_t mac[DIGEST_BYTES_MAX];
	size_t at;

	if (!j->s->mac || !(j->sb.flags & SB_FIXED_HMAC))
		return;
	at = sb_mac_offset(digest_tag_bytes(j->s->mac_digest));
	(void)digest_once(j->s->mac_digest, bytes, at, mac);
	if (memcmp(mac, bytes + at, digest_tag_bytes(j->s->mac_digest)) != 0)
		trace_fail(j->trace, "judge: the superblock does not match its MAC");
}

static void judge_superblock(struct judge *j)
{
	const struct sb *made = &j->s->sb;
	uint8_t bytes[SB_BYTES];
	bool two = j->s->kind == GEOMETRY_METADATA_DEVICE;

	disk_get(&j->disks->disk[0], j->s->start_sector * SECTOR_BYTES, bytes, sizeof(bytes));
	if (sb_decode(bytes, two, &j->sb) != SB_GOOD) {
		trace_fail(j->trace, "judge: the superblock is no more");
		return;
	}
	judge_superblock_mac(j, bytes);
	if (j->sb.flags & SB_DIRTY_BITMAP)
		trace_fail(j->trace, "judge: the bitmap is still there");
	if ((j->sb.flags ^ made->flags) & ~(SB_DIRTY_BITMAP | SB_RECALCULATING))
		trace_fail(j->trace, "judge: flags 0x%x have become 0x%x", made->flags,
			   j->sb.flags);
	if (j->sb.version != sb_version_for(j->sb.flags, j->mode == 'B', two))
		trace_fail(j->trace, "judge: flags 0x%x under version %u", j->sb.flags,
			   j->sb.version);
	if (j->sb.provided_data_sectors != made->provided_data_sectors ||
	    j->sb.journal_sections != made->journal_sections ||
	    memcmp(j->sb.salt, made->salt, sizeof(made->salt)) != 0)
		trace_fail(j->trace, "judge: the superblock has other sizes or salt");
}

static bool is_recalculated(const struct judge *j, uint32_t block)
{
	uint64_t sector = (uint64_t)block * j->m->block_sectors;

	return !(j->sb.flags & SB_RECALCULATING) || sector < j->sb.recalc_sector;
}

/* ---- Journal ---- */

static void read_section(struct judge *j, uint32_t section)
{
	const struct setup *s = j->s;
	size_t bytes = (size_t)s->geometry.section_sectors * SECTOR_BYTES;

	disk_get(&j->disks->disk[0], geometry_section_sector(&s->geometry, section) * SECTOR_BYTES,
		 j->section, bytes);
	if (s->cipher && cipher_is_stream(s->cipher))
		(void)cipher_xor(s->cipher, section * bytes, j->section, bytes);
	else if (s->cipher)
		(void)cipher_decrypt_section(s->cipher, section, j->section, bytes);
}

static void judge_mac(struct judge *j, uint32_t section)
{
	const struct setup *s = j->s;
	uint8_t stored[SECTION_MAC_BYTES], mac[SECTION_MAC_BYTES] = {0};
	size_t n;

	if (!s->mac)
		return;
	n = section_mac_message(&s->geometry, section, j->section,
				s->sb.flags & SB_FIXED_HMAC ? s->sb.salt : NULL, j->message);
	(void)digest_once(s->mac_digest, j->message, n, mac);
	section_mac_stored(j->section, stored);
	if (memcmp(stored, mac, sizeof(mac)) != 0)
		trace_fail(j->trace, "judge: section %u does not match its MAC", section);
}

static void judge_entry(struct judge *j, uint32_t entry)
{
	const struct geometry *g = &j->s->geometry;
	uint64_t sector = entry_sector(g, j->section, entry);
	uint64_t block = sector / j->m->block_sectors;

	if (entry_judge(g, j->section, entry, g->provided_sectors) == ENTRY_UNUSED)
		return;
	if (entry_judge(g, j->section, entry, g->provided_sectors) != ENTRY_GOOD ||
	    block >= j->m->blocks) {
		trace_fail(j->trace, "judge: a journal entry for sector %llu",
			   (unsigned long long)sector);
		return;
	}
	j->ret->journalled[block] = true;
	entry_data(g, j->section, entry,
		   j->last + (size_t)block * j->m->block_sectors * SECTOR_BYTES);
}

static void judge_section(struct judge *j, uint32_t section)
{
	read_section(j, section);
	judge_mac(j, section);
	for (uint32_t i = 0; i < j->s->geometry.section_entries; i++)
		judge_entry(j, i);
}

static void judge_journal(struct judge *j)
{
	const struct geometry *g = &j->s->geometry;
	enum replay_verdict verdict;

	for (uint32_t i = 0; i < g->journal_sections; i++) {
		struct section_scan scan;

		read_section(j, i);
		section_scan(g, &j->s->ids, i, j->section, &scan);
		replay_scan_add(&j->scan, g, i, &scan);
	}
	verdict = replay_decide(&j->scan, g->journal_sections, &j->plan);
	if (verdict == REPLAY_NOTHING)
		return;
	if (verdict != REPLAY_SECTIONS) {
		trace_fail(j->trace, "judge: journal: %s", replay_explain(verdict));
		return;
	}
	for (uint32_t i = 0; i < j->plan.count; i++)
		judge_section(j, (j->plan.first + i) % g->journal_sections);
}

/* ---- Blocks ---- */

static void judge_tag(struct judge *j, uint32_t block, const uint8_t *bytes, const uint8_t *stored)
{
	const struct setup *s = j->s;
	const struct block *b = &j->m->block[block];
	bool discarded = b->live.any || (!b->live_known && block_may_be_anything(b));
	uint8_t tag[SB_TAG_BYTES_MAX], marker[SB_TAG_BYTES_MAX];

	setup_tag(s, block, bytes, tag);
	memset(marker, 0xf6, sizeof(marker));
	if (s->allow_discards_keyed)
		setup_tag(s, block, NULL, marker);
	if (memcmp(stored, tag, s->sb.tag_bytes) == 0)
		return;
	if (!discarded || memcmp(stored, marker, s->sb.tag_bytes) != 0)
		trace_fail(j->trace, "judge: block %u does not match its tag%s", block,
			   discarded ? ", nor is it marked as discarded" : "");
}

static void judge_content(struct judge *j, uint32_t block, const uint8_t *bytes, const uint8_t *tag)
{
	const struct block *b = &j->m->block[block];
	struct content found;

	if (b->live.any || (!b->live_known && block_may_be_anything(b)))
		return;
	model_content(j->m, block, bytes, j->s->hash ? NULL : tag, &found);
	if (b->live_known &&
	    (memcmp(found.key, b->live.key, j->m->block_sectors * sizeof(found.key[0])) != 0 ||
	     (!j->s->hash && found.tag_key != b->live.tag_key)))
		trace_fail(j->trace, "judge: block %u has key %d at home, not %d", block,
			   (int)found.key[0], (int)b->live.key[0]);
	if (!b->live_known && !model_allows(j->m, block, &found) && !b->may_fail)
		trace_fail(j->trace, "judge: block %u has key %d at home", block,
			   (int)found.key[0]);
}

static void judge_block(struct judge *j, uint32_t block)
{
	const struct setup *s = j->s;
	const struct block *b = &j->m->block[block];
	uint8_t bytes[BLOCK_SECTORS_MAX * SECTOR_BYTES];
	size_t block_bytes = (size_t)j->m->block_sectors * SECTOR_BYTES;
	uint8_t tag[SB_TAG_BYTES_MAX];

	if (b->live.bad || (b->base.bad && !b->live_known))
		return;
	disk_get(setup_data_disk(s, j->disks), setup_data_byte(s, block), bytes, block_bytes);
	disk_get(&j->disks->disk[0], setup_tag_byte(s, block), tag, s->sb.tag_bytes);
	judge_content(j, block, bytes, tag);
	if (s->hash && is_recalculated(j, block) && (b->live_known || !b->may_fail))
		judge_tag(j, block, bytes, tag);
	if (j->ret->journalled[block] && !b->live.any &&
	    memcmp(bytes, j->last + block * block_bytes, block_bytes) != 0)
		trace_fail(j->trace, "judge: the journal would change block %u", block);
}

void judge_clean(const struct setup *s, char mode, struct disks *disks, const struct model *m,
		 struct trace *trace, struct judgement *ret)
{
	struct judge j = {.s = s, .mode = mode, .disks = disks, .m = m, .trace = trace, .ret = ret};
	uint8_t *sequences = malloc(s->geometry.journal_sections);

	j.section = malloc((size_t)s->geometry.section_sectors * SECTOR_BYTES);
	j.message = malloc(section_mac_message_bytes(&s->geometry));
	j.last = malloc((size_t)m->blocks * m->block_sectors * SECTOR_BYTES);
	assert(sequences);
	assert(j.section);
	assert(j.message);
	assert(j.last);
	memset(ret->journalled, 0, m->blocks * sizeof(*ret->journalled));
	replay_scan_init(&j.scan, sequences);
	judge_superblock(&j);
	judge_journal(&j);
	for (uint32_t i = 0; i < m->blocks; i++)
		judge_block(&j, i);
	ret->unverified =
		j.sb.flags & SB_RECALCULATING && j.sb.recalc_sector < s->geometry.provided_sectors;
	free(sequences);
	free(j.section);
	free(j.message);
	free(j.last);
}
