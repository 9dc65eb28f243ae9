/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tag cache: pieces of TAG_BLOCK_BYTES of the tag area, as the device has them or will have
 * them.
 *
 * - A block that is dirty was changed since it was read or written; one that is being written is
 * not changed until that is
 *   over, so that what is on its way is what the disk gets.
 * - Spans for update change their tags and let go inside `ready`: nothing happens in between.
 * - A block without pins that is clean stands in the LRU list, and may be given to other tags.
 */
#include "engine/internal.h"

#include <stdlib.h>

static uint64_t area_byte(const struct engine *e)
{
	const struct geometry *g = &e->volume.geometry;

	return (g->start_sector + g->initial_sectors) * SECTOR_BYTES;
}

static bool in_lru(const struct tag_block *b)
{
	return b->pins == 0 && !b->dirty && !b->writing && b->state != TAG_READING;
}

static void lru_remove(struct tags *t, struct tag_block *b)
{
	if (b->previous)
		b->previous->next = b->next;
	else
		t->lru_first = b->next;
	if (b->next)
		b->next->previous = b->previous;
	else
		t->lru_last = b->previous;
	b->next = b->previous = NULL;
}

static void lru_append(struct tags *t, struct tag_block *b)
{
	b->next = NULL;
	b->previous = t->lru_last;
	if (t->lru_last)
		t->lru_last->next = b;
	else
		t->lru_first = b;
	t->lru_last = b;
}

/* ---- Finding ---- */

static struct tag_block **bucket(struct tags *t, uint64_t number)
{
	return &t->hash[(number * 0x9e3779b97f4a7c15ull >> 32) & t->hash_mask];
}

static struct tag_block *find(struct tags *t, uint64_t number)
{
	struct tag_block *b = *bucket(t, number);

	while (b && b->number != number)
		b = b->hash_next;
	return b;
}

static void hash_remove(struct tags *t, struct tag_block *b)
{
	struct tag_block **at = bucket(t, b->number);

	while (*at != b)
		at = &(*at)->hash_next;
	*at = b->hash_next;
}

static void block_read(struct io *io)
{
	struct tag_block *b = container_of(io, struct tag_block, io);
	struct engine *e = b->engine;

	assert(b->state == TAG_READING);
	b->state = TAG_VALID;
	e->tags.changed = true;
	e->progress = true;
	if (io->result != TAG_BLOCK_BYTES)
		engine_fail(e, -EIO, "cannot read tags at sector %llu: %s",
			    (unsigned long long)(io->offset / SECTOR_BYTES),
			    io->result < 0 ? strerror((int)-io->result) : "end of device");
	if (in_lru(b))
		lru_append(&e->tags, b);
}

static void prepare_io(struct engine *e, struct tag_block *b, enum io_op op,
		       void (*done)(struct io *io))
{
	b->iov = (struct iovec){b->bytes, TAG_BLOCK_BYTES};
	b->io = (struct io){
		.file = e->world.device,
		.op = op,
		.offset = area_byte(e) + b->number * TAG_BLOCK_BYTES,
		.iov = &b->iov,
		.iov_count = 1,
		.done = done,
	};
}

/* A block for these tags, being read; NULL when all are in use. */
static struct tag_block *claim(struct engine *e, uint64_t number)
{
	struct tags *t = &e->tags;
	struct tag_block *b = t->lru_first;

	if (!b)
		return NULL;
	lru_remove(t, b);
	if (b->state == TAG_VALID)
		hash_remove(t, b);
	b->number = number;
	b->hash_next = *bucket(t, number);
	*bucket(t, number) = b;
	b->state = TAG_READING;
	prepare_io(e, b, IO_READ, block_read);
	io_submit(e->world.io, &b->io);
	return b;
}

/* ---- Spans ---- */

static void unpin(struct engine *e, struct tag_span *span)
{
	for (uint32_t i = 0; i < span->count; i++) {
		struct tag_block *b = span->blocks[i];

		assert(b->pins > 0);
		b->pins--;
		if (in_lru(b))
			lru_append(&e->tags, b);
	}
	span->count = 0;
}

static void pin(struct engine *e, struct tag_block *b)
{
	if (in_lru(b))
		lru_remove(&e->tags, b);
	b->pins++;
}

/* All blocks or none. */
static bool pin_all(struct engine *e, struct tag_span *span)
{
	uint64_t from = (span->first_byte - area_byte(e)) / TAG_BLOCK_BYTES;
	uint64_t to = (span->first_byte + span->bytes - 1 - area_byte(e)) / TAG_BLOCK_BYTES;

	assert(to - from < TAG_SPAN_MAX);
	for (uint64_t number = from; number <= to; number++) {
		struct tag_block *b = find(&e->tags, number) ?: claim(e, number);

		if (!b) {
			unpin(e, span);
			return false;
		}
		pin(e, b);
		span->blocks[span->count++] = b;
	}
	return true;
}

static bool is_ready(const struct tag_span *span)
{
	for (uint32_t i = 0; i < span->count; i++) {
		if (span->blocks[i]->state != TAG_VALID)
			return false;
		if (span->for_update && span->blocks[i]->writing)
			return false;
	}
	return span->count > 0;
}

void tags_acquire(struct engine *e, struct tag_span *span, uint64_t first_sector, uint32_t blocks,
		  bool for_update, void (*ready)(struct tag_span *span))
{
	*span = (struct tag_span){
		.first_byte = geometry_tag_byte(&e->volume.geometry, first_sector),
		.bytes = blocks * e->tag_bytes,
		.for_update = for_update,
		.ready = ready,
	};
	if (pin_all(e, span) && is_ready(span)) {
		span->ready(span);
		return;
	}
	list_push(&e->tags.waiting, span);
}

void tags_release(struct engine *e, struct tag_span *span)
{
	unpin(e, span);
	e->tags.changed = true;
}

/* Calls `piece` for each stretch of the bytes [first, first + bytes) of the span. */
static void copy_out(const struct tag_span *span, uint64_t device_byte, uint64_t area, uint8_t *to,
		     uint32_t bytes)
{
	uint64_t first_number = (span->first_byte - area) / TAG_BLOCK_BYTES;

	while (bytes > 0) {
		uint64_t at = device_byte - area;
		uint32_t within = (uint32_t)(at % TAG_BLOCK_BYTES);
		uint32_t now = (uint32_t)min_u64(bytes, TAG_BLOCK_BYTES - within);

		memcpy(to, span->blocks[at / TAG_BLOCK_BYTES - first_number]->bytes + within, now);
		device_byte += now;
		to += now;
		bytes -= now;
	}
}

void tags_get(const struct tag_span *span, const struct engine *e, uint32_t first, uint32_t blocks,
	      uint8_t *to)
{
	copy_out(span, span->first_byte + (uint64_t)first * e->tag_bytes, area_byte(e), to,
		 blocks * e->tag_bytes);
}

static void mark_dirty(struct tags *t, struct tag_block *b)
{
	assert(!b->writing);
	if (b->dirty)
		return;
	b->dirty = true;
	b->stamp = ++t->stamp;
	b->dirty_next = NULL;
	if (t->dirty_last)
		t->dirty_last->dirty_next = b;
	else
		t->dirty_first = b;
	t->dirty_last = b;
	t->dirty_count++;
	t->changed = true;
}

static void put_bytes(const struct tag_span *span, struct engine *e, uint64_t device_byte,
		      const uint8_t *from, uint32_t bytes)
{
	uint64_t area = area_byte(e);
	uint64_t first_number = (span->first_byte - area) / TAG_BLOCK_BYTES;

	while (bytes > 0) {
		uint64_t at = device_byte - area;
		struct tag_block *b = span->blocks[at / TAG_BLOCK_BYTES - first_number];
		uint32_t within = (uint32_t)(at % TAG_BLOCK_BYTES);
		uint32_t now = (uint32_t)min_u64(bytes, TAG_BLOCK_BYTES - within);

		mark_dirty(&e->tags, b);
		memcpy(b->bytes + within, from, now);
		device_byte += now;
		from += now;
		bytes -= now;
	}
}

void tags_put(const struct tag_span *span, struct engine *e, uint32_t first, uint32_t blocks,
	      const uint8_t *from, size_t stride)
{
	assert(span->for_update);
	assert(!e->read_only);
	for (uint32_t i = 0; i < blocks; i++)
		put_bytes(span, e, span->first_byte + (uint64_t)(first + i) * e->tag_bytes,
			  from + i * stride, e->tag_bytes);
}

void tags_forget(struct engine *e, uint64_t first_sector, uint32_t blocks)
{
	struct tags *t = &e->tags;
	uint64_t byte = geometry_tag_byte(&e->volume.geometry, first_sector) - area_byte(e);
	uint64_t last = (byte + (uint64_t)blocks * e->tag_bytes - 1) / TAG_BLOCK_BYTES;

	for (uint64_t number = byte / TAG_BLOCK_BYTES; number <= last; number++) {
		struct tag_block *b = find(t, number);

		if (!b || !in_lru(b))
			continue;
		hash_remove(t, b);
		b->state = TAG_FREE;
	}
}

/* ---- Writing ---- */

static void block_written(struct io *io)
{
	struct tag_block *b = container_of(io, struct tag_block, io);
	struct engine *e = b->engine;

	assert(b->writing);
	b->writing = false;
	e->tags.writing_count--;
	e->tags.changed = true;
	e->progress = true;
	if (io->result != TAG_BLOCK_BYTES)
		engine_fail(e, -EIO, "cannot write tags at sector %llu: %s",
			    (unsigned long long)(io->offset / SECTOR_BYTES),
			    strerror(io->result < 0 ? (int)-io->result : EIO));
	if (in_lru(b))
		lru_append(&e->tags, b);
}

static void write_oldest(struct engine *e)
{
	struct tags *t = &e->tags;
	struct tag_block *b = t->dirty_first;

	assert(b->state == TAG_VALID);
	assert(!b->writing);
	t->dirty_first = b->dirty_next;
	if (!t->dirty_first)
		t->dirty_last = NULL;
	t->dirty_count--;
	t->writing_count++;
	b->dirty = false;
	b->writing = true;
	prepare_io(e, b, IO_WRITE, block_written);
	io_submit(e->world.io, &b->io);
	e->progress = true;
}

/* The oldest change that is not on the device yet. */
static uint64_t oldest_stamp(const struct tags *t)
{
	uint64_t oldest = t->dirty_first ? t->dirty_first->stamp : UINT64_MAX;

	for (uint32_t i = 0; t->writing_count > 0 && i < t->count; i++) {
		if (t->blocks[i].writing)
			oldest = min_u64(oldest, t->blocks[i].stamp);
	}
	return oldest;
}

void tags_write(struct engine *e, struct tags_wait *wait, void (*written)(struct tags_wait *wait))
{
	assert(!wait->active);
	wait->stamp = e->tags.stamp;
	wait->written = written;
	wait->active = true;
	wait->next = e->tags.waits;
	e->tags.waits = wait;
	e->tags.changed = true;
}

static void run_waits(struct engine *e)
{
	struct tags_wait **at = &e->tags.waits;
	struct tags_wait *over = NULL;
	uint64_t oldest;

	if (!*at)
		return;
	oldest = oldest_stamp(&e->tags);
	while (*at) {
		struct tags_wait *wait = *at;

		if (wait->stamp >= oldest) {
			at = &wait->next;
			continue;
		}
		*at = wait->next;
		wait->next = over;
		over = wait;
	}
	while (over) {
		struct tags_wait *wait = over;

		over = wait->next;
		wait->active = false;
		e->progress = true;
		wait->written(wait);
	}
}

static void run_writes(struct engine *e)
{
	struct tags *t = &e->tags;
	bool wanted = t->waits || (t->waiting.first && !t->lru_first);

	while (t->dirty_first && t->writing_count < TAG_WRITES_MAX && !e->failed &&
	       (wanted || t->dirty_count > t->count / 2))
		write_oldest(e);
}

static void run_spans(struct engine *e)
{
	struct tag_span *span = list_take(&e->tags.waiting);

	while (span) {
		struct tag_span *next = span->next;

		if ((span->count > 0 || pin_all(e, span)) && is_ready(span)) {
			e->progress = true;
			span->ready(span);
		} else {
			list_push(&e->tags.waiting, span);
		}
		span = next;
	}
}

void tags_run(struct engine *e)
{
	if (!e->tags.changed)
		return;
	e->tags.changed = false;
	run_spans(e);
	run_writes(e);
	run_waits(e);
}

/* The volume has stopped: who waits is called, and sees e->failed before it touches anything. */
void tags_fail(struct engine *e)
{
	struct tags_wait *wait = e->tags.waits;
	struct tag_span *span = list_take(&e->tags.waiting);

	e->tags.waits = NULL;
	while (span) {
		struct tag_span *next = span->next;

		e->progress = true;
		span->ready(span);
		span = next;
	}
	while (wait) {
		struct tags_wait *next = wait->next;

		wait->active = false;
		e->progress = true;
		wait->written(wait);
		wait = next;
	}
}

/* ---- Opening and closing ---- */

static uint32_t blocks_wanted(const struct engine *e)
{
	uint64_t bytes = (e->volume.geometry.provided_sectors / e->spb) * e->tag_bytes;
	/* Every slice and extent can hold a span at the same time. */
	uint64_t least = (uint64_t)(SLICES_MAX + EXTENTS_MAX + 2) * TAG_SPAN_MAX;

	return (uint32_t)min_u64(max_u64(TAG_BLOCKS, least), bytes / TAG_BLOCK_BYTES + 2 + least);
}

int tags_open(struct engine *e)
{
	struct tags *t = &e->tags;
	uint32_t buckets;

	t->count = blocks_wanted(e);
	buckets = 2u << log2_floor(t->count);
	t->hash_mask = buckets - 1;
	t->blocks = calloc(t->count, sizeof(*t->blocks));
	t->hash = calloc(buckets, sizeof(struct tag_block *));
	t->memory = aligned_alloc(4096, (size_t)t->count * TAG_BLOCK_BYTES);
	if (!t->blocks || !t->hash || !t->memory)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->count; i++) {
		t->blocks[i].bytes = t->memory + (size_t)i * TAG_BLOCK_BYTES;
		t->blocks[i].engine = e;
		lru_append(t, &t->blocks[i]);
	}
	return 0;
}

void tags_close(struct engine *e)
{
	free(e->tags.blocks);
	free(e->tags.hash);
	free(e->tags.memory);
}
