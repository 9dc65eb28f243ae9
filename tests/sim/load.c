/* SPDX-License-Identifier: BSD-2-Clause */
#include "load.h"

#include "base/num.h"
#include "clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Open and close ---- */

static void slot_init(struct load *l, struct load_slot *slot)
{
	const struct model *m = l->model;

	slot->load = l;
	slot->buffer = malloc((size_t)m->blocks * m->block_sectors * SECTOR_BYTES);
	slot->tags = calloc(m->blocks, m->tag_bytes + 1);
	slot->expected = calloc(m->blocks, sizeof(*slot->expected));
	assert(slot->buffer);
	assert(slot->tags);
	assert(slot->expected);
}

void load_init(struct load *l, struct trace *trace, uint64_t seed, struct model *model,
	       bool has_hash, bool may_discard)
{
	memset(l, 0, sizeof(*l));
	l->trace = trace;
	l->random = random_stream(seed, 4);
	l->model = model;
	l->has_hash = has_hash;
	l->may_discard = may_discard;
}

void load_done(struct load *l)
{
	for (unsigned i = 0; i < LOAD_SLOTS; i++) {
		free(l->slot[i].buffer);
		free(l->slot[i].tags);
		free(l->slot[i].expected);
	}
}

/* ---- Profiles ---- */

static void choose_kinds(struct load_profile *p, struct random *r)
{
	p->writes = (unsigned)random_between(r, 10, 90);
	p->zeroes = (unsigned)random_below(r, 8);
	p->discards = (unsigned)(random_percent(r, 50) ? random_below(r, 30) : 0);
	p->flushes = (unsigned)(random_percent(r, 70) ? random_below(r, 20) : 0);
	p->nonsense = (unsigned)random_below(r, 3);
	p->fua_percent = (unsigned)(random_percent(r, 50) ? random_below(r, 60) : 0);
}

/* Few blocks, over and over; some of it durable, or in turn. */
static void choose_cramped(struct load_profile *p, struct random *r, uint32_t blocks)
{
	*p = (struct load_profile){
		.depth = (unsigned)random_between(r, 8, LOAD_SLOTS),
		.blocks_max = (uint32_t)random_between(r, 1, min_u64(blocks, 5)),
		.writes = 90,
		.flushes = (unsigned)random_below(r, 6),
		.fua_percent = (unsigned)random_below(r, 20),
		.hot_blocks = (uint32_t)random_between(r, 1, min_u64(blocks, 4)),
		.hot_percent = (unsigned)random_between(r, 40, 90),
		.gap_ns = random_percent(r, 20) ? 0 : random_log(r, 1000, 100 * NS_PER_MS),
		.burst = (unsigned)random_log(r, 1, 16),
	};
	p->hot_first = (uint32_t)random_below(r, blocks - p->hot_blocks + 1);
	if (random_percent(r, 50))
		return;
	p->strict = (unsigned)random_between(r, 1, 6);
	p->lax = (unsigned)random_between(r, 20, 150);
	p->flushes = p->fua_percent = 0;
	p->gap_ns = 0;
}

static void choose_profile(struct load *l)
{
	struct load_profile *p = &l->profile;
	struct random *r = &l->random;
	uint32_t blocks = l->model->blocks;

	*p = (struct load_profile){0};
	choose_kinds(p, r);
	p->depth = (unsigned)random_log(r, 1, LOAD_SLOTS);
	p->blocks_max = (uint32_t)random_log(r, 1,
					     random_percent(r, 10) ? blocks
					     : blocks < 40	   ? blocks
								   : 40);
	p->hot_percent = random_percent(r, 25) ? 95 : 50;
	p->hot_blocks =
		(uint32_t)random_log(r, 1, p->hot_percent == 95 ? min_u64(blocks, 8) : blocks);
	p->hot_first = (uint32_t)random_below(r, blocks - p->hot_blocks + 1);
	p->gap_ns = random_percent(r, 30) ? 0 : random_log(r, 1000, 4 * NS_PER_S);
	p->burst = (unsigned)random_log(r, 1, 64);
}

void load_begin(struct load *l, struct engine *e, unsigned requests)
{
	l->engine = e;
	l->shutting = false;
	l->left = requests;
	l->in_burst = 0;
	l->turn = 0;
	l->mismatches = 0;
	l->next_ns = l->trace->now_ns;
	if (l->cramped && random_percent(&l->random, 75))
		choose_cramped(&l->profile, &l->random, l->model->blocks);
	else
		choose_profile(l);
}

void load_go_on(struct load *l, struct engine *e)
{
	l->engine = e;
	l->held = false;
}

void load_abandon(struct load *l)
{
	l->engine = NULL;
	l->held = false;
	l->left = 0;
	l->under_way = 0;
	for (unsigned i = 0; i < LOAD_SLOTS; i++)
		l->slot[i].busy = false;
}

/* ---- Outcomes ---- */

static bool has_stopped(const struct load *l)
{
	struct intact_status status;

	engine_status(l->engine, &status);
	return status.failure != 0;
}

static bool writes(const struct load_slot *slot)
{
	return slot->req.op != INTACT_READ && slot->req.op != INTACT_FLUSH;
}

static const uint8_t *tag_of(const struct load_slot *slot, uint32_t i)
{
	return slot->req.tags ? slot->tags + (size_t)i * slot->load->model->tag_bytes : NULL;
}

static const uint8_t *data_of(const struct load_slot *slot, uint32_t i)
{
	return slot->buffer + (size_t)i * slot->load->model->block_sectors * SECTOR_BYTES;
}

/* Parts of the request may have met an error before they came that far. */
static void check_first(struct load *l, const struct load_slot *slot, uint64_t bad)
{
	if (l->world.errors(l->world.opaque) > slot->errors)
		return;
	for (uint32_t i = 0; i < bad - slot->first; i++)
		if (model_must_mismatch(l->model, slot->first + i, &slot->expected[i]))
			trace_fail(l->trace, "block %u is bad, but first_bad is block %llu",
				   slot->first + i, (unsigned long long)bad);
}

static void check_mismatch(struct load *l, struct load_slot *slot)
{
	struct model *m = l->model;
	uint64_t bad = slot->req.first_bad / m->block_sectors;

	if (slot->req.first_bad % m->block_sectors != 0 || bad < slot->first ||
	    bad >= slot->first + slot->count) {
		trace_fail(l->trace, "a mismatch is reported at sector %llu, out of the request",
			   (unsigned long long)slot->req.first_bad);
		return;
	}
	check_first(l, slot, bad);
	if (!model_may_mismatch(m, (uint32_t)bad, &slot->expected[bad - slot->first]))
		trace_fail(l->trace, "request %llu: block %llu fails verification",
			   (unsigned long long)slot->number, (unsigned long long)bad);
}

static void read_succeeded(struct load *l, struct load_slot *slot)
{
	for (uint32_t i = 0; i < slot->count; i++)
		model_check_read(l->model, slot->first + i, &slot->expected[i], data_of(slot, i),
				 tag_of(slot, i));
}

static void succeeded(struct load *l, struct load_slot *slot)
{
	bool durable = slot->req.flags & INTACT_FUA;

	if (slot->req.op == INTACT_READ)
		read_succeeded(l, slot);
	else if (slot->req.op == INTACT_FLUSH)
		model_flush_done(l->model, slot->flush);
	else
		model_write_done(l->model, slot->first, slot->count, slot->id, durable);
}

static bool error_is_due(const struct load *l, const struct load_slot *slot)
{
	if (slot->req.result == -ESHUTDOWN)
		return l->shutting;
	if (slot->req.result != -EIO)
		return false;
	return l->world.errors(l->world.opaque) > slot->errors || has_stopped(l);
}

static void failed(struct load *l, struct load_slot *slot)
{
	if (slot->req.result == -EILSEQ && slot->req.op == INTACT_READ) {
		l->mismatches++;
		check_mismatch(l, slot);
		return;
	}
	if (!error_is_due(l, slot))
		trace_fail(l->trace, "request %llu (op %d) fails with %d for no reason",
			   (unsigned long long)slot->number, slot->req.op, slot->req.result);
	if (writes(slot))
		model_write_failed(l->model, slot->first, slot->count, slot->id,
				   l->world.write_damage(l->world.opaque));
}

static void refused(struct load *l, struct load_slot *slot)
{
	if (slot->req.result == slot->refusal || error_is_due(l, slot))
		return;
	trace_fail(l->trace, "request %llu (op %d) gives %d, not %d",
		   (unsigned long long)slot->number, slot->req.op, slot->req.result, slot->refusal);
}

static void check_unchanged(struct load *l, const struct load_slot *slot)
{
	const struct intact_request *a = &slot->req, *b = &slot->given;

	if (a->op != b->op || a->flags != b->flags || a->first_sector != b->first_sector ||
	    a->sectors != b->sectors || a->buffer != b->buffer || a->tags != b->tags)
		trace_fail(l->trace, "request %llu was changed", (unsigned long long)slot->number);
}

static void request_done(struct intact_request *req)
{
	struct load_slot *slot = req->opaque;
	struct load *l = slot->load;

	if (!l->engine || !slot->busy) {
		trace_fail(l->trace, "request %llu is done twice, or after the end",
			   (unsigned long long)slot->number);
		return;
	}
	if (l->submitting)
		trace_fail(l->trace, "request %llu is done inside a submission",
			   (unsigned long long)slot->number);
	l->model->errors = l->world.errors(l->world.opaque);
	trace_event(l->trace, "request done", slot->number, (uint64_t)(int64_t)req->result);
	slot->busy = false;
	l->under_way--;
	l->finished++;
	check_unchanged(l, slot);
	if (slot->refusal)
		refused(l, slot);
	else if (req->result == 0)
		succeeded(l, slot);
	else
		failed(l, slot);
}

/* ---- Submissions ---- */

static struct load_slot *free_slot(struct load *l)
{
	for (unsigned i = 0; i < LOAD_SLOTS; i++)
		if (!l->slot[i].busy) {
			if (!l->slot[i].load)
				slot_init(l, &l->slot[i]);
			return &l->slot[i];
		}
	return NULL;
}

static void submit(struct load *l, struct load_slot *slot)
{
	static const char *const names[INTACT_OPS] = {"REQUEST read", "REQUEST write",
						      "REQUEST flush", "REQUEST discard",
						      "REQUEST zeroes"};

	slot->busy = true;
	slot->number = ++l->numbers;
	slot->errors = l->world.errors(l->world.opaque);
	slot->req.done = request_done;
	slot->req.opaque = slot;
	slot->req.result = 12345;
	slot->given = slot->req;
	l->under_way++;
	trace_event(l->trace, "number, id", slot->number, slot->id);
	trace_event(l->trace, names[slot->req.op], slot->req.first_sector, slot->req.sectors);
	l->submitting = true;
	engine_submit(l->engine, &slot->req);
	l->submitting = false;
}

static void slot_fill(struct load *l, struct load_slot *slot, uint32_t key)
{
	const struct model *m = l->model;
	uint64_t first = (uint64_t)slot->first * m->block_sectors;

	for (uint64_t i = 0; i < (uint64_t)slot->count * m->block_sectors; i++)
		content_fill(first + i, key, slot->buffer + i * SECTOR_BYTES);
	for (uint32_t i = 0; i < slot->count; i++)
		content_tag(first + (uint64_t)i * m->block_sectors, key,
			    slot->tags + (size_t)i * m->tag_bytes, m->tag_bytes);
}

static void choose_place(struct load *l, struct load_slot *slot)
{
	const struct load_profile *p = &l->profile;
	uint32_t blocks = l->model->blocks;

	slot->count = (uint32_t)random_between(&l->random, 1, p->blocks_max);
	if (random_percent(&l->random, p->hot_percent))
		slot->first = p->hot_first + (uint32_t)random_below(&l->random, p->hot_blocks);
	else
		slot->first = (uint32_t)random_below(&l->random, blocks);
	slot->count = (uint32_t)min_u64(slot->count, blocks - slot->first);
}

static enum intact_op choose_op(struct load *l)
{
	const struct load_profile *p = &l->profile;
	unsigned n = (unsigned)random_below(&l->random, 100);

	if (n < p->flushes)
		return INTACT_FLUSH;
	n -= p->flushes;
	if (l->may_discard && n < p->discards)
		return INTACT_DISCARD;
	n -= l->may_discard ? p->discards : 0;
	if (n < p->zeroes)
		return INTACT_WRITE_ZEROES;
	n -= p->zeroes;
	return n < p->writes ? INTACT_WRITE : INTACT_READ;
}

static void slot_place(struct load *l, struct load_slot *slot, enum intact_op op)
{
	slot->req = (struct intact_request){
		.op = op,
		.first_sector = (uint64_t)slot->first * l->model->block_sectors,
		.sectors = (uint64_t)slot->count * l->model->block_sectors,
		.buffer = op == INTACT_READ || op == INTACT_WRITE ? slot->buffer : NULL,
		.tags = l->has_hash || op == INTACT_DISCARD ? NULL : slot->tags,
	};
	slot->refusal = 0;
	slot->id = 0;
}

static void submit_flush(struct load *l, struct load_slot *slot)
{
	slot->req = (struct intact_request){.op = INTACT_FLUSH};
	slot->refusal = 0;
	slot->id = 0;
	slot->flush = model_flush(l->model);
	submit(l, slot);
}

static void submit_read(struct load *l, struct load_slot *slot)
{
	slot_place(l, slot, INTACT_READ);
	for (uint32_t i = 0; i < slot->count; i++)
		model_expect(l->model, slot->first + i, &slot->expected[i]);
	memset(slot->buffer, 0xaa, slot->req.sectors * SECTOR_BYTES);
	submit(l, slot);
}

static enum write_kind kind_of(enum intact_op op)
{
	switch (op) {
	case INTACT_WRITE_ZEROES:
		return WRITE_ZEROES;
	case INTACT_DISCARD:
		return WRITE_DISCARD;
	default:
		return WRITE_CONTENT;
	}
}

static bool is_strict(const struct load *l)
{
	const struct load_profile *p = &l->profile;

	return p->strict > 0 && l->turn % (p->strict + p->lax) < p->strict;
}

static void submit_write(struct load *l, struct load_slot *slot, enum intact_op op)
{
	bool fua = random_percent(&l->random, l->profile.fua_percent) || is_strict(l);

	l->model->errors = l->world.errors(l->world.opaque);
	slot_place(l, slot, op);
	slot->req.flags = fua ? INTACT_FUA : 0;
	slot->id = model_write(l->model, slot->first, slot->count, kind_of(op));
	if (op != INTACT_DISCARD)
		slot_fill(l, slot, op == INTACT_WRITE ? slot->id : KEY_ZEROES);
	submit(l, slot);
}

/* ---- Requests that make no sense ---- */

enum nonsense {
	PAST_THE_END,
	FAR_PAST_THE_END,
	NOT_WHOLE_BLOCKS,
	NOTHING,
	FLUSH_OF_SOMETHING,
	TAGS
};
#define NONSENSES 6

static void make_nonsense(struct load *l, struct load_slot *slot, enum nonsense which)
{
	uint64_t end = (uint64_t)l->model->blocks * l->model->block_sectors;

	slot->refusal = -EINVAL;
	switch (which) {
	case PAST_THE_END:
		slot->req.first_sector = end - slot->req.sectors + l->model->block_sectors;
		break;
	case FAR_PAST_THE_END:
		slot->req.first_sector = -(uint64_t)l->model->block_sectors;
		break;
	case NOT_WHOLE_BLOCKS:
		if (l->model->block_sectors > 1)
			slot->req.sectors--;
		else
			slot->req.sectors = 0;
		break;
	case NOTHING:
		slot->req.sectors = 0;
		break;
	case FLUSH_OF_SOMETHING:
		slot->req.op = INTACT_FLUSH;
		break;
	case TAGS:
		slot->req.tags = l->has_hash ? slot->tags : NULL;
		break;
	}
}

static void submit_nonsense(struct load *l, struct load_slot *slot)
{
	bool discard = !l->may_discard && random_percent(&l->random, 30);

	slot_place(l, slot, discard ? INTACT_DISCARD : INTACT_WRITE);
	if (discard)
		slot->refusal = -EOPNOTSUPP;
	else
		make_nonsense(l, slot, (enum nonsense)random_below(&l->random, NONSENSES));
	submit(l, slot);
}

void load_expect_refusal(struct load *l, enum intact_op op, int refusal)
{
	struct load_slot *slot = free_slot(l);

	if (!slot)
		return;
	choose_place(l, slot);
	slot_place(l, slot, op);
	slot->refusal = refusal;
	submit(l, slot);
}

/* ---- The stream of requests ---- */

static void submit_any(struct load *l, struct load_slot *slot)
{
	enum intact_op op = choose_op(l);

	choose_place(l, slot);
	if (random_percent(&l->random, l->profile.nonsense))
		submit_nonsense(l, slot);
	else if (op == INTACT_FLUSH)
		submit_flush(l, slot);
	else if (op == INTACT_READ)
		submit_read(l, slot);
	else
		submit_write(l, slot, op);
}

uint64_t load_next_ns(const struct load *l)
{
	unsigned depth = is_strict(l) ? 1 : l->profile.depth;

	if (l->held || l->left == 0 || l->under_way >= depth)
		return NEVER_NS;
	return l->next_ns;
}

void load_run(struct load *l)
{
	struct load_slot *slot = free_slot(l);

	assert(slot);
	if (l->in_burst == 0)
		l->in_burst = (unsigned)random_between(&l->random, 1, l->profile.burst);
	submit_any(l, slot);
	l->left--;
	l->turn++;
	l->in_burst--;
	if (l->in_burst == 0 && l->profile.gap_ns > 0)
		l->next_ns = l->trace->now_ns + random_below(&l->random, l->profile.gap_ns);
}

struct load_slot *load_observe(struct load *l, uint32_t first, uint32_t count)
{
	struct load_slot *slot = free_slot(l);

	assert(slot);
	slot->first = first;
	slot->count = count;
	submit_read(l, slot);
	return slot;
}
