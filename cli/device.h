/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From options as they were given to those that daemon_open remembers: names as intact.h has them,
 * paths absolute, as whoever recovers the volume may be elsewhere.
 */
#ifndef INTACT_CLI_DEVICE_H
#define INTACT_CLI_DEVICE_H

#include "cli.h"

#include <daemon.h>

struct device_options {
	struct daemon_options daemon;
	struct intact_option list[OPTIONS_GIVEN_MAX + 2];
	char *paths[OPTIONS_GIVEN_MAX + 2]; /* owned */
	unsigned path_count;
};

/* From params and what was given; name and the like are still to be filled in. Complains. Returns an
 * exit status. */
int device_options_make(struct intact_params *params, const struct option_given *given,
			unsigned given_count, struct device_options *ret);
void device_options_done(struct device_options *o);

/* The absolute path, which belongs to o; NULL: complained. */
const char *device_options_path(struct device_options *o, const char *path);

/* What daemon_open has opened, on stdout. Returns an exit status. */
int device_print(const char *name, bool json, const struct intact_log *log);

#endif
