/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small volume on disks in memory, for tests that want to meet one thing at one moment: time stands
 * still until it is told to move, every I/O ends in its turn, and the test may look at each one
 * before that: fail it, hold it back, count it. (What only chance finds is tests/sim's.)
 *
 * Formatting is the engine's own work: a superblock that says "bitmap, all dirty, recalculating" is
 * opened in mode D and closed again, which leaves an empty journal and a tag for every block.
 */
#ifndef INTACT_TESTS_ENGINE_RIG_H
#define INTACT_TESTS_ENGINE_RIG_H

#include "engine/engine.h"
#include "format/geometry.h"
#include "io/backend.h"
#include "volume/volume.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RIG_SECTOR_BYTES 512u
#define RIG_SECTORS_MAX	 8192u /* each disk */
#define RIG_DATA_SECTORS 640u  /* about, with their tags */
#define RIG_NS_PER_S	 1000000000ull

enum rig_area { RIG_SUPERBLOCK, RIG_JOURNAL, RIG_TAGS, RIG_DATA, RIG_FLUSH, RIG_AREAS };

/* What the volume is; all zero: crc32c, blocks of 4096 bytes, one device. */
struct rig_kind {
	const char *name;
	const char *hash; /* "": tags from above */
	const char *mac, *crypt;
	uint32_t block_bytes;
	uint32_t journal_sections; /* 0: 4 */
	bool two_devices, fix_hmac, allow_discards, allow_discards_keyed;
	bool recalculate; /* from the beginning when it is opened first */
	bool outlived;	  /* by who writes to it */
};

struct rig {
	struct rig_kind kind;
	struct geometry geometry;
	uint8_t *disk[2];
	uint64_t disk_sectors[2]; /* the second is 0 when there is one device */
	uint64_t now_ns;
	struct intact_log log;
	char said[256]; /* the last error */

	struct io_context *io;
	struct engine *engine;
	struct intact_params params;
	const struct intact_digest_driver *const *drivers; /* NULL: those there are */

	/* Every I/O, in the order of their beginning, from 1 on. */
	struct io_list under_way;
	unsigned ios;
	unsigned counts[RIG_AREAS][2]; /* [1]: writes, flushes */

	/* The test's: what becomes of an I/O before it is done. 0: it is carried out; negative errno;
	 * RIG_HOLD: not yet.
	 */
	int (*meet)(struct rig *r, struct io *io, enum rig_area area, unsigned number);
	/* … and a last look at one that was carried out, and at its bytes. */
	void (*met)(struct rig *r, struct io *io, enum rig_area area);
	void *opaque;
};

#define RIG_HOLD 1

static inline uint32_t rig_block_bytes(const struct rig *r)
{
	return r->kind.block_bytes;
}

static inline uint32_t rig_block_sectors(const struct rig *r)
{
	return r->kind.block_bytes / RIG_SECTOR_BYTES;
}

static inline uint32_t rig_blocks(const struct rig *r)
{
	return (uint32_t)(r->geometry.provided_sectors / rig_block_sectors(r));
}

/* ---- The disks ---- */

static inline unsigned rig_disk_of(const struct io *io)
{
	return (uintptr_t)io->file == 1 ? 0 : 1;
}

static inline enum rig_area rig_area_of(const struct rig *r, const struct io *io)
{
	const struct geometry *g = &r->geometry;
	uint64_t sector = io->offset / RIG_SECTOR_BYTES;
	uint64_t run = g->run_tag_sectors + (UINT64_C(1) << g->log2_interleave);

	if (io->op == IO_FLUSH)
		return RIG_FLUSH;
	if (rig_disk_of(io) == 1)
		return RIG_DATA;
	if (sector < SB_SECTORS)
		return RIG_SUPERBLOCK;
	if (sector < g->initial_sectors)
		return RIG_JOURNAL;
	if (r->kind.two_devices || (sector - g->initial_sectors) % run < g->run_tag_sectors)
		return RIG_TAGS;
	return RIG_DATA;
}

static inline int64_t rig_carry_out(struct rig *r, struct io *io)
{
	unsigned disk = rig_disk_of(io);
	uint64_t end = r->disk_sectors[disk] * RIG_SECTOR_BYTES;
	uint64_t at = io->offset + io->moved;
	int64_t bytes = 0;

	for (unsigned i = 0; io->op != IO_FLUSH && i < io->iov_count; i++) {
		struct iovec *v = &io->iov[i];

		assert_true(at + v->iov_len <= end);
		if (io->op == IO_WRITE)
			memcpy(r->disk[disk] + at, v->iov_base, v->iov_len);
		else
			memcpy(v->iov_base, r->disk[disk] + at, v->iov_len);
		at += v->iov_len;
		bytes += (int64_t)v->iov_len;
	}
	return bytes;
}

static inline void rig_start(void *backend, struct io *io)
{
	struct rig *r = backend;

	io_list_push(&r->under_way, io);
	r->ios++;
	r->counts[rig_area_of(r, io)][io->op != IO_READ]++;
}

/* True when it is over. */
static inline bool rig_end(struct rig *r, struct io *io, unsigned number)
{
	enum rig_area area = rig_area_of(r, io);
	int fate = r->meet ? r->meet(r, io, area, number) : 0;

	if (fate == RIG_HOLD)
		return false;
	io->result = fate < 0 ? fate : rig_carry_out(r, io);
	if (r->met && fate == 0)
		r->met(r, io, area);
	return true;
}

static inline unsigned rig_count_under_way(const struct rig *r)
{
	unsigned count = 0;

	for (const struct io *io = r->under_way.first; io; io = io->next)
		count++;
	return count;
}

static inline void rig_reap(void *backend, bool wait, struct io_list *finished)
{
	struct rig *r = backend;
	unsigned number = r->ios - rig_count_under_way(r);
	struct io_list held = {.first = NULL};
	struct io *io;

	(void)wait;
	while ((io = io_list_pop(&r->under_way)))
		io_list_push(rig_end(r, io, ++number) ? finished : &held, io);
	while ((io = io_list_pop(&held)))
		io_list_push(&r->under_way, io);
}

static inline void rig_ignore(void *backend)
{
	(void)backend;
}

static const struct io_ops rig_ops = {
	.kind = IO_THREADS,
	.start = rig_start,
	.reap = rig_reap,
	.close = rig_ignore,
};

/* ---- The engine's world ---- */

static inline uint64_t rig_now(void *opaque)
{
	const struct rig *r = opaque;

	return r->now_ns;
}

static inline void rig_random(void *opaque, void *to, size_t bytes)
{
	(void)opaque;
	memset(to, 0x5a, bytes);
}

static inline void rig_hear(void *opaque, enum intact_level level, const char *text)
{
	struct rig *r = opaque;

	if (level == INTACT_ERROR)
		(void)snprintf(r->said, sizeof(r->said), "%s", text);
}

static inline void rig_algorithm(struct intact_algorithm *a, const char *name, size_t key_bytes)
{
	if (!name || !name[0])
		return;
	(void)snprintf(a->name, sizeof(a->name), "%s", name);
	if (key_bytes == 0)
		return;
	a->key_bytes = key_bytes;
	a->key = malloc(key_bytes);
	assert(a->key);
	memset(a->key, 'k', key_bytes);
}

static inline size_t rig_key_bytes(const char *name)
{
	return name && strchr(name, '(') ? 32 : 0;
}

static inline void rig_params(const struct rig *r, struct intact_params *p)
{
	const struct rig_kind *k = &r->kind;

	intact_params_init(p);
	p->device = strdup("disk");
	if (k->two_devices)
		p->data_device = strdup("data disk");
	p->tag_bytes = k->hash[0] ? 0 : 16;
	p->allow_discards = k->allow_discards;
	p->allow_discards_keyed = k->allow_discards_keyed;
	p->fix_hmac = k->fix_hmac;
	p->legacy_recalculate = true;
	p->sectors_per_bit = 64;
	rig_algorithm(&p->internal_hash, k->hash, rig_key_bytes(k->hash));
	rig_algorithm(&p->journal_mac, k->mac, rig_key_bytes(k->mac));
	rig_algorithm(&p->journal_crypt, k->crypt, 32);
}

/* Opens in a mode: 0 or the engine's error. Change r->params before it as you like. */
static inline struct engine_world rig_world(struct rig *r)
{
	return (struct engine_world){
		.io = r->io,
		.device = (struct io_file *)(uintptr_t)1,
		.data_device = (struct io_file *)(uintptr_t)(r->kind.two_devices ? 2 : 1),
		.device_sectors = r->disk_sectors[0],
		.data_device_sectors = r->disk_sectors[1],
		.drivers = r->drivers,
		.now_ns = rig_now,
		.random = rig_random,
		.opaque = r,
		.log = &r->log,
		.is_outlived = r->kind.outlived,
	};
}

static inline int rig_open(struct rig *r, char mode, bool read_only)
{
	struct engine_world world;
	int error;

	r->params.mode = (enum intact_mode)mode;
	r->engine = NULL;
	error = io_context_open_on(&rig_ops, r, 256, &r->io);
	if (error < 0)
		return error;
	world = rig_world(r);
	error = engine_open(&r->params, read_only, &world, &r->engine);
	if (error < 0) {
		io_context_close(r->io);
		r->io = NULL;
	}
	return error;
}

static inline void rig_must_open(struct rig *r, char mode)
{
	int error = rig_open(r, mode, false);

	if (error < 0)
		fail_msg("%s, mode %c: opening gives %d: %s", r->kind.name, mode, error, r->said);
}

/* Until nothing is left to be done now. */
static inline void rig_settle(struct rig *r)
{
	bool progress;

	do {
		progress = io_run(r->io, false) > 0;
		progress = engine_run(r->engine) || progress;
	} while (progress);
}

static inline void rig_let_pass(struct rig *r, uint64_t ns)
{
	r->now_ns += ns;
	rig_settle(r);
}

/* The clean end; what it gives. */
static inline int rig_shut(struct rig *r)
{
	int result = -EBUSY;

	engine_shutdown(r->engine);
	rig_settle(r);
	if (!engine_is_shut(r->engine, &result))
		fail_msg("%s: the shutdown does not come to its end", r->kind.name);
	engine_close(r->engine);
	io_context_close(r->io);
	r->engine = NULL;
	r->io = NULL;
	return result;
}

/* Another engine that could follow; rig_follow lets it. */
static inline int rig_prepare(struct rig *r, char mode, struct engine **ret)
{
	struct engine_world world = rig_world(r);

	r->params.mode = (enum intact_mode)mode;
	return engine_prepare(r->engine, &r->params, false, &world, ret);
}

/* The one before is still to be closed. */
static inline struct engine *rig_follow(struct rig *r, struct engine *next)
{
	struct engine *before = r->engine;
	int result = -EBUSY;

	engine_shutdown(before);
	rig_settle(r);
	if (!engine_is_shut(before, &result) || result != 0)
		fail_msg("%s: shut for a change with %d: %s", r->kind.name, result, r->said);
	result = engine_follow(next, before);
	if (result < 0)
		fail_msg("%s: following gives %d: %s", r->kind.name, result, r->said);
	r->engine = next;
	return before;
}

/* The other end: what is under way is lost. */
static inline void rig_crash(struct rig *r)
{
	r->meet = NULL;
	r->met = NULL;
	memset(&r->under_way, 0, sizeof(r->under_way));
	engine_close(r->engine);
	r->engine = NULL;
	free(r->io); /* it has I/O under way, for ever */
	r->io = NULL;
}

static inline struct intact_status rig_status(const struct rig *r)
{
	struct intact_status status;

	engine_status(r->engine, &status);
	return status;
}

/* ---- Formatting ---- */

static inline uint16_t rig_tag_bytes(const struct rig_kind *k)
{
	if (!k->hash[0])
		return 16;
	return (uint16_t)digest_algorithm_find(k->hash)->digest_bytes;
}

static inline uint32_t rig_flags(const struct rig_kind *k)
{
	return SB_DIRTY_BITMAP | (k->hash[0] ? SB_RECALCULATING : 0) |
	       (k->mac ? SB_HAVE_JOURNAL_MAC : 0) | (k->two_devices ? 0 : SB_FIXED_PADDING) |
	       (k->fix_hmac ? SB_FIXED_HMAC : 0);
}

/* Room for so many sections: their size is known only when all else is. */
static inline void rig_make_geometry(struct rig *r, struct sb *sb)
{
	enum geometry_kind kind =
		r->kind.two_devices ? GEOMETRY_METADATA_DEVICE : GEOMETRY_ONE_DEVICE;
	struct geometry *g = &r->geometry;
	uint32_t sections = r->kind.journal_sections ?: 4;
	enum geometry_verdict verdict;

	r->disk_sectors[0] = RIG_SECTORS_MAX;
	r->disk_sectors[1] = r->kind.two_devices ? RIG_DATA_SECTORS : 0;
	verdict =
		geometry_format(sb, kind, 0, r->disk_sectors[0], r->disk_sectors[1], 128, 1, 8, g);
	assert_int_equal(verdict, GEOMETRY_GOOD);
	r->disk_sectors[0] = SB_SECTORS + sections * g->section_sectors + RIG_DATA_SECTORS;
	assert_true(r->disk_sectors[0] <= RIG_SECTORS_MAX);
	verdict = geometry_format(sb, kind, 0, r->disk_sectors[0], r->disk_sectors[1], 128,
				  sections * g->section_sectors, 8, g);
	assert_int_equal(verdict, GEOMETRY_GOOD);
	assert_int_equal(g->journal_sections, sections);
}

static inline void rig_put_superblock(struct rig *r, const struct sb *sb)
{
	struct volume v;

	assert_int_equal(volume_init(&v, &r->params, r->disk_sectors[0], r->disk_sectors[1], NULL),
			 0);
	v.sb = *sb;
	sb_encode(sb, r->disk[0]);
	assert_int_equal(volume_put_mac(&v, r->disk[0]), 0);
	volume_done(&v);
}

/* A superblock with this flag, or without it. */
static inline void rig_flag_superblock(struct rig *r, uint32_t flag, bool on)
{
	struct sb sb;

	assert_int_equal(sb_decode(r->disk[0], r->kind.two_devices, &sb), SB_GOOD);
	sb.flags = on ? sb.flags | flag : sb.flags & ~flag;
	sb.recalc_sector = 0;
	rig_put_superblock(r, &sb);
}

static inline void rig_init(struct rig *r, const struct rig_kind *kind)
{
	struct sb sb = {.version = 1};

	memset(r, 0, sizeof(*r));
	r->kind = *kind;
	r->kind.name = kind->name ?: "plain";
	r->kind.hash = kind->hash ?: "crc32c";
	r->kind.block_bytes = kind->block_bytes ?: 4096;
	r->now_ns = RIG_NS_PER_S;
	r->log = (struct intact_log){rig_hear, r};
	sb.tag_bytes = rig_tag_bytes(&r->kind);
	sb.flags = rig_flags(&r->kind);
	while (RIG_SECTOR_BYTES << sb.log2_sectors_per_block < r->kind.block_bytes)
		sb.log2_sectors_per_block++;
	rig_make_geometry(r, &sb);
	sb.version = sb_version_for(sb.flags, false, r->kind.two_devices);
	for (int i = 0; i < 2; i++) {
		r->disk[i] = calloc(RIG_SECTORS_MAX, RIG_SECTOR_BYTES);
		assert_non_null(r->disk[i]);
	}
	rig_params(r, &r->params);
	rig_put_superblock(r, &sb);
	rig_must_open(r, 'D');
	rig_settle(r);
	assert_int_equal(rig_shut(r), 0);
	rig_flag_superblock(r, SB_RECALCULATING, r->kind.recalculate);
}

static inline void rig_done(struct rig *r)
{
	intact_params_done(&r->params);
	free(r->disk[0]);
	free(r->disk[1]);
}

/* ---- Requests ---- */

/* Every 8 bytes of a block say which block and version it is; version 0 is zeros. */
static inline void rig_fill(const struct rig *r, uint32_t block, uint32_t version, uint8_t *bytes)
{
	for (uint32_t i = 0; i < rig_block_bytes(r); i += 8) {
		uint32_t words[2] = {version ? block + 1 : 0, version};

		memcpy(bytes + i, words, 8);
	}
}

struct rig_request {
	struct intact_request req;
	unsigned order; /* of its end: 1, 2, … ; 0: not yet */
	unsigned *ends;
	uint8_t tags[64 * 32];
	_Alignas(4096) uint8_t bytes[64 * 4096];
};

static inline void rig_request_over(struct intact_request *req)
{
	struct rig_request *q = req->opaque;

	q->order = q->ends ? ++*q->ends : 1;
}

/* Fills the buffer of a write with this version, and submits. */
static inline void rig_submit(struct rig *r, struct rig_request *q, enum intact_op op,
			      uint32_t flags, uint32_t block, uint32_t count, uint32_t version)
{
	bool bytes = op == INTACT_READ || op == INTACT_WRITE;

	assert_true(count <= 64);
	for (uint32_t i = 0; op == INTACT_WRITE && i < count; i++) {
		rig_fill(r, block + i, version, q->bytes + (size_t)i * rig_block_bytes(r));
		memset(q->tags + (size_t)i * 16, (int)version, 16);
	}
	q->order = 0;
	q->req = (struct intact_request){
		.op = op,
		.flags = flags,
		.first_sector = (uint64_t)block * rig_block_sectors(r),
		.sectors = (uint64_t)count * rig_block_sectors(r),
		.buffer = bytes ? q->bytes : NULL,
		.tags = r->kind.hash[0] || op == INTACT_FLUSH ? NULL : q->tags,
		.done = rig_request_over,
		.opaque = q,
	};
	engine_submit(r->engine, &q->req);
}

/* … and waits. */
static inline int rig_do(struct rig *r, struct rig_request *q, enum intact_op op, uint32_t flags,
			 uint32_t block, uint32_t count, uint32_t version)
{
	q->ends = NULL;
	rig_submit(r, q, op, flags, block, count, version);
	rig_settle(r);
	if (!q->order)
		fail_msg("%s: a request does not come to its end", r->kind.name);
	return q->req.result;
}

/* The version that a block read has; -1: none. */
static inline int64_t rig_version(const struct rig *r, const uint8_t *bytes, uint32_t block)
{
	uint8_t wanted[4096];
	uint32_t version;

	memcpy(&version, bytes + 4, 4);
	rig_fill(r, block, version, wanted);
	return memcmp(bytes, wanted, rig_block_bytes(r)) == 0 ? (int64_t)version : -1;
}

#define assert_rig_has(r, q, block, version)                                                       \
	do {                                                                                       \
		assert_int_equal(rig_do(r, q, INTACT_READ, 0, block, 1, 0), 0);                    \
		assert_int_equal(rig_version(r, (q)->bytes, block), version);                      \
	} while (0)

#endif
