/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing to volumes that nobody has activated, on the calling thread.
 */
#ifndef INTACT_OFFLINE_STORE_H
#define INTACT_OFFLINE_STORE_H

#include "io/io.h"
#include "volume/volume.h"

/* All of it, or negative errno; neither says anything. */
int store_write(struct io_file *f, uint64_t offset, const void *from, size_t bytes);
int store_flush(struct io_file *f);

/* v->sb to the device, with its version and MAC, durably. Says why not. */
int store_superblock(struct volume *v, struct io_file *device);

/* ---- Tags, for one thread ---- */

struct tag_store {
	const struct volume *volume;
	struct io_file *device;
	struct digest *digest;
	struct digest_request *request;
	uint8_t *tags;
	uint32_t blocks_max; /* at once */
};

int tag_store_open(const struct volume *v, struct io_file *device, struct tag_store *ret);
void tag_store_close(struct tag_store *t);

/* Makes the tags of blocks that lie together and writes them; at most blocks_max. Data of block i are
 * at data + i * stride_bytes, with DIGEST_HEADROOM_BYTES before them to spare when told so. Says why
 * not.
 */
int tag_store_put(struct tag_store *t, uint64_t first_sector, uint32_t blocks, const uint8_t *data,
		  size_t stride_bytes, bool headroom);

#endif
