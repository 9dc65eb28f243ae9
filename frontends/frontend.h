/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the process behind `intact open` (frontends/daemon) asks of whatever makes its volume a device:
 * ublk, fuse, nbd. A front end translates and does no more. There is one per process, and one thread
 * calls all of its functions, one after the other; what it calls back may come on any thread.
 *
 * Functions return 0 or a negative errno, and tell the log why.
 */
#ifndef INTACT_FRONTEND_H
#define INTACT_FRONTEND_H

#include <intact.h>

#include <stdbool.h>
#include <stdint.h>

#define FRONTEND_ID_NONE (-1)

struct frontend_options {
	const char *name;      /* the volume's, as given to `intact open` */
	const char *directory; /* of this process alone, exists: for sockets, mount points, files */
	bool read_only;
	bool discards;	    /* the volume takes them */
	bool block_device;  /* fuse: a loop device over the file; what cannot is refused */
	unsigned queues;    /* 0: as the front end likes */
	unsigned depth;	    /* requests of each queue at once; 0: as the front end likes */
	int64_t recover_id; /* or FRONTEND_ID_NONE: take over the device of a process that died */

	/* The device has gone without having been asked to: unmounted, deleted by somebody else. At
	 * most once, on any thread; must not wait.
	 */
	void (*ended)(void *opaque);
	void *opaque;
};

struct frontend {
	const char *name;
	bool spreads;	/* lends its threads: INTACT_OPEN_SPREAD */
	bool is_direct; /* its requests' buffers are aligned as INTACT_OPEN_DIRECT wants them */

	/* Whether this machine and this user can have it: 0, or why not: -ENODEV (no such driver in
	 * this kernel), -EACCES, -ENOENT (a helper program is missing).
	 */
	int (*probe)(const struct frontend_options *options, const struct intact_log *log);

	/* The device is usable when this returns. The volume outlives the front end; the options are
	 * copied. All memory that requests need is taken here.
	 */
	int (*start)(struct intact *volume, const struct frontend_options *options,
		     const struct intact_log *log, void **ret_instance);

	const char *(*device)(const void *instance); /* its path, absolute */
	bool (*is_block)(const void *instance);
	int64_t (*id)(const void *instance); /* to recover it by, or FRONTEND_ID_NONE */

	/* The volume has `sectors` now. -EOPNOTSUPP: this kernel cannot tell the users of a device.
	 * The path and the id stay.
	 */
	int (*resize)(void *instance, uint64_t sectors, const struct intact_log *log);

	/* The volume takes discards from now on, or no longer. NULL: its users learn of that when the
	 * device is made anew.
	 */
	void (*allow_discards)(void *instance, bool allow);

	/* Those who use its devices go on when this process has died and another one has taken the
	 * device over. NULL: no.
	 */
	bool (*is_outlived)(void);

	bool (*in_use)(const void *instance); /* somebody has opened the device */

	/* Takes the device away; requests under way come to their end first. Without `force`,
	 * -EBUSY when somebody uses it, and nothing happens, nor is said. After 0 the instance is
	 * gone.
	 */
	int (*stop)(void *instance, bool force, const struct intact_log *log);

	/* A process that died has left this directory, and a device by this id or FRONTEND_ID_NONE:
	 * takes away what there is of its device, in use or not.
	 */
	int (*forget)(const char *directory, int64_t id, const struct intact_log *log);
};

/* Those that were built, best first; ends with NULL. (frontends.c) */
extern const struct frontend *const frontends[];
const struct frontend *frontend_find(const char *name); /* NULL: none of that name was built */

/* One line for the log. errno stays what it is. */
void frontend_say(const struct intact_log *log, enum intact_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

extern const struct frontend frontend_ublk;
extern const struct frontend frontend_fuse;
extern const struct frontend frontend_nbd;

#endif
