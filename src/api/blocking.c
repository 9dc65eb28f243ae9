/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls that wait: a request on the caller's stack. Volumes know whole blocks; what does not begin
 * and end with one is cut into at most three pieces here, and the blocks at its ends are read first.
 * While they are, and until they are written, no other write of these calls is under way: it might
 * change what was read.
 */
#include "api/api.h"

#include "base/num.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define BLOCK_BYTES_MAX 4096u

struct blocking {
	struct intact_request req;
	struct intact *volume;
	struct waiter waiter;
};

static void blocking_done(struct intact_request *req)
{
	struct blocking *b = (struct blocking *)req;

	loop_tell(b->volume, &b->waiter);
}
static_assert(offsetof(struct blocking, req) == 0, "one is the other");

static int submit_and_wait(struct intact *v, struct blocking *b)
{
	assert(v->own_loop || !pthread_equal(v->thread, pthread_self()));
	b->req.done = blocking_done;
	b->volume = v;
	loop_submit_and_wait(v, &b->req, &b->waiter);
	return b->req.result;
}

/* A range of whole blocks, in bytes. */
static int transfer(struct intact *v, enum intact_op op, uint8_t *buffer, uint64_t bytes,
		    uint64_t offset, unsigned flags)
{
	struct blocking b = {
		.req = {.op = op,
			.flags = flags,
			.first_sector = offset / SECTOR_BYTES,
			.sectors = bytes / SECTOR_BYTES,
			.buffer = buffer},
	};

	return bytes == 0 && op != INTACT_FLUSH ? 0 : submit_and_wait(v, &b);
}

/* ---- Ranges that need not be whole blocks ---- */

struct range_bytes {
	uint64_t offset;
	uint64_t bytes;
};

/* A part of one block, whole blocks, and a part of one block; each may be empty. */
struct pieces {
	struct range_bytes head, middle, tail;
};

static bool within(const struct intact *v, uint64_t bytes, uint64_t offset)
{
	uint64_t end = intact_sectors(v) * SECTOR_BYTES;

	return offset <= end && bytes <= end - offset;
}

static bool is_whole_blocks(const struct intact *v, uint64_t bytes, uint64_t offset)
{
	return ((bytes | offset) & (v->block_bytes - 1)) == 0;
}

static struct pieces cut(const struct intact *v, uint64_t bytes, uint64_t offset)
{
	uint64_t end = offset + bytes;
	uint64_t first = round_up_pow2(offset, v->block_bytes);
	uint64_t last = round_down_pow2(end, v->block_bytes);

	if (first > last) /* within one block */
		return (struct pieces){.head = {offset, bytes}};
	return (struct pieces){
		.head = {offset, first - offset},
		.middle = {first, last - first},
		.tail = {last, end - last},
	};
}

static int read_part(struct intact *v, struct range_bytes part, uint8_t *to)
{
	uint8_t block[BLOCK_BYTES_MAX];
	uint64_t start = round_down_pow2(part.offset, v->block_bytes);
	int err;

	if (part.bytes == 0)
		return 0;
	err = transfer(v, INTACT_READ, block, v->block_bytes, start, 0);
	if (!err)
		memcpy(to, block + (part.offset - start), part.bytes);
	return err;
}

/* from: NULL for zeros. */
static int write_part(struct intact *v, struct range_bytes part, const uint8_t *from,
		      unsigned flags)
{
	uint8_t block[BLOCK_BYTES_MAX];
	uint64_t start = round_down_pow2(part.offset, v->block_bytes);
	int err;

	if (part.bytes == 0)
		return 0;
	err = transfer(v, INTACT_READ, block, v->block_bytes, start, 0);
	if (err)
		return err;
	if (from)
		memcpy(block + (part.offset - start), from, part.bytes);
	else
		memset(block + (part.offset - start), 0, part.bytes);
	return transfer(v, INTACT_WRITE, block, v->block_bytes, start, flags);
}

int intact_pread(struct intact *v, void *buffer, uint64_t bytes, uint64_t offset)
{
	struct pieces p;
	uint8_t *to = buffer;
	int err;

	if (!within(v, bytes, offset))
		return -EINVAL;
	if (is_whole_blocks(v, bytes, offset))
		return transfer(v, INTACT_READ, to, bytes, offset, 0);
	p = cut(v, bytes, offset);
	err = read_part(v, p.head, to);
	to += p.head.bytes;
	err = err ?: transfer(v, INTACT_READ, to, p.middle.bytes, p.middle.offset, 0);
	to += p.middle.bytes;
	return err ?: read_part(v, p.tail, to);
}

/* from: NULL for zeros. */
static int write_pieces(struct intact *v, const struct pieces *p, const uint8_t *from,
			unsigned flags)
{
	enum intact_op op = from ? INTACT_WRITE : INTACT_WRITE_ZEROES;
	int err = write_part(v, p->head, from, flags);

	from = from ? from + p->head.bytes : NULL;
	err = err ?: transfer(v, op, (uint8_t *)from, p->middle.bytes, p->middle.offset, flags);
	from = from ? from + p->middle.bytes : NULL;
	return err ?: write_part(v, p->tail, from, flags);
}

static int write_range(struct intact *v, const uint8_t *from, uint64_t bytes, uint64_t offset,
		       unsigned flags)
{
	bool whole = is_whole_blocks(v, bytes, offset);
	struct pieces p;
	int err;

	if (!within(v, bytes, offset))
		return -EINVAL;
	p = cut(v, bytes, offset);
	if (whole)
		pthread_rwlock_rdlock(&v->partial);
	else
		pthread_rwlock_wrlock(&v->partial);
	err = write_pieces(v, &p, from, flags);
	pthread_rwlock_unlock(&v->partial);
	return err;
}

int intact_pwrite(struct intact *v, const void *buffer, uint64_t bytes, uint64_t offset,
		  unsigned flags)
{
	return write_range(v, buffer, bytes, offset, flags);
}

int intact_write_zeroes(struct intact *v, uint64_t bytes, uint64_t offset, unsigned flags)
{
	return write_range(v, NULL, bytes, offset, flags);
}

int intact_discard(struct intact *v, uint64_t bytes, uint64_t offset, unsigned flags)
{
	struct pieces p;
	int err;

	if (!within(v, bytes, offset))
		return -EINVAL;
	p = cut(v, bytes, offset);
	pthread_rwlock_rdlock(&v->partial);
	err = transfer(v, INTACT_DISCARD, NULL, p.middle.bytes, p.middle.offset, flags);
	pthread_rwlock_unlock(&v->partial);
	return err;
}

int intact_flush(struct intact *v)
{
	return transfer(v, INTACT_FLUSH, NULL, 0, 0, 0);
}

/* ---- Tags from above ---- */

int intact_read_tagged(struct intact *v, uint64_t first_sector, uint64_t sectors, void *buffer,
		       void *tags)
{
	struct blocking b = {
		.req = {.op = INTACT_READ,
			.first_sector = first_sector,
			.sectors = sectors,
			.buffer = buffer,
			.tags = tags},
	};

	return submit_and_wait(v, &b);
}

int intact_write_tagged(struct intact *v, uint64_t first_sector, uint64_t sectors,
			const void *buffer, const void *tags, unsigned flags)
{
	struct blocking b = {
		.req = {.op = INTACT_WRITE,
			.flags = flags,
			.first_sector = first_sector,
			.sectors = sectors,
			.buffer = (uint8_t *)buffer,
			.tags = (uint8_t *)tags},
	};

	return submit_and_wait(v, &b);
}
