/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The journal as the next activation would replay it, kept as an index of which block is where;
 * nothing is written (docs/format.md section 5, "Replay"). Two passes:
 *
 *	scan_all (commit ids of every section) -> replay_decide -> verify_all (MACs, entries, tags)
 *	-> overlay_sort
 *
 * Whatever is wrong makes the whole journal corrupt: none of it is shown then, as nothing of it may
 * be written.
 */
#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"
#include "offline/view.h"
#include "volume/section.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct overlay_maker {
	struct intact_view *view;
	struct section_reader sections;
	struct digest *mac;  /* NULL: no journal_mac */
	struct digest *hash; /* NULL: no internal hash */
	uint8_t *mac_message;
	uint8_t *blocks;		  /* of one section, restored */
	uint8_t *tags;			  /* their digests */
	struct digest_request **requests; /* one for each entry of a section */
	uint32_t *entry_of;		  /* which entry request n is of */
	size_t room;			  /* entries that view->overlay has room for */
};

__attribute__((format(printf, 2, 3))) static void corrupt(struct intact_view *v, const char *format,
							  ...)
{
	va_list args;

	if (v->journal.errors++ == 0) {
		va_start(args, format);
		(void)vsnprintf(v->journal.reason, sizeof(v->journal.reason), format, args);
		va_end(args);
	}
	v->journal.state = INTACT_JOURNAL_CORRUPT;
}

static int complain_unreadable(const struct intact_view *v, uint32_t section, int error)
{
	message_error(v->volume.log, "%s: cannot read section %u of the journal: %s",
		      v->volume.params.device, section, strerror(-error));
	return -EIO;
}

/* ---- Making and releasing ---- */

static int make_requests(struct overlay_maker *m)
{
	uint32_t entries = m->view->volume.geometry.section_entries;

	m->requests = calloc(entries, sizeof(struct digest_request *));
	if (!m->requests)
		return -ENOMEM;
	for (uint32_t i = 0; m->hash && i < entries; i++) {
		m->requests[i] = aligned_alloc(64, digest_request_bytes(m->hash));
		if (!m->requests[i])
			return -ENOMEM;
	}
	return 0;
}

static void maker_close(struct overlay_maker *m)
{
	for (uint32_t i = 0; m->requests && i < m->view->volume.geometry.section_entries; i++)
		free(m->requests[i]);
	free(m->requests);
	free(m->entry_of);
	free(m->blocks);
	free(m->tags);
	free(m->mac_message);
	digest_close(m->hash);
	digest_close(m->mac);
	section_reader_close(&m->sections);
}

static int maker_open(struct overlay_maker *m, struct intact_view *v)
{
	const struct geometry *g = &v->volume.geometry;
	size_t block_bytes = (size_t)g->sectors_per_block * SECTOR_BYTES;
	int r;

	memset(m, 0, sizeof(*m));
	m->view = v;
	r = section_reader_open(v, &m->sections);
	r = r ?: volume_open_journal_mac(&v->volume, &m->mac);
	if (r == 0 && v->volume.hash)
		r = volume_open_hash(&v->volume, true, &m->hash);
	if (r == 0)
		r = make_requests(m);
	if (r == 0) {
		m->entry_of = calloc(g->section_entries, sizeof(*m->entry_of));
		m->blocks = malloc(g->section_entries * block_bytes);
		m->tags = malloc((size_t)g->section_entries * g->tag_bytes);
		m->mac_message = malloc(section_mac_message_bytes(g));
		if (!m->entry_of || !m->blocks || !m->tags || !m->mac_message)
			r = -ENOMEM;
	}
	if (r < 0)
		maker_close(m);
	return r;
}

/* ---- Commit ids ---- */

/* Reads the sections in order, until one has a sector that is none: more cannot make it better.
 * sequence_of grows with the sections that were really there, not with what the superblock
 * promises.
 */
static int scan_all(struct overlay_maker *m, struct replay_scan *scan)
{
	const struct geometry *g = &m->view->volume.geometry;
	uint32_t room = 0;

	for (uint32_t i = 0; i < g->journal_sections && !scan->invalid; i++) {
		struct section_scan of_section;
		int r;

		if (i == room) {
			uint8_t *larger;

			room = (uint32_t)min_u64(g->journal_sections, room ? 2ull * room : 1024);
			larger = realloc(scan->sequence_of, room);
			if (!larger)
				return -ENOMEM;
			scan->sequence_of = larger;
		}
		r = section_reader_read(&m->sections, i);
		if (r < 0)
			return complain_unreadable(m->view, i, r);
		section_scan(g, &m->view->commit_ids, i, m->sections.bytes, &of_section);
		replay_scan_add(scan, g, i, &of_section);
	}
	return 0;
}

static void explain_bad_commit_id(struct intact_view *v, const struct replay_scan *scan)
{
	const char *hint = "";

	if (scan->invalid_section == 0 && scan->invalid_sector == 0)
		hint = v->volume.params.journal_crypt.name[0]
			       ? " (wrong journal_crypt key or cipher?)"
			       : " (is the journal encrypted? give --journal-crypt)";
	corrupt(v, "sector %u of section %u has no valid commit id%s", scan->invalid_sector,
		scan->invalid_section, hint);
}

/* ---- Entries ---- */

/* False when the section does not match its MAC: then nothing in it is believed. */
static int section_is_authentic(struct overlay_maker *m, uint32_t section, bool *ret)
{
	struct intact_view *v = m->view;
	uint8_t stored[SECTION_MAC_BYTES], mac[SECTION_MAC_BYTES];
	int r;

	*ret = true;
	if (!m->mac)
		return 0;
	r = volume_section_mac(&v->volume, m->mac, section, m->sections.bytes, m->mac_message, mac);
	if (r < 0)
		return r;
	section_mac_stored(m->sections.bytes, stored);
	*ret = secret_equal(mac, stored, sizeof(stored));
	return 0;
}

static int overlay_append(struct overlay_maker *m, uint64_t sector, uint32_t section,
			  uint32_t entry)
{
	struct intact_view *v = m->view;

	if (v->overlay_count == m->room) {
		size_t room = m->room ? 2 * m->room : 1024;
		struct overlay_entry *larger = reallocarray(v->overlay, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		v->overlay = larger;
		m->room = room;
	}
	v->overlay[v->overlay_count++] =
		(struct overlay_entry){.sector = sector, .section = section, .entry = entry};
	return 0;
}

static void submit_tag(struct overlay_maker *m, uint32_t n, uint32_t entry, uint64_t sector)
{
	const struct geometry *g = &m->view->volume.geometry;
	size_t block_bytes = (size_t)g->sectors_per_block * SECTOR_BYTES;
	struct digest_request *req = m->requests[n];

	entry_data(g, m->sections.bytes, entry, m->blocks + n * block_bytes);
	*req = (struct digest_request){
		.data = m->blocks + n * block_bytes,
		.message_bytes = block_bytes,
		.stride_bytes = block_bytes,
		.count = 1,
		.flags = DIGEST_SECTOR |
			 (m->view->volume.sb.flags & SB_FIXED_HMAC ? DIGEST_SALTED : 0),
		.sector = sector,
		.sector_step = g->sectors_per_block,
		.tags = m->tags + (size_t)n * g->tag_bytes,
		.tag_stride_bytes = g->tag_bytes,
	};
	digest_submit(m->hash, req);
}

static int collect_tags(struct overlay_maker *m, uint32_t section, uint32_t submitted)
{
	const struct geometry *g = &m->view->volume.geometry;

	digest_flush(m->hash);
	for (uint32_t n = 0; n < submitted; n++) {
		uint32_t entry = m->entry_of[n];

		if (m->requests[n]->result < 0)
			return m->requests[n]->result;
		if (!secret_equal(m->requests[n]->tags, entry_tag(g, m->sections.bytes, entry),
				  g->tag_bytes))
			corrupt(m->view,
				"entry %u of section %u (logical sector %llu) does not match its "
				"tag",
				entry, section,
				(unsigned long long)entry_sector(g, m->sections.bytes, entry));
	}
	return 0;
}

static int verify_entries(struct overlay_maker *m, uint32_t section)
{
	struct intact_view *v = m->view;
	const struct geometry *g = &v->volume.geometry;
	uint32_t submitted = 0;
	int r = 0;

	for (uint32_t i = 0; i < g->section_entries && r == 0; i++) {
		uint64_t sector = entry_sector(g, m->sections.bytes, i);
		enum entry_verdict verdict =
			entry_judge(g, m->sections.bytes, i, g->provided_sectors);

		if (verdict == ENTRY_UNUSED)
			continue;
		v->journal.entries++;
		if (verdict == ENTRY_MISALIGNED)
			corrupt(v,
				"entry %u of section %u: logical sector %llu is not on a block "
				"border",
				i, section, (unsigned long long)sector);
		if (verdict != ENTRY_GOOD)
			continue;
		r = overlay_append(m, sector, section, i);
		if (!m->hash)
			continue;
		m->entry_of[submitted] = i;
		submit_tag(m, submitted++, i, sector);
	}
	return submitted > 0 ? (collect_tags(m, section, submitted) ?: r) : r;
}

static int verify_section(struct overlay_maker *m, uint32_t section)
{
	bool authentic;
	int r = section_reader_read(&m->sections, section);

	if (r < 0)
		return complain_unreadable(m->view, section, r);
	r = section_is_authentic(m, section, &authentic);
	if (r < 0)
		return r;
	if (!authentic) {
		corrupt(m->view, "section %u does not match its MAC (wrong journal_mac key?)",
			section);
		return 0;
	}
	return verify_entries(m, section);
}

static int verify_all(struct overlay_maker *m)
{
	struct intact_view *v = m->view;

	for (uint32_t i = 0; i < v->plan.count; i++) {
		uint32_t section = (uint32_t)(((uint64_t)v->plan.first + i) %
					      v->volume.geometry.journal_sections);
		int r = verify_section(m, section);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- The index ---- */

struct ring {
	uint32_t first, sections;
};

static uint32_t ring_position(const struct ring *ring, uint32_t section)
{
	return section >= ring->first ? section - ring->first
				      : section + (ring->sections - ring->first);
}

/* By sector, and for one sector in the order of the replay. */
static int overlay_compare(const void *left, const void *right, void *opaque)
{
	const struct overlay_entry *a = left;
	const struct overlay_entry *b = right;
	uint32_t x = ring_position(opaque, a->section);
	uint32_t y = ring_position(opaque, b->section);

	if (a->sector != b->sector)
		return a->sector < b->sector ? -1 : 1;
	if (x != y)
		return x < y ? -1 : 1;
	return (a->entry > b->entry) - (a->entry < b->entry);
}

/* Sorts, and keeps the last entry of each sector. */
static void overlay_sort(struct intact_view *v)
{
	struct ring ring = {.first = v->plan.first,
			    .sections = v->volume.geometry.journal_sections};
	size_t kept = 0;

	if (v->overlay_count == 0)
		return;
	qsort_r(v->overlay, v->overlay_count, sizeof(*v->overlay), overlay_compare, &ring);
	for (size_t i = 0; i < v->overlay_count; i++) {
		bool superseded = i + 1 < v->overlay_count &&
				  v->overlay[i + 1].sector == v->overlay[i].sector;

		if (!superseded)
			v->overlay[kept++] = v->overlay[i];
	}
	v->overlay_count = kept;
}

size_t overlay_lower_bound(const struct intact_view *v, uint64_t sector)
{
	size_t low = 0, high = v->overlay_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (v->overlay[middle].sector < sector)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct overlay_entry *overlay_find(const struct intact_view *v, uint64_t sector)
{
	size_t at = overlay_lower_bound(v, sector);

	return at < v->overlay_count && v->overlay[at].sector == sector ? &v->overlay[at] : NULL;
}

/* ---- Making it ---- */

static int replay_into_index(struct overlay_maker *m, const struct replay_scan *scan)
{
	struct intact_view *v = m->view;
	enum replay_verdict verdict = REPLAY_BAD_COMMIT_ID;

	if (!scan->invalid)
		verdict = replay_decide(scan, v->volume.geometry.journal_sections, &v->plan);
	switch (verdict) {
	case REPLAY_BAD_COMMIT_ID:
		explain_bad_commit_id(v, scan);
		return 0;
	case REPLAY_ALL_SEQUENCES:
		corrupt(v, "%s", replay_explain(verdict));
		return 0;
	case REPLAY_NOTHING:
		v->plan.count = 0;
		return 0;
	case REPLAY_SECTIONS:
		return verify_all(m);
	case REPLAY_VERDICTS:
		break;
	}
	return -EINVAL;
}

static void conclude(struct intact_view *v)
{
	if (v->journal.state == INTACT_JOURNAL_CORRUPT) {
		v->overlay_count = 0;
		v->journal.entries = 0;
		v->plan.count = 0;
		return;
	}
	overlay_sort(v);
	if (v->journal.entries == 0)
		return;
	v->journal.state = INTACT_JOURNAL_REPLAY;
	v->journal.sections = v->plan.count;
	v->journal.first_section = v->plan.first;
	v->journal.blocks = v->overlay_count;
}

int overlay_make(struct intact_view *v)
{
	struct replay_scan scan;
	struct overlay_maker m;
	int r = maker_open(&m, v);

	if (r < 0)
		return r;
	v->journal.state = INTACT_JOURNAL_EMPTY;
	replay_scan_init(&scan, NULL);
	r = volume_commit_ids(&v->volume, m.sections.cipher, &v->commit_ids);
	r = r ?: scan_all(&m, &scan);
	r = r ?: replay_into_index(&m, &scan);
	if (r == 0)
		conclude(v);
	free(scan.sequence_of);
	maker_close(&m);
	return r;
}

/* ---- Walking it, for people ---- */

static bool section_is_replayed(const struct intact_view *v, uint32_t section)
{
	struct ring ring = {.first = v->plan.first,
			    .sections = v->volume.geometry.journal_sections};

	return v->journal.state == INTACT_JOURNAL_REPLAY &&
	       ring_position(&ring, section) < v->plan.count;
}

static void describe_section(struct overlay_maker *m, uint32_t section, struct intact_section *ret)
{
	const struct intact_view *v = m->view;
	struct section_scan scan;

	section_scan(&v->volume.geometry, &v->commit_ids, section, m->sections.bytes, &scan);
	*ret = (struct intact_section){
		.section = section,
		.sectors_invalid = scan.sectors_invalid,
		.replayed = section_is_replayed(v, section),
		.mac_checked = m->mac != NULL,
	};
	memcpy(ret->sectors_by_sequence, scan.sectors_by_sequence,
	       sizeof(ret->sectors_by_sequence));
	for (uint32_t i = 0; i < v->volume.geometry.section_entries; i++)
		ret->used_entries += entry_is_used(&v->volume.geometry, m->sections.bytes, i);
}

static int walk_entries(struct overlay_maker *m, uint32_t section,
			const struct intact_journal_walk *walk)
{
	const struct intact_view *v = m->view;

	for (uint32_t i = 0; walk->entry && i < v->volume.geometry.section_entries; i++) {
		struct intact_entry entry = {.section = section, .entry = i};
		const struct overlay_entry *latest;
		int r;

		if (!entry_is_used(&v->volume.geometry, m->sections.bytes, i))
			continue;
		entry.sector = entry_sector(&v->volume.geometry, m->sections.bytes, i);
		latest = overlay_find(v, entry.sector);
		entry.replayed = latest && latest->section == section && latest->entry == i;
		r = walk->entry(walk->opaque, &entry);
		if (r != 0)
			return r;
	}
	return 0;
}

static int walk_section(struct overlay_maker *m, uint32_t section,
			const struct intact_journal_walk *walk)
{
	struct intact_section described;
	int r = section_reader_read(&m->sections, section);

	if (r < 0)
		return complain_unreadable(m->view, section, r);
	describe_section(m, section, &described);
	r = section_is_authentic(m, section, &described.mac_good);
	if (r == 0 && walk->section)
		r = walk->section(walk->opaque, &described);
	return r ?: walk_entries(m, section, walk);
}

int intact_view_walk_journal(struct intact_view *v, const struct intact_journal_walk *walk)
{
	struct overlay_maker m;
	int r;

	if (v->journal.state == INTACT_JOURNAL_NONE || v->journal.state == INTACT_JOURNAL_BITMAP)
		return 0;
	r = maker_open(&m, v);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < v->volume.geometry.journal_sections && r == 0; i++)
		r = walk_section(&m, i, walk);
	maker_close(&m);
	return r;
}
