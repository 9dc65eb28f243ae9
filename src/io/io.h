/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Block I/O: submit, and be told. One context belongs to one thread; behind it is io_uring, or a
 * pool of threads. An I/O is a struct io in its owner; nothing allocates after
 * io_context_open.
 *
 * - io_submit never calls `done` and never fails: every outcome is a completion. What was submitted
 *   may wait for the next io_run before it goes out, with all the others in one system call.
 * - io_run calls `done` of what has finished; in any order.
 * - At most `depth` are under way; further ones wait in order, in a list threaded through them.
 */
#ifndef INTACT_IO_IO_H
#define INTACT_IO_IO_H

#include <intact.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum io_op { IO_READ, IO_WRITE, IO_FLUSH };

struct io_file; /* an open file or block device */

struct io {
	/* The caller's; unchanged until done. */
	struct io_file *file;
	enum io_op op;
	bool fua;	    /* IO_WRITE: durable when done */
	uint64_t offset;    /* bytes; the end of the transfer fits an off_t */
	struct iovec *iov;  /* the vector too belongs to the I/O until done, which may change it */
	unsigned iov_count; /* at most IOV_MAX */
	void (*done)(struct io *io);
	void *opaque;

	/* Bytes transferred (reads: short only at the end of the file), or negative errno. Short
	 * transfers in between are continued, EINTR and EAGAIN retried, before anybody is told.
	 */
	int64_t result;

	/* The context's. */
	struct io *next;
	uint64_t moved;
	uint64_t wanted;
};

enum io_kind { IO_AUTO, IO_URING, IO_THREADS };

struct io_context;

/* depth: 1 … 4096. IO_AUTO takes io_uring unless the system denies it.
 *
 *   -EINVAL           the depth
 *   -ENOSYS, -EPERM   IO_URING asked for and denied
 *   -ENOMEM, -EAGAIN  no memory or threads
 */
int io_context_open(enum io_kind kind, unsigned depth, struct io_context **ret);
void io_context_close(struct io_context *c); /* takes NULL; nothing may be under way */
enum io_kind io_context_kind(const struct io_context *c);

void io_submit(struct io_context *c, struct io *io);

/* Runs `done` of what has finished; with wait, sleeps until at least one has (if any is under way).
 * Returns how many. */
unsigned io_run(struct io_context *c, bool wait);

/* Same, but sleeps until at least one has finished, or somebody has called io_wake since the last
 * sleep, or it is deadline_ns by CLOCK_MONOTONIC (UINT64_MAX: never), also when nothing is under
 * way. Returns how many. It may end early, by a signal for example.
 */
unsigned io_run_until(struct io_context *c, uint64_t deadline_ns);

/* The same sleep for an owner who lends the context to another thread meanwhile: between
 * io_may_sleep, which says that there is nothing to be run, and the end of io_sleep.
 */
bool io_may_sleep(struct io_context *c);
void io_sleep(struct io_context *c, uint64_t deadline_ns);

/* Ends the sleep, or the next one. Any thread, any number of times. */
void io_wake(struct io_context *c);

uint64_t io_now_ns(void); /* CLOCK_MONOTONIC */

/* For an owner who sleeps elsewhere, in poll(2) say: becomes readable when something has finished
 * or io_wake was called. The owner reads from it (eight bytes; it does not wait) before io_run, and
 * sleeps in no other way. Belongs to the context.
 */
int io_context_fd(struct io_context *c);

/* Opens a regular file or block device. Says why not through log. With IO_FILE_LOCK nobody else has
 * it open with that flag until it is closed; but if neither writes, they share.
 *
 *   -EBUSY              somebody else has locked it
 *   -EISDIR, -ENOTBLK   a directory; neither file nor block device
 *   -ENOENT, -EACCES …  as open(2)
 */
#define IO_FILE_WRITE (1u << 0)
#define IO_FILE_LOCK  (1u << 1)

/* Transfers on a block device whose logical blocks are sectors go past the page cache, if the memory
 * is aligned to sectors. Those that are not go through it; the two kinds must not be under way at the
 * same time in what lies within one page.
 */
#define IO_FILE_DIRECT (1u << 2)
int io_file_open(const char *path, unsigned flags, const struct intact_log *log,
		 struct io_file **ret);
void io_file_close(struct io_file *f); /* takes NULL */

int io_file_fd(const struct io_file *f);
const char *io_file_path(const struct io_file *f);
uint64_t io_file_bytes(const struct io_file *f); /* when it was opened, or measured again */
int io_file_measure(struct io_file *f, const struct intact_log *log);
bool io_file_is_block_device(const struct io_file *f);
/* False: no block device, and *ret are untouched. */
bool io_file_numbers(const struct io_file *f, unsigned *ret_major, unsigned *ret_minor);
bool io_file_is_in_memory(const struct io_file *f); /* no device: I/O on it does not wait */

/* Reads exactly so many bytes, on the calling thread, without a context: for superblocks. 0,
 * -ENODATA (end of file before that), or negative errno.
 */
int io_file_read(struct io_file *f, uint64_t offset, void *buffer, size_t bytes);

#endif
