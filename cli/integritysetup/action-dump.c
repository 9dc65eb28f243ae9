/* SPDX-License-Identifier: BSD-2-Clause
 *
 * integritysetup dump: the superblock, line by line as cryptsetup 2.8 has it.
 */
#include "isetup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static unsigned log2_of(uint64_t value)
{
	unsigned bits = 0;

	while (value > 1) {
		value >>= 1;
		bits++;
	}
	return bits;
}

/* cryptsetup's names, in the order of the bits. */
static void print_flags(uint32_t flags)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{INTACT_FLAG_HAVE_JOURNAL_MAC, "have_journal_mac"},
		{INTACT_FLAG_RECALCULATING, "recalculating"},
		{INTACT_FLAG_DIRTY_BITMAP, "dirty_bitmap"},
		{INTACT_FLAG_FIX_PADDING, "fix_padding"},
		{INTACT_FLAG_FIX_HMAC, "fix_hmac"},
		{INTACT_FLAG_INLINE, "inline"},
		{INTACT_FLAG_DISCARD_KEYED, "discards_keyed"},
	};

	fputs("flags: ", stdout);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (flags & names[i].bit)
			printf("%s ", names[i].name);
	}
	putchar('\n');
}

static void print_superblock(const char *device, const struct intact_superblock *sb)
{
	printf("INTEGRITY header information for %s.\n", device);
	printf("version: %" PRIu32 "\n", sb->version);
	printf("tag size: %" PRIu32 " [bytes]\n", sb->tag_bytes);
	printf("sector size: %" PRIu32 " [bytes]\n", sb->block_bytes);
	printf("data size: %" PRIu64 " [512-byte units] (%" PRIu64 " [bytes])\n",
	       sb->provided_data_sectors, sb->provided_data_sectors * 512);
	if (sb->flags & INTACT_FLAG_RECALCULATING)
		printf("recalculate sector: %" PRIu64 "\n", sb->recalc_sector);
	printf("journal sections: %" PRIu32 "\n", sb->journal_sections);
	printf("log2 interleave sectors: %u\n", log2_of(sb->interleave_sectors));
	printf("log2 blocks per bitmap: %" PRIu32 "\n", sb->log2_blocks_per_bitmap_bit);
	print_flags(sb->flags);
}

/* No data device is needed to show a metadata device's superblock: the same one does. */
static int open_view(struct arguments *a, struct intact_view **ret)
{
	int r = intact_view_open(&a->params, INTACT_VIEW_SUPERBLOCK_ONLY, &a->log, ret);

	if (r != -EMEDIUMTYPE || a->params.data_device)
		return r;
	a->params.data_device = strdup(a->params.device);
	return a->params.data_device
		       ? intact_view_open(&a->params, INTACT_VIEW_SUPERBLOCK_ONLY, &a->log, ret)
		       : -ENOMEM;
}

int action_dump(struct arguments *a)
{
	struct intact_view *v;
	int r = params_name_devices(a);

	r = r ?: check_device(a->params.device);
	if (r < 0)
		return exit_status(r);
	a->quiet = true;
	r = open_view(a, &v);
	if (r == -EMEDIUMTYPE) {
		complain("Device %s is not a valid INTEGRITY device.", a->params.device);
		return ISETUP_PARAMETERS;
	}
	if (r < 0)
		return complain_as_told(a, NULL, r);
	print_superblock(a->params.device, intact_view_superblock(v));
	intact_view_close(v);
	return ISETUP_WELL;
}
