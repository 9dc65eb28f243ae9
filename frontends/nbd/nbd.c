/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A volume as a block device by the kernel's NBD client, which even old kernels have: this process is
 * the server as well, over pairs of sockets, and nothing of it can be reached from outside.
 *
 * The device lives in a call of one of our threads (NBD_DO_IT). The kernel's newer way, by netlink,
 * leaves a device behind when its server dies, connected to nothing; this way it goes with the process,
 * whatever ends that.
 */
#include "../device-use.h"
#include "../frontend.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef NBD_FLAG_SEND_WRITE_ZEROES
#define NBD_FLAG_SEND_WRITE_ZEROES (1 << 6) /* since Linux 6.10; older ones ignore it */
#endif

#define QUEUES_DEFAULT 2u
#define QUEUES_MAX     16u
#define DEPTH_DEFAULT  8u
#define DEPTH_MAX      128u /* the kernel sends no more at once */
#define DEVICES_MAX    4096u
#define PATH_BYTES     32
#define BEGIN_TRIES    500 /* of 10 ms */

struct device {
	struct intact *volume;
	void (*ended)(void *opaque);
	void *opaque;
	char path[PATH_BYTES];
	int fd; /* of it */
	int sockets[QUEUES_MAX];
	unsigned socket_count;
	uint32_t block_bytes;
	struct server *server;
	pthread_t runner;
	bool running;
	bool stopping; /* atomic, as the following */
	bool over;
};

static int complain(const struct intact_log *log, const char *what, const char *path)
{
	int err = errno;

	frontend_say(log, INTACT_ERROR, "nbd: cannot %s %s: %s", what, path, strerror(err));
	return -err;
}

static void sleep_a_while(void)
{
	const struct timespec a_while = {.tv_nsec = 10000000L};

	(void)nanosleep(&a_while, NULL);
}

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

/* ---- Finding a device ---- */

static bool is_connected(unsigned number)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/block/nbd%u/pid", number);
	return access(path, F_OK) == 0;
}

static int nbd_probe(const struct frontend_options *options, const struct intact_log *log)
{
	int fd;

	(void)options;
	if (geteuid() != 0) {
		frontend_say(log, INTACT_ERROR, "nbd: only root can have its devices");
		return -EACCES;
	}
	fd = open("/dev/nbd0", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	frontend_say(log, INTACT_ERROR, "nbd: /dev/nbd0: %s (modprobe nbd?)", strerror(errno));
	return errno == EACCES || errno == EPERM ? -EACCES : -ENODEV;
}

/* The kernel's end; it keeps the socket by itself. */
static int give_socket(struct device *d)
{
	int pair[2];
	int err = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (ioctl(d->fd, NBD_SET_SOCK, pair[1]) < 0)
		err = -errno;
	close(pair[1]);
	if (err)
		close(pair[0]);
	else
		d->sockets[d->socket_count++] = pair[0];
	return err;
}

/* Who gives a device its first socket has it; another, who was quicker, makes that fail. */
static int try_device(struct device *d, unsigned number)
{
	int err;

	(void)snprintf(d->path, sizeof(d->path), "/dev/nbd%u", number);
	d->fd = open(d->path, O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	err = is_connected(number) || block_device_is_used(d->path) ? -EBUSY : give_socket(d);
	if (err) {
		close(d->fd);
		d->fd = -1;
	}
	return err;
}

static int find_device(struct device *d, const struct intact_log *log)
{
	int err = -EBUSY;

	for (unsigned i = 0; i < DEVICES_MAX && err == -EBUSY; i++)
		err = try_device(d, i);
	if (err == -ENOENT || err == -ENXIO || err == -EBUSY)
		frontend_say(log, INTACT_ERROR,
			     "nbd: all devices are taken by others (modprobe nbd nbds_max=…)");
	else if (err)
		frontend_say(log, INTACT_ERROR, "nbd: cannot have %s: %s", d->path, strerror(-err));
	return err == -ENOENT || err == -ENXIO ? -EBUSY : err;
}

/* ---- Setting it up ---- */

static int give_sockets(struct device *d, unsigned count, const struct intact_log *log)
{
	while (d->socket_count < count) {
		int err = give_socket(d);

		if (!err)
			continue;
		frontend_say(log, INTACT_ERROR, "nbd: cannot give %s a socket: %s", d->path,
			     strerror(-err));
		return err;
	}
	return 0;
}

/* In blocks, because a number of bytes does not fit everywhere. */
static int tell_size(const struct device *d, uint64_t sectors)
{
	return ioctl(d->fd, NBD_SET_SIZE_BLOCKS,
		     (unsigned long)(sectors / (d->block_bytes / 512))) < 0
		       ? -errno
		       : 0;
}

static int configure(const struct device *d, const struct frontend_options *options,
		     const struct intact_log *log)
{
	unsigned long flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
			      NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_CAN_MULTI_CONN;

	if (options->read_only)
		flags |= NBD_FLAG_READ_ONLY;
	if (options->discards)
		flags |= NBD_FLAG_SEND_TRIM;
	if (ioctl(d->fd, NBD_SET_BLKSIZE, (unsigned long)d->block_bytes) < 0 ||
	    tell_size(d, intact_sectors(d->volume)) < 0 || ioctl(d->fd, NBD_SET_FLAGS, flags) < 0)
		return complain(log, "set up", d->path);
	return 0;
}

/* ---- Running it ---- */

static void *run(void *opaque)
{
	struct device *d = opaque;

	(void)ioctl(d->fd, NBD_DO_IT);
	__atomic_store_n(&d->over, true, __ATOMIC_RELEASE);
	if (!is_set(&d->stopping))
		d->ended(d->opaque);
	return NULL;
}

/* A signal would end the call, and the device. */
static int start_runner(struct device *d)
{
	sigset_t all;
	sigset_t before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&d->runner, NULL, run, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	d->running = err == 0;
	return -err;
}

static bool has_size(const struct device *d)
{
	uint64_t bytes = 0;

	return ioctl(d->fd, BLKGETSIZE64, &bytes) == 0 && bytes == intact_sectors(d->volume) * 512;
}

/* Nobody is told when the call in the other thread has begun to serve. */
static int wait_until_usable(const struct device *d, const struct intact_log *log)
{
	unsigned number = (unsigned)strtoul(d->path + strlen("/dev/nbd"), NULL, 10);

	for (unsigned i = 0; i < BEGIN_TRIES && !is_set(&d->over); i++) {
		if (is_connected(number) && has_size(d))
			return 0;
		sleep_a_while();
	}
	frontend_say(log, INTACT_ERROR, "nbd: %s does not begin to serve", d->path);
	return -EIO;
}

/* Takes it away, and waits for what is under way; takes what is half made. */
static void destroy(struct device *d)
{
	__atomic_store_n(&d->stopping, true, __ATOMIC_RELEASE);
	if (d->running) {
		(void)ioctl(d->fd, NBD_DISCONNECT);
		pthread_join(d->runner, NULL);
	}
	if (d->fd >= 0) {
		(void)ioctl(d->fd, NBD_CLEAR_SOCK);
		close(d->fd);
	}
	for (unsigned i = 0; i < d->socket_count; i++)
		(void)shutdown(d->sockets[i], SHUT_RDWR);
	server_stop(d->server);
	for (unsigned i = 0; i < d->socket_count; i++)
		close(d->sockets[i]);
	free(d);
}

static unsigned limited(unsigned wanted, unsigned otherwise, unsigned max)
{
	unsigned n = wanted ?: otherwise;

	return n < max ? n : max;
}

static int make(struct device *d, const struct frontend_options *options,
		const struct intact_log *log)
{
	unsigned queues = limited(options->queues, QUEUES_DEFAULT, QUEUES_MAX);
	unsigned depth = limited(options->depth, DEPTH_DEFAULT, DEPTH_MAX);
	int err = find_device(d, log);

	err = err ?: give_sockets(d, queues, log);
	err = err ?: configure(d, options, log);
	if (err)
		return err;
	err = server_start(d->volume, d->sockets, d->socket_count, depth, &d->server);
	err = err ?: start_runner(d);
	if (err) {
		frontend_say(log, INTACT_ERROR, "nbd: cannot start threads: %s", strerror(-err));
		return err;
	}
	return wait_until_usable(d, log);
}

static int nbd_start(struct intact *volume, const struct frontend_options *options,
		     const struct intact_log *log, void **ret_instance)
{
	struct device *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->volume = volume;
	d->ended = options->ended;
	d->opaque = options->opaque;
	d->fd = -1;
	d->block_bytes = intact_block_bytes(volume);
	err = make(d, options, log);
	if (err) {
		destroy(d);
		return err;
	}
	*ret_instance = d;
	return 0;
}

/* ---- What is asked of a device ---- */

static const char *nbd_device(const void *instance)
{
	return ((const struct device *)instance)->path;
}

static bool nbd_is_block(const void *instance)
{
	(void)instance;
	return true;
}

/* It has gone with its process. */
static int64_t nbd_id(const void *instance)
{
	(void)instance;
	return FRONTEND_ID_NONE;
}

static int nbd_resize(void *instance, uint64_t sectors, const struct intact_log *log)
{
	const struct device *d = instance;

	return tell_size(d, sectors) < 0 ? complain(log, "change the size of", d->path) : 0;
}

static bool nbd_in_use(const void *instance)
{
	return block_device_is_used(((const struct device *)instance)->path);
}

static int nbd_stop(void *instance, bool force, const struct intact_log *log)
{
	struct device *d = instance;

	(void)log;
	if (!force && nbd_in_use(d))
		return -EBUSY;
	if (!is_set(&d->over))
		(void)fsync(d->fd); /* what is in the page cache */
	destroy(d);
	return 0;
}

static int nbd_forget(const char *directory, int64_t id, const struct intact_log *log)
{
	(void)directory;
	(void)id;
	(void)log;
	return 0;
}

const struct frontend frontend_nbd = {
	.name = "nbd",
	.spreads = true,
	.probe = nbd_probe,
	.start = nbd_start,
	.device = nbd_device,
	.is_block = nbd_is_block,
	.id = nbd_id,
	.resize = nbd_resize,
	.in_use = nbd_in_use,
	.stop = nbd_stop,
	.forget = nbd_forget,
};
