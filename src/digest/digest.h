/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Integrity tags: algorithms by their kernel names, computed by drivers, in requests of many
 * blocks, asynchronous in shape. Nothing here knows of volumes; a request says what to put before
 * each message.
 *
 *	digest_open -> digest_submit ... digest_poll (runs `done` of what finished) ... digest_close
 *
 * Rules that every caller may rely on, whatever the driver:
 * - digest_submit never calls `done`; digest_poll and digest_flush do, on the caller's thread.
 * - Requests finish in any order; each finishes exactly once.
 * - Nothing allocates between digest_open and digest_close (a request's memory is the caller's,
 *   digest_request_bytes() of it).
 * - A struct digest belongs to one thread; several may be opened for one key.
 */
#ifndef INTACT_DIGEST_DIGEST_H
#define INTACT_DIGEST_DIGEST_H

#include <intact-digest.h>
#include <intact.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES_MAX     INTACT_DIGEST_BYTES_MAX
#define DIGEST_KEY_BYTES_MAX INTACT_DIGEST_KEY_BYTES_MAX
#define DIGEST_SALT_BYTES    INTACT_DIGEST_SALT_BYTES

/* Algorithms are the kernel's (docs/format.md section 4). All constant data. */

/* All algorithms, checksums first; ends with a NULL name. */
const struct intact_digest_algorithm *digest_algorithms(void);

/* By either name ("phmac(X)" is hmac(X)); NULL when unknown. */
const struct intact_digest_algorithm *digest_algorithm_find(const char *name);

/* How to choose among the drivers of an algorithm: intact.h has enum intact_digest_policy. */
struct digest_spec {
	const struct intact_digest_algorithm *algorithm;
	const uint8_t *key;  /* copied into the driver's state; the caller wipes its own */
	size_t key_bytes;    /* 0: no key */
	const char *key_uri; /* instead: names a key that stays where it is; or NULL */
	const uint8_t *salt; /* DIGEST_SALT_BYTES put before every message of a salted request;
				NULL: zero bytes */
	size_t tag_bytes;    /* digests are cut, or padded with zero bytes, to this; 0: the digest's
				own size */
	enum intact_digest_policy policy;
	const char *driver; /* "NAME" or "NAME:KEY=VALUE,…": this driver or none; NULL: the
				  policy decides */
	uint32_t depth;	    /* messages that an asynchronous driver has at once; 0: a good many */
	void (*wake)(void *opaque); /* from any thread: digest_poll has something to do; or NULL */
	void *wake_opaque;
	const char *parameter; /* what the user calls it, for messages: "internal hash",
				  "journal_mac" */
	bool quiet;	       /* do not log the choice */
};

struct digest;

/* Finds a driver, has it self-tested, and keys it. The log is used until digest_close.
 *
 *   -ENOKEY    a keyed algorithm without key
 *   -EINVAL    a key for an unkeyed one, or a key of impossible length; tag_bytes over 255; an
 *              option that the driver does not know or cannot obey
 *   -ENOENT    no driver of this name, or none that the policy allows, has the algorithm; the
 *              message lists those that do
 *   -EIO       the driver failed its self-test
 *   -ENOMEM
 */
int digest_open(const struct digest_spec *spec, const struct intact_log *log, struct digest **ret);

/* Takes NULL. No request may be in flight. Wipes key material. */
void digest_close(struct digest *d);

const struct intact_digest_algorithm *digest_algorithm(const struct digest *d);
const char *digest_driver_name(const struct digest *d); /* "openssl", "mb" … */
bool digest_is_synchronous(const struct digest *d);
/* Synchronous and this machine's own work, so that several threads with one each get further. */
bool digest_is_by_cores(const struct digest *d);
size_t digest_tag_bytes(const struct digest *d);

/* A request is any number of messages, laid out as the batches that drivers get (intact-digest.h);
 * the flags are theirs.
 */
#define DIGEST_SALTED		INTACT_DIGEST_SALTED
#define DIGEST_SECTOR		INTACT_DIGEST_SECTOR
#define DIGEST_HEADROOM		INTACT_DIGEST_HEADROOM
#define DIGEST_HEADROOM_BYTES	INTACT_DIGEST_HEADROOM_BYTES
#define DIGEST_PREFIX_BYTES_MAX INTACT_DIGEST_PREFIX_BYTES_MAX

/* Zeroed by the caller before its first use; used again as it is, whatever was changed in it. */
struct digest_request {
	/* The caller's; unchanged until done. */
	const uint8_t *data; /* may be NULL when message_bytes is 0 */
	size_t message_bytes;
	size_t stride_bytes;
	uint32_t count; /* at least 1 */
	uint32_t flags;
	uint64_t sector;
	uint32_t sector_step;
	uint8_t *tags;
	size_t tag_stride_bytes;
	void (*done)(struct digest_request *req); /* NULL: nothing to be told */
	void *opaque;

	/* Set before `done`: 0, or why tags must not be used. */
	int result;

	/* The digest layer's. One batch at a time is with the driver, usually all of it. */
	struct digest_request *next;
	uint64_t number;    /* in the order of arrival */
	uint32_t finished;  /* messages whose tags are written */
	uint32_t key;	    /* the batch was submitted with */
	uint32_t keys_lost; /* how often */
	bool in_flight;
	_Alignas(16) struct intact_digest_batch batch; /* last: the driver's memory is behind it */
};

/* Bytes of one request for this digest, struct digest_request and what the driver keeps behind it,
 * a multiple of 64. */
size_t digest_request_bytes(const struct digest *d);

/* Hands a request over; it and its buffers belong to the digest until `done`. */
void digest_submit(struct digest *d, struct digest_request *req);

/* Runs `done` of finished requests; returns how many. Does not wait. */
unsigned digest_poll(struct digest *d);

/* Whether digest_poll has to be called again although nobody will call `wake`: the driver has
 * something and cannot do that.
 */
bool digest_must_poll(const struct digest *d);

/* Makes everything submitted finish, and runs `done` of it. May wait for an asynchronous driver:
 * not for the loop. */
void digest_flush(struct digest *d);

/* One message, now, without salt or sector: for section and superblock MACs and tests. May wait.
 * Returns 0 or the digest's error.
 */
int digest_once(struct digest *d, const void *message, size_t bytes, uint8_t *tag);

#endif
