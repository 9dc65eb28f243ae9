/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a digest driver provides, and all that it needs: Intact's own drivers are written with this
 * header and nothing else of the library, and so is one that is loaded at run time (docs/
 * digest-driver.md shows how; examples/digest-module is one).
 *
 * A driver computes the tags of *batches*: messages of one length at a fixed distance. It has a
 * synchronous face (`compute`), an asynchronous one (`submit`, `poll`, `flush`), or both.
 *
 *	open -> compute …                                   -> close
 *	open -> submit … poll … (rederive, submit again)    -> close
 *
 * The functions of an instance are called one at a time, though not always by the same thread; of
 * different instances, by any threads. What a driver does on threads of its own is its own business;
 * it comes back through `poll`, and `wake` says that there is something to poll for.
 */
#ifndef INTACT_DIGEST_H
#define INTACT_DIGEST_H

#include <intact.h>

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes with everything below that a compiled driver depends on. */
#define INTACT_DIGEST_ABI 1u

/* ---- Algorithms ---- */

#define INTACT_DIGEST_BYTES_MAX	    64
#define INTACT_DIGEST_KEY_BYTES_MAX 4096
#define INTACT_DIGEST_SALT_BYTES    16

/* New ones are added at the end. */
enum intact_hash {
	INTACT_HASH_CRC32C,
	INTACT_HASH_CRC32,
	INTACT_HASH_XXHASH64,
	INTACT_HASH_MD5,
	INTACT_HASH_SHA1,
	INTACT_HASH_SHA224,
	INTACT_HASH_SHA256,
	INTACT_HASH_SHA384,
	INTACT_HASH_SHA512,
	INTACT_HASH_SHA3_224,
	INTACT_HASH_SHA3_256,
	INTACT_HASH_SHA3_384,
	INTACT_HASH_SHA3_512,
	INTACT_HASH_BLAKE2B_160,
	INTACT_HASH_BLAKE2B_256,
	INTACT_HASH_BLAKE2B_384,
	INTACT_HASH_BLAKE2B_512,
	INTACT_HASH_BLAKE2S_256,
	INTACT_HASH_AES_CMAC,
	INTACT_HASHES
};

struct intact_digest_algorithm {
	const char *name;  /* the kernel's: "hmac(sha256)" */
	const char *alias; /* integritysetup's where it differs: "hmac-sha256"; else NULL */
	enum intact_hash hash;
	bool hmac;  /* HMAC over hash */
	bool keyed; /* hmac, or cmac(aes) */
	uint16_t digest_bytes;
	uint16_t hash_block_bytes; /* of the hash inside, for HMAC; 0 for checksums */
};

/* How messages are laid out and tags put down. */
struct intact_digest_shape {
	size_t digest_bytes;			/* of the algorithm */
	size_t tag_bytes;			/* to store: cut, or padded with zero bytes */
	uint8_t salt[INTACT_DIGEST_SALT_BYTES]; /* for INTACT_DIGEST_SALTED batches */
};

/* ---- Batches ---- */

#define INTACT_DIGEST_SALTED (1u << 0)
#define INTACT_DIGEST_SECTOR (1u << 1)
/* The INTACT_DIGEST_HEADROOM_BYTES before each message are scratch memory, which a driver may
 * overwrite to have the prefix and the message in one piece; without the flag, one that needs that
 * copies.
 */
#define INTACT_DIGEST_HEADROOM	       (1u << 2)
#define INTACT_DIGEST_HEADROOM_BYTES   (INTACT_DIGEST_SALT_BYTES + 8)
#define INTACT_DIGEST_PREFIX_BYTES_MAX (INTACT_DIGEST_SALT_BYTES + 8)

/* `count` messages of `message_bytes`, `stride_bytes` apart. Message i is, in this order, the salt
 * (if INTACT_DIGEST_SALTED), le64(sector + i * sector_step) (if INTACT_DIGEST_SECTOR) and its
 * bytes. Its digest, cut or padded to tag_bytes, goes to tags + i * tag_stride_bytes.
 */
struct intact_digest_batch {
	/* What is to be computed; the driver reads it. */
	const uint8_t *data; /* may be NULL when message_bytes is 0 */
	size_t message_bytes;
	size_t stride_bytes;
	uint32_t count; /* at least 1 */
	uint32_t flags;
	uint64_t sector;
	uint32_t sector_step;

	/* The driver's while it has the batch, to count what is finished; zero at submission. */
	uint32_t finished;
	uint8_t *tags;
	size_t tag_stride_bytes;

	/* The driver's while it has the batch, for its lists. */
	struct intact_digest_batch *next;

	/* Zero at submission, and the driver's to set before it gives the batch back: 0, or
	 *
	 *   -EKEYEXPIRED  the key was lost; `rederive` may bring it back
	 *   else          the tags cannot be had: the volume stops, with this errno
	 */
	int result;
};

/* The driver's own memory behind a batch: batch_bytes of it, aligned like malloc's, zeroed at
 * submission.
 */
static inline void *intact_digest_batch_behind(struct intact_digest_batch *batch)
{
	return (uint8_t *)batch + ((sizeof(*batch) + 15) & ~(size_t)15);
}

/* Message i, without its prefix; never NULL, also when there are no bytes. */
static inline const uint8_t *intact_digest_message(const struct intact_digest_batch *batch,
						   uint32_t i)
{
	static const uint8_t nothing = 0;

	return batch->data ? batch->data + i * batch->stride_bytes : &nothing;
}

static inline uint64_t intact_digest_sector(const struct intact_digest_batch *batch, uint32_t i)
{
	return batch->sector + (uint64_t)i * batch->sector_step;
}

/* Writes what precedes message i, and returns how many bytes that is, 0 to
 * INTACT_DIGEST_PREFIX_BYTES_MAX.
 */
static inline size_t intact_digest_prefix(const struct intact_digest_shape *shape,
					  const struct intact_digest_batch *batch, uint32_t i,
					  uint8_t *prefix)
{
	size_t bytes = 0;

	if (batch->flags & INTACT_DIGEST_SALTED) {
		memcpy(prefix, shape->salt, INTACT_DIGEST_SALT_BYTES);
		bytes = INTACT_DIGEST_SALT_BYTES;
	}
	if (batch->flags & INTACT_DIGEST_SECTOR) {
		uint64_t sector = htole64(intact_digest_sector(batch, i));

		memcpy(prefix + bytes, &sector, sizeof(sector));
		bytes += sizeof(sector);
	}
	return bytes;
}

/* Stores the digest of message i as its tag. */
static inline void intact_digest_store(const struct intact_digest_shape *shape,
				       const struct intact_digest_batch *batch, uint32_t i,
				       const uint8_t *digest)
{
	uint8_t *tag = batch->tags + i * batch->tag_stride_bytes;

	if (shape->tag_bytes <= shape->digest_bytes) {
		memcpy(tag, digest, shape->tag_bytes);
		return;
	}
	memcpy(tag, digest, shape->digest_bytes);
	memset(tag + shape->digest_bytes, 0, shape->tag_bytes - shape->digest_bytes);
}

/* ---- Drivers ---- */

#define INTACT_DRIVER_SYNC     (1u << 0) /* has compute */
#define INTACT_DRIVER_ASYNC    (1u << 1) /* has submit, poll and flush */
#define INTACT_DRIVER_HARDWARE (1u << 2) /* computes elsewhere than on this machine's cores */
/* The key never enters this process: as `key`, open gets what names it (a URI), or nothing. There
 * is no self-test, as there are no known keys. Only such a driver is chosen for a key named by a
 * URI; for a keyed algorithm without one it has to be named.
 */
#define INTACT_DRIVER_KEY_OUTSIDE (1u << 3)
/* Asynchronous, and calls `wake` when there is something to poll for. A driver that does not is
 * polled without a pause as long as it has batches.
 */
#define INTACT_DRIVER_WAKES (1u << 4)
/* Computes by another driver of this machine's: the policy `accelerator` does not take it for one. */
#define INTACT_DRIVER_WRAPS (1u << 5)

/* Whether a driver can do an algorithm on this machine at all, and whether it is worth it: one that
 * brings nothing here says INTACT_DRIVER_SLOW, and is used only when it is named.
 */
enum intact_digest_fit { INTACT_DRIVER_CANNOT, INTACT_DRIVER_SLOW, INTACT_DRIVER_FITS };

struct intact_digest_driver;

/* What an instance is opened for. It is the caller's and gone after open: what is needed later is
 * copied. `wake` may be called until close has returned.
 */
struct intact_digest_setup {
	const struct intact_digest_algorithm *algorithm;
	const uint8_t *key;
	size_t key_bytes;
	const struct intact_digest_shape *shape;
	/* What follows the driver's name in --digest-driver NAME:KEY=VALUE,…; "" without. Only keys
	 * that the driver lists in `options` get here.
	 */
	const char *options;
	/* From any thread: poll has something to bring, or a driver that was busy is not any more.
	 * Once for as many batches as you like. May be NULL.
	 */
	void (*wake)(void *opaque);
	void *wake_opaque;
	/* What a person should read, as intact.h has it, in sentences that begin with `what`
	 * ("internal hash hmac(sha256)") and a colon: why open fails, what happens to the key. From
	 * the functions below only. May be NULL; else it may be used until close has returned.
	 */
	const struct intact_log *log;
	const char *what; /* gone after open */
	/* All drivers there are, ended by NULL: for one that computes by another. */
	const struct intact_digest_driver *const *drivers;
};

struct intact_digest_option {
	const char *name; /* a NULL name ends the list */
	const char *help; /* half a line */
};

struct intact_digest_driver {
	const char *name;	 /* letters, digits, '-' and '_' */
	const char *description; /* half a line for `intact digests` */
	unsigned flags;
	int priority;	    /* the higher wins among drivers that the policy allows */
	size_t batch_bytes; /* memory kept behind each batch for the asynchronous face */
	const struct intact_digest_option *options; /* or NULL: takes none */

	enum intact_digest_fit (*fit)(const struct intact_digest_algorithm *algorithm);

	/* An instance for one algorithm and one key. -EINVAL: no such key, or options that
	 * make no sense. Everything that will ever be needed is allocated here.
	 */
	int (*open)(const struct intact_digest_setup *setup, void **ret_instance);
	/* Takes NULL. The instance has no batches any more. Wipes. */
	void (*close)(void *instance);

	/* Synchronous face: all tags of the batch before it returns. 0 or negative errno, as
	 * batch.result has it.
	 */
	int (*compute)(void *instance, struct intact_digest_batch *batch);

	/* Asynchronous face; none of it waits but flush.
	 *
	 * submit: 0, and the batch and its memory are the driver's until poll or flush gives it
	 * back; -EBUSY: nothing was taken, it is offered again later, in order; any other error is
	 * the batch's result.
	 *
	 * poll: *finished, which is NULL, becomes the list of what has finished, linked by `next`,
	 * the last one to have finished first. Called often enough it brings everything without
	 * more being submitted.
	 *
	 * flush: the same, but everything submitted has finished when it returns.
	 */
	int (*submit)(void *instance, struct intact_digest_batch *batch);
	void (*poll)(void *instance, struct intact_digest_batch **finished);
	void (*flush)(void *instance, struct intact_digest_batch **finished);

	/* After -EKEYEXPIRED: get the key again, or begin to. What is submitted from now on may
	 * wait for it (or be refused with -EBUSY) and is failed with -EKEYEXPIRED again if there is
	 * none. Does not wait. 0, or an error that ends it all. NULL: a key that was lost is lost.
	 */
	int (*rederive)(void *instance);
};

/* ---- Options ---- */

/* Finds "name=value" in "a=1,b=2"; NULL when it is not there, else *ret_bytes of value. */
static inline const char *intact_digest_option(const char *options, const char *name,
					       size_t *ret_bytes)
{
	size_t name_bytes = strlen(name);

	while (*options) {
		size_t bytes = strcspn(options, ",");

		if (bytes > name_bytes && options[name_bytes] == '=' &&
		    memcmp(options, name, name_bytes) == 0) {
			*ret_bytes = bytes - name_bytes - 1;
			return options + name_bytes + 1;
		}
		options += bytes + (options[bytes] == ',');
	}
	return NULL;
}

/* A whole number up to max, or `otherwise` when the option was not given. -EINVAL: it is none; *ret
 * is untouched then.
 */
static inline int intact_digest_option_number(const char *options, const char *name, uint64_t max,
					      uint64_t otherwise, uint64_t *ret)
{
	size_t bytes = 0;
	const char *text = intact_digest_option(options, name, &bytes);
	uint64_t value = 0;

	if (!text) {
		*ret = otherwise;
		return 0;
	}
	if (bytes == 0)
		return -EINVAL;
	for (size_t i = 0; i < bytes; i++) {
		unsigned digit = (unsigned)(text[i] - '0');

		if (digit > 9 || digit > max || value > (max - digit) / 10)
			return -EINVAL;
		value = value * 10 + digit;
	}
	*ret = value;
	return 0;
}

/* ---- Modules ---- */

/* A shared object with drivers has one symbol of this type and this name,
 *
 *	const struct intact_digest_module intact_digest_module = INTACT_DIGEST_MODULE(my_drivers);
 *
 * my_drivers being an array of pointers to drivers that ends with NULL. It is refused when one of
 * the numbers is not the library's own.
 */
struct intact_digest_module {
	uint32_t abi;
	uint32_t driver_bytes;
	uint32_t setup_bytes;
	uint32_t batch_bytes;
	const struct intact_digest_driver *const *drivers;
};

#define INTACT_DIGEST_MODULE_SYMBOL "intact_digest_module"
#define INTACT_DIGEST_MODULE(list)                                                                 \
	{                                                                                          \
		INTACT_DIGEST_ABI, sizeof(struct intact_digest_driver),                            \
			sizeof(struct intact_digest_setup), sizeof(struct intact_digest_batch),    \
			(list)                                                                     \
	}

extern const struct intact_digest_module intact_digest_module;

#ifdef __cplusplus
}
#endif

#endif
