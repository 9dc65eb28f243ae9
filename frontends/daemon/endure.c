/* SPDX-License-Identifier: BSD-2-Clause */
#include "endure.h"

#include "../frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#define PR_GET_IO_FLUSHER 58
#endif

#define OOM_SCORE_ADJ	   (-1000)	/* never */
#define STACK_BYTES	   (512u << 10) /* locked whole, for each thread */
#define OOM_SCORE_ADJ_FILE "/proc/self/oom_score_adj"

static bool has_capability(unsigned number)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[CAP_TO_INDEX(number)].effective & CAP_TO_MASK(number);
}

/* ---- Each of them ---- */

static bool is_io_flusher(void)
{
	return prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) == 1;
}

/* Allocations of this process, and of the kernel for it, do not write dirty pages out. */
static const char *become_io_flusher(void)
{
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0 && is_io_flusher())
		return NULL;
	return "is no I/O flusher";
}

/* With a limit, what is mapped later would fail. */
static bool may_lock_all(void)
{
	struct rlimit limit;

	return has_capability(CAP_IPC_LOCK) ||
	       (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
}

static const char *lock_memory(void)
{
	pthread_attr_t attr;

	if (!may_lock_all() || mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		return "has its memory not locked";
	pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
	return NULL;
}

static const char *lower_oom_score(void)
{
	int fd = open(OOM_SCORE_ADJ_FILE, O_WRONLY | O_CLOEXEC);
	bool well = fd >= 0 && dprintf(fd, "%d\n", OOM_SCORE_ADJ) > 0;

	if (fd >= 0)
		close(fd);
	return well ? NULL : "may be killed when memory runs out";
}

/* ---- All of them ---- */

void endure_begin(bool block_device, const struct intact_log *log)
{
	const char *const wrong[] = {become_io_flusher(), lock_memory(), lower_oom_score()};
	char text[256] = "";

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		if (!wrong[i])
			continue;
		if (text[0])
			strcat(text, ", ");
		strcat(text, wrong[i]);
	}
	if (text[0])
		frontend_say(log, block_device ? INTACT_WARNING : INTACT_INFO,
			     "the process behind the device %s: no place for swap space (needs "
			     "CAP_SYS_RESOURCE and CAP_IPC_LOCK)",
			     text);
}

static long locked_kib(void)
{
	FILE *from = fopen("/proc/self/status", "re");
	char line[256];
	long kib = 0;

	if (!from)
		return 0;
	while (fgets(line, sizeof(line), from)) {
		if (strncmp(line, "VmLck:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	}
	(void)fclose(from);
	return kib;
}

static int oom_score_adj(void)
{
	FILE *from = fopen(OOM_SCORE_ADJ_FILE, "re");
	char line[32] = "0";

	if (!from)
		return 0;
	if (!fgets(line, sizeof(line), from))
		line[0] = '\0';
	(void)fclose(from);
	return (int)strtol(line, NULL, 10);
}

void endure_tell(struct json_object *status)
{
	json_object_object_add(status, "io_flusher", json_object_new_boolean(is_io_flusher()));
	json_object_object_add(status, "memory_locked", json_object_new_boolean(locked_kib() > 0));
	json_object_object_add(status, "oom_score_adj", json_object_new_int(oom_score_adj()));
}

/* ---- The name ---- */

/* Where the kernel takes the words from: field 48 and 49 of proc(5)'s stat. */
static bool find_words(char **ret_start, size_t *ret_bytes)
{
	FILE *from = fopen("/proc/self/stat", "re");
	char line[2048] = "";
	unsigned long start = 0;
	unsigned long end = 0;
	char *at;

	if (!from)
		return false;
	if (!fgets(line, sizeof(line), from))
		line[0] = '\0';
	(void)fclose(from);
	at = strrchr(line, ')'); /* field 2, which may have anything in it */
	for (unsigned field = 2; at && field < 48; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return false;
	start = strtoul(at, &at, 10);
	end = strtoul(at, NULL, 10);
	*ret_start = (char *)start;
	*ret_bytes = end - start;
	return start != 0 && end > start;
}

void endure_rename(const char *name)
{
	char title[128];
	char *words;
	size_t bytes;

	(void)snprintf(title, sizeof(title), "@intact: %s", name);
	if (!find_words(&words, &bytes))
		return;
	explicit_bzero(words, bytes);
	memcpy(words, title, strlen(title) < bytes ? strlen(title) : bytes - 1);
}
