/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a digest is made of: open.c makes it, digest.c runs it; nobody else sees it.
 */
#ifndef INTACT_DIGEST_INTERNAL_H
#define INTACT_DIGEST_INTERNAL_H

#include "digest/digest.h"

#include <intact-digest.h>

#define REQUEST_BYTES_ALIGN 64
#define DEPTH_DEFAULT	    4096
#define WHAT_BYTES	    96

struct queue {
	struct digest_request *first;
	struct digest_request **end; /* where the next one is linked */
};

struct digest {
	const struct intact_digest_algorithm *algorithm;
	const struct intact_digest_driver *driver;
	void *instance;
	bool synchronous;
	struct intact_digest_shape shape;
	const struct intact_log *log;
	struct intact_log driver_log; /* the driver's way to it */
	bool driver_said;	      /* an error, so nobody else has to */
	char what[WHAT_BYTES];	      /* "internal hash hmac(sha256)" */
	struct queue backlog;	      /* nothing of them is with the driver; by number */
	struct queue finished;	      /* `done` not yet run */
	unsigned in_flight;	      /* requests submitted, `done` not yet run */
	uint32_t depth;		      /* messages with the driver, at most */
	uint32_t messages;	      /* with the driver */
	uint64_t number;	      /* of the next request */
	uint32_t key;		      /* counts up whenever it is derived again */
	struct digest_request *once;  /* digest_once's, for an asynchronous driver */
};

static inline void queue_init(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

#endif
