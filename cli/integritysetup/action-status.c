/* SPDX-License-Identifier: BSD-2-Clause
 *
 * integritysetup status: what the device-mapper table of the volume would say, and what its process
 * does, line by line as cryptsetup 2.8 has it.
 */
#include "isetup.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json_object.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES	   512u
#define DEFAULT_BLOCK	   "512"
#define DEFAULT_INTERLEAVE "32768"

/* ---- The table line, "0 LENGTH integrity DEVICE START TAG MODE N WORD…" ---- */

struct table {
	char *text;	 /* owned, cut into words */
	char *words[64]; /* ends with NULL */
	unsigned count;
};

enum { AT_LENGTH = 1, AT_DEVICE = 3, AT_TAG = 5, AT_MODE = 6, AT_ARGUMENTS = 8 };

static int cut(struct table *t, const char *line)
{
	char *rest;

	t->text = strdup(line);
	if (!t->text)
		return -ENOMEM;
	t->count = 0;
	for (char *word = strtok_r(t->text, " \n", &rest);
	     word && t->count + 1 < sizeof(t->words) / sizeof(*t->words);
	     word = strtok_r(NULL, " \n", &rest))
		t->words[t->count++] = word;
	t->words[t->count] = NULL;
	return t->count >= AT_ARGUMENTS ? 0 : -EBADMSG;
}

/* What stands behind "NAME:" up to the next colon, or `fallback`. Cuts the key off. */
static const char *value_of(const struct table *t, const char *name, const char *fallback)
{
	size_t length = strlen(name);

	for (unsigned i = AT_ARGUMENTS; i < t->count; i++) {
		if (strncmp(t->words[i], name, length) != 0 || t->words[i][length] != ':')
			continue;
		return t->words[i] + length + 1;
	}
	return fallback;
}

static bool has_word(const struct table *t, const char *word)
{
	for (unsigned i = AT_ARGUMENTS; i < t->count; i++) {
		if (strcmp(t->words[i], word) == 0)
			return true;
	}
	return false;
}

/* ---- Devices ---- */

/* "MAJOR:MINOR" as a path; a path as it is. */
static void device_path(const char *word, char path[static PATH_MAX])
{
	char uevent[64], line[256];
	FILE *file;

	(void)snprintf(path, PATH_MAX, "%s", word);
	if (strchr(word, '/') || strlen(word) > 21)
		return;
	(void)snprintf(uevent, sizeof(uevent), "/sys/dev/block/%s/uevent", word);
	file = fopen(uevent, "re");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "DEVNAME=", 8) == 0)
			(void)snprintf(path, PATH_MAX, "/dev/%s", line + 8);
	}
	if (file)
		(void)fclose(file);
}

/* The file below a loop device. */
static void print_loop(const char *device)
{
	char path[PATH_MAX + 64], file[PATH_MAX];
	FILE *from;

	if (strncmp(device, "/dev/loop", 9) != 0)
		return;
	(void)snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", device + 5);
	from = fopen(path, "re");
	if (from && fgets(file, sizeof(file), from))
		printf("  loop:    %.*s\n", (int)strcspn(file, "\n"), file);
	if (from)
		(void)fclose(from);
}

static void print_devices(const struct table *t)
{
	const char *meta = value_of(t, "meta_device", NULL);
	char path[PATH_MAX];

	device_path(t->words[AT_DEVICE], path);
	printf("  device:  %s%s\n", path, meta ? " (detached)" : "");
	print_loop(path);
	if (!meta)
		return;
	device_path(meta, path);
	printf("  metadata device:  %s\n", path);
	print_loop(path);
}

/* ---- Lines ---- */

/* Recovery mode takes no writes, here as in the kernel, and is called so all the same. */
static const char *mode_name(const struct table *t, bool read_only)
{
	if (t->words[AT_MODE][0] == 'R')
		return "read/write recovery";
	return read_only ? "readonly" : "read/write";
}

static void print_journal(const struct table *t)
{
	switch (t->words[AT_MODE][0]) {
	case 'B':
		printf("  bitmap 512-byte sectors per bit: %s\n",
		       value_of(t, "sectors_per_bit", "0"));
		printf("  bitmap flush interval: %s [ms]\n",
		       value_of(t, "bitmap_flush_interval", "0"));
		puts("  journal: not active");
		return;
	case 'D':
	case 'I':
		puts("  journal: not active");
		return;
	}
	printf("  journal size: %" PRIu64 " [bytes]\n",
	       (uint64_t)strtoull(value_of(t, "journal_sectors", "0"), NULL, 10) * SECTOR_BYTES);
	printf("  journal watermark: %s%%\n", value_of(t, "journal_watermark", "0"));
	printf("  journal commit time: %s [ms]\n", value_of(t, "commit_time", "0"));
}

/* "ALGORITHM" or "ALGORITHM:KEY" */
static void print_algorithm(const struct table *t, const char *name, const char *title)
{
	const char *value = value_of(t, name, NULL);

	if (value)
		printf("  %s: %.*s\n", title, (int)strcspn(value, ":"), value);
}

static void print_flags(const struct table *t)
{
	if (has_word(t, "allow_discards_keyed"))
		puts("  flags: discards_keyed");
	else if (has_word(t, "allow_discards"))
		puts("  flags: discards");
}

static void print_table(const struct table *t, bool read_only, uint64_t mismatches)
{
	uint64_t sectors = strtoull(t->words[AT_LENGTH], NULL, 10);

	puts("  type:    INTEGRITY");
	printf("  tag size: %s [bytes]\n", t->words[AT_TAG]);
	print_algorithm(t, "internal_hash", "integrity");
	print_devices(t);
	printf("  sector size:  %s [bytes]\n", value_of(t, "block_size", DEFAULT_BLOCK));
	printf("  interleave sectors: %s\n", value_of(t, "interleave_sectors", DEFAULT_INTERLEAVE));
	printf("  size:    %" PRIu64 " [512-byte units] (%" PRIu64 " [bytes])\n", sectors,
	       sectors * SECTOR_BYTES);
	printf("  mode:    %s\n", mode_name(t, read_only));
	printf("  failures: %" PRIu64 "\n", mismatches);
	print_journal(t);
	print_algorithm(t, "journal_mac", "journal integrity MAC");
	print_algorithm(t, "journal_crypt", "journal encryption");
	print_flags(t);
}

/* ---- The action ---- */

static int show(struct arguments *a, const char *name)
{
	struct json_object *status = NULL, *answer = NULL;
	struct table t = {.text = NULL};
	const char *line;
	int r = ask(a, name, request_for("status"), &status);

	r = r ?: ask(a, name, request_for("table"), &answer);
	line = r == 0 ? text_of(answer, "table") : NULL;
	if (r == 0)
		r = line ? cut(&t, line) : -EBADMSG;
	if (r == 0) {
		printf("/dev/mapper/%s is active%s.\n", name,
		       json_object_get_boolean(member(status, "in_use")) ? " and is in use" : "");
		print_table(&t, json_object_get_boolean(member(status, "read_only")),
			    json_object_get_uint64(member(status, "mismatches")));
	}
	free(t.text);
	json_object_put(status);
	json_object_put(answer);
	return r;
}

int action_status(struct arguments *a)
{
	const char *name = without_directory(a->operands[0]);
	int r;

	if (!is_active(name)) {
		printf("/dev/mapper/%s is inactive.\n", name);
		return ISETUP_DEVICE;
	}
	r = show(a, name);
	return r < 0 ? complain_as_told(a, NULL, r) : ISETUP_WELL;
}
