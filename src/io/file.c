/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files and block devices: what may be opened, and how large it is.
 */
#include "base/cleanup.h"
#include "base/message.h"
#include "base/num.h"
#include "io/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

struct io_file {
	int fd;
	int direct_fd; /* the same device past the page cache; -1: none */
	bool block_device;
	bool in_memory;
	dev_t numbers; /* of a block device */
	uint64_t bytes;
	char path[];
};

static int refuse(const struct intact_log *log, const char *what, const char *path)
{
	int err = errno;

	message_error(log, "cannot %s %s: %m", what, path);
	return -err;
}

static int check_type(const struct stat *st, const char *path, const struct intact_log *log)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	if (S_ISDIR(st->st_mode)) {
		message_error(log, "%s is a directory, not a file or block device", path);
		return -EISDIR;
	}
	message_error(log, "%s is neither a file nor a block device", path);
	return -ENOTBLK;
}

/* Locks by flock are the file description's: they go with its last descriptor, however the process
 * ends. A block device's are its node's, which another node of the same device has not; there O_EXCL
 * keeps writers, file systems and the kernel's own targets out as well.
 */
static int lock(int fd, unsigned flags, const char *path, const struct intact_log *log)
{
	if (!(flags & IO_FILE_LOCK))
		return 0;
	if (flock(fd, (flags & IO_FILE_WRITE ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return refuse(log, "lock", path);
	message_error(log, "%s is in use by another program", path);
	return -EBUSY;
}

static int access_mode(unsigned flags, const struct stat *st)
{
	if (!(flags & IO_FILE_WRITE))
		return O_RDONLY;
	return S_ISBLK(st->st_mode) && (flags & IO_FILE_LOCK) ? O_RDWR | O_EXCL : O_RDWR;
}

/* The type is looked at first, because opening a FIFO waits for its other end and opening some
 * devices does something.
 */
static int open_checked(const char *path, unsigned flags, const struct intact_log *log)
{
	struct stat st;
	int err;
	int fd;

	if (stat(path, &st) < 0)
		return refuse(log, "open", path);
	err = check_type(&st, path, log);
	if (err)
		return err;
	fd = open(path, access_mode(flags, &st) | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? refuse(log, "open", path) : fd;
}

static bool is_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* Not for devices of larger blocks: a journal's sections begin at any sector. What cannot be had is
 * done without.
 */
static int open_direct(const struct io_file *f, unsigned flags)
{
	int write = flags & IO_FILE_WRITE ? O_RDWR : O_RDONLY;
	int block_bytes = 0;
	char path[32];

	if (!(flags & IO_FILE_DIRECT) || !f->block_device ||
	    ioctl(f->fd, BLKSSZGET, &block_bytes) < 0 || block_bytes != (int)SECTOR_BYTES)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	return open(path, write | O_DIRECT | O_CLOEXEC | O_NOCTTY);
}

int io_file_measure(struct io_file *f, const struct intact_log *log)
{
	struct stat st;

	if (f->block_device)
		return ioctl(f->fd, BLKGETSIZE64, &f->bytes) < 0
			       ? refuse(log, "find the size of", f->path)
			       : 0;
	if (fstat(f->fd, &st) < 0)
		return refuse(log, "look at", f->path);
	f->bytes = (uint64_t)st.st_size;
	return 0;
}

static int identify(struct io_file *f, const struct intact_log *log)
{
	struct stat st;
	int err;

	if (fstat(f->fd, &st) < 0)
		return refuse(log, "look at", f->path);
	err = check_type(&st, f->path, log);
	if (err)
		return err;
	f->block_device = S_ISBLK(st.st_mode);
	f->in_memory = S_ISREG(st.st_mode) && is_in_memory(f->fd);
	f->numbers = st.st_rdev;
	return io_file_measure(f, log);
}

int io_file_open(const char *path, unsigned flags, const struct intact_log *log,
		 struct io_file **ret)
{
	AUTO_CLOSE int fd = open_checked(path, flags, log);
	AUTO_FREE struct io_file *f = NULL;
	size_t path_bytes = strlen(path) + 1;
	int err;

	if (fd < 0)
		return fd;
	f = calloc(1, sizeof(*f) + path_bytes);
	if (!f)
		return -ENOMEM;
	memcpy(f->path, path, path_bytes);
	f->fd = fd;
	err = lock(fd, flags, path, log) ?: identify(f, log);
	if (err)
		return err;
	f->direct_fd = open_direct(f, flags);
	(void)TAKE_FD(fd);
	*ret = TAKE_PTR(f);
	return 0;
}

void io_file_close(struct io_file *f)
{
	if (!f)
		return;
	if (f->direct_fd >= 0)
		close(f->direct_fd);
	close(f->fd);
	free(f);
}

int io_file_fd(const struct io_file *f)
{
	return f->fd;
}

const char *io_file_path(const struct io_file *f)
{
	return f->path;
}

uint64_t io_file_bytes(const struct io_file *f)
{
	return f->bytes;
}

bool io_file_is_block_device(const struct io_file *f)
{
	return f->block_device;
}

bool io_file_numbers(const struct io_file *f, unsigned *ret_major, unsigned *ret_minor)
{
	if (!f->block_device)
		return false;
	*ret_major = major(f->numbers);
	*ret_minor = minor(f->numbers);
	return true;
}

bool io_file_is_in_memory(const struct io_file *f)
{
	return f->in_memory;
}

static bool is_aligned(const struct io *io)
{
	uintptr_t bits = (uintptr_t)(io->offset + io->moved);

	for (unsigned i = 0; i < io->iov_count; i++)
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return bits % SECTOR_BYTES == 0;
}

int io_fd(const struct io *io)
{
	const struct io_file *f = io->file;

	return f->direct_fd >= 0 && io->op != IO_FLUSH && is_aligned(io) ? f->direct_fd : f->fd;
}

int64_t io_attempt(const struct io *io)
{
	int fd = io_fd(io);
	off_t offset = (off_t)(io->offset + io->moved);
	int count = (int)io->iov_count;
	ssize_t got = -1;

	switch (io->op) {
	case IO_READ:
		got = preadv(fd, io->iov, count, offset);
		break;
	case IO_WRITE:
		got = pwritev2(fd, io->iov, count, offset, io->fua ? RWF_DSYNC : 0);
		break;
	case IO_FLUSH:
		got = fdatasync(fd);
		break;
	}
	return got < 0 ? -errno : got;
}

int io_file_read(struct io_file *f, uint64_t offset, void *buffer, size_t bytes)
{
	uint8_t *to = buffer;

	while (bytes > 0) {
		ssize_t got = pread(f->fd, to, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ENODATA;
		to += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}
