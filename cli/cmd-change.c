/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact change: how a volume is run, while its device is in use.
 */
#include "cli.h"

#include <daemon.h>
#include <string.h>

/* By the names and values of intact_change. */
static struct json_object *wanted_changes(const struct options *o)
{
	struct json_object *wanted = json_object_new_object();

	for (unsigned i = 0; i < o->given_count; i++) {
		const struct option_given *g = &o->given[i];

		if (strcmp(g->name, "verbose") == 0)
			continue;
		if (strcmp(g->name, "no-allow-discards") == 0)
			json_object_object_add(wanted, "allow-discards",
					       json_object_new_string("false"));
		else
			json_object_object_add(wanted, g->name, json_object_new_string(g->value));
	}
	return wanted;
}

int cmd_change(struct options *options)
{
	struct json_object *wanted = wanted_changes(options);
	struct json_object *request;
	struct json_object *answer = NULL;
	int err;

	if (json_object_object_length(wanted) == 0) {
		json_object_put(wanted);
		complain("change: what of it? (see intact change --help)");
		return EXIT_USAGE;
	}
	request = json_object_new_object();
	json_object_object_add(request, "command", json_object_new_string("change"));
	json_object_object_add(request, "options", wanted);
	err = daemon_ask(options->operands[0], request, &options->log, &answer);
	json_object_put(answer);
	return exit_status(err);
}
