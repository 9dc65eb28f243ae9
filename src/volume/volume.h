/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A volume as its superblock and the user's parameters together say it is: all the checks of an
 * activation that need no more than that (docs/format.md sections 2, 3 and 9), each with its own
 * message, and the digests and ciphers that follow.
 */
#ifndef INTACT_VOLUME_VOLUME_H
#define INTACT_VOLUME_VOLUME_H

#include "cipher/cipher.h"
#include "digest/digest.h"
#include "format/geometry.h"
#include "format/journal.h"
#include "format/superblock.h"

#include <intact.h>

struct digest_modules;
struct intact_digest_driver;

struct volume {
	const struct intact_log *log;
	struct intact_params params; /* a copy of its own */
	bool has_metadata_device;
	uint64_t device_sectors;      /* of the device with the superblock */
	uint64_t data_device_sectors; /* 0: one device */

	struct sb sb;
	struct geometry geometry;
	bool geometry_good;			    /* false only when that was allowed */
	const struct intact_digest_algorithm *hash; /* NULL: none, or still to be found ("auto") */
	uint64_t sectors;			    /* of the mapping */
	const struct intact_digest_driver *const *drivers; /* NULL: those of this build */
	struct digest_modules *modules;			   /* NULL: none were asked for */
	void (*wake)(void *opaque);			   /* whoever waits for digests; or NULL */
	void *wake_opaque;
};

/* Copies the parameters. Errors: -ENOMEM. */
int volume_init(struct volume *v, const struct intact_params *params, uint64_t device_sectors,
		uint64_t data_device_sectors, const struct intact_log *log);
void volume_done(struct volume *v); /* wipes keys; v may be all zero */

/* "Not a volume, or not with these parameters": says which, and is the error. */
#define volume_refuse(v, ...) (message_error((v)->log, __VA_ARGS__), -EMEDIUMTYPE)

/* The superblock's bytes: v->sb, or a refusal. */
int volume_decode(struct volume *v, const uint8_t bytes[SB_BYTES]);

/* What the user says against what the superblock says: v->hash, or a refusal. */
int volume_check_params(struct volume *v);

/* Where things lie: v->geometry. With `lenient` a bad geometry is a warning. */
int volume_make_geometry(struct volume *v, bool lenient);

/* How long the mapping is: v->sectors. */
int volume_choose_length(struct volume *v);

/* Whether tags may be made of data that nothing vouches for (docs/format.md section 8): a refusal
 * while some are still to be made, unless the user insists.
 */
int volume_check_recalculation(const struct volume *v);

/* The superblock's MAC, when it has one and the key was given. */
int volume_check_mac(const struct volume *v, const uint8_t bytes[SB_BYTES]);

/* The same with the volume's journal_mac, opened already, or NULL. */
int volume_check_mac_by(const struct volume *v, struct digest *mac, const uint8_t bytes[SB_BYTES]);

/* Writes the MAC into the bytes, when the volume has one. */
int volume_put_mac(const struct volume *v, uint8_t bytes[SB_BYTES]);

bool volume_is_inline(const struct volume *v);
bool volume_is_salted(const struct volume *v); /* FIXED_HMAC */

/* Digests for one thread. -EINVAL when the parameters are at fault. quiet: the choice has been
 * logged already. */
int volume_open_hash(const struct volume *v, bool quiet, struct digest **ret);

/* *ret is NULL without journal_mac. */
int volume_open_journal_mac(const struct volume *v, struct digest **ret);

/* *ret is NULL without journal_crypt. */
int volume_open_cipher(const struct volume *v, struct cipher **ret);

/* The constants of the commit ids; cipher may be NULL. */
int volume_commit_ids(const struct volume *v, struct cipher *cipher, struct commit_ids *ret);

#endif
