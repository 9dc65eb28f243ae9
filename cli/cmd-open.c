/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact open: a volume as a block device, served by a process in the background. It returns when the
 * device is usable, or with what kept it from being so.
 */
#include "cli.h"

#include "device.h"

#include <string.h>

/* DEVICE NAME, or with --recover just NAME: then it is opened as it was before. */
static int check_operands(const struct options *o)
{
	if (o->operand_count == 1 && !o->recover) {
		complain("open: under which name? (see intact open --help)");
		return EXIT_USAGE;
	}
	if (o->file && o->frontend && strcmp(o->frontend, "fuse") != 0) {
		complain("--file is by FUSE, not --%s", o->frontend);
		return EXIT_USAGE;
	}
	return EXIT_WELL;
}

/* What it was opened with counts; all but where messages go. */
static int check_recovery(const struct options *o)
{
	static const char *const allowed[] = {"recover", "log", "json", "verbose"};

	for (unsigned i = 0; i < o->given_count; i++) {
		bool well = false;

		for (unsigned j = 0; j < sizeof(allowed) / sizeof(*allowed); j++)
			well = well || strcmp(o->given[i].name, allowed[j]) == 0;
		if (well)
			continue;
		complain("--recover NAME opens as before: --%s needs DEVICE NAME",
			 o->given[i].name);
		return EXIT_USAGE;
	}
	return EXIT_WELL;
}

static int describe(struct options *o, struct device_options *d)
{
	bool as_before = o->operand_count == 1;
	int status = as_before ? check_recovery(o)
			       : device_options_make(&o->params, o->given, o->given_count, d);

	d->daemon.name = o->operands[o->operand_count - 1];
	d->daemon.read_only = o->read_only;
	d->daemon.recover = o->recover;
	d->daemon.file = o->file;
	d->daemon.frontend = o->frontend;
	d->daemon.queues = o->queues;
	d->daemon.depth = o->depth;
	if (status == EXIT_WELL && o->log_path) {
		d->daemon.log_path = device_options_path(d, o->log_path);
		status = d->daemon.log_path ? EXIT_WELL : EXIT_FAILED;
	}
	return status;
}

int cmd_open(struct options *options)
{
	struct device_options d = {.path_count = 0};
	int status = check_operands(options);

	status = status ?: describe(options, &d);
	status = status ?: exit_status(daemon_open(&d.daemon, &options->log));
	status = status ?: device_print(d.daemon.name, options->json, &options->log);
	device_options_done(&d);
	return status;
}
