/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact format: make a volume.
 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define JSON_VERSION 1

struct format {
	const struct options *options;
	struct progress progress;
	enum intact_format_step step;
};

/* ---- While it runs ---- */

static bool is_yes(const char *line)
{
	return strcmp(line, "yes\n") == 0 || strcmp(line, "YES\n") == 0;
}

/* Asks where somebody can answer. */
static bool overwrite_wanted(void *opaque, const char *path, const char *what)
{
	const struct format *f = opaque;
	char line[16];

	if (f->options->force)
		return true;
	if (f->options->batch || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	fprintf(stderr, "%s carries %s. Overwrite it? (yes or no) ", path, what);
	return fgets(line, sizeof(line), stdin) && is_yes(line);
}

static void progressed(void *opaque, const struct intact_format_progress *so_far)
{
	struct format *f = opaque;

	if (f->progress.total_bytes != so_far->total_bytes || f->step != so_far->step) {
		progress_clear(&f->progress);
		progress_init(&f->progress, so_far->total_bytes);
		f->step = so_far->step;
	}
	progress_show(&f->progress, so_far->done_bytes);
}

static bool stop_wanted(void *opaque)
{
	(void)opaque;
	return interrupt_pending();
}

/* ---- Results ---- */

static void print_json(const struct options *o, const struct intact_format_counts *counts)
{
	const char *hash = o->params.internal_hash.name;
	bool first = true;

	json_member(&first, "version", json_object_new_int(JSON_VERSION));
	json_member(&first, "device", json_object_new_string(o->params.device));
	json_member(&first, "integrity", hash[0] ? json_object_new_string(hash) : NULL);
	json_member(&first, "sectors", json_object_new_uint64(counts->sectors));
	json_member(&first, "zeroed_bytes", json_object_new_uint64(counts->zeroed_bytes));
	json_member(&first, "written_bytes", json_object_new_uint64(counts->written_bytes));
	fputs("}\n", stdout);
}

static void print_text(const struct options *o, const struct intact_format_counts *counts)
{
	const char *hash = o->params.internal_hash.name;

	printf("device: %s\n", o->params.device);
	printf("integrity: %s\n", hash[0] ? hash : "none");
	printf("sectors: %" PRIu64 "\n", counts->sectors);
	printf("zeroed: %" PRIu64 " bytes\n", counts->zeroed_bytes);
	printf("written: %" PRIu64 " bytes\n", counts->written_bytes);
}

int cmd_format(struct options *options)
{
	struct format f = {.options = options};
	const struct intact_format_options how = {
		.no_wipe = options->no_wipe,
		.jobs = options->jobs,
		.overwrite = overwrite_wanted,
		.progress = progressed,
		.stop = stop_wanted,
		.opaque = &f,
	};
	struct intact_format_counts counts;
	int r;

	interrupt_catch();
	r = intact_format(&options->params, &how, &options->log, &counts);
	progress_clear(&f.progress);
	if (r == -ECANCELED)
		complain("interrupted: %s is no volume until it is formatted again",
			 options->params.device);
	if (r == -ENOKEY)
		return EXIT_USAGE;
	if (r < 0)
		return exit_status(r);
	(options->json ? print_json : print_text)(options, &counts);
	return EXIT_WELL;
}
