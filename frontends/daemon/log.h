/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the process behind a device says what it has to say: to whoever started it until the device is
 * usable, then to syslog or a file.
 *
 * From then on saying something allocates nothing and waits for nothing but for other sayers: a line
 * is copied into a ring, and a thread of its own takes it from there. When the ring is full, lines
 * are lost, and counted.
 */
#ifndef INTACT_DAEMON_LOG_H
#define INTACT_DAEMON_LOG_H

#include <intact.h>

struct daemon_log;

/* path: NULL for syslog. Lines go to first_fd until log_begin. */
int log_open(const char *name, const char *path, int first_fd, struct daemon_log **ret);
int log_begin(struct daemon_log *l);
void log_close(struct daemon_log *l); /* what is in the ring is written; takes NULL */

struct intact_log log_face(struct daemon_log *l);

/* Until it is NULL again, what is said goes there, too; for the end, when no I/O is under way. */
void log_copy_to(struct daemon_log *l, const struct intact_log *other);

#endif
