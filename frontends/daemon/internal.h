/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the process in the background share. One thread, the first, does all that they
 * do; the volume and the front end have others.
 */
#ifndef INTACT_DAEMON_INTERNAL_H
#define INTACT_DAEMON_INTERNAL_H

#include "../frontend.h"
#include "daemon.h"
#include "log.h"
#include "state.h"

#define REQUEST_BYTES_MAX 65536
#define PROTOCOL_VERSION  1

struct daemon {
	struct daemon_options options; /* `options` are not its own, and gone */
	struct state state;
	struct json_object *description; /* what NAME.json has */
	int64_t recover_id;

	struct daemon_log *lines;
	struct intact_log log;
	struct intact *volume;
	const struct frontend *frontend;
	void *instance;
	bool read_only;
	bool discards;
	bool usable; /* who started it has been told */

	int listening_fd;
	int signal_fd;
	int ended_fd;  /* eventfd: the device has gone by itself */
	bool deferred; /* close when nobody uses it any more */
	bool over;
	int result; /* of closing */
};

/* In the background: opens, tells report_fd, serves, closes; does not return. The log of whoever
 * started it gets lines, each with its level's letter first: E, W or I; then one with the result:
 * "=0", or "=" and an errno.
 */
void daemon_run(const struct daemon_options *options, const struct state *state,
		struct json_object *description, int64_t recover_id, int report_fd)
	__attribute__((noreturn));

/* Ends the device and the volume, and takes away what is kept about them. -EBUSY: it is used, and
 * goes on.
 */
int daemon_shut(struct daemon *d, bool force, const struct intact_log *log);

/* ---- control.c ---- */

int control_open(struct daemon *d);

/* Somebody has connected: one request, one answer. */
void control_serve(struct daemon *d);

/* ---- open.c ---- */

#define CHANGES_MAX 16

/* {"NAME": "VALUE", …}; the strings are the object's. -EINVAL: it is no such thing. */
int options_of_object(struct json_object *o, struct intact_option ret[static CHANGES_MAX],
		      size_t *ret_count, const struct intact_log *log);

/* ---- status.c ---- */

struct json_object *status_of(struct daemon *d);

#endif
