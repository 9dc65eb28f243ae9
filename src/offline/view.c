/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening a view. In order, each step believing only what the ones before it have established:
 *
 *	devices -> superblock -> parameters against it -> geometry -> length -> hash -> superblock
 *MAC
 *	-> bitmap or journal
 */
#include "offline/view.h"
#include "base/cleanup.h"
#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"

#include <errno.h>
#include <string.h>

#define DISCARD_FILLER 0xf6

static bool in_recovery(const struct intact_view *v)
{
	return v->params.mode == INTACT_MODE_RECOVERY;
}

static bool is_inline(const struct intact_view *v)
{
	return v->sb.flags & SB_INLINE;
}

/* "Not a volume, or not with these parameters": the message says which. */
#define refuse(v, ...) (message_error((v)->log, __VA_ARGS__), -EMEDIUMTYPE)

/* ---- Devices ----------------------------------------------------------------------------------
 */

static int open_devices(struct intact_view *v)
{
	int r = io_file_open(v->params.device, 0, v->log, &v->device);

	if (r < 0)
		return r;
	v->data_device = v->device;
	if (v->params.data_device) {
		r = io_file_open(v->params.data_device, 0, v->log, &v->data_device);
		if (r < 0) {
			v->data_device = v->device;
			return r;
		}
	}
	if (v->params.inline_tags)
		r = io_file_open(v->params.inline_tags, 0, v->log, &v->inline_tags);
	return r;
}

static uint64_t file_sectors(const struct io_file *f)
{
	return io_file_bytes(f) / SECTOR_BYTES;
}

static bool has_metadata_device(const struct intact_view *v)
{
	return v->data_device != v->device;
}

/* ---- Superblock -------------------------------------------------------------------------------
 */

static int refuse_superblock(struct intact_view *v, enum sb_verdict verdict,
			     const uint8_t bytes[SB_BYTES])
{
	struct sb other;
	char text[160];

	/* The commonest mistake with two devices, in both directions. */
	if (sb_decode(bytes, !has_metadata_device(v), &other) == SB_GOOD)
		return refuse(v, "%s: the superblock is of a volume %s", v->params.device,
			      has_metadata_device(v)
				      ? "on one device; leave out --data-device"
				      : "with its data on another device; give --data-device");
	sb_explain(verdict, bytes, text, sizeof(text));
	return refuse(v, "%s: sector %llu: %s", v->params.device,
		      (unsigned long long)v->params.start_sector, text);
}

static int read_superblock(struct intact_view *v, uint8_t bytes[SB_BYTES])
{
	uint64_t offset;
	enum sb_verdict verdict;
	int r = -ENODATA;

	if (mul_checked(v->params.start_sector, SECTOR_BYTES, &offset) && offset <= INT64_MAX)
		r = io_file_read(v->device, offset, bytes, SB_BYTES);
	if (r == -ENODATA)
		return refuse(v,
			      "%s ends before the superblock at sector %llu: it has %llu sectors",
			      v->params.device, (unsigned long long)v->params.start_sector,
			      (unsigned long long)file_sectors(v->device));
	if (r < 0) {
		message_error(v->log, "%s: cannot read the superblock: %s", v->params.device,
			      strerror(-r));
		return -EIO;
	}
	verdict = sb_decode(bytes, has_metadata_device(v), &v->sb);
	if (verdict != SB_GOOD)
		return refuse_superblock(v, verdict, bytes);
	if (v->sb.flags & ~SB_FLAGS_KNOWN)
		message_warning(v->log,
				"%s: the superblock has unknown flags 0x%x, which are ignored",
				v->params.device, v->sb.flags & ~SB_FLAGS_KNOWN);
	return 0;
}

static void describe_superblock(struct intact_view *v)
{
	const struct sb *sb = &v->sb;

	v->superblock = (struct intact_superblock){
		.version = sb->version,
		.flags = sb->flags,
		.tag_bytes = sb->tag_bytes,
		.block_bytes = SECTOR_BYTES << sb->log2_sectors_per_block,
		.interleave_sectors =
			has_metadata_device(v) ? 0 : 1ull << sb->log2_interleave_sectors,
		.journal_sections = sb->journal_sections,
		.provided_data_sectors = sb->provided_data_sectors,
		.recalc_sector = sb->recalc_sector,
		.log2_blocks_per_bitmap_bit = sb->log2_blocks_per_bitmap_bit,
	};
	memcpy(v->superblock.salt, sb->salt, sizeof(v->superblock.salt));
}

/* ---- Parameters against the superblock (docs/format.md section 9)
 * -------------------------------- */

static int check_mode(const struct intact_view *v)
{
	const struct intact_params *p = &v->params;

	if (is_inline(v) && p->mode != 0 && p->mode != INTACT_MODE_INLINE)
		return refuse(v, "mode %c was asked for, but the volume keeps its tags inline",
			      p->mode);
	if (!is_inline(v) && p->mode == INTACT_MODE_INLINE)
		return refuse(v, "inline mode was asked for, but the volume has a tag area");
	if (is_inline(v) && has_metadata_device(v))
		return refuse(v, "an inline volume has no metadata device");
	if (is_inline(v) && (p->journal_mac.name[0] || p->journal_crypt.name[0]))
		return refuse(v, "an inline volume has no journal: %s makes no sense",
			      p->journal_mac.name[0] ? "journal_mac" : "journal_crypt");
	if (is_inline(v) && (p->allow_discards || p->allow_discards_keyed))
		return refuse(v, "discards are not possible on an inline volume");
	if (p->mode == INTACT_MODE_BITMAP && p->journal_crypt.name[0])
		return refuse(v, "mode B with journal_crypt loses its bitmap in a crash: refused");
	return 0;
}

static int check_hash_presence(const struct intact_view *v)
{
	const struct intact_params *p = &v->params;
	bool hash = p->internal_hash.name[0];

	if (!hash && p->mode == INTACT_MODE_BITMAP)
		return refuse(v, "mode B needs an internal hash");
	if (!hash && is_inline(v))
		return refuse(v, "an inline volume needs an internal hash");
	if (!hash && (p->allow_discards || p->allow_discards_keyed))
		return refuse(v, "discards need an internal hash");
	if (!hash && p->tag_bytes == 0)
		return refuse(v, "neither an internal hash nor a tag size was given");
	if (p->internal_hash.key && !hash)
		return refuse(v, "a key was given, but no internal hash");
	return 0;
}

static int check_discards(const struct intact_view *v)
{
	if (v->params.allow_discards_keyed && v->hash && !v->hash->keyed)
		return refuse(v, "allow_discards_keyed needs a keyed hash, %s is not",
			      v->hash->name);
	if ((v->sb.flags & SB_DISCARD_KEYED) && !v->params.allow_discards_keyed)
		return refuse(v, "the volume has keyed discards: give --allow-discards-keyed");
	return 0;
}

static int check_sizes(const struct intact_view *v)
{
	const struct intact_params *p = &v->params;
	uint32_t block_bytes = v->superblock.block_bytes;

	if (p->block_bytes && p->block_bytes != block_bytes)
		return refuse(v, "block size %u was given, the superblock says %u", p->block_bytes,
			      block_bytes);
	if (p->tag_bytes && p->tag_bytes != v->sb.tag_bytes)
		return refuse(v, "tag size %u was given, the superblock says %u", p->tag_bytes,
			      v->sb.tag_bytes);
	if (!p->tag_bytes && v->hash && v->hash->digest_bytes != v->sb.tag_bytes)
		return refuse(v,
			      "%s makes tags of %u bytes, the superblock says %u: another "
			      "algorithm, or give "
			      "--tag-size %u",
			      v->hash->name, v->hash->digest_bytes, v->sb.tag_bytes,
			      v->sb.tag_bytes);
	return 0;
}

static int check_journal_mac(const struct intact_view *v)
{
	bool given = v->params.journal_mac.name[0];
	bool stored = v->sb.flags & SB_HAVE_JOURNAL_MAC;

	if (in_recovery(v))
		return 0;
	if (stored && !given)
		return refuse(v,
			      "the journal is authenticated: give --journal-integrity and its key");
	if (given && !stored)
		return refuse(v, "a journal_mac was given, but the journal has none");
	if (given && v->params.fix_hmac && v->params.journal_mac.key &&
	    !(v->sb.flags & SB_FIXED_HMAC))
		return refuse(v, "fix_hmac was given, but the superblock lacks it: tampered with?");
	return 0;
}

/* What the user says against what the superblock says. */
static int check_params(struct intact_view *v)
{
	bool automatic = strcmp(v->params.internal_hash.name, "auto") == 0;
	int r;

	if (!automatic && v->params.internal_hash.name[0]) {
		v->hash = digest_algorithm_find(v->params.internal_hash.name);
		if (!v->hash) {
			message_error(v->log, "unknown algorithm %s", v->params.internal_hash.name);
			return -EINVAL;
		}
	}
	r = check_mode(v);
	r = r ?: check_hash_presence(v);
	r = r ?: check_sizes(v);
	r = r ?: check_journal_mac(v);
	return r ?: check_discards(v);
}

/* ---- Geometry ---------------------------------------------------------------------------------
 */

static void describe_layout(struct intact_view *v)
{
	const struct geometry *g = &v->geometry;
	bool tags_on_device = g->kind != GEOMETRY_INLINE;

	v->layout = (struct intact_layout){
		.superblock_sector = g->start_sector,
		.journal_sector = geometry_journal_sector(g),
		.journal_sectors = g->journal_sectors,
		.section_sectors = g->section_sectors,
		.section_entries = g->section_entries,
		.entry_bytes = g->entry_bytes,
		.first_tag_sector = tags_on_device ? g->start_sector + g->initial_sectors : 0,
		.first_data_sector = geometry_data_sector(g, 0),
		.run_tag_sectors = g->run_tag_sectors,
		.runs = geometry_runs(g),
		.provided_data_sectors = g->provided_sectors,
		.device_sectors = file_sectors(v->device),
		.data_device_sectors = has_metadata_device(v) ? file_sectors(v->data_device) : 0,
	};
}

static int make_geometry(struct intact_view *v, unsigned flags)
{
	enum geometry_kind kind = is_inline(v)		   ? GEOMETRY_INLINE
				  : has_metadata_device(v) ? GEOMETRY_METADATA_DEVICE
							   : GEOMETRY_ONE_DEVICE;
	enum geometry_verdict verdict =
		geometry_make(&v->sb, kind, v->params.start_sector, file_sectors(v->device),
			      file_sectors(v->data_device), v->params.buffer_sectors, &v->geometry);

	if (verdict == GEOMETRY_GOOD) {
		v->geometry_good = true;
		describe_layout(v);
		return 0;
	}
	if (flags & INTACT_VIEW_SUPERBLOCK_ONLY) {
		message_warning(v->log, "%s: %s", v->params.device, geometry_explain(verdict));
		return 0;
	}
	return refuse(v, "%s: %s", v->params.device, geometry_explain(verdict));
}

static int choose_length(struct intact_view *v)
{
	uint64_t wanted = v->params.length_sectors ?: v->sb.provided_data_sectors;
	uint64_t provided = v->geometry.provided_sectors;

	if (wanted > provided)
		return refuse(
			v,
			"%s: the volume is truncated: it should hold %llu sectors, but the device "
			"has room for %llu",
			v->params.device, (unsigned long long)wanted, (unsigned long long)provided);
	if (wanted & (v->geometry.sectors_per_block - 1))
		return refuse(v, "a length of %llu sectors is not whole blocks",
			      (unsigned long long)wanted);
	v->sectors = wanted;
	return 0;
}

/* The tuples of all blocks of the device, in order, nothing else. */
static int measure_tuples(struct intact_view *v)
{
	uint64_t blocks = file_sectors(v->device) >> v->sb.log2_sectors_per_block;

	if (!is_inline(v))
		return 0;
	if (!v->inline_tags)
		return refuse(v,
			      "%s: the tags are in the device's own metadata: dump them to a file "
			      "and give --inline-tags",
			      v->params.device);
	v->tuple_bytes = io_file_bytes(v->inline_tags) / blocks;
	if (v->tuple_bytes < v->sb.tag_bytes)
		return refuse(v, "%s has %llu bytes for each block, the tags have %u",
			      v->params.inline_tags, (unsigned long long)v->tuple_bytes,
			      v->sb.tag_bytes);
	return 0;
}

/* ---- Digests ----------------------------------------------------------------------------------
 */

/* A digest that cannot be opened is the parameters' fault, but for memory and broken drivers. */
static int open_digest(const struct intact_view *v, const struct intact_algorithm *algorithm,
		       struct digest_spec *spec, struct digest **ret)
{
	int r;

	spec->algorithm = digest_algorithm_find(algorithm->name);
	spec->key = algorithm->key;
	spec->key_bytes = algorithm->key_bytes;
	spec->policy = v->params.digest_policy;
	spec->driver = v->params.digest_driver;
	spec->salt = v->sb.flags & SB_FIXED_HMAC ? v->sb.salt : NULL;
	if (!spec->algorithm)
		return -EINVAL;
	r = digest_open(spec, v->log, ret);
	return r == -ENOENT ? -EINVAL : r;
}

int view_open_hash(const struct intact_view *v, bool quiet, struct digest **ret)
{
	struct digest_spec spec = {
		.tag_bytes = v->sb.tag_bytes,
		.parameter = "internal hash",
		.quiet = quiet,
	};

	return open_digest(v, &v->params.internal_hash, &spec, ret);
}

int view_open_journal_mac(const struct intact_view *v, struct digest **ret)
{
	struct digest_spec spec = {.parameter = "journal_mac", .quiet = true};

	*ret = NULL;
	if (!v->params.journal_mac.name[0])
		return 0;
	return open_digest(v, &v->params.journal_mac, &spec, ret);
}

/* Opens the hash once, for its errors, its log line and the driver's name. */
static int try_hash(struct intact_view *v)
{
	struct digest *d;
	int r;

	if (!v->hash)
		return 0;
	r = view_open_hash(v, false, &d);
	if (r < 0)
		return r;
	(void)strncpy(v->driver, digest_driver_name(d), sizeof(v->driver) - 1);
	digest_close(d);
	return 0;
}

static int find_hash(struct intact_view *v)
{
	int r = 0;

	if (strcmp(v->params.internal_hash.name, "auto") == 0) {
		r = detect_hash(v);
		if (r == 0)
			(void)strncpy(v->params.internal_hash.name, v->hash->name,
				      sizeof(v->params.internal_hash.name) - 1);
		if (r == 0)
			r = check_discards(v);
	}
	memset(v->discard_marker, DISCARD_FILLER, sizeof(v->discard_marker));
	return r < 0 ? r : try_hash(v);
}

/* ---- Superblock MAC ----------------------------------------------------------------------------
 */

static int check_superblock_mac(struct intact_view *v, const uint8_t bytes[SB_BYTES])
{
	uint8_t mac[DIGEST_BYTES_MAX];
	struct digest *d;
	size_t mac_bytes, at;
	int r;

	if (in_recovery(v) || !(v->sb.flags & SB_FIXED_HMAC))
		return 0;
	r = view_open_journal_mac(v, &d);
	if (r < 0 || !d)
		return r;
	mac_bytes = digest_tag_bytes(d);
	at = sb_mac_offset(mac_bytes);
	if (at == 0)
		r = refuse(v, "journal_mac %s is too long for the superblock",
			   v->params.journal_mac.name);
	else
		r = digest_once(d, bytes, at, mac);
	if (r == 0 && !secret_equal(mac, bytes + at, mac_bytes))
		r = refuse(v,
			   "%s: the superblock does not match its MAC: wrong journal_mac key or "
			   "algorithm, or it was tampered with",
			   v->params.device);
	digest_close(d);
	return r;
}

/* ---- Opening and closing ------------------------------------------------------------------------
 */

static int open_journal_area(struct intact_view *v)
{
	v->journal.state = INTACT_JOURNAL_NONE;
	if (!v->geometry_good || is_inline(v))
		return 0;
	if (v->sb.flags & SB_DIRTY_BITMAP) {
		v->journal.state = INTACT_JOURNAL_BITMAP;
		return unverified_open(v);
	}
	return in_recovery(v) ? 0 : overlay_make(v);
}

static int open_verifying(struct intact_view *v, const uint8_t bytes[SB_BYTES])
{
	int r = choose_length(v);

	r = r ?: measure_tuples(v);
	r = r ?: check_superblock_mac(v, bytes);
	r = r ?: find_hash(v);
	return r ?: open_journal_area(v);
}

/* For dump: what the keys that were given allow. */
static int open_describing(struct intact_view *v, const uint8_t bytes[SB_BYTES])
{
	int r = check_superblock_mac(v, bytes);

	v->sectors = min_u64(v->sb.provided_data_sectors, v->geometry.provided_sectors);
	if (r == 0 && v->geometry_good &&
	    v->geometry.provided_sectors < v->sb.provided_data_sectors)
		message_warning(v->log,
				"%s: the volume is truncated: it should hold %llu sectors, but the "
				"device has room for %llu",
				v->params.device, (unsigned long long)v->sb.provided_data_sectors,
				(unsigned long long)v->geometry.provided_sectors);
	return r ?: open_journal_area(v);
}

static int view_fill(struct intact_view *v, unsigned flags)
{
	bool describing = flags & INTACT_VIEW_SUPERBLOCK_ONLY;
	uint8_t bytes[SB_BYTES];
	int r = open_devices(v);

	r = r ?: read_superblock(v, bytes);
	if (r < 0)
		return r;
	describe_superblock(v);
	r = describing ? 0 : check_params(v);
	r = r ?: make_geometry(v, flags);
	if (r < 0)
		return r;
	return describing ? open_describing(v, bytes) : open_verifying(v, bytes);
}

int intact_view_open(const struct intact_params *params, unsigned flags,
		     const struct intact_log *log, struct intact_view **ret)
{
	struct intact_view *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->log = log;
	r = params_copy(params, &v->params);
	r = r ?: view_fill(v, flags);
	if (r < 0) {
		intact_view_close(v);
		return r;
	}
	*ret = v;
	return 0;
}

void intact_view_close(struct intact_view *v)
{
	if (!v)
		return;
	reader_close(v->reader);
	io_file_close(v->inline_tags);
	if (v->data_device != v->device)
		io_file_close(v->data_device);
	io_file_close(v->device);
	free(v->overlay);
	intact_params_done(&v->params);
	free(v);
}

/* ---- What it is ---------------------------------------------------------------------------------
 */

const struct intact_superblock *intact_view_superblock(const struct intact_view *v)
{
	return &v->superblock;
}

const struct intact_layout *intact_view_layout(const struct intact_view *v)
{
	return v->geometry_good ? &v->layout : NULL;
}

const struct intact_journal *intact_view_journal(const struct intact_view *v)
{
	return &v->journal;
}

const struct intact_bitmap *intact_view_bitmap(const struct intact_view *v)
{
	return &v->bitmap;
}

const char *intact_view_hash(const struct intact_view *v)
{
	return v->hash ? v->hash->name : "";
}

const char *intact_view_driver(const struct intact_view *v)
{
	return v->driver;
}

uint64_t intact_view_sectors(const struct intact_view *v)
{
	return v->sectors;
}

const char *intact_flag_name(uint32_t bit)
{
	return sb_flag_name(bit);
}
