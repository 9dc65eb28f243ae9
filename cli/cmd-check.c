/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact check: which blocks are good?
 */
#include "cli.h"

#include <inttypes.h>

/* So many mismatches without one block that fits are hardly damage. */
#define HOPELESS_BLOCKS 256

#define JSON_VERSION 1

struct check {
	const struct options *options;
	struct intact_view *view;
	struct progress progress;
	uint64_t bad_ranges;
	bool first_member; /* JSON */
	bool warned;
};

static const char *reason_name(enum intact_bad_reason reason)
{
	return reason == INTACT_BAD_MISMATCH ? "mismatch" : "unreadable";
}

static bool nothing_fits(const struct intact_check_counts *counts)
{
	return counts->mismatched > 0 && counts->verified == 0 && counts->discarded == 0;
}

/* ---- While it runs ---- */

static void print_bad_json(struct check *c, const struct intact_bad *bad)
{
	printf("%s\n  {\"first_sector\": %" PRIu64 ", \"sectors\": %" PRIu64
	       ", \"reason\": \"%s\"}",
	       c->bad_ranges ? "," : "", bad->first_sector, bad->sectors, reason_name(bad->reason));
}

static void bad_found(void *opaque, const struct intact_bad *bad)
{
	struct check *c = opaque;

	progress_clear(&c->progress);
	if (c->options->json)
		print_bad_json(c, bad);
	else
		printf("%s: sector %" PRIu64 ", %" PRIu64 " sectors\n", reason_name(bad->reason),
		       bad->first_sector, bad->sectors);
	(void)fflush(stdout);
	c->bad_ranges++;
}

static void progressed(void *opaque, const struct intact_check_counts *counts)
{
	struct check *c = opaque;
	uint64_t blocks = counts->verified + counts->mismatched + counts->unverified +
			  counts->discarded + counts->unreadable;

	if (!c->warned && nothing_fits(counts) && counts->mismatched >= HOPELESS_BLOCKS) {
		progress_clear(&c->progress);
		complain("warning: the first %" PRIu64
			 " blocks all mismatch: wrong key or algorithm?",
			 counts->mismatched);
		c->warned = true;
	}
	progress_show(&c->progress, blocks * intact_view_superblock(c->view)->block_bytes);
}

static bool stop_wanted(void *opaque)
{
	(void)opaque;
	return interrupt_pending();
}

/* ---- Results ---- */

static const char *result_name(int status)
{
	switch (status) {
	case EXIT_WELL:
		return "clean";
	case EXIT_DAMAGE:
		return "damaged";
	}
	return "incomplete";
}

static struct json_object *json_journal(const struct intact_journal *journal)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "state",
			       json_object_new_string(journal_state_name(journal->state)));
	json_object_object_add(o, "sections", json_object_new_uint64(journal->sections));
	json_object_object_add(o, "entries", json_object_new_uint64(journal->entries));
	json_object_object_add(o, "errors", json_object_new_uint64(journal->errors));
	json_object_object_add(o, "reason",
			       journal->errors ? json_object_new_string(journal->reason) : NULL);
	return o;
}

static struct json_object *json_blocks(const struct intact_check_counts *counts)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "total", json_object_new_uint64(counts->total));
	json_object_object_add(o, "verified", json_object_new_uint64(counts->verified));
	json_object_object_add(o, "mismatched", json_object_new_uint64(counts->mismatched));
	json_object_object_add(o, "unverified", json_object_new_uint64(counts->unverified));
	json_object_object_add(o, "discarded", json_object_new_uint64(counts->discarded));
	json_object_object_add(o, "unreadable", json_object_new_uint64(counts->unreadable));
	return o;
}

static struct json_object *json_name(const char *name)
{
	return name[0] ? json_object_new_string(name) : NULL;
}

static struct json_object *json_seconds(double seconds)
{
	char text[32];

	snprintf(text, sizeof(text), "%.3f", seconds);
	return json_object_new_double_s(seconds, text);
}

/* What is known before the first block is read; the list of bad ranges is left open. */
static void begin_json(struct check *c)
{
	const struct intact_view *v = c->view;
	bool *first = &c->first_member;

	*first = true;
	json_member(first, "version", json_object_new_int(JSON_VERSION));
	json_member(first, "device", json_object_new_string(c->options->params.device));
	json_member(first, "superblock", json_superblock(intact_view_superblock(v)));
	json_member(first, "integrity", json_name(intact_view_hash(v)));
	json_member(first, "driver", json_name(intact_view_driver(v)));
	json_member(first, "journal", json_journal(intact_view_journal(v)));
	fputs(",\n \"bad\": [", stdout);
}

static void end_json(struct check *c, const struct intact_check_counts *counts, int status)
{
	putchar(']');
	json_member(&c->first_member, "blocks", json_blocks(counts));
	json_member(&c->first_member, "seconds", json_seconds(progress_seconds(&c->progress)));
	json_member(&c->first_member, "result", json_object_new_string(result_name(status)));
	fputs("}\n", stdout);
}

static void begin_text(const struct check *c)
{
	const struct intact_journal *journal = intact_view_journal(c->view);

	printf("device: %s\n", c->options->params.device);
	printf("integrity: %s\n",
	       intact_view_hash(c->view)[0] ? intact_view_hash(c->view) : "none");
	if (intact_view_driver(c->view)[0])
		printf("driver: %s\n", intact_view_driver(c->view));
	printf("journal: %s", journal_state_name(journal->state));
	if (journal->state == INTACT_JOURNAL_REPLAY)
		printf(", %" PRIu32 " sections, %" PRIu64 " entries", journal->sections,
		       journal->entries);
	if (journal->state == INTACT_JOURNAL_CORRUPT)
		printf(": %s", journal->reason);
	putchar('\n');
	(void)fflush(stdout);
}

static void end_text(const struct intact_check_counts *counts, int status)
{
	printf("blocks: %" PRIu64 "\n", counts->total);
	printf("verified: %" PRIu64 "\n", counts->verified);
	printf("mismatched: %" PRIu64 "%s\n", counts->mismatched,
	       nothing_fits(counts) ? " (wrong key or algorithm?)" : "");
	printf("unverified: %" PRIu64 "\n", counts->unverified);
	printf("discarded: %" PRIu64 "\n", counts->discarded);
	printf("unreadable: %" PRIu64 "\n", counts->unreadable);
	printf("result: %s\n", result_name(status));
}

static int judge(const struct check *c, const struct intact_check_counts *counts, int error)
{
	if (error < 0)
		return exit_status(error);
	if (counts->mismatched > 0 || counts->unreadable > 0)
		return EXIT_DAMAGE;
	if (intact_view_journal(c->view)->state == INTACT_JOURNAL_CORRUPT)
		return EXIT_DAMAGE;
	return EXIT_WELL;
}

static uint64_t end_sector(const struct check *c)
{
	return c->options->to_sector ?: intact_view_sectors(c->view);
}

static bool range_is_good(const struct check *c)
{
	uint64_t from = c->options->from_sector, to = end_sector(c);

	if (from < to && to <= intact_view_sectors(c->view))
		return true;
	complain("--from %" PRIu64 " --to %" PRIu64 ": not within the volume, which has %" PRIu64
		 " sectors",
		 from, to, intact_view_sectors(c->view));
	return false;
}

static void warn(const struct check *c)
{
	if (intact_view_journal(c->view)->state == INTACT_JOURNAL_CORRUPT)
		complain("the journal is corrupt: %s; checking the data without it",
			 intact_view_journal(c->view)->reason);
	if (!intact_view_hash(c->view)[0])
		complain("warning: the tags belong to the layer above: no block can be verified");
}

static int check_view(struct check *c)
{
	const struct options *o = c->options;
	const struct intact_check_options options = {
		.from_sector = o->from_sector,
		.to_sector = o->to_sector,
		.limit_rate_bytes = o->limit_rate_bytes,
		.jobs = o->jobs,
		.bad = bad_found,
		.progress = progressed,
		.stop = stop_wanted,
		.opaque = c,
	};
	struct intact_check_counts counts;
	int error, status;

	progress_init(&c->progress, (end_sector(c) - o->from_sector) * 512);
	if (o->json)
		begin_json(c);
	else
		begin_text(c);
	error = intact_check(c->view, &options, &counts);
	progress_clear(&c->progress);
	status = judge(c, &counts, error);
	if (o->json)
		end_json(c, &counts, status);
	else
		end_text(&counts, status);
	if (nothing_fits(&counts) && !c->warned)
		complain("warning: no block matches its tag: wrong key or algorithm?");
	return status;
}

int cmd_check(struct options *options)
{
	struct check c = {.options = options};
	int r = intact_view_open(&options->params, 0, &options->log, &c.view);
	int status = EXIT_USAGE;

	if (r < 0)
		return exit_status(r);
	if (range_is_good(&c)) {
		warn(&c);
		interrupt_catch();
		status = check_view(&c);
	}
	intact_view_close(c.view);
	return status;
}
