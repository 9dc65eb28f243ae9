/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The other end of the kernel's NBD client: requests that come out of a socket, answers that go in.
 *
 * What is spoken there is the transmission of NBD's simplest kind, two structs of <linux/nbd.h>: the
 * kernel is told size and flags by a call, and nothing is negotiated. A server that stands by itself
 * (nbdkit) would have the volume in another process, out of reach of who asks this one for its status
 * or another length, and take memory in the path of requests.
 */
#ifndef INTACT_NBD_SERVER_H
#define INTACT_NBD_SERVER_H

#include <intact.h>

struct server;

/* A thread for each of `depth` requests of a socket at once, and all their memory. The sockets stay the
 * caller's, to be closed after server_stop.
 */
int server_start(struct intact *volume, const int *sockets, unsigned count, unsigned depth,
		 struct server **ret);

/* Waits for the threads, which go when their sockets end. Takes NULL. */
void server_stop(struct server *s);

#endif
