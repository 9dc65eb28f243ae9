/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For LD_PRELOAD: kills in the process in the background, at its Nth call of those below, which are all
 * that leave something behind. INTACT_TEST_DIE says whom: "self:N", or "starter:N", who has started it.
 *
 * The background begins with setsid, and is done with opening when it leaves its directory: what comes
 * before, after, and elsewhere is not counted.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static pid_t starter;
static bool kill_starter;
static long calls_left; /* 0: not counted */

__attribute__((constructor)) static void remember_starter(void)
{
	starter = getpid();
}

/* Dead, or a zombie: nobody reads what the background has to say. */
static bool is_dead(pid_t pid)
{
	char path[64], text[512] = "";
	const char *state;
	FILE *from;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	from = fopen(path, "re");
	if (!from)
		return true;
	if (!fgets(text, sizeof(text), from))
		text[0] = '\0';
	(void)fclose(from);
	state = strrchr(text, ')');
	return !state || strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0;
}

static void count_call(void)
{
	if (__atomic_load_n(&calls_left, __ATOMIC_ACQUIRE) == 0 ||
	    __atomic_sub_fetch(&calls_left, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (!kill_starter)
		(void)kill(getpid(), SIGKILL);
	(void)kill(starter, SIGKILL);
	while (!is_dead(starter))
		(void)usleep(1000);
}

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

pid_t setsid(void)
{
	const char *wish = getenv("INTACT_TEST_DIE");
	const char *number = wish ? strchr(wish, ':') : NULL;

	if (number) {
		kill_starter = strncmp(wish, "starter", 7) == 0;
		calls_left = strtol(number + 1, NULL, 10);
	}
	return ((pid_t(*)(void))real("setsid"))();
}

/* The device is usable, and has been said to be: opening is over. */
int chdir(const char *path)
{
	__atomic_store_n(&calls_left, 0, __ATOMIC_RELEASE);
	return ((int (*)(const char *))real("chdir"))(path);
}

/* TYPE NAME(PARAMETERS) that is called with ARGUMENTS: counted, and done. */
#define COUNTED(type, name, parameters, types, arguments)                                          \
	type name parameters                                                                       \
	{                                                                                          \
		count_call();                                                                      \
		return ((type(*) types)real(#name))arguments;                                      \
	}

COUNTED(int, mkdir, (const char *path, mode_t mode), (const char *, mode_t), (path, mode))
COUNTED(int, symlink, (const char *to, const char *path), (const char *, const char *), (to, path))
COUNTED(int, unlink, (const char *path), (const char *), (path))
COUNTED(int, unlinkat, (int fd, const char *path, int flags), (int, const char *, int),
	(fd, path, flags))
COUNTED(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
	(int, const char *, int, const char *), (from_fd, from, to_fd, to))
COUNTED(int, socket, (int domain, int type, int protocol), (int, int, int),
	(domain, type, protocol))
COUNTED(int, bind, (int fd, const struct sockaddr *address, socklen_t bytes),
	(int, const struct sockaddr *, socklen_t), (fd, address, bytes))
COUNTED(int, listen, (int fd, int backlog), (int, int), (fd, backlog))
COUNTED(int, mount,
	(const char *source, const char *target, const char *type, unsigned long flags,
	 const void *data),
	(const char *, const char *, const char *, unsigned long, const void *),
	(source, target, type, flags, data))
COUNTED(int, pthread_create,
	(pthread_t * thread, const pthread_attr_t *attributes, void *(*routine)(void *),
	 void *opaque),
	(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *),
	(thread, attributes, routine, opaque))

/* The third parameter of ioctl, and of open the mode, may not have been given: an undefined one is
 * passed on then, and not looked at.
 */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	count_call();
	return ((int (*)(int, unsigned long, ...))real("ioctl"))(fd, request, argument);
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	count_call();
	return ((int (*)(const char *, int, ...))real("open64"))(path, flags, mode);
}

int openat64(int fd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	count_call();
	return ((int (*)(int, const char *, int, ...))real("openat64"))(fd, path, flags, mode);
}
