/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact table: the line by which device-mapper would open the same volume.
 */
#include "cli.h"

#include <daemon.h>

int cmd_table(struct options *options)
{
	struct json_object *request = json_object_new_object();
	struct json_object *answer = NULL;
	int err;

	json_object_object_add(request, "command", json_object_new_string("table"));
	json_object_object_add(request, "showkeys", json_object_new_boolean(options->showkeys));
	err = daemon_ask(options->operands[0], request, &options->log, &answer);
	if (!err)
		puts(json_get_text(answer, "table"));
	json_object_put(answer);
	return exit_status(err);
}
