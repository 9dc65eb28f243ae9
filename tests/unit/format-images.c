/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The format against volumes that kernels made: what this code reads out of every image in the
 * directory $INTACT_TEST_IMAGES is compared with what the .json beside it says.
 */
#include "base/le.h"
#include "base/num.h"
#include "format/bitmap.h"
#include "format/journal.h"
#include "format/superblock.h"
#include "format/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#define IMAGES_MIN     90 /* so that a test over nothing does not pass */
#define TABLE_BYTES    2048
#define OPTIONS_MAX    32
#define EXIT_SKIP      77
#define NAME_BYTES     128
#define PATH_BYTES     4096
#define SECTIONS_MAX   64
#define WORD_SEPARATOR " "

struct file {
	const uint8_t *bytes;
	size_t size;
};

struct image {
	char name[NAME_BYTES];
	struct json_object *json;
	struct file main; /* with the superblock */
	struct file data; /* of a volume with a metadata device, else empty */
	struct table table;
};

/* ---- What the .json says ---- */

static struct json_object *get(struct json_object *from, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(from, key, &value) ? value : NULL;
}

static uint64_t get_number(struct json_object *from, const char *key)
{
	struct json_object *value = get(from, key);

	assert_non_null(value);
	return json_object_get_uint64(value);
}

/* The volumes whose superblock a kernel does not take, or not because of its fields. */
static enum sb_verdict expect_sb_verdict(const struct image *image)
{
	static const struct {
		const char *name;
		enum sb_verdict verdict;
	} bad[] = {
		{"bad-magic", SB_FOREIGN},
		{"bad-version8", SB_VERSION_UNKNOWN},
		{"bad-interleave-32-512", SB_INTERLEAVE_BAD},
		{"bad-journal-sections-0-512", SB_JOURNAL_MISSING},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (strcmp(image->name, bad[i].name) == 0)
			return bad[i].verdict;
	}
	return SB_GOOD;
}

/* What the kernel recomputed when it opened the volume, if that changed anything. */
static uint64_t expect_provided(const struct image *image)
{
	struct json_object *opens = get(image->json, "opens");
	uint64_t provided = get_number(image->json, "provided_data_sectors");

	for (size_t i = 0; i < json_object_array_length(opens); i++) {
		struct json_object *sb =
			get(json_object_array_get_idx(opens, i), "superblock_after_close");

		if (sb)
			provided = get_number(sb, "provided_data_sectors");
	}
	return provided;
}

/* ---- Opening ---- */

static const char *images_directory(void)
{
	return getenv("INTACT_TEST_IMAGES");
}

static struct file map_file(const char *name)
{
	struct file file = {0};
	char path[PATH_BYTES];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", images_directory(), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("cannot open %s", path);
	assert_int_equal(fstat(fd, &st), 0);
	file.size = (size_t)st.st_size;
	file.bytes = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(file.bytes != MAP_FAILED);
	close(fd);
	return file;
}

static struct file map_listed(const struct image *image, const char *key)
{
	struct json_object *listed = get(get(image->json, "files"), key);
	char name[NAME_BYTES];
	size_t length;

	if (!listed)
		return (struct file){0};
	length = strlen(json_object_get_string(listed)) - strlen(".zst");
	snprintf(name, sizeof(name), "%.*s", (int)length, json_object_get_string(listed));
	return map_file(name);
}

static void unmap_file(struct file file)
{
	if (file.bytes)
		munmap((void *)file.bytes, file.size);
}

static void open_image(struct image *image, const char *json_path)
{
	const char *base = strrchr(json_path, '/') + 1;
	struct table_slice at;
	const char *line;

	memset(image, 0, sizeof(*image));
	snprintf(image->name, sizeof(image->name), "%.*s", (int)(strlen(base) - strlen(".json")),
		 base);
	image->json = json_object_from_file(json_path);
	assert_non_null(image->json);
	line = json_object_get_string(get(image->json, "table"));
	assert_int_equal(table_parse(line, &image->table, &at), TABLE_GOOD);
	if (image->table.meta_device.text) {
		image->main = map_listed(image, "meta_device");
		image->data = map_listed(image, "image");
		return;
	}
	image->main = map_listed(image, "data"); /* what a stacked inline volume stood on */
	if (!image->main.bytes)
		image->main = map_listed(image, "image");
}

static void close_image(struct image *image)
{
	unmap_file(image->main);
	unmap_file(image->data);
	json_object_put(image->json);
}

static void for_each_image(void (*check)(const struct image *image))
{
	char pattern[PATH_BYTES];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*.json", images_directory());
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= IMAGES_MIN);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct image image;

		open_image(&image, found.gl_pathv[i]);
		print_message("%s\n", image.name);
		check(&image);
		close_image(&image);
	}
	globfree(&found);
}

/* ---- Superblock ---- */

static const uint8_t *sb_bytes(const struct image *image)
{
	uint64_t at = image->table.start_sector * SECTOR_BYTES;

	assert_true(at + SB_BYTES <= image->main.size);
	return image->main.bytes + at;
}

static bool read_sb(const struct image *image, struct sb *ret)
{
	bool two_devices = image->table.meta_device.text != NULL;
	enum sb_verdict verdict = sb_decode(sb_bytes(image), two_devices, ret);

	assert_int_equal(verdict, expect_sb_verdict(image));
	return verdict == SB_GOOD;
}

static void check_salt(const struct sb *sb, const char *hex)
{
	for (size_t i = 0; i < SB_SALT_BYTES; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		assert_int_equal(sb->salt[i], byte);
	}
}

static void check_flag_names(uint32_t flags, struct json_object *names)
{
	size_t found = 0;

	for (unsigned bit = 0; bit < 32; bit++) {
		if (!(flags & (1u << bit)))
			continue;
		assert_string_equal(
			sb_flag_name(1u << bit),
			json_object_get_string(json_object_array_get_idx(names, found++)));
	}
	assert_int_equal(found, json_object_array_length(names));
}

static void check_superblock(const struct image *image)
{
	struct json_object *json = get(image->json, "superblock");
	uint8_t bytes[SB_BYTES];
	struct sb sb;

	if (!read_sb(image, &sb))
		return;
	assert_int_equal(sb.version, get_number(json, "version"));
	assert_int_equal(sb.log2_interleave_sectors, get_number(json, "log2_interleave_sectors"));
	assert_int_equal(sb.tag_bytes, get_number(json, "integrity_tag_size"));
	assert_int_equal(sb.journal_sections, get_number(json, "journal_sections"));
	assert_int_equal(sb.provided_data_sectors, get_number(json, "provided_data_sectors"));
	assert_int_equal(sb.flags, get_number(json, "flags"));
	assert_int_equal(sb.log2_sectors_per_block, get_number(json, "log2_sectors_per_block"));
	assert_int_equal(sb.log2_blocks_per_bitmap_bit,
			 get_number(json, "log2_blocks_per_bitmap_bit"));
	assert_int_equal(sb.recalc_sector, get_number(json, "recalc_sector"));
	check_salt(&sb, json_object_get_string(get(json, "salt")));
	check_flag_names(sb.flags, get(json, "flag_names"));

	sb_encode(&sb, bytes);
	assert_memory_equal(bytes, sb_bytes(image), 64);
	if (json_object_get_boolean(get(json, "rest_all_zero")))
		assert_memory_equal(bytes, sb_bytes(image), SB_BYTES);
}

static void superblocks_are_what_the_json_says(void **state)
{
	(void)state;
	for_each_image(check_superblock);
}

static void check_version(const struct image *image)
{
	bool made_on_purpose = strcmp(image->name, "superblock-version2-with-fixpadding-4096") == 0;
	struct sb sb;

	if (!read_sb(image, &sb) || made_on_purpose)
		return;
	assert_int_equal(sb.version, sb_version_for(sb.flags, image->table.mode == 'B',
						    image->table.meta_device.text != NULL));
}

static void versions_are_what_kernels_write(void **state)
{
	(void)state;
	for_each_image(check_version);
}

/* ---- Geometry ---- */

static bool read_geometry(const struct image *image, struct sb *sb, struct geometry *ret)
{
	enum geometry_kind kind =
		image->table.meta_device.text ? GEOMETRY_METADATA_DEVICE : GEOMETRY_ONE_DEVICE;
	bool trapped = strcmp(image->name, "layout-legacypadding-il64-crc32c-512") == 0;

	if (!read_sb(image, sb))
		return false;
	if (sb->flags & SB_INLINE)
		kind = GEOMETRY_INLINE;
	assert_int_equal(
		geometry_make(sb, kind, image->table.start_sector, image->main.size / SECTOR_BYTES,
			      image->data.size / SECTOR_BYTES, image->table.buffer_sectors, ret),
		trapped ? GEOMETRY_UNSAFE : GEOMETRY_GOOD);
	return true;
}

static void check_layout(const struct image *image)
{
	struct json_object *json = get(image->json, "layout");
	struct geometry g;
	struct sb sb;

	/* This one's tag size was changed, and with it everything else. */
	if (!read_geometry(image, &sb, &g) || strcmp(image->name, "bad-tagsize-in-superblock") == 0)
		return;
	assert_int_equal(g.provided_sectors, expect_provided(image));
	assert_int_equal(g.stored_provided_sectors, sb.provided_data_sectors);
	if (!json)
		return;
	assert_int_equal(g.entry_bytes, get_number(json, "entry_size"));
	assert_int_equal(g.entries_per_sector, get_number(json, "entries_per_sector"));
	assert_int_equal(g.section_entries, get_number(json, "section_entries"));
	assert_int_equal(g.section_sectors, get_number(json, "section_sectors"));
	assert_int_equal(g.journal_sections, get_number(json, "journal_sections"));
	assert_int_equal(g.initial_sectors, get_number(json, "initial_sectors"));
	assert_int_equal(g.run_tag_sectors, get_number(json, "metadata_run"));
}

static void layouts_are_what_the_json_says(void **state)
{
	(void)state;
	for_each_image(check_layout);
}

/* What the kernel said about itself must follow from the superblock. */
static void check_kernel_table(const struct image *image)
{
	struct json_object *tables = get(image->json, "tables_in_kernel_while_making");
	struct table_slice at;
	struct geometry g;
	struct table t;
	struct sb sb;

	if (!read_geometry(image, &sb, &g) || !tables)
		return;
	for (size_t i = 0; i < json_object_array_length(tables); i++) {
		const char *line = json_object_get_string(json_object_array_get_idx(tables, i));

		if (table_parse(line, &t, &at) != TABLE_GOOD ||
		    (t.mode == 'I') != (g.kind == GEOMETRY_INLINE))
			continue;
		assert_int_equal(t.tag_bytes, g.tag_bytes);
		assert_int_equal(t.buffer_sectors, g.buffer_sectors);
		if (t.given & TABLE_JOURNAL_SECTORS)
			assert_int_equal(t.journal_sectors, g.journal_sectors);
		if (t.given & TABLE_INTERLEAVE_SECTORS)
			assert_int_equal(t.interleave_sectors, 1u << g.log2_interleave);
	}
}

static void the_kernels_own_view_follows_from_the_superblock(void **state)
{
	(void)state;
	for_each_image(check_kernel_table);
}

/* Formatting a device like this one with the same table must come to the same superblock. */
static void check_formatting(const struct image *image)
{
	struct sb sb, formatted;
	struct geometry g, made;

	/* Made from other images, by integritysetup, or on a device of another size. */
	if (!read_geometry(image, &sb, &g) || get(image->json, "derived_from") ||
	    get(image->json, "extra") || strcmp(image->name, "grown-crc32c-512") == 0)
		return;
	if (strcmp(image->name, "layout-legacypadding-il64-crc32c-512") == 0)
		return;
	formatted = sb;
	formatted.journal_sections = 0;
	formatted.provided_data_sectors = 0;
	assert_int_equal(
		geometry_format(&formatted, g.kind, g.start_sector, image->main.size / SECTOR_BYTES,
				image->data.size / SECTOR_BYTES, image->table.interleave_sectors,
				image->table.journal_sectors, image->table.buffer_sectors, &made),
		GEOMETRY_GOOD);
	assert_int_equal(formatted.journal_sections, sb.journal_sections);
	assert_int_equal(formatted.log2_interleave_sectors, sb.log2_interleave_sectors);
	assert_int_equal(formatted.provided_data_sectors, sb.provided_data_sectors);
}

static void formatting_comes_to_the_kernels_choices(void **state)
{
	(void)state;
	for_each_image(check_formatting);
}

/* ---- Bitmap ---- */

static void check_bitmap(const struct image *image)
{
	struct bitmap_shape stored, chosen;
	const uint8_t *bits;
	struct geometry g;
	struct sb sb;

	if (!read_geometry(image, &sb, &g) || g.kind == GEOMETRY_INLINE ||
	    get(image->json, "derived_from"))
		return;
	bitmap_shape_choose(&g, image->table.sectors_per_bit, g.provided_sectors, &chosen);
	assert_int_equal(chosen.log2_blocks_per_bit, sb.log2_blocks_per_bitmap_bit);
	if (!(sb.flags & SB_DIRTY_BITMAP))
		return;
	assert_int_equal(
		bitmap_shape_stored(&g, sb.log2_blocks_per_bitmap_bit, g.provided_sectors, &stored),
		BITMAP_GOOD);
	bits = image->main.bytes + geometry_journal_sector(&g) * SECTOR_BYTES;
	/* Behind the last region lies what the journal left there. */
	assert_true(bitmap_count(bits, stored.regions) > 0);
	assert_true(bitmap_count(bits, stored.regions) < stored.regions);
}

static void bitmaps_have_the_kernels_granularity(void **state)
{
	(void)state;
	for_each_image(check_bitmap);
}

/* ---- Journal ---- */

static const uint8_t *section_bytes(const struct image *image, const struct geometry *g, uint32_t i)
{
	uint64_t at = geometry_section_sector(g, i) * SECTOR_BYTES;

	assert_true(at + (uint64_t)g->section_sectors * SECTOR_BYTES <= image->main.size);
	return image->main.bytes + at;
}

static uint64_t count_used(const struct geometry *g, const uint8_t *section)
{
	uint64_t used = 0;

	for (uint32_t entry = 0; entry < g->section_entries; entry++)
		used += entry_is_used(g, section, entry);
	return used;
}

static uint64_t number_or_0(struct json_object *from, const char *key)
{
	return get(from, key) ? get_number(from, key) : 0;
}

static void check_section(const struct geometry *g, const struct section_scan *scan,
			  const uint8_t *section, struct json_object *json)
{
	struct json_object *by_sequence = get(json, "commit_seq");
	static const char *const keys[] = {"0", "1", "2", "3"};

	for (unsigned q = 0; q < SEQUENCES; q++)
		assert_int_equal(scan->sectors_by_sequence[q], number_or_0(by_sequence, keys[q]));
	assert_int_equal(scan->sectors_invalid, number_or_0(by_sequence, "-1"));
	assert_int_equal(count_used(g, section), get_number(json, "used_entries"));
}

static enum replay_verdict expect_replay_verdict(const struct image *image)
{
	if (strcmp(image->name, "damaged-journal-commitid-crc32c-512") == 0)
		return REPLAY_BAD_COMMIT_ID;
	if (strcmp(image->name, "damaged-journal-allfourids-512") == 0)
		return REPLAY_ALL_SEQUENCES;
	return REPLAY_SECTIONS;
}

static void check_sections_to_replay(const struct image *image, const struct geometry *g,
				     const struct replay_plan *plan)
{
	bool out_of_range = strcmp(image->name, "damaged-journal-sector-outofrange-512") == 0;
	unsigned met[ENTRY_VERDICTS] = {0};

	for (uint32_t n = 0; n < plan->count; n++) {
		uint32_t i = (plan->first + n) % g->journal_sections;
		const uint8_t *section = section_bytes(image, g, i);

		for (uint32_t entry = 0; entry < g->section_entries; entry++)
			met[entry_judge(g, section, entry, g->provided_sectors)]++;
	}
	assert_int_equal(met[ENTRY_MISALIGNED], 0);
	assert_int_equal(met[ENTRY_BEYOND], out_of_range ? 1 : 0);
}

static void check_journal(const struct image *image)
{
	struct json_object *json = get(image->json, "journal_on_disk");
	uint8_t sequence_of[SECTIONS_MAX];
	struct replay_plan plan;
	struct replay_scan scan;
	struct commit_ids ids;
	struct geometry g;
	struct sb sb;

	if (!read_geometry(image, &sb, &g) || !json)
		return;
	assert_true(g.journal_sections <= SECTIONS_MAX);
	assert_int_equal(json_object_array_length(json), g.journal_sections);
	commit_ids_init(&ids, NULL);
	replay_scan_init(&scan, sequence_of);
	for (uint32_t i = 0; i < g.journal_sections; i++) {
		const uint8_t *section = section_bytes(image, &g, i);
		struct section_scan of_section;

		section_scan(&g, &ids, i, section, &of_section);
		check_section(&g, &of_section, section, json_object_array_get_idx(json, i));
		replay_scan_add(&scan, &g, i, &of_section);
	}
	assert_int_equal(replay_decide(&scan, g.journal_sections, &plan),
			 expect_replay_verdict(image));
	if (expect_replay_verdict(image) == REPLAY_SECTIONS)
		check_sections_to_replay(image, &g, &plan);
}

static void journals_are_what_the_json_says(void **state)
{
	(void)state;
	for_each_image(check_journal);
}

/* A section that a kernel sealed is the section that this code builds out of the same entries. */
static void check_rebuilt_section(const struct image *image, const struct geometry *g, uint32_t i,
				  unsigned sequence)
{
	size_t section_size = (size_t)g->section_sectors * SECTOR_BYTES;
	const uint8_t *original = section_bytes(image, g, i);
	uint8_t *rebuilt = malloc(section_size);
	uint8_t mac[SECTION_MAC_BYTES], block[4096];
	struct commit_ids ids;

	assert_non_null(rebuilt);
	commit_ids_init(&ids, NULL);
	section_clear(g, rebuilt);
	for (uint32_t entry = 0; entry < g->section_entries; entry++) {
		if (entry_judge(g, original, entry, g->provided_sectors) != ENTRY_GOOD)
			continue;
		entry_data(g, original, entry, block);
		entry_set(g, rebuilt, entry, entry_sector(g, original, entry), block,
			  entry_tag(g, original, entry));
		assert_memory_equal(entry_tag(g, rebuilt, entry), entry_tag(g, original, entry),
				    g->tag_bytes);
	}
	section_mac_stored(original, mac);
	if (image->table.journal_mac.name.text)
		section_mac_set(rebuilt, mac, sizeof(mac));
	section_seal(g, &ids, i, sequence, rebuilt);
	/* What unused entries leave behind is arbitrary; sectors that are in use are not. */
	for (uint32_t entry = 0; entry < g->section_entries; entry++) {
		size_t at = (8 + (size_t)entry * g->sectors_per_block) * SECTOR_BYTES;

		assert_int_equal(entry_is_used(g, rebuilt, entry),
				 entry_is_used(g, original, entry));
		if (entry_is_used(g, rebuilt, entry))
			assert_memory_equal(rebuilt + at, original + at,
					    g->sectors_per_block * SECTOR_BYTES);
	}
	free(rebuilt);
}

static void check_rebuilt(const struct image *image)
{
	struct commit_ids ids;
	struct geometry g;
	struct sb sb;

	if (!read_geometry(image, &sb, &g) || !get(image->json, "journal_on_disk") ||
	    strcmp(image->name, "damaged-journal-sector-outofrange-512") == 0)
		return;
	commit_ids_init(&ids, NULL);
	for (uint32_t i = 0; i < g.journal_sections; i++) {
		struct section_scan scan;
		int sequence;

		section_scan(&g, &ids, i, section_bytes(image, &g, i), &scan);
		sequence = section_sequence(&g, &scan);
		if (sequence >= 0)
			check_rebuilt_section(image, &g, i, (unsigned)sequence);
	}
}

static void sections_can_be_rebuilt_from_their_entries(void **state)
{
	(void)state;
	for_each_image(check_rebuilt);
}

/* ---- Table lines ---- */

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the options, which follow the eighth word. */
static void normalise(char *line, char *ret, size_t size)
{
	char *words[OPTIONS_MAX];
	size_t count = 0;

	for (char *word = strtok(line, WORD_SEPARATOR); word; word = strtok(NULL, WORD_SEPARATOR)) {
		assert_true(count < OPTIONS_MAX);
		words[count++] = word;
	}
	assert_true(count >= 8);
	qsort(words + 8, count - 8, sizeof(words[0]), compare_words);
	ret[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(ret);

		snprintf(ret + length, size - length, "%s ", words[i]);
	}
}

static void check_table_line(const char *line)
{
	char original[TABLE_BYTES], printed[TABLE_BYTES], expected[TABLE_BYTES], got[TABLE_BYTES];
	struct table_slice at;
	struct table t;

	assert_true(strlen(line) < sizeof(original));
	strcpy(original, line);
	assert_int_equal(table_parse(line, &t, &at), TABLE_GOOD);
	assert_int_equal(table_print(&t, true, printed, sizeof(printed)), strlen(line));
	normalise(original, expected, sizeof(expected));
	normalise(printed, got, sizeof(got));
	assert_string_equal(got, expected);
}

static void check_tables(const struct image *image)
{
	struct json_object *tables = get(image->json, "tables_in_kernel_while_making");

	check_table_line(json_object_get_string(get(image->json, "table")));
	for (size_t i = 0; tables && i < json_object_array_length(tables); i++) {
		const char *line = json_object_get_string(json_object_array_get_idx(tables, i));

		if (strstr(line, " integrity ") && strncmp(line, "0 ", 2) == 0)
			check_table_line(line);
	}
}

static void tables_print_as_they_were_parsed(void **state)
{
	(void)state;
	for_each_image(check_tables);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(superblocks_are_what_the_json_says),
		cmocka_unit_test(versions_are_what_kernels_write),
		cmocka_unit_test(layouts_are_what_the_json_says),
		cmocka_unit_test(the_kernels_own_view_follows_from_the_superblock),
		cmocka_unit_test(formatting_comes_to_the_kernels_choices),
		cmocka_unit_test(bitmaps_have_the_kernels_granularity),
		cmocka_unit_test(journals_are_what_the_json_says),
		cmocka_unit_test(sections_can_be_rebuilt_from_their_entries),
		cmocka_unit_test(tables_print_as_they_were_parsed),
	};

	if (!images_directory())
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
