/* SPDX-License-Identifier: BSD-2-Clause
 *
 * --integrity auto: which algorithm made these tags? Sampled blocks are put through every one that
 * the given key, or no key, allows; the one that fits most of them is it.
 */
#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"
#include "offline/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX 64
/* Of the tag area, when blocks spread evenly had no tags worth trying. */
#define SCAN_TAG_BYTES_MAX (64u << 20)

struct sample {
	uint64_t sector;
	uint8_t tag[SB_TAG_BYTES_MAX];
	uint8_t data[4096];
};

struct detector {
	struct intact_view *view;
	struct unverified unverified;
	struct sample *samples;
	unsigned count;
};

static bool same_bytes(const uint8_t *bytes, size_t count)
{
	return memcmp(bytes, bytes + 1, count - 1) == 0;
}

/* A tag that was never written, or marks a discarded block, tells nothing. Tags too short to tell
 * are taken as they are. */
static bool tag_tells(const uint8_t *tag, size_t tag_bytes)
{
	if (tag_bytes < 2)
		return true;
	return !((tag[0] == 0 || tag[0] == 0xf6) && same_bytes(tag, tag_bytes));
}

static int read_tag(struct intact_view *v, uint64_t sector, uint8_t *tag)
{
	uint64_t block = geometry_data_sector(&v->volume.geometry, sector) >>
			 v->volume.geometry.log2_sectors_per_block;

	if (v->volume.geometry.kind == GEOMETRY_INLINE)
		return io_file_read(v->inline_tags, block * v->tuple_bytes, tag,
				    v->volume.geometry.tag_bytes);
	return io_file_read(v->device, geometry_tag_byte(&v->volume.geometry, sector), tag,
			    v->volume.geometry.tag_bytes);
}

static void sample_take(struct detector *d, uint64_t sector)
{
	struct intact_view *v = d->view;
	const struct geometry *g = &v->volume.geometry;
	struct sample *s = &d->samples[d->count];
	bool unverified;

	if (d->count == SAMPLES_MAX || unverified_test(&d->unverified, sector, &unverified) < 0 ||
	    unverified)
		return;
	s->sector = sector;
	if (read_tag(v, sector, s->tag) != 0 || !tag_tells(s->tag, g->tag_bytes))
		return;
	if (io_file_read(v->data_device, geometry_data_sector(g, sector) * SECTOR_BYTES, s->data,
			 (size_t)g->sectors_per_block * SECTOR_BYTES) == 0)
		d->count++;
}

static void sample_evenly(struct detector *d)
{
	const struct geometry *g = &d->view->volume.geometry;
	uint64_t blocks = d->view->volume.sectors >> g->log2_sectors_per_block;
	uint64_t samples = min_u64(blocks, SAMPLES_MAX);

	d->count = 0;
	for (uint64_t i = 0; i < samples; i++)
		sample_take(d, (blocks / samples * i) << g->log2_sectors_per_block);
}

/* A volume that was hardly written to: look for blocks with tags from the beginning. */
static void sample_where_written(struct detector *d)
{
	const struct geometry *g = &d->view->volume.geometry;
	uint64_t limit = SCAN_TAG_BYTES_MAX / g->tag_bytes;
	uint64_t blocks = d->view->volume.sectors >> g->log2_sectors_per_block;

	d->count = 0;
	for (uint64_t i = 0; i < min_u64(blocks, limit) && d->count < SAMPLES_MAX; i++)
		sample_take(d, i << g->log2_sectors_per_block);
}

/* How many samples an algorithm fits; -1: it cannot be tried. */
static int count_fits(struct detector *d, const struct intact_digest_algorithm *algorithm)
{
	struct intact_view *v = d->view;
	struct digest_spec spec = {
		.algorithm = algorithm,
		.key = algorithm->keyed ? v->volume.params.internal_hash.key : NULL,
		.key_bytes = algorithm->keyed ? v->volume.params.internal_hash.key_bytes : 0,
		.salt = volume_is_salted(&v->volume) ? v->volume.sb.salt : NULL,
		.tag_bytes = v->volume.sb.tag_bytes,
		.parameter = "internal hash",
		.quiet = true,
	};
	const struct intact_log nobody = {0};
	struct digest_request *req;
	struct digest *digest;
	int fits = 0;

	if (digest_open(&spec, &nobody, &digest) < 0)
		return -1;
	req = aligned_alloc(64, digest_request_bytes(digest));
	for (unsigned i = 0; req && i < d->count; i++) {
		uint8_t tag[SB_TAG_BYTES_MAX];

		*req = (struct digest_request){
			.data = d->samples[i].data,
			.message_bytes =
				(size_t)v->volume.geometry.sectors_per_block * SECTOR_BYTES,
			.count = 1,
			.flags = DIGEST_SECTOR | (spec.salt ? DIGEST_SALTED : 0),
			.sector = d->samples[i].sector,
			.tags = tag,
			.tag_stride_bytes = sizeof(tag),
		};
		digest_submit(digest, req);
		digest_flush(digest);
		fits += req->result == 0 &&
			secret_equal(tag, d->samples[i].tag, v->volume.geometry.tag_bytes);
	}
	free(req);
	digest_close(digest);
	return fits;
}

/* Tags of one or two bytes fit by chance: then one is not enough. */
static bool fits_enough(const struct intact_view *v, int fits)
{
	return fits > 0 &&
	       (v->volume.geometry.tag_bytes >= 4 || fits * v->volume.geometry.tag_bytes >= 8);
}

static const struct intact_digest_algorithm *best_fit(struct detector *d, int *ret_fits)
{
	const struct intact_digest_algorithm *best = NULL;
	bool key = d->view->volume.params.internal_hash.key;

	*ret_fits = 0;
	for (const struct intact_digest_algorithm *a = digest_algorithms(); a->name; a++) {
		int fits;

		if (a->keyed && !key)
			continue;
		fits = count_fits(d, a);
		if (fits > *ret_fits) {
			*ret_fits = fits;
			best = a;
		}
	}
	return fits_enough(d->view, *ret_fits) ? best : NULL;
}

static int conclude(struct detector *d, const struct intact_digest_algorithm *best, int fits)
{
	struct intact_view *v = d->view;
	struct intact_algorithm *given = &v->volume.params.internal_hash;

	if (!best) {
		message_error(v->volume.log,
			      "%s: no algorithm fits the tags%s; name it with --integrity",
			      v->volume.params.device,
			      given->key ? " (wrong key?)" : " (a keyed one needs its key file)");
		return -EMEDIUMTYPE;
	}
	message_info(v->volume.log, "integrity: found %s, which fits %d of %u sampled blocks",
		     best->name, fits, d->count);
	if (!best->keyed && given->key) {
		message_warning(v->volume.log, "%s is not keyed: the key is not used", best->name);
		secret_wipe(given->key, given->key_bytes);
		free(given->key);
		given->key = NULL;
		given->key_bytes = 0;
	}
	/* As if it had been named, with the tag size that the superblock says. */
	strcpy(v->volume.params.internal_hash.name, best->name);
	v->volume.params.tag_bytes = v->volume.sb.tag_bytes;
	return volume_check_params(&v->volume);
}

int detect_hash(struct intact_view *v)
{
	struct detector d = {.view = v};
	const struct intact_digest_algorithm *best;
	int fits;

	d.samples = calloc(SAMPLES_MAX, sizeof(*d.samples));
	if (!d.samples)
		return -ENOMEM;
	unverified_init(&d.unverified, v);
	sample_evenly(&d);
	best = best_fit(&d, &fits);
	if (!best) {
		sample_where_written(&d);
		best = best_fit(&d, &fits);
	}
	free(d.samples);
	return conclude(&d, best, fits);
}
