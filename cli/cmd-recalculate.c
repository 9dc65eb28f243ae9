/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact recalculate: tags for the data that are there.
 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>

#define JSON_VERSION 1

static void progressed(void *opaque, uint64_t recalc_sector, uint64_t sectors)
{
	struct progress *p = opaque;

	if (p->total_bytes == 0)
		progress_init(p, sectors * 512);
	progress_show(p, recalc_sector * 512);
}

static bool stop_wanted(void *opaque)
{
	(void)opaque;
	return interrupt_pending();
}

static const char *result_name(const struct intact_recalculated *done)
{
	return done->to_sector == done->sectors ? "complete" : "incomplete";
}

static void print_json(const struct options *o, const struct intact_recalculated *done)
{
	bool first = true;

	json_member(&first, "version", json_object_new_int(JSON_VERSION));
	json_member(&first, "device", json_object_new_string(o->params.device));
	json_member(&first, "from_sector", json_object_new_uint64(done->from_sector));
	json_member(&first, "to_sector", json_object_new_uint64(done->to_sector));
	json_member(&first, "sectors", json_object_new_uint64(done->sectors));
	json_member(&first, "result", json_object_new_string(result_name(done)));
	fputs("}\n", stdout);
}

static void print_text(const struct options *o, const struct intact_recalculated *done)
{
	printf("device: %s\n", o->params.device);
	printf("from: sector %" PRIu64 "\n", done->from_sector);
	printf("to: sector %" PRIu64 " of %" PRIu64 "\n", done->to_sector, done->sectors);
	printf("result: %s\n", result_name(done));
}

int cmd_recalculate(struct options *options)
{
	struct progress progress = {0};
	const struct intact_recalculate_options how = {
		.jobs = options->jobs,
		.progress = progressed,
		.stop = stop_wanted,
		.opaque = &progress,
	};
	struct intact_recalculated done;
	int r;

	interrupt_catch();
	r = intact_recalculate(&options->params, &how, &options->log, &done);
	progress_clear(&progress);
	if (r == 0 || done.sectors > 0)
		(options->json ? print_json : print_text)(options, &done);
	return exit_status(r);
}
