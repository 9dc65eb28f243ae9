/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Loop devices, by the kernel's own calls: all that is to be set is set in one (LOOP_CONFIGURE, since
 * Linux 5.8), so that nobody sees a device that is half made.
 */
#include "loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RACES_MAX   64 /* lost to others who want a free device as well */
#define BUSY_TRIES  20 /* udev and the like look at devices and go */
#define BUSY_TRY_MS 50

static void sleep_ms(unsigned ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};

	(void)nanosleep(&t, NULL);
}

static int refuse(const struct intact_log *log, const char *what, const char *path)
{
	int err = errno;

	frontend_say(log, INTACT_ERROR, "cannot %s %s: %s", what, path, strerror(err));
	return -err;
}

int loop_probe(const struct intact_log *log)
{
	int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		(void)refuse(log, "have loop devices: cannot open", "/dev/loop-control");
		return errno == EACCES || errno == EPERM ? -EACCES : -ENODEV;
	}
	close(fd);
	return 0;
}

/* ---- Attaching ---- */

static int configure(int fd, int file_fd, const char *file, bool read_only, uint32_t block_bytes)
{
	struct loop_config config = {
		.fd = (uint32_t)file_fd,
		.block_size = block_bytes,
		.info.lo_flags = LO_FLAGS_DIRECT_IO | (read_only ? LO_FLAGS_READ_ONLY : 0u),
	};

	(void)snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", file);
	return ioctl(fd, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

static void warn_without_direct_io(int fd, const char *path, const struct intact_log *log)
{
	struct loop_info64 info;

	if (ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && !(info.lo_flags & LO_FLAGS_DIRECT_IO))
		frontend_say(
			log, INTACT_WARNING,
			"%s: this kernel has no direct I/O for it: what is read is cached twice",
			path);
}

static int attach_free(int control, int file_fd, const char *file, bool read_only,
		       uint32_t block_bytes, const struct intact_log *log,
		       char ret_path[static LOOP_PATH_BYTES])
{
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	int err;
	int fd;

	if (number < 0)
		return refuse(log, "find a free device by", "/dev/loop-control");
	(void)snprintf(ret_path, LOOP_PATH_BYTES, "/dev/loop%d", number);
	fd = open(ret_path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0)
		return refuse(log, "open", ret_path);
	err = configure(fd, file_fd, file, read_only, block_bytes);
	if (!err)
		warn_without_direct_io(fd, ret_path, log);
	else if (err != -EBUSY)
		frontend_say(log, INTACT_ERROR, "cannot set %s up: %s", ret_path, strerror(-err));
	close(fd);
	return err;
}

static int attach(int control, int file_fd, const char *file, bool read_only, uint32_t block_bytes,
		  const struct intact_log *log, char ret_path[static LOOP_PATH_BYTES])
{
	int err = -EBUSY;

	for (unsigned i = 0; i < RACES_MAX && err == -EBUSY; i++)
		err = attach_free(control, file_fd, file, read_only, block_bytes, log, ret_path);
	if (err == -EBUSY)
		frontend_say(log, INTACT_ERROR, "all loop devices are taken by others");
	return err;
}

int loop_attach(const char *file, bool read_only, uint32_t block_bytes,
		const struct intact_log *log, char ret_path[static LOOP_PATH_BYTES])
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct stat st;
	int file_fd;
	int err;

	if (control < 0)
		return refuse(log, "open", "/dev/loop-control");
	file_fd = open(file, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	/* Older kernels (6.1) take the size that they know, and of a file that is a mount point they
	 * know none before somebody asks.
	 */
	err = file_fd < 0 || fstat(file_fd, &st) < 0
		      ? refuse(log, "open", file)
		      : attach(control, file_fd, file, read_only, block_bytes, log, ret_path);
	if (file_fd >= 0)
		close(file_fd);
	close(control);
	return err;
}

/* ---- Detaching ---- */

bool loop_is_claimed(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return errno == EBUSY;
	close(fd);
	return false;
}

/* The kernel says yes also when others have the device open, and then waits for them. It is still
 * there then, and is told not to wait.
 */
static int detach_unless_open(int fd)
{
	struct loop_info64 info;

	if (ioctl(fd, LOOP_CLR_FD) < 0)
		return errno == ENXIO ? 0 : -errno;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
		return 0;
	info.lo_flags &= ~(uint32_t)LO_FLAGS_AUTOCLEAR;
	(void)ioctl(fd, LOOP_SET_STATUS64, &info);
	return -EBUSY;
}

static int try_to_detach(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	int err;

	if (fd < 0)
		return errno == ENXIO ? 0 : -errno;
	err = detach_unless_open(fd);
	close(fd);
	return err;
}

static int detach_when_unused(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return errno == ENXIO ? 0 : -errno;
	err = ioctl(fd, LOOP_CLR_FD) < 0 && errno != ENXIO ? -errno : 0;
	close(fd);
	return err;
}

int loop_detach(const char *path, bool force, const struct intact_log *log)
{
	int err = try_to_detach(path);

	for (unsigned i = 0; i < BUSY_TRIES && err == -EBUSY && !loop_is_claimed(path); i++) {
		sleep_ms(BUSY_TRY_MS);
		err = try_to_detach(path);
	}
	if (err == -EBUSY && force)
		err = detach_when_unused(path);
	if (err && err != -EBUSY)
		frontend_say(log, INTACT_ERROR, "cannot detach %s: %s", path, strerror(-err));
	return err;
}

int loop_update_size(const char *path, const struct intact_log *log)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return refuse(log, "open", path);
	if (ioctl(fd, LOOP_SET_CAPACITY, 0) < 0)
		err = refuse(log, "change the size of", path);
	close(fd);
	return err;
}

/* ---- What others have left ---- */

/* Whether the device of this directory in /sys/block lies over the file. */
static bool lies_over(const char *device, const char *file)
{
	char path[PATH_MAX];
	char backing[PATH_MAX] = "";
	FILE *from;

	(void)snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", device);
	from = fopen(path, "re");
	if (!from)
		return false;
	if (!fgets(backing, sizeof(backing), from))
		backing[0] = '\0';
	(void)fclose(from);
	backing[strcspn(backing, "\n")] = '\0';
	return strcmp(backing, file) == 0;
}

void loop_detach_all(const char *file, const struct intact_log *log)
{
	char path[sizeof("/dev/") + NAME_MAX];
	DIR *dir = opendir("/sys/block");
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "loop", 4) != 0 || !lies_over(entry->d_name, file))
			continue;
		(void)snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		(void)loop_detach(path, true, log);
	}
	closedir(dir);
}
