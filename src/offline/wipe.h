/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Zeros without writing them: a hole where a file has holes, otherwise unwritten extents, or the
 * device's own way. Written only where nothing of this works.
 */
#ifndef INTACT_OFFLINE_WIPE_H
#define INTACT_OFFLINE_WIPE_H

#include "io/io.h"

enum wipe_way {
	WIPE_HOLE,	/* fallocate: give the space back */
	WIPE_UNWRITTEN, /* fallocate: keep it */
	WIPE_DEVICE,	/* BLKZEROOUT */
	WIPE_WRITE,
};

struct wipe {
	struct io_file *file;
	enum wipe_way way;
	uint64_t zeroed_bytes, written_bytes; /* so far */
};

void wipe_init(struct wipe *w, struct io_file *file);

/* 0 or negative errno. */
int wipe_range(struct wipe *w, uint64_t offset, uint64_t bytes);

#endif
