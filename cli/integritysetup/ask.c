/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Names of devices, and the processes behind them.
 */
#include "isetup.h"

#include <daemon.h>

#include <errno.h>
#include <json-c/json_object.h>
#include <limits.h>
#include <string.h>

#define DIRECTORY "/dev/mapper/"

const char *without_directory(const char *name)
{
	size_t length = strlen(DIRECTORY);

	return strncmp(name, DIRECTORY, length) == 0 ? name + length : name;
}

void mapper_path(const char *name, char path[static PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, DIRECTORY "%s", name);
}

struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(o, key, &value);
	return value;
}

const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = member(o, key);

	return value ? json_object_get_string(value) : NULL;
}

bool is_active(const char *name)
{
	const struct intact_log silent = {0};
	struct json_object *description = NULL;
	bool active = daemon_describe(name, &silent, &description) == 0 &&
		      json_object_get_boolean(member(description, "alive"));

	json_object_put(description);
	return active;
}

int complain_inactive(const char *name)
{
	complain("Device %s is not active.", name);
	return ISETUP_DEVICE;
}

struct json_object *request_for(const char *command)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "command", json_object_new_string(command));
	return request;
}

int ask(struct arguments *a, const char *name, struct json_object *request,
	struct json_object **ret_answer)
{
	struct json_object *answer = NULL;
	int r = daemon_ask(name, request, &a->log, &answer);

	if (r == 0 && ret_answer)
		*ret_answer = answer;
	else
		json_object_put(answer);
	return r;
}
