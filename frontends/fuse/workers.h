/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The threads that take requests from a FUSE session, each with memory of its own.
 *
 * libfuse's own loops begin and end threads as they see need, and take memory then. Here all is taken
 * at the start; what is left is the request's descriptor, some 200 bytes, which libfuse allocates for
 * each request and frees with its reply.
 */
#ifndef INTACT_FUSE_WORKERS_H
#define INTACT_FUSE_WORKERS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <stdbool.h>
#include <stdint.h>

#define TRANSFER_BYTES_MAX (1u << 20) /* of one request; the kernel's limit as well */

struct workers;

/* `ended` is called by one of them when the kernel has ended the session, at most once. */
int workers_start(struct fuse_session *session, unsigned count, void (*ended)(void *opaque),
		  void *opaque, struct workers **ret);

/* Requests under way come to their end. Takes NULL. */
void workers_stop(struct workers *w);

/* For a handler, on a worker: where TRANSFER_BYTES_MAX bytes that are read may be put. */
uint8_t *workers_buffer(void);

#endif
