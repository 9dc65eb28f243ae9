/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages for people go to a sink that the caller gave: one line, lower case, no full stop, with
 * the values that matter. The errno tells programs, the message tells people; whoever knows most
 * says it, once.
 */
#ifndef INTACT_BASE_MESSAGE_H
#define INTACT_BASE_MESSAGE_H

#include <intact.h>

#include <stdarg.h>

/* Formats one line for the sink; a sink or a sink function that is NULL swallows it. Longer lines
 * are cut at 1023 bytes. Any thread may call it if the sink's function allows that.
 */
void message_emit(const struct intact_log *log, enum intact_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define message_error(log, ...)	  message_emit(log, INTACT_ERROR, __VA_ARGS__)
#define message_warning(log, ...) message_emit(log, INTACT_WARNING, __VA_ARGS__)
#define message_info(log, ...)	  message_emit(log, INTACT_INFO, __VA_ARGS__)

#endif
