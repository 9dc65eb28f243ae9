/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing to volumes that nobody has activated, on the calling thread.
 */
#ifndef INTACT_OFFLINE_STORE_H
#define INTACT_OFFLINE_STORE_H

#include "io/io.h"
#include "volume/volume.h"

#include <stdatomic.h>

/* All of it, or negative errno; neither says anything. */
int store_write(struct io_file *f, uint64_t offset, const void *from, size_t bytes);
int store_flush(struct io_file *f);

/* v->sb to the device, with its version and MAC, durably. Says why not. */
int store_superblock(struct volume *v, struct io_file *device);

/* ---- Tags, for one thread ---- */

/* A failure that several threads may meet, and one of them tells of. */
struct told {
	atomic_flag already;
};

#define told_error(told, log, ...)                                                                 \
	do {                                                                                       \
		if (!atomic_flag_test_and_set(&(told)->already))                                   \
			message_error(log, __VA_ARGS__);                                           \
	} while (0)

struct tag_store {
	const struct volume *volume;
	struct told *told;
	struct io_file *device;
	struct digest *digest;
	struct digest_request *request;
	uint8_t *tags;
	uint32_t blocks_max; /* at once */
};

int tag_store_open(const struct volume *v, struct io_file *device, struct told *told,
		   struct tag_store *ret);
void tag_store_close(struct tag_store *t);

/* Makes the tags of blocks that lie together and writes them; at most blocks_max. Data of block i are
 * at data + i * stride_bytes, with DIGEST_HEADROOM_BYTES before them to spare when told so. Tells
 * why not.
 */
int tag_store_put(struct tag_store *t, uint64_t first_sector, uint32_t blocks, const uint8_t *data,
		  size_t stride_bytes, bool headroom);

#endif
