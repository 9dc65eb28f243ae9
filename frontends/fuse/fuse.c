/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A volume as a file, by FUSE: the mount point is the file itself, so that there is one inode and no
 * directory. On top of it, where that is wanted, a loop device.
 *
 * Nothing of the file is cached by the kernel (direct I/O): every read is verified, and every write is
 * with the volume when write(2) returns. As on a block device, opening it with O_TRUNC does nothing.
 *
 * Requests of whole blocks, which those of most users are, go to the volume and are answered when it is
 * done with them, on whichever thread that is; a worker waits for the others. While parts of blocks are
 * written, which is to read those blocks, change and write them, no other write is under way.
 *
 * A hole has to read as zeros, by fallocate(2) and for a loop device that zeroes by punching; a
 * discarded block of a volume does not promise that. So holes are written as zeros.
 */
#include "loop.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6) /* since Linux 6.2; older ones ignore it */
#endif

#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH (1 << 5) /* since Linux 5.16; older ones ignore it */
#endif

#define DEPTH_DEFAULT 16u
#define DEPTH_MAX     256u
#define WAITING_MAX   1024u /* requests the kernel has under way before it makes users wait */
#define RELEASE_TRIES 200   /* of 10 ms: for the loop device to let go of the file */
#define LARGE_BYTES   (64u << 10)
#define FILE_NAME     "volume"

struct file {
	struct intact *volume;
	struct intact_log log;
	void (*ended)(void *opaque);
	void *opaque;
	char path[PATH_MAX];
	char loop_path[LOOP_PATH_BYTES]; /* once it is looped */
	bool read_only;
	bool mounted;
	uint32_t block_bytes;
	struct fuse_session *session;
	struct workers *workers;

	pthread_mutex_t large_reads; /* one at a time is being run by a worker */

	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t changed;
	unsigned writes; /* under way */
	bool alone;	 /* somebody writes parts of blocks, or is about to */

	uint64_t bytes; /* atomic, as the following */
	unsigned opens;
	bool looped; /* there is a loop device over it */
	bool discards;
	bool stopping;
};

static uint64_t bytes_of(const struct file *f)
{
	return __atomic_load_n(&f->bytes, __ATOMIC_ACQUIRE);
}

static bool is_looped(const struct file *f)
{
	return __atomic_load_n(&f->looped, __ATOMIC_ACQUIRE);
}

static bool takes_discards(const struct file *f)
{
	return __atomic_load_n(&f->discards, __ATOMIC_ACQUIRE);
}

static bool is_stopping(const struct file *f)
{
	return __atomic_load_n(&f->stopping, __ATOMIC_ACQUIRE);
}

/* ---- Requests ---- */

static struct file *file_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Callers know fewer errors; the log was told which blocks do not match. */
static void reply(fuse_req_t req, int result)
{
	fuse_reply_err(req, result == -EILSEQ ? EIO : -result);
}

static void reply_attributes(fuse_req_t req)
{
	const struct file *f = file_of(req);
	const struct stat st = {
		.st_ino = FUSE_ROOT_ID,
		.st_mode = S_IFREG | (f->read_only ? 0400 : 0600),
		.st_nlink = 1,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = (off_t)bytes_of(f),
		.st_blksize = f->block_bytes,
		.st_blocks = (blkcnt_t)(bytes_of(f) / 512),
	};

	fuse_reply_attr(req, &st, 0);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	reply_attributes(req);
}

/* Opening with O_TRUNC arrives as a size of 0. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		       struct fuse_file_info *fi)
{
	const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
			  FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME;
	const bool other_size = (which & FUSE_SET_ATTR_SIZE) && st->st_size != 0 &&
				(uint64_t)st->st_size != bytes_of(file_of(req));

	(void)ino;
	(void)fi;
	if (other_size || (which & ~(times | FUSE_SET_ATTR_SIZE)))
		reply(req, -EPERM);
	else
		reply_attributes(req);
}

/* The answer is put together here, because libfuse has not had the flags for long. Closing the file asks
 * for nothing: if we are killed while we have it open ourselves, we would wait in our exit for an
 * answer of our own.
 */
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct fuse_open_out opened = {
		.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES | FOPEN_NOFLUSH,
	};
	struct file *f = file_of(req);

	(void)ino;
	if (f->read_only && (fi->flags & O_ACCMODE) != O_RDONLY) {
		reply(req, -EROFS);
		return;
	}
	if (is_stopping(f)) {
		reply(req, -ENODEV);
		return;
	}
	__atomic_add_fetch(&f->opens, 1, __ATOMIC_ACQ_REL);
	if (fuse_reply_buf(req, (const char *)&opened, sizeof(opened)) == -ENOENT)
		/* interrupted: it will not be released */
		__atomic_sub_fetch(&f->opens, 1, __ATOMIC_ACQ_REL);
}

/* A loop device that lets go of the file without having been asked to has been detached. */
static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct file *f = file_of(req);
	unsigned opens = __atomic_sub_fetch(&f->opens, 1, __ATOMIC_ACQ_REL);

	(void)ino;
	(void)fi;
	reply(req, 0);
	if (opens == 0 && is_looped(f) && !is_stopping(f))
		f->ended(f->opaque);
}

/* ---- Reading and writing ---- */

static void write_begin(struct file *f)
{
	pthread_mutex_lock(&f->mutex);
	while (f->alone)
		pthread_cond_wait(&f->changed, &f->mutex);
	f->writes++;
	pthread_mutex_unlock(&f->mutex);
}

static void write_end(struct file *f)
{
	pthread_mutex_lock(&f->mutex);
	f->writes--;
	if (f->alone && f->writes == 0)
		pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->mutex);
}

static void write_alone_begin(struct file *f)
{
	pthread_mutex_lock(&f->mutex);
	while (f->alone)
		pthread_cond_wait(&f->changed, &f->mutex);
	f->alone = true;
	while (f->writes > 0)
		pthread_cond_wait(&f->changed, &f->mutex);
	pthread_mutex_unlock(&f->mutex);
}

static void write_alone_end(struct file *f)
{
	pthread_mutex_lock(&f->mutex);
	f->alone = false;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->mutex);
}

static bool is_whole_blocks(const struct file *f, uint64_t bytes, uint64_t offset)
{
	return ((bytes | offset) & (f->block_bytes - 1)) == 0;
}

static void answer(fuse_req_t fuse, const struct intact_request *req)
{
	size_t bytes = req->sectors * 512;

	if (req->result)
		reply(fuse, req->result);
	else if (req->op == INTACT_READ)
		fuse_reply_buf(fuse, (const char *)req->buffer, bytes);
	else if (req->op == INTACT_WRITE)
		fuse_reply_write(fuse, bytes);
	else
		reply(fuse, 0);
}

static void finish(struct work *work)
{
	const struct intact_request *req = &work->request;

	if (req->op == INTACT_WRITE || req->op == INTACT_WRITE_ZEROES)
		write_end(file_of(work->fuse));
	answer(work->fuse, req);
	workers_give_back(work);
}

static void done(struct intact_request *req)
{
	struct work *work = (struct work *)((uint8_t *)req - offsetof(struct work, request));

	if (__atomic_exchange_n(&work->state, WORK_DONE, __ATOMIC_ACQ_REL) == WORK_LEFT)
		finish(work);
}

/* What is read goes to the kernel in a copy, which takes long when it is much: if it is there already,
 * this thread does that when it has let go of the volume's loop, and another one runs the next
 * request meanwhile. It would rather have had this thread run that as well, so it waits for its turn.
 */
static void run_large_read(struct file *f, struct work *work)
{
	work->state = WORK_HERE;
	pthread_mutex_lock(&f->large_reads);
	intact_submit_and_run(f->volume, &work->request);
	pthread_mutex_unlock(&f->large_reads);
	if (__atomic_exchange_n(&work->state, WORK_LEFT, __ATOMIC_ACQ_REL) == WORK_DONE)
		finish(work);
}

/* Whole blocks, or a flush. */
static void hand_on(fuse_req_t req, enum intact_op op, uint64_t bytes, uint64_t offset)
{
	struct file *f = file_of(req);
	struct work *work = workers_memory();

	workers_keep(work);
	work->fuse = req;
	work->request = (struct intact_request){
		.op = op,
		.first_sector = offset / 512,
		.sectors = bytes / 512,
		.buffer = work->data,
		.done = done,
	};
	work->state = WORK_LEFT;
	if (op == INTACT_WRITE || op == INTACT_WRITE_ZEROES)
		write_begin(f);
	if (op == INTACT_READ && bytes >= LARGE_BYTES)
		run_large_read(f, work);
	else
		intact_submit_and_run(f->volume, &work->request);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct file *f = file_of(req);
	uint8_t *buffer = workers_memory()->data;
	uint64_t end = bytes_of(f);
	uint64_t at = (uint64_t)offset;
	size_t bytes = size;
	int err;

	(void)ino;
	(void)fi;
	if (at >= end)
		bytes = 0;
	else if (bytes > end - at)
		bytes = end - at;
	if (bytes > TRANSFER_BYTES_MAX) {
		reply(req, -EINVAL);
		return;
	}
	if (bytes > 0 && is_whole_blocks(f, bytes, at)) {
		hand_on(req, INTACT_READ, bytes, at);
		return;
	}
	err = intact_pread(f->volume, buffer, bytes, bytes > 0 ? at : 0);
	if (err)
		reply(req, err);
	else
		fuse_reply_buf(req, (const char *)buffer, bytes);
}

static void write_parts(fuse_req_t req, const char *data, size_t bytes, uint64_t offset)
{
	struct file *f = file_of(req);
	int err;

	write_alone_begin(f);
	err = intact_pwrite(f->volume, data, bytes, offset, 0);
	write_alone_end(f);
	if (err)
		reply(req, err);
	else
		fuse_reply_write(req, bytes);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct file *f = file_of(req);
	uint64_t end = bytes_of(f);
	uint64_t at = (uint64_t)offset;
	size_t bytes = size;

	(void)ino;
	(void)fi;
	if (at >= end) {
		reply(req, size > 0 ? -ENOSPC : 0);
		return;
	}
	if (bytes > end - at)
		bytes = end - at;
	if (bytes > 0 && is_whole_blocks(f, bytes, at) &&
	    (const uint8_t *)data == workers_memory()->data)
		hand_on(req, INTACT_WRITE, bytes, at);
	else
		write_parts(req, data, bytes, at);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	hand_on(req, INTACT_FLUSH, 0, 0);
}

static void zero(fuse_req_t req, uint64_t bytes, uint64_t offset)
{
	struct file *f = file_of(req);
	int err;

	if (is_whole_blocks(f, bytes, offset)) {
		hand_on(req, INTACT_WRITE_ZEROES, bytes, offset);
		return;
	}
	write_alone_begin(f);
	err = intact_write_zeroes(f->volume, bytes, offset, 0);
	write_alone_end(f);
	reply(req, err);
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi)
{
	struct file *f = file_of(req);
	uint64_t end = bytes_of(f);
	uint64_t at = (uint64_t)offset;
	uint64_t bytes = (uint64_t)length;
	bool punch = mode & FALLOC_FL_PUNCH_HOLE;

	(void)ino;
	(void)fi;
	if ((mode & ~FALLOC_FL_KEEP_SIZE) == 0) { /* all of it is there */
		reply(req, at > end || bytes > end - at ? -ENOSPC : 0);
		return;
	}
	if ((!punch && !(mode & FALLOC_FL_ZERO_RANGE)) || (punch && !takes_discards(f))) {
		reply(req, -EOPNOTSUPP);
		return;
	}
	if (at >= end) {
		reply(req, punch ? 0 : -ENOSPC);
		return;
	}
	zero(req, bytes < end - at ? bytes : end - at, at);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct file *f = file_of(req);
	const struct statvfs st = {
		.f_bsize = f->block_bytes,
		.f_frsize = f->block_bytes,
		.f_blocks = bytes_of(f) / f->block_bytes,
		.f_files = 1,
		.f_namemax = NAME_MAX,
	};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

/* Splicing costs more than it saves: every byte goes through a digest here. */
static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->want |= conn->capable & FUSE_CAP_ASYNC_DIO;
	conn->max_write = TRANSFER_BYTES_MAX;
	conn->max_background = WAITING_MAX;
	conn->congestion_threshold = WAITING_MAX;
}

static const struct fuse_lowlevel_ops ops = {
	.init = on_init,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.open = on_open,
	.release = on_release,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
	.fallocate = on_fallocate,
	.statfs = on_statfs,
};

/* ---- Starting ---- */

static bool has_helper(void)
{
	const char *path = getenv("PATH") ?: "/usr/bin:/bin";
	char file[PATH_MAX];

	while (*path) {
		size_t length = strcspn(path, ":");

		(void)snprintf(file, sizeof(file), "%.*s/fusermount3", (int)length, path);
		if (access(file, X_OK) == 0)
			return true;
		path += length + (path[length] == ':');
	}
	return false;
}

static int fuse_probe(const struct frontend_options *options, const struct intact_log *log)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		int err = errno == EACCES || errno == EPERM ? -EACCES : -ENODEV;

		frontend_say(log, INTACT_ERROR, "cannot have a FUSE file: /dev/fuse: %s",
			     strerror(errno));
		return err;
	}
	close(fd);
	if (geteuid() != 0 && !has_helper()) {
		frontend_say(
			log, INTACT_ERROR,
			"cannot have a FUSE file: fusermount3 is not installed (package fuse3)");
		return -ENOENT;
	}
	if (!options->block_device)
		return 0;
	return geteuid() == 0 ? loop_probe(log) : -EACCES;
}

static int make_mount_point(const struct file *f)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		frontend_say(&f->log, INTACT_ERROR, "cannot make %s: %s", f->path, strerror(errno));
		return -errno;
	}
	close(fd);
	return 0;
}

static int open_session(struct file *f, const char *name)
{
	char source[PATH_MAX];
	char *argv[] = {"intact", "-o", source, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	(void)snprintf(source, sizeof(source), "fsname=%s,subtype=intact%s", name,
		       f->read_only ? ",ro" : "");
	f->session = fuse_session_new(&args, &ops, sizeof(ops), f);
	fuse_opt_free_args(&args);
	if (f->session)
		return 0;
	frontend_say(&f->log, INTACT_ERROR, "libfuse cannot open a session");
	return -EIO;
}

/* libfuse and its helper say why on stderr: that goes into a file meanwhile, and the first line of it
 * into the log.
 */
static int mount_heard(struct file *f, int heard_fd)
{
	char text[256] = "";
	int stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int err;

	(void)dup2(heard_fd, STDERR_FILENO);
	err = fuse_session_mount(f->session, f->path) < 0 ? -EIO : 0;
	if (stderr_fd >= 0) {
		(void)dup2(stderr_fd, STDERR_FILENO);
		close(stderr_fd);
	}
	if (err && pread(heard_fd, text, sizeof(text) - 1, 0) > 0)
		text[strcspn(text, "\n")] = '\0';
	if (err)
		frontend_say(&f->log, INTACT_ERROR, "cannot mount %s: %s", f->path, text);
	return err;
}

static int mount_session(struct file *f)
{
	int err = make_mount_point(f);
	int heard_fd;

	if (err)
		return err;
	heard_fd = memfd_create("intact-fuse", MFD_CLOEXEC);
	err = heard_fd < 0 ? -errno : mount_heard(f, heard_fd);
	if (heard_fd >= 0)
		close(heard_fd);
	f->mounted = err == 0;
	return err;
}

static void session_ended(void *opaque)
{
	const struct file *f = opaque;

	if (!is_stopping(f))
		f->ended(f->opaque);
}

static unsigned depth_of(const struct frontend_options *options)
{
	unsigned depth = options->depth ?: DEPTH_DEFAULT;

	return depth < DEPTH_MAX ? depth : DEPTH_MAX;
}

static int start_workers(struct file *f, const struct frontend_options *options)
{
	int err = workers_start(f->session, depth_of(options), session_ended, f, &f->workers);

	if (err)
		frontend_say(&f->log, INTACT_ERROR, "cannot start threads: %s", strerror(-err));
	return err;
}

static int start_loop(struct file *f, const struct intact_log *log)
{
	int err = loop_attach(f->path, f->read_only, f->block_bytes, log, f->loop_path);

	if (!err)
		__atomic_store_n(&f->looped, true, __ATOMIC_RELEASE);
	return err;
}

/* Nobody but its own file system asks for it, so that no request of others is cut off. */
static void destroy(struct file *f)
{
	__atomic_store_n(&f->stopping, true, __ATOMIC_RELEASE);
	workers_stop(f->workers);
	if (f->mounted)
		fuse_session_unmount(f->session);
	if (f->session)
		fuse_session_destroy(f->session);
	(void)unlink(f->path);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->mutex);
	pthread_mutex_destroy(&f->large_reads);
	free(f);
}

static int create(struct intact *volume, const struct frontend_options *options,
		  const struct intact_log *log, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->large_reads, NULL);
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->volume = volume;
	f->log = *log;
	f->ended = options->ended;
	f->opaque = options->opaque;
	f->read_only = options->read_only;
	f->discards = options->discards;
	f->block_bytes = intact_block_bytes(volume);
	f->bytes = intact_sectors(volume) * 512;
	(void)snprintf(f->path, sizeof(f->path), "%s/" FILE_NAME, options->directory);
	*ret = f;
	return 0;
}

static int fuse_start(struct intact *volume, const struct frontend_options *options,
		      const struct intact_log *log, void **ret_instance)
{
	struct file *f;
	int err = create(volume, options, log, &f);

	if (err)
		return err;
	err = open_session(f, options->name);
	err = err ?: mount_session(f);
	err = err ?: start_workers(f, options);
	if (!err && options->block_device)
		err = start_loop(f, log);
	if (err) {
		destroy(f);
		return err;
	}
	*ret_instance = f;
	return 0;
}

/* ---- While it runs ---- */

static const char *fuse_device(const void *instance)
{
	const struct file *f = instance;

	return is_looped(f) ? f->loop_path : f->path;
}

static bool fuse_is_block(const void *instance)
{
	return is_looped(instance);
}

static int64_t fuse_id(const void *instance)
{
	(void)instance;
	return FRONTEND_ID_NONE;
}

/* The kernel drops what it hears about the size when somebody asks, if a write has ended meanwhile; what
 * it has been told to make it, it believes.
 */
static int fuse_resize(void *instance, uint64_t sectors, const struct intact_log *log)
{
	struct file *f = instance;

	__atomic_store_n(&f->bytes, sectors * 512, __ATOMIC_RELEASE);
	if (truncate(f->path, (off_t)(sectors * 512)) < 0) {
		frontend_say(log, INTACT_ERROR, "cannot change the size of %s: %s", f->path,
			     strerror(errno));
		return -errno;
	}
	return is_looped(f) ? loop_update_size(f->loop_path, log) : 0;
}

static void fuse_allow_discards(void *instance, bool allow)
{
	struct file *f = instance;

	__atomic_store_n(&f->discards, allow, __ATOMIC_RELEASE);
}

static bool fuse_in_use(const void *instance)
{
	const struct file *f = instance;
	unsigned opens = __atomic_load_n(&f->opens, __ATOMIC_ACQUIRE);

	return is_looped(f) ? opens > 1 || loop_is_claimed(f->loop_path) : opens > 0;
}

/* ---- Stopping ---- */

static bool is_released(const struct file *f)
{
	const struct timespec a_while = {.tv_nsec = 10000000L};

	for (unsigned i = 0; i < RELEASE_TRIES; i++) {
		if (__atomic_load_n(&f->opens, __ATOMIC_ACQUIRE) == 0)
			return true;
		(void)nanosleep(&a_while, NULL);
	}
	return false;
}

static int let_go(struct file *f, bool force, const struct intact_log *log)
{
	int err;

	if (!is_looped(f))
		return !force && fuse_in_use(f) ? -EBUSY : 0;
	if (!force && __atomic_load_n(&f->opens, __ATOMIC_ACQUIRE) > 1)
		return -EBUSY;
	err = loop_detach(f->loop_path, force, log);
	if (err && !force)
		return err;
	(void)is_released(f); /* what the loop device still had is on the volume then */
	return 0;
}

static int fuse_stop(void *instance, bool force, const struct intact_log *log)
{
	struct file *f = instance;
	int err;

	__atomic_store_n(&f->stopping, true, __ATOMIC_RELEASE);
	err = let_go(f, force, log);
	if (err) {
		__atomic_store_n(&f->stopping, false, __ATOMIC_RELEASE);
		return err;
	}
	destroy(f);
	return 0;
}

/* ---- What another has left ---- */

static int unmount(const char *path)
{
	pid_t pid;
	int status;

	if (geteuid() == 0)
		return umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT ? -errno
											   : 0;
	pid = fork();
	if (pid == 0) {
		(void)freopen("/dev/null", "w", stderr); /* it may well not be mounted */
		execlp("fusermount3", "fusermount3", "-u", "-q", "-z", "--", path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return 0;
}

static int fuse_forget(const char *directory, int64_t id, const struct intact_log *log)
{
	char path[PATH_MAX];
	int err;

	(void)id;
	(void)snprintf(path, sizeof(path), "%s/" FILE_NAME, directory);
	/* Whoever waits for an answer, the dying process itself maybe, learns that there will be none. */
	if (geteuid() == 0)
		(void)umount2(path, MNT_FORCE);
	loop_detach_all(path, log);
	err = unmount(path);
	if (err)
		frontend_say(log, INTACT_ERROR, "cannot unmount %s: %s", path, strerror(-err));
	else
		(void)unlink(path);
	return err;
}

const struct frontend frontend_fuse = {
	.name = "fuse",
	.spreads = true,
	.probe = fuse_probe,
	.start = fuse_start,
	.device = fuse_device,
	.is_block = fuse_is_block,
	.id = fuse_id,
	.resize = fuse_resize,
	.allow_discards = fuse_allow_discards,
	.in_use = fuse_in_use,
	.stop = fuse_stop,
	.forget = fuse_forget,
};
