/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact list: the volumes that this user has open.
 */
#include "cli.h"

#include <daemon.h>

struct list {
	struct json_object *volumes;
	const struct intact_log *log;
};

static int add(void *opaque, const char *name)
{
	static const char *const told[] = {"name",     "device", "volume", "block_device",
					   "frontend", "pid",	 "alive",  "read_only"};
	struct list *list = opaque;
	struct json_object *description = NULL;
	struct json_object *o;

	if (daemon_describe(name, list->log, &description) < 0)
		return 0; /* closed just now */
	o = json_object_new_object();
	for (unsigned i = 0; i < sizeof(told) / sizeof(*told); i++)
		json_object_object_add(o, told[i], json_object_get(json_get(description, told[i])));
	json_object_array_add(list->volumes, o);
	json_object_put(description);
	return 0;
}

/* One that is just being opened has no device yet. */
static const char *state_of(struct json_object *o)
{
	if (!json_object_get_boolean(json_get(o, "alive")))
		return "died";
	return json_get(o, "device") ? "open" : "opening";
}

static void print_text(struct json_object *volumes)
{
	size_t count = json_object_array_length(volumes);

	if (count > 0)
		printf("%-16s %-6s %-8s %-24s %s\n", "name", "state", "frontend", "device",
		       "volume");
	for (size_t i = 0; i < count; i++) {
		struct json_object *o = json_object_array_get_idx(volumes, i);

		printf("%-16s %-6s %-8s %-24s %s\n", json_get_text(o, "name"), state_of(o),
		       json_get_text(o, "frontend"),
		       json_get(o, "device") ? json_get_text(o, "device") : "-",
		       json_get_text(o, "volume"));
	}
}

int cmd_list(struct options *options)
{
	struct list list = {.volumes = json_object_new_array(), .log = &options->log};
	int err = daemon_each(add, &list, &options->log);

	if (!err && options->json)
		json_print(list.volumes);
	else if (!err)
		print_text(list.volumes);
	json_object_put(list.volumes);
	return exit_status(err);
}
