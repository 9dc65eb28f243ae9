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

#include <intact.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES_MAX     64
#define DIGEST_KEY_BYTES_MAX 4096
#define DIGEST_SALT_BYTES    16

/* What a name stands for (docs/format.md section 4). All constant data. */
enum digest_hash {
	DIGEST_CRC32C,
	DIGEST_CRC32,
	DIGEST_XXHASH64,
	DIGEST_MD5,
	DIGEST_SHA1,
	DIGEST_SHA224,
	DIGEST_SHA256,
	DIGEST_SHA384,
	DIGEST_SHA512,
	DIGEST_SHA3_224,
	DIGEST_SHA3_256,
	DIGEST_SHA3_384,
	DIGEST_SHA3_512,
	DIGEST_BLAKE2B_160,
	DIGEST_BLAKE2B_256,
	DIGEST_BLAKE2B_384,
	DIGEST_BLAKE2B_512,
	DIGEST_BLAKE2S_256,
	DIGEST_AES_CMAC,
	DIGEST_HASHES
};

struct digest_algorithm {
	const char *name;  /* the kernel's: "hmac(sha256)" */
	const char *alias; /* integritysetup's where it differs: "hmac-sha256"; else NULL */
	enum digest_hash hash;
	bool hmac;  /* HMAC over hash */
	bool keyed; /* hmac, or cmac(aes) */
	uint16_t digest_bytes;
	uint16_t hash_block_bytes; /* of the hash inside, for HMAC; 0 for checksums */
};

/* All algorithms, checksums first; ends with a NULL name. */
const struct digest_algorithm *digest_algorithms(void);

/* By either name ("phmac(X)" is hmac(X)); NULL when unknown. */
const struct digest_algorithm *digest_algorithm_find(const char *name);

/* How to choose among the drivers of an algorithm: intact.h has enum intact_digest_policy. */
struct digest_spec {
	const struct digest_algorithm *algorithm;
	const uint8_t *key;  /* copied into the driver's state; the caller wipes its own */
	size_t key_bytes;    /* 0: no key */
	const uint8_t *salt; /* DIGEST_SALT_BYTES put before every message of a salted request;
				NULL: zero bytes */
	size_t tag_bytes;    /* digests are cut, or padded with zero bytes, to this; 0: the digest's
				own size */
	enum intact_digest_policy policy;
	const char *driver;    /* this driver or none; NULL: the policy decides */
	const char *parameter; /* what the user calls it, for messages: "internal hash",
				  "journal_mac" */
	bool quiet;	       /* do not log the choice */
};

struct digest;

/* Finds a driver, has it self-tested, and keys it.
 *
 *   -ENOKEY    a keyed algorithm without key
 *   -EINVAL    a key for an unkeyed one, or a key of impossible length; tag_bytes over 255
 *   -ENOENT    no driver of this name, or none that the policy allows, has the algorithm; the
 *              message lists those that do
 *   -EIO       the driver failed its self-test
 *   -ENOMEM
 */
int digest_open(const struct digest_spec *spec, const struct intact_log *log, struct digest **ret);

/* Takes NULL. No request may be in flight. Wipes key material. */
void digest_close(struct digest *d);

const struct digest_algorithm *digest_algorithm(const struct digest *d);
const char *digest_driver_name(const struct digest *d); /* "openssl", "mb" … */
bool digest_is_synchronous(const struct digest *d);
size_t digest_tag_bytes(const struct digest *d);

/* `count` messages of `message_bytes`, `stride_bytes` apart; message i gets, in this order, the
 * salt (if DIGEST_SALTED), le64(sector + i * sector_step) (if DIGEST_SECTOR) and its bytes put
 * through the digest. Tag i goes to tags + i * tag_stride_bytes, tag_bytes of it.
 */
#define DIGEST_SALTED (1u << 0)
#define DIGEST_SECTOR (1u << 1)
/* The DIGEST_HEADROOM_BYTES before each message are scratch memory, which a driver may overwrite to
 * have the prefix and the message in one piece; without the flag, one that needs that copies.
 */
#define DIGEST_HEADROOM		(1u << 2)
#define DIGEST_HEADROOM_BYTES	(DIGEST_SALT_BYTES + 8)
#define DIGEST_PREFIX_BYTES_MAX (DIGEST_SALT_BYTES + 8)

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

	/* The digest layer's. */
	struct digest_request *next;
	uint32_t submitted; /* messages handed to the driver */
	uint32_t finished;  /* messages whose tags are written */
	bool in_flight;
};

/* Bytes of one request for this digest, struct digest_request and what the driver keeps behind it,
 * a multiple of 64. */
size_t digest_request_bytes(const struct digest *d);

/* Hands a request over; it and its buffers belong to the digest until `done`. */
void digest_submit(struct digest *d, struct digest_request *req);

/* Runs `done` of finished requests; returns how many. Does not wait. */
unsigned digest_poll(struct digest *d);

/* Makes everything submitted finish, and runs `done` of it. May wait for an asynchronous driver:
 * not for the loop. */
void digest_flush(struct digest *d);

/* One message, now, without salt or sector: for section and superblock MACs and tests. May wait.
 * Returns 0 or the digest's error.
 */
int digest_once(struct digest *d, const void *message, size_t bytes, uint8_t *tag);

#endif
