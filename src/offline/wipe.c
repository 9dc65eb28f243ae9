/* SPDX-License-Identifier: BSD-2-Clause */
#include "offline/wipe.h"

#include "base/num.h"
#include "offline/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define PIECE_BYTES (1u << 18)

/* A file that has all its space is meant to keep it. */
static enum wipe_way way_for_file(struct io_file *file)
{
	struct stat st;

	if (fstat(io_file_fd(file), &st) < 0)
		return WIPE_HOLE;
	return (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size ? WIPE_UNWRITTEN : WIPE_HOLE;
}

void wipe_init(struct wipe *w, struct io_file *file)
{
	*w = (struct wipe){
		.file = file,
		.way = io_file_is_block_device(file) ? WIPE_DEVICE : way_for_file(file),
	};
}

static int allocate(struct wipe *w, int mode, uint64_t offset, uint64_t bytes)
{
	int r = fallocate(io_file_fd(w->file), mode | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			  (off_t)bytes);

	return r < 0 ? -errno : 0;
}

static int write_zeros(struct wipe *w, uint64_t offset, uint64_t bytes)
{
	static const uint8_t zeros[PIECE_BYTES];

	while (bytes > 0) {
		size_t now = (size_t)min_u64(bytes, sizeof(zeros));
		int r = store_write(w->file, offset, zeros, now);

		if (r < 0)
			return r;
		w->written_bytes += now;
		offset += now;
		bytes -= now;
	}
	return 0;
}

static int try_way(struct wipe *w, uint64_t offset, uint64_t bytes)
{
	uint64_t range[2] = {offset, bytes};

	switch (w->way) {
	case WIPE_HOLE:
		return allocate(w, FALLOC_FL_PUNCH_HOLE, offset, bytes);
	case WIPE_UNWRITTEN:
		return allocate(w, FALLOC_FL_ZERO_RANGE, offset, bytes);
	case WIPE_DEVICE:
		return ioctl(io_file_fd(w->file), BLKZEROOUT, range) < 0 ? -errno : 0;
	case WIPE_WRITE:
		break;
	}
	return write_zeros(w, offset, bytes);
}

static enum wipe_way next_way(enum wipe_way way)
{
	return way == WIPE_UNWRITTEN ? WIPE_HOLE : WIPE_WRITE;
}

static bool is_unsupported(int error)
{
	return error == -EOPNOTSUPP || error == -ENOTTY || error == -EINVAL || error == -ENOSYS;
}

int wipe_range(struct wipe *w, uint64_t offset, uint64_t bytes)
{
	int r = try_way(w, offset, bytes);

	while (r < 0 && w->way != WIPE_WRITE && is_unsupported(r)) {
		w->way = next_way(w->way);
		r = try_way(w, offset, bytes);
	}
	if (r == 0 && w->way != WIPE_WRITE)
		w->zeroed_bytes += bytes;
	return r;
}
