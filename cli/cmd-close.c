/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact close: takes the device away, writes everything home, and says whether that went well. What
 * a process that died has left is taken away, too.
 */
#include "cli.h"

#include <daemon.h>
#include <errno.h>

static int forget_dead(const struct options *o, const char *name)
{
	int err = daemon_forget(name, &o->log);

	if (err)
		return exit_status(err);
	complain("warning: the process behind %s had died; what it left was taken away", name);
	return EXIT_WELL;
}

static bool is_dead(const char *name, const struct intact_log *log)
{
	struct json_object *description = NULL;
	bool dead;

	if (daemon_describe(name, log, &description) < 0)
		return false;
	dead = !json_object_get_boolean(json_get(description, "alive"));
	json_object_put(description);
	return dead;
}

int cmd_close(struct options *options)
{
	const char *name = options->operands[0];
	struct json_object *request;
	struct json_object *answer = NULL;
	int err;

	if (is_dead(name, NULL))
		return forget_dead(options, name);
	request = json_object_new_object();
	json_object_object_add(request, "command", json_object_new_string("close"));
	json_object_object_add(request, "deferred", json_object_new_boolean(options->deferred));
	json_object_object_add(request, "cancel_deferred",
			       json_object_new_boolean(options->cancel_deferred));
	err = daemon_ask(name, request, &options->log, &answer);
	json_object_put(answer);
	return exit_status(err);
}
