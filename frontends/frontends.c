/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The front ends that this build has, in the order in which they are chosen.
 */
#include "frontend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct frontend *const frontends[] = {
#ifdef HAVE_UBLK
	&frontend_ublk,
#endif
#ifdef HAVE_FUSE
	&frontend_fuse,
#endif
#ifdef HAVE_NBD
	&frontend_nbd,
#endif
	NULL,
};

const struct frontend *frontend_find(const char *name)
{
	for (const struct frontend *const *f = frontends; *f; f++) {
		if (strcmp((*f)->name, name) == 0)
			return *f;
	}
	return NULL;
}

void frontend_say(const struct intact_log *log, enum intact_level level, const char *format, ...)
{
	int error = errno;
	char text[512];
	va_list args;

	if (!log || !log->emit)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log->emit(log->opaque, level, text);
	errno = error;
}
