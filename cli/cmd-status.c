/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact status: how a volume is, by its name or by the socket of its server, or how all are.
 */
#include "cli.h"

#include <daemon.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/linkhash.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Asking ---- */

/* A name is no path, and a path that is there is no name. */
static bool is_path(const char *operand)
{
	struct stat st;

	return strchr(operand, '/') || (stat(operand, &st) == 0 && S_ISSOCK(st.st_mode));
}

/* Beside the socket of the export, or the very path. */
static int ask_path(const char *path, const struct intact_log *log, struct json_object **ret)
{
	char *beside = NULL;
	int err = asprintf(&beside, "%s.status", path) < 0
			  ? -ENOMEM
			  : daemon_ask_socket(beside, NULL, NULL, ret);

	free(beside);
	return err < 0 ? daemon_ask_socket(path, NULL, log, ret) : err;
}

static int ask_name(const char *name, const struct intact_log *log, struct json_object **ret)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "command", json_object_new_string("status"));
	return daemon_ask(name, request, log, ret);
}

/* What belongs to the conversation is no part of the status. */
static int ask(const char *operand, const struct intact_log *log, struct json_object *statuses)
{
	struct json_object *o = NULL;
	int err = is_path(operand) ? ask_path(operand, log, &o) : ask_name(operand, log, &o);

	if (err)
		return err;
	if (!json_get(o, "requests")) {
		complain("%s does not tell the status of a volume", operand);
		json_object_put(o);
		return -EBADMSG;
	}
	json_object_object_del(o, "result");
	json_object_object_del(o, "messages");
	json_object_array_add(statuses, o);
	return 0;
}

struct all {
	struct json_object *statuses;
	const struct intact_log *log;
	int err; /* the first */
};

static int ask_each(void *opaque, const char *name)
{
	struct all *all = opaque;
	int err = ask(name, all->log, all->statuses);

	all->err = all->err ?: err;
	return 0;
}

static int ask_all(const struct intact_log *log, struct json_object *statuses)
{
	struct all all = {.statuses = statuses, .log = log};

	return daemon_each(ask_each, &all, log) ?: all.err;
}

/* ---- Showing ---- */

static void print_requests(struct json_object *requests)
{
	json_object_object_foreach(requests, op, counts)
	{
		printf("%s: %" PRIu64 " requests, %.3f ms each, %.3f ms at most\n", op,
		       json_get_number(counts, "finished"),
		       (double)json_get_number(counts, "latency_ns") / 1e6,
		       (double)json_get_number(counts, "latency_max_ns") / 1e6);
	}
}

static bool is_true(struct json_object *o, const char *key)
{
	return json_object_get_boolean(json_get(o, key));
}

/* Of those that have one. */
static void print_device(struct json_object *o)
{
	if (!json_get(o, "device"))
		return;
	printf("name: %s\nvolume: %s\ndevice: %s\nfrontend: %s\npid: %s\n",
	       json_get_text(o, "name"), json_get_text(o, "volume"), json_get_text(o, "device"),
	       json_get_text(o, "frontend"), json_get_text(o, "pid"));
	printf("access: %s\n", is_true(o, "read_only") ? "read only" : "read and write");
	printf("in use: %s%s\n", is_true(o, "in_use") ? "yes" : "no",
	       is_true(o, "deferred_close") ? ", closes when it is not" : "");
}

static void print_text(struct json_object *o)
{
	struct json_object *recalc = json_get(o, "recalc_sector");
	struct json_object *failure = json_get(o, "failure");
	uint64_t entries = json_get_number(o, "journal_entries");

	print_device(o);
	printf("sectors: %" PRIu64 "\n", json_get_number(o, "sectors"));
	printf("block size: %" PRIu64 " bytes\n", json_get_number(o, "block_size"));
	printf("integrity: %s\n", json_get_text(o, "integrity"));
	printf("driver: %s\n", json_get_text(o, "driver"));
	if (json_get(o, "mode"))
		printf("mode: %s\n", json_get_text(o, "mode"));
	printf("mismatches: %" PRIu64 "\n", json_get_number(o, "mismatches"));
	if (recalc)
		printf("recalculated: %" PRIu64 " of %" PRIu64 " sectors\n",
		       json_object_get_uint64(recalc), json_get_number(o, "provided_data_sectors"));
	printf("journal: %" PRIu64 " of %" PRIu64 " entries in use\n",
	       entries - json_get_number(o, "journal_entries_free"), entries);
	printf("dirty regions: %" PRIu64 "\n", json_get_number(o, "dirty_regions"));
	print_requests(json_get(o, "requests"));
	printf("in flight: %" PRIu64 " requests\n", json_get_number(o, "in_flight"));
	printf("state: %s%s\n", failure ? "stopped: " : "running",
	       failure ? json_object_get_string(failure) : "");
}

static void print_each(struct json_object *statuses)
{
	for (size_t i = 0; i < json_object_array_length(statuses); i++) {
		if (i > 0)
			putchar('\n');
		print_text(json_object_array_get_idx(statuses, i));
	}
}

static void print(const struct options *o, struct json_object *statuses)
{
	if (o->openmetrics)
		openmetrics_print(statuses);
	else if (!o->json)
		print_each(statuses);
	else
		json_print(o->operand_count == 0 ? statuses
						 : json_object_array_get_idx(statuses, 0));
}

static int judge(struct json_object *statuses)
{
	for (size_t i = 0; i < json_object_array_length(statuses); i++) {
		struct json_object *o = json_object_array_get_idx(statuses, i);

		if (json_get(o, "failure") || json_get_number(o, "mismatches") > 0)
			return EXIT_DAMAGE;
	}
	return EXIT_WELL;
}

int cmd_status(struct options *options)
{
	struct json_object *statuses = json_object_new_array();
	bool all = options->operand_count == 0;
	int err = all ? ask_all(&options->log, statuses)
		      : ask(options->operands[0], &options->log, statuses);
	int status = err ? exit_status(err) : judge(statuses);

	if (options->openmetrics && options->json) {
		complain("--openmetrics or --json, not both");
		status = EXIT_USAGE;
	} else if (!err || all) {
		print(options, statuses);
	}
	json_object_put(statuses);
	return status;
}
