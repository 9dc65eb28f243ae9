/* SPDX-License-Identifier: BSD-2-Clause */
#include "offline/store.h"

#include "base/message.h"
#include "base/num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAGS_BYTES_MAX (1u << 20)

int store_write(struct io_file *f, uint64_t offset, const void *from, size_t bytes)
{
	while (bytes > 0) {
		ssize_t put = pwrite(io_file_fd(f), from, bytes, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -ENOSPC;
		from = (const uint8_t *)from + put;
		offset += (uint64_t)put;
		bytes -= (size_t)put;
	}
	return 0;
}

int store_flush(struct io_file *f)
{
	return fdatasync(io_file_fd(f)) < 0 ? -errno : 0;
}

int store_superblock(struct volume *v, struct io_file *device)
{
	uint8_t bytes[SB_BYTES];
	int r;

	v->sb.version = sb_version_for(v->sb.flags, v->params.mode == INTACT_MODE_BITMAP,
				       v->has_metadata_device);
	sb_encode(&v->sb, bytes);
	r = volume_put_mac(v, bytes);
	if (r < 0)
		return r;
	r = store_write(device, v->params.start_sector * SECTOR_BYTES, bytes, sizeof(bytes));
	r = r ?: store_flush(device);
	if (r < 0)
		message_error(v->log, "%s: cannot write the superblock: %s", io_file_path(device),
			      strerror(-r));
	return r;
}

/* ---- Tags ---- */

int tag_store_open(const struct volume *v, struct io_file *device, struct told *told,
		   struct tag_store *ret)
{
	int r;

	*ret = (struct tag_store){
		.volume = v,
		.told = told,
		.device = device,
		.blocks_max = TAGS_BYTES_MAX / v->geometry.tag_bytes,
	};
	r = volume_open_hash(v, true, &ret->digest);
	if (r < 0)
		return r;
	ret->request = aligned_alloc(64, digest_request_bytes(ret->digest));
	ret->tags = malloc(TAGS_BYTES_MAX);
	if (!ret->request || !ret->tags)
		return -ENOMEM;
	memset(ret->request, 0, digest_request_bytes(ret->digest));
	return 0;
}

void tag_store_close(struct tag_store *t)
{
	free(t->tags);
	free(t->request);
	digest_close(t->digest);
	memset(t, 0, sizeof(*t));
}

static int make_tags(struct tag_store *t, uint64_t first_sector, uint32_t blocks,
		     const uint8_t *data, size_t stride_bytes, bool headroom)
{
	const struct geometry *g = &t->volume->geometry;

	*t->request = (struct digest_request){
		.data = data,
		.message_bytes = (size_t)g->sectors_per_block * SECTOR_BYTES,
		.stride_bytes = stride_bytes,
		.count = blocks,
		.flags = DIGEST_SECTOR | (volume_is_salted(t->volume) ? DIGEST_SALTED : 0) |
			 (headroom ? DIGEST_HEADROOM : 0),
		.sector = first_sector,
		.sector_step = g->sectors_per_block,
		.tags = t->tags,
		.tag_stride_bytes = g->tag_bytes,
	};
	digest_submit(t->digest, t->request);
	digest_flush(t->digest);
	if (t->request->result < 0)
		told_error(t->told, t->volume->log, "%s: cannot compute tags: %s",
			   digest_driver_name(t->digest), strerror(-t->request->result));
	return t->request->result;
}

int tag_store_put(struct tag_store *t, uint64_t first_sector, uint32_t blocks, const uint8_t *data,
		  size_t stride_bytes, bool headroom)
{
	const struct geometry *g = &t->volume->geometry;
	int r = make_tags(t, first_sector, blocks, data, stride_bytes, headroom);

	if (r < 0)
		return r;
	r = store_write(t->device, geometry_tag_byte(g, first_sector), t->tags,
			(size_t)blocks * g->tag_bytes);
	if (r < 0)
		told_error(t->told, t->volume->log, "%s: cannot write tags: %s",
			   io_file_path(t->device), strerror(-r));
	return r;
}
