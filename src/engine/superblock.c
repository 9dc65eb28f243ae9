/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing the superblock while the volume is in use.
 *
 *	superblock_write -> (authenticated, with a superblock MAC) -> submitted -> superblock_durable -> written
 */
#include "engine/internal.h"

#include <stdlib.h>

static void superblock_durable(struct io *io)
{
	struct engine *e = container_of(io, struct engine, superblock.io);

	e->superblock.busy = false;
	e->progress = true;
	if (io->result != SB_BYTES)
		engine_fail(e, -EIO, "cannot write the superblock: %s",
			    strerror(io->result < 0 ? (int)-io->result : EIO));
	if (!e->failed)
		e->superblock.written(e);
}

static void submit(struct engine *e)
{
	struct superblock_write *w = &e->superblock;

	w->iov = (struct iovec){w->bytes, SB_BYTES};
	w->io = (struct io){
		.file = e->world.device,
		.op = IO_WRITE,
		.fua = true,
		.offset = e->volume.geometry.start_sector * SECTOR_BYTES,
		.iov = &w->iov,
		.iov_count = 1,
		.done = superblock_durable,
	};
	io_submit(e->world.io, &w->io);
}

static void authenticated(struct digest_request *req)
{
	struct engine *e = req->opaque;

	e->progress = true;
	if (req->result < 0)
		engine_fail(e, -EIO, "superblock MAC failed: %s", strerror(-req->result));
	if (e->failed)
		e->superblock.busy = false;
	else
		submit(e);
}

/* Over the first sector up to where the MAC goes, which is behind it. */
static void authenticate(struct engine *e)
{
	struct superblock_write *w = &e->superblock;
	size_t at = sb_mac_offset(digest_tag_bytes(e->mac));

	*w->digest = (struct digest_request){
		.data = w->bytes,
		.message_bytes = at,
		.stride_bytes = at,
		.count = 1,
		.tags = w->bytes + at,
		.tag_stride_bytes = digest_tag_bytes(e->mac),
		.done = authenticated,
		.opaque = e,
	};
	digest_submit(e->mac, w->digest);
}

void superblock_write(struct engine *e, void (*written)(struct engine *e))
{
	struct superblock_write *w = &e->superblock;

	assert(!w->busy);
	w->busy = true;
	w->written = written;
	e->volume.sb.version = sb_version_for(e->volume.sb.flags, e->mode == INTACT_MODE_BITMAP,
					      e->volume.has_metadata_device);
	sb_encode(&e->volume.sb, w->bytes);
	if (e->mac && e->salted)
		authenticate(e);
	else
		submit(e);
	e->progress = true;
}

int superblock_open(struct engine *e)
{
	struct superblock_write *w = &e->superblock;

	w->bytes = aligned_alloc(4096, SB_BYTES);
	if (e->mac)
		w->digest = aligned_alloc(64, digest_request_bytes(e->mac));
	return w->bytes && (w->digest || !e->mac) ? 0 : -ENOMEM;
}

void superblock_close(struct engine *e)
{
	free(e->superblock.bytes);
	free(e->superblock.digest);
}
