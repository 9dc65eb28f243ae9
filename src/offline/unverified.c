/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks whose tags need not fit: those in dirty regions of the bitmap, and those that a
 * recalculation has not reached.
 *
 * While a bitmap is on disk it is the only authority: it was written with everything from
 * recalc_sector on dirty, and a recalculation that dirty regions started from 0 says nothing about
 * the clean ones (docs/format.md sections 6 and 7).
 */
#include "base/message.h"
#include "base/num.h"
#include "offline/view.h"

#include <errno.h>
#include <string.h>

static uint64_t bitmap_offset(const struct intact_view *v)
{
	return geometry_journal_sector(&v->volume.geometry) * SECTOR_BYTES;
}

static int read_window(struct unverified *u, uint64_t window)
{
	int r;

	if (u->window == window)
		return 0;
	u->window = UINT64_MAX;
	r = io_file_read(u->view->device, bitmap_offset(u->view) + window * BITMAP_BLOCK_BYTES,
			 u->bits, BITMAP_BLOCK_BYTES);
	if (r == 0)
		u->window = window;
	return r;
}

void unverified_init(struct unverified *u, const struct intact_view *v)
{
	u->view = v;
	u->window = UINT64_MAX;
}

static int region_is_dirty(struct unverified *u, uint64_t sector, bool *ret)
{
	const uint64_t bits_per_window = 8ull * BITMAP_BLOCK_BYTES;
	uint64_t region = u->view->bitmap_shape.regions
				  ? bitmap_region_of(&u->view->bitmap_shape, sector)
				  : 0;
	int r;

	/* The device may have grown since: nothing is known of what lies beyond. */
	*ret = true;
	if (region >= u->view->bitmap_shape.regions)
		return 0;
	r = read_window(u, region / bits_per_window);
	if (r == 0)
		*ret = bitmap_test(u->bits, region % bits_per_window);
	return r;
}

int unverified_test(struct unverified *u, uint64_t sector, bool *ret)
{
	const struct intact_view *v = u->view;

	if (v->bitmap.present) {
		*ret = false;
		return v->bitmap.trusted ? region_is_dirty(u, sector, ret) : 0;
	}
	*ret = (v->volume.sb.flags & SB_RECALCULATING) && sector >= v->volume.sb.recalc_sector;
	return 0;
}

static int count_dirty(struct intact_view *v)
{
	const uint64_t bits_per_window = 8ull * BITMAP_BLOCK_BYTES;
	uint64_t regions = v->bitmap_shape.regions;
	struct unverified u;

	unverified_init(&u, v);
	for (uint64_t at = 0; at < regions; at += bits_per_window) {
		int r = read_window(&u, at / bits_per_window);

		if (r < 0)
			return r;
		v->bitmap.dirty_regions +=
			bitmap_count(u.bits, min_u64(bits_per_window, regions - at));
	}
	return 0;
}

int unverified_open(struct intact_view *v)
{
	int r;

	v->bitmap.present = true;
	/* The kernel writes its encryption buffer where the bitmap should be. */
	if (v->volume.params.journal_crypt.name[0]) {
		message_warning(
			v->volume.log,
			"the bitmap of a volume with journal_crypt never reaches the disk: every "
			"block is verified, also those that were being written");
		return 0;
	}
	/* Without a region every sector lies beyond what the bitmap knows: all dirty, as the kernel
	 * has it.
	 */
	if (bitmap_shape_stored(&v->volume.geometry, v->volume.sb.log2_blocks_per_bitmap_bit,
				v->volume.geometry.stored_provided_sectors,
				&v->bitmap_shape) != BITMAP_GOOD) {
		message_warning(v->volume.log,
				"%s: the bitmap's granularity (2^%u blocks) does not fit its area: "
				"everything counts as dirty",
				v->volume.params.device, v->volume.sb.log2_blocks_per_bitmap_bit);
		v->bitmap_shape.regions = 0;
	}
	v->bitmap.trusted = true;
	v->bitmap.region_sectors = v->bitmap_shape.region_sectors;
	v->bitmap.regions = v->bitmap_shape.regions;
	r = count_dirty(v);
	if (r < 0)
		message_error(v->volume.log, "%s: cannot read the bitmap: %s",
			      v->volume.params.device, strerror(-r));
	return r < 0 ? -EIO : 0;
}
