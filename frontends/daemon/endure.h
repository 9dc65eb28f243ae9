/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What keeps a process going that memory itself may depend on: writing dirty pages out to its device
 * must not wait for memory that only more of such writing could free.
 */
#ifndef INTACT_DAEMON_ENDURE_H
#define INTACT_DAEMON_ENDURE_H

#include <intact.h>
#include <json-c/json_object.h>

/* For the whole process, before it has other threads. A block device warns of what could not be had
 * (without CAP_SYS_RESOURCE, most of it); a file does not.
 */
void endure_begin(bool block_device, const struct intact_log *log);

/* What became of it, as it is now: members of a status. */
void endure_tell(struct json_object *status);

/* Replaces the process's words, which are for all to see, by this; the first letter is "@": systemd
 * leaves such processes to the very end of a shutdown. All that argv had is wiped.
 */
void endure_rename(const char *name);

#endif
