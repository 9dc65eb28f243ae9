/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The threads that take requests from a FUSE session, and the memory of those requests.
 *
 * A thread does not stay with its request until that is answered: a handler that has handed it on
 * keeps its memory (workers_keep), and the thread takes the next one into other memory. So a few
 * threads do for any depth, which is the number of requests there is memory for; and few they should
 * be, as the kernel wakes them in turn, whether one is enough or not.
 *
 * libfuse's own loops begin and end threads as they see need, and take memory then. Here all is taken
 * at the start; what is left is the request's descriptor, some 200 bytes, which libfuse allocates for
 * each request and frees with its reply.
 */
#ifndef INTACT_FUSE_WORKERS_H
#define INTACT_FUSE_WORKERS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <intact.h>
#include <stdbool.h>
#include <stdint.h>

/* Of one request. What a user asks for in one piece comes in several then, which the threads share, and
 * each stays in its core's own cache.
 */
#define TRANSFER_BYTES_MAX (256u << 10)

struct workers;

/* Who answers it. */
enum work_state {
	WORK_LEFT, /* whoever is told that it is done */
	WORK_HERE, /* the thread that has submitted it looks after it still … */
	WORK_DONE, /* … and will find that it is done */
};

/* The memory of a request. */
struct work {
	uint8_t *data; /* TRANSFER_BYTES_MAX: what it writes is there, what it reads may go there */
	struct intact_request request; /* for who keeps it */
	fuse_req_t fuse;	       /* the same */
	enum work_state state;	       /* the same; atomic */
	struct workers *all;
	struct work *next;
};

/* depth: requests at once. `ended` is called by one of the threads when the kernel has ended the
 * session, at most once.
 */
int workers_start(struct fuse_session *session, unsigned depth, void (*ended)(void *opaque),
		  void *opaque, struct workers **ret);

/* Requests under way come to their end. Takes NULL. */
void workers_stop(struct workers *w);

/* For a handler, on a worker: the memory of the request that it was called for. It is used again when
 * the handler has returned, unless it is kept; then it has to be given back, on any thread.
 */
struct work *workers_memory(void);
void workers_keep(struct work *work);
void workers_give_back(struct work *work);

#endif
