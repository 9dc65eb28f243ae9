/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Formatting. Everything that can be refused is refused before the first write; then
 *
 *	old superblock made unusable, durably -> data zeroed -> tags of zero blocks -> journal
 *	-> all durable -> superblock
 *
 * so that a device whose formatting was interrupted is never taken for a volume.
 */
#include "base/cleanup.h"
#include "base/message.h"
#include "base/num.h"
#include "format/bitmap.h"
#include "offline/crew.h"
#include "offline/signature.h"
#include "offline/store.h"
#include "offline/wipe.h"
#include "volume/section.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define BLOCK_BYTES_MAX	     4096
#define PIECE_SECTORS	     (1u << 16)	 /* whose tags one thread makes at a time */
#define WIPE_STEP_BYTES	     (64u << 20) /* between two looks at the clock */
#define JOURNAL_BUFFER_BYTES (1u << 20)
#define TICK_NS		     100000000ull

struct format {
	struct volume volume;
	const struct intact_format_options *options;
	const struct intact_log *log;
	struct io_file *device;
	struct io_file *data_device; /* the same object when there is one device */
	bool wipes;

	struct digest *mac;    /* NULL: no journal_mac */
	struct cipher *cipher; /* NULL: no journal_crypt */
	struct commit_ids commit_ids;

	struct told told;
	uint64_t ticked_ns;
	struct intact_format_counts counts;
};

static int fail(const struct format *f, int error, const char *what, const struct io_file *file)
{
	message_error(f->log, "%s: cannot %s: %s", io_file_path(file), what, strerror(-error));
	return error;
}

/* ---- What it shall be ---- */

static int open_devices(struct format *f, const struct intact_params *p)
{
	const unsigned flags = IO_FILE_WRITE | IO_FILE_LOCK;
	int r;

	if (!p->device) {
		message_error(f->log, "no device was given");
		return -EINVAL;
	}
	r = io_file_open(p->device, flags, f->log, &f->device);
	f->data_device = f->device;
	if (r == 0 && p->data_device) {
		f->data_device = NULL;
		r = io_file_open(p->data_device, flags, f->log, &f->data_device);
	}
	if (r < 0)
		return r;
	return volume_init(&f->volume, p, io_file_bytes(f->device) / SECTOR_BYTES,
			   p->data_device ? io_file_bytes(f->data_device) / SECTOR_BYTES : 0,
			   f->log);
}

static int make_salt(uint8_t salt[SB_SALT_BYTES])
{
	for (size_t done = 0; done < SB_SALT_BYTES;) {
		ssize_t got = getrandom(salt + done, SB_SALT_BYTES - done, 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			done += (size_t)got;
	}
	return 0;
}

static int choose_mode(struct volume *v)
{
	switch (v->params.mode) {
	case INTACT_MODE_RECOVERY:
		return volume_refuse(v, "nothing can be formatted in recovery mode");
	case INTACT_MODE_INLINE:
		return volume_refuse(v,
				     "inline volumes cannot be formatted here: their tags are in "
				     "the device's own metadata");
	case INTACT_MODE_JOURNAL:
	case INTACT_MODE_DIRECT:
	case INTACT_MODE_BITMAP:
		return 0;
	}
	v->params.mode = INTACT_MODE_JOURNAL;
	return 0;
}

static int choose_hash(struct volume *v)
{
	const char *name = v->params.internal_hash.name;

	if (!name[0])
		return 0;
	v->hash = digest_algorithm_find(name);
	if (!v->hash)
		return volume_refuse(v, "unknown algorithm %s", name);
	return 0;
}

static uint32_t choose_flags(const struct volume *v)
{
	const struct intact_params *p = &v->params;
	bool hash = p->internal_hash.name[0], mac = p->journal_mac.name[0];
	uint32_t flags = 0;

	if (mac)
		flags |= SB_HAVE_JOURNAL_MAC;
	if (p->recalculate)
		flags |= SB_RECALCULATING;
	if (p->fix_padding && !v->has_metadata_device)
		flags |= SB_FIXED_PADDING;
	if (p->fix_hmac && (hash || mac))
		flags |= SB_FIXED_HMAC;
	if (p->allow_discards_keyed)
		flags |= SB_DISCARD_KEYED;
	return flags;
}

static int choose_superblock(struct volume *v)
{
	const struct intact_params *p = &v->params;
	uint32_t block_bytes = p->block_bytes ?: SECTOR_BYTES;
	uint32_t tag_bytes = p->tag_bytes ?: (v->hash ? v->hash->digest_bytes : 0);

	if (tag_bytes == 0)
		return volume_refuse(v, "neither an internal hash nor a tag size was given");
	if (tag_bytes > SB_TAG_BYTES_MAX)
		return volume_refuse(v, "tags have at most %u bytes, not %u", SB_TAG_BYTES_MAX,
				     tag_bytes);
	if (!is_power_of_two(block_bytes) || block_bytes < SECTOR_BYTES ||
	    block_bytes > BLOCK_BYTES_MAX)
		return volume_refuse(v, "blocks have 512, 1024, 2048 or 4096 bytes, not %u",
				     block_bytes);
	if (p->recalculate && !v->hash)
		return volume_refuse(v, "without an internal hash nothing can be recalculated");
	v->sb = (struct sb){
		.tag_bytes = (uint16_t)tag_bytes,
		.flags = choose_flags(v),
		.log2_sectors_per_block = (uint8_t)log2_floor(block_bytes / SECTOR_BYTES),
	};
	return volume_is_salted(v) ? make_salt(v->sb.salt) : 0;
}

static int refuse_geometry(const struct volume *v, enum geometry_verdict verdict)
{
	bool too_small =
		verdict == GEOMETRY_DEVICE_TOO_SMALL || verdict == GEOMETRY_METADATA_TOO_SMALL;

	message_error(v->log, "%s: %s", v->params.device, geometry_explain(verdict));
	return too_small ? -ENOSPC : -EINVAL;
}

static int choose_geometry(struct volume *v)
{
	const struct intact_params *p = &v->params;
	enum geometry_verdict verdict = geometry_format(
		&v->sb, v->has_metadata_device ? GEOMETRY_METADATA_DEVICE : GEOMETRY_ONE_DEVICE,
		p->start_sector, v->device_sectors, v->data_device_sectors, p->interleave_sectors,
		p->journal_sectors, p->buffer_sectors, &v->geometry);
	struct bitmap_shape shape;

	if (verdict != GEOMETRY_GOOD)
		return refuse_geometry(v, verdict);
	if (p->length_sectors > v->sb.provided_data_sectors) {
		message_error(v->log, "%s: there is room for %llu sectors, not for %llu", p->device,
			      (unsigned long long)v->sb.provided_data_sectors,
			      (unsigned long long)p->length_sectors);
		return -ENOSPC;
	}
	v->geometry_good = true;
	v->sectors = v->sb.provided_data_sectors;
	bitmap_shape_choose(&v->geometry, p->sectors_per_bit, v->sectors, &shape);
	v->sb.log2_blocks_per_bitmap_bit = shape.log2_blocks_per_bit;
	return 0;
}

static int choose(struct volume *v)
{
	int r = choose_mode(v);

	r = r ?: choose_hash(v);
	r = r ?: choose_superblock(v);
	r = r ?: volume_check_params(v);
	r = r ?: choose_geometry(v);
	r = r ?: volume_check_recalculation(v);
	return r == -EMEDIUMTYPE ? -EINVAL : r;
}

/* Keys that are missing or wrong show here, before anything is written. */
static int open_algorithms(struct format *f)
{
	const struct volume *v = &f->volume;
	struct digest *hash;
	int r = 0;

	if (v->hash)
		r = volume_open_hash(v, false, &hash);
	if (r < 0)
		return r;
	if (v->hash)
		digest_close(hash);
	r = volume_open_journal_mac(v, &f->mac);
	r = r ?: volume_open_cipher(v, &f->cipher);
	return r ?: volume_commit_ids(v, f->cipher, &f->commit_ids);
}

/* ---- What is there ---- */

static int look(struct format *f, struct io_file *file, uint64_t offset)
{
	const struct intact_format_options *o = f->options;
	char what[64];
	int found = signature_find(file, offset, what, sizeof(what));

	if (found < 0)
		return fail(f, found, "look for what it carries", file);
	if (found == 0)
		return 0;
	if (!o->overwrite || !o->overwrite(o->opaque, io_file_path(file), what)) {
		message_error(f->log, "%s carries %s: not overwritten without --force",
			      io_file_path(file), what);
		return -EEXIST;
	}
	return 0;
}

static uint64_t start_offset(const struct format *f)
{
	return f->volume.params.start_sector * SECTOR_BYTES;
}

/* Data that are left alone may well have a file system. */
static int look_at_devices(struct format *f)
{
	int r = look(f, f->device, start_offset(f));

	if (r == 0 && f->volume.has_metadata_device && f->wipes)
		r = look(f, f->data_device, 0);
	return r;
}

/* Some of it may lie where nothing of ours will. */
static int forget(struct format *f)
{
	uint8_t mark[SB_BYTES];
	int r;

	sb_mark_unfinished(mark);
	r = store_write(f->device, start_offset(f), mark, sizeof(mark));
	r = r ?: store_flush(f->device);
	if (r < 0)
		return fail(f, r, "write", f->device);
	r = signature_wipe(f->device, start_offset(f));
	if (r < 0)
		return fail(f, r, "remove what it carried", f->device);
	if (!f->volume.has_metadata_device || !f->wipes)
		return 0;
	r = signature_wipe(f->data_device, 0);
	return r < 0 ? fail(f, r, "remove what it carried", f->data_device) : 0;
}

/* ---- While it runs ---- */

static int tick(struct format *f, enum intact_format_step step, uint64_t done, uint64_t total)
{
	const struct intact_format_options *o = f->options;
	const struct intact_format_progress progress = {step, done, total};

	if (o->progress)
		o->progress(o->opaque, &progress);
	return o->stop && o->stop(o->opaque) ? -ECANCELED : 0;
}

static int tick_if_due(struct format *f, uint64_t done, uint64_t total)
{
	uint64_t now_ns = io_now_ns();

	if (now_ns - f->ticked_ns < TICK_NS)
		return 0;
	f->ticked_ns = now_ns;
	return tick(f, INTACT_FORMAT_ZERO, done, total);
}

/* ---- Data ---- */

static int zero(struct format *f, struct io_file *file, uint64_t from_byte, uint64_t to_byte)
{
	uint64_t total = to_byte - from_byte, done = 0;
	struct wipe wipe;
	int r = 0;

	wipe_init(&wipe, file);
	while (r == 0 && done < total) {
		uint64_t now = min_u64(total - done, WIPE_STEP_BYTES);

		r = wipe_range(&wipe, from_byte + done, now);
		if (r < 0)
			return fail(f, r, "zero", file);
		done += now;
		r = tick_if_due(f, done, total);
	}
	f->counts.zeroed_bytes += wipe.zeroed_bytes;
	f->counts.written_bytes += wipe.written_bytes;
	return r ?: tick(f, INTACT_FORMAT_ZERO, done, total);
}

/* Tags lie between the data, or behind them on the other device; with a hash they are written in the
 * next step, without one they are the other layer's and zero.
 */
static int zero_all(struct format *f)
{
	const struct geometry *g = &f->volume.geometry;
	uint64_t first_tag = geometry_tag_byte(g, 0);
	uint64_t tag_bytes = (g->provided_sectors >> g->log2_sectors_per_block) * g->tag_bytes;
	uint64_t data_end = geometry_data_sector(g, g->provided_sectors - 1) + 1;
	int r;

	if (!f->volume.has_metadata_device)
		return zero(f, f->device, first_tag, data_end * SECTOR_BYTES);
	r = zero(f, f->data_device, 0, data_end * SECTOR_BYTES);
	if (r == 0 && !f->volume.hash)
		r = zero(f, f->device, first_tag, first_tag + tag_bytes);
	return r;
}

/* ---- Tags ---- */

static const uint8_t zero_block[BLOCK_BYTES_MAX];

static int hand_begin(void *opaque, void **ret_hand)
{
	struct format *f = opaque;
	struct tag_store *tags = malloc(sizeof(*tags));
	int r;

	if (!tags)
		return -ENOMEM;
	r = tag_store_open(&f->volume, f->device, &f->told, tags);
	if (r < 0) {
		tag_store_close(tags);
		free(tags);
		return r;
	}
	*ret_hand = tags;
	return 0;
}

static void hand_end(void *hand)
{
	if (hand)
		tag_store_close(hand);
	free(hand);
}

static int hand_work(void *hand, uint64_t piece)
{
	struct tag_store *tags = hand;
	const struct geometry *g = &tags->volume->geometry;
	uint64_t sector = piece * PIECE_SECTORS;
	uint64_t end = min_u64(sector + PIECE_SECTORS, g->provided_sectors);

	while (sector < end) {
		uint64_t together = min_u64(geometry_contiguous_sectors(g, sector), end - sector);
		uint64_t blocks = min_u64(together >> g->log2_sectors_per_block, tags->blocks_max);
		int r = tag_store_put(tags, sector, (uint32_t)blocks, zero_block, 0, false);

		if (r < 0)
			return r;
		sector += blocks << g->log2_sectors_per_block;
	}
	return 0;
}

static int tags_tick(void *opaque, uint64_t finished)
{
	struct format *f = opaque;
	uint64_t total = f->volume.sectors * SECTOR_BYTES;

	return tick(f, INTACT_FORMAT_TAGS, min_u64(finished * PIECE_SECTORS * SECTOR_BYTES, total),
		    total);
}

static int write_tags(struct format *f)
{
	const struct geometry *g = &f->volume.geometry;
	const struct crew crew = {
		.pieces = div_round_up(g->provided_sectors, PIECE_SECTORS),
		.jobs = f->options->jobs,
		.begin = hand_begin,
		.end = hand_end,
		.work = hand_work,
		.tick = tags_tick,
		.opaque = f,
	};
	uint64_t finished;
	int r = crew_run(&crew, &finished);

	if (r == 0)
		f->counts.written_bytes +=
			(g->provided_sectors >> g->log2_sectors_per_block) * g->tag_bytes;
	return r ?: tags_tick(f, finished);
}

/* ---- Journal ---- */

static int write_sections(struct format *f, uint32_t first, uint32_t count, uint8_t *buffer,
			  uint8_t *message)
{
	const struct volume *v = &f->volume;
	size_t bytes = volume_section_bytes(v);
	int r = 0;

	for (uint32_t i = 0; i < count && r == 0; i++)
		r = volume_section_empty(v, f->mac, f->cipher, &f->commit_ids, first + i, 0,
					 buffer + i * bytes, message);
	if (r < 0)
		return fail(f, r, "compute the journal", f->device);
	r = store_write(f->device, geometry_section_sector(&v->geometry, first) * SECTOR_BYTES,
			buffer, count * bytes);
	if (r < 0)
		return fail(f, r, "write the journal", f->device);
	f->counts.written_bytes += count * bytes;
	return 0;
}

static int write_journal(struct format *f)
{
	const struct geometry *g = &f->volume.geometry;
	size_t bytes = volume_section_bytes(&f->volume);
	uint32_t at_once = (uint32_t)max_u64(1, JOURNAL_BUFFER_BYTES / bytes);
	AUTO_FREE uint8_t *buffer = malloc(at_once * bytes);
	AUTO_FREE uint8_t *message = malloc(section_mac_message_bytes(g));
	int r = buffer && message ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < g->journal_sections && r == 0; i += at_once)
		r = write_sections(f, i, (uint32_t)min_u64(at_once, g->journal_sections - i),
				   buffer, message);
	return r;
}

/* ---- All of it ---- */

static int flush(struct format *f)
{
	int r = store_flush(f->device);

	if (r < 0)
		return fail(f, r, "flush", f->device);
	if (f->data_device != f->device)
		r = store_flush(f->data_device);
	return r < 0 ? fail(f, r, "flush", f->data_device) : 0;
}

static int prepare(struct format *f, const struct intact_params *params)
{
	int r = open_devices(f, params);

	r = r ?: choose(&f->volume);
	r = r ?: open_algorithms(f);
	f->wipes = !f->options->no_wipe && !params->recalculate;
	return r ?: look_at_devices(f);
}

static int write_all(struct format *f)
{
	int r = forget(f);

	if (r == 0 && f->wipes)
		r = zero_all(f);
	if (r == 0 && f->wipes && f->volume.hash)
		r = write_tags(f);
	r = r ?: write_journal(f);
	r = r ?: flush(f);
	r = r ?: store_superblock(&f->volume, f->device);
	if (r < 0)
		return r;
	f->counts.written_bytes += SB_BYTES;
	f->counts.sectors = f->volume.sectors;
	return 0;
}

static void close_all(struct format *f)
{
	digest_close(f->mac);
	cipher_close(f->cipher);
	volume_done(&f->volume);
	if (f->data_device != f->device)
		io_file_close(f->data_device);
	io_file_close(f->device);
}

int intact_format(const struct intact_params *params, const struct intact_format_options *options,
		  const struct intact_log *log, struct intact_format_counts *ret_counts)
{
	struct format f = {.options = options, .log = log, .told = {ATOMIC_FLAG_INIT}};
	int r = prepare(&f, params);

	r = r ?: write_all(&f);
	close_all(&f);
	*ret_counts = f.counts;
	return r;
}
