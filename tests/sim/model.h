/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a volume may hold, by the promises made to its user.
 *
 * A block has what was flushed (`base`), and later versions in the order in which they were
 * submitted. While the volume runs, a read sees exactly the version submitted last before it. After
 * a crash a block is its base or any later version, also of a write that was under way or failed:
 *
 * - whole, and matching its tag, if the crash was in mode J;
 * - whole, or failing verification, if it was in mode D and the block has later versions at all;
 * - with each sector of 512 bytes of any of these versions (the mode gives no atomicity), but never
 *   failing, if it was in mode B; also in mode D where the block is not verified: in a volume
 *   without hash (where the tag may be torn as well, as it may lie in two sectors), or one that is
 *   still being recalculated.
 *
 * A crash in mode B may have the whole volume recalculated (when it is opened with another size of
 * the regions): what might have failed may then be torn and not fail.
 *
 * A block that was discarded and not written to since may hold anything, but does not fail. One
 * that has rotted fails, until it is written to; a crash in mode B may have made it good again,
 * with any contents, as its region may have been recalculated.
 */
#ifndef INTACT_SIM_MODEL_H
#define INTACT_SIM_MODEL_H

#include "content.h"
#include "trace.h"

#include <stdbool.h>

#define BLOCK_SECTORS_MAX 8

/* What a block holds. */
struct content {
	uint32_t key[BLOCK_SECTORS_MAX];
	uint32_t tag_key; /* without internal hash: whose tag it is */
	bool any;	  /* discarded: whatever it is */
	bool bad;	  /* rotted: fails verification */
};

struct version {
	struct content content;
	uint32_t id;	   /* of the write; 0: observed */
	uint64_t acked_at; /* 0: not, or not by this life of the volume */
	uint64_t errors;   /* injected when it was submitted */
	bool failed;
};

struct block {
	struct content base;
	struct version *later;
	unsigned later_count, later_room;
	struct content live; /* what the next read is to see */
	uint32_t live_id;    /* of the write that made it; 0: none of this life */
	bool live_known;
	uint32_t doubtful_id; /* of the last write in doubt that a durable one went past */
	bool may_fail; /* verification, while base or later versions from before are possible */
	bool may_tear;
};

/* How a crash may leave blocks with later versions. */
struct damage {
	bool fails, tears;
	bool heals; /* what is bad may be good afterwards */
};

/* What a read may see: taken when it is submitted. */
struct expectation {
	struct content content;
	uint32_t id;
	bool known;
	bool may_fail;
};

struct model_counts { /* blocks as they were found after crashes */
	uint64_t base, later, torn, failed, any;
};

struct model {
	struct trace *trace;
	uint32_t blocks;
	uint32_t block_sectors;
	uint32_t tag_bytes; /* from above; 0: there is an internal hash */
	struct block *block;
	uint64_t acks;
	uint64_t errors; /* injected so far: the owner keeps this */
	uint32_t next_id;
	uint32_t life_id; /* the first of this life of the volume */
	struct model_counts counts;
};

void model_init(struct model *m, struct trace *trace, uint32_t blocks, uint32_t block_sectors,
		uint32_t tag_bytes, uint32_t key);
void model_done(struct model *m);

/* A write of any kind is submitted: its id. Contents are its id as the key, zeros, or anything. */
enum write_kind { WRITE_CONTENT, WRITE_ZEROES, WRITE_DISCARD };
uint32_t model_write(struct model *m, uint32_t first, uint32_t count, enum write_kind kind);
void model_write_done(struct model *m, uint32_t first, uint32_t count, uint32_t id, bool durable);
void model_write_failed(struct model *m, uint32_t first, uint32_t count, uint32_t id,
			struct damage damage);

/* A flush covers what was acknowledged when it was submitted. */
uint64_t model_flush(const struct model *m);
void model_flush_done(struct model *m, uint64_t flush);

void model_expect(const struct model *m, uint32_t block, struct expectation *ret);

/* A read of this block has succeeded. tag: from above, or NULL. */
void model_check_read(struct model *m, uint32_t block, const struct expectation *expected,
		      const uint8_t *bytes, const uint8_t *tag);

/* It has failed verification; true when it may. */
bool model_may_mismatch(const struct model *m, uint32_t block, const struct expectation *expected);
bool model_must_mismatch(const struct model *m, uint32_t block, const struct expectation *expected);

/* The volume's life ends without its doing. */
void model_crash(struct model *m, struct damage damage);

/* The process died, and left all writes that it had acknowledged to the next one. */
void model_bequeath(struct model *m);

/* The volume was shut down: all that was acknowledged is durable. */
void model_shut(struct model *m);

/* With nothing under way the block was read, or failed verification (bytes NULL): checks it, and
 * remembers what it is. surely: what is there cannot be taken back by the next crash.
 */
void model_observe(struct model *m, uint32_t block, const uint8_t *bytes, const uint8_t *tag,
		   bool surely);

/* It may have been discarded. */
bool block_may_be_anything(const struct block *b);

/* Whether this is what the block may be (with nothing under way). */
bool model_allows(const struct model *m, uint32_t block, const struct content *found);

/* No block fails verification, not even perhaps. */
bool model_verifies(const struct model *m);

void model_rot(struct model *m, uint32_t block);

/* All tags will be computed anew, for whatever is there. */
void model_recalculate(struct model *m);

/* Reads keys out of bytes. */
void model_content(const struct model *m, uint32_t block, const uint8_t *bytes, const uint8_t *tag,
		   struct content *ret);

#endif
