/* SPDX-License-Identifier: BSD-2-Clause */
#include "model.h"

#include "base/num.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t first_sector(const struct model *m, uint32_t block)
{
	return (uint64_t)block * m->block_sectors;
}

static void content_uniform(struct content *c, uint32_t key)
{
	*c = (struct content){.tag_key = key};
	for (unsigned i = 0; i < BLOCK_SECTORS_MAX; i++)
		c->key[i] = key;
}

void model_init(struct model *m, struct trace *trace, uint32_t blocks, uint32_t block_sectors,
		uint32_t tag_bytes, uint32_t key)
{
	*m = (struct model){
		.trace = trace,
		.blocks = blocks,
		.block_sectors = block_sectors,
		.tag_bytes = tag_bytes,
		.block = calloc(blocks, sizeof(struct block)),
		.next_id = KEY_FIRST + 1,
		.life_id = KEY_FIRST + 1,
	};
	assert(m->block);
	for (uint32_t i = 0; i < blocks; i++) {
		content_uniform(&m->block[i].base, key);
		m->block[i].live = m->block[i].base;
		m->block[i].live_known = true;
	}
}

void model_done(struct model *m)
{
	for (uint32_t i = 0; i < m->blocks; i++)
		free(m->block[i].later);
	free(m->block);
}

/* ---- Versions ---- */

static struct version *version_add(struct block *b)
{
	if (b->later_count == b->later_room) {
		b->later_room = b->later_room * 2 + 2;
		b->later = realloc(b->later, b->later_room * sizeof(*b->later));
		assert(b->later);
	}
	b->later[b->later_count] = (struct version){0};
	return &b->later[b->later_count++];
}

static struct version *version_find(struct block *b, uint32_t id)
{
	for (unsigned i = 0; i < b->later_count; i++)
		if (b->later[i].id == id)
			return &b->later[i];
	return NULL;
}

static bool any_failed(const struct block *b)
{
	for (unsigned i = 0; i < b->later_count; i++)
		if (b->later[i].failed)
			return true;
	return false;
}

/* A write that has not ended yet may have failed in part. */
static bool in_doubt(const struct model *m, const struct version *v)
{
	return v->failed || (v->acked_at == 0 && m->errors > v->errors);
}

/* The first `count` versions are past: the last of them is the base. Reads that were submitted between
 * them may still be under way.
 */
static void base_advance(const struct model *m, struct block *b, unsigned count)
{
	if (count == 0)
		return;
	for (unsigned i = 0; i < count; i++)
		if (in_doubt(m, &b->later[i]))
			b->doubtful_id = b->later[i].id;
	b->base = b->later[count - 1].content;
	b->later_count -= count;
	memmove(b->later, b->later + count, b->later_count * sizeof(*b->later));
	if (any_failed(b))
		return;
	b->may_fail = false;
	b->may_tear = false;
}

/* ---- Writes ---- */

uint32_t model_write(struct model *m, uint32_t first, uint32_t count, enum write_kind kind)
{
	uint32_t id = m->next_id++;
	struct content content;

	content_uniform(&content, kind == WRITE_CONTENT ? id : KEY_ZEROES);
	content.any = kind == WRITE_DISCARD;
	for (uint32_t i = first; i < first + count; i++) {
		struct block *b = &m->block[i];
		struct version *v = version_add(b);

		v->content = content;
		v->id = id;
		v->errors = m->errors;
		b->live = content;
		b->live_id = id;
		b->live_known = true;
	}
	return id;
}

static void write_acked(struct model *m, uint32_t block, uint32_t id, bool durable)
{
	struct block *b = &m->block[block];
	struct version *v = version_find(b, id);

	if (!v)
		return; /* a later one is durable already */
	v->acked_at = m->acks;
	if (durable)
		base_advance(m, b, (unsigned)(v - b->later) + 1);
}

void model_write_done(struct model *m, uint32_t first, uint32_t count, uint32_t id, bool durable)
{
	m->acks++;
	for (uint32_t i = first; i < first + count; i++)
		write_acked(m, i, id, durable);
}

void model_write_failed(struct model *m, uint32_t first, uint32_t count, uint32_t id,
			struct damage damage)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct block *b = &m->block[i];
		struct version *v = version_find(b, id);

		if (v)
			v->failed = true;
		if (b->live_id == id)
			b->live_known = false;
		b->may_fail |= damage.fails;
		b->may_tear |= damage.tears;
	}
}

uint64_t model_flush(const struct model *m)
{
	return m->acks;
}

static void block_flushed(const struct model *m, struct block *b, uint64_t flush)
{
	unsigned past = 0;

	for (unsigned i = 0; i < b->later_count; i++)
		if (b->later[i].acked_at > 0 && b->later[i].acked_at <= flush)
			past = i + 1;
	base_advance(m, b, past);
}

void model_flush_done(struct model *m, uint64_t flush)
{
	for (uint32_t i = 0; i < m->blocks; i++)
		block_flushed(m, &m->block[i], flush);
}

/* A discard may be forgotten: what it leaves is anything. */
void model_bequeath(struct model *m)
{
	for (uint32_t i = 0; i < m->blocks; i++) {
		struct block *b = &m->block[i];
		unsigned past = 0;

		for (unsigned j = 0; j < b->later_count; j++)
			if (b->later[j].acked_at > 0 && !b->later[j].content.any)
				past = j + 1;
		base_advance(m, b, past);
	}
}

void model_shut(struct model *m)
{
	model_flush_done(m, m->acks);
}

/* ---- Contents ---- */

static bool tag_is_of(const struct model *m, uint32_t block, uint32_t key, const uint8_t *tag)
{
	uint8_t expected[255];

	content_tag(first_sector(m, block), key, expected, m->tag_bytes);
	return memcmp(tag, expected, m->tag_bytes) == 0;
}

static uint32_t find_tag_key(const struct model *m, uint32_t block, const struct content *c,
			     const uint8_t *tag)
{
	const struct block *b = &m->block[block];

	if (tag_is_of(m, block, c->key[0], tag))
		return c->key[0];
	if (tag_is_of(m, block, b->base.tag_key, tag))
		return b->base.tag_key;
	for (unsigned i = 0; i < b->later_count; i++)
		if (tag_is_of(m, block, b->later[i].content.tag_key, tag))
			return b->later[i].content.tag_key;
	return KEY_NONE;
}

void model_content(const struct model *m, uint32_t block, const uint8_t *bytes, const uint8_t *tag,
		   struct content *ret)
{
	*ret = (struct content){0};
	for (uint32_t i = 0; i < m->block_sectors; i++)
		ret->key[i] = content_key(first_sector(m, block) + i, bytes + i * SECTOR_BYTES);
	if (tag)
		ret->tag_key = find_tag_key(m, block, ret, tag);
}

static bool content_equal(const struct model *m, const struct content *a, const struct content *b)
{
	if (m->tag_bytes > 0 && a->tag_key != b->tag_key)
		return false;
	return memcmp(a->key, b->key, m->block_sectors * sizeof(a->key[0])) == 0;
}

static void describe(const struct model *m, const struct content *c, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < m->block_sectors && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%d", i ? "," : "", (int)c->key[i]);
	if (m->tag_bytes > 0 && n < size)
		(void)snprintf(text + n, size - n, " tag %d", (int)c->tag_key);
}

/* ---- Reads ---- */

void model_expect(const struct model *m, uint32_t block, struct expectation *ret)
{
	const struct block *b = &m->block[block];

	*ret = (struct expectation){
		.content = b->live,
		.id = b->live_id,
		.known = b->live_known,
		.may_fail = b->may_fail,
	};
}

/* Whether what a read was to see came to be: the write before it may have failed meanwhile. */
static bool still_expected(const struct model *m, uint32_t block, const struct expectation *e)
{
	const struct version *v = version_find(&m->block[block], e->id);

	if (!v && e->id != 0 && e->id <= m->block[block].doubtful_id)
		return false;
	return e->known && !(v && in_doubt(m, v));
}

void model_check_read(struct model *m, uint32_t block, const struct expectation *e,
		      const uint8_t *bytes, const uint8_t *tag)
{
	struct content found;
	char is[80], was[80];

	if (!still_expected(m, block, e) || e->content.any)
		return;
	model_content(m, block, bytes, tag, &found);
	if (tag && tag_is_of(m, block, e->content.tag_key, tag))
		found.tag_key = e->content.tag_key; /* no longer a candidate, perhaps */
	if (!e->content.bad && content_equal(m, &found, &e->content))
		return;
	describe(m, &found, is, sizeof(is));
	describe(m, &e->content, was, sizeof(was));
	trace_fail(m->trace, "block %u: read gave %s, not %s", block, is,
		   e->content.bad ? "a mismatch" : was);
}

bool model_may_mismatch(const struct model *m, uint32_t block, const struct expectation *e)
{
	if (still_expected(m, block, e))
		return e->content.bad;
	return e->known || e->may_fail || m->block[block].may_fail;
}

bool model_must_mismatch(const struct model *m, uint32_t block, const struct expectation *e)
{
	return still_expected(m, block, e) && e->content.bad;
}

/* ---- Crashes ---- */

static bool has_versions_of_this_life(const struct model *m, const struct block *b)
{
	return b->later_count > 0 && b->later[b->later_count - 1].id >= m->life_id;
}

static void block_crash(const struct model *m, struct block *b, struct damage damage)
{
	if (has_versions_of_this_life(m, b)) {
		b->may_fail |= damage.fails;
		b->may_tear |= damage.tears;
	}
	b->may_tear |= b->may_fail && damage.heals;
	if (b->base.bad && (b->later_count > 0 || damage.heals))
		b->may_fail = true;
	if (b->base.bad && damage.heals)
		b->base.any = true;
	for (unsigned i = 0; i < b->later_count; i++)
		b->later[i].acked_at = 0;
	b->live_id = 0;
	b->live = b->base;
	b->live_known = b->later_count == 0 && !b->may_fail && !b->may_tear;
}

void model_crash(struct model *m, struct damage damage)
{
	for (uint32_t i = 0; i < m->blocks; i++)
		block_crash(m, &m->block[i], damage);
	m->life_id = m->next_id;
}

static const struct content *candidate(const struct block *b, unsigned i)
{
	return i == 0 ? &b->base : &b->later[i - 1].content;
}

bool block_may_be_anything(const struct block *b)
{
	for (unsigned i = 0; i <= b->later_count; i++)
		if (candidate(b, i)->any)
			return true;
	return false;
}

static int candidate_find(const struct model *m, const struct block *b, const struct content *found)
{
	for (unsigned i = 0; i <= b->later_count; i++)
		if (!candidate(b, i)->bad && content_equal(m, candidate(b, i), found))
			return (int)i;
	return -1;
}

static bool sector_is_possible(const struct block *b, uint32_t sector, uint32_t key)
{
	for (unsigned i = 0; i <= b->later_count; i++)
		if (candidate(b, i)->key[sector] == key)
			return true;
	return false;
}

static bool may_be_torn_so(const struct model *m, const struct block *b,
			   const struct content *found)
{
	if (!b->may_tear)
		return false;
	for (uint32_t i = 0; i < m->block_sectors; i++)
		if (!sector_is_possible(b, i, found->key[i]))
			return false;
	return true;
}

bool model_allows(const struct model *m, uint32_t block, const struct content *found)
{
	const struct block *b = &m->block[block];

	return block_may_be_anything(b) || candidate_find(m, b, found) >= 0 ||
	       may_be_torn_so(m, b, found);
}

static void count(struct model *m, const struct block *b, const struct content *found)
{
	int which = candidate_find(m, b, found);

	if (b->later_count == 0)
		return;
	if (block_may_be_anything(b))
		m->counts.any++;
	else if (which < 0)
		m->counts.torn++;
	else if (which == 0)
		m->counts.base++;
	else
		m->counts.later++;
}

static void refuse(struct model *m, uint32_t block, const struct content *found)
{
	const struct block *b = &m->block[block];
	char is[80], base[80], last[80] = "nothing";

	describe(m, found, is, sizeof(is));
	describe(m, &b->base, base, sizeof(base));
	if (b->later_count > 0)
		describe(m, candidate(b, b->later_count), last, sizeof(last));
	trace_fail(m->trace, "block %u is %s: neither %s nor one of %u later versions up to %s%s",
		   block, is, base, b->later_count, last, b->may_tear ? ", nor torn" : "");
}

static void collapse(struct block *b, const struct content *found, bool surely)
{
	bool any = block_may_be_anything(b);

	b->live = *found;
	b->live.any = any;
	b->live_id = 0;
	b->live_known = true;
	if (!surely)
		return;
	b->base = b->live;
	b->later_count = 0;
	b->may_fail = false;
	b->may_tear = false;
}

static void observe_mismatch(struct model *m, uint32_t block)
{
	struct block *b = &m->block[block];

	m->counts.failed++;
	if (!b->may_fail && !(b->base.bad && b->later_count == 0))
		trace_fail(m->trace, "block %u fails verification", block);
}

void model_observe(struct model *m, uint32_t block, const uint8_t *bytes, const uint8_t *tag,
		   bool surely)
{
	struct block *b = &m->block[block];
	struct content found;

	if (!bytes) {
		observe_mismatch(m, block);
		return;
	}
	model_content(m, block, bytes, tag, &found);
	count(m, b, &found);
	if (model_allows(m, block, &found))
		collapse(b, &found, surely);
	else
		refuse(m, block, &found);
}

void model_recalculate(struct model *m)
{
	for (uint32_t i = 0; i < m->blocks; i++) {
		struct block *b = &m->block[i];

		b->may_tear |= b->may_fail;
		b->may_fail |= b->base.bad;
		b->base.any |= b->base.bad;
		b->live = b->base;
		b->live_known = b->later_count == 0 && !b->may_fail && !b->may_tear;
	}
}

bool model_verifies(const struct model *m)
{
	for (uint32_t i = 0; i < m->blocks; i++)
		if (m->block[i].may_fail || m->block[i].base.bad)
			return false;
	return true;
}

void model_rot(struct model *m, uint32_t block)
{
	struct block *b = &m->block[block];

	assert(b->later_count == 0);
	b->base.bad = true;
	b->live = b->base;
	b->live_known = true;
	b->live_id = 0;
}
