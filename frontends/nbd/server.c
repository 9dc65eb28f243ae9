/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Several threads per socket: each takes a request with all its data, does it, and answers:
 *
 *	(receiving) request, data -> the volume -> (sending) reply, data
 *
 * After a disconnect, or when the socket ends, they leave; the last one closes it for the other end,
 * when everything is answered.
 */
#include "server.h"

#include <endian.h>
#include <errno.h>
#include <linux/nbd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NBD_FLAG_SEND_WRITE_ZEROES
#define NBD_CMD_WRITE_ZEROES 6 /* since Linux 6.10 */
#endif

#define COMMAND_MASK 0xffffu
#define BUFFER_BYTES (1u << 20) /* the kernel asks for 128 KiB, unless somebody lets it for more */

struct connection {
	struct intact *volume;
	int fd;
	pthread_mutex_t receiving;
	pthread_mutex_t sending;
	bool over;	  /* under `receiving` */
	unsigned workers; /* atomic; that are there */
};

struct worker {
	struct connection *connection;
	pthread_t thread;
	uint8_t *buffer;
	struct nbd_request request;
	unsigned command;
	unsigned flags; /* INTACT_… */
	uint64_t at;
	uint64_t bytes;
};

struct server {
	struct connection *connections;
	unsigned connection_count;
	struct worker *workers;
	unsigned worker_count; /* that run */
	uint8_t *memory;
	size_t memory_bytes;
};

/* ---- Bytes ---- */

static bool receive_all(int fd, void *to, size_t bytes)
{
	uint8_t *at = to;

	while (bytes > 0) {
		ssize_t n = recv(fd, at, bytes, MSG_WAITALL);

		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		if (n > 0) {
			at += n;
			bytes -= (size_t)n;
		}
	}
	return true;
}

/* So much of it has been sent. */
static void advance(struct msghdr *m, size_t bytes)
{
	while (m->msg_iovlen > 0 && bytes >= m->msg_iov->iov_len) {
		bytes -= m->msg_iov->iov_len;
		m->msg_iov++;
		m->msg_iovlen--;
	}
	if (m->msg_iovlen > 0) {
		m->msg_iov->iov_base = (uint8_t *)m->msg_iov->iov_base + bytes;
		m->msg_iov->iov_len -= bytes;
	}
}

static bool send_all(int fd, struct iovec *iov, unsigned count)
{
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};

	while (message.msg_iovlen > 0) {
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			advance(&message, (size_t)n);
	}
	return true;
}

static size_t piece_of(uint64_t bytes)
{
	return bytes < BUFFER_BYTES ? (size_t)bytes : BUFFER_BYTES;
}

/* ---- Answers ---- */

static struct nbd_reply reply_of(const struct worker *w, int result)
{
	struct nbd_reply reply = {.magic = htobe32(NBD_REPLY_MAGIC)};

	/* The kernel makes EIO of all of them; the volume has told its log. */
	reply.error = htobe32(result == 0 ? 0u : result == -EINVAL ? (uint32_t)EINVAL : EIO);
	memcpy(reply.handle, w->request.handle, sizeof(reply.handle));
	return reply;
}

static bool send_reply(struct worker *w, int result, size_t data_bytes)
{
	struct nbd_reply reply = reply_of(w, result);
	struct iovec iov[] = {
		{.iov_base = &reply, .iov_len = sizeof(reply)},
		{.iov_base = w->buffer, .iov_len = data_bytes},
	};
	bool sent;

	pthread_mutex_lock(&w->connection->sending);
	sent = send_all(w->connection->fd, iov, data_bytes > 0 ? 2 : 1);
	pthread_mutex_unlock(&w->connection->sending);
	return sent;
}

/* ---- Requests ---- */

static bool read_small(struct worker *w)
{
	int err = intact_pread(w->connection->volume, w->buffer, w->bytes, w->at);

	return send_reply(w, err, err ? 0 : w->bytes);
}

/* All of it is verified before the first byte is sent, as an error cannot follow. What fails when it is
 * read once more ends the connection.
 */
static int verify_pieces(struct worker *w)
{
	int err = 0;

	for (uint64_t done = 0; done < w->bytes && !err; done += BUFFER_BYTES)
		err = intact_pread(w->connection->volume, w->buffer, piece_of(w->bytes - done),
				   w->at + done);
	return err;
}

static bool send_pieces(struct worker *w)
{
	struct nbd_reply reply = reply_of(w, 0);
	struct iovec head = {.iov_base = &reply, .iov_len = sizeof(reply)};

	if (!send_all(w->connection->fd, &head, 1))
		return false;
	for (uint64_t done = 0; done < w->bytes; done += BUFFER_BYTES) {
		size_t bytes = piece_of(w->bytes - done);
		struct iovec piece = {.iov_base = w->buffer, .iov_len = bytes};

		if (intact_pread(w->connection->volume, w->buffer, bytes, w->at + done) < 0 ||
		    !send_all(w->connection->fd, &piece, 1))
			return false;
	}
	return true;
}

static bool read_large(struct worker *w)
{
	int err = verify_pieces(w);
	bool sent;

	if (err)
		return send_reply(w, err, 0);
	pthread_mutex_lock(&w->connection->sending);
	sent = send_pieces(w);
	pthread_mutex_unlock(&w->connection->sending);
	return sent;
}

static int write_piece(struct worker *w, size_t bytes, uint64_t done)
{
	return intact_pwrite(w->connection->volume, w->buffer, bytes, w->at + done, w->flags);
}

/* Before others receive: the data of a write are as long as they are, also of one that fails. */
static bool write_large(struct worker *w, int *ret_result)
{
	*ret_result = 0;
	for (uint64_t done = 0; done < w->bytes; done += BUFFER_BYTES) {
		size_t bytes = piece_of(w->bytes - done);
		int err;

		if (!receive_all(w->connection->fd, w->buffer, bytes))
			return false;
		err = write_piece(w, bytes, done);
		*ret_result = *ret_result ?: err;
	}
	return true;
}

static bool is_large(const struct worker *w)
{
	return w->bytes > BUFFER_BYTES;
}

static bool carry_out(struct worker *w, int result)
{
	struct intact *v = w->connection->volume;

	switch (w->command) {
	case NBD_CMD_READ:
		return is_large(w) ? read_large(w) : read_small(w);
	case NBD_CMD_WRITE:
		return send_reply(w, is_large(w) ? result : write_piece(w, w->bytes, 0), 0);
	case NBD_CMD_FLUSH:
		return send_reply(w, intact_flush(v), 0);
	case NBD_CMD_TRIM:
		return send_reply(w, intact_discard(v, w->bytes, w->at, w->flags), 0);
	case NBD_CMD_WRITE_ZEROES:
		return send_reply(w, intact_write_zeroes(v, w->bytes, w->at, w->flags), 0);
	}
	return send_reply(w, -EINVAL, 0);
}

static void decode(struct worker *w)
{
	uint32_t type = be32toh(w->request.type);

	w->command = type & COMMAND_MASK;
	w->flags = type & NBD_CMD_FLAG_FUA ? INTACT_FUA : 0;
	w->at = be64toh(w->request.from);
	w->bytes = be32toh(w->request.len);
}

/* False: there will be none any more. *ret_result: of a write that was too large to be kept. */
static bool receive(struct worker *w, int *ret_result)
{
	int fd = w->connection->fd;

	*ret_result = 0;
	if (!receive_all(fd, &w->request, sizeof(w->request)) ||
	    w->request.magic != htobe32(NBD_REQUEST_MAGIC))
		return false;
	decode(w);
	if (w->command == NBD_CMD_DISC)
		return false;
	if (w->command != NBD_CMD_WRITE)
		return true;
	return is_large(w) ? write_large(w, ret_result) : receive_all(fd, w->buffer, w->bytes);
}

static bool take_request(struct worker *w, int *ret_result)
{
	struct connection *c = w->connection;
	bool taken;

	pthread_mutex_lock(&c->receiving);
	taken = !c->over && receive(w, ret_result);
	if (!taken)
		c->over = true;
	pthread_mutex_unlock(&c->receiving);
	return taken;
}

static void *work(void *opaque)
{
	struct worker *w = opaque;
	struct connection *c = w->connection;
	int result;

	while (take_request(w, &result) && carry_out(w, result))
		continue;
	if (__atomic_sub_fetch(&c->workers, 1, __ATOMIC_ACQ_REL) == 0)
		(void)shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

/* ---- Starting and stopping ---- */

static int start_thread(struct worker *w)
{
	sigset_t all;
	sigset_t before;
	int err;

	sigfillset(&all);
	__atomic_add_fetch(&w->connection->workers, 1, __ATOMIC_ACQ_REL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static int take_memory(struct server *s, unsigned workers)
{
	void *memory;

	s->memory_bytes = (size_t)workers * BUFFER_BYTES;
	s->connections = calloc(s->connection_count, sizeof(*s->connections));
	s->workers = calloc(workers, sizeof(*s->workers));
	memory = mmap(NULL, s->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	s->memory = memory == MAP_FAILED ? NULL : memory;
	return s->connections && s->workers && s->memory ? 0 : -ENOMEM;
}

static void init_connections(struct server *s, struct intact *volume, const int *sockets)
{
	for (unsigned i = 0; i < s->connection_count; i++) {
		struct connection *c = &s->connections[i];

		c->volume = volume;
		c->fd = sockets[i];
		pthread_mutex_init(&c->receiving, NULL);
		pthread_mutex_init(&c->sending, NULL);
	}
}

static int start_workers(struct server *s, unsigned count)
{
	int err = 0;

	while (s->worker_count < count && !err) {
		struct worker *w = &s->workers[s->worker_count];

		w->connection = &s->connections[s->worker_count % s->connection_count];
		w->buffer = s->memory + (size_t)s->worker_count * BUFFER_BYTES;
		err = start_thread(w);
		if (!err)
			s->worker_count++;
	}
	return err;
}

int server_start(struct intact *volume, const int *sockets, unsigned count, unsigned depth,
		 struct server **ret)
{
	struct server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->connection_count = count;
	err = take_memory(s, count * depth);
	if (!err) {
		init_connections(s, volume, sockets);
		err = start_workers(s, count * depth);
	}
	if (err) {
		for (unsigned i = 0; i < count; i++)
			(void)shutdown(sockets[i], SHUT_RDWR);
		server_stop(s);
		return err;
	}
	*ret = s;
	return 0;
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->worker_count; i++)
		pthread_join(s->workers[i].thread, NULL);
	if (s->memory)
		munmap(s->memory, s->memory_bytes);
	free(s->workers);
	free(s->connections);
	free(s);
}
