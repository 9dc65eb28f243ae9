/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The journal in memory: a ring of sections, whose entries are kept as plain blocks and tags, and
 * an index of the latest entry of each block. A section's way around:
 *
 *	FREE -> OPEN (ring_add) -> CLOSED -> COMMITTING -> COMMITTED (commit.c) -> WRITING_BACK -> FREE (writeback.c)
 *
 * From tail to commit_tail sections are committed, from there to head they are not; an entry is in
 * the index only while it is its block's latest.
 */
#include "engine/internal.h"

#include <stdlib.h>

uint8_t *ring_data(const struct engine *e, uint32_t entry)
{
	return e->ring.data + (size_t)entry * e->block_bytes;
}

uint8_t *ring_tag(const struct engine *e, uint32_t entry)
{
	return e->ring.tags + (size_t)entry * e->tag_bytes;
}

struct section *ring_section_of(const struct engine *e, uint32_t entry)
{
	return &e->ring.sections[entry / e->volume.geometry.section_entries];
}

/* ---- Index ---- */

static uint32_t *bucket(const struct engine *e, uint64_t sector)
{
	return &e->ring.hash[(sector / e->spb * 0x9e3779b97f4a7c15ull >> 32) & e->ring.hash_mask];
}

uint32_t ring_find(const struct engine *e, uint64_t sector)
{
	uint32_t n;

	if (e->ring.taken == 0)
		return NONE;
	n = *bucket(e, sector);
	while (n != NONE && e->ring.entries[n].sector != sector)
		n = e->ring.entries[n].hash_next;
	return n;
}

bool ring_has_any(const struct engine *e, uint64_t first_sector, uint64_t sectors)
{
	for (uint64_t at = 0; at < sectors && e->ring.taken > 0; at += e->spb) {
		if (ring_find(e, first_sector + at) != NONE)
			return true;
	}
	return false;
}

static void index_remove(struct engine *e, uint32_t entry)
{
	struct ring *r = &e->ring;
	uint32_t *at = bucket(e, r->entries[entry].sector);

	while (*at != entry)
		at = &r->entries[*at].hash_next;
	*at = r->entries[entry].hash_next;
	r->entries[entry].indexed = false;
}

void ring_index(struct engine *e, uint32_t entry)
{
	struct ring *r = &e->ring;
	uint64_t sector = r->entries[entry].sector;
	uint32_t before = ring_find(e, sector);
	uint32_t *at;

	if (before != NONE)
		index_remove(e, before);
	at = bucket(e, sector);
	r->entries[entry].hash_next = *at;
	r->entries[entry].indexed = true;
	*at = entry;
}

/* ---- The ring ---- */

static struct section *head_section(const struct engine *e)
{
	return &e->ring.sections[e->ring.head];
}

uint32_t ring_free_entries(const struct engine *e)
{
	const struct ring *r = &e->ring;
	uint32_t entries = e->volume.geometry.section_entries;
	uint32_t free_entries = (r->section_count - r->taken) * entries;

	if (r->section_count > 0 && head_section(e)->state == SECTION_OPEN)
		free_entries += entries - head_section(e)->used;
	return free_entries;
}

bool ring_is_tight(const struct engine *e)
{
	uint32_t percent = tuning_watermark_percent(e);

	return ring_free_entries(e) <= (uint64_t)e->ring.entry_count * (100 - percent) / 100;
}

void ring_close_section(struct engine *e)
{
	struct ring *r = &e->ring;

	if (head_section(e)->state != SECTION_OPEN || head_section(e)->used == 0)
		return;
	head_section(e)->state = SECTION_CLOSED;
	r->head = (r->head + 1) % r->section_count;
	if (r->head == 0)
		r->sequence = (r->sequence + 1) % SEQUENCES;
}

static void open_section(struct engine *e)
{
	struct section *s = head_section(e);

	assert(s->state == SECTION_FREE);
	s->state = SECTION_OPEN;
	s->sequence = e->ring.sequence;
	s->used = 0;
	e->ring.taken++;
}

uint32_t ring_add(struct engine *e, uint64_t sector)
{
	struct ring *r = &e->ring;
	struct section *s = head_section(e);
	uint32_t n;

	assert(ring_free_entries(e) > 0);
	if (s->state == SECTION_FREE)
		open_section(e);
	n = r->head * e->volume.geometry.section_entries + s->used++;
	r->entries[n].sector = sector;
	ring_index(e, n);
	r->added++;
	if (s->used == e->volume.geometry.section_entries)
		ring_close_section(e);
	return n;
}

void ring_free(struct engine *e, uint32_t sections)
{
	struct ring *r = &e->ring;

	for (uint32_t i = 0; i < sections; i++) {
		struct section *s = &r->sections[r->tail];
		uint32_t first = r->tail * e->volume.geometry.section_entries;

		assert(s->state == SECTION_WRITING_BACK);
		for (uint32_t n = first; n < first + s->used; n++) {
			if (r->entries[n].indexed)
				index_remove(e, n);
		}
		s->state = SECTION_FREE;
		s->used = 0;
		r->tail = (r->tail + 1) % r->section_count;
		r->taken--;
	}
	e->progress = true;
}

void ring_begin(struct engine *e, uint32_t head, unsigned sequence)
{
	struct ring *r = &e->ring;

	assert(r->taken == 0);
	for (uint32_t i = 0; i < r->section_count; i++)
		r->sections[i] = (struct section){.state = SECTION_FREE};
	r->head = r->commit_tail = r->tail = head;
	r->sequence = (uint8_t)sequence;
}

/* ---- Opening and closing ---- */

int ring_open(struct engine *e)
{
	const struct geometry *g = &e->volume.geometry;
	struct ring *r = &e->ring;
	uint64_t entries = (uint64_t)g->journal_sections * g->section_entries;
	uint64_t buckets;

	if (g->journal_sections == 0)
		return 0;
	if (entries >= NONE / 2) {
		message_error(e->world.log,
			      "%s: a journal of %u sections is too large to be kept in "
			      "memory",
			      e->volume.params.device, g->journal_sections);
		return -ENOMEM;
	}
	buckets = 2ull << log2_floor(entries);
	r->section_count = g->journal_sections;
	r->entry_count = (uint32_t)entries;
	r->hash_mask = (uint32_t)buckets - 1;
	r->sections = calloc(r->section_count, sizeof(*r->sections));
	r->entries = calloc(entries, sizeof(*r->entries));
	r->data = aligned_alloc(4096, round_up_pow2(entries * e->block_bytes, 4096));
	r->tags = malloc(entries * e->tag_bytes);
	r->hash = malloc(buckets * sizeof(*r->hash));
	if (!r->sections || !r->entries || !r->data || !r->tags || !r->hash)
		return -ENOMEM;
	memset(r->hash, 0xff, buckets * sizeof(*r->hash));
	return 0;
}

void ring_close(struct engine *e)
{
	free(e->ring.sections);
	free(e->ring.entries);
	free(e->ring.data);
	free(e->ring.tags);
	free(e->ring.hash);
}
