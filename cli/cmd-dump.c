/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact dump: what is on the device, without verifying any data.
 */
#include "cli.h"

#include <inttypes.h>

#define JSON_VERSION 1

static void print_superblock(const struct intact_superblock *sb)
{
	printf("superblock_version: %" PRIu32 "\n", sb->version);
	print_flags(sb->flags);
	printf("integrity_tag_size: %" PRIu32 " bytes\n", sb->tag_bytes);
	printf("block_size: %" PRIu32 " bytes\n", sb->block_bytes);
	printf("interleave_sectors: %" PRIu64 "\n", sb->interleave_sectors);
	printf("journal_sections: %" PRIu32 "\n", sb->journal_sections);
	printf("provided_data_sectors: %" PRIu64 "\n", sb->provided_data_sectors);
	if (sb->flags & INTACT_FLAG_RECALCULATING)
		printf("recalc_sector: %" PRIu64 "\n", sb->recalc_sector);
	printf("log2_blocks_per_bitmap_bit: %" PRIu32 "\n", sb->log2_blocks_per_bitmap_bit);
	if (sb->flags & INTACT_FLAG_FIX_HMAC) {
		fputs("salt: ", stdout);
		for (size_t i = 0; i < sizeof(sb->salt); i++)
			printf("%02x", sb->salt[i]);
		putchar('\n');
	}
}

static void print_layout(const struct intact_layout *l)
{
	printf("superblock_sector: %" PRIu64 "\n", l->superblock_sector);
	printf("journal_sector: %" PRIu64 "\n", l->journal_sector);
	printf("journal_sectors: %" PRIu64 "\n", l->journal_sectors);
	printf("section_sectors: %" PRIu32 "\n", l->section_sectors);
	printf("section_entries: %" PRIu32 "\n", l->section_entries);
	printf("entry_size: %" PRIu32 " bytes\n", l->entry_bytes);
	printf("first_tag_sector: %" PRIu64 "\n", l->first_tag_sector);
	printf("first_data_sector: %" PRIu64 "\n", l->first_data_sector);
	printf("run_tag_sectors: %" PRIu64 "\n", l->run_tag_sectors);
	printf("runs: %" PRIu64 "\n", l->runs);
	printf("device_sectors: %" PRIu64 "\n", l->device_sectors);
	if (l->data_device_sectors > 0)
		printf("data_device_sectors: %" PRIu64 "\n", l->data_device_sectors);
	printf("provided_data_sectors_now: %" PRIu64 "\n", l->provided_data_sectors);
}

static void print_journal(const struct intact_journal *j)
{
	printf("journal_state: %s\n", journal_state_name(j->state));
	if (j->state == INTACT_JOURNAL_REPLAY) {
		printf("journal_replay_sections: %" PRIu32 "\n", j->sections);
		printf("journal_replay_first_section: %" PRIu32 "\n", j->first_section);
		printf("journal_replay_entries: %" PRIu64 "\n", j->entries);
		printf("journal_replay_blocks: %" PRIu64 "\n", j->blocks);
	}
	if (j->errors > 0) {
		printf("journal_errors: %" PRIu64 "\n", j->errors);
		printf("journal_reason: %s\n", j->reason);
	}
}

static void print_bitmap(const struct intact_bitmap *b)
{
	if (!b->present)
		return;
	printf("bitmap: %s\n", b->trusted ? "on disk" : "not to be trusted");
	if (!b->trusted)
		return;
	printf("bitmap_region_sectors: %" PRIu64 "\n", b->region_sectors);
	printf("bitmap_regions: %" PRIu64 "\n", b->regions);
	printf("bitmap_dirty_regions: %" PRIu64 "\n", b->dirty_regions);
}

/* ---- JSON ---- */

static void add(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static struct json_object *json_layout(const struct intact_layout *l)
{
	struct json_object *o = json_object_new_object();

	add(o, "superblock_sector", l->superblock_sector);
	add(o, "journal_sector", l->journal_sector);
	add(o, "journal_sectors", l->journal_sectors);
	add(o, "section_sectors", l->section_sectors);
	add(o, "section_entries", l->section_entries);
	add(o, "entry_size", l->entry_bytes);
	add(o, "first_tag_sector", l->first_tag_sector);
	add(o, "first_data_sector", l->first_data_sector);
	add(o, "run_tag_sectors", l->run_tag_sectors);
	add(o, "runs", l->runs);
	add(o, "device_sectors", l->device_sectors);
	add(o, "data_device_sectors", l->data_device_sectors);
	add(o, "provided_data_sectors", l->provided_data_sectors);
	return o;
}

static struct json_object *json_bitmap(const struct intact_bitmap *b)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "trusted", json_object_new_boolean(b->trusted));
	add(o, "region_sectors", b->region_sectors);
	add(o, "regions", b->regions);
	add(o, "dirty_regions", b->dirty_regions);
	return o;
}

static struct json_object *json_journal(const struct intact_journal *j)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "state", json_object_new_string(journal_state_name(j->state)));
	add(o, "sections", j->sections);
	add(o, "first_section", j->first_section);
	add(o, "entries", j->entries);
	add(o, "blocks", j->blocks);
	add(o, "errors", j->errors);
	json_object_object_add(o, "reason", j->errors ? json_object_new_string(j->reason) : NULL);
	return o;
}

/* ---- Sections and entries ---- */

struct listing {
	bool json;
	bool first;
};

static const char *mac_name(const struct intact_section *s)
{
	if (!s->mac_checked)
		return "unchecked";
	return s->mac_good ? "good" : "bad";
}

static struct json_object *json_section(const struct intact_section *s)
{
	struct json_object *o = json_object_new_object();
	struct json_object *sequences = json_object_new_array();

	for (unsigned i = 0; i < 4; i++)
		json_object_array_add(sequences, json_object_new_uint64(s->sectors_by_sequence[i]));
	add(o, "section", s->section);
	json_object_object_add(o, "sectors_by_sequence", sequences);
	add(o, "sectors_invalid", s->sectors_invalid);
	add(o, "used_entries", s->used_entries);
	json_object_object_add(o, "replayed", json_object_new_boolean(s->replayed));
	json_object_object_add(o, "mac", json_object_new_string(mac_name(s)));
	return o;
}

static struct json_object *json_entry(const struct intact_entry *e)
{
	struct json_object *o = json_object_new_object();

	add(o, "section", e->section);
	add(o, "entry", e->entry);
	add(o, "sector", e->sector);
	json_object_object_add(o, "replayed", json_object_new_boolean(e->replayed));
	return o;
}

static void print_element(struct listing *l, struct json_object *o)
{
	printf("%s\n  %s", l->first ? "" : ",",
	       json_object_to_json_string_ext(o, JSON_C_TO_STRING_SPACED));
	l->first = false;
	json_object_put(o);
}

static int list_section(void *opaque, const struct intact_section *s)
{
	struct listing *l = opaque;

	if (l->json) {
		print_element(l, json_section(s));
		return 0;
	}
	printf("section %" PRIu32 ": sequence 0: %" PRIu32 ", 1: %" PRIu32 ", 2: %" PRIu32
	       ", 3: %" PRIu32 ", none: %" PRIu32 " sectors, %" PRIu32 " entries, MAC %s%s\n",
	       s->section, s->sectors_by_sequence[0], s->sectors_by_sequence[1],
	       s->sectors_by_sequence[2], s->sectors_by_sequence[3], s->sectors_invalid,
	       s->used_entries, mac_name(s), s->replayed ? ", to be replayed" : "");
	return 0;
}

static int list_entry(void *opaque, const struct intact_entry *e)
{
	struct listing *l = opaque;

	if (l->json)
		print_element(l, json_entry(e));
	else
		printf("entry %" PRIu32 ".%" PRIu32 ": sector %" PRIu64 "%s\n", e->section,
		       e->entry, e->sector, e->replayed ? ", to be replayed" : "");
	return 0;
}

static int list(struct intact_view *v, bool json, const char *key, bool entries)
{
	struct listing l = {.json = json, .first = true};
	const struct intact_journal_walk walk = {
		.section = entries ? NULL : list_section,
		.entry = entries ? list_entry : NULL,
		.opaque = &l,
	};
	int r;

	if (json)
		printf(",\n \"%s\": [", key);
	r = intact_view_walk_journal(v, &walk);
	if (json)
		putchar(']');
	return r;
}

static int list_journal(struct intact_view *v, const struct options *o)
{
	int r = 0;

	if (!intact_view_layout(v))
		return 0;
	if (o->journal)
		r = list(v, o->json, "journal_sections", false);
	if (r == 0 && o->entries)
		r = list(v, o->json, "journal_entries", true);
	return r;
}

/* ---- The command ---- */

static void print_text(const struct intact_view *v, const struct options *o)
{
	printf("device: %s\n", o->params.device);
	print_superblock(intact_view_superblock(v));
	if (!intact_view_layout(v))
		return;
	print_layout(intact_view_layout(v));
	print_journal(intact_view_journal(v));
	print_bitmap(intact_view_bitmap(v));
}

static void print_json(const struct intact_view *v, const struct options *o)
{
	const struct intact_layout *layout = intact_view_layout(v);
	const struct intact_bitmap *bitmap = intact_view_bitmap(v);
	bool first = true;

	json_member(&first, "version", json_object_new_int(JSON_VERSION));
	json_member(&first, "device", json_object_new_string(o->params.device));
	json_member(&first, "superblock", json_superblock(intact_view_superblock(v)));
	json_member(&first, "layout", layout ? json_layout(layout) : NULL);
	json_member(&first, "journal", layout ? json_journal(intact_view_journal(v)) : NULL);
	json_member(&first, "bitmap", bitmap->present ? json_bitmap(bitmap) : NULL);
}

int cmd_dump(struct options *options)
{
	struct intact_view *v;
	int r = intact_view_open(&options->params, INTACT_VIEW_SUPERBLOCK_ONLY, &options->log, &v);
	bool usable;

	if (r < 0)
		return exit_status(r);
	if (options->json)
		print_json(v, options);
	else
		print_text(v, options);
	r = list_journal(v, options);
	if (options->json)
		fputs("}\n", stdout);
	usable = intact_view_layout(v) &&
		 intact_view_sectors(v) == intact_view_superblock(v)->provided_data_sectors;
	if (r == 0 && intact_view_journal(v)->state == INTACT_JOURNAL_CORRUPT)
		r = EXIT_DAMAGE;
	else
		r = usable ? exit_status(r) : EXIT_NOT_A_VOLUME;
	intact_view_close(v);
	return r;
}
