/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tags of an engine, made elsewhere. All that they depend on but the data is the volume's for as
 * long as it is open: an engine that follows another one has found the same salt, tags and blocks
 * (follow.c), and the key is the parameters', which no change changes.
 */
#include "engine/internal.h"

#include <stdlib.h>

struct tagger {
	struct digest *hash;
	uint32_t block_bytes;
	uint32_t spb;
	uint32_t tag_bytes;
	uint32_t flags;
	struct digest_request request;
};

static int open_hash(const struct engine *e, const struct intact_log *log, struct digest **ret)
{
	struct volume v = e->volume;

	v.log = log;
	v.wake = NULL;
	return volume_open_hash(&v, true, ret);
}

bool engine_may_be_tagged(const struct engine *e)
{
	return e->hash && digest_is_by_cores(e->hash);
}

int tagger_open(const struct engine *e, const struct intact_log *log, struct tagger **ret)
{
	struct tagger *t;
	int r;

	assert(engine_may_be_tagged(e));
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->block_bytes = e->block_bytes;
	t->spb = e->spb;
	t->tag_bytes = e->tag_bytes;
	t->flags = engine_digest_flags(e);
	r = open_hash(e, log, &t->hash);
	if (r < 0) {
		tagger_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tagger_close(struct tagger *t)
{
	if (!t)
		return;
	digest_close(t->hash);
	free(t);
}

int tagger_make(struct tagger *t, uint64_t first_sector, uint32_t blocks, const uint8_t *data,
		uint8_t *tags)
{
	t->request = (struct digest_request){
		.data = data,
		.message_bytes = t->block_bytes,
		.stride_bytes = t->block_bytes,
		.count = blocks,
		.flags = t->flags,
		.sector = first_sector,
		.sector_step = t->spb,
		.tags = tags,
		.tag_stride_bytes = t->tag_bytes,
	};
	digest_submit(t->hash, &t->request);
	digest_flush(t->hash);
	return t->request.result;
}
