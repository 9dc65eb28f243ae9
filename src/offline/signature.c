/* SPDX-License-Identifier: BSD-2-Clause */
#include "offline/signature.h"

#include "format/superblock.h"

#include <blkid.h>
#include <errno.h>
#include <stdio.h>

static int set_up(blkid_probe probe, struct io_file *f, uint64_t offset)
{
	const int superblocks = BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM;
	const int partitions = BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT;

	errno = 0;
	if (blkid_probe_set_device(probe, io_file_fd(f), (blkid_loff_t)offset, 0) < 0 ||
	    blkid_probe_enable_superblocks(probe, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(probe, superblocks) < 0 ||
	    blkid_probe_enable_partitions(probe, 1) < 0 ||
	    blkid_probe_set_partitions_flags(probe, partitions) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

/* Calls `found` for each until that returns other than 0. */
static int probe_each(struct io_file *f, uint64_t offset, int (*found)(blkid_probe probe, void *at),
		      void *at)
{
	blkid_probe probe = blkid_new_probe();
	int r, more = 0;

	if (!probe)
		return -ENOMEM;
	r = set_up(probe, f, offset);
	while (r == 0) {
		more = blkid_do_probe(probe);
		if (more != 0)
			break;
		r = found(probe, at);
	}
	blkid_free_probe(probe);
	return r ?: (more < 0 ? -EIO : 0);
}

struct text {
	char *at;
	size_t size;
};

static int take_name(blkid_probe probe, void *at)
{
	struct text *text = at;
	const char *name;

	if (blkid_probe_lookup_value(probe, "TYPE", &name, NULL) == 0)
		snprintf(text->at, text->size, "%s", name);
	else if (blkid_probe_lookup_value(probe, "PTTYPE", &name, NULL) == 0)
		snprintf(text->at, text->size, "a partition table (%s)", name);
	else
		snprintf(text->at, text->size, "a signature that libblkid knows");
	return 1;
}

static int wipe_one(blkid_probe probe, void *at)
{
	(void)at;
	return blkid_do_wipe(probe, 0) < 0 ? -EIO : 0;
}

/* Newer ones than libblkid knows, too. */
static int find_volume(struct io_file *f, uint64_t offset, char *text, size_t size)
{
	uint8_t bytes[SB_BYTES];
	struct sb sb;
	int r = io_file_read(f, offset, bytes, sizeof(bytes));

	if (r < 0)
		return r == -ENODATA ? 0 : r;
	if (sb_decode(bytes, false, &sb) != SB_GOOD && sb_decode(bytes, true, &sb) != SB_GOOD)
		return 0;
	snprintf(text, size, "a dm-integrity volume");
	return 1;
}

int signature_find(struct io_file *f, uint64_t offset, char *text, size_t size)
{
	struct text to = {text, size};

	return find_volume(f, offset, text, size) ?: probe_each(f, offset, take_name, &to);
}

int signature_wipe(struct io_file *f, uint64_t offset)
{
	return probe_each(f, offset, wipe_one, NULL);
}
