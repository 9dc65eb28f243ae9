/* SPDX-License-Identifier: BSD-2-Clause */
#include "device.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of those that were given, what says what the volume is and how it is written. */
static bool is_volume_option(const char *name)
{
	static const char *const others[] = {"read-only", "ublk",   "fuse",   "nbd",
					     "file",	  "queues", "depth",  "recover",
					     "log",	  "json",   "verbose"};

	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (strcmp(name, others[i]) == 0)
			return false;
	}
	return true;
}

static bool is_path(const char *name, const char *value)
{
	static const char suffix[] = "-key-file";
	size_t length = strlen(name);

	if (strcmp(name, "data-device") == 0)
		return true;
	if (strcmp(name, "digest-module") == 0)
		return strchr(value, '/');
	return length > sizeof(suffix) && strcmp(name + length - (sizeof(suffix) - 1), suffix) == 0;
}

const char *device_options_path(struct device_options *o, const char *path)
{
	char here[PATH_MAX] = "";
	char *absolute = NULL;

	if (path[0] != '/' && !getcwd(here, sizeof(here))) {
		complain("cannot tell the working directory: %s", strerror(errno));
		return NULL;
	}
	if (asprintf(&absolute, "%s%s%s", here, path[0] == '/' ? "" : "/", path) < 0) {
		complain("out of memory");
		return NULL;
	}
	o->paths[o->path_count++] = absolute;
	return absolute;
}

static int add(struct device_options *o, const char *name, const char *value, bool path)
{
	if (path)
		value = device_options_path(o, value);
	if (!value)
		return EXIT_FAILED;
	o->list[o->daemon.option_count++] = (struct intact_option){name, value};
	return EXIT_WELL;
}

/* The process leaves the directory. */
static int make_absolute(struct device_options *o, char **path)
{
	const char *absolute = *path ? device_options_path(o, *path) : NULL;
	char *copy;

	if (!*path)
		return EXIT_WELL;
	copy = absolute ? strdup(absolute) : NULL;
	if (!copy)
		return EXIT_FAILED;
	free(*path);
	*path = copy;
	return EXIT_WELL;
}

int device_options_make(struct intact_params *params, const struct option_given *given,
			unsigned given_count, struct device_options *ret)
{
	int status = make_absolute(ret, &params->device);

	ret->daemon.params = params;
	ret->daemon.options = ret->list;
	status = status ?: make_absolute(ret, &params->data_device);
	status = status ?: add(ret, "device", params->device, false);
	for (unsigned i = 0; i < given_count && status == EXIT_WELL; i++) {
		if (is_volume_option(given[i].name))
			status = add(ret, given[i].name, given[i].value,
				     is_path(given[i].name, given[i].value));
	}
	return status;
}

void device_options_done(struct device_options *o)
{
	for (unsigned i = 0; i < o->path_count; i++)
		free(o->paths[i]);
	o->path_count = 0;
}

/* ---- What came of it ---- */

static void print_text(struct json_object *o)
{
	printf("name: %s\ndevice: %s\nfrontend: %s\npid: %s\n", json_get_text(o, "name"),
	       json_get_text(o, "device"), json_get_text(o, "frontend"), json_get_text(o, "pid"));
}

int device_print(const char *name, bool json, const struct intact_log *log)
{
	static const char *const told[] = {"version",	   "name",     "volume", "device",
					   "block_device", "frontend", "pid",	 "read_only"};
	struct json_object *description = NULL;
	struct json_object *o;
	int err = daemon_describe(name, log, &description);

	if (err) {
		complain("%s is gone already", name);
		return EXIT_FAILED;
	}
	o = json_object_new_object();
	for (unsigned i = 0; i < sizeof(told) / sizeof(*told); i++)
		json_object_object_add(o, told[i], json_object_get(json_get(description, told[i])));
	if (json)
		json_print(o);
	else
		print_text(o);
	json_object_put(o);
	json_object_put(description);
	return EXIT_WELL;
}
