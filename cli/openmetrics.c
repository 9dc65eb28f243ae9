/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Statuses in the text format of OpenMetrics: a family after another, in each all volumes.
 */
#include "cli.h"

#include <inttypes.h>
#include <json-c/linkhash.h>

static void print_escaped(const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\\' || *c == '"')
			printf("\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", stdout);
		else
			putchar(*c);
	}
}

static void print_label(const char *label, const char *value, const char *before)
{
	printf("%s%s=\"", before, label);
	print_escaped(value);
	putchar('"');
}

static void begin(const char *family, const char *type, const char *unit, const char *help)
{
	printf("# TYPE %s %s\n", family, type);
	if (unit)
		printf("# UNIT %s %s\n", family, unit);
	printf("# HELP %s %s\n", family, help);
}

static struct json_object *status_at(struct json_object *statuses, size_t i)
{
	return json_object_array_get_idx(statuses, i);
}

/* ---- Families ---- */

static void print_info(struct json_object *statuses)
{
	static const char *const told[] = {"volume", "device", "frontend"};

	begin("intact_volume", "info", NULL, "Open volumes.");
	for (size_t i = 0; i < json_object_array_length(statuses); i++) {
		struct json_object *o = status_at(statuses, i);

		print_label("name", json_get_text(o, "name"), "intact_volume_info{");
		for (unsigned j = 0; j < sizeof(told) / sizeof(*told); j++)
			print_label(told[j], json_get_text(o, told[j]), ",");
		puts("} 1");
	}
}

struct family {
	const char *name;
	const char *type;
	const char *unit; /* or NULL */
	const char *help;
	const char *key;
	uint64_t factor;
};

static const struct family families[] = {
	{"intact_size_bytes", "gauge", "bytes", "Size of the volume.", "sectors", 512},
	{"intact_mismatches", "counter", NULL, "Blocks that did not match their tags.",
	 "mismatches", 1},
	{"intact_journal_entries", "gauge", NULL, "Entries of the journal.", "journal_entries", 1},
	{"intact_journal_entries_free", "gauge", NULL, "Of those, not in use.",
	 "journal_entries_free", 1},
	{"intact_dirty_regions", "gauge", NULL, "Regions of the bitmap that are dirty.",
	 "dirty_regions", 1},
	{"intact_requests_in_flight", "gauge", NULL, "Requests that are not finished.", "in_flight",
	 1},
};

static const char *suffix_of(const char *type)
{
	return type[0] == 'c' ? "_total" : "";
}

static void print_family(const struct family *f, struct json_object *statuses)
{
	begin(f->name, f->type, f->unit, f->help);
	for (size_t i = 0; i < json_object_array_length(statuses); i++) {
		struct json_object *o = status_at(statuses, i);

		printf("%s%s", f->name, suffix_of(f->type));
		print_label("name", json_get_text(o, "name"), "{");
		printf("} %" PRIu64 "\n", json_get_number(o, f->key) * f->factor);
	}
}

/* Where nothing is being recalculated there is no sample. */
static void print_recalculated(struct json_object *statuses)
{
	begin("intact_recalculated_bytes", "gauge", "bytes", "How far a recalculation has come.");
	for (size_t i = 0; i < json_object_array_length(statuses); i++) {
		struct json_object *o = status_at(statuses, i);

		if (!json_get(o, "recalc_sector"))
			continue;
		print_label("name", json_get_text(o, "name"), "intact_recalculated_bytes{");
		printf("} %" PRIu64 "\n", json_get_number(o, "recalc_sector") * 512);
	}
}

static void print_stopped(struct json_object *statuses)
{
	begin("intact_stopped", "gauge", NULL, "1: a failure has stopped the volume.");
	for (size_t i = 0; i < json_object_array_length(statuses); i++) {
		struct json_object *o = status_at(statuses, i);

		print_label("name", json_get_text(o, "name"), "intact_stopped{");
		printf("} %d\n", json_get(o, "failure") ? 1 : 0);
	}
}

static void print_requests_of(struct json_object *o, bool seconds)
{
	json_object_object_foreach(json_get(o, "requests"), op, counts)
	{
		if (seconds && !json_get(counts, "latency_sum_ns"))
			continue; /* not told by `intact serve` */
		print_label("name", json_get_text(o, "name"),
			    seconds ? "intact_request_seconds_total{" : "intact_requests_total{");
		print_label("op", op, ",");
		if (seconds)
			printf("} %.9f\n", (double)json_get_number(counts, "latency_sum_ns") / 1e9);
		else
			printf("} %" PRIu64 "\n", json_get_number(counts, "finished"));
	}
}

static void print_requests(struct json_object *statuses)
{
	begin("intact_requests", "counter", NULL, "Finished requests.");
	for (size_t i = 0; i < json_object_array_length(statuses); i++)
		print_requests_of(status_at(statuses, i), false);
	begin("intact_request_seconds", "counter", "seconds",
	      "How long finished requests took, summed up.");
	for (size_t i = 0; i < json_object_array_length(statuses); i++)
		print_requests_of(status_at(statuses, i), true);
}

void openmetrics_print(struct json_object *statuses)
{
	print_info(statuses);
	for (unsigned i = 0; i < sizeof(families) / sizeof(*families); i++)
		print_family(&families[i], statuses);
	print_recalculated(statuses);
	print_stopped(statuses);
	print_requests(statuses);
	puts("# EOF");
}
