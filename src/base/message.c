/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/message.h"

#include <stdio.h>

void message_emit(const struct intact_log *log, enum intact_level level, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (!log || !log->emit)
		return;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log->emit(log->opaque, level, line);
}
