/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Some blocks that lie together: read with their tags in two reads, then judged one by one.
 *
 *	chunk_start -> data_arrived, tags_arrived -> (owner) -> chunk_digest: mend_data, mend_tags
 *	-> blocks_digested -> (owner) -> chunk_judge: judge_block … -> overlay_blocks
 *
 * Blocks of 2048 bytes and more are read with room before each, so that a digest that wants its
 * message in one piece need not copy it there.
 */
#include "base/num.h"
#include "base/secret.h"
#include "offline/view.h"

#include <assert.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#define HEADROOM_STRIDE		 64u
#define HEADROOM_BLOCK_BYTES_MIN 2048u

static_assert(HEADROOM_STRIDE >= DIGEST_HEADROOM_BYTES, "a prefix fits before a block");

static size_t block_bytes_of(const struct intact_view *v)
{
	return (size_t)v->volume.geometry.sectors_per_block * SECTOR_BYTES;
}

static size_t headroom_of(const struct intact_view *v)
{
	return block_bytes_of(v) >= HEADROOM_BLOCK_BYTES_MIN ? HEADROOM_STRIDE : 0;
}

static struct io_file *tag_file(const struct intact_view *v)
{
	return v->volume.geometry.kind == GEOMETRY_INLINE ? v->inline_tags : v->device;
}

/* ---- Judges ---- */

static void wake_io(void *opaque)
{
	io_wake(opaque);
}

static int open_waking_hash(const struct intact_view *v, struct io_context *io, struct digest **ret)
{
	struct volume volume = v->volume;

	volume.wake = io ? wake_io : NULL;
	volume.wake_opaque = io;
	return volume_open_hash(&volume, true, ret);
}

int judge_open(const struct intact_view *v, bool verify, struct io_context *io, struct judge *ret)
{
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	ret->view = v;
	unverified_init(&ret->unverified, v);
	if (verify && v->volume.hash)
		r = open_waking_hash(v, io, &ret->digest);
	if (r == 0 && v->overlay_count > 0)
		r = section_reader_open(v, &ret->sections);
	if (r < 0)
		judge_close(ret);
	return r;
}

void judge_close(struct judge *j)
{
	digest_close(j->digest);
	section_reader_close(&j->sections);
	memset(j, 0, sizeof(*j));
}

/* ---- Chunks ---- */

static size_t stride_of(const struct intact_view *v)
{
	return block_bytes_of(v) + headroom_of(v);
}

static size_t tag_stride_of(const struct intact_view *v)
{
	return v->tuple_bytes ?: v->volume.geometry.tag_bytes;
}

/* What one block adds to a chunk: itself, both tags, its state, its piece of the vector. */
static size_t memory_of_block(const struct intact_view *v)
{
	return stride_of(v) + tag_stride_of(v) + v->volume.geometry.tag_bytes + 1 +
	       sizeof(struct iovec);
}

uint32_t chunk_sectors(const struct intact_view *v, size_t memory_bytes)
{
	const struct geometry *g = &v->volume.geometry;
	uint64_t sectors = CHUNK_BYTES / SECTOR_BYTES;

	if (g->kind == GEOMETRY_ONE_DEVICE)
		sectors = min_u64(sectors, 1ull << g->log2_interleave);
	while (sectors > g->sectors_per_block &&
	       (sectors >> g->log2_sectors_per_block) * memory_of_block(v) > memory_bytes)
		sectors /= 2;
	return (uint32_t)sectors;
}

/* Whether reading from it never waits for a device. */
static bool is_in_memory(const struct io_file *file)
{
	struct statfs fs;

	return fstatfs(io_file_fd(file), &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

int chunk_init(struct chunk *c, struct judge *judge, uint32_t sectors,
	       void (*arrived)(struct chunk *c), void (*digested)(struct chunk *c), void *owner)
{
	const struct intact_view *v = judge->view;
	uint32_t blocks = sectors / v->volume.geometry.sectors_per_block;
	size_t headroom = headroom_of(v);
	size_t data_bytes, tag_bytes, computed_bytes;

	memset(c, 0, sizeof(*c));
	c->judge = judge;
	c->arrived = arrived;
	c->digested = digested;
	c->owner = owner;
	c->stride_bytes = stride_of(v);
	c->tag_stride_bytes = tag_stride_of(v);
	c->data_in_memory = is_in_memory(v->data_device);
	c->tags_in_memory = judge->digest && is_in_memory(tag_file(v));
	data_bytes = round_up_pow2(headroom + blocks * c->stride_bytes, 64);
	tag_bytes = round_up_pow2(blocks * c->tag_stride_bytes, 64);
	computed_bytes = round_up_pow2((size_t)blocks * v->volume.geometry.tag_bytes, 64);

	c->memory = aligned_alloc(
		4096, round_up_pow2(data_bytes + tag_bytes + computed_bytes + blocks, 4096));
	c->data_iov = calloc(blocks, sizeof(*c->data_iov));
	if (judge->digest)
		c->request = aligned_alloc(64, digest_request_bytes(judge->digest));
	if (!c->memory || !c->data_iov || (judge->digest && !c->request)) {
		chunk_done(c);
		return -ENOMEM;
	}
	c->data = c->memory + headroom;
	c->tags = c->memory + data_bytes;
	c->computed = c->tags + tag_bytes;
	c->state = c->computed + computed_bytes;
	return 0;
}

void chunk_done(struct chunk *c)
{
	free(c->request);
	free(c->data_iov);
	free(c->memory);
	memset(c, 0, sizeof(*c));
}

/* ---- Reading ---- */

static void read_arrived(struct chunk *c)
{
	if (--c->reads_pending == 0)
		c->arrived(c);
}

static void data_arrived(struct io *io)
{
	read_arrived((struct chunk *)((uint8_t *)io - offsetof(struct chunk, data_io)));
}

static void tags_arrived(struct io *io)
{
	read_arrived((struct chunk *)((uint8_t *)io - offsetof(struct chunk, tag_io)));
}

static uint64_t data_offset(const struct intact_view *v, uint64_t sector)
{
	return geometry_data_sector(&v->volume.geometry, sector) * SECTOR_BYTES;
}

static uint64_t tag_offset(const struct intact_view *v, uint64_t sector)
{
	if (v->volume.geometry.kind == GEOMETRY_INLINE)
		return (geometry_data_sector(&v->volume.geometry, sector) >>
			v->volume.geometry.log2_sectors_per_block) *
		       v->tuple_bytes;
	return geometry_tag_byte(&v->volume.geometry, sector);
}

static unsigned fill_data_iov(struct chunk *c)
{
	size_t block_bytes = block_bytes_of(c->judge->view);

	if (c->stride_bytes == block_bytes) {
		c->data_iov[0] = (struct iovec){c->data, c->blocks * block_bytes};
		return 1;
	}
	for (uint32_t i = 0; i < c->blocks; i++)
		c->data_iov[i] = (struct iovec){c->data + i * c->stride_bytes, block_bytes};
	return c->blocks;
}

/* What the page cache holds is a copy away. Taken here and now it ends up in this core's own cache,
 * while io_uring has another thread copy it where the file system cannot tell whether reading would
 * wait (tmpfs). False: not all of it was there.
 */
static bool read_cached(struct io *io, bool in_memory, size_t bytes)
{
	io->result = preadv2(io_file_fd(io->file), io->iov, (int)io->iov_count, (off_t)io->offset,
			     in_memory ? 0 : RWF_NOWAIT);
	return io->result == (int64_t)bytes;
}

static void read_start(struct io_context *context, struct io *io, bool in_memory, size_t bytes)
{
	if (read_cached(io, in_memory, bytes))
		io->done(io);
	else
		io_submit(context, io);
}

void chunk_start(struct chunk *c, struct io_context *io, uint64_t first_sector, uint32_t blocks)
{
	const struct intact_view *v = c->judge->view;
	bool tags_wanted = c->judge->digest != NULL;

	c->first_sector = first_sector;
	c->blocks = blocks;
	c->reads_pending = tags_wanted ? 2 : 1;
	c->data_io = (struct io){
		.file = v->data_device,
		.op = IO_READ,
		.offset = data_offset(v, first_sector),
		.iov = c->data_iov,
		.iov_count = fill_data_iov(c),
		.done = data_arrived,
	};
	c->tag_iov = (struct iovec){c->tags, blocks * c->tag_stride_bytes};
	c->tag_io = (struct io){
		.file = tag_file(v),
		.op = IO_READ,
		.offset = tag_offset(v, first_sector),
		.iov = &c->tag_iov,
		.iov_count = 1,
		.done = tags_arrived,
	};
	read_start(io, &c->data_io, c->data_in_memory, blocks * block_bytes_of(v));
	if (tags_wanted)
		read_start(io, &c->tag_io, c->tags_in_memory, c->tag_iov.iov_len);
}

/* ---- Judging ---- */

static uint64_t sector_of(const struct chunk *c, uint32_t block)
{
	return c->first_sector +
	       (uint64_t)block * c->judge->view->volume.geometry.sectors_per_block;
}

/* A read that failed, or fell short, is repeated block by block: what can be read shall be. */
static void mend_data(struct chunk *c)
{
	const struct intact_view *v = c->judge->view;
	size_t block_bytes = block_bytes_of(v);

	if (c->data_io.result == (int64_t)(c->blocks * block_bytes))
		return;
	for (uint32_t i = 0; i < c->blocks; i++) {
		uint8_t *block = c->data + i * c->stride_bytes;

		if (io_file_read(v->data_device, data_offset(v, sector_of(c, i)), block,
				 block_bytes) == 0)
			continue;
		c->state[i] = BLOCK_UNREADABLE;
		memset(block, 0, block_bytes);
	}
}

static void mend_tags(struct chunk *c)
{
	const struct intact_view *v = c->judge->view;

	if (c->tag_io.result == (int64_t)(c->blocks * c->tag_stride_bytes))
		return;
	for (uint32_t i = 0; i < c->blocks; i++) {
		if (io_file_read(tag_file(v), tag_offset(v, sector_of(c, i)),
				 c->tags + i * c->tag_stride_bytes,
				 v->volume.geometry.tag_bytes) != 0)
			c->state[i] = BLOCK_UNREADABLE;
	}
}

static void blocks_digested(struct digest_request *req)
{
	struct chunk *c = req->opaque;

	if (c->digested)
		c->digested(c);
}

static void digest_blocks(struct chunk *c)
{
	const struct intact_view *v = c->judge->view;

	*c->request = (struct digest_request){
		.data = c->data,
		.message_bytes = block_bytes_of(v),
		.stride_bytes = c->stride_bytes,
		.count = c->blocks,
		.flags = DIGEST_SECTOR | (volume_is_salted(&v->volume) ? DIGEST_SALTED : 0) |
			 (headroom_of(v) ? DIGEST_HEADROOM : 0),
		.sector = c->first_sector,
		.sector_step = v->volume.geometry.sectors_per_block,
		.tags = c->computed,
		.tag_stride_bytes = v->volume.geometry.tag_bytes,
		.done = blocks_digested,
		.opaque = c,
	};
	digest_submit(c->judge->digest, c->request);
}

void chunk_digest(struct chunk *c)
{
	memset(c->state, BLOCK_UNVERIFIED, c->blocks);
	mend_data(c);
	if (c->judge->digest) {
		mend_tags(c);
		digest_blocks(c);
	} else if (c->digested) {
		c->digested(c);
	}
}

/* Whether the stored tag is the marker of a discarded block. */
static int is_discarded(struct chunk *c, uint32_t block, bool *ret)
{
	const struct intact_view *v = c->judge->view;
	const uint8_t *stored = c->tags + block * c->tag_stride_bytes;
	uint8_t marker[SB_TAG_BYTES_MAX];

	*ret = false;
	if (v->volume.params.allow_discards && !(v->volume.sb.flags & SB_DISCARD_KEYED))
		*ret = secret_equal(stored, v->discard_marker, v->volume.geometry.tag_bytes);
	if (!v->volume.params.allow_discards_keyed)
		return 0;
	*c->request = (struct digest_request){
		.count = 1,
		.flags = DIGEST_SECTOR | (volume_is_salted(&v->volume) ? DIGEST_SALTED : 0),
		.sector = sector_of(c, block),
		.sector_step = v->volume.geometry.sectors_per_block,
		.tags = marker,
		.tag_stride_bytes = v->volume.geometry.tag_bytes,
	};
	digest_submit(c->judge->digest, c->request);
	digest_flush(c->judge->digest);
	*ret = secret_equal(stored, marker, v->volume.geometry.tag_bytes);
	return c->request->result;
}

static int judge_block(struct chunk *c, uint32_t block)
{
	const struct intact_view *v = c->judge->view;
	bool unverified, discarded;
	int r;

	if (c->state[block] == BLOCK_UNREADABLE)
		return 0;
	r = unverified_test(&c->judge->unverified, sector_of(c, block), &unverified);
	if (r < 0)
		return r;
	c->state[block] = BLOCK_UNVERIFIED;
	if (unverified || !c->judge->digest)
		return 0;
	c->state[block] = BLOCK_VERIFIED;
	if (secret_equal(c->tags + block * c->tag_stride_bytes,
			 c->computed + (size_t)block * v->volume.geometry.tag_bytes,
			 v->volume.geometry.tag_bytes))
		return 0;
	r = is_discarded(c, block, &discarded);
	c->state[block] = discarded ? BLOCK_DISCARDED : BLOCK_MISMATCHED;
	return r;
}

/* The journal's blocks replace what lies at home; their tags were verified when the index was made.
 */
static void overlay_blocks(struct chunk *c)
{
	const struct intact_view *v = c->judge->view;
	const struct geometry *g = &v->volume.geometry;
	uint64_t end = sector_of(c, c->blocks);

	for (size_t i = overlay_lower_bound(v, c->first_sector);
	     i < v->overlay_count && v->overlay[i].sector < end; i++) {
		const struct overlay_entry *entry = &v->overlay[i];
		uint32_t block =
			(uint32_t)((entry->sector - c->first_sector) >> g->log2_sectors_per_block);

		if (section_reader_read(&c->judge->sections, entry->section) != 0) {
			c->state[block] = BLOCK_UNREADABLE;
			continue;
		}
		entry_data(g, c->judge->sections.bytes, entry->entry,
			   c->data + block * c->stride_bytes);
		c->state[block] = c->judge->digest ? BLOCK_VERIFIED : BLOCK_UNVERIFIED;
	}
}

int chunk_judge(struct chunk *c)
{
	int r = c->judge->digest ? c->request->result : 0;

	for (uint32_t i = 0; i < c->blocks && r == 0; i++)
		r = judge_block(c, i);
	if (r == 0)
		overlay_blocks(c);
	return r;
}
