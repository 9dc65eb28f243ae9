/* SPDX-License-Identifier: BSD-2-Clause */
#include "device-use.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who mounts, swaps on, or stacks a device claims it, and a partition's claim is one on the whole. */
static bool is_claimed(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return errno == EBUSY;
	close(fd);
	return false;
}

/* /dev/ublkb0 of "/dev/ublkb0" and "/dev/ublkb0p1" */
static bool names_it(const char *target, const char *path)
{
	size_t length = strlen(path);

	if (strncmp(target, path, length) != 0)
		return false;
	return target[length] == '\0' || target[length] == 'p';
}

static bool process_has_it_open(const char *process, const char *path)
{
	char directory[64], target[256];
	struct dirent *entry;
	bool found = false;
	DIR *fds;

	(void)snprintf(directory, sizeof(directory), "/proc/%.20s/fd", process);
	fds = opendir(directory);
	if (!fds)
		return false;
	while (!found && (entry = readdir(fds)) != NULL) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		found = names_it(target, path);
	}
	closedir(fds);
	return found;
}

static bool is_ourselves(const char *process)
{
	return strtol(process, NULL, 10) == getpid();
}

static bool is_open(const char *path)
{
	struct dirent *entry;
	bool found = false;
	DIR *processes = opendir("/proc");

	if (!processes)
		return false;
	while (!found && (entry = readdir(processes)) != NULL)
		found = isdigit((unsigned char)entry->d_name[0]) && !is_ourselves(entry->d_name) &&
			process_has_it_open(entry->d_name, path);
	closedir(processes);
	return found;
}

bool block_device_is_used(const char *path)
{
	return is_claimed(path) || is_open(path);
}
