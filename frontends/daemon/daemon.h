/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Volumes as devices, each with a process of its own in the background. These are the calls of who
 * opens them and asks about them; they belong to a process without threads (opening forks).
 *
 * As in <intact.h>: 0 or a negative errno, the log is told why.
 */
#ifndef INTACT_DAEMON_H
#define INTACT_DAEMON_H

#include <intact.h>
#include <json-c/json_object.h>

#include <stdbool.h>
#include <stddef.h>

struct daemon_options {
	const char *name;

	/* What to open: the parameters, and the options they were made of, to make them of again when
	 * the process has died: all paths are absolute. NULL: those that it was opened with before
	 * (recover).
	 */
	struct intact_params *params; /* keys are wiped by the process as soon as it can */
	const struct intact_option *options;
	size_t option_count;

	bool read_only;
	bool corrupt; /* open a volume whose journal is corrupt, stopped, as the kernel does */
	bool recover; /* take over the device of a process that died, if there is one */
	bool file;    /* a file will do, also where a block device could be had */
	const char *frontend; /* this one; NULL: the best there is */
	const char *link;     /* a further link to the device, besides /dev/intact/NAME */
	const char *log_path; /* absolute; NULL: syslog */
	unsigned queues;      /* 0: as the front end likes */
	unsigned depth;
};

/* Returns when the device is usable; daemon_describe tells what it is.
 *
 *   -EEXIST  there is a volume of that name, or something else in its place
 *   -EINVAL  not a name; or the parameters
 *   -ENODEV  no front end can be had here
 *   -ENOENT  recover: nothing to be recovered
 *   … and what intact_open and the front ends say
 */
int daemon_open(const struct daemon_options *options, const struct intact_log *log);

/* What is known about a volume from its state: "name", "volume", "device", "frontend", "pid",
 * "read_only", and "alive": whether its process is. -ENOENT: no such volume; nothing is said then.
 */
int daemon_describe(const char *name, const struct intact_log *log, struct json_object **ret);

/* The names of all, in the order of the alphabet: a callback that returns other than 0 ends it. */
int daemon_each(int (*each)(void *opaque, const char *name), void *opaque,
		const struct intact_log *log);

/* Sends a request {"command": …}, and gets the answer; what the volume's process had to say is told to
 * the log, and its result returned. Takes the request.
 *
 *   status		the answer is the status
 *   close		"deferred": wait for the last user; "cancel_deferred": no longer
 *   resize		"sectors" of the device; without: all that it has;
 *			"leave_tags": of what is new, instead of making them of its data
 *   change		"options": an object of those to be changed, see intact_change
 *   table		"showkeys"; the answer has "table"
 *
 *   -ENOENT  no such volume
 *   -ESRCH   its process has died
 *   -EBUSY   close: somebody uses the device
 */
int daemon_ask(const char *name, struct json_object *request, const struct intact_log *log,
	       struct json_object **ret_answer);

/* The same over the socket of this path. Without a request it is the status that is told, also by
 * `intact serve`.
 */
int daemon_ask_socket(const char *path, struct json_object *request, const struct intact_log *log,
		      struct json_object **ret_answer);

/* Takes away what a process that died has left: -ENOENT: there is no such volume; -EBUSY: it lives. */
int daemon_forget(const char *name, const struct intact_log *log);

#endif
