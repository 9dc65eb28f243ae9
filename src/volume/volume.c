/* SPDX-License-Identifier: BSD-2-Clause */
#include "volume/volume.h"

#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"
#include "digest/drivers.h"
#include "digest/modules.h"
#include "digest/select.h"
#include "volume/params.h"

#include <errno.h>
#include <string.h>

/* A module that cannot be had is the parameters' fault. */
static int load_drivers(struct volume *v)
{
	const struct intact_params *p = &v->params;
	int r;

	if (!p->digest_module && !p->digest_driver)
		return 0;
	r = digest_modules_open(p->digest_module, p->digest_driver, v->log, &v->modules);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	v->drivers = digest_modules_drivers(v->modules);
	return 0;
}

int volume_init(struct volume *v, const struct intact_params *params, uint64_t device_sectors,
		uint64_t data_device_sectors, const struct intact_log *log)
{
	memset(v, 0, sizeof(*v));
	v->log = log;
	v->device_sectors = device_sectors;
	v->data_device_sectors = data_device_sectors;
	v->has_metadata_device = params->data_device != NULL;
	return params_copy(params, &v->params) ?: load_drivers(v);
}

void volume_done(struct volume *v)
{
	digest_modules_close(v->modules);
	intact_params_done(&v->params);
	memset(v, 0, sizeof(*v));
}

static bool in_recovery(const struct volume *v)
{
	return v->params.mode == INTACT_MODE_RECOVERY;
}

bool volume_is_inline(const struct volume *v)
{
	return v->sb.flags & SB_INLINE;
}

bool volume_is_salted(const struct volume *v)
{
	return v->sb.flags & SB_FIXED_HMAC;
}

/* ---- Superblock ---- */

static int refuse_superblock(struct volume *v, enum sb_verdict verdict,
			     const uint8_t bytes[SB_BYTES])
{
	struct sb other;
	char text[160];

	/* The commonest mistake with two devices, in both directions. */
	if (sb_decode(bytes, !v->has_metadata_device, &other) == SB_GOOD)
		return volume_refuse(
			v, "%s: the superblock is of a volume %s", v->params.device,
			v->has_metadata_device
				? "on one device; leave out --data-device"
				: "with its data on another device; give --data-device");
	sb_explain(verdict, bytes, text, sizeof(text));
	return volume_refuse(v, "%s: sector %llu: %s", v->params.device,
			     (unsigned long long)v->params.start_sector, text);
}

int volume_decode(struct volume *v, const uint8_t bytes[SB_BYTES])
{
	enum sb_verdict verdict = sb_decode(bytes, v->has_metadata_device, &v->sb);

	if (verdict != SB_GOOD)
		return refuse_superblock(v, verdict, bytes);
	if (v->sb.flags & ~SB_FLAGS_KNOWN)
		message_warning(v->log,
				"%s: the superblock has unknown flags 0x%x, which are ignored",
				v->params.device, v->sb.flags & ~SB_FLAGS_KNOWN);
	return 0;
}

/* ---- Parameters against the superblock (docs/format.md section 9) ---- */

static int check_mode(const struct volume *v)
{
	const struct intact_params *p = &v->params;

	if (volume_is_inline(v) && p->mode != 0 && p->mode != INTACT_MODE_INLINE)
		return volume_refuse(
			v, "mode %c was asked for, but the volume keeps its tags inline", p->mode);
	if (!volume_is_inline(v) && p->mode == INTACT_MODE_INLINE)
		return volume_refuse(v, "inline mode was asked for, but the volume has a tag area");
	if (volume_is_inline(v) && v->has_metadata_device)
		return volume_refuse(v, "an inline volume has no metadata device");
	if (volume_is_inline(v) && (p->journal_mac.name[0] || p->journal_crypt.name[0]))
		return volume_refuse(v, "an inline volume has no journal: %s makes no sense",
				     p->journal_mac.name[0] ? "journal_mac" : "journal_crypt");
	if (volume_is_inline(v) && (p->allow_discards || p->allow_discards_keyed))
		return volume_refuse(v, "discards are not possible on an inline volume");
	if (p->mode == INTACT_MODE_BITMAP && p->journal_crypt.name[0])
		return volume_refuse(
			v, "mode B with journal_crypt loses its bitmap in a crash: refused");
	return 0;
}

static bool has_key(const struct intact_algorithm *algorithm)
{
	return algorithm->key || algorithm->key_uri;
}

static int check_hash_presence(const struct volume *v)
{
	const struct intact_params *p = &v->params;
	bool hash = p->internal_hash.name[0];

	if (!hash && p->mode == INTACT_MODE_BITMAP)
		return volume_refuse(v, "mode B needs an internal hash");
	if (!hash && volume_is_inline(v))
		return volume_refuse(v, "an inline volume needs an internal hash");
	if (!hash && (p->allow_discards || p->allow_discards_keyed))
		return volume_refuse(v, "discards need an internal hash");
	if (!hash && p->tag_bytes == 0)
		return volume_refuse(v, "neither an internal hash nor a tag size was given");
	if (has_key(&p->internal_hash) && !hash)
		return volume_refuse(v, "a key was given, but no internal hash");
	if (p->internal_hash.key_uri && strcmp(p->internal_hash.name, "auto") == 0)
		return volume_refuse(v, "the key is in a token, so the algorithm has to be named: "
					"give --integrity");
	return 0;
}

static int check_discards(const struct volume *v)
{
	if (v->params.allow_discards_keyed && v->hash && !v->hash->keyed)
		return volume_refuse(v, "allow_discards_keyed needs a keyed hash, %s is not",
				     v->hash->name);
	if ((v->sb.flags & SB_DISCARD_KEYED) && !v->params.allow_discards_keyed)
		return volume_refuse(v,
				     "the volume has keyed discards: give --allow-discards-keyed");
	return 0;
}

static int check_sizes(const struct volume *v)
{
	const struct intact_params *p = &v->params;
	uint32_t block_bytes = SECTOR_BYTES << v->sb.log2_sectors_per_block;

	if (p->block_bytes && p->block_bytes != block_bytes)
		return volume_refuse(v, "block size %u was given, the superblock says %u",
				     p->block_bytes, block_bytes);
	if (p->tag_bytes && p->tag_bytes != v->sb.tag_bytes)
		return volume_refuse(v, "tag size %u was given, the superblock says %u",
				     p->tag_bytes, v->sb.tag_bytes);
	if (!p->tag_bytes && v->hash && v->hash->digest_bytes != v->sb.tag_bytes)
		return volume_refuse(v,
				     "%s makes tags of %u bytes, the superblock says %u: another "
				     "algorithm, or give "
				     "--tag-size %u",
				     v->hash->name, v->hash->digest_bytes, v->sb.tag_bytes,
				     v->sb.tag_bytes);
	return 0;
}

static int check_journal_mac(const struct volume *v)
{
	bool given = v->params.journal_mac.name[0];
	bool stored = v->sb.flags & SB_HAVE_JOURNAL_MAC;

	if (in_recovery(v))
		return 0;
	if (stored && !given)
		return volume_refuse(
			v, "the journal is authenticated: give --journal-integrity and its key");
	if (given && !stored)
		return volume_refuse(v, "a journal_mac was given, but the journal has none");
	if (given && v->params.fix_hmac && has_key(&v->params.journal_mac) &&
	    !(v->sb.flags & SB_FIXED_HMAC))
		message_warning(v->log,
				"%s: fix_hmac was asked for, but the superblock lacks it and "
				"is not authenticated: older volume, or tampered with",
				v->params.device);
	return 0;
}

/* What the user says against what the superblock says. */
int volume_check_params(struct volume *v)
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

/* ---- Geometry ---- */

int volume_make_geometry(struct volume *v, bool lenient)
{
	enum geometry_kind kind = volume_is_inline(v)	   ? GEOMETRY_INLINE
				  : v->has_metadata_device ? GEOMETRY_METADATA_DEVICE
							   : GEOMETRY_ONE_DEVICE;
	enum geometry_verdict verdict =
		geometry_make(&v->sb, kind, v->params.start_sector, v->device_sectors,
			      v->data_device_sectors, v->params.buffer_sectors, &v->geometry);

	if (verdict == GEOMETRY_GOOD) {
		v->geometry_good = true;
		return 0;
	}
	if (lenient) {
		message_warning(v->log, "%s: %s", v->params.device, geometry_explain(verdict));
		return 0;
	}
	return volume_refuse(v, "%s: %s", v->params.device, geometry_explain(verdict));
}

int volume_choose_length(struct volume *v)
{
	uint64_t wanted = v->params.length_sectors ?: v->sb.provided_data_sectors;
	uint64_t provided = v->geometry.provided_sectors;

	if (wanted == 0)
		return volume_refuse(v, "%s: provided_data_sectors is 0: there is no data",
				     v->params.device);
	if (wanted > provided)
		return volume_refuse(
			v,
			"%s: the volume is truncated: it should hold %llu sectors, but the device "
			"has room for %llu",
			v->params.device, (unsigned long long)wanted, (unsigned long long)provided);
	if (wanted & (v->geometry.sectors_per_block - 1))
		return volume_refuse(v, "a length of %llu sectors is not whole blocks",
				     (unsigned long long)wanted);
	v->sectors = wanted;
	return 0;
}

int volume_check_recalculation(const struct volume *v)
{
	bool hash_keyed = v->hash && v->hash->keyed;
	bool mac_keyed = has_key(&v->params.journal_mac);
	bool salted = volume_is_salted(v);

	if (!(v->sb.flags & SB_RECALCULATING) || v->params.legacy_recalculate ||
	    v->sb.recalc_sector >= v->geometry.provided_sectors)
		return 0;
	if ((!salted && (hash_keyed || mac_keyed)) || (salted && hash_keyed && !mac_keyed))
		return volume_refuse(v,
				     "%s: recalculating a keyed volume whose superblock is not "
				     "authenticated would make forged data good: refused without "
				     "legacy_recalculate",
				     v->params.device);
	return 0;
}

/* ---- Digests ---- */

static bool driver_suits(const struct volume *v, const struct intact_algorithm *algorithm)
{
	const struct digest_spec spec = {
		.algorithm = digest_algorithm_find(algorithm->name),
		.key_uri = algorithm->key_uri,
		.driver = v->params.digest_driver,
	};

	return spec.algorithm && digest_driver_suits(v->drivers ?: digest_drivers(), &spec);
}

/* The driver that was named is for what it can do: one of the two may be left to the policy, as it
 * may be in a token and the other not.
 */
static const char *named_driver(const struct volume *v, const struct intact_algorithm *algorithm,
				const struct intact_algorithm *other)
{
	bool left_out =
		v->params.digest_driver && !driver_suits(v, algorithm) && driver_suits(v, other);

	return left_out ? NULL : v->params.digest_driver;
}

/* A digest that cannot be opened is the parameters' fault, but for memory and broken drivers. */
static int open_digest(const struct volume *v, const struct intact_algorithm *algorithm,
		       struct digest_spec *spec, struct digest **ret)
{
	int r;

	spec->algorithm = digest_algorithm_find(algorithm->name);
	spec->key = algorithm->key;
	spec->key_bytes = algorithm->key_bytes;
	spec->key_uri = algorithm->key_uri;
	spec->policy = v->params.digest_policy;
	spec->depth = v->params.digest_depth;
	spec->wake = v->wake;
	spec->wake_opaque = v->wake_opaque;
	spec->salt = v->sb.flags & SB_FIXED_HMAC ? v->sb.salt : NULL;
	if (!spec->algorithm)
		return -EINVAL;
	r = digest_open_among(v->drivers ?: digest_drivers(), spec, v->log, ret);
	return r == -ENOENT ? -EINVAL : r;
}

int volume_open_hash(const struct volume *v, bool quiet, struct digest **ret)
{
	struct digest_spec spec = {
		.tag_bytes = v->sb.tag_bytes,
		.driver = named_driver(v, &v->params.internal_hash, &v->params.journal_mac),
		.parameter = "internal hash",
		.quiet = quiet,
	};

	return open_digest(v, &v->params.internal_hash, &spec, ret);
}

int volume_open_journal_mac(const struct volume *v, struct digest **ret)
{
	struct digest_spec spec = {
		.driver = named_driver(v, &v->params.journal_mac, &v->params.internal_hash),
		.parameter = "journal_mac",
		.quiet = true,
	};

	*ret = NULL;
	if (!v->params.journal_mac.name[0])
		return 0;
	return open_digest(v, &v->params.journal_mac, &spec, ret);
}

/* ---- Superblock MAC ---- */

int volume_check_mac_by(const struct volume *v, struct digest *mac, const uint8_t bytes[SB_BYTES])
{
	uint8_t computed[DIGEST_BYTES_MAX];
	size_t at;
	int r;

	if (in_recovery(v) || !volume_is_salted(v) || !mac)
		return 0;
	at = sb_mac_offset(digest_tag_bytes(mac));
	if (at == 0)
		return volume_refuse(v, "journal_mac %s is too long for the superblock",
				     v->params.journal_mac.name);
	r = digest_once(mac, bytes, at, computed);
	if (r == 0 && !secret_equal(computed, bytes + at, digest_tag_bytes(mac)))
		r = volume_refuse(
			v,
			"%s: the superblock does not match its MAC: wrong journal_mac key or "
			"algorithm, or it was tampered with",
			v->params.device);
	return r;
}

int volume_check_mac(const struct volume *v, const uint8_t bytes[SB_BYTES])
{
	struct digest *mac;
	int r;

	if (in_recovery(v) || !volume_is_salted(v))
		return 0;
	r = volume_open_journal_mac(v, &mac);
	if (r < 0 || !mac)
		return r;
	r = volume_check_mac_by(v, mac, bytes);
	digest_close(mac);
	return r;
}

int volume_put_mac(const struct volume *v, uint8_t bytes[SB_BYTES])
{
	struct digest *d;
	size_t at;
	int r;

	if (!volume_is_salted(v))
		return 0;
	r = volume_open_journal_mac(v, &d);
	if (r < 0 || !d)
		return r;
	at = sb_mac_offset(digest_tag_bytes(d));
	r = digest_once(d, bytes, at, bytes + at);
	digest_close(d);
	return r;
}

/* ---- Journal encryption ---- */

int volume_open_cipher(const struct volume *v, struct cipher **ret)
{
	const struct intact_algorithm *crypt = &v->params.journal_crypt;
	int r;

	*ret = NULL;
	if (!crypt->name[0])
		return 0;
	r = cipher_open(crypt->name, crypt->key, crypt->key_bytes, v->log, ret);
	return r == -ENOENT ? -EINVAL : r;
}

int volume_commit_ids(const struct volume *v, struct cipher *cipher, struct commit_ids *ret)
{
	uint8_t scramble[32];
	int r;

	if (!cipher || !cipher_is_stream(cipher)) {
		commit_ids_init(ret, NULL);
		return 0;
	}
	r = cipher_commit_key(cipher, v->geometry.journal_sectors * SECTOR_BYTES, scramble);
	if (r == 0)
		commit_ids_init(ret, scramble);
	secret_wipe(scramble, sizeof(scramble));
	return r;
}
