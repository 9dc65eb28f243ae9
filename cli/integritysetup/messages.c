/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What people read, and exit statuses.
 */
#include "isetup.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void keep_message(void *opaque, enum intact_level level, const char *text)
{
	struct arguments *a = opaque;

	if (given(a, O_DEBUG))
		printf("# %s\n", text);
	if (level == INTACT_WARNING && !a->quiet)
		complain("WARNING: %s.", text);
	if (level == INTACT_ERROR)
		(void)snprintf(a->last_message, sizeof(a->last_message), "%s", text);
}

int exit_status(int error)
{
	switch (-error) {
	case 0:
		return ISETUP_WELL;
	case EPERM:
		return ISETUP_PERMISSION;
	case ENOMEM:
	case EAGAIN: /* for a thread */
		return ISETUP_MEMORY;
	case ENOENT:
	case ENODEV:
	case EACCES:
	case EISDIR:
	case ENOTBLK:
	case ENOSPC:
	case EIO:
	case EILSEQ:
		return ISETUP_DEVICE;
	case EEXIST:
	case EBUSY:
		return ISETUP_BUSY;
	}
	return ISETUP_PARAMETERS;
}

/* Whether it is there and ours, before anything else is looked at. */
int check_device(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || access(path, R_OK) < 0) {
		complain("Device %s does not exist or access denied.", path);
		return -ENOENT;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		complain("Device %s is not compatible.", path);
		return -ENOTBLK;
	}
	return 0;
}

int complain_as_told(const struct arguments *a, const char *what, int error)
{
	const char *reason = a->last_message[0] ? a->last_message : strerror(-error);

	if (error == -ENOMEM)
		reason = "out of memory";
	complain("%s%s%s.", what ?: "", what ? ": " : "", reason);
	return exit_status(error);
}

void tell_outcome(const struct arguments *a, int status)
{
	static const char *const meanings[] = {
		[ISETUP_PARAMETERS] = "wrong or missing parameters",
		[ISETUP_PERMISSION] = "no permission or bad passphrase",
		[ISETUP_MEMORY] = "out of memory",
		[ISETUP_DEVICE] = "wrong device or file specified",
		[ISETUP_BUSY] = "device already exists or device is busy",
	};

	if (!given(a, O_VERBOSE))
		return;
	if (status == ISETUP_WELL)
		puts("Command successful.");
	else
		printf("Command failed with code -%d (%s).\n", status, meanings[status]);
}
