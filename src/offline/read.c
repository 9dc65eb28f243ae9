/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading a view, chunk by chunk.
 */
#include "base/num.h"
#include "offline/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct judge judge;
	struct io_context *io;
	struct chunk chunk;
	bool arrived;
};

static void chunk_arrived(struct chunk *c)
{
	struct reader *r = c->owner;

	r->arrived = true;
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	chunk_done(&r->chunk);
	io_context_close(r->io);
	judge_close(&r->judge);
	free(r);
}

static int reader_open(const struct intact_view *v, struct reader **ret)
{
	struct reader *r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return -ENOMEM;
	result = judge_open(v, v->volume.params.mode != INTACT_MODE_RECOVERY, NULL, &r->judge);
	result = result ?: io_context_open(IO_AUTO, 2, &r->io);
	result = result
			 ?: chunk_init(&r->chunk, &r->judge, chunk_sectors(v, SIZE_MAX),
				       chunk_arrived, NULL, r);
	if (result < 0) {
		reader_close(r);
		return result;
	}
	*ret = r;
	return 0;
}

static int read_chunk(struct reader *r, uint64_t first_sector, uint32_t blocks)
{
	r->arrived = false;
	chunk_start(&r->chunk, r->io, first_sector, blocks);
	while (!r->arrived)
		io_run(r->io, true);
	chunk_digest(&r->chunk);
	if (r->judge.digest)
		digest_flush(r->judge.digest);
	return chunk_judge(&r->chunk);
}

/* Copies the chunk's blocks up to the first that ends the reading; says at which that was. */
static int deliver(const struct chunk *c, uint8_t *buffer, unsigned flags, uint64_t *bad_sector)
{
	uint32_t spb = c->judge->view->volume.geometry.sectors_per_block;

	for (uint32_t i = 0; i < c->blocks; i++) {
		bool mismatched = c->state[i] == BLOCK_MISMATCHED;
		bool unreadable = c->state[i] == BLOCK_UNREADABLE;

		if ((mismatched || unreadable) && *bad_sector == INTACT_NO_SECTOR)
			*bad_sector = c->first_sector + (uint64_t)i * spb;
		if (unreadable || (mismatched && !(flags & INTACT_READ_IGNORE_MISMATCHES))) {
			*bad_sector = c->first_sector + (uint64_t)i * spb;
			return unreadable ? -EIO : -EILSEQ;
		}
		memcpy(buffer + (size_t)i * spb * SECTOR_BYTES, c->data + i * c->stride_bytes,
		       (size_t)spb * SECTOR_BYTES);
	}
	return 0;
}

int intact_view_read(struct intact_view *v, uint64_t first_sector, uint64_t sectors, void *buffer,
		     unsigned flags, uint64_t *ret_bad_sector)
{
	uint32_t spb = v->volume.geometry.sectors_per_block;
	uint32_t whole = chunk_sectors(v, SIZE_MAX);
	uint64_t bad_sector = INTACT_NO_SECTOR;
	uint8_t *to = buffer;
	int r = 0;

	if ((first_sector | sectors) & (spb - 1) || first_sector > v->volume.sectors ||
	    sectors > v->volume.sectors - first_sector)
		return -EINVAL;
	if (!v->reader)
		r = reader_open(v, &v->reader);
	while (r == 0 && sectors > 0) {
		uint64_t now = min_u64(sectors, whole - (first_sector & (whole - 1)));

		r = read_chunk(v->reader, first_sector, (uint32_t)now / spb);
		r = r ?: deliver(&v->reader->chunk, to, flags, &bad_sector);
		first_sector += now;
		sectors -= now;
		to += now * SECTOR_BYTES;
	}
	*ret_bad_sector = bad_sector;
	return r;
}
