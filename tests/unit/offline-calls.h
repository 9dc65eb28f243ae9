/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Stands between the library and what changes a file (see meson.build): writes down each call, and
 * makes one of them fail. Only the file that is watched counts. For tests with one thread at work.
 */
#ifndef INTACT_TEST_OFFLINE_CALLS_H
#define INTACT_TEST_OFFLINE_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALLS_MAX 4096

enum call_kind { CALL_WRITE, CALL_SYNC, CALL_ALLOCATE };

struct call {
	enum call_kind kind;
	int mode; /* of an allocation */
	uint64_t offset, bytes;
};

static struct {
	ino_t inode; /* of the file that is watched */
	struct call call[CALLS_MAX];
	unsigned count;
	unsigned fails_at; /* the how manyth call; 0: none */
	int fails_with;
	bool no_holes; /* the file system cannot zero */
} calls;

static inline void calls_watch(int fd)
{
	struct stat st;

	memset(&calls, 0, sizeof(calls));
	assert_int_equal(fstat(fd, &st), 0);
	calls.inode = st.st_ino;
}

/* False: it shall fail, errno says how. */
static inline bool call_noted(int fd, struct call call)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_ino != calls.inode)
		return true;
	assert_true(calls.count < CALLS_MAX);
	calls.call[calls.count++] = call;
	errno = call.kind == CALL_ALLOCATE && calls.no_holes ? EOPNOTSUPP : calls.fails_with;
	return !(call.kind == CALL_ALLOCATE && calls.no_holes) && calls.count != calls.fails_at;
}

ssize_t __real_pwrite64(int fd, const void *from, size_t bytes, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t offset)
{
	if (!call_noted(fd, (struct call){CALL_WRITE, 0, (uint64_t)offset, bytes}))
		return -1;
	return __real_pwrite64(fd, from, bytes, offset);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	if (!call_noted(fd, (struct call){.kind = CALL_SYNC}))
		return -1;
	return __real_fdatasync(fd);
}

int __real_fallocate64(int fd, int mode, off_t offset, off_t bytes);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes)
{
	if (!call_noted(fd, (struct call){CALL_ALLOCATE, mode, (uint64_t)offset, (uint64_t)bytes}))
		return -1;
	return __real_fallocate64(fd, mode, offset, bytes);
}

#endif
