/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact resize: the volume and its device get another length while they are in use, all that there is
 * unless told otherwise.
 */
#include "cli.h"

#include <daemon.h>

#define SECTOR_BYTES 512u

static int wanted_sectors(const struct options *o, uint64_t *ret)
{
	if (o->size_bytes > 0 && o->size_sectors > 0) {
		complain("--device-size or --size, not both");
		return EXIT_USAGE;
	}
	if (o->size_bytes % SECTOR_BYTES != 0) {
		complain("--device-size: %llu bytes is not whole sectors of %u",
			 (unsigned long long)o->size_bytes, SECTOR_BYTES);
		return EXIT_USAGE;
	}
	*ret = o->size_bytes > 0 ? o->size_bytes / SECTOR_BYTES : o->size_sectors;
	return EXIT_WELL;
}

int cmd_resize(struct options *options)
{
	struct json_object *request;
	struct json_object *answer = NULL;
	uint64_t sectors;
	int err;

	if (wanted_sectors(options, &sectors) != EXIT_WELL)
		return EXIT_USAGE;
	request = json_object_new_object();
	json_object_object_add(request, "command", json_object_new_string("resize"));
	if (sectors > 0)
		json_object_object_add(request, "sectors", json_object_new_uint64(sectors));
	if (options->leave_tags)
		json_object_object_add(request, "leave_tags", json_object_new_boolean(true));
	err = daemon_ask(options->operands[0], request, &options->log, &answer);
	json_object_put(answer);
	return exit_status(err);
}
