/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a digest driver provides. A driver has a synchronous face (`compute`), an asynchronous one
 * (`submit`, `poll`, `flush`), or both; the digest layer picks one face at open.
 */
#ifndef INTACT_DIGEST_DRIVER_H
#define INTACT_DIGEST_DRIVER_H

#include "digest/digest.h"

#define DRIVER_SYNC	   (1u << 0) /* has compute */
#define DRIVER_ASYNC	   (1u << 1) /* has submit, poll and flush */
#define DRIVER_HARDWARE	   (1u << 2) /* computes elsewhere than on the calling core */
#define DRIVER_KEY_OUTSIDE (1u << 3) /* the key never enters this process */

/* What an instance needs to know to lay messages out and tags down. */
struct digest_shape {
	size_t digest_bytes;		 /* of the algorithm */
	size_t tag_bytes;		 /* to store: cut or padded */
	uint8_t salt[DIGEST_SALT_BYTES]; /* for DIGEST_SALTED requests */
};

/* Message i of req, without its prefix; never NULL, also when there are no bytes. */
static inline const uint8_t *digest_message(const struct digest_request *req, uint32_t i)
{
	static const uint8_t nothing;

	return req->data ? req->data + i * req->stride_bytes : &nothing;
}

static inline uint64_t digest_message_sector(const struct digest_request *req, uint32_t i)
{
	return req->sector + (uint64_t)i * req->sector_step;
}

/* Writes what precedes message i of req, and returns how many bytes that is, 0 to
 * DIGEST_PREFIX_BYTES_MAX.
 */
size_t digest_prefix(const struct digest_shape *shape, const struct digest_request *req, uint32_t i,
		     uint8_t prefix[DIGEST_PREFIX_BYTES_MAX]);

/* Stores the digest of message i of req as its tag. */
void digest_store(const struct digest_shape *shape, struct digest_request *req, uint32_t i,
		  const uint8_t *digest);

/* The driver's own memory behind a request, aligned like malloc's if the request is. */
static inline void *digest_request_behind(struct digest_request *req)
{
	return (uint8_t *)req + ((sizeof(*req) + 15) & ~(size_t)15);
}

struct digest_driver {
	const char *name;
	const char *description; /* half a line for `intact digests` */
	unsigned flags;
	int priority;	      /* the higher wins among drivers that the policy allows */
	size_t request_bytes; /* kept behind each struct digest_request, zeroed at submission */

	/* Whether this machine and this build of the library can do the algorithm at all, and
	 * whether it is worth it here: a driver that is known to bring nothing on this processor
	 * says `slow`, and is used only when named.
	 */
	enum driver_fit {
		DRIVER_CANNOT,
		DRIVER_SLOW,
		DRIVER_FITS
	} (*fit)(const struct digest_algorithm *algorithm);

	/* An instance for one thread, one algorithm, one key. -EINVAL: no such key length. */
	int (*open)(const struct digest_algorithm *algorithm, const uint8_t *key, size_t key_bytes,
		    const struct digest_shape *shape, void **ret_instance);
	void (*close)(void *instance); /* takes NULL; wipes */

	/* Synchronous face: all tags of the request before it returns. 0 or negative errno. */
	int (*compute)(void *instance, struct digest_request *req);

	/* Asynchronous face. submit: 0; -EBUSY: nothing was taken, it is offered again later, in
	 * order; any other error is the request's result. poll: puts what has finished in front of
	 * *finished, result set; never waits, and called often enough it brings everything without
	 * more being submitted. flush: everything submitted is finished when it returns, and put
	 * there too.
	 */
	int (*submit)(void *instance, struct digest_request *req);
	void (*poll)(void *instance, struct digest_request **finished);
	void (*flush)(void *instance, struct digest_request **finished);
};

#endif
