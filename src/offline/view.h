/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a view is made of. The files of this directory share it; nobody else sees it.
 */
#ifndef INTACT_OFFLINE_VIEW_H
#define INTACT_OFFLINE_VIEW_H

#include "cipher/cipher.h"
#include "digest/digest.h"
#include "format/bitmap.h"
#include "format/geometry.h"
#include "format/journal.h"
#include "io/io.h"
#include "volume/volume.h"

#include <intact.h>

/* One block whose present contents are in the journal. */
struct overlay_entry {
	uint64_t sector; /* logical */
	uint32_t section;
	uint32_t entry;
};

struct reader;

/* All that a view holds is written by intact_view_open and only read afterwards, by any number of
 * threads; but for the reader, which is intact_view_read's.
 */
struct intact_view {
	struct volume volume;

	struct io_file *device;	     /* superblock, journal, tags */
	struct io_file *data_device; /* the same object when there is one device */
	struct io_file *inline_tags; /* or NULL */
	uint64_t tuple_bytes;	     /* of the inline tags */

	char driver[32];
	bool asynchronous; /* the driver: digests of several chunks are worth having in flight */
	uint8_t discard_marker[SB_TAG_BYTES_MAX]; /* of unkeyed discards */

	struct commit_ids commit_ids;
	struct overlay_entry *overlay; /* sorted by sector, each sector once */
	size_t overlay_count;
	struct replay_plan plan; /* meaningful while journal.state is REPLAY */

	struct bitmap_shape bitmap_shape;
	struct reader *reader; /* NULL until the first read */

	struct intact_superblock superblock;
	struct intact_layout layout;
	struct intact_journal journal;
	struct intact_bitmap bitmap;
};

/* ---- section_reader.c: decrypted sections, for one thread ---- */

struct section_reader {
	const struct intact_view *view;
	struct cipher *cipher; /* NULL: not encrypted */
	uint8_t *bytes;	       /* of the section read last */
	uint32_t section;      /* its number; UINT32_MAX: none */
};

int section_reader_open(const struct intact_view *v, struct section_reader *ret);
void section_reader_close(struct section_reader *r);

/* Makes `bytes` hold the section. 0 or negative errno. */
int section_reader_read(struct section_reader *r, uint32_t section);

/* ---- overlay.c: the journal as it would be replayed ---- */

/* Fills v->journal, v->plan and v->overlay. A corrupt journal is not an error. */
int overlay_make(struct intact_view *v);

/* The entry for a logical sector (of a block's beginning), or NULL. */
const struct overlay_entry *overlay_find(const struct intact_view *v, uint64_t sector);

/* The first entry at or after a logical sector: an index into v->overlay, overlay_count when there
 * is none. */
size_t overlay_lower_bound(const struct intact_view *v, uint64_t sector);

/* ---- unverified.c: which blocks have tags that need not fit ---- */

struct unverified {
	const struct intact_view *view;
	uint64_t window; /* number of the bitmap block below; UINT64_MAX: none */
	uint8_t bits[BITMAP_BLOCK_BYTES];
};

void unverified_init(struct unverified *u, const struct intact_view *v);

/* *ret: whether the block at this logical sector is in a dirty region or not recalculated yet. 0 or
 * negative errno. */
int unverified_test(struct unverified *u, uint64_t sector, bool *ret);

/* Fills v->bitmap and v->bitmap_shape. */
int unverified_open(struct intact_view *v);

/* ---- read.c ---- */

void reader_close(struct reader *r); /* takes NULL */

/* ---- detect.c ---- */

/* Finds the internal hash by trying (integrity "auto"): v->volume.hash. -EMEDIUMTYPE: nothing fits. */
int detect_hash(struct intact_view *v);

/* ---- chunk.c: some blocks that lie together, read and judged ---- */

#define CHUNK_BYTES (512u << 10)

enum block_state {
	BLOCK_VERIFIED,
	BLOCK_MISMATCHED,
	BLOCK_UNVERIFIED,
	BLOCK_DISCARDED,
	BLOCK_UNREADABLE,
};

/* What one thread needs to judge chunks: a digest of its own, and caches. */
struct judge {
	const struct intact_view *view;
	struct digest *digest; /* NULL without internal hash, or when nothing is verified */
	struct section_reader sections;
	struct unverified unverified;
};

/* Without `verify` every block is BLOCK_UNVERIFIED, but those that cannot be read. `io` is woken by
 * digests that are finished elsewhere, and outlives the judge; NULL: nobody waits for them there.
 */
int judge_open(const struct intact_view *v, bool verify, struct io_context *io, struct judge *ret);
void judge_close(struct judge *j);

/* A chunk in the order of its life:
 *
 *	chunk_start -> (both reads arrive) -> chunk_digest -> (digests are there) -> chunk_judge
 *	-> state[], data
 */
struct chunk {
	struct judge *judge;
	uint64_t first_sector; /* logical */
	uint32_t blocks;
	unsigned reads_pending;
	void (*arrived)(struct chunk *c);  /* both reads have */
	void (*digested)(struct chunk *c); /* or NULL */

	uint8_t *memory; /* one allocation, which data, tags, computed and state point into */
	uint8_t *data;	 /* block i at i * stride_bytes */
	size_t stride_bytes;
	uint8_t *tags;	   /* as stored, tag_stride_bytes apart */
	uint8_t *computed; /* tag_bytes apart */
	uint8_t *state;	   /* enum block_state */
	struct iovec *data_iov;
	struct iovec tag_iov;
	size_t tag_stride_bytes;
	bool data_in_memory, tags_in_memory; /* files whose reading never waits for a device */
	struct io data_io;
	struct io tag_io;
	struct digest_request *request;
	void *owner;
	struct chunk *next; /* the owner's */
};

/* Logical sectors per chunk: a power of two, never across runs when aligned to itself. At most
 * CHUNK_BYTES, and so few that the chunk takes at most memory_bytes, if one block does.
 */
uint32_t chunk_sectors(const struct intact_view *v, size_t memory_bytes);

/* For at most so many sectors at once. */
int chunk_init(struct chunk *c, struct judge *judge, uint32_t sectors,
	       void (*arrived)(struct chunk *c), void (*digested)(struct chunk *c), void *owner);
void chunk_done(struct chunk *c);

/* Reads blocks from first_sector on: within one aligned chunk. c->arrived is called from io_run, or
 * from here when all of it was cached.
 */
void chunk_start(struct chunk *c, struct io_context *io, uint64_t first_sector, uint32_t blocks);

/* Has the blocks digested. c->digested is called from digest_poll or digest_flush of the judge's
 * digest; or from here, when there is none.
 */
void chunk_digest(struct chunk *c);

/* Decides each block's state and puts the journal's blocks into data. 0 or an internal failure. */
int chunk_judge(struct chunk *c);

#endif
