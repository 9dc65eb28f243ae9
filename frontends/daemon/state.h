/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is kept about an open volume while it is open, in a directory of this user alone:
 *
 *	NAME.lock	held by its process, and by nobody when that has died
 *	NAME.json	what it was opened with, without keys, and what has become of it
 *	NAME.sock	where its process listens
 *	NAME.link	points to the further link, if one was wanted
 *	NAME.d/		its front end's
 *
 * and, as root, /dev/intact/NAME, which points to the device.
 */
#ifndef INTACT_DAEMON_STATE_H
#define INTACT_DAEMON_STATE_H

#include <intact.h>
#include <json-c/json_object.h>

#include <limits.h>
#include <stdbool.h>

#define NAME_BYTES_MAX 72

struct state {
	int directory_fd;
	int lock_fd; /* -1: not locked */
	char name[NAME_BYTES_MAX + 1];
	char directory[PATH_MAX]; /* the front end's */
};

/* -EINVAL: such a name is none. */
int state_check_name(const char *name, const struct intact_log *log);

/* Finds the directory, and makes it when there is none. What is open is released by state_close,
 * which takes what failed as well.
 */
int state_open(const char *name, const struct intact_log *log, struct state *ret);
void state_close(struct state *s);

/* Takes the name. -EEXIST: a living process has it; nothing is said then. */
int state_lock(struct state *s, const struct intact_log *log);

bool state_is_alive(const struct state *s);

/* -ENOENT: there is none. */
int state_read(const struct state *s, const struct intact_log *log, struct json_object **ret);
int state_write(const struct state *s, struct json_object *o, const struct intact_log *log);

int state_make_directory(const struct state *s, const struct intact_log *log);

/* /dev/intact/NAME. -EEXIST: something else has it. */
int state_link(const struct state *s, const char *device, const struct intact_log *log);

/* A further link to it, wherever that is wanted, with the same life; remembered in NAME.link. */
int state_link_at(const struct state *s, const char *path, const char *device,
		  const struct intact_log *log);

/* All of it, while locked; state_remove gives the name up as well. */
void state_clear(const struct state *s, const char *device);
void state_remove(struct state *s, const char *device);

/* A path for bind and connect that is short enough however long the directory's is. */
struct sockaddr_un;
void state_socket_address(const struct state *s, struct sockaddr_un *ret);

/* Every name that there is, living or not, in the order of the alphabet. A callback that returns
 * other than 0 ends it with that.
 */
int state_each(int (*each)(void *opaque, const char *name), void *opaque,
	       const struct intact_log *log);

#endif
